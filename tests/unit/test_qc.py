"""Filters, their account, and the error when nothing remains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort, run_qc
from deepnull_gwas.errors import InputError


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
        "sample_table", "variant_call_rate", "sample_call_rate", "variant_call_rate_again", "no_call", "monomorphic", "maf", "mac", "hwe_p",
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
        ({"variant_call_rate": 1.0}, ["no variants remain", "'variant_call_rate'"]),
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
