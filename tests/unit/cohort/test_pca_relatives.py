"""Principal components of people who do not define them: comparable with those of people who do, whoever of a family is
analysed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort, run_pruning, run_qc
from deepnull_gwas.cohort import pca
from deepnull_gwas.cohort.assemble import CohortFiles, assemble_study
from deepnull_gwas.cohort.relatives import estimate_kinship
from deepnull_gwas.cohort.shrinkage import shrinkage, unshrink
from deepnull_gwas.config import study_of
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.tables import read_parquet, write_parquet

FAMILIES, CHILDREN, OTHERS, VARIANTS = 300, 2, 300, 6000


def with_siblings(rng: np.random.Generator, children: int = CHILDREN) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate dosages (variants x people) of siblings, one family after the other, and of people without; population;
    family.
    """
    p = rng.uniform(0.1, 0.9, (VARIANTS, 1))
    fst = 0.006
    of_population = rng.beta(p * (1 - fst) / fst, (1 - p) * (1 - fst) / fst, (VARIANTS, 2))
    population = rng.integers(0, 2, FAMILIES + OTHERS)
    parents = rng.random((4, VARIANTS, FAMILIES)) < of_population[:, population[:FAMILIES]]
    side = rng.integers(0, 2, (2, children, VARIANTS, FAMILIES))
    siblings = [
        np.where(side[0, c], parents[0], parents[1]).astype(np.int8) + np.where(side[1, c], parents[2], parents[3])
        for c in range(children)
    ]
    related = np.stack(siblings, axis=2).reshape(VARIANTS, -1).astype(np.int8)
    single = rng.binomial(2, of_population[:, population[FAMILIES:]]).astype(np.int8)
    family = np.concatenate([np.repeat(np.arange(FAMILIES), children), FAMILIES + np.arange(OTHERS)])
    return np.concatenate([related, single], axis=1), population[family], family


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    dosages, population, family = with_siblings(np.random.default_rng(3))
    folder = make_cohort(tmp_path_factory.mktemp("siblings"), dosages, position=np.arange(1, VARIANTS + 1) * 10_000)
    run_qc(folder)
    run_pruning(folder, r2=1.0)
    out = folder / "relatives.tsv", folder / "families.parquet"
    estimate_kinship(
        folder / "genotypes.json", folder / "pruned.parquet", folder / "qc_samples.parquet", {"kinship": 0.0884}, *out
    )
    assert len(pd.read_csv(out[0], sep="\t")) == FAMILIES
    return folder, population, family


@pytest.mark.parametrize("exact_people", [5000, 0])
def test_the_projected_have_the_components_of_the_fitted(cohort, exact_people):
    folder, _, family = cohort
    fileset, index = BedGenotypes([folder / "cohort"]), np.arange(VARIANTS)
    nth = np.arange(len(family)) - np.searchsorted(family, family)
    first, second = nth == 0, (nth == 1) | (family >= FAMILIES)
    related = pca.read_related(folder / "relatives.tsv")
    found = pca.principal_components(fileset, index, first, 6, pca.Effort(1, exact_people=exact_people), related)
    swapped = pca.principal_components(fileset, index, second, 6, pca.Effort(1))
    projected = found["pcs"][~first]
    fitted, own = found["pcs"][first], swapped["pcs"][~first]
    own = own * np.sign(own[:, 0] @ projected[:, 0])
    # the component of ancestry: as where the person has taken part in it. A plain projection has .88
    slope = np.polyfit(own[:, 0], projected[:, 0], 1)[0]
    assert slope == pytest.approx(1, abs=0.03)
    assert np.corrcoef(own[:, 0], projected[:, 0])[0, 1] > 0.97
    # the components of noise are others there, but vary as much (a standard deviation of 300 people is good to 4 %): a
    # plain projection
    # varies by half
    spread = projected.std(axis=0) / fitted.std(axis=0)
    np.testing.assert_allclose(spread, 1, atol=0.2)
    assert spread[1:].mean() == pytest.approx(1, abs=0.06)
    # by how much a stranger's projection is drawn to the centre: largest where a component is noise
    assert 0.5 < found["shrinkage"][0] < 0.9
    assert (found["shrinkage"][1:] < 0.35).all()


