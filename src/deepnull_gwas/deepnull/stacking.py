"""Stacking: one prediction from several, weighted on people that the models have not seen.

Wolpert 1992; Breiman 1996.
"""

from __future__ import annotations

import numpy as np

from deepnull_gwas.deepnull.metrics import loss
from deepnull_gwas.deepnull.smooth import TINY, logistic
from deepnull_gwas.traits import trait_of

#: Standard errors that the gain over the linear model must have for anything to be taken.
CERTAIN = 2.0


def stack(y: np.ndarray, linear: np.ndarray, others: np.ndarray, trait: str) -> np.ndarray:
    """Find how much of what each model adds to the linear model to take.

    Parameters
    ----------
    y
        float64[n] phenotype (binary: 0/1).
    linear
        float64[n]: predictions by the linear model, of people that it has not seen.
    others
        float64[n, models]: the same by the other models.
    trait
        ``quantitative`` or ``binary``.

    Returns
    -------
    Weights of the other models: 0 or more, with a sum of at most 1; the linear model takes the rest.

    Notes
    -----
    The weights of least loss are multiplied by 1 - (s/g)^2, g the gain in loss over the linear model and s its standard
    error: as James and Stein's estimator shrinks an effect towards zero by its noise; they are 0 where g < 2 s. So
    noise is not taken for a pattern where the truth is linear.
    """
    if others.shape[1] == 0:
        return np.zeros(0)
    extra = others - linear[:, None]
    weights = _weights(y, linear, extra, trait)
    return weights * _trust(y, linear, linear + extra @ weights, trait) if weights.any() else weights


def _trust(y: np.ndarray, linear: np.ndarray, weighed: np.ndarray, trait: str) -> float:
    """Return how much of the weights the gain over the linear model allows, see :func:`stack`."""
    gain = loss(y, linear, trait) - loss(y, weighed, trait)
    error2 = float(gain.var()) / len(gain)
    mean = float(gain.mean())
    return 1 - error2 / mean**2 if mean > CERTAIN * np.sqrt(error2) else 0.0


