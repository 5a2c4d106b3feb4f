"""Firth's penalised likelihood in its two forms: over all people, and from the carriers of a rare variant.

In the second everybody else is a series around the null model (:mod:`deepnull_gwas.association.expansion`); the result
is the same.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from deepnull_gwas.association.expansion import Carriers
from deepnull_gwas.jit import FAST, numba

#: Converged when the penalised score, in standard errors, is below this: over all people, and from carriers, where the
#: series has its own error
TOLERANCE, TOLERANCE_OF_SERIES = 1e-9, 1e-7
_TILE = 256


class Likelihood(Protocol):
    """The penalised likelihood of the coefficients, and how near to its maximum is near enough."""

    tolerance: float

    def evaluate(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the logarithm, without log|I|/2 (or but for a constant), and the information I."""

    def score(self, inverse: np.ndarray) -> np.ndarray:
        """Return the derivatives of the penalised likelihood where it was evaluated last, given the inverse of I."""


class Everybody:
    """The likelihood summed over all people.

    Parameters
    ----------
    x
        float64[n, p] with the intercept.
    y
        0/1.
    g
        float64[n], the genotype; None: the covariates alone.
    offset
        float64[n], added to the linear predictors; None, nothing.
    """

    tolerance = TOLERANCE

    def __init__(self, x: np.ndarray, y: np.ndarray, g: np.ndarray | None = None, offset: np.ndarray | None = None):
        self.x, self.y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        self.g, self.offset = (np.empty(0) if a is None else np.ascontiguousarray(a) for a in (g, offset))
        self.width = x.shape[1] + (g is not None)
        self._residual, self._weight = np.empty(len(y)), np.empty(len(y))

    def evaluate(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return log-likelihood and information."""
        information = np.zeros((self.width, self.width))
        data = (self.x, self.g, self.y, self.offset)
        value = _information(data, theta, (self._residual, self._weight), information)
        return value, information

    def score(self, inverse: np.ndarray) -> np.ndarray:
        """Return the penalised score at the last coefficients."""
        # leverages: squared lengths of the rows of W^1/2 X L, with L L' the inverse
        out = np.zeros(self.width)
        upper = np.ascontiguousarray(np.linalg.cholesky(inverse).T)
        _penalised_score((self.x, self.g, self.y), (self._residual, self._weight), upper, out)
        return out


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _load(x, g, first, count, tile):
    """Copy the columns of some people into the rows of a tile."""
    p = x.shape[1]
    for i in range(count):
        for j in range(p):
            tile[j, i] = x[first + i, j]
    if len(tile) > p:
        for i in range(count):
            tile[p, i] = g[first + i]
    if count < _TILE:
        tile[:, count:] = 0.0


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _dot(a, b):
    """Return the dot product of two rows of a tile."""
    total = 0.0
    for i in range(_TILE):
        total += a[i] * b[i]
    return total


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _information(data, theta, people, information):
    """Fill in residuals, weights and information at coefficients; return the log-likelihood."""
    x, g, y, offset = data
    residual, weight = people
    n, width = len(y), len(theta)
    tile, weighted = np.zeros((width, _TILE)), np.zeros(_TILE)
    eta, w = np.zeros(_TILE), np.zeros(_TILE)
    value = 0.0
    for first in range(0, n, _TILE):
        count = min(_TILE, n - first)
        _load(x, g, first, count, tile)
        eta[:] = 0.0
        if len(offset):
            for i in range(count):
                eta[i] = offset[first + i]
        for j in range(width):
            row, c = tile[j], theta[j]
            for i in range(_TILE):
                eta[i] += c * row[i]
        w[:] = 0.0
        for i in range(count):
            t = eta[i]
            e = np.exp(-abs(t))
            mu = (1.0 if t >= 0.0 else e) / (1.0 + e)
            residual[first + i] = y[first + i] - mu
            w[i] = e / ((1.0 + e) * (1.0 + e))
            weight[first + i] = w[i]
            value += y[first + i] * t - max(t, 0.0) - np.log1p(e)
        for j in range(width):
            row = tile[j]
            for i in range(_TILE):
                weighted[i] = w[i] * row[i]
            for k in range(j + 1):
                information[j, k] += _dot(weighted, tile[k])
    for j in range(width):
        for k in range(j):
            information[k, j] = information[j, k]
    return value


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _penalised_score(data, people, upper, out):
    """Add the penalised score to ``out``, given the upper triangular root of the inverse of the information."""
    x, g, y = data
    residual, weight = people
    n, width = len(y), len(out)
    tile, part = np.zeros((width, _TILE)), np.zeros(_TILE)
    leverage = np.zeros(_TILE)
    for first in range(0, n, _TILE):
        count = min(_TILE, n - first)
        _load(x, g, first, count, tile)
        leverage[:] = 0.0
        for a in range(width):
            part[:] = 0.0
            for b in range(a, width):
                row, c = tile[b], upper[a, b]
                for i in range(_TILE):
                    part[i] += c * row[i]
            for i in range(_TILE):
                leverage[i] += part[i] * part[i]
        part[:] = 0.0
        for i in range(count):
            r = residual[first + i]
            # 1/2 - mu is the residual with a phenotype of 1/2
            part[i] = r + weight[first + i] * leverage[i] * (r - y[first + i] + 0.5)
        for j in range(width):
            out[j] += _dot(part, tile[j])


class OfCarriers:
    """The likelihood from the carriers of a rare variant and the series of everybody else.

    Parameters
    ----------
    carriers
        The variant; its expansion is that of the covariates' own penalised model. Coefficients of covariates are
        counted from there.
    """

    tolerance = TOLERANCE_OF_SERIES

    def __init__(self, carriers: Carriers):
        self.carriers = carriers
        self.theta = np.zeros(carriers.x.shape[1] + 1)

    def evaluate(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return log-likelihood (but for a constant) and information."""
        c, e = self.carriers, self.carriers.expansion
        information, self._score = np.zeros((len(theta), len(theta))), np.zeros(len(theta))
        self.theta = theta
        people = (c.x, c.g, c.y, c.eta, c.leverage, c.present, c.tracked)
        series = (e.score, e.information, e.third, e.penalty)
        value = _evaluate(theta, people, series, self._score, information)
        return value, information

    def score(self, inverse: np.ndarray) -> np.ndarray:
        """Return the penalised score at the last coefficients."""
        c, e = self.carriers, self.carriers.expansion
        out = self._score.copy()
        people = (c.x, c.g, c.eta, c.leverage, c.present, c.tracked)
        _add_penalty(self.theta, np.ascontiguousarray(inverse), people, (e.third, e.penalty), out)
        return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _evaluate(theta, people, series, score, information):
    """Fill in score and information at coefficients; return the log-likelihood but for a constant."""
    x, g, y, eta, leverage, present, tracked = people
    score0, information0, third, penalty = series
    k, p = x.shape
    value = 0.0
    for a in range(p):
        ad, td, pd = 0.0, 0.0, 0.0
        for b in range(p):
            t = 0.0
            for c in range(p):
                t += third[a, b, c] * theta[c]
            information[a, b] = information0[a, b] + t
            ad += information0[a, b] * theta[b]
            td += t * theta[b]
            pd += penalty[a, b] * theta[b]
        score[a] = score0[a] - ad - 0.5 * td
        value += theta[a] * (score0[a] - 0.5 * ad - td / 6.0 + 0.25 * pd)
    gamma = theta[p]
    for i in range(k):
        u = 0.0
        for j in range(p):
            u += x[i, j] * theta[j]
        r, w = 0.0, 0.0
        if tracked[i]:
            # what the tensors say of this person is taken out
            e = np.exp(-abs(eta[i]))
            mu = (1.0 if eta[i] >= 0.0 else e) / (1.0 + e)
            v = e / ((1.0 + e) * (1.0 + e))
            b3, b4 = v * (1.0 - 2.0 * mu), v * (1.0 - 6.0 * v) * leverage[i]
            r -= y[i] - mu - v * u - 0.5 * b3 * u * u
            w -= v + b3 * u
            value -= u * (y[i] - mu - 0.5 * v * u - b3 * u * u / 6.0 + 0.25 * b4 * u)
        if present[i]:
            t = eta[i] + u + gamma * g[i]
            e = np.exp(-abs(t))
            mu = (1.0 if t >= 0.0 else e) / (1.0 + e)
            v = e / ((1.0 + e) * (1.0 + e))
            value += y[i] * t - max(t, 0.0) - np.log1p(e)
            r += y[i] - mu
            w += v
            vg = v * g[i]
            score[p] += (y[i] - mu) * g[i]
            information[p, p] += vg * g[i]
            if vg != 0.0:
                for j in range(p):
                    information[p, j] += vg * x[i, j]
        for j in range(p):
            score[j] += r * x[i, j]
            wx = w * x[i, j]
            for m in range(j + 1):
                information[j, m] += wx * x[i, m]
    for j in range(p + 1):
        for m in range(j):
            information[m, j] = information[j, m]
    return value


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _add_penalty(theta, inverse, people, series, score):
    """Add to a score the derivatives of log|I| / 2."""
    x, g, eta, leverage, present, tracked = people
    third, penalty = series
    k, p = x.shape
    for a in range(p):
        total = 0.0
        for b in range(p):
            total += penalty[a, b] * theta[b]
            for c in range(p):
                total += inverse[b, c] * third[a, b, c]
        score[a] += 0.5 * total
    gamma = theta[p]
    for i in range(k):
        u, own, cross = 0.0, 0.0, 0.0
        for j in range(p):
            u += x[i, j] * theta[j]
            t = 0.0
            for m in range(p):
                t += inverse[j, m] * x[i, m]
            own += t * x[i, j]
            cross += inverse[p, j] * x[i, j]
        r = 0.0
        if tracked[i]:
            e = np.exp(-abs(eta[i]))
            mu = (1.0 if eta[i] >= 0.0 else e) / (1.0 + e)
            v = e / ((1.0 + e) * (1.0 + e))
            r -= 0.5 * v * ((1.0 - 2.0 * mu) * own + (1.0 - 6.0 * v) * leverage[i] * u)
        if present[i]:
            t = eta[i] + u + gamma * g[i]
            e = np.exp(-abs(t))
            mu = (1.0 if t >= 0.0 else e) / (1.0 + e)
            v = e / ((1.0 + e) * (1.0 + e))
            s = 0.5 * v * (1.0 - 2.0 * mu) * (own + g[i] * (2.0 * cross + g[i] * inverse[p, p]))
            r += s
            score[p] += s * g[i]
        for j in range(p):
            score[j] += r * x[i, j]
