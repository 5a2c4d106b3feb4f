"""Level 1 of binary traits: against a dense reference, and where there is little to learn from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from deepnull_gwas.whole_genome import logistic
from deepnull_gwas.whole_genome.logistic import LEAST_CASES, SHARES, penalties, stack_binary
from deepnull_gwas.whole_genome.null_models import COVARIATE_PENALTY, fit_penalised, log_likelihoods, probabilities

FOLDS, KINDS, BLOCKS = 5, 3, 8
CHROMOSOME = np.repeat(["1", "1", "2", "3", "3", "3", "10", "X"], KINDS)


def make(n: int = 700, cases: float = 0.3, seed: int = 4, effect: float = 1.0):
    """Return block predictors, a phenotype, covariates and folds; cases first, as in many files.

    Every block has a signal, of which each kind of predictor is a noisy copy.
    """
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(n, 2))
    signal = rng.normal(size=(n, BLOCKS, 1)) * 0.3
    w = signal + rng.normal(size=(n, BLOCKS, KINDS)) * [0.1, 0.3, 1.0] + 0.1 * covariates[:, :1, None]
    liability = effect * 2 * signal.sum(axis=(1, 2)) + 0.7 * covariates[:, 1] + rng.logistic(size=n)
    y = (liability > np.quantile(liability, 1 - cases)).astype(float)
    order = np.argsort(-y, kind="stable")
    fold = rng.permutation(np.arange(n) % FOLDS)
    return w.reshape(n, -1)[order].astype(np.float32), CHROMOSOME, y[order], covariates[order], fold


def reference(w, y, covariates, fold):
    """Fit every training set and penalty by a general optimiser.

    Return the predictions without each chromosome and without any at the penalty with the best likelihood out of fold,
    that penalty, and the linear predictors with and without the genome.
    """
    n = len(y)
    x = np.column_stack([np.ones(n), (covariates - covariates.mean(0)) / covariates.std(0)])
    sums = np.array(
        [
            w.reshape(n, BLOCKS, KINDS)[:, CHROMOSOME[::KINDS] == c].astype(float).sum(1)
            for c in ("1", "2", "3", "10", "X")
        ]
    )
    beyond = np.array([s - x @ np.linalg.lstsq(x, s, rcond=None)[0] for s in sums])
    scale = np.sqrt((beyond.sum(0) ** 2).mean(0))
    both = np.hstack([x, beyond.sum(0) / scale])

    def maximise(columns, penalty, rows):
        def loss(b):
            return -log_likelihoods(columns[rows] @ b, y[rows]).sum() + 0.5 * penalty @ b**2

        def slope(b):
            return -columns[rows].T @ (y[rows] - probabilities(columns[rows] @ b)) + penalty * b

        options = {"gtol": 1e-8, "maxiter": 2000}
        return optimize.minimize(loss, np.zeros(len(penalty)), jac=slope, method="BFGS", options=options).x

    cost = np.r_[0.0, np.full(x.shape[1] - 1, COVARIATE_PENALTY)]

    def out_of_fold(columns, tau):
        """Return linear predictors, and what the last columns are of them."""
        eta, part = np.zeros((2, n))
        for f in range(FOLDS):
            b, own = maximise(columns, np.r_[cost, np.full(KINDS, tau)], fold != f), fold == f
            eta[own], part[own] = columns[own] @ b, columns[own, -KINDS:] @ b[-KINDS:]
        return eta, part

    found = [out_of_fold(both, tau) for tau in penalties(KINDS)]
    best = int(np.argmax([log_likelihoods(eta, y).sum() for eta, _ in found]))
    without = [np.hstack([x, (beyond.sum(0) - part) / scale]) for part in beyond]
    loco = [out_of_fold(columns, penalties(KINDS)[best])[1] for columns in without]
    null = np.zeros(n)
    for f in range(FOLDS):
        null[fold == f] = x[fold == f] @ maximise(x, cost, fold != f)
    return loco, found[best][1], SHARES[best], found[best][0], null


def stack(w, chromosome, y, covariates, fold, kinds=KINDS):
    """Sum the predictors over the blocks of each chromosome, and stack the sums."""
    names, wide = list(dict.fromkeys(chromosome.tolist())), w.astype(float).reshape(len(y), -1, kinds)
    sums = np.stack([wide[:, chromosome[::kinds] == name].sum(axis=1) for name in names], axis=1)
    return stack_binary(sums, names, y, covariates, fold)


@pytest.mark.parametrize("cases", [0.3, 0.06])
def test_offsets_equal_those_of_a_general_optimiser(cases):
    w, chromosome, y, covariates, fold = make(cases=cases)
    found = stack(w, chromosome, y, covariates, fold)
    locos, whole, penalty, eta, null = reference(w, y, covariates, fold)
    assert found.method == "logistic" and found.reason == "" and found.penalty == penalty
    assert np.abs(found.whole - whole).max() < 1e-6 * whole.std()
    assert list(found.loco) == ["1", "2", "3", "10", "X"]
    for loco, expected in zip(found.loco.values(), locos, strict=True):
        assert np.abs(loco - expected).max() < 1e-6 * whole.std()
    p, q = probabilities(eta), probabilities(null)
    mean = np.array([y[fold != f].mean() for f in fold])
    assert found.r2 == pytest.approx(1 - ((y - p) ** 2).sum() / ((y - q) ** 2).sum(), abs=1e-6)
    assert found.r2_covariates == pytest.approx(1 - ((y - q) ** 2).sum() / ((y - mean) ** 2).sum(), abs=1e-6)
    assert found.r2_both == pytest.approx(1 - ((y - p) ** 2).sum() / ((y - mean) ** 2).sum(), abs=1e-6)


def slope(offset, y, covariates) -> float:
    """Return the coefficient of an offset that is a covariate: 1 where it is as large as it should be."""
    x = np.column_stack([np.ones(len(y)), covariates, offset])
    return fit_penalised(x, np.zeros(x.shape[1]), y).coefficients[-1]


@pytest.mark.parametrize("cases", [0.3, 0.06])
def test_every_offset_is_as_large_as_it_should_be(cases):
    w, names, y, covariates, fold = make(n=4000, cases=cases)
    found = stack(w, names, y, covariates, fold)
    assert found.r2 > 0.03
    for offset in (found.whole, *found.loco.values()):
        assert slope(offset, y, covariates) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("cases", [0.3, 0.06])
def test_the_fallback_is_nearly_as_good(cases, monkeypatch):
    w, names, y, covariates, fold = make(n=4000, cases=cases)
    found = stack(w, names, y, covariates, fold)
    monkeypatch.setattr(logistic, "fit_penalised", _never_for_kinds(logistic.fit_penalised))
    other = stack(w, names, y, covariates, fold)
    assert other.method == "logistic_fallback" and "did not converge" in other.reason
    assert other.r2 > 0.85 * found.r2
    assert slope(other.whole, y, covariates) == pytest.approx(1, abs=0.05)
    for a, b in zip((found.whole, *found.loco.values()), (other.whole, *other.loco.values()), strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.98


def _never_for_kinds(real):
    """Return a fit that never converges where the predictors are among the columns."""

    def fit(x, penalty, y, offset=None, start=None):
        found = real(x, penalty, y, offset, start)
        return type(found)(found.coefficients, found.converged and start is None)

    return fit


def test_own_phenotypes_reach_own_predictions_by_no_sum():
    """Only by the choice of one penalty for all folds, which one fold does not sway here."""
    w, chromosome, y, covariates, fold = make()
    before = stack(w, chromosome, y, covariates, fold)
    flipped = np.where((fold == 3) & (np.arange(len(y)) % 11 == 0), 1.0 - y, y)
    after = stack(w, chromosome, flipped, covariates, fold)
    assert (flipped != y).any() and before.penalty == after.penalty
    for a, b in zip((before.whole, *before.loco.values()), (after.whole, *after.loco.values()), strict=True):
        np.testing.assert_array_equal(a[fold == 3], b[fold == 3])
        assert (a[fold == 2] != b[fold == 2]).any()


@pytest.mark.parametrize(("n", "cases"), [(300, 25), (10000, 30), (10000, 250)])
def test_rare_traits_with_the_cases_first_get_offsets(n, cases):
    w, chromosome, y, covariates, _ = make(n=n, cases=cases / n)
    assert y[:cases].all() and not y[cases:].any()
    fold = np.arange(n) * 10 // n  # in the order of the file: all cases of the larger cohorts in the first fold
    found = stack(w, chromosome, y, covariates, fold)
    assert np.isfinite(found.whole).all() and all(np.isfinite(v).all() for v in found.loco.values())
    if n > 300:
        assert (
            found.method == "none" and found.reason == f"all {cases} cases are in one fold: nobody is left to train on"
        )
        assert not found.whole.any()
    found = stack(w, chromosome, y, covariates, np.random.default_rng(1).integers(0, 10, n))
    assert found.method == "logistic" and np.isfinite(found.whole).all()
    assert found.r2 > 0


def test_a_fold_without_cases_is_no_obstacle():
    w, chromosome, y, covariates, fold = make(cases=0.05)
    fold = np.where(y == 1, fold % (FOLDS - 1), fold)
    found = stack(w, chromosome, y, covariates, fold)
    assert not y[fold == FOLDS - 1].any() and found.method == "logistic" and found.r2 > 0


def test_too_few_cases_are_named():
    w, chromosome, y, covariates, fold = make()
    y = np.zeros(len(y))
    y[: LEAST_CASES - 1] = 1
    found = stack(w, chromosome, y, covariates, fold)
    assert found.method == "none" and "19 cases among 700 people; at least 20 are needed" in found.reason
    found = stack(w, chromosome, 1 - y, covariates, fold)
    assert "19 controls" in found.reason
    assert set(found.loco) == set(chromosome) and not any(v.any() for v in found.loco.values())


def test_equal_constant_and_collinear_predictors_are_no_obstacle():
    w, chromosome, y, covariates, fold = make()
    wide = w.reshape(len(y), BLOCKS, KINDS).copy()
    wide[:, :, 1] = wide[:, :, 0]
    wide[:, :, 2] = (3 * covariates[:, :1] - 1) * np.arange(1, BLOCKS + 1)
    found = stack(wide.reshape(w.shape), chromosome, y, covariates, fold)
    assert found.method == "logistic" and found.r2 > 0.05
    alone = stack(np.ascontiguousarray(wide[:, :, 0]), chromosome[::KINDS], y, covariates, fold, 1)
    assert np.corrcoef(found.whole, alone.whole)[0, 1] > 0.9999
    nothing = stack(np.full_like(w, 0.25), chromosome, y, covariates, fold)
    assert nothing.method == "none" and nothing.reason == "no block of variants predicts anything beyond the covariates"


def test_a_category_without_cases_and_covariates_that_separate_are_no_obstacle():
    w, chromosome, y, covariates, fold = make()
    rare = np.zeros(len(y))
    rare[np.flatnonzero(y == 0)[:5]] = 1
    found = stack(w, chromosome, y, np.column_stack([covariates, rare, covariates[:, 0] * 2]), fold)
    assert found.method == "logistic" and found.r2 > 0.05
    found = stack(w, chromosome, y, np.column_stack([covariates, y]), fold)
    assert found.method == "logistic" and np.isfinite(found.whole).all() and found.r2_covariates > 0.9


def test_predictors_of_noise_do_not_pretend_to_predict():
    _, chromosome, y, covariates, fold = make()
    noise = np.random.default_rng(8).normal(size=(len(y), BLOCKS * KINDS)).astype(np.float32)
    assert stack(noise, chromosome, y, covariates, fold).r2 < 0.005
