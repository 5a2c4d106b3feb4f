"""Dosages as integers: a numerator of 16 bits per person, and a denominator per variant.

The dosage of a person is the expected number of effect alleles, 0 to 2, ``value / denominator``. The denominator is
16,384 for PGEN, VCF and BGEN of 16 bits or more, ``2**bits - 1`` for BGEN of fewer bits (255 for 8 bits), and 1 for
hard calls: PGEN and BGEN of up to 15 bits lose nothing, and sums of values and of their squares are exact in 64 bits,
so that frequencies and counts do not depend on the order of summation. Haploid calls are on the same scale as the
others, 0 to 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.jit import numba

#: Value of a person without a genotype.
MISSING = 65_535
#: Denominator of PGEN, and of everything that is rounded.
PGEN_DENOMINATOR = 16_384
#: People whose dosages (up to 2^16) are summed in 32 bits.
SUMMED_AT_ONCE = 1 << 15
#: Columns of the sums of :func:`sum_dosages` and of the readers.
CALLED, TOTAL, SQUARES, VARIANCE, EXACT = range(5)


@dataclass(frozen=True)
class Dosages:
    """Dosages of a block of variants.

    Attributes
    ----------
    values
        uint16, variants x people: numerators, 65,535 where missing.
    denominator
        int32, one per variant.
    sums
        int64, variants x masks x 5, or None where no masks were given: people called, and sums over them of the values,
        of their squares, of the variances of the genotypes in units of ``1 / variance_denominator`` (0 where a format
        has dosages only), and of the dosages before they were rounded, in units of ``1 / sqrt(variance_denominator)``
        (of the values, where a format has dosages only).
    variance_denominator
        int64, one per variant, or None where a format has dosages only.
    """

    values: np.ndarray
    denominator: np.ndarray
    sums: np.ndarray | None = None
    variance_denominator: np.ndarray | None = None

    def to_float(self, dtype: np.dtype | type = np.float64) -> np.ndarray:
        """Return the dosages as numbers, NaN where missing: variants x people."""
        out = self.values.astype(dtype)
        out /= self.denominator[:, None]
        out[self.values == MISSING] = np.nan
        return out


@numba.njit(nogil=True, cache=True)
def _masked_sum(values, numbers, mask):
    total = np.int64(0)
    for i in range(len(values)):
        keep = np.int64(mask[i] != 0) & np.int64(values[i] != MISSING)
        total += np.int64(numbers[i]) * keep
    return total


@numba.njit(nogil=True, cache=True)
def sum_row(values, variances, exact, mask, out):
    """Add to ``out`` the five sums of one variant over the people of a mask.

    Parameters
    ----------
    values
        uint16, one per person.
    variances, exact
        uint32, one per person, or empty: without ``exact``, the values count for it.
    mask
        uint8, 0 or 1, one per person.
    out
        int64, 5.
    """
    called, total, squares = np.int64(0), np.int64(0), np.int64(0)
    for first in range(0, len(values), SUMMED_AT_ONCE):
        part, on = values[first : first + SUMMED_AT_ONCE], mask[first : first + SUMMED_AT_ONCE]
        # numbers of 32 bits hold these sums
        some, there = np.uint32(0), np.uint32(0)
        for i in range(len(part)):
            keep = np.uint32(on[i] != 0) & np.uint32(part[i] != MISSING)
            value = np.uint32(part[i]) * keep
            some += value
            there += keep
            squares += np.int64(value * value)
        total += np.int64(some)
        called += np.int64(there)
    out[0] += called
    out[1] += total
    out[2] += squares
    if len(variances):
        out[3] += _masked_sum(values, variances, mask)
    out[4] += _masked_sum(values, exact, mask) if len(exact) else total


@numba.njit(nogil=True, cache=True)
def _sum_rows(values, masks, out):
    none = np.empty(0, dtype=np.uint32)
    for v in range(values.shape[0]):
        for m in range(masks.shape[0]):
            sum_row(values[v], none, none, masks[m], out[v, m])


def sum_dosages(values: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Compute the exact sums of dosages over the people of each mask.

    Parameters
    ----------
    values
        uint16, variants x people.
    masks
        bool or uint8, masks x people.

    Returns
    -------
    int64, variants x masks x 5: as in :class:`Dosages`, of a format without probabilities.
    """
    out = np.zeros((len(values), len(masks), 5), dtype=np.int64)
    _sum_rows(values, as_masks(masks, values.shape[1]), out)
    return out


def as_masks(masks: np.ndarray | None, n_samples: int) -> np.ndarray:
    """Return masks as uint8, masks x people (none: 0 x people)."""
    if masks is None:
        return np.zeros((0, n_samples), dtype=np.uint8)
    masks = np.ascontiguousarray(masks)
    if masks.ndim != 2 or masks.shape[1] != n_samples:
        raise ValueError(f"masks of shape {masks.shape} for {n_samples} people")
    return masks.view(np.uint8) if masks.dtype == bool else masks.astype(np.uint8)


