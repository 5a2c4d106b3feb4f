"""Counts by variant and by person against plain counting of the dosages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort_files import make_cohort, run_counts
from deepnull_gwas.cohort.counts import CLASSES
from deepnull_gwas.genotypes import chromosomes
from deepnull_gwas.genotypes.counts import count_missing_and_het, weigh_missing
from deepnull_gwas.tables import read_metadata


@pytest.mark.parametrize("people", [1, 4, 31, 32, 33, 130])
@pytest.mark.parametrize("variants", [1, 2, 3, 14, 16, 254, 256, 600])
def test_vertical_counters_equal_plain_counting(people, variants):
    rng = np.random.default_rng(people * 1000 + variants)
    packed = rng.integers(0, 256, (variants, (people + 3) // 4), dtype=np.uint8)
    packed[:, 0] = 0b10_01_10_01  # the counters' worst case: always missing, always heterozygous
    codes = (packed[:, np.arange(people) // 4] >> (np.arange(people) % 4 * 2)) & 3
    missing, het = np.full((2, people), 7)
    count_missing_and_het(packed, missing, het)
    np.testing.assert_array_equal(missing - 7, (codes == 1).sum(axis=0))
    np.testing.assert_array_equal(het - 7, (codes == 2).sum(axis=0))


def test_columns_of_people_are_named_after_the_classes():
    assert [{"autosome": "autosomal"}.get(c, c.lower()) for c in chromosomes.CLASSES] == list(CLASSES)


def test_chunks_add_up_to_plain_counts(tmp_path):
    rng = np.random.default_rng(3)
    dosages = rng.choice(np.array([0, 1, 2, -1], dtype=np.int8), (60, 45), p=[0.4, 0.3, 0.2, 0.1])
    chromosome = ["1"] * 20 + ["2"] * 15 + ["X"] * 15 + ["Y"] * 5 + ["MT"] * 5
    sex = rng.integers(0, 3, 45)
    folder = make_cohort(tmp_path, dosages, chromosome, np.arange(60) * 1000 + 10_000_000, sex, chunks=4)
    samples = pd.read_parquet(folder / "samples.parquet")
    samples.loc[5:9, "in_sample_table"] = False
    samples.to_parquet(folder / "samples.parquet")
    here = samples["in_sample_table"].to_numpy()
    variant_files, sample_files = run_counts(folder, chunks=4)
    variants = pd.concat([pd.read_parquet(f) for f in variant_files], ignore_index=True)
    np.testing.assert_array_equal(variants["index"], np.arange(60))
    for prefix, who in (("", here), ("male_", here & (sex == 1)), ("female_", here & (sex == 2))):
        for name, dosage in (("hom_effect", 2), ("het", 1), ("hom_other", 0), ("missing", -1)):
            expected = (dosages[:, who] == dosage).sum(axis=1)
            np.testing.assert_array_equal(variants[prefix + name], expected, err_msg=prefix + name)
    people = sum(pd.read_parquet(f).set_index("sample_index") for f in sample_files)
    rows = {"autosomal": slice(0, 35), "x": slice(35, 50), "y": slice(50, 55), "mt": slice(55, 60)}
    for name, part in rows.items():
        np.testing.assert_array_equal(people[f"{name}_missing"], (dosages[part] == -1).sum(axis=0))
        np.testing.assert_array_equal(people[f"{name}_het"], (dosages[part] == 1).sum(axis=0))
        assert sum(read_metadata(f)["variants"][name] for f in sample_files) == part.stop - part.start


@pytest.mark.parametrize("people", [1, 33, 130])
def test_weights_of_missing_calls(people):
    rng = np.random.default_rng(people)
    packed = rng.integers(0, 256, (300, (people + 3) // 4), dtype=np.uint8)
    weights = rng.random(300)
    codes = (packed[:, np.arange(people) // 4] >> (np.arange(people) % 4 * 2)) & 3
    out = np.zeros(people)
    weigh_missing(packed, weights, out)
    np.testing.assert_allclose(out, (codes == 1).T @ weights, rtol=1e-12)
