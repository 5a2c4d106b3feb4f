"""Firth's penalised logistic regression, for few cases or carriers and for separation.

Firth 1993, Biometrika 80:27; Heinze & Schemper 2002, Statistics in Medicine 21:2409 (penalised likelihood-ratio test).

The likelihood is computed in one of two ways, with the same result: over all people, or for a rare variant over its carriers, with
everybody else as a series around the null model (:mod:`deepnull_gwas.association.expansion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deepnull_gwas.association.expansion import ACCURACY, Carriers
from deepnull_gwas.association.tails import neg_log10_p_chi2
from deepnull_gwas.jit import FAST, numba

MAX_ITERATIONS = 200
#: The longest step of a coefficient (of columns of length sqrt(n), and of the log odds ratio): as R's logistf
MAX_STEP = 5.0
#: Converged when the penalised score, in standard errors, is below this: over all people, and from carriers, where the series has its own error
TOLERANCE, TOLERANCE_OF_SERIES = 1e-9, 1e-7
_TILE = 256


@dataclass
class FirthFit:
    """One penalised fit: estimate of the last coefficient, its standard error, -log10 p of the penalised likelihood-ratio test."""

    beta: float
    se: float
    neg_log10_p: float
    converged: bool


FAILED = FirthFit(np.nan, np.nan, np.nan, False)


class Likelihood(Protocol):
    """The penalised likelihood of the covariates' coefficients and the variant's, and how near to its maximum is near enough."""

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
    """

    tolerance = TOLERANCE

    def __init__(self, x: np.ndarray, y: np.ndarray, g: np.ndarray | None = None):
        self.x, self.y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        self.g = np.empty(0) if g is None else np.ascontiguousarray(g)
        self.width = x.shape[1] + (g is not None)
        self._residual, self._weight = np.empty(len(y)), np.empty(len(y))

    def evaluate(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return log-likelihood and information."""
        information = np.zeros((self.width, self.width))
        value = _information(self.x, self.g, self.y, theta, self._residual, self._weight, information)
        return value, information

    def score(self, inverse: np.ndarray) -> np.ndarray:
        """Return the penalised score at the last coefficients."""
        # leverages: squared lengths of the rows of W^1/2 X L, with L L' the inverse
        out = np.zeros(self.width)
        _penalised_score(
            self.x, self.g, self.y, self._residual, self._weight, np.ascontiguousarray(np.linalg.cholesky(inverse).T), out
        )  # fmt: skip
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
    total = 0.0
    for i in range(_TILE):
        total += a[i] * b[i]
    return total


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _information(x, g, y, theta, residual, weight, information):
    n, width = len(y), len(theta)
    tile, weighted = np.zeros((width, _TILE)), np.zeros(_TILE)
    eta, w = np.zeros(_TILE), np.zeros(_TILE)
    value = 0.0
    for first in range(0, n, _TILE):
        count = min(_TILE, n - first)
        _load(x, g, first, count, tile)
        eta[:] = 0.0
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
def _penalised_score(x, g, y, residual, weight, upper, out):
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
        The variant; its expansion is that of the covariates' own penalised model. Coefficients of covariates are counted from there.
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
        value = _evaluate(
            theta, c.x, c.g, c.y, c.eta, c.leverage, c.present, c.tracked, e.score, e.information, e.third, e.penalty,
            self._score, information,
        )  # fmt: skip
        return value, information

    def score(self, inverse: np.ndarray) -> np.ndarray:
        """Return the penalised score at the last coefficients."""
        c, e = self.carriers, self.carriers.expansion
        out = self._score.copy()
        _add_penalty(
            self.theta, np.ascontiguousarray(inverse), c.x, c.g, c.eta, c.leverage, c.present, c.tracked, e.third, e.penalty, out
        )  # fmt: skip
        return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _evaluate(
    theta, x, g, y, eta, leverage, present, tracked, score0, information0, third, penalty, score, information
):  # fmt: skip
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
def _add_penalty(theta, inverse, x, g, eta, leverage, present, tracked, third, penalty, score):
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


def _climb(likelihood: Likelihood, beta: np.ndarray, free: int) -> tuple[np.ndarray, float, np.ndarray, bool]:
    """Maximise l(beta) + log|I(beta)| / 2 over the first ``free`` coefficients; the penalty is that of all columns.

    Returns
    -------
    Coefficients, penalised log-likelihood, inverse of the information, and whether it converged.

    Raises
    ------
    LinAlgError
        When the information is singular where it starts.
    """

    def evaluate(b: np.ndarray) -> tuple[float, np.ndarray]:
        value, information = likelihood.evaluate(b)
        lower = np.linalg.cholesky(information)
        return value + float(np.log(np.diagonal(lower)).sum()), lower

    beta = beta.copy()
    value, lower = evaluate(beta)
    before, rate = None, 1.0
    for _ in range(MAX_ITERATIONS):
        half = np.linalg.inv(lower)
        inverse = half.T @ half
        score = likelihood.score(inverse)[:free]
        own = half[:free, :free]
        scaled = own @ score
        step = own.T @ scaled
        length = float(np.sqrt(scaled @ scaled))
        if length < likelihood.tolerance:
            return beta, value, inverse, True
        # The information is that of the likelihood without its penalty: with few carriers such steps are too long (or short) by a
        # constant factor, found from how the last one turned out (the secant rule of Barzilai & Borwein 1988).
        if before is not None:
            ratio = float(before @ step) / float(before @ before)
            rate = float(np.clip(rate / max(1.0 - ratio, 0.1), 0.2, 3.0))
        before = step.copy()
        step *= rate
        longest = np.abs(step).max(initial=0.0)
        if longest > MAX_STEP:
            step *= MAX_STEP / longest
        for _ in range(40):
            candidate = beta.copy()
            candidate[:free] += step
            try:
                new = evaluate(candidate)
            except np.linalg.LinAlgError:
                step /= 2
                rate /= 2
                continue
            if new[0] >= value - 1e-12 * abs(value):
                break
            step /= 2
            rate /= 2
        else:
            break
        beta, (value, lower) = candidate, new
    # rounding in sums over many people can keep the score from reaching the tolerance: judged by where it stands
    return beta, value, inverse, length < 1e-6


def firth_null(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, bool]:
    """Fit the covariates alone by Firth's penalised likelihood.

    Parameters
    ----------
    x
        float64[n, p] with the intercept; columns of length about sqrt(n).
    y
        0/1.
    start
        float64[p], coefficients to start from.

    Returns
    -------
    Coefficients, and whether the fit converged.
    """
    try:
        beta, _, _, converged = _climb(Everybody(x, y), start, x.shape[1])
    except np.linalg.LinAlgError:
        return start, False
    return beta, converged


@dataclass
class _Path:
    """The coefficients of a fit without and with the variant, and the inverse information of the latter."""

    null: np.ndarray
    full: np.ndarray | None = None
    inverse: np.ndarray | None = None

    @property
    def shared(self) -> float:
        """Correlation of the variant with the covariates, under the weights of the fit: so much of their error reaches the variant."""
        cross = self.inverse[-1, :-1]
        return float(np.sqrt(max(cross @ np.linalg.solve(self.inverse[:-1, :-1], cross) / self.inverse[-1, -1], 0.0)))


def _test(likelihood: Likelihood, null: np.ndarray, full: np.ndarray | None = None) -> tuple[FirthFit, _Path]:
    """Fit without and with the variant, from coefficients to start from; the fit, and where it went."""
    p = len(null) - 1
    null, null_value, _, null_ok = _climb(likelihood, null, p)
    full, value, inverse, ok = _climb(likelihood, null if full is None else full, p + 1)
    p_value = float(neg_log10_p_chi2(np.array([2.0 * (value - null_value)]))[0])
    fit = FirthFit(float(full[-1]), float(np.sqrt(inverse[-1, -1])), p_value, ok and null_ok)
    return fit, _Path(null, full, inverse)


def firth(x: np.ndarray, y: np.ndarray, g: np.ndarray, start: np.ndarray) -> FirthFit:
    """Fit covariates and variant by Firth's penalised likelihood over all people, and test the variant.

    Parameters
    ----------
    x
        float64[n, p] with the intercept; columns of length about sqrt(n).
    y
        0/1.
    g
        float64[n], the genotype.
    start
        float64[p], coefficients to start from (of a null model).

    Returns
    -------
    Log odds ratio of ``g``, its standard error from the information at the maximum, and the p of the penalised likelihood-ratio test;
    the null of that test keeps ``g`` in the penalty, as R's logistf and PLINK do.
    """
    try:
        return _test(Everybody(x, y, g), np.append(start, 0.0))[0]
    except np.linalg.LinAlgError:
        return FAILED


def firth_of_carriers(carriers: Carriers) -> FirthFit | None:
    """Fit and test as :func:`firth` does, for a rare variant, from its carriers.

    Parameters
    ----------
    carriers
        The variant, with the expansion around the covariates' own penalised model (:func:`firth_null`).

    Returns
    -------
    The fit; None where it may be off by more than ``ACCURACY`` standard errors (or as much in the statistic), or did not converge.
    """
    path = _Path(np.zeros(carriers.x.shape[1] + 1))
    for _ in range(2):
        try:
            fit, path = _test(OfCarriers(carriers), path.null, path.full)
        except np.linalg.LinAlgError:
            return None
        if not fit.converged:
            return None
        (moved_null, low), (moved, high) = (carriers.left_out(t[:-1]) for t in (path.null, path.full))
        moved = max(moved, moved_null)
        # the statistic's error is that of two values, or of the score on the way from the one to the other
        off = 2.0 * min(low + high, moved * carriers.distance(path.full[:-1] - path.null[:-1]))
        if moved * path.shared < ACCURACY and off < ACCURACY:
            return fit
        carriers = carriers.widened(path.full[:-1])
    return None


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _along(b, eta, y, g, score, information, third):
    """Compute penalised log-likelihood, its derivative and the information of one coefficient; the series is that of everybody else."""
    value = b * (score - 0.5 * b * information - b * b * third / 6.0)
    slope = score - b * information - 0.5 * b * b * third
    info = information + b * third
    bend = third
    for i in range(len(g)):
        t = eta[i] + b * g[i]
        e = np.exp(-abs(t))
        mu = (1.0 if t >= 0.0 else e) / (1.0 + e)
        w = e / ((1.0 + e) * (1.0 + e))
        value += y[i] * t - max(t, 0.0) - np.log1p(e)
        slope += g[i] * (y[i] - mu)
        gw = g[i] * g[i] * w
        info += gw
        bend += gw * g[i] * (1.0 - 2.0 * mu)
    return value + 0.5 * np.log(info), slope + 0.5 * bend / info, info


def firth_approximate(
    eta: np.ndarray, y: np.ndarray, g: np.ndarray, others: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> FirthFit:
    """Fit the variant alone by Firth's penalised likelihood, with the covariates' linear predictor as offset.

    The approximate form of regenie (Mbatchou et al. 2021, Nature Genetics 53:1097): the covariates are not fitted again.

    Parameters
    ----------
    eta
        float64[n], linear predictor of the covariates' own penalised model (:func:`firth_null`).
    y
        0/1.
    g
        float64[n], the genotype with the covariates projected out under the weights of the unpenalised null model.
    others
        Score, information and third derivative at 0 of people who are not among these.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        b, state = 0.0, _along(0.0, eta, y, g, *others)
        null_value = state[0]
        for _ in range(MAX_ITERATIONS):
            value, score, information = state
            if abs(score) < TOLERANCE * np.sqrt(information):
                p_value = float(neg_log10_p_chi2(np.array([2.0 * (value - null_value)]))[0])
                return FirthFit(b, 1.0 / np.sqrt(information), p_value, True)
            step = float(np.clip(score / information, -MAX_STEP, MAX_STEP))
            for _ in range(40):
                new = _along(b + step, eta, y, g, *others)
                if new[0] >= value - 1e-12 * abs(value):
                    break
                step /= 2
            else:
                break
            b, state = b + step, new
    return FAILED


def firth_approximate_of_carriers(carriers: Carriers, a: np.ndarray) -> FirthFit | None:
    """Do as :func:`firth_approximate` for a rare variant, from its carriers.

    Parameters
    ----------
    carriers
        The variant, with the expansion around the covariates' own penalised model.
    a
        float64[p], coefficients of the genotype on the covariates under the weights of the unpenalised null model.

    Returns
    -------
    The fit; None where the statistic may be off by more than ``ACCURACY``, or it did not converge.
    """
    on, g, others = carriers.line(a)
    fit = firth_approximate(carriers.eta[on], carriers.y[on], g, others)
    if not fit.converged:
        return None
    # the statistic is twice the likelihood's logarithm
    good = any(4.0 * carriers.fourth(fit.beta * a, closely) < ACCURACY for closely in (False, True))
    return fit if good else None
