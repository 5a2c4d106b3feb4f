"""The models of a fold against scipy, numpy and scikit-learn, and behind one interface."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from deepnull_cases import QUICK, fit_alone, folds_of, simulate
from deepnull_gwas.deepnull import training
from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.fitting import Choice
from deepnull_gwas.deepnull.metrics import auc, measure
from deepnull_gwas.deepnull.models import FoldModel
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.penalised import fit_smooth
from deepnull_gwas.deepnull.protocol import Task
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.deepnull.smooth import Curve, logistic, natural_spline
from deepnull_gwas.deepnull.stacking import stack
from deepnull_gwas.deepnull.steps import network_columns
from deepnull_gwas.errors import InputError


@pytest.mark.parametrize("model", ["linear", "second_order", "splines", "trees"])
@pytest.mark.parametrize(("power", "calibrate"), [(-150, True), (-150, False), (-40, False), (40, True), (150, True)])
def test_the_unit_of_the_phenotype_scales_the_prediction(tmp_path, model, power, calibrate):
    """Squared losses, and trees in single precision, would not hold 1e-100 or 1e100."""
    x, y, _ = simulate(200, 3)
    fold, unit = folds_of(200, 3), 10.0**power
    recipe = Recipe(calibrate=calibrate)
    plain, _, _ = crossfit(x, y, fold, recipe, 1, choice=Choice(model, compare=False))
    other, each, results = crossfit(x, y * unit, fold, recipe, 1, choice=Choice(model, compare=False))
    # a decimal power is no power of two: phenotypes differ in their last digit
    np.testing.assert_allclose(other / unit, plain, rtol=1e-6)
    if not calibrate or model == "linear":
        np.testing.assert_array_equal(each[model], other)
    for result in results:
        assert result.history["metrics"]["r2"] > -1
        result.model.save(tmp_path / "m.npz")
        saved = FoldModel.load(tmp_path / "m.npz").predict(x[result.rows])
        np.testing.assert_array_equal(saved, result.prediction)


@pytest.mark.parametrize("binary", [False, True])
def test_folds_trained_as_one_model_are_those_trained_alone(binary, monkeypatch):
    """As on a GPU, where networks of all folds and seeds are one batched model; here on the CPU."""
    x, y, _ = simulate(1000, binary=binary)
    # wide enough that folds stop at different epochs, and with dropout, which draws beside the batches
    recipe = Recipe(hidden=(16, 8), max_epochs=30, patience=2, learning_rate=0.03, dropout=0.1, weight_decay=0.0)
    fold, trait = folds_of(1000), "binary" if binary else "quantitative"
    alone = crossfit(x, y, fold, recipe, 3, trait, Choice("network", compare=False))
    real, batches = training.fit_networks, []

    def on_cpu(tasks, trait, recipe, device):
        batches.append(len(tasks))
        with monkeypatch.context() as here:
            here.setattr(training, "pick_device", lambda wanted: torch.device("cpu"))
            return real(tasks, trait, recipe, device)

    monkeypatch.setattr(training, "pick_device", lambda wanted: torch.device("cuda"))
    monkeypatch.setattr(training, "fit_networks", on_cpu)
    together = crossfit(x, y, fold, recipe, 3, trait, Choice("network", compare=False), device="cuda")
    # once without each part, once for new people
    assert batches == [5, 5]
    epochs = [[r.history[k] for k in ("taken", "epochs")] for r in alone[2]]
    assert len({len(e) for _, e in epochs}) > 1
    assert [r.history["taken"] for r in together[2]] == [taken for taken, _ in epochs]
    assert [len(r.history["epochs"]) for r in together[2]] == [len(e) for _, e in epochs]
    # sums of float32 in another order, carried through the epochs
    np.testing.assert_allclose(together[0], alone[0], atol=1e-4 * np.std(alone[0]))


def test_natural_splines_against_scipy():
    from scipy.interpolate import CubicSpline

    knots = np.array([-2.0, -0.5, 0.3, 1.0, 2.5])
    at = np.linspace(-2, 2.5, 50)
    for k in range(5):
        expected = CubicSpline(knots, np.eye(5)[k], bc_type="natural")
        np.testing.assert_allclose(natural_spline(at, knots)[:, k], expected(at), atol=1e-12)
        # straight beyond the outer knots
        np.testing.assert_allclose(
            natural_spline(np.array([-4.0, 5.0]), knots)[:, k],
            [expected(-2) - 2 * expected(-2, 1), expected(2.5) + 2.5 * expected(2.5, 1)],
            atol=1e-12,
        )


def test_curves_are_uncorrelated_with_each_other_and_with_the_straight_line():
    z = np.random.default_rng(1).normal(size=3000)
    curve = Curve.of(z, 0)
    functions = curve.functions(z)
    np.testing.assert_allclose(functions.T @ functions / 3000, np.eye(functions.shape[1]), atol=1e-6)
    np.testing.assert_allclose(functions.T @ np.column_stack([np.ones(3000), z]) / 3000, 0, atol=1e-6)
    assert (np.diff(curve.roughness) > 0).all()
    assert Curve.of(np.repeat([0.0, 1.0, 2.0], 5), 0) is None


def test_linear_models_against_numpy_and_sklearn():
    x, y, _ = simulate(800)
    part = np.arange(800) % 4
    parts = Parts.of(part)
    fit = fit_smooth("linear", x, y, parts, "quantitative")
    model, inner = fit.model, fit.inner
    design = np.column_stack([np.ones(800), x])
    expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    # the ridge of 1e-6 moves them by about as much
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4, atol=1e-4)
    train = part != 2
    expected = design @ np.linalg.lstsq(design[train], y[train], rcond=None)[0]
    np.testing.assert_allclose(inner[~train], expected[~train], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(fit.without[2].predict(x), expected, rtol=1e-4, atol=1e-4)
    # and without the piece that stops what starts from there
    train &= ~parts.stops[:, 2]
    expected = design @ np.linalg.lstsq(design[train], y[train], rcond=None)[0]
    np.testing.assert_allclose(fit.start[:, 2], expected, rtol=1e-4, atol=1e-4)
    x, y, _ = simulate(800, binary=True)
    z = (x - x.mean(0)) / x.std(0)
    fit = fit_smooth("linear", x, y, Parts.of(part, y), "binary")
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(z, y)
    np.testing.assert_allclose(fit.model.predict(x), other.decision_function(z), rtol=1e-3, atol=1e-3)
    train = part != 2
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(z[train], y[train])
    np.testing.assert_allclose(fit.without[2].predict(x), other.decision_function(z), rtol=1e-3, atol=1e-3)
    # a covariate that separates cases from controls stays finite
    design = np.column_stack([np.ones(800), z, y * 2 - 1])
    assert np.isfinite(logistic(design, y, np.full(6, 1e-6))).all()


@pytest.mark.parametrize("binary", [False, True])
def test_arrays_of_trees_predict_as_scikit_learn_does(binary, monkeypatch):
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from deepnull_gwas.deepnull import trees

    x, y, _ = simulate(600, binary=binary)
    parts = Parts.of(np.arange(600) % 2, y if binary else None)
    # no early stopping to speak of, so that the library and the arrays have the same trees
    monkeypatch.setitem(trees.SETTINGS, "max_iter", 7)
    monkeypatch.setitem(trees.SETTINGS, "max_leaf_nodes", 4)
    mean, scale, trait = x.mean(axis=0), x.std(axis=0), "binary" if binary else "quantitative"
    task = Task(x, y, (x - mean) / scale, mean, scale, parts, trait, QUICK, 1)
    (inner,) = trees.TREES.fit_inner([task])
    (fit,) = trees.TREES.fit([task], [inner])
    kind = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
    expected = []
    for j in range(2):
        other = kind(**trees.SETTINGS, early_stopping=True, random_state=0)
        # who predicts new people is kept from those that stop it only
        whole = parts.piece == parts.pieces(j)[0]
        for trains, stops in ((parts.trains[:, j], parts.stops[:, j]), (~whole, whole)):
            other.fit(x[trains], y[trains], X_val=x[stops], y_val=y[stops])
            expected.append(other.decision_function(x) if binary else other.predict(x))
        own = parts.part == j
        np.testing.assert_allclose(inner.without[j].predict(x), expected[-2], rtol=1e-12)
        np.testing.assert_array_equal(inner.prediction[own], inner.without[j].predict(x[own]))
        assert fit.about["trees"][j] == 7
    np.testing.assert_allclose(fit.model.predict(x), np.mean(expected[1::2], axis=0), rtol=1e-12)


def test_stack_takes_what_helps_and_nothing_else():
    rng = np.random.default_rng(3)
    truth, noise = rng.normal(size=4000), rng.normal(size=4000)
    y = truth + noise
    linear = 0.3 * truth
    weights = stack(
        y, linear, np.column_stack([truth, rng.normal(size=4000), linear + 0.01 * noise[::-1]]), "quantitative"
    )
    assert weights[0] > 0.9
    assert weights[1] < 0.05
    assert weights.sum() <= 1 + 1e-9
    # nothing to gain
    assert not stack(y, truth, (truth + 0.3 * rng.normal(size=4000))[:, None], "quantitative").any()
    case = (truth + rng.logistic(size=4000) > 0).astype(float)
    assert stack(case, 0.3 * truth, truth[:, None], "binary")[0] > 0.9


@pytest.mark.parametrize("model", [*KINDS, "auto"])
def test_every_model_predicts_behind_one_interface(model):
    x, y, _ = simulate(300)
    prediction, each, results = crossfit(x, y, folds_of(300), QUICK, 1, choice=Choice(model, compare=False))
    assert np.isfinite(prediction).all()
    if model not in ("auto", "network"):
        assert set(each) == {"linear", model}
        # its part beyond a straight line is weighed; without that it predicts alone
        assert all(0 <= r.history["weights"][model] <= 1 for r in results)
        alone = Recipe(hidden=(16, 8), max_epochs=6, patience=3, calibrate=False)
        alone, each, _ = crossfit(x, y, folds_of(300), alone, 1, choice=Choice(model, compare=False))
        np.testing.assert_array_equal(alone, each[model])
    assert model in ("auto", "trees") or "trees" not in results[0].model.models


def test_measures_against_sklearn():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 500).astype(float)
    score = np.round(y + rng.normal(size=500), 1)
    assert auc(y, score) == pytest.approx(roc_auc_score(y, score))
    assert measure(y, score, "binary")["log_loss"] == pytest.approx(log_loss(y, 1 / (1 + np.exp(-score))))


def test_saved_model_predicts_the_same_without_pickle(tmp_path):
    x, y, _ = simulate(400)
    model = fit_alone(x, y, np.arange(400) % 4, list("abcde"), "quantitative", QUICK, 1)
    model.save(tmp_path / "m.npz")
    again = FoldModel.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(InputError, match="trained on 5: a, b, c, d, e"):
        again.predict(x[:, :3])
    np.savez(tmp_path / "bad.npz", head=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        FoldModel.load(tmp_path / "bad.npz")


def test_recipe_names_unknown_keys():
    assert Recipe.from_dict({"hidden": [8]}).hidden == (8,)
    with pytest.raises(InputError, match="did you mean 'patience'"):
        Recipe.from_dict({"patiense": 3})


def test_network_columns():
    columns = ["sample_index", "cov_age", "cov_PC1", "cov_PC10", "cov_PCR_plate"]
    assert network_columns(columns, True) == ["cov_age", "cov_PC1", "cov_PC10", "cov_PCR_plate"]
    assert network_columns(columns, False) == ["cov_age", "cov_PCR_plate"]
