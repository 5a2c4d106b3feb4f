"""Relatives against PLINK 2 and known pedigrees on real data."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import index_fileset
from deepnull_gwas.cohort.adjusted_kinship import adjusted_pairs, fit_ancestry
from deepnull_gwas.cohort.families import unrelated_set
from deepnull_gwas.cohort.kinship import FIRST, classify, kinship_pairs, look_at_strangers
from deepnull_gwas.cohort.pca import principal_components
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.genotypes.chromosomes import class_codes
from deepnull_gwas.genotypes.counts import count_variants

pytestmark = pytest.mark.realdata


def autosomal(prefix, folder) -> np.ndarray:
    index_fileset(prefix, folder)
    variants = pd.read_parquet(folder / "variants.parquet")
    return np.flatnonzero(class_codes(variants["chromosome"], variants["position"], "GRCh37") == 0)


def people_of(prefix) -> pd.DataFrame:
    return pd.read_csv(f"{prefix}.fam", sep=r"\s+", header=None, dtype=str)


def as_pairs(table: pd.DataFrame, fam: pd.DataFrame) -> pd.DataFrame:
    place = dict(zip(zip(fam[0], fam[1]), range(len(fam))))
    sides = [[place[key] for key in zip(table[f"FID{s}"], table[f"IID{s}"])] for s in (1, 2)]
    table = table.assign(a=np.min(sides, axis=0), b=np.max(sides, axis=0))
    return table.sort_values(["a", "b"], ignore_index=True)


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize(("name", "number"), [("kg1126", 192), ("sampleA", 9655), ("hapmap279", 144)])
def test_the_same_pairs_as_plink2(real_data, tmp_path, name, number):
    prefix = real_data(name) / name
    index = autosomal(prefix, tmp_path)
    found = kinship_pairs(BedGenotypes([prefix]), index, np.arange(len(people_of(prefix))), 0.0442)
    command = ["plink2", "--bfile", str(prefix), "--make-king-table", "--king-table-filter", "0.0442"]
    subprocess.run([*command, "--threads", "1", "--out", str(tmp_path / "p")], check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "p.kin0", sep="\t", dtype={"#FID1": str, "IID1": str, "FID2": str, "IID2": str})
    table = as_pairs(table.rename(columns={"#FID1": "FID1"}), people_of(prefix))
    assert len(found) == number
    np.testing.assert_array_equal(found[["sample_index_1", "sample_index_2"]], table[["a", "b"]])
    np.testing.assert_array_equal(found["variants"], table["NSNP"])
    # PLINK prints six significant digits
    np.testing.assert_allclose(found["kinship"], table["KINSHIP"], atol=1e-6)
    np.testing.assert_allclose(found["ibs0"], table["IBS0"], atol=1e-6)
    np.testing.assert_allclose(found["het_het"], table["HETHET"], atol=1e-6)


def test_the_shipped_pairs_of_kg1126(real_data, tmp_path):
    folder = real_data("kg1126")
    table = pd.read_csv(folder / "kg1126_related.kin0", sep="\t", dtype={"#FID1": str, "IID1": str, "FID2": str})
    table = as_pairs(table.rename(columns={"#FID1": "FID1"}), people_of(folder / "kg1126"))
    index = autosomal(folder / "kg1126", tmp_path)
    found = kinship_pairs(BedGenotypes([folder / "kg1126"]), index, np.arange(1126), 0.0442)
    pairs = set(zip(found["sample_index_1"], found["sample_index_2"]))
    # that table was made from 3,688 of the variants, ours from all: the first-degree pairs must be in both
    close = table[table["KINSHIP"] > FIRST]
    assert len(close) == 9
    assert set(zip(close["a"], close["b"])) <= pairs


def test_trios_of_hapmap(real_data, tmp_path):
    prefix = real_data("hapmap279") / "hapmap279"
    fam = people_of(prefix)
    index = autosomal(prefix, tmp_path)
    fileset = BedGenotypes([prefix])
    found = kinship_pairs(fileset, index, np.arange(279), 0.0442)
    counts = count_variants(fileset, index, [np.ones(279, dtype=bool)])[0]
    p = (2 * counts[:, 0] + counts[:, 1]) / (2 * counts[:, :3].sum(axis=1))
    relation = classify(found["kinship"], found["ibs0"], float(np.nanmean(2 * p**2 * (1 - p) ** 2)))
    by_pair = dict(zip(zip(found["sample_index_1"], found["sample_index_2"]), relation))
    place = {(f, i): n for n, (f, i) in enumerate(zip(fam[0], fam[1]))}
    expected = {
        tuple(sorted((n, place[f, parent])))
        for n, (f, father, mother) in enumerate(zip(fam[0], fam[2], fam[3]))
        for parent in (father, mother)
        if (f, parent) in place
    }
    assert len(expected) == 119  # 60 children; a parent of one is not there
    assert {by_pair[pair] for pair in expected} == {"parent_child"}


def test_related_pairs_of_sample_a(real_data, tmp_path):
    prefix = real_data("sampleA") / "sampleA"
    found = kinship_pairs(BedGenotypes([prefix]), autosomal(prefix, tmp_path), np.arange(2000), 0.1)
    # 2,997 variants: below .1 most pairs are noise
    assert len(found) == 75


@pytest.mark.parametrize(("name", "low", "high"), [("kg1126", 0.015, 0.03), ("hapmap279", 0.01, 0.025)])
def test_ancestry_does_not_count_as_chance(real_data, tmp_path, name, low, high):
    prefix = real_data(name) / name
    people = np.arange(len(people_of(prefix)))
    # by the binomial distribution alone .018 and .013; between populations kinship differs by more than .1
    strangers = look_at_strangers(BedGenotypes([prefix]), autosomal(prefix, tmp_path), people)
    assert low < strangers.spread < high
    assert strangers.lowered > 0.1


def test_relatives_beyond_ancestry_in_twelve_populations(real_data, tmp_path):
    prefix = real_data("kg1126") / "kg1126"
    fileset, people, index = BedGenotypes([prefix]), np.arange(1126), autosomal(prefix, tmp_path)
    common = index[count_variants(fileset, index, [np.ones(1126, dtype=bool)])[0][:, :3].min(axis=1) > 10]
    pairs = kinship_pairs(fileset, common, people, 0.0442)
    fitted = unrelated_set(1126, pairs["sample_index_1"], pairs["sample_index_2"])
    pcs = principal_components(fileset, common, fitted, 10)["pcs"]
    found = adjusted_pairs(fileset, common, fit_ancestry(fileset, common, people, pcs, fitted), 0.0884)
    # nine of the first degree, four of the second are known; KING-robust alone has cousins that are none
    assert (len(found), (found["kinship_adjusted"] > FIRST).sum()) == (13, 9)
