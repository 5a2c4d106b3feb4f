"""The logistic null model: covariates and offset, without a variant."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.errors import StudyFailure

STAGE = "associate"
ITERATIONS = 50
SEPARATION = (
    "a combination of the covariates separates cases from controls, so that the null model has no solution; "
    "merge rare categories or drop the covariate"
)


@dataclass
class LogisticNull:
    """A fitted logistic null model.

    Attributes
    ----------
    x
        float64[n, p], intercept first, on an orthonormal scale (spans the covariates).
    coefficients
        float64[p].
    log_likelihood
        Its maximum.
    offset
        float64[n], added to the linear predictors; None, nothing.
    """

    x: np.ndarray
    coefficients: np.ndarray
    log_likelihood: float
    offset: np.ndarray | None = None

    @functools.cached_property
    def eta(self) -> np.ndarray:
        """Linear predictors, the offset with them: float64[n]."""
        return self.predictor(self.coefficients)

    def predictor(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the linear predictors for coefficients of the covariates, the offset with them."""
        return linear_predictor(self.x, coefficients, self.offset)

    @functools.cached_property
    def mu(self) -> np.ndarray:
        """Probabilities: float64[n]."""
        return 1.0 / (1.0 + np.exp(-self.eta))

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """mu (1 - mu): float64[n]."""
        return self.mu * (1.0 - self.mu)

    @functools.cached_property
    def inverse(self) -> np.ndarray:
        """Inverse of the information X'WX: float64[p, p]."""
        return np.linalg.inv((self.x * self.weights[:, None]).T @ self.x)

    @functools.cached_property
    def half(self) -> np.ndarray:
        """float64[p, p], upper triangular R with R R' = inverse: X R is orthonormal under the weights."""
        lower = np.linalg.cholesky((self.x * self.weights[:, None]).T @ self.x)
        return np.linalg.inv(lower).T


def linear_predictor(x: np.ndarray, coefficients: np.ndarray, offset: np.ndarray | None) -> np.ndarray:
    """Return X b and, where there is one, the offset: float64[n]."""
    eta = x @ coefficients
    return eta if offset is None else eta + offset


def fit_logistic(x: np.ndarray, y: np.ndarray, offset: np.ndarray | None = None) -> LogisticNull:
    """Fit a logistic regression by iteratively reweighted least squares.

    Parameters
    ----------
    x
        float64[n, p] with the intercept.
    y
        0/1.
    offset
        float64[n], added to the linear predictors with coefficient 1; None, nothing.

    Raises
    ------
    StudyFailure
        When the covariates separate cases from controls, or the fit does not converge.
    """
    p = x.shape[1]
    beta = np.zeros(p)
    mean = y.mean()
    if mean in (0.0, 1.0):
        raise StudyFailure(STAGE, "all people are cases" if mean else "no cases among the analysed people")
    # start at the intercept-only model: x[:, 0] is constant; an offset may lie anywhere
    beta[0] = (np.log(mean / (1 - mean)) - (0.0 if offset is None else offset.mean())) / x[0, 0]
    eta = linear_predictor(x, beta, offset)
    value = log_likelihood(eta, y)
    for _ in range(ITERATIONS):
        mu = 1.0 / (1.0 + np.exp(-eta))
        w = mu * (1 - mu)
        try:
            step = np.linalg.solve((x * w[:, None]).T @ x, x.T @ (y - mu))
        except np.linalg.LinAlgError as error:
            raise StudyFailure(STAGE, SEPARATION) from error
        # a step past the maximum is halved: Newton's method then always climbs
        for _ in range(30):
            new_eta = linear_predictor(x, beta + step, offset)
            new_value = log_likelihood(new_eta, y)
            if new_value >= value - 1e-12 * abs(value):
                break
            step /= 2
        moved = np.abs(new_eta - eta).max()
        gain = new_value - value
        beta, eta, value = beta + step, new_eta, new_value
        if moved < 1e-7:
            return LogisticNull(x, beta, value, offset)
        # under separation the likelihood has no maximum: it creeps up to a limit while the coefficients run away
        if gain < 1e-9 and moved > 0.01:
            raise StudyFailure(STAGE, SEPARATION)
    raise StudyFailure(STAGE, "the null model did not converge: covariates nearly separate cases from controls")


def log_likelihood(eta: np.ndarray, y: np.ndarray) -> float:
    """Return the Bernoulli log-likelihood of linear predictors."""
    return float(np.sum(y * eta - np.logaddexp(0.0, eta)))
