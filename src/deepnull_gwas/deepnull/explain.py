"""What a prediction is made of: partial dependence on each covariate, the strongest interaction, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepnull_gwas.traits import trait_of

#: Values of a covariate at which the dependence is evaluated; people over whom it is averaged; values of each covariate
#: of a pair.
POINTS = 15
PEOPLE = 100
PAIR_POINTS = 6
#: Covariates of the strongest dependence whose pairs are looked at.
CANDIDATES = 4
BINS = 10


def _grid(values: np.ndarray, points: int) -> np.ndarray:
    distinct = np.unique(values)
    if len(distinct) <= points:
        return distinct
    return np.unique(np.quantile(values, np.linspace(0.02, 0.98, points)))


def dependence(models: Sequence[Any], x: np.ndarray, columns: Sequence[str]) -> dict[str, Any]:
    """Evaluate the partial dependence of the prediction, the mean over models, on each covariate (Friedman 2001).

    Parameters
    ----------
    models
        One a fold, with ``predict``.
    x
        float64[n, p].
    columns
        Names.

    Returns
    -------
    ``covariates``: name, values and the mean prediction at them, less its mean; ``interaction``: of the pairs of the
    covariates of strongest dependence the one whose joint dependence is furthest from a sum (Friedman and Popescu
    2008), with the share of its variance that is not a sum.
    """
    people = x[np.linspace(0, len(x) - 1, min(PEOPLE, len(x))).astype(int)]

    def mean_prediction(changes: list[dict[int, float]]) -> np.ndarray:
        stacked = np.tile(people, (len(changes), 1))
        for i, change in enumerate(changes):
            for j, value in change.items():
                stacked[i * len(people) : (i + 1) * len(people), j] = value
        total = np.mean([m.predict(stacked) for m in models], axis=0)
        return total.reshape(len(changes), len(people)).mean(axis=1)

    curves, spread = [], []
    for j, name in enumerate(columns):
        grid = _grid(x[:, j], POINTS)
        values = mean_prediction([{j: v} for v in grid])
        curves.append({"name": name, "values": grid.tolist(), "prediction": (values - values.mean()).tolist()})
        spread.append(values.std())
    strongest = np.argsort(-np.array(spread), kind="stable")[:CANDIDATES]
    found: dict[str, Any] | None = None
    for a_at, a in enumerate(strongest):
        for b in strongest[a_at + 1 :]:
            first, second = _grid(x[:, a], PAIR_POINTS), _grid(x[:, b], PAIR_POINTS)
            joint = mean_prediction([{a: u, b: v} for u in first for v in second]).reshape(len(first), len(second))
            centred = joint - joint.mean()
            rest = centred - centred.mean(axis=0) - centred.mean(axis=1, keepdims=True)
            size = float((rest**2).mean())
            if found is None or size > found["variance"]:
                found = {
                    "names": [columns[a], columns[b]],
                    "values": [first.tolist(), second.tolist()],
                    "prediction": centred.tolist(),
                    "variance": size,
                    "share": size / max(float((centred**2).mean()), 1e-300),
                }
    return {"covariates": curves, "interaction": found}


def calibration(y: np.ndarray, prediction: np.ndarray, trait: str) -> list[dict[str, float]]:
    """Compare predicted with observed means in tenths of the people by their prediction (binary: probabilities)."""
    shown = trait_of(trait).on_scale_of_phenotype(prediction)
    parts = np.array_split(np.argsort(shown, kind="stable"), min(BINS, len(y)))
    return [
        {"people": len(rows), "predicted": float(shown[rows].mean()), "observed": float(y[rows].mean())}
        for rows in parts
    ]
