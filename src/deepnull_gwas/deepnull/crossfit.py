"""Cross-fitting: each person is predicted by models that never saw their fold."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.folds import derive_seed
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.models import FoldModel, NetworkFit, NetworkTask, fit_fold
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.penalised import fit_smooth
from deepnull_gwas.deepnull.recipe import ORIGINAL, Recipe

logger = logging.getLogger(__name__)

#: Parts that the people outside a fold are taken in, at most.
MAX_PARTS = 5
#: Phenotypes whose largest value is within this power of two, and its inverse, are trained on as they are.
ORDINARY = 48


@dataclass
class FoldResult:
    """What one fold's models came to.

    Attributes
    ----------
    rows
        Rows that they predict.
    prediction
        Their predictions (binary: logits).
    covariate
        What the prediction has beyond the linear part that the association fits itself; of the original all of it (binary: the probability).
    each
        The same by each model.
    model
        The models.
    history
        See :func:`deepnull_gwas.deepnull.models.fit_fold`, with ``people`` and, on the predicted people, ``metrics`` of the prediction and of
        each model.
    inner
        What the prediction adds to the linear model of the association's covariates for everybody outside the fold, in their order, by models that
        have seen neither the fold nor the person's part; None for the original, which has no such models.
    """

    rows: np.ndarray
    prediction: np.ndarray
    covariate: np.ndarray
    each: dict[str, np.ndarray]
    model: FoldModel
    history: dict[str, Any]
    inner: np.ndarray | None = None


def parts_of(fold: np.ndarray, evaluated: int, k: int) -> np.ndarray:
    """Give the part of each person outside the evaluated fold: the other folds in their order from the evaluated one on, in at most ``MAX_PARTS``."""
    place = (fold[fold != evaluated] - evaluated - 1) % k
    return place * min(k - 1, MAX_PARTS) // (k - 1)


#: The fitting of one fold, which hands out what its networks are to be trained on and goes on with the networks.
FoldFit = Generator[NetworkTask, NetworkFit, FoldResult]


def crossfit_folds(
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    seeds: Sequence[int],
    columns: Sequence[str],
    trait: str,
    recipe: Recipe | str,
    device: str = "cpu",
    model: str = "auto",
    compare: bool = True,
    only: Sequence[int] = (),
) -> Iterator[FoldResult]:
    """Fit the models that predict each fold, and predict it.

    On a CPU fold after fold; on a GPU the networks of all folds are trained as one batched model, when their other models are fitted.

    Parameters
    ----------
    x, y
        float64[n, p] covariates and float64[n] phenotype.
    fold
        int[n].
    seeds
        Seed of each fold.
    columns, trait, recipe, model, compare
        See :func:`~deepnull_gwas.deepnull.models.fit_fold`; recipe ``original`` repeats the original DeepNull instead.
    device
        ``auto|cpu|cuda``.
    only
        Columns of ``x`` that are not in the association. Where there are any, ``each`` has one more model, ``baseline``: linear in the others, as the
        baseline arm is.

    Yields
    ------
    The result of each fold, in order.

    Notes
    -----
    A phenotype of extreme scale is trained on in a unit of its own, a power of two: squares of losses, and single precision, would not hold it.
    """
    unit = unit_of(y) if trait == "quantitative" and recipe != ORIGINAL else 1.0
    for result in _crossfit_folds(x, y / unit, fold, seeds, columns, trait, recipe, device, model, compare, only):
        if unit != 1.0:
            result.prediction, result.covariate = result.prediction * unit, result.covariate * unit
            result.each = {name: values * unit for name, values in result.each.items()}
            result.inner = None if result.inner is None else result.inner * unit
            result.model.unit = unit
        yield result


def unit_of(y: np.ndarray) -> float:
    """Return 1 for phenotypes of ordinary scale, and otherwise a power of two near the largest value."""
    largest = float(np.abs(y).max(initial=0.0))
    if not np.isfinite(float(y @ y)) or largest == 0.0:
        return 1.0
    exponent = int(np.frexp(largest)[1])
    return 1.0 if abs(exponent) <= ORDINARY else float(np.ldexp(1.0, exponent))


def _crossfit_folds(
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    seeds: Sequence[int],
    columns: Sequence[str],
    trait: str,
    recipe: Recipe | str,
    device: str,
    model: str,
    compare: bool,
    only: Sequence[int],
) -> Iterator[FoldResult]:
    k = len(seeds)
    if recipe == ORIGINAL:
        from deepnull_gwas.deepnull.original import fit_original

        for evaluated, seed in enumerate(seeds):
            logger.info("fold %d of %d: the original's network", evaluated + 1, k)
            fitted, history = fit_original(x, y, fold, evaluated, k, columns, trait, seed, device)
            rows = np.flatnonzero(fold == evaluated)
            yield _result(x, y, rows, trait, fitted, history, fitted.predict_all(x[rows]))
        return
    waiting: list[tuple[FoldFit, NetworkTask]] = []
    for evaluated, seed in enumerate(seeds):
        fit = _fit(x, y, fold, evaluated, k, columns, trait, recipe, seed, model, compare, only)
        try:
            task = next(fit)
        except StopIteration as end:
            yield end.value
            continue
        # torch costs seconds to import: only where there is a network to train
        from deepnull_gwas.deepnull.training import fit_networks, pick_device

        if pick_device(device).type == "cpu":
            yield _finish(fit, fit_networks([task], trait, recipe, device)[0])
        else:
            waiting.append((fit, task))
    if waiting:
        trained = fit_networks([task for _, task in waiting], trait, recipe, device)
        for (fit, _), networks in zip(waiting, trained, strict=True):
            yield _finish(fit, networks)


def _finish(fit: FoldFit, networks: NetworkFit) -> FoldResult:
    """Send a fold the networks that it asked for."""
    try:
        fit.send(networks)
    except StopIteration as end:
        return end.value
    raise AssertionError("a fold asks for networks once")


def _fit(
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    evaluated: int,
    k: int,
    columns: Sequence[str],
    trait: str,
    recipe: Recipe,
    seed: int,
    model: str,
    compare: bool,
    only: Sequence[int],
) -> FoldFit:
    """Fit the models that predict one fold, and predict it; nothing of its people enters. Hands out what its networks are to be trained on."""
    outside = fold != evaluated
    count = int(outside.sum())
    logger.info("fold %d of %d: models of %s people for %s", evaluated + 1, k, f"{count:,}", f"{len(fold) - count:,}")
    part = parts_of(fold, evaluated, k)
    fitted, history = yield from fit_fold(x[outside], y[outside], part, columns, trait, recipe, seed, model, compare)
    whole, inner = history.pop("inner"), history.pop("inner_beyond")
    history.pop("inner_each")
    rows = np.flatnonzero(~outside)
    each = fitted.predict_all(x[rows])
    if len(only):
        used = np.setdiff1d(fitted.keep, only)
        each["baseline"], inner_linear = _linear(x[outside][:, used], y[outside], part, x[rows][:, used], trait)
        inner = whole - inner_linear
    return _result(x, y, rows, trait, fitted, history, each, inner)


def _result(
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    trait: str,
    fitted: FoldModel,
    history: dict[str, Any],
    each: dict[str, np.ndarray],
    inner: np.ndarray | None = None,
) -> FoldResult:
    """Measure what a fold's models predict."""
    prediction = fitted.combine(each, x[rows])
    if "baseline" in each:
        covariate = prediction - each["baseline"]
    else:
        covariate = fitted.beyond(each, x[rows])
    history["people"] = {"outside": len(x) - len(rows), "evaluation": len(rows)}
    history["metrics"] = measure(y[rows], prediction, trait)
    history["metrics_of"] = {name: measure(y[rows], values, trait) for name, values in each.items()}
    return FoldResult(rows, prediction, covariate, each, fitted, history, inner)


