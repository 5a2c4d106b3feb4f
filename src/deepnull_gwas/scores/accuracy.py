"""Models of a phenotype fitted on the other folds, how well they predict, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.metrics import loss
from deepnull_gwas.deepnull.smooth import TINY, logistic
from deepnull_gwas.traits import trait_of

#: Numbers held at once by the resampling.
_HELD = 16_000_000
#: Bounds of the 95 % intervals.
_TAILS = (0.025, 0.975)


def fit_and_predict(train: np.ndarray, y: np.ndarray, new: np.ndarray, trait: str) -> tuple[np.ndarray, np.ndarray]:
    """Fit a linear or logistic model with intercept, and predict other people.

    Parameters
    ----------
    train, y
        float64[n, p] and the phenotype (binary: 0/1).
    new
        float64[m, p] of the people to predict.
    trait
        ``quantitative`` or ``binary``.

    Returns
    -------
    float64[m], the prediction (binary: logits); and bool[p], which columns vary in ``train``. The others have no
    coefficient: people with a level of a covariate that nobody in ``train`` has are predicted as if they had its first
    level.
    """
    mean, scale = train.mean(axis=0), train.std(axis=0)
    varies = scale > 1e-12 * np.abs(mean)
    z = (train[:, varies] - mean[varies]) / scale[varies]
    other = (new[:, varies] - mean[varies]) / scale[varies]
    if not trait_of(trait).has_cases:
        middle = y.mean()
        beta = np.linalg.lstsq(z, y - middle, rcond=1e-9)[0]
        return middle + other @ beta, varies
    design = np.column_stack([np.ones(len(z)), z])
    # next to no penalty: it keeps coefficients finite where a covariate separates cases from controls
    beta = logistic(design, y, np.full(z.shape[1], TINY))
    return beta[0] + other @ beta[1:], varies


def choose_threshold(scores: np.ndarray, covariates: np.ndarray, y: np.ndarray) -> int | None:
    """Choose the score that correlates most with the phenotype given the covariates.

    None where none correlates positively.

    Parameters
    ----------
    scores
        float64[scores, n], of people whom the scores' trainings have not seen.
    covariates, y
        float64[n, p] and float64[n].
    """
    design = np.column_stack([np.ones(len(y)), covariates])
    design = design / np.maximum(np.linalg.norm(design, axis=0), 1e-300)
    both = np.column_stack([y, scores.T])
    left = both - design @ np.linalg.lstsq(design, both, rcond=1e-9)[0]
    size = np.linalg.norm(left, axis=0)
    # rounding is left of a score that is constant
    real = (size[1:] > 1e-9 * np.linalg.norm(both[:, 1:], axis=0)) & (size[1:] > 0)
    correlation = np.zeros(len(scores))
    correlation[real] = left[:, 0] @ left[:, 1:][:, real] / size[1:][real]
    best = int(np.argmax(correlation))
    return best if correlation[best] > 0 else None


# --- measures, of the people and of resamples of them ------------------------------


def _r2(counts: np.ndarray, sums: dict[str, np.ndarray], name: str) -> np.ndarray:
    n, total, squares = counts @ sums["n"], counts @ sums["y"], counts @ sums["y2"]
    return 1 - (counts @ sums[f"loss_{name}"]) / (squares - total**2 / n)


def _nagelkerke(counts: np.ndarray, sums: dict[str, np.ndarray], name: str) -> np.ndarray:
    n = counts @ sums["n"]
    p = (counts @ sums["y"]) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        null = -(p * np.log(p) + (1 - p) * np.log1p(-p))
        cox_snell = -np.expm1(2 * ((counts @ sums[f"loss_{name}"]) / n - null))
        return cox_snell / -np.expm1(-2 * null)


def weighted_auc(y: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the receiver operating characteristic for each row of weights, ties counted half.

    Parameters
    ----------
    y, score
        0/1 and float64, one per person.
    weights
        float[resamples, n]: how often each person counts.

    Returns
    -------
    float64[resamples]; NaN without cases or without controls.

    Examples
    --------
    >>> y, score = np.array([0.0, 1.0, 0.0]), np.array([0.1, 0.5, 0.9])
    >>> weighted_auc(y, score, np.array([[1.0, 1.0, 1.0], [3.0, 1.0, 1.0]])).tolist()
    [0.5, 0.75]
    """
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    w = weights[:, order]
    cases = np.add.reduceat(w * y[order], starts, axis=1)
    controls = np.add.reduceat(w * (1 - y[order]), starts, axis=1)
    below = np.cumsum(controls, axis=1) - controls / 2
    with np.errstate(invalid="ignore"):
        return (cases * below).sum(axis=1) / (cases.sum(axis=1) * controls.sum(axis=1))


