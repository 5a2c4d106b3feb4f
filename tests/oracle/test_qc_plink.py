"""Counts, call rates, frequencies and Hardy-Weinberg against PLINK on real data."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import index_fileset, run_qc
from deepnull_gwas.cohort.hwe import hwe_exact
from deepnull_gwas.cohort.missingness import missingness_difference
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.genotypes.counts import count_variants

pytestmark = pytest.mark.realdata


def plink2(prefix, out, *options: str) -> None:
    command = ["plink2", "--bfile", str(prefix), *options, "--out", str(out), "--threads", "1", "--memory", "1000"]
    subprocess.run(command, check=True, capture_output=True)


def test_hwe_equals_plink19_to_the_printed_digits(real_data):
    table = pd.read_csv(real_data("hgdp_euro") / "H938_Euro.LDprune.hwe", sep=r"\s+", float_precision="round_trip")
    counts = table["GENO"].str.split("/", expand=True).astype(int)
    p = hwe_exact(counts[1], counts[0], counts[2])
    printed = np.array([float(f"{x:.4g}") for x in p])
    np.testing.assert_array_equal(printed, table["P"])


@pytest.mark.oracle("plink2")
def test_missing_and_frequencies_equal_plink2_on_sample_a(real_data, tmp_path):
    prefix = real_data("sampleA") / "sampleA"
    variants, people, _ = run_qc(index_fileset(prefix, tmp_path))
    plink2(
        prefix, tmp_path / "p", "--nonfounders", "--freq", "counts",
        "--missing", "vcols=chrom,nmiss,nmisshh,hethap,nobs,fmisshh", "scols=maybefid,nmiss,nobs,fmiss",
    )  # fmt: skip
    missing = pd.read_csv(tmp_path / "p.vmiss", sep="\t")
    np.testing.assert_array_equal(variants["missing"], missing["MISSING_AND_HETHAP_CT"])
    np.testing.assert_array_equal(variants["het_haploid"], missing["HETHAP_CT"].fillna(0))
    assert variants["het_haploid"].sum() == 119
    # PLINK prints six significant digits
    np.testing.assert_allclose(1 - variants["call_rate"], missing["F_MISS_AND_HETHAP"], rtol=1e-5, atol=1e-12)

    # PLINK's --freq counts a heterozygous haploid call as half a copy; we count it as missing, which is what PLINK
    # itself makes of it on request
    plink2(prefix, tmp_path / "clean", "--make-bed", "--set-hh-missing")
    plink2(tmp_path / "clean", tmp_path / "clean", "--nonfounders", "--freq", "counts")
    raw, count = (pd.read_csv(tmp_path / f"{name}.acount", sep="\t") for name in ("p", "clean"))
    differs = (raw["ALT_CTS"] != count["ALT_CTS"]) | (raw["OBS_CT"] != count["OBS_CT"])
    np.testing.assert_array_equal(differs, variants["het_haploid"] > 0)
    np.testing.assert_allclose(variants["effect_allele_frequency"], count["ALT_CTS"] / count["OBS_CT"], rtol=1e-12)
    np.testing.assert_array_equal(variants["mac"], np.minimum(count["ALT_CTS"], count["OBS_CT"] - count["ALT_CTS"]))

    plink2(prefix, tmp_path / "auto", "--autosome", "--missing", "sample-only")
    by_person = pd.read_csv(tmp_path / "auto.smiss", sep="\t")
    np.testing.assert_array_equal(people["missing"], by_person["MISSING_CT"])
    np.testing.assert_allclose(1 - people["call_rate"], by_person["F_MISS"], rtol=1e-5, atol=1e-12)


@pytest.mark.oracle("plink1.9")
def test_hwe_on_x_uses_females_as_plink19(real_data, tmp_path):
    prefix = real_data("kg1126") / "kg1126"
    variants, _, _ = run_qc(index_fileset(prefix, tmp_path))
    command = ["plink1.9", "--bfile", str(prefix), "--hardy", "--nonfounders", "--out", str(tmp_path / "p")]
    subprocess.run([*command, "--threads", "1", "--memory", "1000"], check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "p.hwe", sep=r"\s+", float_precision="round_trip")
    table = table[table["TEST"].isin(["ALL", "ALL(NP)"])]
    chromosomes = pd.read_parquet(tmp_path / "variants.parquet")
    ours = pd.concat([chromosomes, variants.drop(columns="index")], axis=1).set_index("id")
    assert (ours["chromosome"] == "X").sum() > 900
    p = ours.loc[table["SNP"], "hwe_p"].to_numpy()
    np.testing.assert_array_equal([float(f"{x:.4g}") for x in p], table["P"])


@pytest.mark.oracle("plink1.9")
def test_f_and_sex_equal_plink19_on_sample_a(real_data, tmp_path):
    prefix = real_data("sampleA") / "sampleA"
    settings = {"sex_check": "exclude", "sex_f_female": 0.2, "sex_f_male": 0.8}
    _, people, _ = run_qc(index_fileset(prefix, tmp_path), settings)
    command = ["plink1.9", "--bfile", str(prefix), "--nonfounders", "--threads", "1", "--out", str(tmp_path / "p")]
    subprocess.run([*command, "--check-sex"], check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "p.sexcheck", sep=r"\s+")
    np.testing.assert_allclose(people["x_f"], table["F"], atol=6e-5)  # four printed digits
    np.testing.assert_array_equal(people["inferred_sex"], table["SNPSEX"])
    problem = (table["STATUS"] == "PROBLEM").to_numpy()
    assert problem.sum() == 66
    np.testing.assert_array_equal(~people["passed"], problem)
    assert (people.loc[problem, "reason"].str.startswith("recorded sex female, sex by X unclear")).all()

    subprocess.run([*command, "--het"], check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "p.het", sep=r"\s+")
    # PLINK applies a correction of 2n / (2n - 1) to the expected heterozygosity, n being 2,000 here
    np.testing.assert_allclose(people["heterozygosity_f"], table["F"], atol=4e-4)


@pytest.mark.oracle("plink1.9")
def test_missingness_in_cases_and_controls_equals_plink19(real_data, tmp_path):
    prefix = real_data("sampleA") / "sampleA"
    pheno = pd.read_csv(real_data("sampleA") / "sample.phe", sep=r"\s+")
    status = pheno.iloc[:, -1].to_numpy()
    assert set(status) == {1, 2}
    index_fileset(prefix, tmp_path)
    fileset = BedGenotypes([prefix])
    counts = count_variants(fileset, np.arange(fileset.n_variants), [status == 2, status == 1])
    p = missingness_difference(
        counts[0, :, :3].sum(axis=1), counts[0, :, 3], counts[1, :, :3].sum(axis=1), counts[1, :, 3]
    )
    command = ["plink1.9", "--bfile", str(prefix), "--pheno", str(real_data("sampleA") / "sample.phe"), "--autosome"]
    command += [
        "--pheno-name",
        "PHE",
        "--test-missing",
        "--allow-no-sex",
        "--threads",
        "1",
        "--out",
        str(tmp_path / "p"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "p.missing", sep=r"\s+")
    ours = pd.Series(p, index=pd.read_parquet(tmp_path / "variants.parquet")["id"])
    np.testing.assert_allclose(ours.loc[table["SNP"]], table["P"], rtol=1e-3)


def test_sample_a_with_the_filters_of_an_array(real_data, tmp_path):
    """The known faults are found, and every exclusion says why."""
    folder = index_fileset(real_data("sampleA") / "sampleA", tmp_path)
    array = {
        "variant_call_rate_first": 0.95, "variant_call_rate": 0.98, "sample_call_rate": 0.98, "maf": 0.01, "mac": 20,
        "hwe_p": 1e-6,
        "sex_check": "exclude", "sex_f_female": 0.2, "sex_f_male": 0.8, "heterozygosity_f": 0.2, "heterozygosity_sd": 6,
        "duplicate_variants": "exclude",
    }  # fmt: skip
    variants, people, flow = run_qc(folder, array)
    removed = flow.set_index("step")["removed"]
    assert 60 <= removed["sex_check"] <= 66  # who lacks calls as well is counted there
    worst = people["call_rate"].idxmin()
    assert 1 - people.loc[worst, "call_rate"] == pytest.approx(0.237, abs=0.02)
    assert people.loc[worst, "reason"].startswith("call rate 0.7")
    empty = variants["call_rate"] == 0
    assert empty.any()
    assert (variants.loc[empty, "reason"] == "call rate 0 is below 0.95").all()
    for table in (variants, people):
        assert (table.loc[~table["passed"], "reason"].str.len() > 5).all()
        assert (table.loc[table["passed"], "reason"] == "").all()
