"""DeepNull: folds, purity, determinism, accuracy, failures."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from deepnull_gwas.deepnull import training
from deepnull_gwas.deepnull.crossfit import crossfit, parts_of
from deepnull_gwas.deepnull.folds import assign_folds, default_folds, derive_seed, original_folds, roles
from deepnull_gwas.deepnull.metrics import auc, measure
from deepnull_gwas.deepnull.models import FoldModel, People, fit_folds
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.penalised import fit_smooth
from deepnull_gwas.deepnull.protocol import Task
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.deepnull.smooth import Curve, logistic, natural_spline
from deepnull_gwas.deepnull.stacking import stack
from deepnull_gwas.deepnull.steps import (
    _join,
    assign_study_folds,
    inputs_of,
    load_model,
    merge_folds,
    network_columns,
    read_fold_file,
    train_folds,
)
from deepnull_gwas.errors import InputError, StudyFailure
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet

QUICK = Recipe(hidden=(16, 8), max_epochs=6, patience=3)


def fit_alone(x, y, part, columns, trait, recipe, seed) -> FoldModel:
    """Fit the models of one fold by themselves."""
    return fit_folds([People(x, y, part, seed)], columns, trait, recipe)[0][0]


def simulate(n: int, seed: int = 0, linear: bool = False, binary: bool = False):
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.uniform(40, 70, n), rng.integers(1, 3, n), rng.normal(size=(n, 3))])
    a = (x[:, 0] - 55) / 8.66
    truth = 0.4 * a + 0.3 * x[:, 1] + (0 if linear else 1.2 * a**2 * (x[:, 1] - 1.5) + np.sin(2 * x[:, 2]))
    if binary:
        return x, (truth - truth.mean() + rng.logistic(size=n) > 0).astype(float), truth
    return x, truth + rng.normal(size=n), truth


def folds_of(n: int, k: int = 5) -> np.ndarray:
    return assign_folds([f"p{i}" for i in range(n)], k, 1)


@pytest.mark.parametrize("model", ["linear", "second_order", "splines", "trees"])
@pytest.mark.parametrize(("power", "calibrate"), [(-150, True), (-150, False), (-40, False), (40, True), (150, True)])
def test_the_unit_of_the_phenotype_scales_the_prediction(tmp_path, model, power, calibrate):
    """Squared losses, and trees in single precision, would not hold 1e-100 or 1e100."""
    x, y, _ = simulate(200, 3)
    fold, unit = folds_of(200, 3), 10.0**power
    recipe = Recipe(calibrate=calibrate)
    plain, _, _ = crossfit(x, y, fold, recipe, 1, model=model, compare=False)
    other, each, results = crossfit(x, y * unit, fold, recipe, 1, model=model, compare=False)
    # a decimal power is no power of two: phenotypes differ in their last digit
    np.testing.assert_allclose(other / unit, plain, rtol=1e-6)
    if not calibrate or model == "linear":
        np.testing.assert_array_equal(each[model], other)
    for result in results:
        assert result.history["metrics"]["r2"] > -1
        result.model.save(tmp_path / "m.npz")
        saved = FoldModel.load(tmp_path / "m.npz").predict(x[result.rows])
        np.testing.assert_array_equal(saved, result.prediction)


def test_folds_are_even_and_depend_on_names_only():
    names = [f"p{i}" for i in range(1003)]
    fold = assign_folds(names, 5, 7)
    assert np.ptp(np.bincount(fold)) <= 1
    order = np.random.default_rng(1).permutation(1003)
    np.testing.assert_array_equal(assign_folds([names[i] for i in order], 5, 7), fold[order])
    assert (assign_folds(names, 5, 8) != fold).any()


def test_families_stay_together_and_cases_are_spread():
    rng = np.random.default_rng(2)
    groups = [f"f{i}" for i in rng.integers(0, 400, 1000)]
    case = (rng.random(1000) < 0.05).astype(int)
    fold = assign_folds([f"p{i}" for i in range(1000)], 5, 3, groups, case)
    assert pd.DataFrame({"g": groups, "f": fold}).groupby("g")["f"].nunique().max() == 1
    cases = np.bincount(fold[case == 1], minlength=5)
    assert np.ptp(cases) <= 2


def test_roles_part_everybody():
    fold = folds_of(100)
    for evaluated in range(5):
        train, validation, evaluation = roles(fold, evaluated, 5)
        np.testing.assert_array_equal(train.astype(int) + validation + evaluation, 1)
        assert set(fold[validation]) == {(evaluated - 1) % 5}


def test_seed_depends_on_names():
    assert derive_seed(1, "a", 2) != derive_seed(1, "a", 3)
    assert derive_seed(1, "a", 2) == derive_seed(1, "a", 2) < 2**63


def test_parts_are_whole_folds():
    fold = folds_of(200)
    for evaluated in range(5):
        part, others = parts_of(fold, evaluated, 5), fold[fold != evaluated]
        assert set(part) == set(range(4))
        assert pd.DataFrame({"p": part, "f": others}).groupby("f")["p"].nunique().max() == 1
    assert set(parts_of(folds_of(300, 3), 1, 3)) == {0, 1}
    ten = parts_of(folds_of(300, 10), 4, 10)
    assert set(ten) == set(range(5))


@pytest.mark.parametrize("binary", [False, True])
def test_own_value_and_that_of_a_relative_do_not_move_a_prediction(binary):
    """Out-of-fold purity: whatever happens to the phenotypes of a fold,
    its people's predictions by any model stay bit for bit.
    """
    x, y, _ = simulate(400, binary=binary)
    families = [f"f{i // 4}" for i in range(400)]
    fold = assign_folds([f"p{i}" for i in range(400)], 5, 1, families, y.astype(int) if binary else None)
    trait = "binary" if binary else "quantitative"
    before, each, _ = crossfit(x, y, fold, QUICK, 1, trait)
    changed = y.copy()
    # person 0 and their three relatives, who are in one fold, exchange their values with others of it
    same = np.flatnonzero(fold == fold[0])
    changed[same] = 1 - changed[same] if binary else np.random.default_rng(9).permutation(changed[same]) + 100
    assert (changed[:4] != y[:4]).all()
    after, each_after, _ = crossfit(x, changed, fold, QUICK, 1, trait)
    np.testing.assert_array_equal(before[same], after[same])
    assert set(each) == set(KINDS)
    for name in KINDS:
        np.testing.assert_array_equal(each[name][same], each_after[name][same])
        assert (each[name][fold != fold[0]] != each_after[name][fold != fold[0]]).any()


def test_same_bytes_whatever_the_number_of_threads():
    x, y, _ = simulate(500)
    fold = folds_of(500)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, _, _ = crossfit(x, y, fold, QUICK, 4)
        torch.set_num_threads(2)
        two, _, _ = crossfit(x, y, fold, QUICK, 4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert one.tobytes() == two.tobytes()
    other, _, _ = crossfit(x, y, fold, QUICK, 5)
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize("binary", [False, True])
def test_folds_trained_as_one_model_are_those_trained_alone(binary, monkeypatch):
    """As on a GPU, where networks of all folds and seeds are one batched model; here on the CPU."""
    x, y, _ = simulate(1000, binary=binary)
    # wide enough that folds stop at different epochs, and with dropout, which draws beside the batches
    recipe = Recipe(hidden=(16, 8), max_epochs=30, patience=2, learning_rate=0.03, dropout=0.1, weight_decay=0.0)
    fold, trait = folds_of(1000), "binary" if binary else "quantitative"
    alone = crossfit(x, y, fold, recipe, 3, trait, "network")
    real, batches = training.fit_networks, []

    def on_cpu(tasks, trait, recipe, device):
        batches.append(len(tasks))
        with monkeypatch.context() as here:
            here.setattr(training, "pick_device", lambda wanted: torch.device("cpu"))
            return real(tasks, trait, recipe, device)

    monkeypatch.setattr(training, "pick_device", lambda wanted: torch.device("cuda"))
    monkeypatch.setattr(training, "fit_networks", on_cpu)
    together = crossfit(x, y, fold, recipe, 3, trait, "network", device="cuda")
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


@pytest.mark.parametrize("k", [3, 5])
def test_trees_without_two_folds_are_boosted_once(k, monkeypatch):
    """The people without folds a and b are those without b and a."""
    from deepnull_gwas.deepnull import trees

    x, y, _ = simulate(300)
    boosted, real = [], trees.fit_trees
    monkeypatch.setattr(trees, "fit_trees", lambda *a: boosted.append(1) or real(*a))
    crossfit(x, y, folds_of(300, k), Recipe(calibrate=False), 1, model="trees", compare=False)
    # pairs of folds, and in each fold one a part for new people
    assert len(boosted) == k * (k - 1) // 2 + k * (k - 1)


def test_models_without_a_weight_are_fitted_for_the_comparison_only():
    x, y, _ = simulate(500)
    fold = folds_of(500)
    prediction, each, _ = crossfit(x, y, fold, QUICK, 1)
    alone, some, results = crossfit(x, y, fold, QUICK, 1, compare=False)
    np.testing.assert_array_equal(alone, prediction)
    assert set(each) == set(KINDS)
    assert any(w == 0 for r in results for w in r.history["weights"].values())
    for result in results:
        weighed = {name for name, weight in result.history["weights"].items() if weight}
        assert set(result.model.models) == {"linear"} | weighed
    for name, values in some.items():
        np.testing.assert_array_equal(values, each[name])


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


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("k", [3, 5])
def test_inner_predictions_have_seen_neither_the_fold_nor_the_persons_part(binary, k):
    """Whatever happens to the phenotypes of a part, what each model says of its people stays bit for bit:
    early stopping and penalties, too.
    """
    x, y, _ = simulate(400, binary=binary)
    trait, part = ("binary", "quantitative")[not binary], np.arange(400) % (k - 1)
    changed, own = y.copy(), part == 1
    changed[own] = 1 - y[own] if binary else np.random.default_rng(9).permutation(y[own]) + 10
    before, after = (inner_of(x, values, part, trait) for values in (y, changed))
    assert set(before) == set(KINDS)
    for name in KINDS:
        np.testing.assert_array_equal(before[name][own], after[name][own], err_msg=name)
        assert (before[name][~own] != after[name][~own]).any(), name


def inner_of(x, y, part, trait) -> dict[str, np.ndarray]:
    """Return the inner predictions of each model."""
    return fit_folds([People(x, y, part, 1)], list("abcde"), trait, QUICK)[0][1]["inner_each"]


def test_parts_hold_out_what_a_model_must_not_have_seen():
    case = (np.random.default_rng(1).random(403) < 0.1).astype(float)
    for count in (2, 3, 4, 5):
        parts = Parts.of(np.arange(403) % count, case)
        assert parts.count == count
        for j in range(count):
            assert not (parts.trains[:, j] & parts.stops[:, j]).any()
            assert not (parts.trains | parts.stops)[parts.part == j, j].any()
            # all others but the few who stop it
            assert parts.stops[:, j].sum() <= 0.25 * (parts.part != j).sum() + 1
            for who in (parts.trains, parts.stops):
                assert 0 < case[who[:, j]].sum() < who[:, j].sum()


@pytest.mark.parametrize("k", [3, 4, 5, 6, 7])
def test_two_folds_left_out_from_either_side_are_stopped_by_the_same_people(k):
    fold = folds_of(300, k)
    stops = {}
    for evaluated in range(min(k, 6)):
        outside, part = np.flatnonzero(fold != evaluated), parts_of(fold, evaluated, k)
        parts = Parts.of(part)
        for j in range(parts.count):
            (other,) = set(fold[outside[part == j]]) if parts.count == k - 1 else (-1,)
            stops[evaluated, other] = set(outside[parts.stops[:, j]])
    for (a, b), people in stops.items():
        # two folds that are opposite each other have no side that is nearer
        if b >= 0 and 2 * abs(a - b) != k:
            assert people == stops[b, a]


@pytest.mark.parametrize("linear", [False, True])
def test_noise_gets_no_weight_and_linear_effects_lose_nothing(linear):
    """Where covariates explain nothing, or act linearly, in 300 people:
    the models weigh little, and the arms are as good as equal.
    """
    weights, gains, ratios = [], [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(300, 5))
        y = rng.normal(size=300) + linear * x @ [0.3, 0.2, 0.2, 0.1, 0.0]
        prediction, each, results = crossfit(x, y, folds_of(300), QUICK, seed)
        weights += [sum(r.history["weights"].values()) for r in results]
        gains.append(np.subtract(*(measure(y, v, "quantitative")["r2"] for v in (prediction, each["linear"]))))
        # what the covariate costs or brings the test of a variant that has nothing to do with it
        q = np.linalg.qr(np.column_stack([np.ones(300), x]))[0]
        rest, d = (v - q @ (q.T @ v) for v in (y, prediction - each["linear"]))
        if d.any():
            ratios.append(rest @ rest / (rest @ rest - (d @ rest) ** 2 / (d @ d)) * 292 / 293 * 299 / 300)
    assert np.mean(weights) < 0.1
    # two standard errors of R2 between such predictions
    assert abs(np.mean(gains)) < 0.004
    assert np.mean(ratios or [1.0]) == pytest.approx(1, abs=0.01)


def test_standardised_without_the_predicted_people():
    x, y, _ = simulate(300)
    fold = folds_of(300)
    _, _, results = crossfit(x, y, fold, QUICK, 1)
    basis = results[2].model.models["linear"].basis
    np.testing.assert_allclose(basis.mean, x[fold != 2].mean(axis=0))
    np.testing.assert_allclose(basis.scale, x[fold != 2].std(axis=0))


def test_scale_of_covariates_and_constants_do_not_matter():
    x, y, _ = simulate(400)
    fold = folds_of(400)
    one, _, _ = crossfit(x, y, fold, QUICK, 1)
    other, _, results = crossfit(np.column_stack([x[:, 0] * 1000 + 5, x[:, 1:], np.full(400, 3.0)]), y, fold, QUICK, 1)
    assert results[0].history["kept"] == ["x0", "x1", "x2", "x3", "x4"]
    # float32 covariates differ in the last bit, and training amplifies it
    assert np.corrcoef(one, other)[0, 1] > 0.999


def test_a_covariate_without_variation_outside_a_part_is_left_out():
    """The only person of a site may be in any part: without them the site's column is constant."""
    x, y, _ = simulate(300)
    site = np.zeros(300)
    site[7] = 1
    prediction, _, results = crossfit(np.column_stack([x, site]), y, folds_of(300), QUICK, 1)
    assert all("x5" not in r.history["kept"] for r in results)
    assert np.isfinite(prediction).all()


