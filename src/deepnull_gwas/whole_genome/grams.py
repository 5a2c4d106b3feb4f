"""Sums of products of the variants of a block with each other, within folds, for groups of people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from deepnull_gwas.whole_genome.people import People
from deepnull_gwas.whole_genome.targets import Group

#: People whose genotypes are held as floating-point numbers at a time.
TILE = 4096


def tiles(people: People) -> Iterator[tuple[int, slice]]:
    """Go through people in tiles of at most :data:`TILE` that never cross folds: (fold, rows)."""
    for f in range(people.folds):
        rows = people.rows(f)
        for start in range(rows.start, rows.stop, TILE):
            yield f, slice(start, min(start + TILE, rows.stop))


def gram_by_fold(copies: np.ndarray, people: People) -> np.ndarray:
    """Sum products of variants with each other within folds.

    Parameters
    ----------
    copies
        int8[b, n], the people as in ``people``.
    people
        The people.

    Returns
    -------
    float32[folds, b, b]; whole numbers, exact up to 2^22 people.
    """
    out = np.zeros((people.folds, len(copies), len(copies)), dtype=np.float32)
    for f, rows in tiles(people):
        part = copies[:, rows].astype(np.float32)
        out[f] += part @ part.T
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
