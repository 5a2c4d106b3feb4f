"""Logistic regression for binary traits: score test, maximum likelihood, Firth's likelihood whole and approximate."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from deepnull_gwas.verify.compare import Estimate
from deepnull_gwas.verify.saddle import saddle_point
from deepnull_gwas.verify.tails import deviate, normal_tail

#: People whose rows are multiplied at a time: bounds the memory, whatever the size of the cohort.
ROWS = 1 << 16


class _Model:
    """Logistic model of the basis and one genotype, with an offset: likelihood, score, information; people in parts."""

    def __init__(self, basis: np.ndarray, y: np.ndarray, offset: np.ndarray | None = None, g: np.ndarray | None = None):
        self.basis, self.y, self.offset, self.g = basis, y, offset, g
        self.n, self.p = basis.shape

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | float]]:
        """Yield columns, phenotype and offset of some people after the others."""
        for first in range(0, self.n, ROWS):
            at = slice(first, first + ROWS)
            # columns as long as the constant: a well-scaled information
            x = self.basis[at] * np.sqrt(self.n)
            columns = x if self.g is None else np.column_stack([x, self.g[at]])
            yield columns, self.y[at], 0.0 if self.offset is None else self.offset[at]

    def at(self, b: np.ndarray, firth: bool = False) -> tuple[float, np.ndarray, np.ndarray]:
        """Return log-likelihood (Firth's: with its penalty), score and information at coefficients ``b``."""
        value, score, information, seen = 0.0, np.zeros(len(b)), np.zeros((len(b), len(b))), []
        for x, y, offset in self.parts():
            eta = x @ b + offset
            # a step that goes much too far must not overflow
            mu = np.exp(-np.logaddexp(0, -eta))
            w = mu * (1 - mu)
            information += (x.T * w) @ x
            value += float(y @ eta - np.logaddexp(0, eta).sum())
            score += x.T @ (y - mu)
            seen.append((mu, w))
        if firth:
            value += 0.5 * float(np.linalg.slogdet(information)[1])
            if not value > -np.inf:
                # nothing is left to invert: the step is halved
                return -np.inf, score, information
            inverse = np.linalg.inv(information)
            for (x, _, _), (mu, w) in zip(self.parts(), seen, strict=True):
                score += x.T @ (w * ((x @ inverse) * x).sum(axis=1) * (0.5 - mu))
        return value, score, information

    def maximise(
        self, free: int, start: np.ndarray, firth: bool = False, enough: float = 1e-8
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Maximise over the first ``free`` coefficients: coefficients, maximum, information."""
        b = start.copy()
        value, score, information = self.at(b, firth)
        for _ in range(500):
            step = np.linalg.solve(information[:free, :free], score[:free])
            if np.sqrt(max(score[:free] @ step, 0.0)) < enough:
                break
            # with a penalty such steps can be too long: halved until they climb
            for _ in range(40):
                candidate = b.copy()
                candidate[:free] += step
                new = self.at(candidate, firth)
                if new[0] >= value - 1e-13 * abs(value):
                    break
                step /= 2
            b, (value, score, information) = candidate, new
        return b, value, information


def fit_null(basis: np.ndarray, y: np.ndarray, offset: np.ndarray | None = None) -> np.ndarray:
    """Return the coefficients of a logistic model of the basis alone (times sqrt(n)), given an offset."""
    start = np.zeros(basis.shape[1])
    start[0] = np.log(y.mean() / (1 - y.mean()))
    return _Model(basis, y, offset).maximise(basis.shape[1], start)[0]


def fit_penalised(basis: np.ndarray, y: np.ndarray, null: np.ndarray, offset: np.ndarray | None = None) -> np.ndarray:
    """Return the coefficients of the basis alone (times sqrt(n)) by Firth's likelihood, from those without penalty."""
    return _Model(basis, y, offset).maximise(basis.shape[1], null, True, 1e-7)[0]


def logistic(
    basis: np.ndarray,
    y: np.ndarray,
    g: np.ndarray,
    method: str,
    null: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> Estimate:
    """Regress a 0/1 phenotype on the basis and a genotype by ``score``, ``spa``, ``logistic`` (Wald) or ``firth``.

    Parameters
    ----------
    basis
        float64[n, p], orthonormal, the constant first.
    y, g
        float64[n].
    method
        Which test.
    null
        From :func:`fit_null`; fitted here if None.
    offset
        float64[n], what enters the linear predictor with a coefficient of 1; None, nothing.
    """
    p = basis.shape[1]
    null = fit_null(basis, y, offset) if null is None else null
    model = _Model(basis, y, offset, g - g.mean())
    start = np.append(null, 0.0)
    if method == "firth":
        # the square of this is what a better maximum could still add to the likelihood
        below, low, _ = model.maximise(p, start, True, 1e-6)
        full, high, information = model.maximise(p + 1, below, True, 1e-6)
        beta, se = full[p], np.sqrt(np.linalg.inv(information)[p, p])
        tail = normal_tail(math.sqrt(max(2 * (high - low), 0.0)))
    elif method == "logistic":
        full, _, information = model.maximise(p + 1, start)
        beta, se = full[p], np.sqrt(np.linalg.inv(information)[p, p])
        tail = normal_tail(beta / se)
    else:
        _, score, information = model.at(start)
        left = 1 / np.linalg.inv(information)[p, p]
        beta, se = score[p] / left, 1 / np.sqrt(left)
        tail = normal_tail(beta / se)
        if method == "spa":
            residual = [
                x[:, p] - x[:, :p] @ np.linalg.solve(information[:p, :p], information[:p, p])
                for x, _, _ in model.parts()
            ]
            mu = np.concatenate([1 / (1 + np.exp(-(x @ start + shift))) for x, _, shift in model.parts()])
            tail = saddle_point(float(score[p]), np.concatenate(residual), mu)
            se = abs(beta) / deviate(tail)
    return Estimate(float(beta), float(se), float(tail), float(information[p, p] * np.linalg.inv(information)[p, p]))


def approximate(
    basis: np.ndarray,
    y: np.ndarray,
    g: np.ndarray,
    null: np.ndarray,
    penalised: np.ndarray,
    offset: np.ndarray | None = None,
) -> Estimate:
    """Test a genotype alone by Firth's likelihood, the penalised model of the basis being held fixed.

    Parameters
    ----------
    basis
        Orthonormal for all people; rows of the others are left out.
    g
        NaN for people who are left out.
    null, penalised
        Coefficients of the basis (times the root of its number of rows) without and with penalty.
    offset
        float64, one per row of the basis; None, nothing.
    """
    use = np.flatnonzero(~np.isnan(g))
    root = math.sqrt(len(basis))
    given = 0.0 if offset is None else offset
    fixed, eta = (basis @ (b * root) + given for b in (penalised, null))
    x, y, g, fixed, eta = basis[use], y[use], g[use] - g[use].mean(), fixed[use], eta[use]
    mu = 1 / (1 + np.exp(-eta))
    weighted = (x.T * (mu * (1 - mu))).T
    g = g - x @ np.linalg.solve(weighted.T @ x, weighted.T @ g)

    def at(b: float) -> tuple[float, float, float]:
        t = fixed + b * g
        mu = np.exp(-np.logaddexp(0, -t))
        w = mu * (1 - mu)
        information = float(w @ (g * g))
        slope = float(g @ (y - mu)) + 0.5 * float((w * (1 - 2 * mu)) @ g**3) / information
        return float(y @ t - np.logaddexp(0, t).sum()) + 0.5 * math.log(information), slope, information

    # the slope falls through 0 once: a bracket, then halved
    side = math.copysign(1.0, at(0.0)[1])
    low, high = 0.0, side
    while at(high)[1] * side > 0:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle)[1] * side > 0 else (low, middle)
    top, _, information = at((low + high) / 2)
    tail = normal_tail(math.sqrt(max(2 * (top - at(0.0)[0]), 0.0)))
    return Estimate((low + high) / 2, information**-0.5, tail, 1.0)
