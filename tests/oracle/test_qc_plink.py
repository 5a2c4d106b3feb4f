"""Counts, call rates, frequencies and Hardy-Weinberg against PLINK on real data."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from cohort_files import index_fileset, run_qc
from deepnull_gwas.cohort.hwe import hwe_exact

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
