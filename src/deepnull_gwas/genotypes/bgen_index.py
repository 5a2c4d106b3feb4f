"""Where the variants of a BGEN file begin, and what they are: from bgenix's .bgi, from an index of our own, or by going
through the file once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.bgen_header import SIGNATURE_BYTES, BgenHeader
from deepnull_gwas.tables import Column, read_metadata, read_parquet, write_parquet
from deepnull_gwas.text import plain, shorten

#: Longest allele that is read.
LONGEST_ALLELE = 1 << 20
#: Bytes that are read at once: on the way through short variants, and to the head of a long one.
_STRIDE, _GLANCE = 1 << 20, 4096
#: Rows of a .bgi that are taken at once.
_ROWS = 100_000

INDEX = [
    Column("chromosome", "str", "as written in the .bgen"),
    Column("position", "int64", "1-based position in bp"),
    Column("id", "str", "the rsID, else the identifier of the variant, else a dot"),
    Column("first_allele", "str", "the first allele of the .bgen"),
    Column("second_allele", "str", "the second"),
    Column("start", "int64", "the byte where the variant begins"),
    Column("size", "int64", "its bytes"),
]


@dataclass(frozen=True)
class BgenIndex:
    """The variants of a BGEN file, in the order of the file: object arrays of text, and int64."""

    chromosome: np.ndarray
    position: np.ndarray
    id: np.ndarray
    first_allele: np.ndarray
    second_allele: np.ndarray
    start: np.ndarray
    size: np.ndarray


def open_index(header: BgenHeader, stored: str | Path, bgi: str | Path | None = None) -> BgenIndex:
    """Return the index of a BGEN file: the stored one where it fits and is younger, else from a .bgi, else by going
    through the file; stored for the next time.

    Parameters
    ----------
    header
        Of the file.
    stored
        Where the index is kept (Parquet), in a folder of the workflow's.
    bgi
        The index by bgenix; ``<file>.bgi`` if None and there is one.

    Raises
    ------
    InputError
        When the .bgi belongs to another file, or variants are damaged, or have more than two alleles.
    """
    metadata = {"signature": header.signature, "bytes": header.size, "variants": header.n_variants}
    if _is_younger(stored, header.path) and read_metadata(stored) == metadata:
        frame = read_parquet(stored, INDEX)
        return BgenIndex(**{c.name: frame[c.name].to_numpy() for c in INDEX})
    beside = bgi if bgi is not None else f"{header.path}.bgi"
    index = read_bgi(beside, header) if bgi is not None or Path(beside).is_file() else scan_variants(header)
    write_index(index, stored, header)
    return index


def _is_younger(stored: str | Path, path: str | Path) -> bool:
    """Return whether a stored index was written after its file was last changed, moved or replaced."""
    return Path(stored).is_file() and Path(stored).stat().st_mtime_ns > Path(path).stat().st_ctime_ns


def write_index(index: BgenIndex, path: str | Path, header: BgenHeader) -> None:
    """Write an index as Parquet, with what tells whether it belongs to a file."""
    import pandas as pd

    frame = pd.DataFrame({c.name: getattr(index, c.name) for c in INDEX})
    metadata = {"signature": header.signature, "bytes": header.size, "variants": header.n_variants}
    write_parquet(frame, path, INDEX, metadata)


def read_bgi(path: str | Path, header: BgenHeader) -> BgenIndex:
    """Read the index that bgenix made; its folder is not written to.

    Raises
    ------
    InputError
        When it is no such index, or that of another file.
    """
    path = str(path)
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; make the index with bgenix -g {header.path} -index, or leave it out")
    cure = (
        f"make it again (bgenix -g {header.path} -index -clobber), or remove it: the file is then gone through instead"
    )
    rows: list[tuple] = []
    try:
        # immutable: no journal or lock beside the user's file
        uri = f"file:{quote(os.path.abspath(path))}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            _check_metadata(path, connection, header, cure)
            cursor = connection.execute(
                "SELECT chromosome, position, rsid, number_of_alleles, allele1, allele2, file_start_position, "
                "size_in_bytes FROM Variant ORDER BY file_start_position LIMIT ?",
                (header.n_variants + 1,),
            )
            columns: list[list[np.ndarray]] = []
            while rows := cursor.fetchmany(_ROWS):
                columns.append(_columns(path, rows, cure))
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise InputError(f"{path}: not an index by bgenix ({plain(error)}); {cure}") from None
    if not columns:
        raise InputError(f"{path}: lists no variants, {header.path} has {header.n_variants:,}; {cure}")
    chromosome, position, rsid, alleles, first, second, start, size = (np.concatenate(c) for c in zip(*columns))
    refuse_multiallelic(header.path, alleles, rsid)
    index = BgenIndex(chromosome, position, np.where(rsid == "", ".", rsid), first, second, start, size)
    if wrong := _misfit(index, header):
        raise InputError(f"{path}: {wrong}: it belongs to another file, or either is damaged; {cure}")
    return index


def _check_metadata(path: str, connection: sqlite3.Connection, header: BgenHeader, cure: str) -> None:
    """Check that an index is a table, and by what it says of its file that it is this one's."""
    kinds = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' LIMIT 100").fetchall())
    if "Variant" not in kinds or not str(kinds["Variant"]).upper().lstrip().startswith("CREATE TABLE"):
        raise InputError(f"{path}: not an index by bgenix (it has no table 'Variant'); {cure}")
    if "Metadata" not in kinds or not str(kinds["Metadata"]).upper().lstrip().startswith("CREATE TABLE"):
        return
    found = connection.execute("SELECT file_size, first_1000_bytes FROM Metadata LIMIT 1").fetchone()
    if found is None:
        return
    with open(header.path, "rb") as file:
        begin = file.read(SIGNATURE_BYTES)
    if found[0] is not None and found[0] != header.size:
        raise InputError(
            f"{path}: is the index of a file of {plain(found[0])} bytes, but {header.path} has {header.size}: it "
            f"belongs to another file; {cure}"
        )
    if isinstance(found[1], bytes) and found[1] != begin[: len(found[1])]:
        raise InputError(
            f"{path}: is the index of a file that begins otherwise than {header.path}: it belongs to another file; "
            f"{cure}"
        )


