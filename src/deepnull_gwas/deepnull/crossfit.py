"""Cross-fitting: each person is predicted by models that never saw their fold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.fitting import Choice, People, fit_folds
from deepnull_gwas.deepnull.folds import derive_seed, roles
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.models import FoldModel
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.penalised import fit_smooth
from deepnull_gwas.deepnull.recipe import ORIGINAL, Recipe
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

#: All models are fitted and weighed.
ALL = Choice()
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
        What the prediction has beyond the linear part that the association fits itself; of the original all of it
        (binary: the probability).
    each
        The same by each model.
    model
        The models.
    history
        See :func:`deepnull_gwas.deepnull.fitting.fit_folds`, with ``people`` and, on the predicted people, ``metrics``
        of the prediction and of each model.
    inner
        What the prediction adds to the linear model of the association's covariates for everybody outside the fold, in
        their order, by models that have seen neither the fold nor the person's part; None for the original, which has
        no such models.
    """

    rows: np.ndarray
    prediction: np.ndarray
    covariate: np.ndarray
    each: dict[str, np.ndarray]
    model: FoldModel
    history: dict[str, Any]
    inner: np.ndarray | None = None


def parts_of(fold: np.ndarray, evaluated: int, k: int) -> np.ndarray:
    """Return the part of each person outside the evaluated fold.

    The other folds in their order from the evaluated one on, in at most ``MAX_PARTS``.
    """
    place = (fold[fold != evaluated] - evaluated - 1) % k
    return place * min(k - 1, MAX_PARTS) // (k - 1)


@dataclass(frozen=True)
class Setup:
    """What is fitted in every fold, and how.

    Attributes
    ----------
    columns
        Names of the covariates.
    trait
        ``quantitative`` or ``binary``.
    recipe
        How networks are built and trained; ``original`` repeats the original DeepNull instead.
    choice
        Which models are fitted.
    device
        ``auto|cpu|cuda``.
    only
        Numbers of the covariates that are not in the association. Where there are any, ``each`` of a result has one
        more model, ``baseline``: linear in the others, as the baseline arm is.
    """

    columns: Sequence[str]
    trait: str
    recipe: Recipe | str
    choice: Choice = ALL
    device: str = "cpu"
    only: Sequence[int] = ()


def crossfit_folds(
    x: np.ndarray, y: np.ndarray, fold: np.ndarray, seeds: Sequence[int], setup: Setup
) -> Iterator[FoldResult]:
    """Fit the models that predict each fold, and predict it.

    On a CPU fold after fold; on a GPU the networks of all folds are trained as one batched model, when their other
    models are fitted.

    Parameters
    ----------
    x, y
        float64[n, p] covariates and float64[n] phenotype (binary: 0/1).
    fold
        int[n].
    seeds
        Seed of each fold.
    setup
        What is fitted.

    Yields
    ------
    The result of each fold, in order.

    Notes
    -----
    A phenotype of extreme scale is trained on in a unit of its own, a power of two: squares of losses, and single
    precision, would not hold it.
    """
    unit = unit_of(y) if not trait_of(setup.trait).has_cases and setup.recipe != ORIGINAL else 1.0
    fitted = _original_folds if setup.recipe == ORIGINAL else _model_folds
    for result in fitted(x, y / unit, fold, seeds, setup):
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


def _original_folds(
    x: np.ndarray, y: np.ndarray, fold: np.ndarray, seeds: Sequence[int], setup: Setup
) -> Iterator[FoldResult]:
    """Fit and apply the original DeepNull's network of each fold."""
    # torch costs seconds to import
    from deepnull_gwas.deepnull.original import fit_original

    k = len(seeds)
    for evaluated, seed in enumerate(seeds):
        logger.info("fold %d of %d: the original's network", evaluated + 1, k)
        fitted, history = fit_original(x, y, roles(fold, evaluated, k), setup.columns, setup.trait, seed, setup.device)
        rows = np.flatnonzero(fold == evaluated)
        yield _result(x, y, rows, setup.trait, fitted, history, fitted.predict_all(x[rows]))


