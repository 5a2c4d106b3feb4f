"""The covariates' logistic models of training sets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from deepnull_gwas.whole_genome.null_models import (
    COVARIATE_PENALTY,
    Covariates,
    fit_null_model,
    fit_null_models,
    fit_penalised,
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
    y, covariates, fold = people
    offset = np.random.default_rng(1).normal(size=N) * 2
    rows = np.flatnonzero(fold != 1)
    model = fit_null_model(Covariates.of(covariates), y, rows, offset)
    assert model.converged
    np.testing.assert_allclose(
        model.coefficients, maximise(standardise(covariates)[rows], y[rows], offset[rows]), atol=1e-7
    )


def test_coefficients_of_a_start_are_no_others(people):
    y, covariates, _ = people
    design = Covariates.of(covariates)
    cold = fit_penalised(design.x, design.penalty, y)
    far = fit_penalised(design.x, design.penalty, y, start=cold.coefficients + np.array([3.0, -2.0, 1.0, 2.0]))
    assert cold.converged and far.converged
    np.testing.assert_allclose(cold.coefficients, far.coefficients, atol=1e-7)


def predicted(y, covariates, fold) -> np.ndarray:
    """Return each person's probability by the model of its fold's training set."""
    design = Covariates.of(covariates)
    coefficients = np.array([model.coefficients for model in fit_null_models(design, y, fold)])
    return probabilities(np.einsum("ij,ij->i", design.x, coefficients[fold]))


def test_an_intercept_among_the_covariates_changes_nothing(people):
    y, covariates, fold = people
    with_one = np.column_stack([np.ones(N), covariates])
    np.testing.assert_array_equal(predicted(y, covariates, fold), predicted(y, with_one, fold))


def test_phenotypes_do_not_reach_the_probabilities_of_their_fold(people):
    y, covariates, fold = people
    other = np.where((fold == 2) & (np.arange(N) % 5 == 0), 1.0 - y, y)
    before, after = predicted(y, covariates, fold), predicted(other, covariates, fold)
    np.testing.assert_array_equal(before[fold == 2], after[fold == 2])
    assert (before[fold != 2] != after[fold != 2]).all()


def test_a_category_without_cases_and_collinear_covariates_leave_a_solution(people):
    y, covariates, fold = people
    rare = np.zeros(N)
    rare[np.flatnonzero(y == 0)[:4]] = 1.0
    wide = np.column_stack([covariates, rare, 2 * covariates[:, 0], np.full(N, 7.0)])
    assert all(model.converged for model in fit_null_models(Covariates.of(wide), y, fold))
    assert np.corrcoef(predicted(y, wide, fold), predicted(y, covariates, fold))[0, 1] > 0.98


def test_covariates_that_separate_cases_from_controls_leave_a_solution(people):
    y, covariates, fold = people
    wide = np.column_stack([covariates, y])
    assert all(model.converged for model in fit_null_models(Covariates.of(wide), y, fold))
    assert np.abs(y - predicted(y, wide, fold)).max() < 0.5


def test_cases_that_are_all_in_one_fold_leave_no_model(people):
    _, covariates, fold = people
    y = (fold == 1) * (np.arange(N) % 3 == 0).astype(float)
    assert fit_null_models(Covariates.of(covariates), y, fold) is None
