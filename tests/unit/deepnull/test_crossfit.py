"""Cross-fitting: purity, determinism, what is gained and what is not lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepnull_cases import QUICK, fit_alone, folds_of, simulate
from deepnull_gwas.deepnull.crossfit import crossfit, parts_of
from deepnull_gwas.deepnull.fitting import Choice, People, fit_folds
from deepnull_gwas.deepnull.folds import assign_folds
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.errors import StudyFailure


@pytest.mark.parametrize("binary", [False, True])
def test_own_value_and_that_of_a_relative_do_not_move_a_prediction(binary):
    """Out-of-fold purity: whatever happens to the phenotypes of a fold,
    its people's predictions by any model stay bit for bit.
    """
    x, y, _ = simulate(400, binary=binary)
    families = [f"f{i // 4}" for i in range(400)]
    fold = assign_folds([f"p{i}" for i in range(400)], 3, 1, families, y.astype(int) if binary else None)
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
    fold = folds_of(500, 3)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, _, _ = crossfit(x, y, fold, QUICK, 4, choice=Choice(compare=False))
        torch.set_num_threads(2)
        two, _, _ = crossfit(x, y, fold, QUICK, 4, choice=Choice(compare=False))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert one.tobytes() == two.tobytes()
    other, _, _ = crossfit(x, y, fold, QUICK, 5, choice=Choice(compare=False))
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize("k", [3, 5])
def test_trees_without_two_folds_are_boosted_once(k, monkeypatch):
    """The people without folds a and b are those without b and a."""
    from deepnull_gwas.deepnull import trees

    x, y, _ = simulate(300)
    boosted, real = [], trees.fit_trees
    monkeypatch.setattr(trees, "fit_trees", lambda *a: boosted.append(1) or real(*a))
    crossfit(x, y, folds_of(300, k), Recipe(calibrate=False), 1, choice=Choice("trees", compare=False))
    # pairs of folds, and in each fold one per part for new people
    assert len(boosted) == k * (k - 1) // 2 + k * (k - 1)


def test_models_without_a_weight_are_fitted_for_the_comparison_only():
    x, y, _ = simulate(500)
    fold = folds_of(500)
    prediction, each, _ = crossfit(x, y, fold, QUICK, 1)
    alone, some, results = crossfit(x, y, fold, QUICK, 1, choice=Choice(compare=False))
    np.testing.assert_array_equal(alone, prediction)
    assert set(each) == set(KINDS)
    assert any(w == 0 for r in results for w in r.history["weights"].values())
    for result in results:
        weighed = {name for name, weight in result.history["weights"].items() if weight}
        assert set(result.model.models) == {"linear"} | weighed
    for name, values in some.items():
        np.testing.assert_array_equal(values, each[name])


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
        prediction, each, results = crossfit(x, y, folds_of(300), QUICK, seed, choice=Choice(compare=False))
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
    _, _, results = crossfit(x, y, fold, QUICK, 1, choice=Choice(compare=False))
    basis = results[2].model.models["linear"].basis
    np.testing.assert_allclose(basis.mean, x[fold != 2].mean(axis=0))
    np.testing.assert_allclose(basis.scale, x[fold != 2].std(axis=0))


def test_scale_of_covariates_and_constants_do_not_matter():
    x, y, _ = simulate(400)
    fold = folds_of(400, 3)
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
    # of three folds each model is trained nine times, of five 25 times, on more people
    fold = folds_of(3000, 3)
    prediction, each, _ = crossfit(x, y, fold, Recipe(), 1)
    best = measure(y, truth, "quantitative")["r2"]
    ours, base = measure(y, prediction, "quantitative")["r2"], measure(y, each["linear"], "quantitative")["r2"]
    # nearly all of what there is to gain
    assert ours > base + 0.95 * (best - base)
    for values in each.values():
        assert ours > measure(y, values, "quantitative")["r2"] - 0.002
    x, y, _ = simulate(3000, 1, linear=True)
    prediction, each, _ = crossfit(x, y, fold, Recipe(), 1, choice=Choice(compare=False))
    # at 3,000 people, chance; docs/deepnull_architectures.md has the larger sizes
    assert measure(y, prediction, "quantitative")["r2"] > measure(y, each["linear"], "quantitative")["r2"] - 0.002


def test_binary_is_a_logit_and_gains():
    x, y, _ = simulate(4000, 2, binary=True)
    fold = assign_folds([f"p{i}" for i in range(4000)], 3, 1, stratum=y.astype(int))
    prediction, each, _ = crossfit(x, y, fold, Recipe(), 1, "binary", choice=Choice(compare=False))
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