def _columns(path: str, rows: list[tuple], cure: str) -> list[np.ndarray]:
    """Turn rows of the table into columns."""
    out = []
    for number, values in enumerate(zip(*rows)):
        if number in (1, 3, 6, 7):
            if not all(isinstance(v, int) for v in values):
                raise InputError(f"{path}: a position, number of alleles or place is no whole number; {cure}")
            out.append(np.array(values, dtype=np.int64))
        else:
            out.append(np.array(["" if v is None else str(v) for v in values], dtype=object))
    return out


def _misfit(index: BgenIndex, header: BgenHeader) -> str:
    """Return in words why an index cannot be that of a file, or an empty text."""
    n = len(index.start)
    if n != header.n_variants:
        return (
            f"lists {n:,} variants or more, {header.path} has {header.n_variants:,}"
            if n > header.n_variants
            else (f"lists {n:,} variants, {header.path} has {header.n_variants:,}")
        )
    ends = np.concatenate([[header.first_variant], index.start + index.size])
    wrong = np.flatnonzero((index.start < ends[:-1]) | (index.size < 24) | (index.size > header.size))
    if wrong.size or ends[-1] > header.size:
        i = int(wrong[0]) if wrong.size else n - 1
        return (
            f"variant {i + 1:,} ({plain(index.id[i])}) is said to take {index.size[i]:,} bytes from byte "
            f"{index.start[i]:,} of {header.path}, {header.size:,} bytes, where the one before ends at {ends[i]:,}"
        )
    return ""


def refuse_multiallelic(path: str, alleles: np.ndarray, names: np.ndarray) -> None:
    """Raise InputError where variants have not two alleles, naming them."""
    odd = np.flatnonzero(alleles != 2)
    if odd.size:
        shown = some([f"{plain(names[i])} ({alleles[i]} alleles)" for i in odd], 5)
        raise InputError(
            f"{path}: {odd.size:,} variants have not two alleles: {shown}; only those with two can be read from BGEN. "
            "Leave the others out: qctool -g … -excl-rsids … -og …, or bgenix -g … -excl-rsids …"
        )


