"""Bit planes of variants over people, and correlations between variants from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepnull_gwas.genotypes.kernels import pack_mask, popcount
from deepnull_gwas.jit import numba


@numba.njit(nogil=True, cache=True)
def _split(words, lanes, called, hom, minus, sums):
    """Split packed genotypes into bit planes: called, hom, minus, with -1, 0, 1 for hom A2, het, hom A1.

    ``hom`` is called and not 0, ``minus`` is -1.

    Two words of 32 people each become one of 64. ``sums``: called people, sum, sum of squares. People outside the mask
    count as missing.
    """
    low_bits = np.uint64(0x5555555555555555)
    one = np.uint64(1)
    for v in range(words.shape[0]):
        row = words[v]
        n, n_hom, n_minus = np.uint64(0), np.uint64(0), np.uint64(0)
        for w in range(called.shape[1]):
            keep = lanes[2 * w] & low_bits
            low, high = row[2 * w] & keep, (row[2 * w] >> one) & keep
            c, h, m = keep ^ (low & ~high), keep ^ (low ^ high), low & high
            keep = lanes[2 * w + 1] & low_bits
            low, high = row[2 * w + 1] & keep, (row[2 * w + 1] >> one) & keep
            c |= (keep ^ (low & ~high)) << one
            h |= (keep ^ (low ^ high)) << one
            m |= (low & high) << one
            called[v, w] = c
            hom[v, w] = h
            minus[v, w] = m
            n += popcount(c)
            n_hom += popcount(h)
            n_minus += popcount(m)
        sums[v, 0] = n
        sums[v, 1] = np.int64(n_hom) - 2 * np.int64(n_minus)
        sums[v, 2] = n_hom


@numba.njit(nogil=True, cache=True)
def correlated_above(called, hom, minus, sums, i, j, n_people, r2):
    """Return whether two variants' squared correlation, over the people called in both, is above the threshold."""
    hom_i, hom_j, minus_i, minus_j = hom[i], hom[j], minus[i], minus[j]
    both, unlike = np.uint64(0), np.uint64(0)
    for w in range(hom.shape[1]):
        h = hom_i[w] & hom_j[w]
        both += popcount(h)
        unlike += popcount(h & (minus_i[w] ^ minus_j[w]))
    dot = float(np.int64(both) - 2 * np.int64(unlike))
    n = float(sums[i, 0])
    if sums[j, 0] == n_people:
        sum_i, squares_i = float(sums[i, 1]), float(sums[i, 2])
    else:
        called_j = called[j]
        a, b = np.uint64(0), np.uint64(0)
        for w in range(hom.shape[1]):
            a += popcount(hom_i[w] & called_j[w])
            b += popcount(minus_i[w] & called_j[w])
        sum_i, squares_i = float(np.int64(a) - 2 * np.int64(b)), float(a)
    if sums[i, 0] == n_people:
        n = float(sums[j, 0])
        sum_j, squares_j = float(sums[j, 1]), float(sums[j, 2])
    else:
        called_i = called[i]
        a, b = np.uint64(0), np.uint64(0)
        for w in range(hom.shape[1]):
            a += popcount(hom_j[w] & called_i[w])
            b += popcount(minus_j[w] & called_i[w])
        sum_j, squares_j = float(np.int64(a) - 2 * np.int64(b)), float(a)
        if sums[j, 0] != n_people:
            c = np.uint64(0)
            for w in range(hom.shape[1]):
                c += popcount(called_i[w] & called[j, w])
            n = float(c)
    covariance = n * dot - sum_i * sum_j
    variances = (n * squares_i - sum_i * sum_i) * (n * squares_j - sum_j * sum_j)
    return covariance * covariance > r2 * variances and variances > 0.0


def words_of_people(n_people: int) -> int:
    """Return the number of 64-bit words that one bit per person takes."""
    return (n_people + 63) // 64


def variant_planes(words: np.ndarray, lanes: np.ndarray, planes: Sequence[np.ndarray], sums: np.ndarray) -> None:
    """Split packed genotypes into bit planes, for :func:`correlated_above`.

    Parameters
    ----------
    words
        uint64, variants x 2 w: packed genotypes, padded with zeros.
    lanes
        uint64, 2 w: who counts, from :func:`~deepnull_gwas.genotypes.kernels.pack_mask`, padded with zeros.
    planes
        Three uint64 arrays, variants x w, to be filled: called; homozygous (dosage coded -1, 0, 1: not 0); homozygous
        for the other allele (-1).
    sums
        int64, variants x 3, to be filled: called people, sum, sum of squares.
    """
    _split(words, lanes, *planes, sums)


def padded_lanes(mask: np.ndarray) -> np.ndarray:
    """Return a mask over people as 2-bit lanes, for :func:`variant_planes`: uint64, two words per 64 people."""
    lanes = np.zeros(words_of_people(len(mask)) * 16, dtype=np.uint8)
    lanes[: (len(mask) + 3) // 4] = pack_mask(mask)
    return lanes.view(np.uint64)
