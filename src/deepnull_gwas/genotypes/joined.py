"""Genotypes of several files, each read by an object of its own, as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.dosage import Dosages


class FileReader(Protocol):
    """What reads one file: numbers of variants are those within the file; any number of threads may call at once."""

    n_samples: int
    n_variants: int
    has_dosages: bool
    has_probabilities: bool

    def calls(self, index: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Read packed hard calls."""

    def dosages(self, index: np.ndarray, out: np.ndarray | None = None, masks: np.ndarray | None = None) -> Dosages:
        """Read dosages, and their sums over the people of masks."""


class JoinedGenotypes(Genotypes):
    """Filesets of a format with one reader for each.

    Parameters
    ----------
    names
        Names of the filesets, in the order of analysis.
    readers
        One for each.

    Attributes
    ----------
    has_dosages, has_probabilities
        Whether any of the files has dosages; whether all have probabilities of genotypes, which the IMPUTE information
        is made of.
    """

    def __init__(self, names: Sequence[str], readers: Sequence[FileReader]):
        super().__init__(names, [reader.n_variants for reader in readers], readers[0].n_samples)
        self.readers = list(readers)
        self.has_dosages = any(reader.has_dosages for reader in readers)
        self.has_probabilities = all(reader.has_probabilities for reader in readers)

    def _read_calls(self, file: int, rows: np.ndarray, out: np.ndarray, at: np.ndarray) -> None:
        out[at] = self.readers[file].calls(rows)

    def dosages(self, index: np.ndarray, masks: np.ndarray | None = None, out: np.ndarray | None = None) -> Dosages:
        """Return the dosages of some variants, in any order.

        Parameters
        ----------
        index
            Numbers of variants over all filesets.
        masks
            bool or uint8, masks x people: sums over the people of each are computed on the way.
        out
            uint16, len(index) x people, where the values go; made if None.
        """
        index = np.asarray(index, dtype=np.int64)
        if out is None:
            out = np.empty((len(index), self.n_samples), dtype=np.uint16)
        file = np.searchsorted(self.starts, index, side="right") - 1
        files = np.unique(file)
        if len(files) == 1:
            return self.readers[files[0]].dosages(index - self.starts[files[0]], out, masks)
        denominator = np.zeros(len(index), dtype=np.int32)
        sums = None if masks is None else np.zeros((len(index), len(masks), 5), dtype=np.int64)
        squares = np.zeros(len(index), dtype=np.int64) if self.has_probabilities else None
        for f in files:
            at = np.flatnonzero(file == f)
            together = at[-1] - at[0] + 1 == len(at)
            part = out[at[0] : at[-1] + 1] if together else None
            found = self.readers[f].dosages(index[at] - self.starts[f], part, masks)
            if not together:
                out[at] = found.values
            denominator[at] = found.denominator
            if sums is not None:
                sums[at] = found.sums
            if squares is not None:
                squares[at] = found.variance_denominator
        return Dosages(out, denominator, sums, squares)