def test_gains_where_effects_are_not_linear_and_loses_nothing_where_they_are():
    x, y, truth = simulate(3000, 1)
    fold = folds_of(3000)
    prediction, each, _ = crossfit(x, y, fold, Recipe(), 1)
    best = measure(y, truth, "quantitative")["r2"]
    ours, base = measure(y, prediction, "quantitative")["r2"], measure(y, each["linear"], "quantitative")["r2"]
    # nearly all of what there is to gain
    assert ours > base + 0.95 * (best - base)
    for values in each.values():
        assert ours > measure(y, values, "quantitative")["r2"] - 0.002
    x, y, _ = simulate(3000, 1, linear=True)
    prediction, each, _ = crossfit(x, y, fold, Recipe(), 1)
    # at 3,000 people, chance; docs/deepnull_architectures.md has the larger sizes
    assert measure(y, prediction, "quantitative")["r2"] > measure(y, each["linear"], "quantitative")["r2"] - 0.002


def test_binary_is_a_logit_and_gains():
    x, y, _ = simulate(4000, 2, binary=True)
    fold = assign_folds([f"p{i}" for i in range(4000)], 5, 1, stratum=y.astype(int))
    prediction, each, _ = crossfit(x, y, fold, Recipe(), 1, "binary")
    ours, base = measure(y, prediction, "binary"), measure(y, each["linear"], "binary")
    assert ours["auc"] > base["auc"] + 0.03
    assert ours["log_loss"] < base["log_loss"]
    assert prediction.min() < 0 < prediction.max()


