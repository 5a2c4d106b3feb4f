"""Tail probabilities on the -log10 scale, right where the probability itself underflows."""

from __future__ import annotations

import functools
import math

import numpy as np

from deepnull_gwas.jit import numba

LOG10_E = 1.0 / np.log(10.0)
#: below this probability the logarithm is computed directly
SMALL = 1e-280
#: The table of normal tails: up to this statistic, with this many nodes to one
TABLE_END = 40
TABLE_STEPS = 64
#: From this many degrees of freedom on, Hill's transformation of t is as good as the function itself
MANY = 200.0


def neg_log10_p_normal(z: np.ndarray) -> np.ndarray:
    """Return -log10 of the two-sided normal p of ``z``; NaN stays NaN.

    Examples
    --------
    Far beyond the smallest p that a float64 can hold:

    >>> neg_log10_p_normal(np.array([1.959964, 60.0])).round(3).tolist()
    [1.301, 783.606]
    """
    from scipy import special

    z = np.abs(np.asarray(z, dtype=np.float64))
    return np.maximum(-(special.log_ndtr(-z) + np.log(2.0)) * LOG10_E, 0.0)


def neg_log10_p_chi2(x: np.ndarray) -> np.ndarray:
    """Return -log10 of the upper tail of chi-square with one degree of freedom."""
    return neg_log10_p_normal(np.sqrt(np.maximum(x, 0.0)))


def neg_log10_p_t(t: np.ndarray, df: np.ndarray | float) -> np.ndarray:
    """Return -log10 of the two-sided p of Student's t.

    Parameters
    ----------
    t
        Statistics; NaN stays NaN.
    df
        Degrees of freedom, broadcast against ``t``.

    Notes
    -----
    p = I_x(df/2, 1/2) with x = df/(df + t^2). Where p is below 1e-280 the regularised incomplete beta function is
    taken in logarithms by its continued fraction (Press et al., Numerical Recipes, 3rd ed., 6.4.5), which converges
    within a few terms in this tail.

    Examples
    --------
    >>> neg_log10_p_t(np.array([2.0, -2.0]), 10).round(3).tolist()
    [1.134, 1.134]
    """
    from scipy import special

    t = np.abs(np.asarray(t, dtype=np.float64))
    df = np.broadcast_to(np.asarray(df, dtype=np.float64), t.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2.0 * special.stdtr(df, -t)
        out = -np.log10(p)
    tail = np.flatnonzero((p < SMALL) & np.isfinite(t))
    if len(tail):
        out.flat[tail] = _tail_t(t.flat[tail], df.flat[tail])
    return np.maximum(out, 0.0)


def _normal_tail(z: float) -> float:
    """Return -log10 of the two-sided normal p of one statistic."""
    if z < 20.0:
        return -math.log10(math.erfc(z / math.sqrt(2.0)))
    # Mills' ratio by its asymptotic series, exact to rounding from 20 on
    term = total = 1.0
    for k in range(1, 12):
        term *= -(2 * k - 1) / (z * z)
        total += term
    return (z * z / 2.0 + math.log(z) + 0.5 * math.log(math.pi / 2.0) - math.log(total)) * LOG10_E


@functools.lru_cache(maxsize=1)
def tail_table() -> np.ndarray:
    """Tabulate -log10 of the two-sided normal p for :func:`look_up` and :func:`student_tail`.

    Returns
    -------
    float64, nodes x 2: value and slope at 0, 1/64, .. 40. Cubic interpolation between them is off by less than 1e-8,
    in a tenth of the time of the function itself.
    """
    z = np.arange(TABLE_END * TABLE_STEPS + 1) / TABLE_STEPS
    # math, not scipy.special, whose import takes longer than many a scan
    value = np.array([_normal_tail(float(x)) for x in z])
    slope = 2.0 * LOG10_E * np.exp(value / LOG10_E - z * z / 2 - np.log(2 * np.pi) / 2)
    return np.column_stack([value, slope])


@numba.njit(nogil=True, cache=True, error_model="numpy")
def look_up(z, table):
    """Return -log10 of the two-sided normal p of one statistic; NaN where it lies beyond the table."""
    x = abs(z) * TABLE_STEPS
    if not x < TABLE_END * TABLE_STEPS:
        return np.nan
    i = int(x)
    s = x - i
    r = 1.0 - s
    h = 1.0 / TABLE_STEPS
    a = table[i, 0] * (1.0 + 2.0 * s) + table[i, 1] * (s * h)
    b = table[i + 1, 0] * (3.0 - 2.0 * s) - table[i + 1, 1] * (r * h)
    return a * r * r + b * s * s


@numba.njit(nogil=True, cache=True, error_model="numpy")
def student_tail(t, df, table):
    """Return -log10 of the two-sided p of Student's t of one statistic; NaN where :func:`neg_log10_p_t` must be asked.

    Hill's transformation of t to a normal deviate (Hill 1970, Algorithm 395, Commun. ACM 13:617), for many degrees of
    freedom.
    """
    if not df >= MANY:
        return np.nan
    a = df - 0.5
    b = 48.0 * a * a
    x = t * t / df
    # the series is the logarithm to rounding for small x, in a fraction of its time
    y = a * (x * (1.0 - x * (0.5 - x * (1 / 3 - x * (0.25 - x * 0.2)))) if x < 2e-3 else np.log1p(x))
    z = (((((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0) / b + 1.0) * np.sqrt(y)
    return look_up(z, table)


def _tail_t(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    from scipy import special

    a, b = df / 2.0, 0.5
    x = df / (df + t * t)
    log_front = -a * np.log1p(t * t / df) + b * (2 * np.log(t) - np.log(df + t * t)) - np.log(a) - special.betaln(a, b)
    tiny = 1e-300
    c = np.ones_like(x)
    d = 1.0 / np.where(np.abs(1 - (a + b) * x / (a + 1)) < tiny, tiny, 1 - (a + b) * x / (a + 1))
    fraction = d.copy()
    for m in range(1, 500):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / np.where(np.abs(d) < tiny, tiny, d)
            c = 1.0 + numerator / c
            c = np.where(np.abs(c) < tiny, tiny, c)
            fraction *= d * c
        if np.all(np.abs(d * c - 1.0) < 1e-14):
            break
    return -(log_front + np.log(fraction)) * LOG10_E
