"""The Gaussian process against its definitions: kernel, likelihood, exact regression, penalised logistic regression."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from deepnull_cases import QUICK, folds_of
from deepnull_gwas.deepnull import gaussian_process, likelihood, process_features, process_on_gpu
from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.fitting import Choice
from deepnull_gwas.deepnull.gaussian_process import GAUSSIAN_PROCESS, ProcessModel, find
from deepnull_gwas.deepnull.kernel import ATOMS, STRAIGHT, Hyper, Scale, between, prepare
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.process_features import FLAT, Features
from deepnull_gwas.deepnull.protocol import Task
from deepnull_gwas.deepnull.smooth import FAR, chunks
from deepnull_gwas.deepnull.smooth_kinds import LINEAR
from deepnull_gwas.errors import InputError, StudyFailure

ALONE = Choice("gaussian_process", compare=False)
HYPER = Hyper(np.array([0.8, 0.3, 0.0, 0.5]), np.array([0.7, 1.0, 1.0, 2.0]), np.array([1.0, 0.6, 0.4]), 0.5)


def people(n: int, seed: int = 1) -> np.ndarray:
    """Draw covariates of light tails, of two values, of heavy tails, and with many zeros."""
    rng = np.random.default_rng(seed)
    zeros = np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0, 4, n))
    return np.column_stack([rng.uniform(40, 70, n), rng.integers(1, 3, n), np.exp(2 * rng.normal(size=n)), zeros])


def test_scale_is_standardised_and_straight_unless_tails_are_heavy():
    x = people(2000)
    scale = Scale.of(x)
    z = scale(x, np.arange(4))
    np.testing.assert_allclose(z.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(scale.two, [False, True, False, False])
    np.testing.assert_allclose(z[0], (x[:, 0] - x[:, 0].mean()) / x[:, 0].std(), atol=1e-5)
    # normal scores, whatever the covariate's own scale
    assert np.abs(z[2]).max() < 4
    assert np.corrcoef(z[2], np.log(x[:, 2]))[0, 1] > 0.995
    # values are held where nothing was learned beyond
    far = np.array([[1000.0, 2.0, 1e30, 1e9]])
    np.testing.assert_allclose(scale(far, np.arange(4))[:, 0], z.max(axis=1), rtol=1e-6)


def test_kernel_is_the_sum_over_one_two_and_three_covariates_each_orthogonal_to_the_others():
    x = people(300)
    scale = Scale.of(x)
    z = scale(x, HYPER.used)
    some = prepare(z, scale, HYPER)
    kernel = between(some, some, HYPER.order)

    def of_one(i: int, j: int) -> np.ndarray:
        a = z[i].astype(float)
        if scale.two[j]:
            return HYPER.amplitude[j] * np.outer(a, a)
        bell = lambda u, v: np.exp(-0.5 * (u[:, None] - v) ** 2 / HYPER.length[j] ** 2)  # noqa: E731
        atoms = scale.atoms[j].astype(float)
        mean, whole = bell(a, atoms).mean(axis=1), bell(atoms, atoms).mean()
        return HYPER.amplitude[j] * (bell(a, a) - np.outer(mean, mean) / whole + STRAIGHT * np.outer(a, a))

    each = [of_one(i, j) for i, j in enumerate(HYPER.used)]
    expected = sum(
        HYPER.order[d - 1] * np.prod(chosen, axis=0) for d in (1, 2, 3) for chosen in itertools.combinations(each, d)
    )
    np.testing.assert_allclose(kernel, expected, atol=2e-5)
    # no effect of a single covariate has a mean under its density
    only = Hyper(np.array([0.8, 0.0, 0.0, 0.0]), HYPER.length, np.array([1.0, 0.0, 0.0]), 0.5)
    density = prepare(scale.atoms[:1], scale, only)
    straight = STRAIGHT * 0.8 * np.outer(scale.atoms[0], scale.atoms[0])
    np.testing.assert_allclose((between(density, density, only.order) - straight).mean(axis=0), 0, atol=1e-6)
    assert len(scale.atoms[0]) == ATOMS


@pytest.mark.parametrize("kept", [0, 10**8])
def test_gradient_of_the_likelihood_is_that_of_differences_and_the_value_that_of_its_definition(kept, monkeypatch):
    monkeypatch.setattr(likelihood, "_KEPT", kept)
    x, rng = people(90), np.random.default_rng(2)
    y, scale = rng.normal(size=90), Scale.of(x)
    search = likelihood._Likelihood(scale(x, np.arange(4)), y, scale, np.array([0, 1, 3]))
    theta = np.log([0.8, 0.3, 0.5, 0.7, 1.0, 2.0, 0.6, 0.4, 0.5])
    value, gradient = search.value(theta)
    for i, slope in enumerate(gradient):
        step = np.zeros(9)
        step[i] = 0.02
        difference = (search.value(theta + step)[0] - search.value(theta - step)[0]) / 0.04
        assert slope == pytest.approx(difference, rel=0.01, abs=0.02)
    ones = prepare(scale(x, HYPER.used), scale, HYPER)
    covariance = between(ones, ones, HYPER.order) + (0.5 + likelihood._JITTER) * np.eye(90)
    expected = 0.5 * y @ np.linalg.solve(covariance, y) + 0.5 * np.linalg.slogdet(covariance)[1]
    prior, _ = search._with_prior(0.0, np.zeros(9), theta)
    assert value - prior == pytest.approx(expected, abs=1e-3)


def test_with_all_people_as_points_the_prediction_is_that_of_exact_regression(monkeypatch):
    x, rng = people(240), np.random.default_rng(3)
    y = np.sin(x[:, 0]) + rng.normal(size=240)
    parts = Parts.of(np.arange(240) % 2)
    features = Features.of(x, Scale.of(x), HYPER, 10**9)
    process = gaussian_process._Process(b"", features, 0.0, 1.0)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    task = Task(x, y, (x - mean) / spread, mean, spread, parts, "quantitative", QUICK, 1)
    solved = gaussian_process._least_squares(task, process, [0, -1])
    for j, train in ((0, parts.part != 0), (-1, np.ones(240, dtype=bool))):
        ones = prepare(features.scale(x, HYPER.used), features.scale, HYPER)
        kernel = between(ones, ones, HYPER.order).astype(float)
        lines = np.clip((x - features.mean) / features.spread, -FAR, FAR)
        # the intercept is as good as free
        kernel += FLAT * lines @ lines.T + 1e6
        expected = kernel[:, train] @ np.linalg.solve(
            kernel[np.ix_(train, train)] + 0.5 * np.eye(train.sum()), y[train]
        )
        predicted = ProcessModel([features], [solved.beta[j]]).predict(x)
        np.testing.assert_allclose(predicted, expected, atol=5e-3 * y.std())


def test_binary_coefficients_are_those_of_penalised_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    x, rng = people(600), np.random.default_rng(4)
    y = (rng.random(600) < 1 / (1 + np.exp(1.5 - 2 * np.sin(x[:, 0] / 4)))).astype(float)
    parts, (mean, spread) = Parts.of(np.arange(600) % 3, y), (x.mean(axis=0), x.std(axis=0))
    task = Task(x, y, (x - mean) / spread, mean, spread, parts, "binary", QUICK, 1)
    (task.inner["linear"],) = LINEAR.fit_inner([task])
    features = Features.of(x[:150], Scale.of(x), HYPER, 600)
    solved = gaussian_process._maximum_likelihood(task, gaussian_process._Process(b"", features, 0.3, 0.45), [1, -1])
    # the prior of the lines is wider, so the columns are
    values = np.vstack([v for _, v in features.evaluate(x)])[:, :-1].astype(float)
    values[:, -4:] *= np.sqrt(FLAT)
    for j, train in ((1, parts.part != 1), (-1, parts.part >= 0)):
        other = LogisticRegression(C=1 / 0.45**2, tol=1e-8, max_iter=200, solver="newton-cholesky")
        other.fit(values[train], y[train])
        predicted = ProcessModel([features], [solved.beta[j]]).predict(x)
        np.testing.assert_allclose(predicted, other.decision_function(values), atol=0.02)


def test_few_cases_find_hyperparameters_with_as_many_controls():
    x, rng = people(4000), np.random.default_rng(5)
    y = (rng.random(4000) < 0.02).astype(float)
    seen = []
    real = gaussian_process.most_likely
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gaussian_process, "SEARCHED", 100)
        patch.setattr(gaussian_process, "most_likely", lambda x, y, scale: seen.append(y) or real(x, y, scale))
        find(x, y, "binary", b"")
        find(x[:90], np.arange(90) < 3, "binary", b"")
    assert [len(y) for y in seen] == [100, 90]
    assert (seen[0] > 0).sum() == 50
    assert (seen[1] > 2).sum() == 3


def test_fast_effects_and_products_of_three_are_found():
    rng = np.random.default_rng(6)
    x = np.column_stack([rng.uniform(-1, 1, 900), rng.normal(size=(900, 3))])
    wave, product = np.sin(3 * np.pi * x[:, 0]), x[:, 1] * np.sin(2 * x[:, 2]) * x[:, 3]
    for truth, least in ((wave, 0.42), (product, 0.25)):
        y = truth / truth.std() + rng.normal(size=900)
        prediction, each, results = crossfit(x, y, folds_of(900, 3), QUICK, 1, choice=ALONE)
        assert measure(y, each["gaussian_process"], "quantitative")["r2"] > least
        assert measure(y, prediction, "quantitative")["r2"] > least
        assert all(r.history["weights"]["gaussian_process"] > 0.8 for r in results)


@pytest.mark.parametrize(("k", "searches"), [(3, 3), (5, 5), (6, 12)])
def test_folds_share_what_the_same_people_found(k, searches, monkeypatch):
    """With five folds each pair of neighbours serves two folds; of six, two or three do."""
    x, found = people(300), []
    y, real = np.random.default_rng(7).normal(size=300), gaussian_process.find
    monkeypatch.setattr(gaussian_process, "find", lambda *a: found.append(1) or real(*a))
    monkeypatch.setattr(likelihood, "_FIRST", (2, 2))
    monkeypatch.setattr(likelihood, "_THEN", 2)
    crossfit(x, y, folds_of(300, k), QUICK, 1, choice=ALONE)
    assert len(found) == searches


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_same_bytes_whatever_the_number_of_threads_of_the_linear_algebra(trait, monkeypatch):
    monkeypatch.setattr(likelihood, "_FIRST", (4, 4))
    monkeypatch.setattr(likelihood, "_THEN", 3)
    x, rng = people(700), np.random.default_rng(8)
    y = np.sin(x[:, 0]) + rng.normal(size=700)
    y = (y > 0).astype(float) if trait == "binary" else y
    with threadpool_limits(1):
        one, _, _ = crossfit(x, y, folds_of(700, 3), QUICK, 1, trait, ALONE)
    with threadpool_limits(2):
        two, _, results = crossfit(x, y, folds_of(700, 3), QUICK, 1, trait, ALONE)
        again = results[0].model.predict(x[results[0].rows])
    assert one.tobytes() == two.tobytes()
    assert again.tobytes() == results[0].prediction.tobytes()


def test_where_effects_are_straight_or_none_it_is_the_linear_model():
    x, rng = people(500), np.random.default_rng(9)
    for slope in (0.0, 0.08):
        y = slope * x[:, 0] + rng.normal(size=500)
        process = find(x, y, "quantitative", b"")
        assert not process.features.hyper.amplitude.any()
        mean, spread = x.mean(axis=0), x.std(axis=0)
        task = Task(x, y, (x - mean) / spread, mean, spread, Parts.of(np.arange(500) % 2), "quantitative", QUICK, 1)
        solved = gaussian_process._least_squares(task, process, [-1])
        model = ProcessModel([process.features], [solved.beta[-1]])
        (linear,) = LINEAR.fit_inner([task])
        np.testing.assert_allclose(model.predict(x), linear.found.model.predict(x), atol=1e-3)


def test_saved_arrays_must_fit_together():
    x = people(200)
    arrays = ProcessModel([Features.of(x[:50], Scale.of(x), HYPER, 200)], [np.ones(3)]).arrays()
    for damaged in (arrays, {"processes": np.array(0)}):
        with pytest.raises(ValueError, match="Gaussian process"):
            GAUSSIAN_PROCESS.from_arrays(damaged)


def test_three_of_thirty_covariates_are_found():
    """From amplitudes whose threes alone have a hundred times the variance of the phenotype, none was."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 30))
    a, b, c = x[:, 5], x[:, 11], x[:, 23]
    truth = np.tanh(2 * a) + np.abs(b) + b * c + np.sin(1.5 * a) * b * c
    y = truth / truth.std() + 0.7 * rng.normal(size=500)
    with threadpool_limits(1):
        hyper = find(x, y, "quantitative", b"").features.hyper
    assert set(np.argsort(hyper.amplitude)[-3:]) == {5, 11, 23}
    assert hyper.noise < 0.7


