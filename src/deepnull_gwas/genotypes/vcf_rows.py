"""The lines of a VCF, in whatever it is packed, and of a BCF, which htslib turns to text."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from deepnull_gwas.errors import InputError
from deepnull_gwas.text import plain

#: Bytes that are read at once.
READ_BYTES = 1 << 20
#: Longest row: so much per person, and for what stands before.
_COLUMN_BYTES, _FRONT_BYTES = 1024, 64 << 20
#: Most bytes of text that a block of bgzip holds.
_BLOCK = 1 << 16


class Row(NamedTuple):
    """A line of a file: its number, from 1, and where it begins and ends in some bytes."""

    number: int
    data: bytes
    start: int
    stop: int

    @property
    def text(self) -> bytes:
        """Its own bytes."""
        return self.data[self.start : self.stop]

    def front(self) -> tuple[list[bytes], int]:
        """Return the fields before the ninth tab (fewer where there are fewer tabs), and where the people begin."""
        at = self.start
        for _ in range(9):
            at = self.data.find(b"\t", at, self.stop) + 1
            if not at:
                return self.text.split(b"\t"), self.stop
        return self.data[self.start : at - 1].split(b"\t"), at


def open_rows(path: str, stack: contextlib.ExitStack) -> Iterator[Row]:
    """Return what goes through the lines of a VCF or BCF."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    file = stack.enter_context(open(path, "rb"))  # noqa: SIM115
    parts = unpacked(path, file, stack)
    first = next(parts, b"")
    if first.startswith(b"BCF"):
        return _rows_of_bcf(path, stack)
    return _rows_of_text(path, itertools.chain([first], parts))


def unpacked(path: str, file: BinaryIO, stack: contextlib.ExitStack) -> Iterator[bytes]:
    """Return what goes through the bytes of an open file, inflated where gzip or bgzip has packed them.

    Raises
    ------
    InputError
        When what is packed is damaged.
    """
    magic = file.peek(18)[:18]
    if not magic.startswith(b"\x1f\x8b"):
        return iter(lambda: file.read(READ_BYTES), b"")
    if magic[3:4] != b"\x04" or magic[12:14] != b"BC":
        inflated = stack.enter_context(gzip.GzipFile(fileobj=file))
        return iter(lambda: _of_gzip(path, inflated), b"")
    return _unpack(path, file)


def _rows_of_bcf(path: str, stack: contextlib.ExitStack) -> Iterator[Row]:
    """Go through the rows of a BCF, which htslib turns to text."""
    import pysam

    stack.callback(pysam.set_verbosity, pysam.set_verbosity(0))
    try:
        file = stack.enter_context(pysam.VariantFile(path))
        head = str(file.header).encode().splitlines()
        for number, line in enumerate(head, 1):
            yield Row(number, line, 0, len(line))
        for number, record in enumerate(file, len(head) + 1):
            line = str(record).rstrip("\n").encode()
            yield Row(number, line, 0, len(line))
    except (OSError, ValueError, UnicodeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: not a readable BCF, or truncated ({plain(error)}); copy it again from its source"
        ) from None


def _rows_of_text(path: str, parts: Iterable[bytes]) -> Iterator[Row]:
    """Go through the lines of parts of a text."""
    rest, number, most = b"", 0, _FRONT_BYTES
    for part in parts:
        data, start = rest + part, 0
        while (stop := data.find(b"\n", start)) >= 0:
            number += 1
            if data.startswith(b"#CHROM", start):
                most += _COLUMN_BYTES * data.count(b"\t", start, stop)
            yield Row(number, data, start, stop - (stop > start and data[stop - 1] == 13))
            start = stop + 1
        rest = data[start:]
        if len(rest) > most:
            raise InputError(f"{path}: line {number + 1:,} is longer than {most:,} bytes; is this a VCF?")
    if rest:
        raise InputError(
            f"{path}: line {number + 1:,} has no end: the file is truncated; copy it again from its source"
        )


def _of_gzip(path: str, file: gzip.GzipFile) -> bytes:
    """Read from a file that gzip has made."""
    try:
        return file.read(READ_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, plain(error)) from None


def _damaged(path: str, what: str) -> InputError:
    return InputError(f"{path}: {what}: the file is truncated or damaged; copy it again from its source")


def _unpack(path: str, file: BinaryIO) -> Iterator[bytes]:
    """Inflate a file that bgzip has made, block by block, by libdeflate (SAM/BAM specification, 4.1)."""
    import deflate

    rest, parts, count, last = b"", [], 0, 0
    while data := file.read(READ_BYTES):
        data, at = rest + data, 0
        while len(data) - at >= 18:
            extra, mark, size = struct.unpack_from("<10xH2sxxH", data, at)
            if data[at : at + 4] != b"\x1f\x8b\x08\x04" or mark != b"BC" or size + 1 < 26 + extra - 6:
                raise _damaged(path, "it has a block that bgzip did not write")
            end = at + size + 1
            if end > len(data):
                break
            (last,) = struct.unpack_from("<I", data, end - 4)
            if last > _BLOCK:
                raise _damaged(path, f"it has a block of {last:,} bytes, expected {_BLOCK:,} at most")
            try:
                parts.append(deflate.gzip_decompress(memoryview(data)[at:end], last) if last else b"")
            except deflate.DeflateError as error:
                raise _damaged(path, f"it has a block that is damaged ({plain(error)})") from None
            at, count = end, count + last
            if count > 4 * READ_BYTES:
                yield b"".join(parts)
                parts.clear()
                count = 0
        rest = data[at:]
    yield b"".join(parts)
    if rest or last:
        # an empty block ends what bgzip has written
        raise _damaged(path, "it has no end")