def test_few_cases_lose_nothing_by_taking_the_linear_part_apart():
    """Logistic models are not orthogonal:
    the linear part has to be fitted beside what is not linear, and so have the weights.
    """
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6000, 4))
    logit = -4.5 + x @ [0.8, 0.5, 0.0, 0.0] + 0.8 * x[:, 0] ** 2 + 1.2 * np.sin(2 * x[:, 1])
    y = (rng.random(6000) < 1 / (1 + np.exp(-logit))).astype(float)
    assert 0.03 < y.mean() < 0.12
    fold = assign_folds([f"p{i}" for i in range(6000)], 5, 1, stratum=y.astype(int))
    prediction, each, results = crossfit(x, y, fold, QUICK, 1, "binary")
    r2 = {name: measure(y, v, "binary")["r2_mcfadden"] for name, v in (each | {"auto": prediction}).items()}
    assert r2["splines"] > r2["linear"] + 0.05
    # half of it for the noise of the weights
    assert r2["auto"] > r2["splines"] - 0.002 - 0.001
    # predicted and observed shares of cases agree, as those of a logistic model do
    assert np.mean(1 / (1 + np.exp(-prediction))) == pytest.approx(y.mean(), rel=0.01)
    for result in results:
        # the covariate has no linear part of its fold
        design = np.column_stack([np.ones(len(result.rows)), x[result.rows]])
        straight = design @ np.linalg.lstsq(design, result.covariate, rcond=None)[0]
        assert straight.std() < 0.2 * result.covariate.std()


