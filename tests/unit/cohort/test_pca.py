"""Principal components against a dense singular value decomposition, and what must not change them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort, run_pruning, run_qc
from deepnull_gwas.cohort import pca, relationship
from deepnull_gwas.cohort.projection import project_pcs
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes import standardised
from deepnull_gwas.genotypes.bed import BedGenotypes


def structured(rng: np.random.Generator, variants: int, people: int, groups: int = 4, fst: float = 0.05) -> np.ndarray:
    """Dosages of several populations (Balding-Nichols), 1 % missing."""
    p = rng.uniform(0.1, 0.9, variants)
    a = p * (1 - fst) / fst
    b = (1 - p) * (1 - fst) / fst
    frequencies = rng.beta(a[:, None], b[:, None], (variants, groups))
    dosages = rng.binomial(2, frequencies[:, np.arange(people) % groups]).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.01] = -1
    return dosages


def dense(dosages: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reference: eigenvalues, vectors, loadings and standardised dosages in float64."""
    g = np.where(dosages >= 0, dosages, np.nan).astype(float)
    p = np.nanmean(g, axis=1, keepdims=True) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.nan_to_num((g - 2 * p) / np.sqrt(2 * p * (1 - p)))
    u, s, vt = np.linalg.svd(z, full_matrices=False)
    used = int(((p > 0) & (p < 1)).sum())
    return s**2 / used, vt.T, u, z


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    rng = np.random.default_rng(8)
    dosages = structured(rng, 1500, 203)
    dosages[10] = 0  # monomorphic: counts for nothing
    folder = make_cohort(tmp_path_factory.mktemp("pca"), dosages)
    return dosages, BedGenotypes([folder / "cohort"])


@pytest.mark.parametrize("exact_people", [5000, 0])
@pytest.mark.parametrize("panel", [8192, 24])
def test_equals_the_dense_decomposition(cohort, exact_people, panel, monkeypatch):
    monkeypatch.setattr(standardised, "PANEL", panel)
    dosages, fileset = cohort
    everybody = np.ones(203, dtype=bool)
    found = pca.principal_components(
        fileset, np.arange(1500), everybody, 3, pca.Effort(1, exact_people=exact_people, tolerance=1e-3)
    )
    values, vectors, loadings, z = dense(dosages)
    # 3 components separate 4 groups; float32 products and the stopping rule (1e-3 of the gap) leave less than this
    np.testing.assert_allclose(found["eigenvalues"], values[:3], rtol=1e-5)
    np.testing.assert_allclose(found["variance_explained"], values[:3] / values.sum(), rtol=1e-5)
    for k in range(3):
        assert abs(found["pcs"][:, k] @ vectors[:, k]) > 1 - 1e-6
        assert abs(found["loadings"][:, k] @ loadings[:, k]) > 1 - 1e-6
        assert found["loadings"][np.abs(found["loadings"][:, k]).argmax(), k] > 0
    np.testing.assert_allclose(z.T @ found["loadings"] / np.sqrt(values[:3] * 1499), found["pcs"], atol=1e-3)


def test_flat_spectrum_converges_to_the_subspace(tmp_path):
    """Components beyond the structure lie in the bulk, where eigenvalues almost touch."""
    rng = np.random.default_rng(2)
    dosages = structured(rng, 2000, 400, groups=3)
    fileset = BedGenotypes([make_cohort(tmp_path, dosages) / "cohort"])
    everybody = np.ones(400, dtype=bool)
    exact = pca.principal_components(fileset, np.arange(2000), everybody, 10)
    krylov = pca.principal_components(fileset, np.arange(2000), everybody, 10, pca.Effort(3, exact_people=0))
    canonical = np.linalg.svd(exact["pcs"].T @ krylov["pcs"], compute_uv=False)
    assert canonical.min() > 0.999


@pytest.mark.parametrize("exact_people", [5000, 0])
def test_same_bytes_for_any_number_of_threads(cohort, exact_people, monkeypatch):
    _, fileset = cohort
    for module in (relationship, standardised):
        monkeypatch.setattr(module, "BLOCK", 50)
    monkeypatch.setattr(standardised, "PANEL", 64)
    monkeypatch.setattr(relationship, "TILE", 64)
    runs = [
        pca.principal_components(
            fileset, np.arange(1500), np.ones(203, dtype=bool), 3, pca.Effort(5, threads, exact_people)
        )
        for threads in (1, 2, 3)
    ]
    for other in runs[1:]:
        for key in ("pcs", "eigenvalues", "loadings"):
            assert np.asarray(runs[0][key]).tobytes() == np.asarray(other[key]).tobytes()


