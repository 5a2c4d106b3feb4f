"""Counts of genotypes from packed bytes: of variants among the people of masks, and of people over variants."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.kernels import count_genotypes, lowest_bit, pack_mask
from deepnull_gwas.jit import numba

#: Variants in a block of the vertical counters: 8-bit counters hold 255.
COUNTER_BLOCK = 255


@numba.njit(nogil=True, cache=True)
def _add_people(words, n_variants, missing, het):
    """Add the missing and heterozygous calls of each person over at most 255 variants.

    Vertical counters: each person has a lane of 2 bits in a word, so that one addition counts 32 people; lanes widen
    from 2 to 4 to 8 bits before they can overflow (3 variants, 15, 255).
    """
    n_words = words.shape[1]
    low_bits = np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    nibbles = np.uint64(0x0F0F0F0F0F0F0F0F)
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    wide = np.zeros((8, n_words), dtype=np.uint64)
    narrow = np.zeros((4, n_words), dtype=np.uint64)
    for first in range(0, n_variants, 15):
        narrow[:] = 0
        for v in range(first, min(first + 15, n_variants), 3):
            a, b, c = words[v], words[v + 1], words[v + 2]
            for w in range(n_words):
                low, high = a[w] & low_bits, (a[w] >> one) & low_bits
                both = low & high
                m, h = low ^ both, high ^ both
                low, high = b[w] & low_bits, (b[w] >> one) & low_bits
                both = low & high
                m += low ^ both
                h += high ^ both
                low, high = c[w] & low_bits, (c[w] >> one) & low_bits
                both = low & high
                m += low ^ both
                h += high ^ both
                narrow[0, w] += m & pairs
                narrow[1, w] += (m >> two) & pairs
                narrow[2, w] += h & pairs
                narrow[3, w] += (h >> two) & pairs
        for k in range(4):
            for w in range(n_words):
                wide[2 * k, w] += narrow[k, w] & nibbles
                wide[2 * k + 1, w] += (narrow[k, w] >> four) & nibbles
    n = len(missing)
    # lane order within a byte: persons 0, 2 in the even pairs (narrow 0), 1, 3 in the odd ones (narrow 1)
    for w in range(n_words):
        for byte in range(8):
            shift = np.uint64(8 * byte)
            base = 32 * w + 4 * byte
            for lane in range(4):
                i = base + lane
                if i < n:
                    k = 2 * (lane & 1) + (lane >> 1)
                    missing[i] += np.int64((wide[k, w] >> shift) & np.uint64(255))
                    het[i] += np.int64((wide[4 + k, w] >> shift) & np.uint64(255))


def count_missing_and_het(packed: np.ndarray, missing: np.ndarray, het: np.ndarray) -> None:
    """Add to each person's counters the missing and heterozygous calls over the variants of a block.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    missing, het
        int64, one per person; changed in place.
    """
    n_words = (packed.shape[1] + 7) // 8
    # rows of the file are not aligned to words and their number need not be a multiple of 3: zero bytes count as
    # neither
    buffer = np.zeros((COUNTER_BLOCK, n_words * 8), dtype=np.uint8)
    for first in range(0, len(packed), COUNTER_BLOCK):
        block = packed[first : first + COUNTER_BLOCK]
        buffer[: len(block), : packed.shape[1]] = block
        buffer[len(block) :] = 0
        _add_people(buffer.view(np.uint64), len(block), missing, het)


@numba.njit(nogil=True, cache=True)
def _weigh_missing(words, weights, out):
    low_bits = np.uint64(0x5555555555555555)
    one = np.uint64(1)
    n = len(out)
    for v in range(len(weights)):
        for w in range(words.shape[1]):
            word = words[v, w]
            missing = word & ~(word >> one) & low_bits
            while missing:
                i = 32 * w + (lowest_bit(missing) >> 1)
                if i < n:
                    out[i] += weights[v]
                missing &= missing - one


def weigh_missing(packed: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Add to each person the weights of the variants at which the call is missing.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    weights
        float64, one per variant.
    out
        float64, one per person; changed in place.
    """
    words = np.zeros((COUNTER_BLOCK, (packed.shape[1] + 7) // 8 * 8), dtype=np.uint8)
    for first in range(0, len(packed), COUNTER_BLOCK):
        block = packed[first : first + COUNTER_BLOCK]
        words[: len(block), : packed.shape[1]] = block
        _weigh_missing(
            words.view(np.uint64), np.ascontiguousarray(weights[first : first + COUNTER_BLOCK], dtype=np.float64), out
        )


def count_variants(fileset: Genotypes, index: np.ndarray, masks: list[np.ndarray]) -> np.ndarray:
    """Count the genotypes of variants among the people of several masks.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of variants.
    masks
        bool, one per person each.

    Returns
    -------
    int64, masks x variants x 4: homozygous effect allele, heterozygous, homozygous other allele, missing.
    """
    index = np.asarray(index, dtype=np.int64)
    lanes = [pack_mask(m) for m in masks]
    out = np.empty((len(masks), len(index), 4), dtype=np.int64)
    size = max(1, (1 << 20) // max(fileset.bytes_per_variant, 1))
    for first in range(0, len(index), size):
        rows = index[first : first + size]
        contiguous = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1
        packed = fileset.calls_between(int(rows[0]), int(rows[-1]) + 1) if contiguous else fileset.calls(rows)
        for k, lane in enumerate(lanes):
            out[k, first : first + size] = count_genotypes(packed, lane)
    return out
