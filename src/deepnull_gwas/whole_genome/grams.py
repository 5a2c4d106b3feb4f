"""Sums of products of the variants of a block with each other, within folds, for groups of people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from deepnull_gwas.genotypes.kernels import popcount
from deepnull_gwas.jit import numba
from deepnull_gwas.whole_genome.people import People, tiles
from deepnull_gwas.whole_genome.targets import Group

#: Side of the squares in which a matrix is mirrored: they stay in the first cache.
SQUARE = 16


@numba.njit(nogil=True, cache=True)
def _add_gram(unlike_one, none, sums, people, gram):
    """Add the sums of products of variants with each other over some people, and mirror what is below the diagonal.

    Copies less 1 are 0, 1 or -1: their product is 1 where both or neither of two people's genotypes are without a copy.
    """
    words, variants = np.uint64(unlike_one.shape[0]), np.uint64(unlike_one.shape[1])
    one, two = np.uint64(1), np.uint64(2)
    row = np.empty(unlike_one.shape[1], dtype=np.uint64)
    for i in range(np.uint64(0), variants):
        row[:] = 0
        for w in range(np.uint64(0), words, two):
            # two words: what is summed is then read and written half as often
            first, first_none = unlike_one[w], none[w]
            second, second_none = unlike_one[w + one], none[w + one]
            a, a_none, b, b_none = first[i], first_none[i], second[i], second_none[i]
            for j in range(i, variants):
                x, y = a & first[j], b & second[j]
                minus = popcount(x & (a_none ^ first_none[j])) + popcount(y & (b_none ^ second_none[j]))
                row[j] += popcount(x) + popcount(y) - (minus << one)
        for j in range(i, variants):
            gram[i, j] += np.int64(row[j]) + sums[i] + sums[j] - people
    for begin in range(0, len(gram), SQUARE):
        for start in range(begin, len(gram), SQUARE):
            for i in range(begin, min(begin + SQUARE, len(gram))):
                for j in range(max(start, i + 1), min(start + SQUARE, len(gram))):
                    gram[j, i] = gram[i, j]


def _bits(which: np.ndarray) -> np.ndarray:
    """Return bool[b, people] as bits: uint64[words, b], an even number of words."""
    out = np.zeros((len(which), -(-which.shape[1] // 128) * 16), dtype=np.uint8)
    packed = np.packbits(which, axis=1)
    out[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(out.view(np.uint64).T)


def gram_by_fold(copies: np.ndarray, people: People) -> np.ndarray:
    """Sum products of variants with each other within folds, by counting bits (Chang et al. 2015, PLINK 1.9).

    Parameters
    ----------
    copies
        int8[b, n], 0, 1 or 2, the people as in ``people``.
    people
        The people.

    Returns
    -------
    float32[folds, b, b]; whole numbers, exact up to 2^22 people.
    """
    out = np.zeros((people.folds, len(copies), len(copies)), dtype=np.float32)
    for f, rows in tiles(people):
        own = copies[:, rows]
        sums = own.sum(axis=1, dtype=np.int64)
        _add_gram(_bits(own != 1), _bits(own == 0), sums, own.shape[1], out[f])
    return out


class SharedGrams:
    """Sums of products of a block's variants with each other, for each group of people.

    Groups of nearly all people take the sums of everybody less those of the few who are missing: whole numbers, so that
    these are the same bytes as the sums of their own people.

    Parameters
    ----------
    everybody
        The people of all groups.
    groups
        The groups; those of the same people follow each other.
    """

    def __init__(self, everybody: People, groups: Sequence[Group]):
        self.everybody, self.groups = everybody, groups
        known = [np.isin(everybody.sample_index, group.people.sample_index) for group in groups]
        self._own = [np.flatnonzero(inside) for inside in known]
        self._gone = [np.flatnonzero(~inside) for inside in known]
        sizes = list({rows.tobytes(): len(rows) for rows in self._own}.values())
        n = len(everybody)
        self._shared = n + sum(min(size, n - size) for size in sizes if size < n) <= sum(sizes)

    def of_block(self, copies: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through the groups: copies of its people (int8), and their sums (:func:`gram_by_fold`).

        Parameters
        ----------
        copies
            int8[b, n] of everybody.
        """
        total = gram_by_fold(copies, self.everybody) if self._shared else None
        own, gram, last = copies, total, np.arange(len(self.everybody))
        for group, rows, gone in zip(self.groups, self._own, self._gone, strict=True):
            if gram is None or not np.array_equal(rows, last):
                own = copies if not len(gone) else np.take(copies, rows, axis=1)
                last, gram = rows, self._gram(copies, own, total, group, gone)
            yield own, gram

    def _gram(
        self, copies: np.ndarray, own: np.ndarray, total: np.ndarray | None, group: Group, gone: np.ndarray
    ) -> np.ndarray:
        if total is None or len(gone) >= len(group.people):
            return gram_by_fold(own, group.people)
        if not len(gone):
            return total
        return total - gram_by_fold(np.take(copies, gone, axis=1), People.of_rows(self.everybody, gone))
