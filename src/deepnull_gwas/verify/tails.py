"""Tail probabilities of the normal and Student's distribution, as -log10 p, also where p underflows."""

from __future__ import annotations

import functools
import math

import numpy as np

LN10 = math.log(10.0)


def normal_tail(z: float) -> float:
    """Return -log10 of the two-sided normal p of a statistic."""
    z = abs(z)
    if z < 30.0:
        return -math.log10(math.erfc(z / math.sqrt(2.0)))
    return (z * z / 2 + math.log(z) + 0.5 * math.log(math.pi / 2) - math.log1p(-1 / z**2 + 3 / z**4)) / LN10


def student_tail(t: float, df: float) -> float:
    """Return -log10 of the two-sided p of Student's t.

    With t = sqrt(df) tan(a) the density is cos(a)^(df - 1) / B(1/2, df/2): its integral from a to pi/2 by Gauss and
    Legendre's rule, over the part that counts, with the largest value taken out as a logarithm.
    """
    a, k = math.atan2(abs(t), math.sqrt(df)), df - 1.0
    reach = min(math.pi / 2 - a, 45.0 / max(k * math.tan(a), 1e-300), math.sqrt(90.0 / max(k, 1e-300)))
    node, weight = _nodes()
    s = reach * node
    with np.errstate(divide="ignore"):
        # cos(a + s) / cos(a)
        ratio = np.maximum(np.cos(s) - np.sin(s) * math.tan(a), 0.0)
        integral = float(weight @ np.exp(k * np.log(ratio))) * reach
    log_beta = math.lgamma(0.5) + math.lgamma(df / 2) - math.lgamma(df / 2 + 0.5)
    largest = -0.5 * k * math.log1p(t * t / df)
    return -(math.log(2.0) + largest + math.log(integral) - log_beta) / LN10


@functools.cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on [0, 1]."""
    node, weight = np.polynomial.legendre.leggauss(80)
    return (node + 1) / 2, weight / 2


def deviate(neg_log10_p: float) -> float:
    """Return the normal deviate of a two-sided p, by halving."""
    low, high = 0.0, 1.0
    while normal_tail(high) < neg_log10_p:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if normal_tail(middle) < neg_log10_p else (low, middle)
    return (low + high) / 2