@pytest.mark.parametrize("exact_people", [5000, 0])
def test_people_outside_the_fit_are_projected(cohort, tmp_path, exact_people):
    dosages, fileset = cohort
    fit = np.arange(203) % 5 > 0
    found = pca.principal_components(
        fileset, np.arange(1500), fit, 3, pca.Effort(1, exact_people=exact_people, tolerance=1e-3)
    )
    alone = BedGenotypes([make_cohort(tmp_path, dosages[:, fit]) / "cohort"])
    expected = pca.principal_components(alone, np.arange(1500), np.ones(fit.sum(), dtype=bool), 3, pca.Effort(1))
    np.testing.assert_allclose(found["pcs"][fit], expected["pcs"], atol=2e-4)
    np.testing.assert_allclose(found["eigenvalues"], expected["eigenvalues"], rtol=1e-5)
    # the projected lie in their own group's place, drawn a little to the centre
    group = np.arange(203) % 4
    for g in range(4):
        inside = found["pcs"][fit & (group == g)].mean(axis=0)
        outside = found["pcs"][~fit & (group == g)].mean(axis=0)
        assert inside @ outside / (np.linalg.norm(inside) * np.linalg.norm(outside)) > 0.95


def steps(folder, k: int, seed: int = 1, families=None, **settings):
    out = [folder / "pcs.parquet", folder / "eigenvalues.tsv", folder / "loadings.parquet"]
    tables = [folder / "genotypes.json", folder / "pruned.parquet", folder / "qc_samples.parquet"]
    pca.compute_pcs(pca.PcaInputs(*tables, families), {"pcs": k, **settings}, seed, pca.PcaOutputs(*out))
    return pd.read_parquet(out[0]), pd.read_csv(out[1], sep="\t"), pd.read_parquet(out[2])


def test_thick_restart_finds_the_same(cohort, caplog):
    _, fileset = cohort
    everybody = np.ones(203, dtype=bool)
    exact = pca.principal_components(fileset, np.arange(1500), everybody, 6)
    with caplog.at_level("INFO"):
        # memory for the least basis: it restarts every other pass
        found = pca.principal_components(
            fileset, np.arange(1500), everybody, 6, pca.Effort(exact_people=0, memory_mb=0.01)
        )
    assert max(int(m.split("basis of ")[1].split(",")[0]) for m in caplog.messages if "basis of" in m) < 60
    assert np.linalg.svd(exact["pcs"].T @ found["pcs"], compute_uv=False).min() > 0.9999


def test_tables(tmp_path):
    rng = np.random.default_rng(4)
    dosages = structured(rng, 300, 80)
    dosages[:150, 9] = -1
    folder = make_cohort(tmp_path, dosages)
    run_qc(folder, {"sample_call_rate": 0.9})
    run_pruning(folder)
    pcs, values, loadings = steps(folder, 4)
    assert pcs.columns.tolist() == ["sample_index", "fid", "iid", "PC1", "PC2", "PC3", "PC4", "fitted", "outlier"]
    assert pcs["sample_index"].tolist() == [i for i in range(80) if i != 9]
    np.testing.assert_allclose((pcs.filter(like="PC") ** 2).sum(), 1, rtol=1e-10)
    assert values["component"].tolist() == [1, 2, 3, 4]
    assert values["eigenvalue"].is_monotonic_decreasing
    assert loadings["id"].iloc[0].startswith("v")

    pcs, values, loadings = steps(folder, 0)
    assert pcs.columns.tolist() == ["sample_index", "fid", "iid", "fitted", "outlier"]
    assert len(values) == 0
    assert "PC1" not in loadings

    with pytest.raises(
        InputError, match=r"100 principal components need more than 100 people.*79 people.*structure\.pcs"
    ):
        steps(folder, 100)


def test_relatives_are_projected_and_outliers_flagged(tmp_path):
    rng = np.random.default_rng(6)
    dosages = structured(rng, 800, 120, groups=2)
    # a family of twenty with one pair of parents would make a component of its own
    a, b = (rng.random((800, 2)) < 0.5 for _ in range(2))
    rows = np.arange(800)
    for child in range(100, 120):
        dosages[:, child] = a[rows, rng.integers(0, 2, 800)].astype(np.int8) + b[rows, rng.integers(0, 2, 800)]
    folder = make_cohort(tmp_path, dosages)
    run_qc(folder)
    run_pruning(folder)
    families = pd.DataFrame({"sample_index": np.arange(120), "unrelated": np.arange(120) <= 100})
    families.to_parquet(tmp_path / "families.parquet")
    _, alone, _ = steps(folder, 3)
    pcs, values, _ = steps(folder, 3, families=tmp_path / "families.parquet", outlier_sd=5)
    assert pcs["fitted"].sum() == 101
    assert alone["eigenvalue"][1] > 1.5 * values["eigenvalue"][1]
    assert len(pcs) == 120
    first = pcs["PC1"].to_numpy()[:100]
    # the two populations do not overlap
    assert first[::2].min() > first[1::2].max() or first[::2].max() < first[1::2].min()
    assert (pcs.loc[:99, "outlier"] == 0).all()
    np.testing.assert_array_equal(
        pca.outliers(np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [0, 99]]), np.arange(5) < 4, 3), [0, 0, 0, 0, 2]
    )


