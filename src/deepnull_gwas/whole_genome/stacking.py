"""Level 1: the predictors of all blocks stacked by ridge regression, and predictions that leave one chromosome out.

Source: Mbatchou et al. 2021 (regenie). A chromosome is left out by dropping its predictors, without a new fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deepnull_gwas.whole_genome.regression import (
    HERITABILITIES,
    Correlations,
    RidgeFactor,
    correlations,
    inverse_of,
    ridge_penalties,
)

#: People whose predictors are held in double precision at a time.
TILE = 2048


class Predictors(Protocol):
    """float32[n, m], predictors of all blocks: an array, or what reads its rows when they are asked for."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of people and of predictors."""

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return the predictors of some people."""


@dataclass(frozen=True)
class Stacked:
    """Predictions of a phenotype from the genotypes, out of fold, beyond what the covariates predict.

    Attributes
    ----------
    whole
        float64[n], from all chromosomes.
    loco
        Chromosome -> float64[n], from all others: the offset of its tests.
    r2
        Share of the variance beyond the covariates that ``whole`` explains, out of fold; 0 where there is none.
    r2_covariates, r2_both
        Shares of the phenotype's variance about the mean of the training sets that the covariates explain, and that
        they and ``whole`` explain.
    penalty
        The share of variance of the chosen penalty (:data:`HERITABILITIES`); NaN where nothing is predicted.
    method
        How the prediction came about: ``linear``, or ``none``.
    reason
        Why there is none; else empty.
    """

    whole: np.ndarray
    loco: dict[str, np.ndarray]
    r2: float
    r2_covariates: float
    r2_both: float
    penalty: float
    method: str
    reason: str


@dataclass(frozen=True)
class TrainingSet:
    """All folds but one.

    Attributes
    ----------
    fold
        The one that is left out.
    rows
        Its people.
    regressors
        The predictors' correlations.
    on_covariates
        float64[c], coefficients of the phenotype.
    mean, sd
        Mean of the phenotype, and standard deviation of what the covariates leave of it.
    effects
        float64[m, penalties], of the predictors, per standard deviation of each and of the phenotype.
    """

    fold: int
    rows: np.ndarray
    regressors: Correlations
    on_covariates: np.ndarray
    mean: float
    sd: float
    effects: np.ndarray

    def weights(self, penalty: int) -> np.ndarray:
        """Return what raw predictors are multiplied with, for the penalty of a number: float64[m]."""
        return self.regressors.weights(self.effects[:, [penalty]])[0][:, 0] * self.sd


def _tiles(rows: np.ndarray) -> Iterator[slice | np.ndarray]:
    """Go through people by tiles: slices where they lie together, as readers of files want them."""
    together = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows)
    for start in range(0, len(rows), TILE):
        part = rows[start : start + TILE]
        yield slice(int(part[0]), int(part[-1]) + 1) if together else part


def _sums(w: Predictors, others: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sum products of predictors and further columns with each other over some people."""
    size = w.shape[1] + others.shape[1]
    out = np.zeros((size, size))
    for part in _tiles(rows):
        both = np.hstack([w[part].astype(np.float64), others[part]])
        out += both.T @ both
    return out


def _train(sums: np.ndarray, m: int, c: int, people: int, heritabilities: tuple[float, ...]) -> dict:
    """Regress a phenotype on predictors, given the sums of products of predictors, covariates and the phenotype."""
    inverse = inverse_of(sums[m : m + c, m : m + c])
    cross, with_y = sums[:m, m : m + c], sums[m : m + c, -1]
    regressors = correlations(sums[:m, :m], cross, inverse, people)
    on_covariates = inverse @ with_y
    left = float(sums[-1, -1] - with_y @ on_covariates)
    sd = np.sqrt(max(left, 0.0) / max(people, 1))
    effects = np.zeros((m, len(heritabilities)))
    if left > 1e-12 * sums[-1, -1] and regressors.used.any():
        right = regressors.standardise(sums[:m, -1] - cross @ on_covariates) / sd
        for j, penalty in enumerate(ridge_penalties(m, heritabilities)):
            effects[:, j] = RidgeFactor(regressors, penalty).effects(right)
    return {"regressors": regressors, "on_covariates": on_covariates, "sd": sd, "effects": effects}


