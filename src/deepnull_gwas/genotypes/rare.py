"""Kernels that look at the few people whose genotype is not that of nearly everybody, or who have none."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.dosage import MISSING
from deepnull_gwas.genotypes.kernels import lowest_bit, tail_word
from deepnull_gwas.jit import FAST, numba

#: Copies of A1 that a genotype code stands for (1 is a missing call)
_COPIES = np.array([2.0, 0.0, 1.0, 0.0])


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _multiply_rare(packed, rows, common, centre, squared, people, totals, out):
    n, width = people.shape
    n_bytes = packed.shape[1]
    n_words = n_bytes // 8
    one = np.uint64(1)
    for k in range(len(rows)):
        v = rows[k]
        c = centre[v]
        values = (2.0 - c, 0.0, 1.0 - c, -c)
        if squared:
            values = (values[0] * values[0], 0.0, values[2] * values[2], values[3] * values[3])
        base = values[3] if common[k] else values[0]
        flip = np.uint64(0xFFFFFFFFFFFFFFFF) if common[k] else np.uint64(0)
        target = out[v]
        for j in range(width):
            target[j] = base * totals[j]
        row = packed[v]
        words = row[: n_words * 8].view(np.uint64)
        for w in range(n_words + 1):
            word = words[w] if w < n_words else tail_word(row)
            x = word ^ flip
            # one bit for each genotype that is not the common one
            hits = (x | (x >> one)) & np.uint64(0x5555555555555555)
            while hits:
                place = lowest_bit(hits)
                hits &= hits - one
                person = 32 * w + (place >> 1)
                # the padding of the last byte
                if person >= n:
                    break
                code = (word >> np.uint64(place)) & np.uint64(3)
                step = values[code] - base
                source = people[person]
                for j in range(width):
                    target[j] += step * source[j]


def multiply_rare(
    packed: np.ndarray,
    rows: np.ndarray,
    common: np.ndarray,
    centre: np.ndarray,
    people: np.ndarray,
    totals: np.ndarray,
    out: np.ndarray,
    squared: bool = False,
) -> None:
    """Multiply as :func:`.products.multiply` does, for variants that nearly everybody has the same genotype of.

    Only the others are looked at.

    Parameters
    ----------
    packed
        uint8, variants x bytes.
    rows
        Which of them.
    common
        bool, one per row: whether the genotype that nearly everybody has is homozygous for A2 (else for A1).
    centre
        float64, one per variant of ``packed``.
    people
        float32 or float64, people of the cohort x columns, zero for those who are not analysed.
    totals
        float64, sums of its columns.
    out
        float64, variants x columns; its ``rows`` are filled in. All sums are in float64.
    squared
        Whether the centred dosages are squared first.
    """
    _multiply_rare(
        np.ascontiguousarray(packed), np.asarray(rows, dtype=np.int64), np.asarray(common, dtype=np.bool_),
        np.ascontiguousarray(centre), squared, people, totals, out,
    )  # fmt: skip


@numba.njit(nogil=True, cache=True, error_model="numpy")
def list_missing(stored, v, people):
    """List the people without a call for a variant of a block, ascending.

    ``people`` has room for everybody. Return how many they are.
    """
    packed, values = stored[0], stored[1]
    count = 0
    if packed.shape[0] == 0:
        for person in range(len(people)):
            if values[v, person] == MISSING:
                people[count] = person
                count += 1
        return count
    row = packed[v]
    n_words = len(row) // 8
    words = row[: n_words * 8].view(np.uint64)
    one = np.uint64(1)
    for w in range(n_words + 1):
        x = words[w] if w < n_words else tail_word(row)
        hits = x & ~(x >> one) & np.uint64(0x5555555555555555)
        while hits:
            person = 32 * w + (lowest_bit(hits) >> 1)
            hits &= hits - one
            # the padding of the last byte
            if person < len(people):
                people[count] = person
                count += 1
    return count


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _count_others(row, n_people, flip):
    """Count the people of a variant whose code is not 11, or not 00 where ``flip`` is 0."""
    n_words = len(row) // 8
    words = row[: n_words * 8].view(np.uint64)
    total = 0
    one = np.uint64(1)
    for w in range(n_words + 1):
        word = words[w] if w < n_words else tail_word(row)
        x = word ^ flip
        hits = (x | (x >> one)) & np.uint64(0x5555555555555555)
        while hits:
            place = lowest_bit(hits)
            hits &= hits - one
            if 32 * w + (place >> 1) >= n_people:
                break
            total += 1
    return total


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _list_others(row, n_people, flip, people, code):
    """List the people that :func:`_count_others` counts, and their codes."""
    n_words = len(row) // 8
    words = row[: n_words * 8].view(np.uint64)
    k = 0
    one = np.uint64(1)
    for w in range(n_words + 1):
        word = words[w] if w < n_words else tail_word(row)
        x = word ^ flip
        hits = (x | (x >> one)) & np.uint64(0x5555555555555555)
        while hits:
            place = lowest_bit(hits)
            hits &= hits - one
            person = 32 * w + (place >> 1)
            if person >= n_people:
                break
            people[k] = person
            code[k] = (word >> np.uint64(place)) & np.uint64(3)
            k += 1


def carriers(
    packed: np.ndarray, n_people: int, row_of: np.ndarray, common: bool, mean: float, drop: bool, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """List the analysed people whose genotype is not the usual one.

    Parameters
    ----------
    packed
        uint8, the bytes of one variant.
    n_people
        Number of people of the cohort.
    row_of
        int64, one per person of the cohort: row among the analysed people, -1 for the others.
    common
        Whether nearly everybody is homozygous for A2 (else for A1).
    mean
        Mean dosage of A1: what a missing call counts for where it is not left out.
    drop
        Whether people without a call are left out.
    most
        How many there may be, of all people of the cohort; None is returned where there are more.

    Returns
    -------
    int64 rows among the analysed people, ascending; float64 copies of A1 beyond the usual genotype's; bool, whether
    the person stays.
    """
    flip = np.uint64(0xFFFFFFFFFFFFFFFF if common else 0)
    k = _count_others(packed, n_people, flip)
    if k > most:
        return None
    people, code = np.empty(k, dtype=np.int64), np.empty(k, dtype=np.uint8)
    _list_others(packed, n_people, flip, people, code)
    rows = row_of[people]
    code = code[rows >= 0]
    rows = rows[rows >= 0]
    usual = 0.0 if common else 2.0
    missing = code == 1
    g = np.where(missing, 0.0 if drop else mean - usual, _COPIES[code] - usual)
    return rows, g, ~missing if drop else np.ones(len(rows), dtype=bool)
