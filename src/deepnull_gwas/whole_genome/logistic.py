"""Level 1 of binary traits: the predictors of the genome weighed on the logit scale, with and without each chromosome.

The model of a training set (everybody but one fold) is

    logit P(y = 1) = X a + Z b,       Z: the predictors, summed over the genome by kind, of variance 1

with a ridge penalty on b, as in regenie (Mbatchou et al. 2021), and a weak one on the covariates' coefficients, so that
neither separation nor a rare category leaves it without a solution; the fits go from the largest penalty down. regenie
gives a trait up whose fit does not converge; here every trait gets a result, and a word for how it came about.

A chromosome is left out by dropping its part of the sums, and the coefficients are fitted anew: on the logit scale they
are smaller the less there is in the model, and an offset that is too large makes the residuals' variance, mu (1 - mu),
too small: tests would be inflated by a few per cent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.whole_genome.null_models import (
    COVARIATE_PENALTY,
    MAX_STEPS,
    Covariates,
    fit_null_models,
    fit_penalised,
    log_likelihoods,
    probabilities,
)
from deepnull_gwas.whole_genome.stacking import Stacked

#: Shares of the variance on the logit scale that the penalties stand for; the penalty of a share h is
#: m (1 - h) / h x 3 / pi^2 for m predictors (the logistic distribution has variance pi^2 / 3)
SHARES = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
#: Fewer cases, or controls, say nothing of a genome
LEAST_CASES = 20
#: A kind of predictor is left out when what the covariates leave of it is below this fraction of its sum of squares
LEAST_LEFT = 1e-6


@dataclass(frozen=True)
class Genome:
    """The predictors of a study's people with the covariates taken out.

    Attributes
    ----------
    names
        The chromosomes.
    parts
        float64[n, chromosomes, kinds], each chromosome's sums over its blocks, without covariates, divided by the
        standard deviation of the kind over the genome.
    """

    names: list[str]
    parts: np.ndarray

    @classmethod
    def of(cls, names: list[str], sums: np.ndarray, x: np.ndarray) -> Genome:
        """Take the covariates out and scale; kinds that predict nothing beyond the covariates are left out.

        Both are done over everybody: genotypes and covariates know nothing of the phenotype.
        """
        n, chromosomes, kinds = sums.shape
        flat = sums.reshape(n, -1)
        left = (flat - x @ np.linalg.lstsq(x, flat, rcond=1e-10)[0]).reshape(n, chromosomes, kinds)
        squares = np.sum(left.sum(axis=1) ** 2, axis=0)
        used = squares > LEAST_LEFT * np.sum(sums.sum(axis=1) ** 2, axis=0)
        return cls(names, left[:, :, used] / np.sqrt(squares[used] / n))

    @property
    def whole(self) -> np.ndarray:
        """The sums over all chromosomes: float64[n, kinds]."""
        return self.parts.sum(axis=1)


def penalties(predictors: int) -> np.ndarray:
    """Return the grid of penalties for a number of predictors, largest first."""
    h = np.array(SHARES)
    return predictors * (1 - h) / h * 3.0 / np.pi**2


def stack_binary(
    sums: np.ndarray, names: Sequence[str], y: np.ndarray, covariates: np.ndarray, fold: np.ndarray
) -> Stacked:
    """Regress a binary trait on the predictors of all blocks, and predict each fold with and without each chromosome.

    Parameters
    ----------
    sums
        float64[n, chromosomes, kinds], predictors summed over the blocks of each chromosome; each person's were made
        without this person's fold.
    names
        Of the chromosomes.
    y
        float64[n], 0 or 1.
    covariates
        float64[n, c], with or without an intercept.
    fold
        int[n], 0 ... k - 1; the folds of level 0.

    Returns
    -------
    Always a result; where nothing can be predicted the offsets are 0 and the method is ``none``, with the reason.
    """
    names = list(names)
    cases = int(y.sum())
    fewer, who = min((cases, "cases"), (len(y) - cases, "controls"))
    if fewer < LEAST_CASES:
        return _nothing(names, len(y), f"{fewer} {who} among {len(y)} people; at least {LEAST_CASES} are needed")
    design = Covariates.of(covariates)
    nulls = fit_null_models(design, y, fold)
    if nulls is None:
        return _nothing(names, len(y), f"all {fewer} {who} are in one fold: nobody is left to train on")
    genome = Genome.of(names, sums, design.x)
    if not genome.parts.shape[2]:
        return _nothing(names, len(y), "no block of variants predicts anything beyond the covariates")
    start = np.array([null.coefficients for null in nulls])
    null = np.einsum("ij,ij->i", design.x, start[fold])
    sets = TrainingSets(design, genome.whole, y, fold, start)
    fits, method, reason = sets.path(), "logistic", ""
    if not fits:
        method, reason = "logistic_fallback", f"the ridge logistic regression did not converge in {MAX_STEPS} steps"
        fits = sets.linear_path()
    values = [float(log_likelihoods(sets.predict(fit), y).sum()) for fit in fits]
    best = int(np.argmax(values))
    eta, weights = sets.predict(fits[best]), fits[best][:, design.x.shape[1] :]
    penalty = best if method == "logistic" else None
    return Stacked(
        np.einsum("ij,ij->i", genome.whole, weights[fold]),
        {name: sets.leave_out(genome.parts[:, c], fits[best], penalty) for c, name in enumerate(names)},
        *_explained(y, eta, null, fold),
        penalty=SHARES[best],
        method=method,
        reason=reason,
    )


class TrainingSets:
    """The ridge logistic regressions of all training sets; coefficients are float64[folds, covariates + kinds].

    Parameters
    ----------
    design
        The covariates.
    z
        float64[n, kinds], predictors of variance 1.
    y
        float64[n], 0 or 1.
    fold
        int[n], 0 ... k - 1: a training set is everybody outside one fold.
    nulls
        float64[folds, covariates], coefficients of the covariates' own models.
    """

    def __init__(self, design: Covariates, z: np.ndarray, y: np.ndarray, fold: np.ndarray, nulls: np.ndarray):
        self.x, self.penalty = np.hstack([design.x, z]), design.penalty
        self.kinds, self.y, self.fold, self.nulls = z.shape[1], y, fold, nulls
        self.rows = [np.flatnonzero(fold != f) for f in range(len(nulls))]

    def fit(self, x: np.ndarray, penalty: int, start: np.ndarray) -> np.ndarray | None:
        """Return the coefficients of columns at a penalty of the grid; None where a fit does not converge."""
        tau = penalties(self.kinds)[penalty]
        every = np.r_[self.penalty, np.full(self.kinds, tau)]
        fits = [fit_penalised(x[rows], every, self.y[rows], start=at) for rows, at in zip(self.rows, start)]
        return np.array([fit.coefficients for fit in fits]) if all(fit.converged for fit in fits) else None

    def path(self) -> list[np.ndarray]:
        """Return the coefficients at each penalty, from the largest down to the last at which all fits converge."""
        at, out = np.hstack([self.nulls, np.zeros((len(self.nulls), self.kinds))]), []
        for penalty in range(len(SHARES)):
            at = self.fit(self.x, penalty, at)
            if at is None:
                break
            out.append(at)
        return out

    def leave_out(self, part: np.ndarray, coefficients: np.ndarray, penalty: int | None) -> np.ndarray:
        """Return the predictions out of fold without a chromosome.

        Parameters
        ----------
        part
            float64[n, kinds], what it adds to the predictors.
        coefficients
            Those of the whole genome.
        penalty
            That they are fitted again with; None, they stay.
        """
        c = self.nulls.shape[1]
        x = np.hstack([self.x[:, :c], self.x[:, c:] - part])
        if penalty is not None and (again := self.fit(x, penalty, coefficients)) is not None:
            coefficients = again
        return np.einsum("ij,ij->i", x[:, c:], coefficients[self.fold, c:])

    def linear_path(self) -> list[np.ndarray]:
        """Return the same by ridge regression of what the covariates leave of the phenotype, with one slope.

        The slope makes of linear predictions such on the logit scale: that of a logistic regression on the covariates
        and the prediction, which has a solution nearly always, and is taken wherever Newton's method ends.
        """
        out, c = [], self.nulls.shape[1]
        for tau in penalties(self.kinds):
            at = np.zeros((len(self.nulls), c + self.kinds))
            for f, rows in enumerate(self.rows):
                x, z, y = self.x[rows, :c], self.x[rows, c:], self.y[rows]
                mu = probabilities(x @ self.nulls[f])
                information = z.T @ z * np.mean(mu * (1.0 - mu)) + tau * np.eye(self.kinds)
                weights = np.linalg.solve(information, z.T @ (y - mu))
                coefficients = self._with_slope(x, z @ weights, y)
                at[f] = np.r_[coefficients[:c], coefficients[c] * weights]
            out.append(at)
        return out

    def _with_slope(self, x: np.ndarray, predicted: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return coefficients of covariates and a prediction in a logistic regression on both."""
        sd = float(predicted.std()) or 1.0
        fit = fit_penalised(np.column_stack([x, predicted / sd]), np.r_[self.penalty, COVARIATE_PENALTY], y)
        return np.r_[fit.coefficients[:-1], fit.coefficients[-1] / sd]

    def predict(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the linear predictor of each person by the model that was trained without this person."""
        return np.einsum("ij,ij->i", self.x, coefficients[self.fold])


def _nothing(names: list[str], n: int, reason: str) -> Stacked:
    """Return offsets of 0, and why."""
    nan = float("nan")
    return Stacked(np.zeros(n), {c: np.zeros(n) for c in names}, 0.0, nan, nan, nan, "none", reason)


def _explained(y: np.ndarray, eta: np.ndarray, null: np.ndarray, fold: np.ndarray) -> tuple[float, float, float]:
    """Return the three R2 of :func:`stack_binary`: of the genome, of the covariates and of both."""
    people, cases = np.bincount(fold), np.bincount(fold, weights=y)
    mean = ((cases.sum() - cases) / (people.sum() - people))[fold]
    both, covariates, nothing = (float(np.sum((y - p) ** 2)) for p in (probabilities(eta), probabilities(null), mean))
    return 1.0 - both / covariates, 1.0 - covariates / nothing, 1.0 - both / nothing