def _model_folds(
    x: np.ndarray, y: np.ndarray, fold: np.ndarray, seeds: Sequence[int], setup: Setup
) -> Iterator[FoldResult]:
    """Fit and apply the models of the registry, for one or several folds at a time."""
    k = len(seeds)
    shared: dict[bytes, Any] = {}
    for group in _batches(k, setup.device, setup.choice.fitted(setup.recipe)):
        people = []
        for evaluated in group:
            outside = fold != evaluated
            count = int(outside.sum())
            logger.info(
                "fold %d of %d: models of %s people for %s", evaluated + 1, k, f"{count:,}", f"{len(fold) - count:,}"
            )
            people.append(People(x[outside], y[outside], parts_of(fold, evaluated, k), seeds[evaluated]))
        fits = fit_folds(people, setup.columns, setup.trait, setup.recipe, setup.choice, setup.device, shared)
        for evaluated, who, (fitted, history) in zip(group, people, fits, strict=True):
            yield _predict(x, y, np.flatnonzero(fold == evaluated), who, fitted, history, setup.only)


def _batches(k: int, device: str, fitted: Sequence[str]) -> list[list[int]]:
    """Return which folds are fitted as one.

    All of them where networks are trained on a GPU, which has room for all of them at once.
    """
    if any(KINDS[name].batched_on_gpu for name in fitted):
        # torch costs seconds to import: only where there is a network to train
        from deepnull_gwas.deepnull.training import pick_device

        if pick_device(device).type != "cpu":
            return [list(range(k))]
    return [[evaluated] for evaluated in range(k)]


def _predict(
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    people: People,
    fitted: FoldModel,
    history: dict[str, Any],
    only: Sequence[int],
) -> FoldResult:
    """Predict a fold by its models; nothing of its people has entered them."""
    whole, inner = history.pop("inner"), history.pop("inner_beyond")
    history.pop("inner_each")
    each = fitted.predict_all(x[rows])
    if len(only):
        used = np.setdiff1d(fitted.keep, only)
        each["baseline"], inner_linear = _linear(
            people.x[:, used], people.y, people.part, x[rows][:, used], fitted.trait
        )
        inner = whole - inner_linear
    return _result(x, y, rows, fitted.trait, fitted, history, each, inner)


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
    """Return a linear model's predictions of new people, and of these by the models without their part."""
    if x.shape[1]:
        fit = fit_smooth("linear", x, y, Parts.of(part, y if trait_of(trait).has_cases else None), trait)
        return fit.model.predict(new), fit.inner
    # no covariates in the association: everybody's is the mean
    total, size = np.bincount(part, y), np.bincount(part)
    means = np.append((total.sum() - total) / (size.sum() - size), total.sum() / size.sum())
    if trait_of(trait).has_cases:
        means = np.log(means / (1 - means))
    return np.full(len(new), means[-1]), means[part]


def crossfit(
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    recipe: Recipe | str,
    seed: int,
    trait: str = "quantitative",
    choice: Choice = ALL,
    device: str = "cpu",
) -> tuple[np.ndarray, dict[str, np.ndarray], list[FoldResult]]:
    """Predict everybody out of fold.

    Parameters as :func:`crossfit_folds` and :class:`Setup` have them; the seeds of the folds are derived from ``seed``.

    Returns
    -------
    The prediction, float64[n]; the same by each model that all folds have; and the results of the folds.
    """
    k = int(fold.max()) + 1
    prediction, each = np.full(len(y), np.nan), {}
    setup = Setup([f"x{j}" for j in range(x.shape[1])], trait, recipe, choice, device)
    seeds = [derive_seed(seed, evaluated) for evaluated in range(k)]
    results = list(crossfit_folds(x, y, fold, seeds, setup))
    for result in results:
        prediction[result.rows] = result.prediction
    for name in in_all_folds(results):
        each[name] = np.full(len(y), np.nan)
        for result in results:
            each[name][result.rows] = result.each[name]
    return prediction, each, results


def in_all_folds(results: Sequence[FoldResult]) -> list[str]:
    """Return the models that each fold has.

    One that has no weight somewhere is not fitted there unless models are compared.
    """
    return [name for name in results[0].each if all(name in result.each for result in results)]
