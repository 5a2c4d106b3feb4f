"""Saddle-point approximation of the score test's p, for traits with few cases.

Dey et al. 2017, AJHG 101:37 (the score of a logistic model); Lugannani & Rice 1980, in Barndorff-Nielsen's form.
"""

from __future__ import annotations

import numpy as np

from deepnull_gwas.association.expansion import ACCURACY
from deepnull_gwas.association.tails import LOG10_E, neg_log10_p_normal
from deepnull_gwas.jit import numba

#: Scores within this many standard deviations of zero keep the normal approximation, as in SAIGE
CUTOFF = 2.0
#: The mirrored tail does not count when it is smaller than the other by this many powers of ten
NEGLIGIBLE = 8.0


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _cumulants(t, g, mu, variance, third):
    """Compute the cumulant generating function of sum g (y - mu) at t, and its first two derivatives.

    Of everybody else the series.
    """
    k0 = t * t * (0.5 * variance + t * third / 6.0)
    k1 = t * (variance + 0.5 * t * third)
    k2 = variance + t * third
    for i in range(len(g)):
        x = g[i] * t
        # log(1 - mu + mu e^x) without overflow
        if x > 0:
            e = np.exp(-x)
            a, b = (1.0 - mu[i]) * e, mu[i]
            k0 += x + np.log(a + b) - mu[i] * x
        else:
            e = np.exp(x)
            a, b = 1.0 - mu[i], mu[i] * e
            k0 += np.log(a + b) - mu[i] * x
        q = b / (a + b)
        k1 += g[i] * (q - mu[i])
        k2 += g[i] * g[i] * q * (1.0 - q)
    return k0, k1, k2


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _saddle(s, g, mu, variance, third):
    """Solve K'(t) = s by Newton's method, bisecting where it would leave the bracket.

    Give t, w and v (NaN: no solution).
    """
    sign = 1.0 if s > 0 else -1.0
    low, high = 0.0, sign
    # the bracket grows until K' passes s; it cannot where s is at the edge of what the score can be
    for _ in range(60):
        _, k1, _ = _cumulants(high, g, mu, variance, third)
        if sign * (k1 - s) >= 0.0:
            break
        low = high
        high *= 2.0
    else:
        return np.nan, np.nan, np.nan
    t = (low + high) / 2.0
    for _ in range(100):
        _, k1, k2 = _cumulants(t, g, mu, variance, third)
        if sign * (k1 - s) >= 0.0:
            high = t
        else:
            low = t
        new = t - (k1 - s) / k2
        if not (min(low, high) < new < max(low, high)):
            new = (low + high) / 2.0
        if abs(new - t) <= 1e-10 * (1.0 + abs(t)):
            t = new
            break
        t = new
    k0, _, k2 = _cumulants(t, g, mu, variance, third)
    w = sign * np.sqrt(max(2.0 * (t * s - k0), 0.0))
    return t, w, t * np.sqrt(k2)


def spa(
    score: float,
    variance: float,
    g: np.ndarray,
    mu: np.ndarray,
    others: tuple[float, float] = (0.0, 0.0),
    fourth: float = 0.0,
) -> tuple[float, bool] | None:
    """Return -log10 of the two-sided p of a score by the saddle-point approximation.

    Parameters
    ----------
    score
        sum g (y - mu).
    variance
        Its variance under the null model.
    g
        float64[n], the genotype with the covariates projected out under the null weights.
    mu
        float64[n], probabilities of the null model.
    others
        Second and third cumulant of the score of people who are not among these.
    fourth
        What their cumulant generating function has beyond that at t is at most this times t^4.

    Returns
    -------
    neg_log10_p, and whether the approximation was used (not within 2 standard deviations, nor where it has no
    solution: there the normal approximation is given). The tail on the other side is that of the mirrored score, none
    where it cannot be reached. None where the cumulants of the others are not good enough.
    """
    z = abs(score) / np.sqrt(variance)
    plain = float(neg_log10_p_normal(np.array([z]))[0])
    if z < CUTOFF:
        return plain, False
    alone = others[0] == 0.0
    # where every person's contribution is at its largest or smallest: the score lies between
    one, zero = g * (1.0 - mu), -g * mu
    highest, lowest = np.maximum(one, zero).sum(), np.minimum(one, zero).sum()
    tails: list[float] = []
    for s in (score, -score):
        if alone and not lowest < s < highest and s == -score:
            tails.append(np.inf)
            continue
        t, w, v = _saddle(s, g, mu, *others)
        if fourth > 0.0 and not fourth * t**4 < ACCURACY:
            if tails and _chernoff(s, g, mu, others, fourth) > tails[0] + NEGLIGIBLE:
                tails.append(np.inf)
                continue
            return None
        if not np.isfinite(t) or w == 0.0 or v / w <= 0.0:
            return (plain, False) if alone else None
        root = abs(w + np.log(v / w) / w)
        # one-sided: half of the two-sided tail
        tails.append(float(neg_log10_p_normal(np.array([root]))[0]) + np.log10(2.0))
    p = -np.logaddexp(-tails[0] / LOG10_E, -tails[1] / LOG10_E) * LOG10_E
    return max(float(p), 0.0), True


def _chernoff(s: float, g: np.ndarray, mu: np.ndarray, others: tuple[float, float], fourth: float) -> float:
    """Bound -log10 of a one-sided tail from below (Chernoff).

    It is taken as far out as what the cumulants of the others lack is below 1.
    """
    t = np.sign(s) * (0.5 / fourth) ** 0.25
    return float(t * s - _cumulants(t, g, mu, *others)[0] - 1.0) * LOG10_E
