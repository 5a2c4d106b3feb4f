"""Tail probabilities on the -log10 scale, right where the probability itself underflows."""

from __future__ import annotations

import numpy as np
from scipy import special

LOG10_E = 1.0 / np.log(10.0)
#: below this probability the logarithm is computed directly
SMALL = 1e-280


def neg_log10_p_normal(z: np.ndarray) -> np.ndarray:
    """Give -log10 of the two-sided normal p of ``z``; NaN stays NaN."""
    z = np.abs(np.asarray(z, dtype=np.float64))
    return np.maximum(-(special.log_ndtr(-z) + np.log(2.0)) * LOG10_E, 0.0)


def neg_log10_p_chi2(x: np.ndarray) -> np.ndarray:
    """Give -log10 of the upper tail of chi-square with one degree of freedom."""
    return neg_log10_p_normal(np.sqrt(np.maximum(x, 0.0)))


def neg_log10_p_t(t: np.ndarray, df: np.ndarray | float) -> np.ndarray:
    """Give -log10 of the two-sided p of Student's t.

    Parameters
    ----------
    t
        Statistics; NaN stays NaN.
    df
        Degrees of freedom, broadcast against ``t``.

    Notes
    -----
    p = I_x(df/2, 1/2) with x = df/(df + t^2). Where p is below 1e-280 the regularised incomplete beta function is taken in logarithms by
    its continued fraction (Press et al., Numerical Recipes, 3rd ed., 6.4.5), which converges within a few terms in this tail.
    """
    t = np.abs(np.asarray(t, dtype=np.float64))
    df = np.broadcast_to(np.asarray(df, dtype=np.float64), t.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2.0 * special.stdtr(df, -t)
        out = -np.log10(p)
    tail = np.flatnonzero((p < SMALL) & np.isfinite(t))
    if len(tail):
        out.flat[tail] = _tail_t(t.flat[tail], df.flat[tail])
    return np.maximum(out, 0.0)


def _tail_t(t: np.ndarray, df: np.ndarray) -> np.ndarray:
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