def accuracy(
    y: np.ndarray,
    predictions: dict[str, np.ndarray],
    trait: str,
    unit: np.ndarray,
    differences: Sequence[tuple[str, str]],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Measure predictions and their differences, with 95 % bootstrap intervals over people.

    Parameters
    ----------
    y
        float64[n] (binary: 0/1).
    predictions
        By model: float64[n], out of fold; binary: logits.
    trait
        ``quantitative`` (measure ``r2``: 1 - residual over total sum of squares) or ``binary`` (``auc``, and
        ``r2_nagelkerke`` of the out-of-fold likelihood against that of the prevalence). Both R2 are negative for a
        prediction that is worse than none.
    unit
        int[n], from 0: what is drawn with replacement (families, or people).
    differences
        Pairs (a, b) of models for which a - b is measured too.
    resamples
        Number of resamples; the same ones for all models, so that differences are paired.
    seed
        Of the resampling.

    Returns
    -------
    By measure, ``models`` and ``differences`` (named "a - b"), each with ``estimate``, ``low``, ``high`` (percentiles).
    """
    units = int(unit.max()) + 1
    per_person = {"n": np.ones(len(y)), "y": y, "y2": y**2} | {
        f"loss_{name}": loss(y, values, trait) for name, values in predictions.items()
    }
    if not trait_of(trait).has_cases:
        # of the phenotype less its mean, so that large means do not cancel
        centre = float(y.mean())
        per_person |= {"y": y - centre, "y2": (y - centre) ** 2}
    sums = {name: np.bincount(unit, values, units) for name, values in per_person.items()}
    measures: dict[str, Callable[[np.ndarray, str], np.ndarray]]
    if not trait_of(trait).has_cases:
        measures = {"r2": lambda counts, name: _r2(counts, sums, name)}
    else:
        measures = {
            "auc": lambda counts, name: weighted_auc(y, predictions[name], counts[:, unit]),
            "r2_nagelkerke": lambda counts, name: _nagelkerke(counts, sums, name),
        }
    once = np.ones((1, units))
    estimate = {m: {name: float(f(once, name)[0]) for name in predictions} for m, f in measures.items()}
    drawn: dict[str, dict[str, list[np.ndarray]]] = {m: {name: [] for name in predictions} for m in measures}
    generator = np.random.default_rng(seed)
    at_once = max(1, _HELD // max(len(y), 1))
    for first in range(0, resamples, at_once):
        counts = np.stack(
            [
                np.bincount(generator.integers(0, units, units), minlength=units)
                for _ in range(min(at_once, resamples - first))
            ]
        ).astype(np.float64)
        for m, f in measures.items():
            for name in predictions:
                drawn[m][name].append(f(counts, name))
    result = {}
    for m in measures:
        every = {name: np.concatenate(parts) for name, parts in drawn[m].items()}
        result[m] = {
            "models": {name: _with_interval(estimate[m][name], every[name]) for name in predictions},
            "differences": {
                f"{a} - {b}": _with_interval(estimate[m][a] - estimate[m][b], every[a] - every[b])
                for a, b in differences
            },
        }
    return result


def _with_interval(estimate: float, drawn: np.ndarray) -> dict[str, float]:
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, _TAILS) if len(drawn) else (np.nan, np.nan)
    return {"estimate": estimate, "low": float(low), "high": float(high)}
