"""What the whole-genome regression promises of binary traits: small forms of benchmarks/whole_genome_binary.py."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from whole_genome_binary import TESTS, chi2_of, disease, fitted, r2_of_offsets
from whole_genome_data import unrelated

#: Statistics of independent tests vary by this many standard errors, and not more
ERRORS = 4


@pytest.fixture
def given(tmp_path):
    return argparse.Namespace(scratch=tmp_path, block_size=200)


def test_a_common_disease_gains_what_the_offsets_explain(given):
    case = disease(unrelated(3000, 1200, 1), 900, 0.5, 0.02, 1)
    cohort = fitted(given, case)
    about = cohort.fitted("y").about
    assert about["method"] == "logistic" and about["used"] and 0.15 < about["r2_genome"] < 0.4
    plain, ours = (chi2_of(cohort, whole) for whole in (False, True))
    null = case.people.chromosome % 2 == 0
    assert abs(ours[null].mean() - 1) < ERRORS * np.sqrt(2 / null.sum())
    gain = (ours[case.causal].mean() - 1) / (plain[case.causal].mean() - 1)
    assert gain > 1.1
    assert gain * (1 - r2_of_offsets(cohort, case)) == pytest.approx(1, abs=0.12)


def test_a_rare_disease_with_the_cases_first_is_calibrated_by_firth_and_by_the_saddle_point(given):
    case = disease(unrelated(4000, 600, 2), 80, 0.6, 0.02, 2, logistic=True)
    assert case.y[:80].all()
    cohort = fitted(given, case)
    about = cohort.fitted("y").about
    assert about["method"] == "logistic" and about["used"]
    null = case.people.chromosome % 2 == 0
    for settings in TESTS.values():
        chi2 = chi2_of(cohort, True, **settings)
        assert np.isfinite(chi2).all()
        assert abs(chi2[null].mean() - 1) < ERRORS * np.sqrt(2 / null.sum())


def test_too_few_cases_are_tested_without_an_offset(given):
    case = disease(unrelated(1500, 200, 3), 15, 0.5, 0.2, 3)
    cohort = fitted(given, case)
    about = cohort.fitted("y").about
    assert about["method"] == "none" and "15 cases among 1500 people; at least 20 are needed" in about["reason"]
    np.testing.assert_array_equal(chi2_of(cohort, True), chi2_of(cohort, False))
