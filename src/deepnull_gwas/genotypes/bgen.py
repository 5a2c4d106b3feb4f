"""BGEN files of layout 2 (versions 1.2 and 1.3): dosages and hard calls of any variants, from any number of threads at
once."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes import bgen_kernels as kernels
from deepnull_gwas.genotypes.base import check_same_people
from deepnull_gwas.genotypes.bgen_files import Bgen, sample_is_named, sample_of
from deepnull_gwas.genotypes.bgen_header import BgenHeader, read_bgen_header
from deepnull_gwas.genotypes.bgen_index import BgenIndex, open_index
from deepnull_gwas.genotypes.dosage import PGEN_DENOMINATOR, Dosages, as_masks, pack_dosages, sum_row
from deepnull_gwas.genotypes.files import HARD_CALL_THRESHOLD
from deepnull_gwas.genotypes.joined import JoinedGenotypes
from deepnull_gwas.genotypes.people_tables import check_identifiers, people_table, read_sample
from deepnull_gwas.genotypes.variant_table import check_variants
from deepnull_gwas.jit import numba
from deepnull_gwas.text import plain

if TYPE_CHECKING:
    import pandas as pd

#: Bytes of neighbouring variants that are read at once.
READ_BYTES = 4 << 20
#: How much longer the best that deflate can do may get, and how much longer than raw data a block may be.
_MOST_INFLATION, _SLACK = 1100, 4096
_REFERENCES = ("first", "last")


class BgenReader:
    """The genotypes of one BGEN file.

    Parameters
    ----------
    header, index
        Of the file.
    reference
        ``first`` or ``last``: which of a variant's two alleles is the reference; the other one is the effect allele.
    hard_call_threshold
        How far a dosage may be from a whole number to be a hard call.

    Notes
    -----
    Nothing is kept between calls but an open file, which is read by position: one reader serves several threads.
    """

    has_dosages = True
    has_probabilities = True

    def __init__(
        self, header: BgenHeader, index: BgenIndex, reference: str, hard_call_threshold: float = HARD_CALL_THRESHOLD
    ):
        if reference not in _REFERENCES:
            raise InputError(
                f"{header.path}: bgen_reference is {plain(reference)!r}; expected 'first' or 'last': which of a "
                "variant's two alleles is the reference. UK Biobank and most imputation servers have it first, plink2 "
                "writes it last"
            )
        self.header, self.index, self.reference = header, index, reference
        self.hard_call_threshold = hard_call_threshold
        self.n_samples, self.n_variants = header.n_samples, header.n_variants
        self._descriptor = os.open(header.path, os.O_RDONLY)
        self.close = weakref.finalize(self, os.close, self._descriptor)
        self._inflate = _inflater(header.compression)

    def variants(self) -> pd.DataFrame:
        """Return chromosome (normalised), position, id, effect_allele and other_allele of all variants, in the order of
        the file.

        Raises
        ------
        InputErrors
            When chromosomes or positions are none.
        """
        index = self.index
        alleles = [index.second_allele, index.first_allele]
        effect, other = alleles if self.reference == "first" else alleles[::-1]
        return check_variants(
            self.header.path, index.chromosome, index.position, index.id, effect, other, label="variants"
        )

    def dosages(self, index: np.ndarray, out: np.ndarray | None = None, masks: np.ndarray | None = None) -> Dosages:
        """Read the dosages of the effect allele.

        Parameters
        ----------
        index
            Ascending numbers of variants, from 0.
        out
            uint16, len(index) x people, where the values go; made if None.
        masks
            bool or uint8, masks x people: sums over the people of each are computed on the way.

        Raises
        ------
        InputError
            When a variant's block is damaged, naming file, variant and byte.
        """
        index = np.asarray(index, dtype=np.int64)
        if out is None:
            out = np.empty((len(index), self.n_samples), dtype=np.uint16)
        groups = as_masks(masks, self.n_samples)
        sums = np.zeros((len(index), len(groups), 5), dtype=np.int64)
        bits = np.zeros(len(index), dtype=np.int64)
        variances, exact = np.empty((2, self.n_samples if len(groups) else 0), dtype=np.uint32)
        found = np.zeros(3, dtype=np.int64)
        inflate, count_first = self._inflate(), self.reference == "last"
        for row, (raw, variant) in enumerate(self._blocks(index, inflate)):
            bits[row] = _decode(raw, count_first, groups, out[row], variances, exact, sums[row], found)
            if found[0] != kernels.SOUND:
                raise self._fault(variant, found)
        top = (1 << bits) - 1
        denominator = np.where(bits == 16, PGEN_DENOMINATOR, top).astype(np.int32)
        return Dosages(out, denominator, sums if masks is not None else None, top * top)

    def calls(self, index: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Read hard calls, packed as by :func:`pack_counts`: uint8, len(index) x ``ceil(people / 4)``.

        A call is the whole number that a dosage is within ``hard_call_threshold`` of; missing where there is none.
        """
        index = np.asarray(index, dtype=np.int64)
        if out is None:
            out = np.empty((len(index), (self.n_samples + 3) // 4), dtype=np.uint8)
        # dosages take eight times as much memory
        size = max(1, READ_BYTES // max(self.n_samples, 1))
        for first in range(0, len(index), size):
            part = slice(first, first + size)
            pack_dosages(self.dosages(index[part]), self.hard_call_threshold, out[part])
        return out

    def _batches(self, index: np.ndarray) -> Iterator[tuple[int, int]]:
        """Split rows of an index into neighbours in the file of at most ``READ_BYTES``, or one longer variant."""
        start, end = self.index.start[index], self.index.start[index] + self.index.size[index]
        first = 0
        for i in range(1, len(index) + 1):
            if i == len(index) or start[i] != end[i - 1] or end[i] - start[first] > READ_BYTES:
                yield first, i
                first = i

    def _blocks(self, index: np.ndarray, inflate: Callable[[Any, int], Any]) -> Iterator[tuple[np.ndarray, int]]:
        """Go through variants' inflated blocks of probabilities (uint8)."""
        if len(index) and not 0 <= index.min() <= index.max() < self.n_variants:
            raise IndexError(f"variants {index.min()} to {index.max()} of {self.n_variants}")
        compressed = self.header.compression != "none"
        for first, last in self._batches(index):
            wanted = index[first:last]
            start, sizes = self.index.start[wanted], self.index.size[wanted]
            self._check_sizes(wanted, sizes)
            buffer = self._read(int(start[0]), int(start[-1] + sizes[-1] - start[0]), int(wanted[0]))
            places = np.empty((len(wanted), 5), dtype=np.int64)
            kernels.find_blocks(buffer, start - start[0], sizes, compressed, places)
            view = memoryview(buffer)
            for variant, (place, size, inflated, alleles, position) in zip(wanted.tolist(), places.tolist()):
                if place < 0 or alleles != 2 or position != self.index.position[variant]:
                    raise self._error(
                        variant, f"its identifying data do not fit its index ({alleles} alleles, position {position:,})"
                    )
                raw = view[place : place + size]
                if compressed:
                    self._check_inflated(variant, size, inflated)
                    try:
                        raw = inflate(raw, inflated)
                    except Exception as error:  # libdeflate and zstd each have exceptions of their own
                        raise self._error(variant, f"its compressed block is damaged ({plain(error)})") from None
                    if len(raw) != inflated:
                        raise self._error(
                            variant, f"its block has {len(raw):,} bytes, expected {inflated:,} as it says itself"
                        )
                # zstd's bytes cannot be written to, others can: as one kind of array, they are one compilation
                yield np.frombuffer(memoryview(raw).toreadonly(), dtype=np.uint8), variant

    def _read(self, at: int, count: int, variant: int) -> np.ndarray:
        """Read bytes of the file."""
        buffer, done = np.empty(count, dtype=np.uint8), 0
        view = memoryview(buffer)
        while done < count:
            got = os.preadv(self._descriptor, [view[done:]], at + done)
            if not got:
                raise self._error(
                    variant, f"the file ends {count - done:,} bytes early; was it changed while the workflow ran?"
                )
            done += got
        return buffer

    def _check_sizes(self, wanted: np.ndarray, sizes: np.ndarray) -> None:
        """Check before reading that variants are not much longer than the genotypes of the people can be."""
        most = 2 * self.longest_block + _SLACK + (4 << 20)
        for i in np.flatnonzero(sizes > most):
            raise self._error(
                int(wanted[i]), f"{sizes[i]:,} bytes, expected at most {most:,} for {self.n_samples:,} people"
            )

    def _check_inflated(self, variant: int, size: int, inflated: int) -> None:
        """Check before inflating that a block is as long as the genotypes of the people can be."""
        least, most = kernels.HEAD + self.n_samples + 2, self.longest_block
        if not least <= inflated <= most:
            raise self._error(
                variant,
                f"its block is said to have {inflated:,} bytes, expected {least:,} to {most:,} for {self.n_samples:,} "
                "people",
            )
        if self.header.compression == "zlib" and inflated > size * _MOST_INFLATION + _SLACK:
            raise self._error(variant, f"a compressed block of {size:,} bytes is said to inflate to {inflated:,}")

    @property
    def longest_block(self) -> int:
        """Bytes of the longest block of probabilities that diploid people can have (32 bits)."""
        return kernels.HEAD + self.n_samples + 2 + 8 * self.n_samples

    def _error(self, variant: int, what: str) -> InputError:
        return InputError(
            f"{self.header.path}: variant {variant + 1:,} ({plain(self.index.id[variant])}, byte "
            f"{self.index.start[variant]:,}): {what}. The file, or its index, is damaged or belongs to another: copy "
            "it again from its source"
        )

    def _fault(self, variant: int, found: np.ndarray) -> InputError:
        """Put what the decoder found into words."""
        kind, place, value = (int(x) for x in found)
        n = self.n_samples
        where = f"byte {place} of its block"
        if kind in (kernels.PLOIDY, kernels.PERSON):
            shown = f"{value >> 8} to {value & 255}" if kind == kernels.PLOIDY else f"{value}"
            who = where if kind == kernels.PLOIDY else f"person {place + 1:,}"
            return InputError(
                f"{self.header.path}: variant {variant + 1:,} ({plain(self.index.id[variant])}, byte "
                f"{self.index.start[variant]:,}): ploidy {shown} ({who}); only haploid and diploid people can be "
                "read, in accordance with what the block says of all: leave the variant out"
            )
        words = {
            kernels.SHORT: f"its block has {place:,} bytes, expected {value:,} or more for {n:,} people",
            kernels.PEOPLE: f"it has {value:,} people, expected {n:,} as the head of the file says",
            kernels.ALLELES: f"it has {value} alleles ({where}), expected 2",
            kernels.PHASED: f"{value} ({where}) says whether it is phased; expected 0 or 1",
            kernels.BITS: f"{value} bits per probability ({where}), expected 1 to 32",
            kernels.LENGTH: f"its block has {place:,} bytes, expected {value:,} for the ploidies and bits given",
            kernels.TOTAL: f"the probabilities of person {place + 1:,} sum up to more than 1",
        }
        return self._error(variant, words[kind])


class BgenGenotypes(JoinedGenotypes):
    """BGEN files.

    Parameters
    ----------
    names
        Paths of the .bgen, in the order of analysis.
    settings
        ``bgen_reference`` (``first`` or ``last``), ``hard_call_threshold`` (0.1 if it is not there), and
        ``bgen_index``: the folder of the workflow's in which indexes are kept.

    Raises
    ------
    InputError
        When a file is missing or damaged, or they have different numbers of people.
    """

    format = Bgen()

    def __init__(self, names: Sequence[str | Path], settings: Mapping[str, Any]):
        names = [str(name) for name in names]
        readers = [_open(name, settings) for name in names]
        check_same_people(names, [reader.n_samples for reader in readers], self.format)
        super().__init__(names, readers)
        self.settings = dict(settings)

    @classmethod
    def from_index(cls, index: Mapping[str, Any]) -> BgenGenotypes:
        """Open what ``index_cohort`` wrote down."""
        return cls(index["filesets"], index)

    @staticmethod
    def read_variants(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the variants (see :meth:`BgenReader.variants`)."""
        return _open(name, settings or {}).variants()

    def place_of(self, variant: int) -> tuple[Any, ...]:
        """Return the file that holds a variant, the byte where it begins, and its effect allele (0 or 1)."""
        file = int(np.searchsorted(self.starts, variant, side="right") - 1)
        reader = self.readers[file]
        start = int(reader.index.start[variant - self.starts[file]])
        return str(reader.header.path), start, int(reader.reference == "first")

    @staticmethod
    def read_people(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the .sample, which has to list the people of the .bgen in its order; without one, the identifiers in the
        .bgen."""
        header, sample = read_bgen_header(name), sample_of(name, settings)
        if sample_is_named(name, settings) or Path(sample).is_file():
            people = read_sample(sample)
            check_identifiers(people, header.identifiers, header.n_samples, sample, name)
            return people
        if header.identifiers is None:
            raise InputError(
                f"{name}: lists no people, and there is no {sample}; name the .sample that was made with it as "
                "`bgen_sample`, or put it there: without it nobody knows whose genotypes they are"
            )
        return people_table(name, None, header.identifiers, None)

    @staticmethod
    def other_is_reference(name: str) -> bool:
        """Return True: the settings say which allele is the reference."""
        return True

    @staticmethod
    def check(name: str, n_variants: int, n_samples: int) -> None:
        """Check that there are as many people as the head of the .bgen says; variants were checked with the index."""
        if n_samples != (there := read_bgen_header(name).n_samples):
            raise InputError(f"{name}: {there:,} people, but {n_samples:,} are listed; take the .sample made with it")


def _open(name: str, settings: Mapping[str, Any]) -> BgenReader:
    """Open one file, its index in a folder of the workflow's."""
    place = Path(settings["bgen_index"], f"{Path(name).name}.{_digest(name)}.parquet")
    threshold = settings.get("hard_call_threshold", HARD_CALL_THRESHOLD)
    return open_bgen(name, settings.get("bgen_reference", ""), place, hard_call_threshold=threshold)


def _digest(name: str) -> str:
    """Return a short text that tells apart files of one name in different folders."""
    return hashlib.sha256(os.path.abspath(name).encode()).hexdigest()[:8]


@numba.njit(nogil=True, cache=True)
def _decode(raw, count_first, masks, out, variances, exact, sums, found):
    """Decode a variant and sum up over masks; see :func:`kernels.decode_block`."""
    bits = kernels.decode_block(raw, count_first, out, variances, exact, found)
    if bits > 0:
        for m in range(len(masks)):
            sum_row(out, variances, exact if bits == 16 else exact[:0], masks[m], sums[m])
    return bits


def _inflater(compression: str) -> Callable[[], Callable[[Any, int], Any]]:
    """Return a maker of functions from a compressed block and its inflated length to its bytes: one per call and
    thread."""
    if compression == "zlib":
        import deflate

        return lambda: deflate.zlib_decompress
    if compression == "zstd":
        import zstandard

        def make() -> Callable[[Any, int], Any]:
            decompressor = zstandard.ZstdDecompressor()

            def inflate(block: Any, length: int) -> Any:
                # the length in the frame is believed before the one given
                if (said := zstandard.frame_content_size(block)) not in (-1, length):
                    raise ValueError(f"zstd's frame says {said:,} bytes, not {length:,}")
                return decompressor.decompress(block, max_output_size=length)

            return inflate

        return make
    return lambda: lambda block, _: block


def open_bgen(
    path: str | Path,
    reference: str,
    stored_index: str | Path,
    bgi: str | Path | None = None,
    hard_call_threshold: float = HARD_CALL_THRESHOLD,
) -> BgenReader:
    """Open a BGEN file.

    Parameters
    ----------
    path
        The .bgen.
    reference
        ``first`` or ``last``: where the reference stands among a variant's alleles.
    stored_index
        Where the index is kept for the next time, in a folder of the workflow's.
    bgi
        An index by bgenix; ``<path>.bgi`` if there is one.
    hard_call_threshold
        How far a dosage may be from a whole number to be a hard call.

    Raises
    ------
    InputError
        When the file, or the index, is damaged, of another version, or not this file's.
    """
    header = read_bgen_header(path)
    return BgenReader(header, open_index(header, stored_index, bgi), reference, hard_call_threshold)