@pytest.mark.parametrize("model", [*KINDS, "auto"])
def test_every_model_predicts_behind_one_interface(model):
    x, y, _ = simulate(300)
    prediction, each, results = crossfit(x, y, folds_of(300), QUICK, 1, model=model, compare=False)
    assert np.isfinite(prediction).all()
    if model not in ("auto", "network"):
        assert set(each) == {"linear", model}
        # its part beyond a straight line is weighed; without that it predicts alone
        assert all(0 <= r.history["weights"][model] <= 1 for r in results)
        alone = Recipe(hidden=(16, 8), max_epochs=6, patience=3, calibrate=False)
        alone, each, _ = crossfit(x, y, folds_of(300), alone, 1, model=model, compare=False)
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


def test_expected_failures():
    x, y, _ = simulate(100)
    part = np.arange(100) % 4
    one_case = np.r_[1.0, np.zeros(99)]
    with pytest.raises(StudyFailure, match="no cases"):
        fit_alone(x, one_case, part, list("abcde"), "binary", QUICK, 1)
    with pytest.raises(StudyFailure, match="no people"):
        fit_alone(x, y, np.zeros(100, dtype=int), list("abcde"), "quantitative", QUICK, 1)
    with pytest.raises(StudyFailure, match="constant"):
        fit_alone(x, np.ones(100), part, list("abcde"), "quantitative", QUICK, 1)
    with pytest.raises(StudyFailure, match="all covariates are constant"):
        fit_alone(x * 0, y, part, list("abcde"), "quantitative", QUICK, 1)
    with pytest.raises(StudyFailure, match="not finite"):
        fit_alone(x, y, part, list("abcde"), "quantitative", Recipe(learning_rate=1e30, max_epochs=20), 1)


