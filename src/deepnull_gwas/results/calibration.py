"""Calibration: how the test statistics compare with what they should be where nothing is associated."""

from __future__ import annotations

import numpy as np
from scipy import special

#: Median of chi-square with one degree of freedom.
MEDIAN_CHI2 = float(special.chdtri(1, 0.5))
#: Ranks of a QQ plot of which each is drawn, the strongest.
THINNED = 2000


def chi2_of_neg_log10_p(neg_log10_p: np.ndarray) -> np.ndarray:
    """Return the chi-square (one degree of freedom) whose upper tail has this -log10 p, also where p underflows.

    The normal quantile of p/2 is found by Newton's method on the logarithm of the tail.

    Parameters
    ----------
    neg_log10_p
        float64, of any shape.

    Examples
    --------
    >>> chi2_of_neg_log10_p(np.array([0.0, -np.log10(5e-8), 1000.0])).round(4).tolist()
    [0.0, 29.7168, 4596.2852]
    """
    target = -np.asarray(neg_log10_p, dtype=np.float64) * np.log(10.0) - np.log(2.0)
    z = np.sqrt(np.maximum(-2.0 * target - np.log(np.maximum(-2.0 * target, 1.0)), 0.0))
    for _ in range(30):
        value = special.log_ndtr(-z)
        # derivative of log Phi(-z) is minus the inverse Mills ratio
        slope = -np.exp(-0.5 * z * z - 0.5 * np.log(2 * np.pi) - value)
        step = (value - target) / slope
        z = np.maximum(z - step, 0.0)
        if np.all(np.abs(step) < 1e-12 * np.maximum(z, 1.0)):
            break
    return z * z


def lambda_gc(neg_log10_p: np.ndarray, quantile: float = 0.5) -> float:
    """Return the genomic inflation factor (Devlin and Roeder 1999): a quantile of chi-square over the expected one.

    Parameters
    ----------
    neg_log10_p
        One per variant; NaN are passed over.
    quantile
        Upper-tail probability at which to compare; .5 is the usual median.

    Returns
    -------
    NaN where there is no p-value.

    Examples
    --------
    >>> p = np.linspace(0.005, 0.995, 100)
    >>> round(lambda_gc(-np.log10(p)), 3), round(lambda_gc(-np.log10(p**1.1)), 3)
    (1.0, 1.166)
    """
    p = np.asarray(neg_log10_p, dtype=np.float64)
    p = p[np.isfinite(p)]
    if not len(p):
        return float("nan")
    at = np.quantile(p, 1 - quantile)
    return float(chi2_of_neg_log10_p(np.array([at]))[0] / special.chdtri(1, quantile))


def ranks_shown(n: int, strongest: int = THINNED) -> np.ndarray:
    """Return the ranks (1 = strongest) that are drawn: all of the strongest, as many others evenly on the log scale.

    Examples
    --------
    >>> len(ranks_shown(3000)), len(ranks_shown(10_000_000))
    (3000, 3999)
    """
    if n <= 2 * strongest:
        return np.arange(1, n + 1)
    rest = np.unique(np.geomspace(strongest, n, strongest).round().astype(np.int64))
    return np.unique(np.concatenate([np.arange(1, strongest + 1), rest]))


def confidence_band(n: int, ranks: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the band in which the k-th strongest of ``n`` independent null p-values lies, point by point.

    Parameters
    ----------
    n
        Number of p-values.
    ranks
        int64, k; 1 is the strongest.
    level
        Probability of each point to lie in the band.

    Returns
    -------
    Lower and upper bound of -log10 p: quantiles of Beta(k, n - k + 1).

    Examples
    --------
    >>> low, high = confidence_band(1000, np.array([1, 500]))
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([2.43, 0.28], [4.6, 0.33])
    """
    tail = (1 - level) / 2
    upper, lower = (special.betaincinv(ranks, n - ranks + 1, q) for q in (tail, 1 - tail))
    return -np.log10(lower), -np.log10(upper)
