"""PLINK filesets, read in place: the genotypes stay in the file and reach the kernels through a memory map.

Alleles: a genotype code of the .bed counts A1, column 5 of the .bim, which is the effect allele throughout the project.
"""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.base import Genotypes, check_same_people
from deepnull_gwas.genotypes.bed_files import HEADER_BYTES, MAGIC, Bed, count_lines
from deepnull_gwas.genotypes.bed_tables import read_bim, read_fam

if TYPE_CHECKING:
    import pandas as pd

#: Bytes that are read through a memory map before its pages are given back.
RELEASE_AFTER = 64 << 20
#: Bytes around a variant read alone that the system maps with it.
AROUND = 64 << 10
#: Of how many variants, and bytes of each, the check of the number of people looks at the end.
PADDING_VARIANTS, PADDING_BYTES = 2000, 64
#: So many people, and variants of each that are not homozygous for A1, let it judge somebody without any.
PADDING_OTHERS, PADDING_CALLS = 20, 30


class BedGenotypes(Genotypes):
    """PLINK 1 binary filesets, read through memory maps.

    Parameters
    ----------
    names
        Paths without ``.bed``, in the order of analysis.
    variant_counts, n_samples
        Numbers of variants of each and of people, if they are known; else counted.

    Raises
    ------
    InputError
        When a file is missing, is not a variant-major .bed, or its size does not fit its .bim and .fam.
    """

    format = Bed()

    def __init__(
        self, names: Sequence[str | Path], variant_counts: Sequence[int] | None = None, n_samples: int | None = None
    ):
        names = [str(name) for name in names]
        if not names:
            raise InputError("no PLINK fileset given")
        for name in names:
            for file in self.format.files(name):
                if not Path(file).is_file():
                    raise InputError(f"{file}: no such file; a PLINK fileset needs .bed, .bim and .fam")
        if n_samples is None:
            people = [count_lines(self.format.people_file(name)) for name in names]
            check_same_people(names, people, self.format)
            n_samples = people[0]
        if variant_counts is None:
            variant_counts = [count_lines(f"{name}.bim") for name in names]
        super().__init__(names, variant_counts, n_samples)
        for name, count in zip(self.names, self.variant_counts):
            check_bed(f"{name}.bed", count, self.n_samples)
        self._maps: dict[int, np.ndarray] = {}
        self._mapped = 0

    @staticmethod
    def read_variants(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the .bim (see :func:`~deepnull_gwas.genotypes.bed_tables.read_bim`)."""
        return read_bim(f"{name}.bim")

    @staticmethod
    def read_people(name: str, settings: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the .fam (see :func:`~deepnull_gwas.genotypes.bed_tables.read_fam`)."""
        return read_fam(f"{name}.fam")

    @staticmethod
    def check(name: str, n_variants: int, n_samples: int) -> None:
        """Check magic bytes, size and the ends of the rows of a .bed."""
        check_bed(f"{name}.bed", n_variants, n_samples)
        check_padding(f"{name}.bed", n_variants, n_samples)

    def _map(self, file: int) -> np.ndarray:
        if file not in self._maps:
            shape = (self.variant_counts[file], self.bytes_per_variant)
            if shape[0] == 0:
                self._maps[file] = np.zeros(shape, dtype=np.uint8)
            else:
                self._maps[file] = np.memmap(
                    f"{self.names[file]}.bed", dtype=np.uint8, mode="r", offset=HEADER_BYTES, shape=shape
                )
        return self._maps[file]

    def _release(self, count: int) -> None:
        """Release the pages of the maps once many bytes were read through them.

        The system keeps them cached, but they no longer count as this process's memory: a cluster that looks at that
        would otherwise see it grow to the size of the .bed, and end the job.
        """
        self._mapped += count
        if self._mapped < RELEASE_AFTER or not hasattr(mmap, "MADV_DONTNEED"):
            return
        self._mapped = 0
        for whole in list(self._maps.values()):
            if isinstance(whole, np.memmap):
                whole._mmap.madvise(mmap.MADV_DONTNEED)

    def calls_between(self, start: int, stop: int) -> np.ndarray:
        """Return packed calls of a range of variants: a view of the memory map unless the range crosses filesets."""
        self._check_range(start, stop)
        self._release((stop - start) * self.bytes_per_variant)
        parts = []
        for file in range(len(self.names)):
            low, high = max(start, self.starts[file]), min(stop, self.starts[file + 1])
            if low < high:
                parts.append(self._map(file)[low - self.starts[file] : high - self.starts[file]])
        if not parts:
            return np.zeros((0, self.bytes_per_variant), dtype=np.uint8)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read_calls(self, file: int, rows: np.ndarray, out: np.ndarray, at: np.ndarray) -> None:
        low, high = int(rows.min()), int(rows.max()) + 1
        if high - low <= 2 * len(rows):
            # mostly neighbours: read as one, past the memory map, whose pages would count as the process's memory
            whole = _is_run(rows) and _is_run(at)
            block = out[at[0] : at[-1] + 1] if whole else np.empty((high - low, self.bytes_per_variant), dtype=np.uint8)
            with open(f"{self.names[file]}.bed", "rb", buffering=0) as bed:
                bed.seek(HEADER_BYTES + low * self.bytes_per_variant)
                _read_whole(bed, memoryview(block).cast("B"), f"{self.names[file]}.bed")
            if not whole:
                out[at] = block[rows - low]
        else:
            # the system maps neighbouring pages too
            each = self.bytes_per_variant + AROUND
            step = max(RELEASE_AFTER // each, 1)
            for first in range(0, len(rows), step):
                part = slice(first, first + step)
                self._release(len(rows[part]) * each)
                out[at[part]] = self._map(file)[rows[part]]

    def read_ahead(self, index: np.ndarray) -> None:
        """Ask the system to have the variants with these indices (ascending) in memory by the time they are wanted."""
        index = np.asarray(index, dtype=np.int64)
        if not hasattr(os, "posix_fadvise") or not len(index):
            return
        for f in np.unique(np.searchsorted(self.starts, index[[0, -1]], side="right") - 1):
            low = max(int(index[0] - self.starts[f]), 0)
            high = min(int(index[-1] - self.starts[f]) + 1, self.variant_counts[f])
            length = (high - low) * self.bytes_per_variant
            start = HEADER_BYTES + low * self.bytes_per_variant
            with open(f"{self.names[f]}.bed", "rb") as file:
                os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_WILLNEED)


def _is_run(numbers: np.ndarray) -> bool:
    """Return whether each number is one more than that before it."""
    return bool(np.all(np.diff(numbers) == 1))


def _read_whole(file: io.RawIOBase, into: memoryview, name: str) -> None:
    """Fill a buffer from an unbuffered file."""
    done = 0
    while done < len(into):
        count = file.readinto(into[done:])
        if not count:
            raise InputError(f"{name}: ends {len(into) - done:,} bytes early; was it changed while the workflow ran?")
        done += count


def check_bed(path: str | Path, n_variants: int, n_samples: int) -> None:
    """Check magic bytes, mode and size of a .bed.

    Raises
    ------
    InputError
        Naming the file and what is wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; a PLINK fileset needs .bed, .bim and .fam")
    size = path.stat().st_size
    with open(path, "rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or header[:2] != MAGIC:
        raise InputError(
            f"{path}: not a PLINK 1 .bed (it starts with {header[:2].hex() or 'nothing'}, expected 6c1b); make one "
            "with plink2 --make-bed"
        )
    if header[2] == 0:
        raise InputError(
            f"{path}: individual-major .bed (third byte 00); rewrite it variant-major with `plink1.9 --bfile … "
            "--make-bed`"
        )
    if header[2] != 1:
        raise InputError(
            f"{path}: unknown .bed mode (third byte {header[2]:02x}, expected 01); make the file again with plink2 "
            "--make-bed"
        )
    bytes_per_variant = (n_samples + 3) // 4
    expected = HEADER_BYTES + n_variants * bytes_per_variant
    if size != expected:
        data = size - HEADER_BYTES
        whole = bytes_per_variant > 0 and data % bytes_per_variant == 0
        why = (
            f"it holds {data // bytes_per_variant:,} variants of {n_samples:,} people, but the .bim lists "
            f"{n_variants:,}"
            if whole
            else "it is truncated or belongs to another .bim or .fam"
        )
        raise InputError(
            f"{path}: {size:,} bytes, expected {expected:,} for {n_variants:,} variants (.bim) and {n_samples:,} "
            f"people (.fam): {why}; "
            "copy the three files again from one source"
        )


def check_padding(path: str | Path, n_variants: int, n_samples: int) -> None:
    """Check by the genotypes at the end of each row that a .bed has as many people as its .fam lists.

    The size of a .bed is the same for one to four people more or less, and with people missing or too many in the .fam
    others would get their genotypes. Where the .fam lists too few, the bits behind the last person hold genotypes,
    where PLINK leaves them 0. Where it lists too many, the last ones are read from those bits: homozygous for A1 at
    every variant, as nobody is.

    Parameters
    ----------
    path
        The .bed, of the right size (:func:`check_bed`).
    n_variants, n_samples
        Numbers of rows of the .bim and the .fam. At most 2,000 variants are looked at, evenly spaced.

    Raises
    ------
    InputError
        Naming the file and what was found.
    """
    width = (n_samples + 3) // 4
    index = np.unique(np.linspace(0, n_variants - 1, min(n_variants, PADDING_VARIANTS)).astype(np.int64))
    last = np.zeros((len(index), min(width, PADDING_BYTES)), dtype=np.uint8)
    with open(path, "rb") as file:
        for row, variant in zip(last, index):
            file.seek(HEADER_BYTES + int(variant + 1) * width - len(row))
            row[:] = np.frombuffer(file.read(len(row)), dtype=np.uint8)
    if not last.size:
        return
    codes = (last[:, :, None] >> np.array([0, 2, 4, 6], dtype=np.uint8) & 3).reshape(len(last), -1)
    used = codes.shape[1] - (4 * width - n_samples)
    if count := int((codes[:, used:] != 0).any(axis=1).sum()):
        raise InputError(
            f"{path}: behind the last of the {n_samples:,} people of the .fam there are more genotypes, in {count:,} "
            f"of {len(index):,} variants "
            "looked at: the .fam has lost people, and the others would get their neighbours' genotypes. Take the .fam "
            "that belongs to this .bed; "
            "if it is this one, the .bed was not written as PLINK does: write it again with plink1.9 --bfile … "
            "--make-bed"
        )
    # how often each of the last people is not homozygous for A1
    others, ends = np.split((codes[:, :used] != 0).sum(axis=0), [used - (n_samples - 1) % 4 - 1])
    empty = len(ends) - (int(np.flatnonzero(ends)[-1]) + 1 if ends.any() else 0)
    if empty and len(others) >= PADDING_OTHERS and others.min() >= max(PADDING_CALLS, 0.5 * np.median(others)):
        raise InputError(
            f"{path}: the last {empty} of the {n_samples:,} people of the .fam would be homozygous for A1 at all "
            f"{len(index):,} variants looked "
            f"at (anybody else is not at {others.min():,} or more): the .bed has fewer people than the .fam, and some "
            "would get their neighbours' "
            "genotypes. Take the .fam that belongs to this .bed (is one of its rows a header, or there by mistake?)"
        )


class BedWriter:
    """Write a PLINK 1 binary fileset, some variants at a time; the files get their names when all are complete.

    Parameters
    ----------
    prefix
        Path without extension; its folder is made.
    fam
        fid, iid, father, mother, sex, phenotype (in this order, any names).
    """

    def __init__(self, prefix: str | Path, fam: pd.DataFrame):
        self.prefix, self.fam = Path(prefix), fam
        self._temporary = self.prefix.with_name(f".{self.prefix.name}.{os.getpid()}.tmp")
        self._bims: list[pd.DataFrame] = []

    def __enter__(self) -> BedWriter:
        self.prefix.parent.mkdir(parents=True, exist_ok=True)
        self._bed = open(f"{self._temporary}.bed", "wb")
        self._bed.write(MAGIC + b"\x01")
        return self

    def add(self, dosages: np.ndarray, bim: pd.DataFrame) -> None:
        """Write some variants.

        Parameters
        ----------
        dosages
            int8, variants x people: copies of A1 (0, 1, 2), -1 missing.
        bim
            chromosome, id, centimorgan, position, a1, a2 (in this order, any names).
        """
        if dosages.shape != (len(bim), len(self.fam)):
            raise ValueError(f"{dosages.shape} dosages, {len(bim)} .bim rows, {len(self.fam)} .fam rows")
        for first in range(0, len(dosages), 1024):
            self._bed.write(_pack(dosages[first : first + 1024]).tobytes())
        self._bims.append(bim)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        import pandas as pd

        self._bed.close()
        try:
            if kind is None:
                tables = {"bim": pd.concat(self._bims), "fam": self.fam}
                for extension, table in tables.items():
                    table.to_csv(
                        f"{self._temporary}.{extension}", sep="\t", header=False, index=False, lineterminator="\n"
                    )
                for extension in Bed.extensions:
                    os.replace(f"{self._temporary}{extension}", f"{self.prefix}{extension}")
        finally:
            for extension in Bed.extensions:
                Path(f"{self._temporary}{extension}").unlink(missing_ok=True)


def write_bed(prefix: str | Path, dosages: np.ndarray, bim: pd.DataFrame, fam: pd.DataFrame) -> None:
    """Write a PLINK 1 binary fileset at once; see :class:`BedWriter`."""
    with BedWriter(prefix, fam) as out:
        out.add(np.asarray(dosages, dtype=np.int8), bim)


def _pack(dosages: np.ndarray) -> np.ndarray:
    """Pack int8 dosages of A1 (-1 missing), variants x people, as a .bed has them."""
    code = np.array([3, 2, 0, 1], dtype=np.uint8)  # dosage 0, 1, 2, missing (-1 wraps to the last)
    people = dosages.shape[1]
    lanes = np.zeros((len(dosages), -(-people // 4) * 4), dtype=np.uint8)
    lanes[:, :people] = code[dosages]
    lanes = lanes.reshape(len(dosages), -(-people // 4), 4)
    return lanes[..., 0] | lanes[..., 1] << 2 | lanes[..., 2] << 4 | lanes[..., 3] << 6