# --- on a GPU: the same code with torch, which is here on the CPU ---


def quick_search(monkeypatch) -> None:
    monkeypatch.setattr(likelihood, "_FIRST", (4, 4))
    monkeypatch.setattr(likelihood, "_THEN", 3)


@pytest.mark.parametrize("covariates", ["of all sorts", "none with a part", "twenty"])
@pytest.mark.parametrize("kept", [True, False])
def test_torch_makes_the_same_features_and_products_of_them(covariates, kept, monkeypatch):
    monkeypatch.setattr("deepnull_gwas.deepnull.smooth.ROWS", 300)
    precision = []

    def seen(n):
        precision.append(torch.get_float32_matmul_precision())
        return chunks(n)

    monkeypatch.setattr(process_on_gpu, "chunks", seen)
    x, rng, hyper = people(700), np.random.default_rng(10), HYPER
    if covariates == "twenty":
        x = np.column_stack([x, rng.normal(size=(700, 16))])
        hyper = Hyper(np.linspace(0.3, 0.02, 20), np.linspace(0.3, 3, 20), HYPER.order, 0.5)
    elif covariates == "none with a part":
        hyper = Hyper(np.zeros(4), HYPER.length, HYPER.order, 0.5)
    features = Features.of(x[:150], Scale.of(x[:400]), hyper, 700)
    # beyond what the scale has seen
    x[-1], x[-2] = 1e6, -1e6
    target, weight = rng.normal(size=(2, 700)), rng.uniform(0.1, 0.3, (2, 700))
    weight[0, :200] = target[0, :200] = 0.0
    torch.set_float32_matmul_precision("high")
    try:
        ours, theirs = features.design(x, None, kept), features.design(x, "cpu", kept)
        assert (ours.held is not None) == (theirs.held is not None) == kept
        values = np.array(theirs.times(np.eye(features.count)))
        # features are divided by the roots of their eigenvalues, and so is the kernel's rounding
        divided = np.append(np.linalg.norm(features.roots, axis=0), np.ones(x.shape[1] + 1))[:, None]
        expected = np.array(ours.times(np.eye(features.count)))
        np.testing.assert_allclose(values / divided, expected / divided, atol=1e-5)
        size = np.sqrt((values**2).sum(axis=1))
        for weights in (weight, None):
            for i, (gram, cross) in enumerate(theirs.sums(target, weights)):
                weighted = values * (weight[i] if weights is not None else 1.0)
                np.testing.assert_allclose(gram, weighted @ values.T, atol=5e-6 * size.max() ** 2)
                np.testing.assert_allclose(cross, values @ target[i], rtol=1e-9, atol=1e-9 * size.max())
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(precision) == {"highest"}


