"""Filters, their account, and the error when nothing remains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from cohort_files import make_cohort, run_qc
from deepnull_gwas.cohort.missingness import missingness_difference
from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import read_metadata


def dosages_of(rng: np.random.Generator, variants: int, people: int, low: float = 0.2) -> np.ndarray:
    p = rng.uniform(low, 0.5, (variants, 1))
    return rng.binomial(2, p, (variants, people)).astype(np.int8)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_every_filter_removes_its_plant_and_counts_it(tmp_path, rng):
    dosages = dosages_of(rng, 100, 400)
    dosages[0, :200] = -1  # half missing
    dosages[4:60, 7] = -1  # a person without 56 of the 99 others
    dosages[1] = 0  # monomorphic
    dosages[2] = 0
    dosages[2, :6] = 1  # maf .0075
    dosages[3] = np.repeat([0, 2], 200)  # no heterozygotes
    folder = make_cohort(tmp_path, dosages)
    limits = {"variant_call_rate": 0.9, "sample_call_rate": 0.9, "maf": 0.01, "mac": 20, "hwe_p": 1e-15}
    variants, people, flow = run_qc(folder, limits)

    assert variants.index[~variants["passed"]].tolist() == [0, 1, 2, 3]
    reasons = variants.loc[:3, "reason"].tolist()
    assert reasons[0] == "call rate 0.5 is below 0.9"
    assert reasons[1].startswith("monomorphic")
    assert reasons[2].startswith("minor allele frequency 0.0075")
    assert reasons[3].startswith("Hardy-Weinberg exact p ")
    assert (variants.loc[variants["passed"], "reason"] == "").all()
    assert people.index[~people["passed"]].tolist() == [7]
    assert people.loc[7, "missing"] == 56
    assert people.loc[7, "call_rate"] == pytest.approx(43 / 99)
    assert people.loc[7, "reason"] == "call rate 0.4343 is below 0.9 over 99 autosomal variants"
    # the variant measures are of the people who passed
    rest = np.delete(dosages, 7, axis=1)
    np.testing.assert_array_equal(variants["het"], (rest == 1).sum(axis=1))
    np.testing.assert_array_equal(variants["missing"], (rest == -1).sum(axis=1))
    called = (rest >= 0).sum(axis=1)
    np.testing.assert_allclose(
        variants["effect_allele_frequency"], np.where(rest > 0, rest, 0).sum(axis=1) / (2 * called)
    )

    assert flow["step"].tolist() == [
        "sample_table", "variant_call_rate_first", "sample_call_rate", "variant_call_rate", "no_call", "monomorphic",
        "maf", "mac", "hwe_p",
    ]  # fmt: skip
    assert flow["removed"].tolist() == [0, 1, 1, 0, 0, 1, 1, 0, 1]
    np.testing.assert_array_equal(flow["before"] - flow["removed"], flow["after"])
    for unit, total in (("variants", variants["passed"].sum()), ("people", people["passed"].sum())):
        rows = flow[flow["unit"] == unit]
        np.testing.assert_array_equal(rows["before"].iloc[1:], rows["after"].iloc[:-1])
        assert rows["after"].iloc[-1] == total


def test_people_outside_the_sample_table_do_not_count(tmp_path, rng):
    dosages = dosages_of(rng, 40, 60)
    folder = make_cohort(tmp_path, dosages)
    samples = pd.read_parquet(folder / "samples.parquet")
    samples["in_sample_table"] = np.arange(60) >= 20
    samples.to_parquet(folder / "samples.parquet")
    variants, people, flow = run_qc(folder)
    np.testing.assert_array_equal(variants["hom_effect"], (dosages[:, 20:] == 2).sum(axis=1))
    assert (people["reason"] == "not in the sample table").sum() == 20
    assert flow.loc[0, ["removed", "after"]].tolist() == [20, 40]


def test_haploid_rules(tmp_path):
    # 4 males, 4 females
    sex = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    row = [2, 2, 1, 0, 1, 2, -1, 0]
    chromosome, position = ["1", "X", "X", "Y", "MT"], np.array([1, 100_000, 50_000_000, 1, 1])
    folder = make_cohort(tmp_path, np.array([row] * 5, dtype=np.int8), chromosome, position, sex)
    variants, people, _ = run_qc(folder)
    autosomal, par, x, y, mt = variants.itertuples()
    # males 2 of 3 haploid copies; females 3 of 6 diploid copies
    assert autosomal.effect_allele_frequency == par.effect_allele_frequency == 8 / 14
    assert x.effect_allele_frequency == (2 + 3) / (3 + 6)
    assert x.mac == 4
    assert (x.het, x.het_haploid, x.missing, x.call_rate) == (1, 1, 2, 6 / 8)
    assert y.effect_allele_frequency == 2 / 3
    assert (y.het, y.het_haploid, y.missing, y.call_rate) == (0, 1, 1, 3 / 4)
    assert mt.effect_allele_frequency == 3 / 5
    assert (mt.het, mt.het_haploid, mt.missing) == (0, 2, 3)
    assert x.hwe_p == 1
    assert np.isnan(y.hwe_p)
    assert np.isnan(mt.hwe_p)
    # people are judged on the autosomal and pseudo-autosomal variants
    np.testing.assert_array_equal(people["missing"], [0, 0, 0, 0, 0, 0, 2, 0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"maf": 0.5001}, ["no variants remain", "'maf'", ">= 0.5001", "qc.maf"]),
        ({"mac": 1000}, ["no variants remain", "'mac'"]),
        ({"sample_call_rate": 1.0}, ["no people remain", "'sample_call_rate'"]),
        ({"variant_call_rate": 1.0}, ["no variants remain", "'variant_call_rate_first'", "qc.variant_call_rate "]),
        ({"hwe_p": 1.01}, ["no variants remain", "'hwe_p'"]),
    ],
)
def test_nothing_left_names_the_filter(tmp_path, rng, settings, words):
    dosages = dosages_of(rng, 30, 50)
    dosages[np.arange(30), np.arange(30)] = -1
    dosages[np.arange(30), 49 - np.arange(30)] = -1
    folder = make_cohort(tmp_path, dosages)
    with pytest.raises(InputError) as error:
        run_qc(folder, settings)
    for word in words:
        assert word in str(error.value)
    assert not (folder / "qc_variants.parquet").exists()


def test_results_do_not_depend_on_chunks(tmp_path, rng):
    dosages = dosages_of(rng, 50, 33, low=0.0)
    dosages[rng.random(dosages.shape) < 0.05] = -1
    limits = {"variant_call_rate": 0.9, "sample_call_rate": 0.9, "maf": 0.05}
    found = [run_qc(make_cohort(tmp_path / str(c), dosages, chunks=c), limits, chunks=c) for c in (1, 7)]
    for one, other in zip(*found):
        pd.testing.assert_frame_equal(one, other)


def test_sex_check(tmp_path, rng):
    people, m = 60, 200
    sex = np.arange(people) % 2 + 1
    p = rng.uniform(0.2, 0.5, (m, 1))
    dosages = rng.binomial(2, p, (m, people)).astype(np.int8)
    on_x = rng.binomial(1, p[:100], (100, people)).astype(np.int8) * 2
    on_x[:, sex == 2] = rng.binomial(2, p[:100], (100, 30))
    dosages[100:] = on_x
    dosages[rng.random(dosages.shape) < 0.02] = -1
    recorded = sex.copy()
    recorded[4], recorded[5], recorded[7] = 2, 1, 0
    chromosome, position = ["1"] * 100 + ["X"] * 100, np.arange(m) * 1000 + 50_000_000
    folder = make_cohort(tmp_path, dosages, chromosome, position, recorded)
    settings = {"sex_check": "exclude", "sex_f_female": 0.3, "sex_f_male": 0.8}
    _, persons, flow = run_qc(folder, settings)
    assert persons.index[~persons["passed"]].tolist() == [4, 5]
    assert persons.loc[4, "reason"].startswith("recorded sex female, sex by X male (F ")
    np.testing.assert_array_equal(persons["inferred_sex"], sex)
    assert flow.loc[flow["step"] == "sex_check", "removed"].item() == 2
    # F by hand for a male with missing calls
    x = dosages[100:].astype(float)
    haploid = recorded == 1
    calls = np.where((x < 0) | (haploid & (x == 1)), np.nan, x)
    copies = np.where(haploid, 1, 2)
    q = np.nansum(calls * copies / 2, axis=1) / (np.isfinite(calls) * copies).sum(axis=1)
    called = x[:, 6] >= 0
    expected = (1 - 2 * q * (1 - q))[called].sum()
    observed = (called & (x[:, 6] != 1)).sum()
    assert persons.loc[6, "x_f"] == pytest.approx((observed - expected) / (called.sum() - expected), rel=1e-12)

    _, persons, flow = run_qc(folder, {**settings, "sex_check": "warn"})
    assert persons["passed"].all()
    assert "2 people differ, kept" in flow.loc[flow["step"] == "sex_check", "rule"].item()


def test_sex_check_without_x_says_so(tmp_path, rng):
    folder = make_cohort(tmp_path, dosages_of(rng, 30, 40))
    _, persons, flow = run_qc(folder, {"sex_check": "exclude", "sex_f_female": 0.2, "sex_f_male": 0.8})
    assert persons["passed"].all()
    assert flow.loc[flow["step"] == "sex_check", "rule"].item() == "not done: 0 variants on X, 20 are needed"


def test_heterozygosity_outliers(tmp_path, rng):
    dosages = dosages_of(rng, 500, 100)
    dosages[:, 3] = np.where(rng.random(500) < 0.5, 0, 2)  # no heterozygotes
    dosages[rng.random(500) < 0.5, 8] = 1  # contaminated
    folder = make_cohort(tmp_path, dosages)
    _, persons, flow = run_qc(folder, {"heterozygosity_f": 0.8})
    assert persons.index[~persons["passed"]].tolist() == [3]
    assert persons.loc[3, "reason"].startswith("F on autosomes 1.0000, beyond 0.8")
    assert persons.loc[3, "filter"] == "heterozygosity_f"
    assert read_metadata(folder / "qc_samples.parquet")["f_bounds"] == [-0.8, 0.8]
    _, persons, flow = run_qc(folder, {"heterozygosity_f": 0.8, "heterozygosity_sd": 4})
    assert persons.index[~persons["passed"]].tolist() == [3, 8]
    assert "more than 4 SD from the mean" in persons.loc[8, "reason"]
    assert flow["step"].tolist()[3:5] == ["heterozygosity_f", "heterozygosity_sd"]


def test_a_bound_on_heterozygosity_is_not_applied_to_noise(tmp_path, rng):
    folder = make_cohort(tmp_path, dosages_of(rng, 60, 300))
    _, persons, flow = run_qc(folder, {"heterozygosity_f": 0.2})
    assert persons["passed"].all()
    assert "not done: F of most people varies by" in flow.loc[flow["step"] == "heterozygosity_f", "rule"].item()


def test_two_pass_call_rate_and_duplicates(tmp_path, rng):
    dosages = dosages_of(rng, 40, 100)
    dosages[5] = dosages[4]
    dosages[4, :2] = -1
    dosages[6] = dosages[4]
    dosages[10, :8] = -1
    folder = make_cohort(tmp_path, dosages, position=np.array([*range(1, 5), 9, 9, 9, *range(20, 53)]) * 1000)
    settings = {"variant_call_rate_first": 0.9, "variant_call_rate": 0.95, "duplicate_variants": "exclude"}
    variants, _, flow = run_qc(folder, settings)
    assert variants.index[~variants["passed"]].tolist() == [4, 6, 10]
    assert variants.loc[4, "reason"] == "same position and alleles as a variant with more calls"
    assert flow.set_index("step").loc[["variant_call_rate_first", "variant_call_rate"], "removed"].tolist() == [0, 1]


def test_alleles_in_small_letters_are_the_same(tmp_path, rng):
    dosages = dosages_of(rng, 10, 50)
    folder = make_cohort(tmp_path, dosages, position=np.array([*range(1, 8), 7, 7, 9]) * 1000)
    table = pd.read_parquet(folder / "variants.parquet")
    table.loc[6:8, ["effect_allele", "other_allele"]] = [["A", "C"], ["c", "a"], ["g", "a"]]
    table.to_parquet(folder / "variants.parquet")
    variants, _, _ = run_qc(folder, {"duplicate_variants": "exclude"})
    assert variants.index[~variants["passed"]].tolist() == [7]


def test_repeated_ids(tmp_path, rng):
    dosages = dosages_of(rng, 10, 50)
    dosages[2, 0] = -1
    folder = make_cohort(tmp_path, dosages)
    table = pd.read_parquet(folder / "variants.parquet")
    table["id"] = ["a", "b", "c", "c", "d", "d", ".", ".", "0", "0"]
    table.to_parquet(folder / "variants.parquet")
    variants, _, flow = run_qc(folder, {"duplicate_ids": "exclude"})
    assert variants.index[~variants["passed"]].tolist() == [2, 5]
    assert variants.loc[2, ["filter", "reason"]].tolist() == [
        "duplicate_ids",
        "same ID (c) as a variant with more calls",
    ]
    assert flow.set_index("step").loc["duplicate_ids", "removed"] == 2
    assert run_qc(folder, {"duplicate_ids": "keep"})[0]["passed"].all()


def test_missingness_difference_is_fishers_exact_test(rng):
    counts = rng.integers(0, 40, (300, 4))
    counts[:100, [1, 3]] //= 10
    counts[0] = 0
    counts[1] = [0, 0, 5, 5]
    found = missingness_difference(*counts.T)
    expected = [fisher_exact(c.reshape(2, 2)).pvalue for c in counts]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    # biobank size
    found = missingness_difference([480_000], [5_000], [14_000], [300])
    assert found[0] == pytest.approx(fisher_exact([[480_000, 5_000], [14_000, 300]]).pvalue, rel=1e-6)
