"""The analysed people of studies, sorted by fold: what the sums of each fold run over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

#: People whose genotypes are worked on at a time: what is made of them stays in the caches.
TILE = 4096


@dataclass(frozen=True)
class People:
    """The analysed people of studies, sorted by fold.

    Attributes
    ----------
    sample_index
        int64[n]; ascending within each fold.
    edges
        int64[folds + 1], where each fold of the cohort begins; some may be empty.
    """

    sample_index: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, sample_index: np.ndarray, folds: np.ndarray, count: int) -> People:
        """Sort people by fold.

        Parameters
        ----------
        sample_index
            int64[n], ascending.
        folds
            int32, one per person of the cohort (:func:`~deepnull_gwas.whole_genome.folds.genome_folds`).
        count
            Number of folds.
        """
        fold = folds[sample_index]
        order = np.argsort(fold, kind="stable")
        return cls(sample_index[order], np.searchsorted(fold[order], np.arange(count + 1)))

    @classmethod
    def of_rows(cls, people: People, rows: np.ndarray) -> People:
        """Return some of the people (ascending int64 rows)."""
        return cls(people.sample_index[rows], np.searchsorted(rows, people.edges))

    def __len__(self) -> int:
        return len(self.sample_index)

    @property
    def folds(self) -> int:
        """Number of folds, empty ones among them."""
        return len(self.edges) - 1

    @property
    def sizes(self) -> np.ndarray:
        """People in each fold: int64[folds]."""
        return np.diff(self.edges)

    @property
    def fold(self) -> np.ndarray:
        """The fold of each: int32[n]."""
        return np.repeat(np.arange(self.folds, dtype=np.int32), self.sizes)

    def rows(self, fold: int) -> slice:
        """Return the people of a fold."""
        return slice(int(self.edges[fold]), int(self.edges[fold + 1]))


def tiles(people: People) -> Iterator[tuple[int, slice]]:
    """Go through people in tiles of at most :data:`TILE` that never cross folds: (fold, rows)."""
    for f in range(people.folds):
        rows = people.rows(f)
        for start in range(rows.start, rows.stop, TILE):
            yield f, slice(start, min(start + TILE, rows.stop))
