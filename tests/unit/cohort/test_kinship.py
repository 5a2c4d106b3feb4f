"""Kinship against the formula in plain numpy; classes, families and unrelated people of a simulated pedigree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort, run_qc
from deepnull_gwas.cohort import kinship as kin
from deepnull_gwas.cohort.families import family_clusters, unrelated_set
from deepnull_gwas.cohort.relatives import estimate_kinship
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.tables import read_metadata


def plain(dosages: np.ndarray) -> np.ndarray:
    """KING-robust kinship of all pairs, from the definition."""
    n = dosages.shape[1]
    out = np.full((n, n), np.nan)
    for i in range(n):
        for j in range(n):
            a, b = dosages[:, i], dosages[:, j]
            both = (a >= 0) & (b >= 0)
            a, b = a[both], b[both]
            het = min((a == 1).sum(), (b == 1).sum())
            out[i, j] = 0.5 - ((a - b).astype(int) ** 2).sum() / (4 * het)
    return out


def child(rng: np.random.Generator, mother: np.ndarray, father: np.ndarray) -> np.ndarray:
    """Haplotypes (variants x 2) of a child, variants independent."""
    rows = np.arange(len(mother))
    return np.stack([mother[rows, rng.integers(0, 2, len(rows))], father[rows, rng.integers(0, 2, len(rows))]], axis=1)


def pedigree(variants: int = 6000) -> tuple[np.ndarray, dict[str, tuple[int, int]]]:
    """40 founders; of 0 and 1 two children (40, 41); a copy of 2 (42); grandchild of 0 and 1 through 40 and 3 (43)."""
    rng = np.random.default_rng(7)
    p = rng.uniform(0.1, 0.5, variants)
    people = [(rng.random((variants, 2)) < p[:, None]).astype(np.int8) for _ in range(40)]
    people.append(child(rng, people[0], people[1]))
    people.append(child(rng, people[0], people[1]))
    people.append(people[2])
    people.append(child(rng, people[40], people[3]))
    dosages = np.stack([h.sum(axis=1) for h in people], axis=1).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.01] = -1
    dosages[rng.random(variants) < 0.3, 42] = -1  # the copy has fewer calls
    relations = {
        "parent_child": {(0, 40), (1, 40), (0, 41), (1, 41), (40, 43), (3, 43)},
        "sibling": {(40, 41)},
        "duplicate": {(2, 42)},
        "second_degree": {(0, 43), (1, 43), (41, 43)},
    }
    return dosages, relations


@pytest.mark.parametrize("memory_mb", [2000, 0.001])
@pytest.mark.parametrize("threads", [1, 2])
def test_equals_the_definition(tmp_path, memory_mb, threads, monkeypatch):
    monkeypatch.setattr(kin, "_WORDS", 3)
    rng = np.random.default_rng(1)
    dosages = rng.choice(np.array([0, 1, 2, -1], dtype=np.int8), (1000, 150), p=[0.35, 0.4, 0.2, 0.05])
    dosages[:, 140] = dosages[:, 3]
    fileset = BedGenotypes([make_cohort(tmp_path, dosages) / "cohort"])
    people = np.flatnonzero(rng.random(150) < 0.9)
    people = np.union1d(people, [3, 140])
    expected = plain(dosages[:, people])
    for threshold in (-1.0, 0.02, 0.3):
        found = kin.kinship_pairs(fileset, np.arange(1000), people, threshold, threads, memory_mb)
        i, j = np.nonzero(np.triu(expected > threshold, 1))
        np.testing.assert_array_equal(found["sample_index_1"], people[i])
        np.testing.assert_array_equal(found["sample_index_2"], people[j])
        np.testing.assert_allclose(found["kinship"], expected[i, j], rtol=1e-12, atol=1e-12)
    assert found[["sample_index_1", "sample_index_2"]].to_numpy().tolist() == [[3, 140]]


def test_subset_of_variants(tmp_path):
    dosages, _ = pedigree(500)
    fileset = BedGenotypes([make_cohort(tmp_path, dosages) / "cohort"])
    index = np.arange(3, 500, 7)
    found = kin.kinship_pairs(fileset, index, np.arange(44), -1)
    expected = plain(dosages[index])
    np.testing.assert_allclose(found["kinship"], expected[found["sample_index_1"], found["sample_index_2"]], rtol=1e-12)


def run(folder, **settings):
    variants = folder / "variants.parquet"
    out = folder / "relatives.tsv", folder / "families.parquet"
    others = {k: settings.pop(k) for k in ("pairs",) if k in settings}
    estimate_kinship(
        folder / "genotypes.json", variants, folder / "qc_samples.parquet", {"kinship": kin.THIRD, **settings}, *out,
        **others
    )  # fmt: skip
    return pd.read_csv(out[0], sep="\t", dtype={"fid_1": str}), pd.read_parquet(out[1])


def test_pedigree(tmp_path):
    dosages, relations = pedigree()
    folder = make_cohort(tmp_path, dosages)
    run_qc(folder)
    found, families = run(folder)
    for relation, pairs in relations.items():
        rows = found[found["relation"] == relation]
        assert set(zip(rows["sample_index_1"], rows["sample_index_2"])) == pairs, relation
    assert len(found) == 11
    clusters = families.groupby("family")["sample_index"].apply(set)
    assert {0, 1, 3, 40, 41, 43} in clusters.tolist()
    assert {2, 42} in clusters.tolist()
    assert families["family"].nunique() == 36 + 2
    assert families.loc[0, ["family_size", "relatives"]].tolist() == [6, 3]
    # the copy with fewer calls goes
    assert families.loc[families["duplicate_of"] != "", ["iid", "duplicate_of"]].to_numpy().tolist() == [["i42", "i2"]]
    unrelated = set(families.loc[families["unrelated"], "sample_index"])
    assert not any(set(pair) <= unrelated for pair in zip(found["sample_index_1"], found["sample_index_2"]))
    # 0, 1 and 3 are the largest choice in their family
    assert len(unrelated) == 36 + 3 + 1


def test_unrelated_set_is_maximal():
    rng = np.random.default_rng(3)
    for _ in range(50):
        n, m = 30, int(rng.integers(0, 60))
        pairs = rng.integers(0, n, (m, 2))
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        keep = unrelated_set(n, pairs[:, 0], pairs[:, 1], rng.integers(0, 2, n))
        for i, j in pairs:
            assert not (keep[i] and keep[j])
        for i in np.flatnonzero(~keep):
            assert any(keep[b if a == i else a] for a, b in pairs if i in (a, b))


def test_star_keeps_its_rays():
    keep = unrelated_set(6, np.zeros(5, dtype=int), np.arange(1, 6))
    np.testing.assert_array_equal(keep, [False, True, True, True, True, True])


def test_clusters():
    np.testing.assert_array_equal(family_clusters(6, [4, 1, 5], [5, 3, 3]), [0, 1, 2, 1, 1, 1])


def test_pairs_from_a_file(tmp_path):
    dosages, _ = pedigree(200)
    folder = make_cohort(tmp_path, dosages)
    run_qc(folder)
    pairs = tmp_path / "pairs.kin0"
    pairs.write_text(
        "#FID1\tIID1\tFID2\tIID2\tNSNP\tHETHET\tIBS0\tKINSHIP\n"
        "f5\ti5\tf4\ti4\t9\t.1\t.01\t.26\n"
        "f5\ti5\tx\tx\t9\t.1\t.01\t.3\n"
    )
    found, families = run(folder, pairs=pairs)
    assert found[["iid_1", "iid_2", "relation"]].to_numpy().tolist() == [["i4", "i5", "first_degree"]]
    assert families.loc[4, "family"] == families.loc[5, "family"]
    pairs.write_text("IID1 IID2 KINSHIP\na b .3\n")
    with pytest.raises(InputError, match=r"none of its 1 pairs.*names a.*people are i0, i1"):
        run(folder, pairs=pairs)
    pairs.write_text("A B\n1 2\n")
    with pytest.raises(InputError, match="expected IID1, IID2 and KINSHIP"):
        run(folder, pairs=pairs)


def test_few_variants_are_warned_of(tmp_path, caplog):
    dosages, _ = pedigree(300)
    folder = make_cohort(tmp_path, dosages)
    run_qc(folder)
    run(folder)
    assert "300 variants are too few for a threshold of 0.0442" in caplog.text


def test_the_threshold_is_raised_where_strangers_would_pass_it(tmp_path, caplog):
    rng = np.random.default_rng(5)
    people = 120
    dosages = rng.binomial(2, rng.uniform(0.1, 0.5, 150)[:, None], (150, people)).astype(np.int8)
    dosages[:, 7] = dosages[:, 3]
    folder = make_cohort(tmp_path, dosages)
    run_qc(folder, {"maf": 0, "hwe_p": 0})
    found, families = run(folder)
    assert "too few for a threshold of 0.0442" in caplog.text
    # with 150 variants, kinship of strangers has a standard deviation of about .1: only the duplicate stands out
    assert found[["sample_index_1", "sample_index_2"]].to_numpy().tolist() == [[3, 7]]
    assert read_metadata(folder / "families.parquet")["kinship"] > 0.2
    assert families["unrelated"].sum() == people - 1