def test_recipe_names_unknown_keys():
    assert Recipe.from_dict({"hidden": [8]}).hidden == (8,)
    with pytest.raises(InputError, match="did you mean 'patience'"):
        Recipe.from_dict({"patiense": 3})


def test_network_columns():
    columns = ["sample_index", "cov_age", "cov_PC1", "cov_PC10", "cov_PCR_plate"]
    assert network_columns(columns, True) == ["cov_age", "cov_PC1", "cov_PC10", "cov_PCR_plate"]
    assert network_columns(columns, False) == ["cov_age", "cov_PCR_plate"]


def study_files(folder, n=300, status="ok", binary=False, cases=None):
    x, y, _ = simulate(n, binary=binary)
    if cases is not None:
        y[:] = 0
        y[:cases] = 1
    frame = pd.DataFrame(
        {"sample_index": np.arange(n) * 2, "fid": "0", "iid": [f"p{i}" for i in range(n)], "phenotype": y}
    )
    frame[[f"cov_{c}" for c in "abcde"]] = x
    if status != "ok":
        frame = frame.iloc[:0]
    write_parquet(frame, folder / "samples.parquet")
    about = {
        "study": "s",
        "cohort": "c",
        "trait": "binary" if binary else "quantitative",
        "status": status,
        "stage": "assemble_study",
        "reason": "no people",
    }
    write_json(about, folder / "study.json")
    return frame


def all_steps(folder, settings):
    samples, study, folds = folder / "samples.parquet", folder / "study.json", folder / "folds.parquet"
    original = settings["recipe"] == "original"
    assign_study_folds(samples, study, settings["folds"], 1, folds, original=original)
    parts = [folder / name for name in ("by_model.parquet", "by_fold.json", "models.npz")]
    train_folds(samples, study, folds, settings, 1, *parts, folder / "inner.parquet")
    merge_folds(
        samples,
        study,
        folds,
        *parts,
        settings,
        folder / "prediction.parquet",
        folder / "metrics.json",
    )
    return read_json(folder / "metrics.json"), read_parquet(folder / "prediction.parquet")


SETTINGS = {"folds": 3, "use_pcs": True, "recipe": {"hidden": [8], "max_epochs": 3, "ensemble": 1}}


def test_steps_from_files_to_files(tmp_path):
    frame = study_files(tmp_path)
    metrics, prediction = all_steps(tmp_path, SETTINGS)
    assert metrics["status"] == "ok"
    np.testing.assert_array_equal(prediction["sample_index"], frame["sample_index"])
    assert prediction["deepnull_covariate"].notna().all()
    linear = read_parquet(tmp_path / "by_model.parquet").set_index("sample_index")["by_linear"]
    # the covariate is what the prediction adds to the linear model
    np.testing.assert_allclose(
        prediction["deepnull_covariate"] + linear.loc[prediction["sample_index"]].to_numpy(),
        prediction["phenotype_prediction"],
    )
    assert set(metrics["models"]) == set(KINDS)
    assert [c["name"] for c in metrics["dependence"]["covariates"]] == list("abcde")
    assert sum(b["people"] for b in metrics["calibration"]) == len(frame)
    assert metrics["constant_covariates"] == metrics["warnings"] == []
    # a saved fold gives the published predictions of its people
    model = load_model(tmp_path / "models.npz", 1)
    rows = prediction["fold"] == 1
    np.testing.assert_array_equal(
        model.predict(frame.loc[rows.to_numpy(), [f"cov_{c}" for c in "abcde"]].to_numpy()),
        prediction.loc[rows, "phenotype_prediction"],
    )


def test_nested_predictions_know_nothing_of_the_fold(tmp_path):
    frame = study_files(tmp_path, n=600)
    settings = SETTINGS | {"model": "auto"}
    all_steps(tmp_path, settings)
    before, fold = read_parquet(tmp_path / "inner.parquet"), read_parquet(tmp_path / "folds.parquet")["fold"].to_numpy()
    for f in range(3):
        np.testing.assert_array_equal(before[f"inner_{f}"].isna(), fold == f)
    changed = frame.copy()
    changed.loc[fold == 1, "phenotype"] += np.random.default_rng(1).normal(size=int((fold == 1).sum()))
    write_parquet(changed, tmp_path / "samples.parquet")
    all_steps(tmp_path, settings)
    after = read_parquet(tmp_path / "inner.parquet")
    np.testing.assert_array_equal(after["inner_1"], before["inner_1"])
    assert (after["inner_0"] != before["inner_0"])[fold != 0].any()