def test_strangers_projected_are_not_shrunken(tmp_path):
    """Half of the people define the components; who of the populations does not matter."""
    dosages, population, _ = with_siblings(np.random.default_rng(5), children=1)
    fileset = BedGenotypes([make_cohort(tmp_path, dosages) / "cohort"])
    fit = np.arange(dosages.shape[1]) % 2 == 0
    pcs = pca.principal_components(fileset, np.arange(VARIANTS), fit, 4)["pcs"]
    distance = [np.diff([pcs[who & (population == g), 0].mean() for g in (0, 1)])[0] for who in (fit, ~fit)]
    # a plain projection has .64 of the distance
    assert distance[1] / distance[0] == pytest.approx(1, abs=0.04)
    np.testing.assert_allclose(pcs[~fit].std(axis=0) / pcs[fit].std(axis=0), 1, atol=0.12)


def test_shrinkage_is_that_of_the_spiked_model():
    """Lee, Zou & Wright 2010, for p variants of n people and a population eigenvalue d: (d - 1) / (d + p/n - 1)."""
    for people, variants in ((500, 10_000), (2000, 3000), (5000, 2000)):
        ratio = variants / people  # their gamma; their sample eigenvalues are ours times it
        d = 1 + np.array([5.0, 2.0, 1.2]) * np.sqrt(ratio)
        values = d * (1 + ratio / (d - 1)) / ratio
        np.testing.assert_allclose(shrinkage(values, 1.0, people / variants), (d - 1) / (d + ratio - 1), rtol=1e-12)
        # at the edge of the noise and below: that of the edge
        edge = np.array([(1 + np.sqrt(1 / ratio)) ** 2, 1.0])
        np.testing.assert_allclose(shrinkage(edge, 1.0, 1 / ratio), 1 / (1 + np.sqrt(ratio)), rtol=1e-6)


def test_whoever_of_a_family_defines_a_component_is_what_they_are():
    """A copy of a person (related by 1) gets that person's components; a stranger's projection is divided by the
    shrinkage.
    """
    pcs = np.array([[0.5, -0.2], [0, 0], [0, 0]])
    projected = np.array([[9, 9], [0.5, -0.2], [0.1, 0.2]])
    fit, shrunk = np.array([True, False, False]), np.array([0.7, 0.2])
    found = unshrink(projected, pcs, fit, shrunk, (np.array([0]), np.array([1]), np.array([1.0])))
    np.testing.assert_allclose(found[1], pcs[0])
    np.testing.assert_allclose(found[2], projected[2] / shrunk)


def test_cases_analysed_have_the_components_of_controls(cohort, tmp_path):
    """With `cases_first` the analysed cases with relatives are often not those who define the components: nothing of it
    shows.
    """
    folder, _, family = cohort
    rng = np.random.default_rng(8)
    status = (rng.random(len(family)) < 0.3).astype(float)
    samples = read_parquet(folder / "samples.parquet").assign(status=status)
    write_parquet(samples, tmp_path / "samples.parquet", metadata={"sample_table": "t"})
    out = [tmp_path / name for name in ("pcs.parquet", "eigenvalues.tsv", "loadings.parquet")]
    tables = [folder / name for name in ("genotypes.json", "pruned.parquet", "qc_samples.parquet")]
    structure = {"families": folder / "families.parquet", "relatives": folder / "relatives.tsv"}
    pca.compute_pcs(pca.PcaInputs(*tables, **structure), {"pcs": 6}, 1, pca.PcaOutputs(*out))
    row = {"study": "s", "cohort": "c", "phenotype": "status", "trait": "binary"}
    study = study_of(row, pcs=6).settings()
    files = CohortFiles(tmp_path / "samples.parquet", tables[2], out[0], structure["relatives"], structure["families"])
    study |= {"relatives": "exclude", "cases_first": True}
    assemble_study(files, study, tmp_path / "study.parquet", tmp_path / "study.json")
    people = read_parquet(tmp_path / "study.parquet")
    case = people["phenotype"].to_numpy() == 1
    fitted = read_parquet(out[0]).set_index("sample_index")["fitted"]
    projected = ~people["sample_index"].map(fitted).to_numpy(dtype=bool)
    # so it is that projected people are cases more often ...
    assert case[projected].mean() > 2 * case[~projected].mean()
    pcs = people.filter(like="cov_PC").to_numpy()
    # ... but a component says nothing of it: neither by where it lies nor by how far out, once it is clear of the
    # centre
    for values in (pcs, np.abs(pcs - pcs.mean(axis=0))):
        size = (values[projected].mean(axis=0) - values[~projected].mean(axis=0)) / values.std(axis=0)
        # the difference has a standard error of about sqrt(1/n1 + 1/n2); 3.5 of them for 12 comparisons
        assert (np.abs(size) < 3.5 * np.sqrt(1 / projected.sum() + 1 / (~projected).sum())).all(), size
    spread = pcs[projected].std(axis=0) / pcs[~projected].std(axis=0)
    np.testing.assert_allclose(spread, 1, atol=0.2)