def _train_all(w: Predictors, y: np.ndarray, covariates: np.ndarray, fold: np.ndarray) -> list[TrainingSet]:
    """Regress the phenotype on the predictors in all folds but one, for each fold that holds people."""
    m, c = w.shape[1], covariates.shape[1]
    centre = y.mean()  # what is far from 0 would lose digits
    others = np.column_stack([covariates, y - centre])
    rows = [np.flatnonzero(fold == f) for f in np.unique(fold)]
    sums = [_sums(w, others, own) for own in rows]
    total = sum(sums)
    found = []
    for f, own in enumerate(rows):
        people = len(y) - len(own)
        mean = float((y.sum() - y[own].sum()) / max(people, 1)) - centre
        found.append(TrainingSet(f, own, mean=mean, **_train(total - sums[f], m, c, people, HERITABILITIES)))
    return found


def stack(w: Predictors, chromosome: np.ndarray, y: np.ndarray, covariates: np.ndarray, fold: np.ndarray) -> Stacked:
    """Regress a phenotype on the predictors of all blocks, and predict each fold with and without each chromosome.

    Parameters
    ----------
    w
        float32[n, m], predictors of blocks, each person's made without this person's fold.
    chromosome
        str[m], of each predictor.
    y
        float64[n].
    covariates
        float64[n, c], the intercept among them.
    fold
        int[n]; the folds of level 0. Quickest where the people of a fold lie together.

    Returns
    -------
    Always a result; where nothing can be predicted the predictions are 0 and the method is ``none``, with the reason.

    Notes
    -----
    Coefficients of the covariates, and of the predictors on them, are those of the training set, as everywhere. The
    penalty is the one with the least squared error over all folds.
    """
    names = list(dict.fromkeys(chromosome.tolist()))
    training = _train_all(w, y, covariates, fold)
    beyond = np.empty(len(y))  # what the covariates leave, out of fold
    about_mean = np.empty(len(y))
    loss = np.zeros(len(HERITABILITIES))
    centred = y - y.mean()
    for one in training:
        beyond[one.rows] = centred[one.rows] - covariates[one.rows] @ one.on_covariates
        about_mean[one.rows] = centred[one.rows] - one.mean
        raw, on_covariates = one.regressors.weights(one.effects * one.sd)
        for part in _tiles(one.rows):
            predicted = w[part].astype(np.float64) @ raw + covariates[part] @ on_covariates
            loss += ((beyond[part][:, None] - predicted) ** 2).sum(axis=0)
    best = int(loss.argmin())
    each = {name: np.zeros(len(y)) for name in names}
    for one in training:
        weights = one.weights(best)
        for name in names:
            chosen = np.flatnonzero(chromosome == name)
            on_covariates = one.regressors.on_covariates[chosen].T @ weights[chosen]
            each[name][one.rows] = -(covariates[one.rows] @ on_covariates)
        for part in _tiles(one.rows):
            values = w[part].astype(np.float64)
            for name in names:
                chosen = chromosome == name
                each[name][part] += values[:, chosen] @ weights[chosen]
    whole = np.zeros(len(y))
    for values in each.values():
        whole += values
    left, about = float(beyond @ beyond), float(about_mean @ about_mean)
    both = float(np.sum((beyond - whole) ** 2))
    nothing = not any(one.regressors.used.any() and one.effects.any() for one in training)
    reason = "no block of variants predicts anything beyond the covariates" if nothing else ""
    return Stacked(
        whole,
        {name: whole - values for name, values in each.items()},
        1.0 - both / left if left > 0 and not nothing else 0.0,
        1.0 - left / about if about > 0 else float("nan"),
        1.0 - both / about if about > 0 else float("nan"),
        float("nan") if nothing else HERITABILITIES[best],
        "none" if nothing else "linear",
        reason,
    )
