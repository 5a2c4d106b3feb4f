"""QQ plots by class of allele frequency, with the inflation in the middle and in the tail."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepnull_gwas.results.calibration import MEDIAN_CHI2, chi2_of_neg_log10_p, confidence_band, ranks_shown
from deepnull_gwas.site.pvalues import CLASSES, PValues
from deepnull_gwas.site.script_files import short

#: Upper-tail probabilities at which the statistics are compared with what they should be.
TAILS = (0.5, 0.01, 0.001)
#: P-values that must lie beyond a quantile for the inflation there to be told.
LEAST_BEYOND = 10
#: Points of a class: all of the strongest, the others evenly on the logarithmic scale.
STRONGEST = 150


def qq_of(p: PValues) -> dict[str, Any]:
    """Return for each arm the observed quantiles of all variants and of each class of allele frequency.

    Returns
    -------
    Arm -> list of ``least`` (lower bound of the minor-allele frequency; None: all variants), ``n``, ``lambda`` at
    :data:`TAILS` (None where fewer than :data:`LEAST_BEYOND` p-values lie beyond), ``ranks`` and ``observed``
    (-log10 p; the expected one is that of rank / (n + 1)); of all variants also the 95 % ``band`` of the null.
    """
    arms = {}
    for arm, values in p.neg_log10_p.items():
        tested = ~np.isnan(values)
        # copies, one at a time, that are sorted in place
        classes = [_class_of(values[tested], None)]
        for number, least in enumerate(CLASSES):
            own = values[tested & (p.frequency_class == number)]
            if len(own):
                classes.append(_class_of(own, least))
        arms[arm] = classes
    return arms


def _class_of(values: np.ndarray, least: float | None) -> dict[str, Any]:
    """Return the quantiles of some -log10 p (float32, a copy, which is sorted in place)."""
    values.sort()
    n = len(values)
    ranks = ranks_shown(n, STRONGEST)
    out = {
        "least": least,
        "n": n,
        "lambda": [inflation(values, tail) for tail in TAILS],
        "ranks": ranks,
        "observed": short(values[n - ranks]),
    }
    if least is None and n:
        some = np.unique(np.geomspace(1, n, 60).round().astype(np.int64))
        low, high = confidence_band(n, some)
        out["band"] = {"ranks": some, "low": short(low), "high": short(high)}
    return out


def inflation(ascending: np.ndarray, tail: float) -> float | None:
    """Return a quantile of chi-square over the expected one (:func:`~deepnull_gwas.results.calibration.lambda_gc`).

    Parameters
    ----------
    ascending
        -log10 p, sorted.
    tail
        Upper-tail probability.
    """
    n = len(ascending)
    if n * min(tail, 1 - tail) < LEAST_BEYOND:
        return None
    place = (n - 1) * (1 - tail)
    low = int(place)
    high = min(low + 1, n - 1)
    at = float(ascending[low]) + (place - low) * (float(ascending[high]) - float(ascending[low]))
    expected = MEDIAN_CHI2 if tail == 0.5 else chi2_of_neg_log10_p(np.array([-np.log10(tail)]))[0]
    return float(short(chi2_of_neg_log10_p(np.array([at]))[0] / expected))
