"""PLINK 2 filesets (.pgen, .pvar, .psam): dosages and hard calls of alternative alleles, by Pgenlib."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.base import check_same_people
from deepnull_gwas.genotypes.dosage import PGEN_DENOMINATOR, Dosages, from_floats, pack_counts, sum_dosages
from deepnull_gwas.genotypes.joined import JoinedGenotypes
from deepnull_gwas.genotypes.people_tables import read_psam
from deepnull_gwas.genotypes.pgen_files import Pgen, pvar_of
from deepnull_gwas.genotypes.pgen_header import PgenHeader, read_pgen_header
from deepnull_gwas.genotypes.pvar import Pvar, count_alternatives, marks_guesses, places_of, read_pvar
from deepnull_gwas.text import plain

if TYPE_CHECKING:
    import pandas as pd

#: Bytes of numbers that Pgenlib makes before they are turned into integers: so much stays in the processor's cache.
SCRATCH_BYTES = 1 << 20


class PgenReader:
    """The genotypes of one PLINK 2 fileset, one variant per alternative allele.

    Parameters
    ----------
    header
        Of the .pgen.
    row, allele, allele_offsets
        As in :class:`~deepnull_gwas.genotypes.pvar.Pvar`.

    Notes
    -----
    Pgenlib's reader has a state: each thread has its own, which holds 9 bytes per row of the file.
    """

    def __init__(self, header: PgenHeader, row: np.ndarray, allele: np.ndarray, allele_offsets: np.ndarray | None):
        self.header = header
        self.row, self.allele = row.astype(np.uint32), allele
        self.allele_offsets = allele_offsets
        self.n_samples, self.n_variants = header.n_samples, len(row)
        self.has_dosages = header.has_dosages
        self.has_probabilities = False
        self._readers = threading.local()

    def _reader(self):
        """Return this thread's reader."""
        reader = getattr(self._readers, "reader", None)
        if reader is None:
            import pgenlib

            offsets = None if self.allele_offsets is None else self.allele_offsets.astype(np.uintp)
            try:
                reader = pgenlib.PgenReader(
                    str(self.header.path).encode(), self.n_samples, self.header.n_variants, allele_idx_offsets=offsets
                )
            except RuntimeError as error:
                raise self._error(plain(error)) from None
            self._readers.reader = reader
        return reader

    def _error(self, what: str) -> InputError:
        return InputError(
            f"{self.header.path}: {what}; the file is damaged, or its .pvar is another's: copy it again from its source"
        )

    def _pieces(self, index: np.ndarray, width: int):
        """Go through an index in pieces that fit the scratch memory, each of one number of the alternative allele:
        places, rows, allele."""
        size = max(SCRATCH_BYTES // (width * self.n_samples), 1)
        for first in range(0, len(index), size):
            part = index[first : first + size]
            if self.allele_offsets is None:
                yield np.arange(first, first + len(part)), self.row[part], 1
                continue
            alleles = self.allele[part]
            for allele in np.unique(alleles):
                places = np.flatnonzero(alleles == allele)
                yield first + places, self.row[part[places]], int(allele)

    def _check(self, index: np.ndarray) -> np.ndarray:
        index = np.asarray(index, dtype=np.int64)
        if len(index) and not 0 <= index.min() <= index.max() < self.n_variants:
            raise IndexError(f"variants {index.min()} to {index.max()} of {self.n_variants}")
        return index

    def _read(self, method: str, rows: np.ndarray, out: np.ndarray, allele: int) -> None:
        reader = self._reader()
        try:
            getattr(reader, method)(rows, out, allele_idx=allele)
        except RuntimeError as error:
            raise self._error(f"rows {rows[0] + 1:,} to {rows[-1] + 1:,} cannot be read ({plain(error)})") from None

    def dosages(self, index: np.ndarray, out: np.ndarray | None = None, masks: np.ndarray | None = None) -> Dosages:
        """Read the dosages of alternative alleles (of hard calls where a genotype has no dosage).

        Parameters
        ----------
        index
            Numbers of variants, from 0.
        out
            uint16, len(index) x people, where the values go; made if None.
        masks
            bool or uint8, masks x people: sums over the people of each are computed on the way.

        Raises
        ------
        InputError
            When rows are damaged.
        """
        index = self._check(index)
        if out is None:
            out = np.empty((len(index), self.n_samples), dtype=np.uint16)
        scratch = None
        for places, rows, allele in self._pieces(index, 4):
            if scratch is None or len(scratch) < len(rows):
                scratch = np.empty((len(rows), self.n_samples), dtype=np.float32)
            numbers = scratch[: len(rows)]
            self._read("read_dosages_list", rows, numbers, allele)
            together = places[-1] - places[0] + 1 == len(places)
            piece = out[places[0] : places[-1] + 1] if together else np.empty(numbers.shape, dtype=np.uint16)
            if (largest := from_floats(numbers, piece)) > 2:
                raise self._error(f"a dosage of {largest:.6g} in rows {rows[0] + 1:,} to {rows[-1] + 1:,}")
            if not together:
                out[places] = piece
        denominator = np.full(len(index), PGEN_DENOMINATOR, dtype=np.int32)
        return Dosages(out, denominator, None if masks is None else sum_dosages(out, masks))

    def calls(self, index: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Read hard calls of alternative alleles, packed as by :func:`pack_counts`: uint8, len(index) x ``ceil(people /
        4)``.

        Of a row with several alternative alleles the count is that of one of them; all others count as the other
        allele.
        """
        index = self._check(index)
        if out is None:
            out = np.empty((len(index), (self.n_samples + 3) // 4), dtype=np.uint8)
        scratch = None
        for places, rows, allele in self._pieces(index, 1):
            if scratch is None or len(scratch) < len(rows):
                scratch = np.empty((len(rows), self.n_samples), dtype=np.int8)
            counts = scratch[: len(rows)]
            self._read("read_list", rows, counts, allele)
            out[places] = pack_counts(counts)
        return out


class PgenGenotypes(JoinedGenotypes):
    """PLINK 2 filesets.

    Parameters
    ----------
    names
        Paths of the .pgen, in the order of analysis.
    n_variants
        Number of variants of all, if it is known: where it is the number of rows, no row has several alternative
        alleles, and no .pvar is read.

    Raises
    ------
    InputError
        When a file is missing or damaged, or they do not fit each other.
    """

    format = Pgen()

    def __init__(self, names: Sequence[str | Path], n_variants: int | None = None):
        names = [str(name) for name in names]
        headers = [read_pgen_header(name) for name in names]
        check_same_people(names, [header.n_samples for header in headers], self.format)
        readers = []
        for name, header in zip(names, headers):
            if n_variants == sum(h.n_variants for h in headers):
                alternatives = np.ones(header.n_variants, dtype=np.int64)
            else:
                alternatives = count_alternatives(pvar_of(name.removesuffix(".pgen")), header.n_variants)
            readers.append(PgenReader(header, *places_of(alternatives)))
        super().__init__(names, readers)

    @classmethod
    def from_index(cls, index: Mapping[str, Any]) -> PgenGenotypes:
        """Open what ``index_cohort`` wrote down."""
        out = cls(index["filesets"], index["variants"])
        # of an imported VCF, whose hard calls nobody has chosen a threshold for
        out.derives_calls = "hard_call_threshold" in index
        return out

    @staticmethod
    def read_variants(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the .pvar (see :func:`~deepnull_gwas.genotypes.pvar.read_pvar`)."""
        return read_pvar(pvar_of(name.removesuffix(".pgen")), read_pgen_header(name).n_variants).variants

    @staticmethod
    def read_people(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the .psam (see :func:`~deepnull_gwas.genotypes.people_tables.read_psam`)."""
        return read_psam(f"{name.removesuffix('.pgen')}.psam")

    @staticmethod
    def other_is_reference(name: str) -> bool:
        """Return whether no reference allele is a guess, by the .pgen or else by the head of the .pvar."""
        known = read_pgen_header(name).reference_known
        return not marks_guesses(pvar_of(name.removesuffix(".pgen"))) if known is None else known

    @staticmethod
    def check(name: str, n_variants: int, n_samples: int) -> None:
        """Check that the .psam has as many people as the .pgen; the .pvar was checked when it was read."""
        check_people(read_pgen_header(name), f"{name.removesuffix('.pgen')}.psam", n_samples)

    def calls_beside(self, index: np.ndarray, dosages: Dosages) -> np.ndarray:
        """Return the file's own hard calls."""
        return self.calls(index)

    def place_of(self, variant: int) -> tuple[Any, ...]:
        """Return a variant's .pgen, its row there, its alternative allele, and each row's first allele or None."""
        file = int(np.searchsorted(self.starts, variant, side="right") - 1)
        reader, within = self.readers[file], variant - self.starts[file]
        offsets = None if reader.allele_offsets is None else reader.allele_offsets.astype(np.uintp)
        return str(reader.header.path), int(reader.row[within]), int(reader.allele[within]), offsets


def open_pgen(path: str | Path) -> tuple[PgenReader, Pvar, pd.DataFrame]:
    """Open a PLINK 2 fileset and read its tables.

    Parameters
    ----------
    path
        The .pgen, or its path without extension.

    Returns
    -------
    The reader, the table of variants, and that of people.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the three do not fit each other.
    """
    prefix = str(path).removesuffix(".pgen")
    header = read_pgen_header(f"{prefix}.pgen")
    pvar = read_pvar(pvar_of(prefix), header.n_variants)
    people = read_psam(f"{prefix}.psam")
    check_people(header, f"{prefix}.psam", len(people))
    return PgenReader(header, pvar.row, pvar.allele, pvar.allele_offsets), pvar, people


def check_people(header: PgenHeader, psam: str, n_people: int) -> None:
    """Check that a .psam lists as many people as the .pgen has.

    Raises
    ------
    InputError
        Naming both files.
    """
    if n_people != header.n_samples:
        raise InputError(
            f"{psam}: {n_people:,} people, but {header.path} has {header.n_samples:,}; take the one that was made "
            "with it"
        )
