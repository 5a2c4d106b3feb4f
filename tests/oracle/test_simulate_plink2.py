"""PLINK 2 reads a simulated cohort and finds in it what the simulation says."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import decode_int8
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.simulate.genotypes import simulate_genotypes
from deepnull_gwas.simulate.people import draw_people
from deepnull_gwas.simulate.phenotypes import simulate_phenotypes

pytestmark = pytest.mark.oracle("plink2")

SETTINGS = {
    "people": 400,
    "variants": 6000,
    "chromosomes": [*range(1, 9), "X"],
    "sibling_pairs": 12,
    "parent_child_pairs": 12,
    "missing_rate": 0.01,
    "phenotypes": {
        "trait": {"trait": "quantitative", "heritability": 0.6, "causal_variants": 6, "covariate_effects": "none"}
    },
}
SEED = 3


def plink2(*arguments) -> None:
    done = subprocess.run(
        ["plink2", "--threads", "1", "--memory", "1000", *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr + done.stdout


def table(path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype={"#CHROM": str, "#FID": str, "IID": str})


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plink2")
    simulate_genotypes(SETTINGS, SEED, folder / "g")
    simulate_phenotypes(folder / "g", SETTINGS, SEED, folder / "samples.tsv", folder / "truth.tsv")
    fileset = BedGenotypes([folder / "g"])
    dosages = decode_int8(fileset.calls_between(0, fileset.n_variants), fileset.n_samples)
    return folder, dosages, draw_people(SETTINGS, SEED)


def test_frequencies_and_missing_calls_agree(cohort):
    folder, dosages, people = cohort
    # children with a parent in the file are no founders for PLINK
    plink2("--bfile", folder / "g", "--freq", "--nonfounders", "--missing", "--out", folder / "o")
    x = np.array([line.startswith("X\t") for line in (folder / "g.bim").read_text().splitlines()])
    man = people.fam["sex"].to_numpy() == 1
    weight = np.where(x[:, None] & man, 1, 2)  # a man's X counts once
    called = dosages >= 0
    copies = np.where(called, dosages * weight / 2, 0).sum(axis=1)
    expected = copies / np.where(called, weight, 0).sum(axis=1)
    frequency = table(folder / "o.afreq")
    bim = pd.read_csv(folder / "g.bim", sep="\t", header=None, dtype=str)
    assert (frequency["ALT"] == bim[4]).all()  # A1
    np.testing.assert_allclose(frequency["ALT_FREQS"], expected, atol=5e-6)  # six digits printed
    by_variant, by_person = table(folder / "o.vmiss"), table(folder / "o.smiss")
    assert (by_variant["MISSING_CT"] == (~called).sum(axis=1)).all()
    assert (by_person["IID"] == people.fam["iid"]).all()
    assert (by_person["MISSING_CT"] == (~called).sum(axis=0)).all()


def test_kinship_finds_the_pairs(cohort):
    folder, _, people = cohort
    plink2(
        *("--bfile", folder / "g", "--autosome", "--make-king-table", "counts", "--king-table-filter", 0.15),
        *("--out", folder / "king"),
    )
    found = table(folder / "king.kin0")
    iid = people.fam["iid"].to_numpy()
    pairs = {frozenset(p) for p in zip(found.filter(regex="IID1").iloc[:, 0], found["IID2"])}
    parents = {frozenset(iid[p]) for p in people.parent_child}
    siblings = {frozenset(iid[p]) for p in people.siblings}
    assert parents <= pairs
    # 40 Mb: the genome that two siblings share varies widely around a half, so a few fall below the bound
    assert len(siblings & pairs) >= 0.75 * len(siblings)
    assert len(pairs - parents - siblings) <= 0.0005 * 400 * 399 / 2
    kinship = {
        frozenset((a, b)): k for a, b, k in zip(found.filter(regex="IID1").iloc[:, 0], found["IID2"], found["KINSHIP"])
    }
    assert np.mean([kinship[p] for p in parents]) == pytest.approx(0.25, abs=0.03)


def test_linear_regression_finds_the_planted_effects(cohort):
    folder, _, _ = cohort
    truth = pd.read_csv(folder / "truth.tsv", sep="\t", dtype={"chromosome": str}).set_index("id")
    (folder / "ids").write_text("\n".join(truth.index) + "\n")
    plink2(
        *("--bfile", folder / "g", "--extract", folder / "ids", "--pheno", folder / "samples.tsv"),
        *("--pheno-name", "trait", "--xchr-model", 2),
        *("--glm", "allow-no-covars", "omit-ref", "--out", folder / "o"),
    )
    found = table(folder / "o.trait.glm.linear")
    found = found[found["TEST"] == "ADD"].set_index("ID").loc[truth.index]  # on X plink2 adds sex
    assert (found["A1"] == truth["effect_allele"]).all()
    assert (np.sign(found["BETA"]) == np.sign(truth["beta"])).all()
    # the other causal variants and ancestry shift single-variant estimates a little beyond their standard errors
    assert (np.abs(found["BETA"] - truth["beta"]) < 5 * found["SE"]).all()


def test_mendelian_errors_are_none_before_calls_fail(cohort, tmp_path):
    people = cohort[2]
    simulate_genotypes({**SETTINGS, "missing_rate": 0}, SEED, tmp_path / "clean")
    plink2(
        "--bfile", tmp_path / "clean", "--autosome", "--make-king-table", "counts", "rel-check", "--out", tmp_path / "k"
    )
    found = table(tmp_path / "k.kin0")
    iid = people.fam["iid"].to_numpy()
    parents = {frozenset(iid[p]) for p in people.parent_child}
    of_parents = [
        ibs0 for a, b, ibs0 in zip(found["IID1"], found["IID2"], found["IBS0"]) if frozenset((a, b)) in parents
    ]
    assert len(of_parents) == len(parents)
    assert max(of_parents) == 0
