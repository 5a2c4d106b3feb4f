"""The linear model: where the network starts, and what it is measured against."""

from __future__ import annotations

import numpy as np


def fit_linear(x: np.ndarray, y: np.ndarray, trait: str) -> tuple[np.ndarray, float]:
    """Fit least squares (quantitative) or logistic regression (binary).

    Parameters
    ----------
    x
        float64[n, p], standardised, without intercept.
    y
        Phenotype; 0/1 for a binary trait.
    trait
        ``quantitative`` or ``binary``.

    Returns
    -------
    Coefficients and intercept. A ridge of 1e-6 per person keeps collinear or separating covariates finite.
    """
    n, p = x.shape
    design = np.column_stack([np.ones(n), x])
    ridge = np.diag(np.r_[0.0, np.full(p, 1e-6 * n)])
    if trait == "quantitative":
        beta = np.linalg.solve(design.T @ design + ridge, design.T @ y)
        return beta[1:], float(beta[0])
    beta = np.zeros(p + 1)
    mean = float(np.clip(y.mean(), 1e-6, 1 - 1e-6))
    beta[0] = np.log(mean / (1 - mean))
    value = -np.inf
    for _ in range(50):
        eta = design @ beta
        mu = 1 / (1 + np.exp(-eta))
        w = np.maximum(mu * (1 - mu), 1e-10)
        step = np.linalg.solve((design * w[:, None]).T @ design + ridge, design.T @ (y - mu) - ridge @ beta)
        factor = 1.0
        while factor > 1e-3:
            new = beta + factor * step
            eta = design @ new
            new_value = float(np.sum(y * eta - np.logaddexp(0, eta)) - 0.5 * new @ ridge @ new)
            if new_value >= value - 1e-12 * abs(value):
                break
            factor /= 2
        beta, value = new, new_value
        if np.abs(step).max() < 1e-8:
            break
    return beta[1:], float(beta[0])
