"""Cross-fitting: each person is predicted by the model that never saw their fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.folds import derive_seed, roles
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.training import FoldModel, fit_fold


@dataclass
class FoldResult:
    """What one fold's model came to.

    Attributes
    ----------
    rows
        Rows that it predicts.
    prediction, linear
        Their predictions by the model and by the linear model fitted on the same training part (binary: logits).
    model
        The model.
    history
        See :func:`deepnull_gwas.deepnull.training.fit_fold`, with ``metrics`` and ``metrics_linear`` on the predicted people.
    """

    rows: np.ndarray
    prediction: np.ndarray
    linear: np.ndarray
    model: FoldModel
    history: dict[str, Any]


def crossfit_fold(
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    evaluated: int,
    k: int,
    columns: list[str],
    trait: str,
    recipe: Recipe,
    seed: int,
    device: str = "cpu",
) -> FoldResult:
    """Train the model that predicts one fold, and predict it.

    Parameters
    ----------
    x, y
        float64[n, p] covariates and float64[n] phenotype.
    fold
        int[n].
    evaluated
        The fold to predict; fold ``evaluated - 1`` (mod k) validates, the others train.
    k
        Number of folds.
    columns, trait, recipe, device
        See :func:`~deepnull_gwas.deepnull.training.fit_fold`.
    seed
        Seed of this fold.
    """
    train, validation, evaluation = roles(fold, evaluated, k)
    model, history = fit_fold(x[train], y[train], x[validation], y[validation], columns, trait, recipe, seed, device)
    prediction, linear = model.predict(x[evaluation]), model.predict_linear(x[evaluation])
    history["people"] = {
        "train": int(train.sum()),
        "validation": int(validation.sum()),
        "evaluation": int(evaluation.sum()),
    }
    history["metrics"] = measure(y[evaluation], prediction, trait)
    history["metrics_linear"] = measure(y[evaluation], linear, trait)
    return FoldResult(np.flatnonzero(evaluation), prediction, linear, model, history)


def crossfit(
    x: np.ndarray, y: np.ndarray, fold: np.ndarray, recipe: Recipe, seed: int, trait: str = "quantitative"
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Predict everybody out of fold.

    Returns
    -------
    Predictions by network and by linear model, float64[n] each, and one history a fold.
    """
    k = int(fold.max()) + 1
    prediction, linear = np.full(len(y), np.nan), np.full(len(y), np.nan)
    histories = []
    columns = [f"x{j}" for j in range(x.shape[1])]
    for evaluated in range(k):
        result = crossfit_fold(x, y, fold, evaluated, k, columns, trait, recipe, derive_seed(seed, evaluated))
        prediction[result.rows], linear[result.rows] = result.prediction, result.linear
        histories.append(result.history)
    return prediction, linear, histories
