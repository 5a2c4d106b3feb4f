"""Ridge logistic regression of all training sets at once, against a dense reference."""

from __future__ import annotations

import numpy as np
import pytest

from deepnull_gwas.whole_genome import ridge_logistic
from deepnull_gwas.whole_genome.null_models import COVARIATE_PENALTY, Covariates, fit_null_models, probabilities
from deepnull_gwas.whole_genome.ridge_logistic import Predictors, TrainingSets, follow, penalties

FOLDS = 5


def make(n: int = 700, m: int = 30, prevalence: float = 0.3, seed: int = 4):
    """Return predictors, a phenotype that some of them make, covariates and folds; cases first, as in many files."""
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(n, 2))
    w = (rng.normal(size=(n, m)) * np.exp(rng.normal(size=m)) + covariates[:, :1] * 0.2).astype(np.float32)
    signal = (w / w.std(0)) @ rng.normal(size=m) / np.sqrt(m) + 0.7 * covariates[:, 1] + rng.logistic(size=n)
    y = (signal > np.quantile(signal, 1 - prevalence)).astype(float)
    order = np.argsort(-y, kind="stable")
    return w[order], y[order], covariates[order], rng.integers(0, FOLDS, n)


def training_sets(w, y, covariates, fold) -> TrainingSets:
    design = Covariates.of(covariates)
    return TrainingSets(Predictors(w, design.x), design, y, fold, fit_null_models(design, y, fold))


def solve(w, y, covariates, rows, penalty) -> tuple[np.ndarray, np.ndarray]:
    """Fit one training set by plain Newton steps on dense matrices: linear predictors of everybody, coefficients."""
    n, m = w.shape
    x = np.column_stack([np.ones(n), (covariates - covariates.mean(0)) / covariates.std(0)])
    z = w.astype(float)
    z = z - x @ np.linalg.lstsq(x, z, rcond=None)[0]
    both = np.hstack([x, z / np.sqrt((z**2).mean(0))])
    cost = np.r_[0.0, np.full(x.shape[1] - 1, COVARIATE_PENALTY), np.full(m, penalty)]
    b = np.zeros(both.shape[1])
    b[0] = np.log(y[rows].mean() / (1 - y[rows].mean()))
    for _ in range(60):
        mu = probabilities(both[rows] @ b)
        information = (both[rows] * (mu * (1 - mu))[:, None]).T @ both[rows] + np.diag(cost)
        step = np.linalg.solve(information, both[rows].T @ (y[rows] - mu) - cost * b)
        b = b + step * min(1.0, 2.0 / np.abs(both @ step).max())
    assert np.abs(step).max() < 1e-10
    return both @ b, b


@pytest.mark.parametrize("prevalence", [0.3, 0.05])
def test_every_training_set_and_penalty_equals_dense_newton_steps(prevalence, monkeypatch):
    monkeypatch.setattr(ridge_logistic, "TILE", 256)
    w, y, covariates, fold = make(prevalence=prevalence)
    sets = training_sets(w, y, covariates, fold)
    at = sets.begin()
    for penalty in penalties(w.shape[1]):
        at, converged = sets.fit(at, penalty)
        assert converged
        for f in range(FOLDS):
            eta, b = solve(w, y, covariates, fold != f, penalty)
            assert np.abs(at.eta[:, f] - eta).max() < 1e-6 * eta.std()
            np.testing.assert_allclose(np.r_[at.covariates[:, f], at.blocks[:, f]], b, atol=1e-6)


def test_phenotypes_of_a_fold_do_not_reach_the_model_that_predicts_it():
    w, y, covariates, fold = make()
    other = np.where((fold == 3) & (np.arange(len(y)) % 7 == 0), 1.0 - y, y)
    fits = [follow(training_sets(w, p, covariates, fold), fold)[0] for p in (y, other)]
    for a, b in zip(*fits):
        np.testing.assert_array_equal(a.blocks[:, 3], b.blocks[:, 3])
        np.testing.assert_array_equal(a.eta[:, 3], b.eta[:, 3])
        assert (a.blocks[:, 2] != b.blocks[:, 2]).any()


def test_predictors_made_again_in_each_pass_give_the_same_bytes(monkeypatch):
    w, y, covariates, fold = make()
    kept = follow(training_sets(w, y, covariates, fold), fold)[0]
    monkeypatch.setattr(ridge_logistic, "KEPT", 0)
    again = follow(training_sets(w, y, covariates, fold), fold)[0]
    for a, b in zip(kept, again, strict=True):
        np.testing.assert_array_equal(a.eta, b.eta)


def test_more_predictors_than_cases_converge_at_every_penalty():
    w, y, covariates, fold = make(n=400, m=300, prevalence=0.08)
    sets = training_sets(w, y, covariates, fold)
    at = sets.begin()
    for penalty in penalties(w.shape[1]):
        at, converged = sets.fit(at, penalty)
        assert converged
    assert np.isfinite(at.eta).all()


def test_equal_constant_and_collinear_predictors_are_no_obstacle():
    w, y, covariates, fold = make()
    w[:, 1] = w[:, 0]
    w[:, 2] = 0.25
    w[:, 3] = 3 * covariates[:, 0] - 1
    sets = training_sets(w, y, covariates, fold)
    assert sets.z.used.tolist()[:5] == [True, True, False, False, True]
    fits, found = follow(sets, fold)
    assert len(fits) > 1 and np.isfinite(found).all()
    for fit in fits:
        np.testing.assert_allclose(fit.blocks[2:4], 0.0, atol=1e-15)
        np.testing.assert_allclose(fit.blocks[0], fit.blocks[1], rtol=1e-6)


def test_the_path_ends_where_the_out_of_fold_likelihood_falls():
    rng = np.random.default_rng(8)
    w, y, covariates, fold = make()
    noise = rng.normal(size=w.shape).astype(np.float32)
    _, found = follow(training_sets(noise, y, covariates, fold), fold)
    assert len(found) == 2 and found[1] < found[0]
    _, found = follow(training_sets(w, y, covariates, fold), fold)
    assert len(found) > 3 and (np.diff(found)[:-1] > 0).all()