def _linear(
    x: np.ndarray, y: np.ndarray, part: np.ndarray, new: np.ndarray, trait: str
) -> tuple[np.ndarray, np.ndarray]:
    """Give a linear model's predictions of new people, and of these by the models without their part."""
    if x.shape[1]:
        fit = fit_smooth("linear", x, y, Parts.of(part, y if trait == "binary" else None), trait)
        return fit.model.predict(new), fit.inner
    # no covariates in the association: everybody's is the mean
    total, size = np.bincount(part, y), np.bincount(part)
    means = np.append((total.sum() - total) / (size.sum() - size), total.sum() / size.sum())
    if trait == "binary":
        means = np.log(means / (1 - means))
    return np.full(len(new), means[-1]), means[part]


def crossfit(
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    recipe: Recipe | str,
    seed: int,
    trait: str = "quantitative",
    model: str = "auto",
    compare: bool = True,
    columns: Sequence[str] | None = None,
    device: str = "cpu",
) -> tuple[np.ndarray, dict[str, np.ndarray], list[FoldResult]]:
    """Predict everybody out of fold.

    Returns
    -------
    The prediction, float64[n]; the same by each model; and the results of the folds.
    """
    k = int(fold.max()) + 1
    prediction, each = np.full(len(y), np.nan), {}
    columns = [f"x{j}" for j in range(x.shape[1])] if columns is None else columns
    seeds = [derive_seed(seed, evaluated) for evaluated in range(k)]
    results = list(crossfit_folds(x, y, fold, seeds, columns, trait, recipe, device, model, compare))
    for result in results:
        prediction[result.rows] = result.prediction
        for name, values in result.each.items():
            each.setdefault(name, np.full(len(y), np.nan))[result.rows] = values
    return prediction, each, results