@pytest.mark.parametrize(("trait", "bound"), [("quantitative", 2**30), ("binary", 2**30), ("binary", 0)])
def test_what_torch_fits_and_predicts_is_what_numpy_does(trait, bound, monkeypatch):
    """But for rounding: single precision, and features that are divided by eigenvalues down to 1e-5 of the largest.

    On five cases of 1,000 to 4,000 people root mean squares were 3e-6 to 2e-5 standard deviations.
    """
    quick_search(monkeypatch)
    monkeypatch.setattr(process_on_gpu, "_KEPT", bound)
    monkeypatch.setattr(process_features, "_KEPT", bound)
    x, rng = people(700), np.random.default_rng(11)
    y = np.sin(x[:, 0] / 2) + (x[:, 1] - 1.5) * np.log(x[:, 2]) + 0.7 * rng.normal(size=700)
    y = (y > 0).astype(float) if trait == "binary" else y
    fold, fits, found, real = folds_of(700, 3), {}, {}, gaussian_process.find

    def once(x, y, trait, key):
        """Search for both of them: that is numpy's."""
        if key not in found:
            found[key] = real(x, y, trait, key)
        return found[key]

    monkeypatch.setattr(gaussian_process, "find", once)
    for device in (None, "cpu"):
        monkeypatch.setattr(gaussian_process, "gpu_for", lambda wanted, own=device: own)
        fits[device] = crossfit(x, y, fold, QUICK, 1, trait, ALONE)
    (_, expected, ours), (_, each, theirs) = fits[None], fits["cpu"]
    close = 1e-4 * expected["gaussian_process"].std()
    assert measure(y, expected["gaussian_process"], trait)["r2_mcfadden" if trait == "binary" else "r2"] > 0.2
    np.testing.assert_allclose(each["gaussian_process"], expected["gaussian_process"], atol=close)
    assert (each["gaussian_process"] != expected["gaussian_process"]).any()
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other.inner, own.inner, atol=close)
        model = other.model.models["gaussian_process"]
        assert model.device == "cpu"
        # once saved, it is applied with numpy alone
        loaded = ProcessModel.from_arrays(model.arrays())
        assert loaded.device is None
        np.testing.assert_allclose(loaded.predict(x), model.predict(x), atol=close)


def test_torch_is_imported_for_a_gpu_only(monkeypatch):
    quick_search(monkeypatch)
    x, y = people(150), np.random.default_rng(12).normal(size=150)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StudyFailure, match=r"deepnull\.device is cuda, but this job sees no GPU; grant it one"):
        crossfit(x, y, folds_of(150, 3), QUICK, 1, choice=ALONE, device="cuda")
    assert gaussian_process.gpu_for("auto") is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [gaussian_process.gpu_for(wanted) for wanted in ("auto", "cuda", "cpu")] == ["cuda", "cuda", None]
    # to import them is an error from here on
    for name in ("torch", *(f"deepnull_gwas.deepnull.{own}" for own in ("torch_import", "training", "process_on_gpu"))):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError):
        process_features.Features.design(None, x, "cuda")
    for device in ("cpu", "auto"):
        crossfit(x, y, folds_of(150, 3), QUICK, 1, choice=ALONE, device=device)
    with pytest.raises(InputError, match=r"deepnull\.device is cuda, and GPUs are used through torch"):
        crossfit(x, y, folds_of(150, 3), QUICK, 1, choice=ALONE, device="cuda")
