"""Bit rows of people over variants, and counts over pairs of people from them."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.kernels import popcount, select_people
from deepnull_gwas.jit import numba

#: People on each side of a tile of pairs.
TILE = 32


@numba.njit(nogil=True, cache=True)
def _transpose64(rows):
    """Transpose a 64 x 64 matrix of bits in place (Warren, Hacker's Delight, 7-3)."""
    width = 32
    mask = np.uint64(0x00000000FFFFFFFF)
    while width:
        shift = np.uint64(width)
        k = 0
        while k < 64:
            a, b = rows[k], rows[k + width]
            t = ((a >> shift) ^ b) & mask
            rows[k] = a ^ (t << shift)
            rows[k + width] = b ^ t
            k = (k + width + 1) & ~width
        width >>= 1
        if width:
            mask = mask ^ (mask << np.uint64(width))


@numba.njit(nogil=True, cache=True)
def _to_people(words, n_variants, hom, plus, column):
    """Turn 64 variants x people (packed) into a word per person: hom (any), plus (hom A1 or het); 0 if missing."""
    low_bits = np.uint64(0x5555555555555555)
    one = np.uint64(1)
    h = np.empty(64, dtype=np.uint64)
    p = np.empty(64, dtype=np.uint64)
    n_people = hom.shape[0]
    for w in range(words.shape[1] // 2):
        h[:] = 0
        p[:] = 0
        for v in range(n_variants):
            a, b = words[v, 2 * w], words[v, 2 * w + 1]
            h[v] = (~(a ^ (a >> one)) & low_bits) | ((~(b ^ (b >> one)) & low_bits) << one)
            p[v] = (~a & low_bits) | ((~b & low_bits) << one)
        _transpose64(h)
        _transpose64(p)
        for bit in range(64):
            i = 64 * w + (bit >> 1) + 32 * (bit & 1)
            if i < n_people:
                hom[i, column] = h[bit]
                plus[i, column] = p[bit]


def people_planes(fileset: Genotypes, index: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn the genotypes of a range of people into bit rows over variants.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of variants.
    start, stop
        Range of people; ``start`` a multiple of 4.

    Returns
    -------
    hom, plus: uint64, people x ceil(variants / 64); hom A1 is 11, het 01, hom A2 10, missing 00.
    """
    n_people = stop - start
    n_words = -(-len(index) // 64)
    hom, plus = np.zeros((2, n_people, n_words), dtype=np.uint64)
    bytes_ = slice(start // 4, -(-stop // 4))
    words = np.zeros((64, -(-n_people // 64) * 16), dtype=np.uint8)
    for column in range(n_words):
        packed = fileset.calls(index[64 * column : 64 * column + 64])[:, bytes_]
        words[: len(packed), : packed.shape[1]] = packed
        _to_people(words.view(np.uint64), len(packed), hom, plus, column)
    return hom, plus


def planes_of_people(fileset: Genotypes, index: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn the genotypes of some people into bit rows over variants.

    Parameters
    ----------
    fileset, index
        See :func:`people_planes`.
    people
        Numbers of the people, in the order of the rows.

    Returns
    -------
    hom, plus: see :func:`people_planes`.
    """
    hom, plus = np.zeros((2, len(people), -(-len(index) // 64)), dtype=np.uint64)
    for column in range(hom.shape[1]):
        packed = fileset.calls(index[64 * column : 64 * column + 64])
        _to_people(select_people(packed, people, -(-len(people) // 64)), len(packed), hom, plus, column)
    return hom, plus


@numba.njit(nogil=True, cache=True)
def count_het(hom, plus, out):
    """Count the heterozygous calls of each person."""
    for i in range(hom.shape[0]):
        n = np.uint64(0)
        for w in range(hom.shape[1]):
            n += popcount(plus[i, w] & ~hom[i, w])
        out[i] = n


@numba.njit(nogil=True, cache=True)
def _distance(hom_i, plus_i, hom_j, plus_j):
    """Sum the squared differences of dosage over the variants called in both."""
    unlike, opposite = np.uint64(0), np.uint64(0)
    for w in range(len(hom_i)):
        h, g, p, q = hom_i[w], hom_j[w], plus_i[w], plus_j[w]
        unlike += popcount((h ^ g) & (h | p) & (g | q))
        opposite += popcount(h & g & (p ^ q))
    return np.int64(unlike) + 4 * np.int64(opposite)


@numba.njit(nogil=True, cache=True)
def screen_pairs(hom_1, plus_1, hom_2, plus_2, room, low, high, first_2, words, out):
    """Mark the pairs that may reach the threshold: people ``low`` to ``high`` of the first group against the second.

    Distance (the sum of squared differences) only grows with the variants that are looked at: once it exceeds ``room``
    of a pair, the largest distance at which the pair still counts, the pair is out, whatever the other variants say.
    ``room`` and ``out`` have a row for each of the people ``low`` to ``high``.
    """
    n_2, n_words = hom_2.shape
    distance = np.empty((TILE, TILE), dtype=np.int64)
    for left in range(first_2, n_2, TILE):
        right = min(left + TILE, n_2)
        distance[:] = 0
        for start in range(0, n_words, words):
            stop = min(start + words, n_words)
            alive = False
            for i in range(low, high):
                for j in range(left, right):
                    d = distance[i - low, j - left]
                    if d <= room[i - low, j]:
                        d += _distance(
                            hom_1[i, start:stop], plus_1[i, start:stop], hom_2[j, start:stop], plus_2[j, start:stop]
                        )
                        distance[i - low, j - left] = d
                        alive = True
            if not alive:
                break
        for i in range(low, high):
            for j in range(left, right):
                out[i - low, j] = distance[i - low, j - left] <= room[i - low, j]


@numba.njit(nogil=True, cache=True)
def count_pairs(hom_1, plus_1, hom_2, plus_2, first, second, out):
    """Count for each pair: called in both, het-het, opposite homozygotes, het-hom, hom-het."""
    for k in range(len(first)):
        hom_i, plus_i, hom_j, plus_j = hom_1[first[k]], plus_1[first[k]], hom_2[second[k]], plus_2[second[k]]
        called, both, opposite, left, right = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
        for w in range(len(hom_i)):
            h, g, p, q = hom_i[w], hom_j[w], plus_i[w], plus_j[w]
            called += popcount((h | p) & (g | q))
            both += popcount(p & ~h & q & ~g)
            opposite += popcount(h & g & (p ^ q))
            left += popcount(p & ~h & g)
            right += popcount(q & ~g & h)
        out[k, 0] = called
        out[k, 1] = both
        out[k, 2] = opposite
        out[k, 3] = left
        out[k, 4] = right