def line_of(z: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Find the straight part of predictions.

    Intercept and slopes of the linear function of the covariates that is closest to them.

    Parameters
    ----------
    z
        float64[n, p] standardised covariates.
    prediction
        float64[n, ...].

    Returns
    -------
    float64[p + 1, ...].
    """
    design = np.column_stack([np.ones(len(z)), z])
    return np.linalg.lstsq(design, prediction, rcond=1e-8)[0]


def weigh(z: np.ndarray, y: np.ndarray, extra: np.ndarray, trait: str) -> np.ndarray:
    """Find how much to take of what each model has beyond a straight line.

    The association fits the linear covariates anyway. So the models are weighed as it sees them: with a linear model
    that is fitted on the same people, with all that is linear in the covariates taken out of them. Otherwise a model
    that shrinks the linear model, or repeats it from other people, would seem to gain where the covariates explain
    nothing.

    Parameters
    ----------
    z
        float64[n, p] standardised covariates.
    y
        float64[n] phenotype (binary: 0/1).
    extra
        float64[n, models]: predictions of people that the models have not seen, less their straight part.
    trait
        ``quantitative`` or ``binary``.

    Returns
    -------
    A weight of each model, as :func:`stack` gives them.
    """
    design = np.column_stack([np.ones(len(z)), z])
    if not trait_of(trait).has_cases:
        root = _orthonormal(design)
        base = root @ (root.T @ y)
        extra = extra - root @ (root.T @ extra)
        return stack(y, base, base[:, None] + extra, trait)
    base = design @ logistic(design, y, np.full(z.shape[1], TINY))
    weights, eta = _weights_with_linear_part(design, y, base, extra)
    return weights * _trust(y, base, eta, trait) if weights.any() else weights


def _weights_with_linear_part(
    design: np.ndarray, y: np.ndarray, base: np.ndarray, extra: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the weights of most likelihood for a binary trait, the linear part fitted together with them.

    Newton's method from the linear predictor ``base``.

    A linear part that was fitted without the models has smaller effects than with them (odds ratios are not
    collapsible), and weights fitted on top of it would be too small.

    Returns
    -------
    The weights, and the linear predictor.
    """
    weights, eta, now = np.zeros(extra.shape[1]), base, float(loss(y, base, "binary").sum())
    for _ in range(30):
        mu = 1 / (1 + np.exp(-eta))
        w = np.sqrt(np.maximum(mu * (1 - mu), 1e-10))
        root = _orthonormal(design * w[:, None])
        target = w * eta + (y - mu) / w
        scaled = extra * w[:, None]
        rest = scaled - root @ (root.T @ scaled)
        hessian = rest.T @ rest
        hessian[np.diag_indices_from(hessian)] *= 1 + 1e-9
        new = _simplex(hessian, rest.T @ target)
        ahead = scaled @ new
        ahead = (ahead + root @ (root.T @ (target - ahead))) / w
        # the loss is convex, and so are the bounds
        factor = 1.0
        while (value := float(loss(y, eta + factor * (ahead - eta), "binary").sum())) > now and factor > 1e-3:
            factor /= 2
        if value > now:
            break
        moved = factor * np.abs(new - weights).max()
        gained = now - value
        weights, eta, now = weights + factor * (new - weights), eta + factor * (ahead - eta), value
        if moved < 1e-6 or gained < 1e-6:
            break
    return weights, eta


def shift_of(z: np.ndarray, y: np.ndarray, linear: np.ndarray, beyond: np.ndarray, trait: str) -> np.ndarray | None:
    """Find by how much the linear model differs when it is fitted together with what is beyond a straight line.

    Least squares does not see what is orthogonal to its columns, logistic regression does: effects given
    other covariates are larger than marginal ones, and the intercept moves.

    Parameters
    ----------
    z
        float64[n, p] standardised covariates.
    y
        float64[n] phenotype (binary: 0/1).
    linear
        float64[n]: predictions of these people by the linear model that was fitted on them.
    beyond
        float64[n]: what other models, which have not seen them, have beyond a straight line.
    trait
        ``quantitative`` or ``binary``.

    Returns
    -------
    float64[p + 1], intercept and slopes; None for quantitative traits, where there is nothing to shift.
    """
    if not trait_of(trait).has_cases:
        return None
    design = np.column_stack([np.ones(len(z)), z])
    return logistic(design, y, np.full(z.shape[1], TINY), offset=linear + beyond, start=np.zeros(z.shape[1] + 1))


def _orthonormal(design: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the columns."""
    size, direction = np.linalg.eigh(design.T @ design)
    keep = size > 1e-10 * size[-1]
    return design @ (direction[:, keep] / np.sqrt(size[keep]))


def _weights(y: np.ndarray, linear: np.ndarray, extra: np.ndarray, trait: str) -> np.ndarray:
    """Minimise the loss over weights of 0 or more with a sum of at most 1.

    Newton's method, each step solved within these bounds.
    """
    weights = np.zeros(extra.shape[1])
    for _ in range(30 if trait_of(trait).has_cases else 1):
        eta = linear + extra @ weights
        if not trait_of(trait).has_cases:
            w, gradient = np.ones(len(y)), extra.T @ (y - eta)
        else:
            mu = 1 / (1 + np.exp(-eta))
            w, gradient = np.maximum(mu * (1 - mu), 1e-10), extra.T @ (y - mu)
        hessian = (extra * w[:, None]).T @ extra
        hessian[np.diag_indices_from(hessian)] *= 1 + 1e-9
        new = _simplex(hessian, gradient + hessian @ weights)
        moved = np.abs(new - weights).max()
        weights = new
        if moved < 1e-6:
            break
    return weights


def _simplex(h: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Minimise 0.5 v'hv - c'v with v >= 0 and sum(v) <= 1 exactly.

    Every set of positive weights is tried (there are few models).
    """
    m = len(c)
    best, least = np.zeros(m), 0.0
    for subset in range(1, 2**m):
        at = np.array([i for i in range(m) if subset >> i & 1])
        a, b = h[np.ix_(at, at)], c[at]
        try:
            solved = np.linalg.solve(a, np.column_stack([b, np.ones(len(at))]))
        except np.linalg.LinAlgError:
            continue
        v = solved[:, 0]
        if v.sum() > 1:
            v = v - solved[:, 1] * (v.sum() - 1) / solved[:, 1].sum()
        if (v < 0).any() or not np.isfinite(v).all():
            continue
        value = 0.5 * v @ a @ v - b @ v
        if value < least:
            best, least = np.zeros(m), float(value)
            best[at] = v
    return best
