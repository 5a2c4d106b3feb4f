"""What the whole-genome regression promises, on simulated people: small forms of benchmarks/whole_genome.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from whole_genome_data import People, mosaic, polygenic, relatives, unrelated
from whole_genome_model import Cohort, cross_fitted, left_of

from deepnull_gwas.association.clusters import Clusters
from deepnull_gwas.verify import relatives as verify_relatives

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


@pytest.mark.slow
def test_one_cluster_of_relatives_larger_than_a_fold_is_calibrated(tmp_path, monkeypatch):
    """Mosaics of few people: relatives are in different folds, and in different clusters of the tests."""
    n, parents, variants, chromosomes = 1200, 300, 2400, 12
    rng = np.random.default_rng(1001)
    chromosome = 1 + np.arange(variants) * chromosomes // variants
    p = rng.uniform(0.1, 0.5, variants)[:, None]
    of_parents = rng.binomial(2, p, size=(variants, parents)).astype(np.int8)
    # five pieces a chromosome
    genotypes = mosaic(of_parents, chromosome, 10 * (np.arange(variants) % 200), n, 5, piece=400)
    z = (genotypes - 2 * p) / np.sqrt(2 * p * (1 - p))
    kinship = z.T @ z / variants / 2
    first, second = np.nonzero(np.triu(kinship > 0.066, 1))
    kinship = kinship[first, second]
    relation = np.where(kinship > 0.177, "sibling", np.where(kinship > 0.0884, "second_degree", "third_degree"))
    pairs = np.column_stack([first, second])
    people = People(genotypes, chromosome, np.zeros(n, dtype=np.int64), pairs, relation.astype(object), kinship)
    within = chromosome % 2 == 1
    cohort = Cohort(tmp_path, people, block_size=50)
    traits = [f"y{i}" for i in range(6)]
    for i, name in enumerate(traits):
        cohort.add(name, polygenic(people, 0.6, 0.1, 160 + i, within=within).y)
    cohort.fit()
    tested = {name: both(cohort, name) for name in traits}
    linear, ours = (np.mean([tested[name][k][~within] for name in traits], axis=1) for k in (0, 1))
    assert linear.mean() > 1.4
    assert ours.mean() == pytest.approx(1, abs=0.06)
    assert ours.max() < 1.2
    # as if pairs in different clusters were strangers, tests would be conservative
    monkeypatch.setattr(Clusters, "share_apart", lambda self, deviations=None: 0.0)
    monkeypatch.setattr(verify_relatives.Kin, "beyond_clusters", lambda self, sd: 0.0)
    assert np.mean([both(cohort, name)[1][~within] for name in traits]) < 0.94