def test_projection_on_given_loadings(tmp_path):
    rng = np.random.default_rng(9)
    dosages = structured(rng, 900, 160, groups=3)
    reference = make_cohort(tmp_path / "reference", dosages[:, :100])
    run_qc(reference)
    run_pruning(reference)
    pcs, _, loadings = steps(reference, 2)
    # the same people again, with half of the alleles the other way round and a tenth of the variants absent
    again = dosages[:, 20:].copy()
    turned = rng.random(900) < 0.5
    again[turned] = np.where(again[turned] < 0, -1, 2 - again[turned])
    folder = make_cohort(tmp_path / "cohort", again)
    variants = pd.read_parquet(folder / "variants.parquet")
    variants.loc[turned, ["effect_allele", "other_allele"]] = ["C", "A"]
    variants.loc[rng.random(900) < 0.1, "position"] += 7
    variants.to_parquet(folder / "variants.parquet")
    run_qc(folder)
    tables = [folder / n for n in ("genotypes.json", "variants.parquet", "qc_samples.parquet")]
    project_pcs(*tables, reference / "loadings.parquet", folder / "projected.parquet")
    found = pd.read_parquet(folder / "projected.parquet")
    mine, theirs = found[["PC1", "PC2"]].to_numpy()[:80], pcs[["PC1", "PC2"]].to_numpy()[20:]
    for k in range(2):
        assert np.corrcoef(mine[:, k], theirs[:, k])[0, 1] > 0.995
        assert np.polyfit(theirs[:, k], mine[:, k], 1)[0] == pytest.approx(1, abs=0.05)
    # as the rule does it: the tables of eigenvalues and loadings are those that were given
    out = [folder / name for name in ("p.parquet", "e.tsv", "l.parquet")]
    given = {"variants": tables[1], "loadings": reference / "loadings.parquet"}
    inputs = pca.PcaInputs(tables[0], folder / "none.parquet", tables[2], **given)
    pca.compute_or_project_pcs(inputs, {"pcs": 2}, 1, pca.PcaOutputs(*out))
    pd.testing.assert_frame_equal(pd.read_parquet(out[0]), found)
    eigenvalues = pd.read_csv(out[1], sep="\t")
    expected = pd.read_csv(reference / "eigenvalues.tsv", sep="\t")["eigenvalue"]
    np.testing.assert_allclose(eigenvalues["eigenvalue"], expected, rtol=1e-5)  # six printed digits
    assert len(pd.read_parquet(out[2])) == len(loadings)
    # the others lie with their group
    group = np.arange(20, 160) % 3
    for g in range(3):
        known, new = found[(group == g) & (np.arange(140) < 80)], found[(group == g) & (np.arange(140) >= 80)]
        a, b = known[["PC1", "PC2"]].mean(), new[["PC1", "PC2"]].mean()
        assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.95

    # alleles in small letters are the same
    small = {name: loadings[name].str.lower() for name in ("effect_allele", "other_allele")}
    loadings.assign(**small).to_csv(tmp_path / "loadings.tsv", sep="\t", index=False)
    project_pcs(*tables, tmp_path / "loadings.tsv", folder / "raw.parquet")
    raw = pd.read_parquet(folder / "raw.parquet")
    assert np.corrcoef(raw["PC1"], found["PC1"])[0, 1] == pytest.approx(1)

    loadings.assign(position=loadings["position"] + 3).to_csv(tmp_path / "shifted.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match=r"only 0 of its .* same genome build"):
        project_pcs(*tables, tmp_path / "shifted.tsv", folder / "none.parquet")
    loadings.drop(columns="position").to_csv(tmp_path / "short.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match="no column position"):
        project_pcs(*tables, tmp_path / "short.tsv", folder / "none.parquet")


def test_too_few_people_for_the_components_names_the_filters(tmp_path):
    rng = np.random.default_rng(5)
    dosages = rng.binomial(2, 0.3, (200, 30)).astype(np.int8)
    dosages[:80, 6:] = -1
    dosages[:, 4] = -1
    make_cohort(tmp_path, dosages)
    run_qc(tmp_path, {"sample_call_rate": 0.9})
    run_pruning(tmp_path)
    with pytest.raises(InputError, match=r"5 people and .* Of 30 people, these filters removed: sample_call_rate 25"):
        steps(tmp_path, 5)
