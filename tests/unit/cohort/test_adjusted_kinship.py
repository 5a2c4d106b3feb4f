"""Kinship beyond ancestry: against its definition, and against the truth in admixed families; where people are of one
ancestry what KING-robust found is passed on byte by byte.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort, run_pruning, run_qc
from deepnull_gwas.cohort import kinship as kin
from deepnull_gwas.cohort.adjust import KinshipFiles, adjust_kinship
from deepnull_gwas.cohort.adjusted_kinship import adjusted_pairs, fit_ancestry
from deepnull_gwas.cohort.kinship import Search, classify
from deepnull_gwas.cohort.pca import PcaInputs, PcaOutputs, compute_pcs
from deepnull_gwas.cohort.relatives import estimate_kinship
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.tables import read_metadata

VARIANTS, FOUNDERS, COUPLES = 8000, 300, 40


def admixed(rng: np.random.Generator, fst: float) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Simulate people of two ancestries, and families across them.

    Of the first couples, one parent of each ancestry, there are two children and one of the mother with a third person
    of the other ancestry: dosages (variants x people, 1 % missing), true relation by pair.
    """
    p = rng.uniform(0.1, 0.9, (VARIANTS, 1))
    of_ancestry = np.clip(rng.beta(p * (1 - fst) / fst, (1 - p) * (1 - fst) / fst, (VARIANTS, 2)), 0.02, 0.98)
    ancestry = np.arange(FOUNDERS) % 2
    founders = (rng.random((2, VARIANTS, FOUNDERS)) < of_ancestry[:, ancestry]).astype(np.int8)

    def gamete(person: np.ndarray) -> np.ndarray:
        return np.where(rng.random(VARIANTS) < 0.5, person[0], person[1])

    people, relation = [founders[:, :, i] for i in range(FOUNDERS)], {}
    for c in range(COUPLES):
        mother, father, other = 2 * c, 2 * c + 1, 2 * COUPLES + 2 * c + 1
        children = [len(people) + i for i in range(3)]
        for child, with_whom in zip(children, (father, father, other), strict=True):
            people.append(np.stack([gamete(people[mother]), gamete(people[with_whom])]))
            relation |= {(mother, child): "parent_child", (with_whom, child): "parent_child"}
        relation |= {(children[0], children[1]): "sibling"}
        relation |= {(children[i], children[2]): "second_degree" for i in (0, 1)}
    # grandchildren: their mother's mother is of one ancestry, they are mostly of the other
    for c in range(0, COUPLES, 2):
        child, other = FOUNDERS + 3 * c, 4 * COUPLES + 2 * c + 1
        relation |= {(child, len(people)): "parent_child", (other, len(people)): "parent_child"}
        relation |= {(2 * c + side, len(people)): "second_degree" for side in (0, 1)}
        relation |= {(FOUNDERS + 3 * c + 1, len(people)): "second_degree"}
        relation |= {(FOUNDERS + 3 * c + 2, len(people)): "third_degree"}
        people.append(np.stack([gamete(people[child]), gamete(people[other])]))
    dosages = np.stack([person.sum(axis=0) for person in people], axis=1).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.01] = -1
    return dosages, relation


def structure(folder, dosages, threads: int = 1):
    """Run the steps up to `compute_pcs`."""
    folder = make_cohort(folder, dosages, position=np.arange(1, len(dosages) + 1) * 20_000)
    run_qc(folder)
    run_pruning(folder, r2=1.0)
    (folder / "king").mkdir()
    king = folder / "king/relatives.tsv", folder / "king/families.parquet"
    names = ("genotypes.json", "pruned.parquet", "qc_samples.parquet")
    estimate_kinship(*(folder / n for n in names), {"kinship": kin.THIRD}, *king, threads)
    compute_pcs(
        PcaInputs(*(folder / n for n in names), king[1], king[0]), {"pcs": 3}, 1,
        PcaOutputs(*(folder / n for n in ("pcs.parquet", "eigenvalues.tsv", "loadings.parquet"))),
    )  # fmt: skip
    return folder


def adjust(folder, out, threads: int = 1, **settings):
    out.mkdir()
    names = ("genotypes.json", "pruned.parquet", "qc_samples.parquet", "king/relatives.tsv", "king/families.parquet")
    files = KinshipFiles(*(folder / n for n in names), folder / "pcs.parquet")
    settings = {"kinship": kin.THIRD, "adjust_kinship": "auto"} | settings
    adjust_kinship(files, settings, out / "relatives.tsv", out / "families.parquet", threads)
    return pd.read_csv(out / "relatives.tsv", sep="\t")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    dosages, relation = admixed(np.random.default_rng(2), 0.12)
    return structure(tmp_path_factory.mktemp("admixed"), dosages), dosages, relation