class _Window:
    """A stretch of a file that is read ahead of the variants."""

    def __init__(self, header: BgenHeader, descriptor: int):
        self.header, self.descriptor = header, descriptor
        self.begin, self.data, self.stride = 0, b"", _STRIDE

    def get(self, at: int, count: int, what: str) -> int:
        """Return where byte ``at`` of the file is in ``data``, with ``count`` bytes from there on."""
        if not self.begin <= at <= at + count <= self.begin + len(self.data):
            self.begin, self.data = at, os.pread(self.descriptor, max(self.stride, count), at)
            if len(self.data) < count:
                raise InputError(
                    f"{self.header.path}: {what} goes beyond the end of the file ({self.header.size:,} bytes): it is "
                    "truncated or damaged; copy it again from its source"
                )
        return at - self.begin

    def text(self, at: int, width: int, what: str) -> tuple[str, int]:
        """Read a text behind its length of ``width`` bytes; also return where it ends."""
        place = self.get(at, width, what)
        n = int.from_bytes(self.data[place : place + width], "little")
        if n > LONGEST_ALLELE:
            raise InputError(
                f"{self.header.path}: {what} has a text of {n:,} bytes (byte {at:,}); the file is damaged, or an "
                f"allele longer than {LONGEST_ALLELE:,}: leave such variants out"
            )
        place = self.get(at + width, n, what)
        try:
            return self.data[place : place + n].decode(), at + width + n
        except UnicodeDecodeError:
            raise InputError(
                f"{self.header.path}: {what} has a text that is not UTF-8 (byte {at + width:,}); the file is damaged"
            ) from None


def scan_variants(header: BgenHeader, most: int | None = None) -> BgenIndex:
    """Go through a BGEN file from variant to variant, without the probabilities.

    Parameters
    ----------
    header
        Of the file.
    most
        Stop after this many variants; else the file has to end where they do.

    Raises
    ------
    InputError
        When lengths do not fit, or variants have more than two alleles.
    """
    texts: list[list[str]] = [[], [], [], []]
    n_variants = header.n_variants if most is None else min(most, header.n_variants)
    numbers = np.empty((4, n_variants), dtype=np.int64)
    least = 0 if header.compression == "none" else 4
    descriptor = os.open(header.path, os.O_RDONLY)
    try:
        window, at = _Window(header, descriptor), header.first_variant
        for v in range(n_variants):
            start, what = at, f"variant {v + 1:,} (byte {at:,})"
            identifier, at = window.text(at, 2, what)
            rsid, at = window.text(at, 2, what)
            chromosome, at = window.text(at, 2, what)
            place = window.get(at, 6, what)
            position, alleles = struct.unpack_from("<IH", window.data, place)
            at += 6
            names = []
            for _ in range(alleles):
                allele, at = window.text(at, 4, what)
                names.append(allele)
            place = window.get(at, 4, what)
            (length,) = struct.unpack_from("<I", window.data, place)
            end = at + 4 + length
            name = rsid or identifier or "."
            if end > header.size or length < least:
                raise InputError(
                    f"{header.path}: {what}, {plain(name)}: its probabilities are said to take {length:,} bytes from "
                    f"byte {at + 4:,}, of a file of {header.size:,}: it is truncated or damaged; copy it again from "
                    "its source"
                )
            first, second = (*names, "", "")[:2]
            for column, value in zip(texts, (chromosome, name, first, second)):
                column.append(value)
            numbers[:, v] = position, alleles, start, end - start
            window.stride = _STRIDE if end - start < _STRIDE // 16 else _GLANCE
            at = end
    finally:
        os.close(descriptor)
    if n_variants == header.n_variants and at != header.size:
        raise InputError(
            f"{header.path}: the head says {header.n_variants:,} variants (bytes 8 to 11), which end at byte {at:,}, "
            f"but the file goes on to {header.size:,}: they are more, or it is damaged; join files with cat-bgen, "
            "which corrects the number"
        )
    chromosome, name, first, second = (np.array([shorten(t, LONGEST_ALLELE) for t in c], dtype=object) for c in texts)
    position, alleles, start, size = numbers
    refuse_multiallelic(header.path, alleles, name)
    return BgenIndex(chromosome, position, name, first, second, start, size)
