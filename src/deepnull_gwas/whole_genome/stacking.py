"""Level 1: kinds of predictors weighed by ridge regression, and predictions that leave one chromosome out.

Each kind (a ridge regression of some penalty, a spike-and-slab regression of some share) is summed over all blocks, and
has one weight. regenie (Mbatchou et al. 2021) has one for each block and kind. But the predictors of a training set's
people were made with the phenotypes of the fold that is left out, so weights that are fitted to them know these
phenotypes, the better the more weights there are: where there is no effect at all, with 1,000 people and 40 weights,
the R2 "out of fold" is .04. With one weight per kind it is right, and new people are predicted as well or better: a
spike-and-slab regression already tells blocks with effects from those without (docs/whole_genome.md). A chromosome is
left out by dropping its part of the sums, without a new fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.whole_genome.regression import (
    HERITABILITIES,
    RidgeFactor,
    correlations,
    inverse_of,
    ridge_penalties,
)


@dataclass(frozen=True)
class Stacked:
    """Predictions of a phenotype from the genotypes, out of fold, beyond what the covariates predict.

    In the phenotype's unit; of a binary trait on the logit scale.

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
        they and ``whole`` explain. Those of a binary trait are on the observed scale (Brier's score):
        1 - sum (y - p)^2 / sum (y - q)^2. Of the three usual forms this is the one that tells the gain in power: the
        chi-square of a causal variant grows by 1 / (1 - r2), as in a quantitative trait, because the mean of
        mu (1 - mu) falls by 1 - r2.
    penalty
        The share of variance of the chosen penalty (:data:`HERITABILITIES`; of binary traits
        :data:`deepnull_gwas.whole_genome.logistic.SHARES`); NaN where nothing is predicted.
    method
        How the prediction came about: ``linear``, ``logistic``, ``logistic_fallback`` (the linear prediction with one
        slope fitted on the logit scale), or ``none``.
    reason
        Why it is neither ``linear`` nor ``logistic``; else empty.
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
    own
        int64, the people of the fold that is left out.
    mean
        Mean of the phenotype.
    coefficients
        float64[c], of the phenotype on the covariates.
    on_covariates
        float64[c, chromosomes, kinds], of the predictors on the covariates.
    weights
        float64[kinds, penalties], of the predictors without covariates; 0 where nothing can be predicted.
    """

    own: np.ndarray
    mean: float
    coefficients: np.ndarray
    on_covariates: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class _FoldSums:
    """Sums over the people of each fold: of no phenotype, so that each training set is those of its folds added up.

    Attributes
    ----------
    covariates
        float64[folds, c, c], products of the covariates with each other.
    of_parts
        float64[folds, c, chromosomes x kinds], with the predictors.
    of_total
        float64[folds, kinds, c], of the predictors summed over chromosomes.
    total
        float64[folds, kinds, kinds], of these with each other.
    """

    covariates: np.ndarray
    of_parts: np.ndarray
    of_total: np.ndarray
    total: np.ndarray

    @classmethod
    def of(
        cls, people: Sequence[np.ndarray], parts: np.ndarray, total: np.ndarray, covariates: np.ndarray
    ) -> _FoldSums:
        """Sum over the people of each fold."""
        of_each = [(parts[own].reshape(len(own), -1), total[own], covariates[own]) for own in people]
        sums = [(z.T @ z, z.T @ p, w.T @ z, w.T @ w) for p, w, z in of_each]
        return cls(*map(np.array, zip(*sums)))

    def without(self, fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all four, summed over the other folds."""
        others = np.arange(len(self.total)) != fold
        each = self.covariates, self.of_parts, self.of_total, self.total
        return tuple(sums[others].sum(axis=0) for sums in each)


def _train(folds: _FoldSums, out: int, data: tuple[np.ndarray, ...], own: np.ndarray) -> TrainingSet:
    """Regress a phenotype on the predictors of everybody outside a fold.

    Parameters
    ----------
    folds
        Sums of each fold.
    out
        The fold that is left out.
    data
        Predictors summed over chromosomes, covariates and phenotype of everybody.
    own
        The people of the fold.
    """
    squares, of_parts, cross, gram = folds.without(out)
    inside = np.ones(len(data[0]), dtype=bool)
    inside[own] = False
    w, z, values = (each[inside] for each in data)
    k = w.shape[1]
    inverse = inverse_of(squares)
    coefficients = inverse @ (z.T @ values)
    left = values - z @ coefficients
    regressors = correlations(gram, cross, inverse, len(values))
    penalties = ridge_penalties(k)
    effects = np.zeros((k, len(penalties)))
    if float(left @ left) > 1e-18 * float(values @ values):
        right = regressors.standardise(w.T @ left)[None]
        for j, penalty in enumerate(penalties):
            effects[:, j] = RidgeFactor(regressors, penalty).effects(right)[0]
    on_covariates = (inverse @ of_parts).reshape(len(inverse), -1, k)
    mean = float(values.mean()) if len(values) else 0.0
    return TrainingSet(own, mean, coefficients, on_covariates, regressors.weights(effects.T)[0].T)


def stack(sums: np.ndarray, names: Sequence[str], y: np.ndarray, covariates: np.ndarray, fold: np.ndarray) -> Stacked:
    """Regress a phenotype on the predictors of the genome, and predict each fold with and without each chromosome.

    Parameters
    ----------
    sums
        float64[n, chromosomes, kinds], predictors summed over the blocks of each chromosome; each person's were made
        without this person's fold.
    names
        Of the chromosomes.
    y
        float64[n].
    covariates
        float64[n, c], the intercept among them.
    fold
        int[n], 0 ... k - 1; the folds of level 0.

    Returns
    -------
    Always a result; where nothing can be predicted the predictions are 0 and the method is ``none``, with the reason.

    Notes
    -----
    Coefficients of the covariates, and of the predictors on them, are those of the training set, as everywhere. The
    penalty is the one with the least squared error over all folds.
    """
    y = y - y.mean()  # what is far from 0 would lose digits
    total = sums.sum(axis=1)
    people = [np.flatnonzero(fold == f) for f in np.unique(fold)]
    of_folds = _FoldSums.of(people, sums, total, covariates)
    training = [_train(of_folds, f, (total, covariates, y), own) for f, own in enumerate(people)]
    beyond, about_mean = np.empty(len(y)), np.empty(len(y))
    left_out = np.empty(sums.shape)  # the predictors without covariates
    loss = np.zeros(len(HERITABILITIES))
    for one in training:
        own = one.own
        beyond[own] = y[own] - covariates[own] @ one.coefficients
        about_mean[own] = y[own] - one.mean
        left_out[own] = sums[own] - np.tensordot(covariates[own], one.on_covariates, 1)
        loss += np.sum((beyond[own][:, None] - left_out[own].sum(axis=1) @ one.weights) ** 2, axis=0)
    best = int(loss.argmin())
    each = np.zeros((len(names), len(y)))
    for one in training:
        each[:, one.own] = (left_out[one.own] @ one.weights[:, best]).T
    whole = each.sum(axis=0)
    nothing = not any(one.weights.any() for one in training)
    left, about, both = (float(v @ v) for v in (beyond, about_mean, beyond - whole))
    return Stacked(
        whole,
        {name: whole - part for name, part in zip(names, each, strict=True)},
        r2=0.0 if nothing else 1.0 - both / left,
        r2_covariates=1.0 - left / about if about > 0 else float("nan"),
        r2_both=1.0 - both / about if about > 0 else float("nan"),
        penalty=float("nan") if nothing else HERITABILITIES[best],
        method="none" if nothing else "linear",
        reason="no block of variants predicts anything beyond the covariates" if nothing else "",
    )
