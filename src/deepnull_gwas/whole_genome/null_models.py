"""Logistic models of the covariates alone, one per training set: everybody but the people of one fold.

The covariates' coefficients have a weak ridge penalty: it costs nothing where there are cases enough, and with it a
model has a solution where a rare category, or a covariate, separates cases from controls in a training set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Ridge penalty of the coefficient of a covariate of variance 1 (the intercept has none)
COVARIATE_PENALTY = 1.0
MAX_STEPS = 50
#: Converged when twice what the next step would gain in log-likelihood is below this
DECREMENT = 1e-14


def probabilities(eta: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-eta)) without overflow."""
    e = np.exp(-np.abs(eta))
    return np.where(eta >= 0, 1.0, e) / (1.0 + e)


def log_likelihoods(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the Bernoulli log-likelihood of each person, given linear predictors."""
    return y * eta - np.maximum(eta, 0.0) - np.log1p(np.exp(-np.abs(eta)))


@dataclass(frozen=True)
class Covariates:
    """Covariates of people, the intercept first, the others of mean 0 and variance 1.

    Attributes
    ----------
    x
        float64[n, c].
    penalty
        float64[c], of each coefficient.
    """

    x: np.ndarray
    penalty: np.ndarray

    @classmethod
    def of(cls, covariates: np.ndarray) -> Covariates:
        """Standardise covariates; constant ones, such as an intercept, are replaced by one intercept.

        Parameters
        ----------
        covariates
            float64[n, c].
        """
        centred = covariates - covariates.mean(axis=0)
        sd = np.sqrt(np.mean(centred**2, axis=0))
        varying = sd > 1e-12 * np.abs(covariates).max(axis=0, initial=0.0)
        x = np.column_stack([np.ones(len(covariates)), centred[:, varying] / sd[varying]])
        penalty = np.full(x.shape[1], COVARIATE_PENALTY)
        penalty[0] = 0.0
        return cls(np.ascontiguousarray(x), penalty)


@dataclass(frozen=True)
class LogisticFit:
    """A penalised logistic regression.

    Attributes
    ----------
    coefficients
        float64[c].
    converged
        Whether it reached the maximum.
    """

    coefficients: np.ndarray
    converged: bool


def fit_penalised(
    x: np.ndarray, penalty: np.ndarray, y: np.ndarray, offset: np.ndarray | None = None, start: np.ndarray | None = None
) -> LogisticFit:
    """Maximise a logistic likelihood with ridge penalties, by Newton's method with halved steps.

    Parameters
    ----------
    x
        float64[n, c], the intercept first.
    penalty
        float64[c], of half the square of each coefficient; 0 for the intercept.
    y
        float64[n], 0 or 1, both among them.
    offset
        float64[n], added to the linear predictors; None, nothing.
    start
        float64[c], coefficients to start from; None: the intercept alone.
    """
    added = np.zeros(len(y)) if offset is None else offset
    if start is None:
        start = np.zeros(x.shape[1])
        start[0] = np.log(y.mean() / (1.0 - y.mean())) - added.mean()
    b, eta = start, x @ start + added
    value = float(log_likelihoods(eta, y).sum() - 0.5 * penalty @ b**2)
    for _ in range(MAX_STEPS):
        mu = probabilities(eta)
        score = x.T @ (y - mu) - penalty * b
        step = np.linalg.solve((x * (mu * (1.0 - mu))[:, None]).T @ x + np.diag(penalty), score)
        if float(step @ score) < DECREMENT * max(1.0, abs(value)):
            return LogisticFit(b, True)
        for _ in range(30):
            eta = x @ (b + step) + added
            new = float(log_likelihoods(eta, y).sum() - 0.5 * penalty @ (b + step) ** 2)
            if new >= value - 1e-12 * abs(value):
                break
            step /= 2
        b, value = b + step, new
    return LogisticFit(b, False)


def fit_null_model(
    covariates: Covariates, y: np.ndarray, rows: np.ndarray, offset: np.ndarray | None = None
) -> LogisticFit | None:
    """Fit the covariates' logistic model to some of the people.

    Parameters
    ----------
    covariates
        Of everybody.
    y
        float64[n], 0 or 1.
    rows
        int64, the people of the training set.
    offset
        float64[n], added to the linear predictors; None, nothing.

    Returns
    -------
    None where there are only cases or only controls among them.
    """
    if len(np.unique(y[rows])) < 2:
        return None
    return fit_penalised(covariates.x[rows], covariates.penalty, y[rows], None if offset is None else offset[rows])


def fit_null_models(covariates: Covariates, y: np.ndarray, fold: np.ndarray) -> list[LogisticFit] | None:
    """Fit the covariates' model without each fold; None where any training set has only cases or only controls.

    Parameters
    ----------
    covariates
        Of everybody.
    y
        float64[n], 0 or 1.
    fold
        int[n], 0 ... k - 1.
    """
    models = [fit_null_model(covariates, y, np.flatnonzero(fold != f)) for f in range(int(fold.max()) + 1)]
    return None if any(m is None for m in models) else models