@numba.njit(nogil=True, cache=True)
def _round_floats(numbers, denominator, out):
    largest = np.int32(0)
    for v in range(numbers.shape[0]):
        for i in range(numbers.shape[1]):
            value = np.int32(numbers[v, i] * denominator + np.float32(0.5))
            largest = max(largest, value)
            out[v, i] = value if value >= 0 else MISSING
    return largest


def from_floats(numbers: np.ndarray, out: np.ndarray) -> float:
    """Turn dosages of float32 (negative where missing) into numerators of 1/16,384, rounded to the nearest.

    Parameters
    ----------
    numbers
        float32, variants x people, 0 to 2; PGEN's are multiples of 1/16,384, and come out exactly.
    out
        uint16 of the same shape.

    Returns
    -------
    The largest dosage: where it is above 2, ``out`` has no meaning.
    """
    return _round_floats(numbers, np.float32(PGEN_DENOMINATOR), out) / PGEN_DENOMINATOR


@numba.njit(nogil=True, cache=True)
def _pack_counts(counts, out):
    ones = np.uint64(0x0101010101010101)
    n = counts.shape[1]
    whole = n // 8
    for v in range(counts.shape[0]):
        words = counts[v, : 8 * whole].view(np.uint64)
        for w in range(whole):
            # eight people: 0 -> 11, 1 -> 10, 2 -> 00, and both low bits of what is missing are 1 -> 01
            low, high = words[w] & ones, words[w] >> np.uint64(1) & ones
            codes = (low ^ high ^ ones) | (high ^ ones) << np.uint64(1)
            codes |= codes >> np.uint64(6)
            codes |= codes >> np.uint64(12)
            out[v, 2 * w] = codes & np.uint64(0xFF)
            out[v, 2 * w + 1] = codes >> np.uint64(32) & np.uint64(0xFF)
        for b in range(2 * whole, out.shape[1]):
            byte = 0
            for k in range(min(4, n - 4 * b)):
                count = counts[v, 4 * b + k]
                code = 3 if count == 0 else (2 if count == 1 else (0 if count == 2 else 1))
                byte |= code << (2 * k)
            out[v, b] = byte


def pack_counts(counts: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Pack numbers of effect alleles into two bits per person, as in a PLINK .bed whose A1 is the effect allele.

    Parameters
    ----------
    counts
        int8, variants x people, each row without gaps: 0, 1, 2, and -1 or -9 where missing.
    out
        uint8, variants x ``ceil(people / 4)``; made if None.

    Returns
    -------
    ``out``: 00 two effect alleles, 01 missing, 10 one, 11 none; the first person in the lowest bits, padding 00.
    """
    if out is None:
        out = np.empty((counts.shape[0], (counts.shape[1] + 3) // 4), dtype=np.uint8)
    _pack_counts(counts, out)
    return out


@numba.njit(nogil=True, cache=True)
def _pack_dosages(values, denominators, distances, out):
    n = values.shape[1]
    # a code per byte first, without branches, then four of them to a byte: the compiler vectorises both
    codes = np.zeros(8 * ((n + 7) // 8), dtype=np.uint8)
    words = codes.view(np.uint64)
    for v in range(values.shape[0]):
        row = values[v]
        one, far = np.int32(denominators[v]), np.int32(distances[v])
        for i in range(n):
            value = np.int32(row[i])
            none = np.int32(value <= far)
            het = np.int32(value >= one - far) & np.int32(value <= one + far)
            two = np.int32(value >= 2 * one - far) & np.int32(value != MISSING)
            codes[i] = np.uint8(1 + 2 * none + het - two)
        packed = out[v]
        for w in range(len(words)):
            word = words[w]
            word |= word >> np.uint64(6)
            word |= word >> np.uint64(12)
            packed[2 * w] = word & np.uint64(0xFF)
            if 2 * w + 1 < len(packed):
                packed[2 * w + 1] = word >> np.uint64(32) & np.uint64(0xFF)


def pack_dosages(dosages: Dosages, threshold: float, out: np.ndarray | None = None) -> np.ndarray:
    """Derive hard calls from dosages: the nearest number of effect alleles, missing where it is further away than a
    threshold.

    Parameters
    ----------
    dosages
        Of a block of variants.
    threshold
        Largest distance, 0 to 0.49 (PLINK 2's ``--hard-call-threshold``, 0.1 there).
    out
        uint8, variants x ``ceil(people / 4)``; made if None.

    Returns
    -------
    ``out``, packed as by :func:`pack_counts`.
    """
    if not 0 <= threshold < 0.5:
        raise ValueError(f"hard-call threshold {threshold}: expected 0 to 0.49")
    values = dosages.values
    if out is None:
        out = np.empty((values.shape[0], (values.shape[1] + 3) // 4), dtype=np.uint8)
    _pack_dosages(values, dosages.denominator, hard_call_distance(dosages.denominator, threshold), out)
    return out


def hard_call_distance(denominator: np.ndarray, threshold: float) -> np.ndarray:
    """Return how far numerators may be from those of a whole dosage to be hard calls: int32, one per variant."""
    # 0.1 x 255 and the like must not fall below what is meant
    return np.floor(threshold * denominator * (1 + 1e-12)).astype(np.int32)
