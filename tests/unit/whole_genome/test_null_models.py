"""The covariates' logistic models of training sets, and what level 0 regresses for a binary trait."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from deepnull_gwas.whole_genome.null_models import (
    COVARIATE_PENALTY,
    Covariates,
    fit_null_model,
    fit_null_models,
    level0_target,
    log_likelihoods,
    probabilities,
)

N, FOLDS = 600, 5


@pytest.fixture(scope="module")
def people():
    """Return a phenotype, covariates without intercept and folds."""
    rng = np.random.default_rng(3)
    covariates = np.column_stack([rng.normal(50, 9, N), rng.integers(0, 2, N), rng.normal(size=N)])
    y = (rng.random(N) < probabilities(-2.0 + 0.05 * (covariates[:, 0] - 50) + covariates[:, 1])).astype(float)
    return y, covariates, rng.integers(0, FOLDS, N)


def maximise(x: np.ndarray, y: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
    """Maximise the penalised likelihood by a general method."""
    penalty = np.r_[0.0, np.full(x.shape[1] - 1, COVARIATE_PENALTY)]

    def loss(b):
        return -log_likelihoods(x @ b + offset, y).sum() + 0.5 * penalty @ b**2

    def slope(b):
        return -x.T @ (y - probabilities(x @ b + offset)) + penalty * b

    return optimize.minimize(loss, np.zeros(x.shape[1]), jac=slope, method="BFGS", options={"gtol": 1e-7}).x


def standardise(covariates: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(covariates)), (covariates - covariates.mean(0)) / covariates.std(0)])


def test_each_training_set_equals_a_general_optimiser(people):
    y, covariates, fold = people
    models = fit_null_models(Covariates.of(covariates), y, fold)
    for f, model in enumerate(models):
        rows = fold != f
        np.testing.assert_allclose(model.coefficients, maximise(standardise(covariates)[rows], y[rows]), atol=1e-7)


def test_an_offset_is_added(people):
    y, covariates, _ = people
    offset = np.random.default_rng(1).normal(size=N) * 2
    model = fit_null_model(Covariates.of(covariates), y, np.arange(N), offset)
    np.testing.assert_allclose(model.coefficients, maximise(standardise(covariates), y, offset), atol=1e-7)


def test_an_intercept_among_the_covariates_changes_nothing(people):
    y, covariates, fold = people
    with_one = np.column_stack([np.ones(N), covariates])
    np.testing.assert_array_equal(level0_target(y, covariates, fold), level0_target(y, with_one, fold))


def test_the_target_is_the_phenotype_less_its_probability_without_the_fold(people):
    y, covariates, fold = people
    target = level0_target(y, covariates, fold)
    x = standardise(covariates)
    for f in range(FOLDS):
        rows = fold == f
        b = maximise(x[~rows], y[~rows])
        np.testing.assert_allclose(target[rows], y[rows] - probabilities(x[rows] @ b), atol=1e-7)


def test_a_persons_phenotype_does_not_reach_the_probabilities_of_its_fold(people):
    y, covariates, fold = people
    other = y.copy()
    i = np.flatnonzero(fold == 2)[0]
    other[i] = 1.0 - y[i]
    before, after = level0_target(y, covariates, fold), level0_target(other, covariates, fold)
    same = (fold == 2) & (np.arange(N) != i)
    np.testing.assert_array_equal(before[same], after[same])
    assert (before[fold != 2] != after[fold != 2]).any()


def test_a_category_without_cases_and_collinear_covariates_leave_a_solution(people):
    y, covariates, fold = people
    rare = np.zeros(N)
    rare[np.flatnonzero(y == 0)[:4]] = 1.0
    wide = np.column_stack([covariates, rare, 2 * covariates[:, 0], np.full(N, 7.0)])
    target = level0_target(y, wide, fold)
    assert np.isfinite(target).all() and np.abs(target).max() < 1
    assert np.corrcoef(target, level0_target(y, covariates, fold))[0, 1] > 0.999


def test_covariates_that_separate_cases_from_controls_leave_a_solution(people):
    y, covariates, fold = people
    target = level0_target(y, np.column_stack([covariates, y]), fold)
    assert np.isfinite(target).all()


def test_cases_that_are_all_in_one_fold_leave_the_mean(people):
    _, covariates, fold = people
    y = (fold == 1) * (np.arange(N) % 3 == 0).astype(float)
    assert fit_null_models(Covariates.of(covariates), y, fold) is None
    np.testing.assert_array_equal(level0_target(y, covariates, fold), y - y.mean())
