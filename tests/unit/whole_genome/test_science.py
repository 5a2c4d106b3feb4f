"""What the whole-genome regression promises, on simulated people: small forms of benchmarks/whole_genome.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from whole_genome_data import People, polygenic, relatives, unrelated
from whole_genome_model import Cohort, cross_fitted, left_of

#: Statistics of independent tests vary by this many standard errors, and not more
ERRORS = 4


def both(cohort: Cohort, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
    """Return the statistics of linear regression and of the whole-genome model."""
    return cohort.test(name, False)["baseline"], cohort.test(name)["baseline"]


def nulls(people: People, causal: np.ndarray) -> np.ndarray:
    return np.isin(np.arange(len(people.genotypes)), causal, invert=True)


def test_unrelated_people_gain_what_the_prediction_explains(tmp_path):
    people = unrelated(2000, 1200, 1)
    trait = polygenic(people, 0.5, 0.02, 1)
    cohort = Cohort(tmp_path, people, block_size=200)
    cohort.add("y", trait.y)
    cohort.fit()
    fitted, (linear, ours) = cohort.fitted("y"), both(cohort)
    assert 0.35 < fitted.r2 < 0.55
    null = nulls(people, trait.causal)
    assert abs(ours[null].mean() - 1) < ERRORS * np.sqrt(2 / null.sum())
    gain = (ours[trait.causal].mean() - 1) / (linear[trait.causal].mean() - 1)
    assert gain * (1 - fitted.r2_loco(trait.y)) == pytest.approx(1, abs=0.12)


def test_nothing_to_predict_changes_nothing(tmp_path):
    people = unrelated(3000, 300, 2)
    cohort = Cohort(tmp_path, people)
    cohort.add("y", np.random.default_rng(5).normal(size=3000))
    cohort.fit()
    assert cohort.fitted("y").about["used"] is False
    linear, ours = both(cohort)
    np.testing.assert_array_equal(linear, ours)


@pytest.mark.parametrize(("kind", "shuffled"), [("sibling", False), ("sibling", True), ("parent_child", False)])
def test_relatives_with_a_shared_environment_do_not_inflate(tmp_path, kind, shuffled):
    people = relatives(1600, 1500, 3, kind)
    if shuffled:
        people = people.shuffled(np.random.default_rng(4))
    trait = polygenic(people, 0.6, 0.05, 3, 0.2)
    cohort = Cohort(tmp_path, people, block_size=200)
    cohort.add("y", trait.y)
    cohort.fit()
    null, (linear, ours) = nulls(people, trait.causal), both(cohort)
    assert linear[null].mean() > 1.12
    assert abs(ours[null].mean() - 1) < ERRORS * np.sqrt(2 / null.sum())
    assert ours[trait.causal].mean() > 1.2 * linear[trait.causal].mean()
    assert cohort.fitted("y").about["relatives"][kind]["pairs"] == 800


def test_deepnull_adds_what_it_explains_and_costs_nothing_where_covariates_act_linearly(tmp_path):
    people = unrelated(2000, 800, 6)
    trait = polygenic(people, 0.4, 0.05, 6)
    covariates = np.random.default_rng(6).normal(size=(2000, 2))
    bent = covariates[:, 0] ** 2 + np.sin(2 * covariates[:, 1])
    ys = {"bent": trait.y + 0.9 * bent / bent.std(), "straight": trait.y + 0.9 * covariates.sum(axis=1)}
    cohort = Cohort(tmp_path, people, block_size=200)
    ds = {name: cross_fitted(covariates, y) for name, y in ys.items()}
    for name, y in ys.items():
        cohort.add(name, y, covariates, ds[name])
    cohort.fit()
    for name, y in ys.items():
        chi2 = cohort.test(name)
        ratio = (chi2["deepnull"][trait.causal].mean() - 1) / (chi2["baseline"][trait.causal].mean() - 1)
        left = [
            np.mean([np.var(left_of(y - p, x)) for p in cohort.fitted(name, arm).loco.values()])
            for arm, x in (("baseline", covariates), ("deepnull", np.column_stack([covariates, ds[name]])))
        ]
        assert ratio == pytest.approx(left[0] / left[1], rel=0.07)
        assert ratio > (1.3 if name == "bent" else 0.98)