def test_relatives_of_several_ancestries_are_found(cohort, tmp_path):
    folder, _, relation = cohort
    king = pd.read_csv(folder / "king/relatives.tsv", sep="\t")
    assert "kinship_adjusted" not in king
    found = adjust(folder, tmp_path / "one")
    named = dict(zip(zip(found["sample_index_1"], found["sample_index_2"]), found["relation"]))
    assert named == relation
    # KING-robust takes the children of parents of different ancestries for relatives
    assert len(king) > 5 * len(relation)
    expected = {"parent_child": 0.25, "sibling": 0.25, "second_degree": 0.125, "third_degree": 0.0625}
    for kind, kinship in expected.items():
        mine = found[[relation[pair] == kind for pair in named]]
        # of children of two ancestries it is a little low: alleles vary less within one than between both
        assert mine["kinship_adjusted"].mean() == pytest.approx(kinship, abs=0.025), kind
    # the same column as before, and the families by the new one
    assert list(found.columns) == [*king.columns, "kinship_adjusted"]
    families = pd.read_parquet(tmp_path / "one/families.parquet")
    assert families["relatives"].sum() == 2 * len(found)
    adjust(folder, tmp_path / "two", threads=2, memory_mb=0.5)
    for name in ("relatives.tsv", "families.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_equals_the_definition(cohort):
    folder, dosages, _ = cohort
    fileset, n = BedGenotypes([folder / "cohort"]), dosages.shape[1]
    index = np.arange(3, VARIANTS, 5)
    people = np.setdiff1d(np.arange(n), [5, 77])
    pcs = pd.read_parquet(folder / "pcs.parquet")[["PC1", "PC2"]].to_numpy()[people]
    fitted = people < FOUNDERS
    ancestry = fit_ancestry(fileset, index, people, pcs, fitted)
    g = dosages[np.ix_(index, people)].astype(float)
    expected = ancestry.effects @ ancestry.position.T
    x = np.column_stack([np.ones(len(people)), pcs])
    plain = np.where(g < 0, np.nan, g)
    mean = np.nanmean(plain[:, fitted], axis=1, keepdims=True)
    by_hand = np.linalg.lstsq(x[fitted], np.where(g < 0, mean, g)[:, fitted].T, rcond=None)[0]
    np.testing.assert_allclose(expected, (x @ by_hand).T, atol=2e-4)
    filled = np.where(g < 0, np.clip(np.floor(expected + 0.5), 0, 2), g)
    rest, p = filled - expected, np.clip(expected / 2, 0.01, 0.99)
    deviation = np.sqrt((p * (1 - p)).sum(axis=0))
    kinship = rest.T @ rest / (4 * np.multiply.outer(deviation, deviation))
    for threshold, search in ((-1.0, Search()), (0.03, Search(2, 0.01))):
        found = adjusted_pairs(fileset, index, ancestry, threshold, search)
        i, j = np.nonzero(np.triu(kinship > threshold, 1))
        np.testing.assert_array_equal(found["sample_index_1"], people[i])
        np.testing.assert_array_equal(found["sample_index_2"], people[j])
        np.testing.assert_allclose(found["kinship_adjusted"], kinship[i, j], atol=1e-9)
    # KING-robust beside it is of the calls that there are
    by_king = kin.kinship_pairs(fileset, index, people, -1)
    both = found.merge(by_king, on=["sample_index_1", "sample_index_2"])
    assert len(both) == len(found)
    for name in ("kinship", "variants", "ibs0", "het_het"):
        np.testing.assert_array_equal(both[f"{name}_x"], both[f"{name}_y"])


def test_one_ancestry_keeps_what_king_robust_found(tmp_path):
    dosages, relation = admixed(np.random.default_rng(4), 1e-4)
    folder = structure(tmp_path / "c", dosages[:, : FOUNDERS + 3 * COUPLES])
    about = read_metadata(folder / "king/families.parquet")
    assert about["lowered_by_ancestry"] == 0
    adjust(folder, tmp_path / "out")
    assert (tmp_path / "out/relatives.tsv").read_bytes() == (folder / "king/relatives.tsv").read_bytes()
    assert read_metadata(tmp_path / "out/families.parquet") == {"kinship": about["kinship"]}
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out/families.parquet"), pd.read_parquet(folder / "king/families.parquet")
    )
    # where it is asked for, it finds the same
    king = pd.read_csv(folder / "king/relatives.tsv", sep="\t")
    mine = adjust(folder, tmp_path / "yes", adjust_kinship=True)
    close = [set(zip(t["sample_index_1"], t["sample_index_2"])) for t in (king, mine)]
    assert close[0] == close[1] == {pair for pair in relation if max(pair) < FOUNDERS + 3 * COUPLES}
    assert (king["relation"] == mine["relation"]).mean() > 0.97


def test_few_variants_keep_what_king_robust_found(tmp_path, caplog):
    # strangers vary by some .03: of 380 people some would pass the bound of second-degree relatives
    dosages, _ = admixed(np.random.default_rng(5), 0.12)
    folder = structure(tmp_path / "c", dosages[:500])
    with caplog.at_level("INFO"):
        adjust(folder, tmp_path / "out")
    assert "strangers cannot be told from relatives below" in caplog.text
    assert (tmp_path / "out/relatives.tsv").read_bytes() == (folder / "king/relatives.tsv").read_bytes()
    assert "kinship_adjusted" in adjust(folder, tmp_path / "yes", adjust_kinship=True)


def test_opposite_homozygotes_are_judged_pair_by_pair():
    named = classify(np.array([0.25, 0.25, 0.1]), np.array([0.005, 0.02, 0.0]), np.array([0.1, 0.08, np.nan]))
    assert named.tolist() == ["parent_child", "sibling", "second_degree"]
