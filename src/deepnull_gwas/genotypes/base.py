"""The interface of genotypes.

Everything above this folder asks it for people, variants, calls and dosages, and knows no file format.

Alleles: calls and dosages count the *effect allele*; which one that is says the format (:attr:`Format.effect_allele`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.dosage import Dosages, pack_dosages
from deepnull_gwas.genotypes.files import HARD_CALL_THRESHOLD, Format

if TYPE_CHECKING:
    import pandas as pd


class Genotypes(ABC):
    """One or several filesets with the same people, seen as one matrix of variants x people.

    Parameters
    ----------
    names
        Names of the filesets, in the order of analysis.
    variant_counts
        Number of variants of each.
    n_samples
        Number of people (the same in each).

    Attributes
    ----------
    n_samples, n_variants
        Numbers of people and of variants over all filesets.
    bytes_per_variant
        Bytes of the packed hard calls of a variant: ``ceil(n_samples / 4)``.
    starts
        int64[filesets + 1], number of the first variant of each fileset.
    has_dosages, has_probabilities
        Whether :meth:`dosages` gives more than :meth:`calls`, and variances of genotypes with them.
    hard_call_threshold
        How far a dosage may be from a whole number to be a hard call.

    Notes
    -----
    Packed hard calls have two bits per genotype, the first person in the lowest bits: 00 homozygous for the effect
    allele, 01 missing, 10 heterozygous, 11 homozygous for the other allele (as in
    https://www.cog-genomics.org/plink/1.9/formats#bed, with A1 the effect allele). Only kernels in this folder take
    them apart.

    A format implements :meth:`read_variants`, :meth:`read_people`, :meth:`check` (all before an index is there),
    :meth:`_read_calls`, and may override what it can do better.
    """

    format: ClassVar[Format]
    has_dosages: bool = False
    has_probabilities: bool = False
    hard_call_threshold: float = HARD_CALL_THRESHOLD

    def __init__(self, names: Sequence[str], variant_counts: Sequence[int], n_samples: int):
        self.names = [str(name) for name in names]
        self.variant_counts = [int(n) for n in variant_counts]
        self.n_samples = int(n_samples)
        self.bytes_per_variant = (self.n_samples + 3) // 4
        self.starts = np.concatenate([[0], np.cumsum(self.variant_counts)]).astype(np.int64)
        self.n_variants = int(self.starts[-1])

    @classmethod
    def from_index(cls, index: Mapping[str, Any]) -> Genotypes:
        """Open what ``index_cohort`` wrote down in ``genotypes.json``."""
        return cls(index["filesets"])

    @staticmethod
    @abstractmethod
    def read_variants(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read and check the table of variants of a fileset.

        Parameters
        ----------
        name
            Name of the fileset.
        settings
            What a format has to be told of the files: for BGEN ``bgen_reference``, ``bgen_index`` and
            ``hard_call_threshold``.

        Returns
        -------
        chromosome (normalised), position (int64), id, effect_allele, other_allele, in file order.

        Raises
        ------
        InputError
            Naming file and row.
        """

    @staticmethod
    @abstractmethod
    def read_people(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read and check the table of people of a fileset.

        Parameters
        ----------
        name
            Name of the fileset.
        settings
            What a format has to be told of the files: for BGEN ``bgen_samples``, the .sample of each, where it has
            another name.

        Returns
        -------
        fid, iid (text) and sex (int8: 1 male, 2 female, 0 unknown), in file order.

        Raises
        ------
        InputError
            Naming file and row.
        """

    @staticmethod
    @abstractmethod
    def check(name: str, n_variants: int, n_samples: int) -> None:
        """Check that the genotypes of a fileset are of as many variants and people as its tables list.

        Raises
        ------
        InputError
            Naming the file and what is wrong with it.
        """

    @staticmethod
    def other_is_reference(name: str) -> bool:
        """Return whether the other allele of every variant of a fileset is known to be that of the reference genome."""
        return False

    @abstractmethod
    def _read_calls(self, file: int, rows: np.ndarray, out: np.ndarray, at: np.ndarray) -> None:
        """Write the packed calls of variants ``rows`` (numbers within a fileset) to rows ``at`` of ``out``."""

    def calls(self, index: np.ndarray) -> np.ndarray:
        """Return a copy of the packed hard calls of some variants, in any order: uint8, len(index) x bytes."""
        index = np.asarray(index, dtype=np.int64)
        out = np.empty((len(index), self.bytes_per_variant), dtype=np.uint8)
        if len(index):
            file = np.searchsorted(self.starts, index, side="right") - 1
            for f in np.unique(file):
                at = np.flatnonzero(file == f)
                self._read_calls(int(f), index[at] - self.starts[f], out, at)
        return out

    def calls_between(self, start: int, stop: int) -> np.ndarray:
        """Return the packed hard calls of variants ``start`` to ``stop`` (exclusive): uint8, variants x bytes."""
        self._check_range(start, stop)
        return self.calls(np.arange(start, stop))

    def blocks(self, start: int, stop: int, size: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """Go through variants ``start`` to ``stop`` in blocks of at most ``size`` that never cross filesets.

        Yields
        ------
        (first, last exclusive, packed calls)
        """
        for file in range(len(self.names)):
            low, high = int(max(start, self.starts[file])), int(min(stop, self.starts[file + 1]))
            for first in range(low, high, size):
                last = min(first + size, high)
                yield first, last, self.calls_between(first, last)

    def dosages(
        self, index: np.ndarray, masks: np.ndarray | None = None, out: np.ndarray | None = None
    ) -> Dosages | None:
        """Return the dosages of the variants with these indices, or None where the format has hard calls only.

        Their slow axis is that of the variants, as all formats store them: sums over people run along memory, and a
        tile is transposed where it is decoded to floats.
        """
        return None

    def calls_beside(self, index: np.ndarray, dosages: Dosages) -> np.ndarray:
        """Return the packed hard calls of variants whose dosages are there: those near a whole number."""
        return pack_dosages(dosages, self.hard_call_threshold)

    def read_ahead(self, index: np.ndarray) -> None:  # noqa: B027
        """Ask the system to read these variants (ascending indices) ahead, where the format allows it."""

    def place_of(self, variant: int) -> tuple[Any, ...]:
        """Return the file that holds the genotypes of a variant, and what a reader needs to find it there: its row."""
        file = int(np.searchsorted(self.starts, variant, side="right") - 1)
        return self.format.files(self.names[file])[0], int(variant - self.starts[file])

    def single_copies_at(self, variant: int) -> np.ndarray | None:
        """Return whose dosage of a variant is in the file as that of one copy, 0 to 1: bool, one per person, or
        None."""
        return None

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.n_variants:
            raise IndexError(f"variants {start}:{stop} of {self.n_variants}")


def check_same_people(names: Sequence[str], counts: Sequence[int], form: Format) -> None:
    """Check that all filesets of a cohort have as many people as the first.

    Raises
    ------
    InputError
        Naming the two files.
    """
    for name, people in zip(names, counts):
        if people != counts[0]:
            raise InputError(
                f"{form.people_file(name)}: {people} people, but {form.people_file(names[0])} has {counts[0]}; "
                "the filesets of a cohort must hold the same people in the same order"
            )
