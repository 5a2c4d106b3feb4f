"""Cross-fitting: each person is predicted by models that never saw their fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.folds import derive_seed
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.models import FoldModel, fit_fold
from deepnull_gwas.deepnull.recipe import ORIGINAL, Recipe
from deepnull_gwas.deepnull.smooth import fit_smooth

#: Parts that the people outside a fold are taken in, at most.
MAX_PARTS = 5


@dataclass
class FoldResult:
    """What one fold's models came to.

    Attributes
    ----------
    rows
        Rows that they predict.
    prediction
        Their predictions (binary: logits).
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
    each: dict[str, np.ndarray]
    model: FoldModel
    history: dict[str, Any]
    inner: np.ndarray | None = None


def parts_of(fold: np.ndarray, evaluated: int, k: int) -> np.ndarray:
    """Give the part of each person outside the evaluated fold: the other folds in their order from the evaluated one on, in at most ``MAX_PARTS``."""
    place = (fold[fold != evaluated] - evaluated - 1) % k
    return place * min(k - 1, MAX_PARTS) // (k - 1)


def crossfit_fold(
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    evaluated: int,
    k: int,
    columns: Sequence[str],
    trait: str,
    recipe: Recipe | str,
    seed: int,
    device: str = "cpu",
    model: str = "auto",
    compare: bool = True,
    only: Sequence[int] = (),
) -> FoldResult:
    """Fit the models that predict one fold, and predict it.

    Parameters
    ----------
    x, y
        float64[n, p] covariates and float64[n] phenotype.
    fold
        int[n].
    evaluated
        The fold to predict; nothing of its people enters.
    k
        Number of folds.
    columns, trait, recipe, device, model, compare
        See :func:`~deepnull_gwas.deepnull.models.fit_fold`; recipe ``original`` repeats the original DeepNull instead.
    seed
        Seed of this fold.
    only
        Columns of ``x`` that are not in the association. Where there are any, ``each`` has one more model, ``baseline``: linear in the others, as the
        baseline arm is.
    """
    outside = fold != evaluated
    inner = inner_linear = None
    if recipe == ORIGINAL:
        from deepnull_gwas.deepnull.original import fit_original

        fitted, history = fit_original(x, y, fold, evaluated, k, columns, trait, seed, device)
    else:
        part = parts_of(fold, evaluated, k)
        fitted, history = fit_fold(x[outside], y[outside], part, columns, trait, recipe, seed, device, model, compare)
        inner, inner_linear = history.pop("inner"), history.pop("inner_linear")
    rows = np.flatnonzero(~outside)
    each = fitted.predict_all(x[rows])
    if len(only) and recipe != ORIGINAL:
        used = np.setdiff1d(fitted.keep, only)
        each["baseline"], inner_linear = _linear(x[outside][:, used], y[outside], part, x[rows][:, used], trait)
    prediction = fitted.combine(each)
    history["people"] = {"outside": int(outside.sum()), "evaluation": len(rows)}
    history["metrics"] = measure(y[rows], prediction, trait)
    history["metrics_of"] = {name: measure(y[rows], values, trait) for name, values in each.items()}
    added = None if inner is None else inner - inner_linear
    return FoldResult(rows, prediction, each, fitted, history, added)


def _linear(
    x: np.ndarray, y: np.ndarray, part: np.ndarray, new: np.ndarray, trait: str
) -> tuple[np.ndarray, np.ndarray]:
    """Give a linear model's predictions of new people, and of these by the models without their part."""
    if x.shape[1]:
        model, without, _ = fit_smooth("linear", x, y, part, trait)
        return model.predict(new), without[np.arange(len(x)), part]
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
    results = []
    columns = [f"x{j}" for j in range(x.shape[1])] if columns is None else columns
    for evaluated in range(k):
        own = derive_seed(seed, evaluated)
        result = crossfit_fold(x, y, fold, evaluated, k, columns, trait, recipe, own, device, model, compare)
        prediction[result.rows] = result.prediction
        for name, values in result.each.items():
            each.setdefault(name, np.full(len(y), np.nan))[result.rows] = values
        results.append(result)
    return prediction, each, results
