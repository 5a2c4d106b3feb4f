"""Bit rows of people whose genotypes are compared with what their ancestry lets expect."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.jit import numba

#: Expected frequencies are taken to lie within these when the variance of a genotype is computed from them.
LEAST_FREQUENCY = 0.01


@numba.njit(nogil=True, cache=True)
def _add_expected(hom, plus, position, effects, squares, variance, along):
    n_variants, width = effects.shape
    one = np.uint64(1)
    for i in range(hom.shape[0]):
        for word in range(hom.shape[1]):
            h, p = hom[i, word], plus[i, word]
            for bit in range(min(64, n_variants - 64 * word)):
                at = np.uint64(bit)
                v = 64 * word + bit
                expected = 0.0
                for k in range(width):
                    expected += position[i, k] * effects[v, k]
                is_hom, is_plus = (h >> at) & one, (p >> at) & one
                if is_hom:
                    dosage = 2 if is_plus else 0
                elif is_plus:
                    dosage = 1
                else:
                    dosage = 0 if expected < 0.5 else (1 if expected < 1.5 else 2)
                    if dosage != 1:
                        hom[i, word] |= one << at
                    if dosage != 0:
                        plus[i, word] |= one << at
                squares[i] += dosage * dosage
                if dosage:
                    for k in range(width):
                        along[i, k] += dosage * effects[v, k]
                frequency = min(max(expected / 2, LEAST_FREQUENCY), 1 - LEAST_FREQUENCY)
                variance[i] += frequency * (1 - frequency)


def compare_with_expected(
    hom: np.ndarray, plus: np.ndarray, position: np.ndarray, effects: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill in missing calls, and sum up people's genotypes and what is expected of them.

    The expected genotype of person i at variant v is the sum over k of ``position[i, k] * effects[v, k]``.

    Parameters
    ----------
    hom, plus
        uint64[n, words], bit rows of people (:func:`~deepnull_gwas.genotypes.people_planes.people_planes`). In place:
        a missing call becomes the genotype nearest to the expected one.
    position
        float64[n, k].
    effects
        float64[variants, k].

    Returns
    -------
    int64[n], sums of squared genotypes; float64[n], sums of p (1 - p), p the expected frequency; float64[n, k], sums
    over variants of genotype times effects.
    """
    n = len(hom)
    squares, variance = np.zeros(n, dtype=np.int64), np.zeros(n)
    along = np.zeros((n, effects.shape[1]))
    _add_expected(hom, plus, np.ascontiguousarray(position), np.ascontiguousarray(effects), squares, variance, along)
    return squares, variance, along