def test_a_failure_is_written_down_and_passed_on(tmp_path):
    for name, options, stage, words in (
        ("failed", {"status": "failed"}, "assemble_study", "no people"),
        ("few", {"binary": True, "cases": 2}, "train_folds", "no cases"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        study_files(folder, **options)
        metrics, prediction = all_steps(folder, SETTINGS)
        assert metrics["status"] == "failed"
        assert metrics["stage"] == stage
        assert words in metrics["reason"]
        assert len(prediction) == 0


def test_covariates_of_the_prediction_are_chosen_and_heritable_ones_named(tmp_path):
    study_files(tmp_path)
    metrics, _ = all_steps(tmp_path, SETTINGS | {"covariates": ["a", "b"], "heritable_covariates": ["b", "c"]})
    assert metrics["covariates"] == ["a", "b"]
    assert len(metrics["warnings"]) == 1
    assert "heritable covariates feed the prediction: b." in metrics["warnings"][0]
    info = {"covariates": [{"name": "site", "columns": ["cov_site[B]", "cov_site[C]"], "kind": "categorical"}]}
    columns = ["iid", "cov_age", "cov_site[B]", "cov_site[C]", "cov_PC1"]
    assert inputs_of(columns, info, {"covariates": ["site"]}) == ["cov_site[B]", "cov_site[C]", "cov_PC1"]
    assert inputs_of(columns, info, {"covariates": ["site"], "use_pcs": False}) == ["cov_site[B]", "cov_site[C]"]
    with pytest.raises(StudyFailure, match="no covariates"):
        inputs_of(columns, info, {"covariates": ["height"], "use_pcs": False})


@pytest.mark.parametrize("recipe", [SETTINGS["recipe"], "original"])
@pytest.mark.parametrize("binary", [False, True])
def test_covariates_of_the_prediction_alone(tmp_path, binary, recipe, monkeypatch):
    from deepnull_gwas.deepnull import original

    monkeypatch.setattr(original.fit_original, "__defaults__", ("cpu", 3))
    frame = study_files(tmp_path, n=600, binary=binary)
    # what acts linearly and most strongly is not in the association
    moved = frame.rename(columns={"cov_a": "deepnull_a"})
    write_parquet(moved, tmp_path / "samples.parquet")
    settings = SETTINGS | {"recipe": recipe, "covariates": ["a", "b"]}
    info = read_json(tmp_path / "study.json")
    about = {"covariates": [{"name": c, "columns": [f"cov_{c}"], "kind": "numeric"} for c in "bcde"]}
    about["deepnull_covariates"] = [{"name": "a", "columns": ["deepnull_a"], "kind": "numeric"}]
    write_json(info | about, tmp_path / "study.json")
    metrics, prediction = all_steps(tmp_path, settings)
    assert metrics["covariates"] == ["a", "b"]
    # the linear model to compare with is that of the baseline arm: without the column
    key = "auc" if binary else "r2"
    fold = prediction["fold"].to_numpy()
    x, y = moved[["cov_b"]].to_numpy(), moved["phenotype"].to_numpy()
    alone, _, _ = crossfit(x, y, fold, QUICK, 0, info["trait"], "linear", compare=False)
    assert metrics["linear"][key] == pytest.approx(measure(y, alone, info["trait"])[key], abs=1e-9)
    if recipe == "original":
        return
    assert metrics["models"]["linear"][key] > metrics["linear"][key] + 0.01
    # the linear part of what the association lacks stays in its covariate, and only that of what it has goes
    np.testing.assert_allclose(prediction["deepnull_covariate"], prediction["phenotype_prediction"] - alone, atol=1e-9)
    inner = read_parquet(tmp_path / "inner.parquet")
    for f in range(3):
        nested, own = inner[f"inner_{f}"][fold != f], prediction["deepnull_covariate"][fold != f]
        # of other models, each from 400 people or fewer, weighed by what chance makes of them
        assert np.corrcoef(nested, own)[0, 1] > (0.6 if binary else 0.8)


def test_a_prediction_without_any_covariate_of_the_association(tmp_path):
    frame = study_files(tmp_path, n=300)
    write_parquet(frame.rename(columns=lambda c: c.replace("cov_", "deepnull_")), tmp_path / "samples.parquet")
    metrics, prediction = all_steps(tmp_path, SETTINGS)
    assert metrics["linear"]["r2"] == pytest.approx(0, abs=0.1)  # means of other folds, 100 people each
    assert np.ptp(prediction["phenotype_prediction"] - prediction["deepnull_covariate"]) < 0.5
    assert metrics["deepnull"]["r2"] > 0.1


def test_a_level_that_only_one_fold_has_is_named_and_predicted_as_the_first(tmp_path):
    frame = study_files(tmp_path, n=300)
    all_steps(tmp_path, SETTINGS)
    fold = read_parquet(tmp_path / "folds.parquet")["fold"].to_numpy()
    frame["cov_site[D]"] = 0.0
    frame.loc[np.flatnonzero(fold == 1)[:5], "cov_site[D]"] = 1.0
    write_parquet(frame, tmp_path / "samples.parquet")
    metrics, prediction = all_steps(tmp_path, SETTINGS)
    assert metrics["constant_covariates"] == ["site[D]"]
    assert prediction["deepnull_covariate"].notna().all()
    model = load_model(tmp_path / "models.npz", 1)
    x = frame[[c for c in frame if c.startswith("cov_")]].to_numpy()
    as_first = x.copy()
    as_first[:, -1] = 0
    np.testing.assert_array_equal(model.predict(x[fold == 1]), model.predict(as_first[fold == 1]))


def test_folds_of_the_users_own(tmp_path):
    people = pd.DataFrame({"fid": ["0", "0", "f"], "iid": ["a", "b", "c"]})
    path = tmp_path / "folds.tsv"
    path.write_text("#IID\tfold\nc\t2\na\t0\nb\t1\nother\t1\n")
    assert read_fold_file(path, people, 3).tolist() == [0, 1, 2]
    path.write_text("FID,IID,fold\nf,c,2\n0,a,0\n0,b,1\n")
    assert read_fold_file(path, people, 3).tolist() == [0, 1, 2]
    for text, words in (
        ("IID\tpart\na\t0\n", "no column 'fold'"),
        ("IID\tfold\na\t0\nb\t3\nc\t1\n", "row 3: fold '3', expected a whole number from 0 to 2"),
        ("IID\tfold\na\t0\nb\t1\n", "1 of 3 people analysed have no fold \\(c\\)"),
        ("IID\tfold\na\t0\na\t1\n", "a is there more than once"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_fold_file(path, people, 3)


def test_the_original_recipe(tmp_path, monkeypatch):
    from deepnull_gwas.deepnull import original

    monkeypatch.setattr(original.fit_original, "__defaults__", ("cpu", 3))
    for binary in (False, True):
        folder = tmp_path / str(binary)
        folder.mkdir()
        frame = study_files(folder, binary=binary)
        metrics, prediction = all_steps(folder, {"folds": 3, "use_pcs": True, "recipe": "original"})
        assert metrics["status"] == "ok"
        assert metrics["model"] == "original"
        rows = prediction["fold"] == 1
        logits = load_model(folder / "models.npz", 1).predict(
            frame.loc[rows.to_numpy(), [f"cov_{c}" for c in "abcde"]].to_numpy()
        )
        # its covariate is the probability
        expected = 1 / (1 + np.exp(-logits)) if binary else logits
        np.testing.assert_allclose(prediction.loc[rows, "deepnull_covariate"], expected, rtol=1e-6)


def test_the_original_recipe_raises_where_the_original_goes_wrong():
    from deepnull_gwas.deepnull.original import fit_original, pearson

    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 1500))
    # batches of 1,024 and 476, averaged without regard to their size
    expected = (np.corrcoef(a[:1024], b[:1024])[0, 1] + np.corrcoef(a[1024:], b[1024:])[0, 1]) / 2
    assert pearson(a, b) == pytest.approx(expected)
    with pytest.raises(StudyFailure, match="leave one in the last batch"):
        pearson(a[:1025], b[:1025])
    with pytest.raises(StudyFailure, match="constant"):
        pearson(np.zeros(100), b[:100])
    x = rng.normal(size=(3075, 2))
    with pytest.raises(StudyFailure, match="leave one in the last batch"):
        fit_original(x, x[:, 0], np.repeat([0, 1, 2], 1025), 1, 3, ["a", "b"], "quantitative", 1, epochs=1)


def test_folds_of_the_original():
    """IDs sorted, shuffled by Python's generator, dealt out; whole numbers sort as numbers, as pandas reads them."""
    import random

    for ids, key in ((["b", "a10", "a9", "c", "10", "9"], str), (["12", "3", "100", "21", "7"], int)):
        order = sorted(ids, key=key)
        random.seed(318753108)
        random.shuffle(order)
        dealt = {name: i % 3 for i, name in enumerate(order)}
        assert original_folds(ids, 3, 318753108).tolist() == [dealt[name] for name in ids]


def test_steps_of_the_original_recipe_deal_its_folds(tmp_path):
    frame = study_files(tmp_path, n=60)
    assign_study_folds(
        *(tmp_path / f for f in ("samples.parquet", "study.json")), None, 5, tmp_path / "f", original=True
    )
    np.testing.assert_array_equal(read_parquet(tmp_path / "f")["fold"], original_folds(list(frame["iid"]), 5, 5))


def test_batches_of_the_original():
    from deepnull_gwas.deepnull.original import batches, buffered_order

    class Draws:
        """A generator whose draws are known."""

        def integers(self, low, high, size):
            return np.array([1, 1, 0, 2])[:size]

        def permutation(self, values):
            return np.asarray(values)[::-1]

    # a buffer of 3: person 1 is drawn and 3 takes the place, 3 is drawn (4), 0 (5), 2 (6); 5, 4, 6 are left
    assert buffered_order(7, Draws(), 3).tolist() == [1, 3, 0, 2, 6, 4, 5]
    rng = np.random.default_rng(1)
    for n in (5, 1024, 12_000):
        assert sorted(buffered_order(n, rng)) == list(range(n))
    # nobody is drawn before they are in the buffer
    assert (buffered_order(30_000, rng)[:15_000] < 25_000).all()
    few = list(itertools.islice(batches(300, rng), 3))
    assert [len(b) for b in few] == [1024] * 3
    together = np.concatenate(few)
    for i in range(10):
        # passes one after the other, everybody once in each, in new orders
        assert sorted(together[i * 300 : (i + 1) * 300]) == list(range(300))
    assert (together[:300] != together[300:600]).any()


def test_number_of_folds_where_none_is_set(tmp_path):
    y = np.zeros(1999)
    assert default_folds(y, "quantitative") == 10
    assert default_folds(np.zeros(2000), "quantitative") == default_folds(np.zeros(90), "quantitative") == 5
    assert default_folds(y, "quantitative", original=True) == 5
    y[:49] = 1
    assert default_folds(y, "binary") == 5
    y[:50] = 1
    assert default_folds(y, "binary") == 10
    study_files(tmp_path, n=120)
    files = [tmp_path / f for f in ("samples.parquet", "study.json")]
    assign_study_folds(*files, None, 1, tmp_path / "f")
    assert read_parquet(tmp_path / "f")["fold"].max() == 9
    # a table of the user's own says it itself
    (tmp_path / "own").write_text("IID\tfold\n" + "".join(f"p{i}\t{i % 4}\n" for i in range(120)))
    assign_study_folds(*files, None, 1, tmp_path / "f", fold_file=tmp_path / "own")
    assert read_parquet(tmp_path / "f")["fold"].max() == 3
    (tmp_path / "own").write_text("IID\tfold\n" + "".join(f"p{i}\t{i % 2}\n" for i in range(120)))
    with pytest.raises(InputError, match="folds 0, 1, expected three or more"):
        assign_study_folds(*files, None, 1, tmp_path / "f", fold_file=tmp_path / "own")


def test_the_log_says_fold_by_fold_what_was_reached(tmp_path, caplog):
    import logging

    study_files(tmp_path)
    with caplog.at_level(logging.INFO, logger="deepnull_gwas"):
        all_steps(tmp_path, SETTINGS)
    lines = [r.getMessage() for r in caplog.records]
    assert not [line for line in lines if "{" in line or "[" in line]
    assert "300 people, 0 families of more than one; 3 folds of 100 to 100 people" in lines
    for f in (1, 2, 3):
        assert f"fold {f} of 3: models of 200 people for 100" in lines
        (said,) = [line for line in lines if line.startswith(f"fold {f} of 3: R2 ")]
        assert re.search(
            r"correlation .* out of fold \(linear: R2 .*; weights beside the linear model: |the linear model alone",
            said,
        )
        assert (" left" in said) == (f < 3)
    for name in ("linear", "second order", "splines", "trees", "network"):
        assert sum(line.startswith(f"{name}: R2 ") for line in lines) == 3
        assert sum(line.startswith(f"  {name}") for line in lines) == 1


def test_where_only_the_linear_model_helps_the_covariate_is_nothing(tmp_path):
    study_files(tmp_path)
    _, prediction = all_steps(tmp_path, SETTINGS | {"model": "linear", "compare": False})
    assert (prediction["deepnull_covariate"] == 0).all()
    assert prediction["phenotype_prediction"].std() > 0


def test_families_found_by_kinship_join_those_of_the_fid():
    groups = np.array(["a", "a", "b", "c", "d", "e"], dtype=object)
    families = pd.DataFrame({"sample_index": [10, 11, 12, 13, 14], "family": [1, 2, 1, 3, 3]})
    joined = _join(groups, families, pd.Series([10, 11, 12, 13, 14, 15]))
    # a and b share family 1, c and d family 3; e is in no family
    assert joined[0] == joined[1] == joined[2]
    assert joined[3] == joined[4]
    assert len(set(joined)) == 3
