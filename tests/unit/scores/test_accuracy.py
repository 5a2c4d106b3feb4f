"""Accuracy of predicted phenotypes: models, measures, intervals."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score

from deepnull_gwas.scores.accuracy import accuracy, fit_and_predict, weighted_auc


def test_linear_model_equals_sklearn_and_an_unseen_level_has_no_effect():
    rng = np.random.default_rng(6)
    x = np.column_stack([rng.normal(100, 1, 200), rng.integers(0, 2, 200), np.zeros(200)])
    y = x[:, 0] + rng.normal(size=200)
    new = np.column_stack([rng.normal(100, 1, 50), rng.integers(0, 2, 50), np.ones(50)])
    found, varies = fit_and_predict(x, y, new, "quantitative")
    np.testing.assert_allclose(found, LinearRegression().fit(x[:, :2], y).predict(new[:, :2]), rtol=1e-10)
    assert varies.tolist() == [True, True, False]


def test_logistic_model_equals_statsmodels():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(500, 3))
    y = (x[:, 0] + rng.logistic(size=500) > 0).astype(float)
    found, _ = fit_and_predict(x, y, x[:20], "binary")
    expected = sm.Logit(y, sm.add_constant(x)).fit(disp=0).predict(sm.add_constant(x), which="linear")
    # a ridge of 1e-6 a person
    np.testing.assert_allclose(found, expected[:20], atol=1e-4)


def test_a_separating_covariate_gives_finite_predictions():
    y = np.repeat([0.0, 1.0], 50)
    found, _ = fit_and_predict(np.column_stack([y, np.arange(100) % 7]), y, np.zeros((3, 2)), "binary")
    assert np.isfinite(found).all()


def test_measures_equal_sklearn_and_the_formula():
    rng = np.random.default_rng(8)
    y, one = rng.normal(170, 10, 300), np.arange(300)
    prediction = y + rng.normal(0, 8, 300)
    found = accuracy(y, {"a": prediction, "b": prediction * 0 + y.mean()}, "quantitative", one, [("a", "b")], 50, 1)[
        "r2"
    ]
    assert found["models"]["a"]["estimate"] == pytest.approx(r2_score(y, prediction))
    assert found["differences"]["a - b"]["estimate"] == pytest.approx(r2_score(y, prediction))
    case = rng.integers(0, 2, 300).astype(float)
    logit = np.round(case + rng.normal(size=300), 1)
    found = accuracy(case, {"a": logit}, "binary", one, [], 50, 1)
    assert found["auc"]["models"]["a"]["estimate"] == pytest.approx(roc_auc_score(case, logit))
    likelihood = np.sum(case * logit - np.log1p(np.exp(logit)))
    p = case.mean()
    null = 300 * (p * np.log(p) + (1 - p) * np.log(1 - p))
    expected = (1 - np.exp(2 * (null - likelihood) / 300)) / (1 - np.exp(2 * null / 300))
    assert found["r2_nagelkerke"]["models"]["a"]["estimate"] == pytest.approx(expected)


def test_weighted_auc_equals_people_repeated():
    rng = np.random.default_rng(9)
    y, score = rng.integers(0, 2, 80).astype(float), np.round(rng.normal(size=80), 1)
    weights = rng.integers(0, 4, (5, 80))
    found = weighted_auc(y, score, weights.astype(float))
    for row, value in zip(weights, found):
        assert value == pytest.approx(roc_auc_score(np.repeat(y, row), np.repeat(score, row)))


def test_intervals_cover_and_families_widen_them():
    """R2 of the true mean is known; intervals of 95 % hold it in 85 % of 60 cases at least (binomial p of fewer:
    below 0.002).
    """
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        mean = rng.normal(size=400)
        y = mean + rng.normal(size=400)
        found = accuracy(y, {"a": mean}, "quantitative", np.arange(400), [], 200, 1)["r2"]["models"]["a"]
        covered += found["low"] <= 0.5 <= found["high"]
    assert covered >= 51
    # everybody twice: without families the interval would be too narrow by the root of 2
    doubled, scores = np.r_[y, y], {"a": np.r_[mean, mean]}
    alone = accuracy(doubled, scores, "quantitative", np.arange(800), [], 500, 1)["r2"]["models"]["a"]
    family = accuracy(doubled, scores, "quantitative", np.tile(np.arange(400), 2), [], 500, 1)["r2"]["models"]["a"]
    ratio = (family["high"] - family["low"]) / (alone["high"] - alone["low"])
    assert ratio == pytest.approx(np.sqrt(2), rel=0.15)  # 500 resamples: about 4 % error of each width
