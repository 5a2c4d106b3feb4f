"""The exact test of Hardy-Weinberg equilibrium (Wigginton, Cutler & Abecasis 2005, AJHG 76:887)."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.jit import numba

#: Two configurations count as equally probable when they differ by less than this (relative): rounding, not data.
_TIE = 1e-9
#: Terms below this share of the tail are not worth adding (the terms fall faster than geometrically).
_NEGLIGIBLE = 1e-15
#: A chi-square statistic of one degree of freedom that no exact p below 1e-4 goes with
_UNSUSPECTED = 4.0


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _side(hets, rare, common, step, term, observed, total, tail, ties):
    """Add the configurations on one side of ``hets`` (term: its probability on our scale) to total, tail and ties."""
    while True:
        if step > 0:
            if hets + 2 > rare:
                break
            term *= 4.0 * ((rare - hets) // 2) * ((common - hets) // 2) / ((hets + 2.0) * (hets + 1.0))
        else:
            if hets < 2:
                break
            term *= hets * (hets - 1.0) / (4.0 * ((rare - hets) // 2 + 1.0) * ((common - hets) // 2 + 1.0))
        hets += step
        total += term
        if term <= observed * (1 + _TIE):
            tail += term
            if term >= observed * (1 - _TIE):
                ties += term
            if term <= tail * _NEGLIGIBLE:
                break
        if term == 0.0:
            break
    return total, tail, ties


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _exact(het, hom1, hom2, mid):
    people = het + hom1 + hom2
    if people == 0:
        return np.nan
    rare = 2 * min(hom1, hom2) + het
    common = 2 * people - rare
    # the probability of the most probable number of heterozygotes is set to 1, so that nothing overflows
    mode = int(float(rare) * common / (2.0 * people))
    if (mode - rare) % 2 != 0:
        mode += 1
    mode = min(mode, rare)
    observed = 1.0
    at = mode
    while at < het and observed > 0.0:
        observed *= 4.0 * ((rare - at) // 2) * ((common - at) // 2) / ((at + 2.0) * (at + 1.0))
        at += 2
    while at > het and observed > 0.0:
        observed *= at * (at - 1.0) / (4.0 * ((rare - at) // 2 + 1.0) * ((common - at) // 2 + 1.0))
        at -= 2
    total, tail, ties = 1.0, 0.0, 0.0
    if observed >= 1.0 - _TIE:
        tail = 1.0
        if observed <= 1.0 + _TIE:
            ties = 1.0
    total, tail, ties = _side(mode, rare, common, 2, 1.0, observed, total, tail, ties)
    total, tail, ties = _side(mode, rare, common, -2, 1.0, observed, total, tail, ties)
    if mid:
        tail -= ties / 2.0
    return min(tail / total, 1.0)


@numba.njit(nogil=True, cache=True)
def _exact_all(het, hom1, hom2, mid, out):
    for i in range(len(het)):
        out[i] = _exact(het[i], hom1[i], hom2[i], mid)


def hwe_exact(het: np.ndarray, hom1: np.ndarray, hom2: np.ndarray, mid_p: bool = False) -> np.ndarray:
    """Compute the exact two-sided p-value of Hardy-Weinberg equilibrium for each variant.

    Parameters
    ----------
    het, hom1, hom2
        Numbers of people with each genotype, one per variant; which allele is hom1 does not matter.
    mid_p
        Count only half of the configurations that are exactly as probable as the observed one (Graffelman & Moreno
        2013).

    Returns
    -------
    float64, one per variant: NaN without any call, 1 for a monomorphic variant, 0 where p is below about 1e-300.

    Notes
    -----
    Agrees with PLINK 1.9 ``--hardy`` to the printed digits. The recursion starts at the most probable configuration and
    ends where the terms no longer matter, so that its cost grows with the square root of the number of people.
    """
    het, hom1, hom2 = (np.ascontiguousarray(x, dtype=np.int64) for x in np.broadcast_arrays(het, hom1, hom2))
    out = np.empty(het.shape, dtype=np.float64)
    _exact_all(het.ravel(), hom1.ravel(), hom2.ravel(), mid_p, out.reshape(-1))
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _below(het, hom1, hom2, threshold, out):
    for i in range(len(het)):
        people = het[i] + hom1[i] + hom2[i]
        if people == 0:
            continue
        # deviation from the expected number of heterozygotes, against the chi-square of one degree of freedom
        p = (2.0 * hom1[i] + het[i]) / (2.0 * people)
        spread = 2.0 * p * (1.0 - p) * people
        deviation = het[i] - spread
        if threshold <= 1e-4 and deviation * deviation * people < _UNSUSPECTED * spread * spread:
            continue
        out[i] = _exact(het[i], hom1[i], hom2[i], False) < threshold


def hwe_below(het: np.ndarray, hom1: np.ndarray, hom2: np.ndarray, threshold: float) -> np.ndarray:
    """Return for which variants the p of :func:`hwe_exact` lies below a threshold.

    Those that are plainly above are not computed.

    Parameters
    ----------
    het, hom1, hom2
        Counts of genotypes, one per variant.
    threshold
        p-value.

    Returns
    -------
    bool array. For thresholds up to 1e-4, variants with a chi-square statistic below 4 (p about .05) are not looked at
    further.
    """
    counts = [np.ascontiguousarray(x, dtype=np.int64) for x in (het, hom1, hom2)]
    out = np.zeros(len(counts[0]), dtype=bool)
    _below(*counts, threshold, out)
    return out
