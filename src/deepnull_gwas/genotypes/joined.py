"""Genotypes of several files, each read by an object of its own, as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.dosage import Dosages, pack_dosages
from deepnull_gwas.genotypes.single_copies import SingleCopies


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
    single_copies
        Whose dosages on X are those of one copy in the file, and doubled; None where nobody's are.
    derives_calls
        Whether hard calls are made from the dosages, and not taken from the file.
    has_dosages, has_probabilities
        Whether any of the files has dosages; whether all have probabilities of genotypes, which the IMPUTE information
        is made of.
    """

    def __init__(self, names: Sequence[str], readers: Sequence[FileReader]):
        super().__init__(names, [reader.n_variants for reader in readers], readers[0].n_samples)
        self.readers = list(readers)
        self.single_copies: SingleCopies | None = None
        self.derives_calls = False
        self.has_dosages = any(reader.has_dosages for reader in readers)
        self.has_probabilities = all(reader.has_probabilities for reader in readers)

    def _read_calls(self, file: int, rows: np.ndarray, out: np.ndarray, at: np.ndarray) -> None:
        index = rows + self.starts[file]
        derived = np.full(len(rows), self.derives_calls)
        if self.single_copies is not None:
            derived |= self.single_copies.among(index)
        if not derived.all():
            out[at[~derived]] = self.readers[file].calls(rows[~derived])
        # dosages take eight times as much memory
        chosen, size = np.flatnonzero(derived), max(1, (4 << 20) // max(self.n_samples, 1))
        for first in range(0, len(chosen), size):
            part = chosen[first : first + size]
            out[at[part]] = pack_dosages(self.dosages(index[part]), self.hard_call_threshold)

    def single_copies_at(self, variant: int) -> np.ndarray | None:
        """See :meth:`Genotypes.single_copies_at`."""
        if self.single_copies is None or not self.single_copies.among(np.array([variant]))[0]:
            return None
        return self.single_copies.people

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
        single = self.single_copies
        if single is None or not (rows := single.among(index)).any():
            return self._as_stored(index, masks, out)
        found = self._as_stored(index, None if masks is None else single.split(masks), out)
        if (wrong := single.double(found.values, found.denominator, rows)) >= 0:
            path, row, *_ = self.place_of(int(index[wrong]))
            raise InputError(
                f"{path}: the variant at {row:,} (number {int(index[wrong]) + 1:,} of the cohort) has a male with a "
                "dosage of more than 1 on X, where the males of this cohort have 0 to 1: recorded sex is wrong, or the "
                "file joins people who were imputed apart; set their sex right, code X in one way, or leave it out"
            )
        sums = None if found.sums is None else single.join(found.sums, rows)
        return Dosages(found.values, found.denominator, sums, found.variance_denominator)

    def _as_stored(self, index: np.ndarray, masks: np.ndarray | None, out: np.ndarray) -> Dosages:
        """Read dosages as they are in the files."""
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
