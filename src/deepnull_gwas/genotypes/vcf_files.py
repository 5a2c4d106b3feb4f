"""VCF and BCF files: what their heads and first rows tell of their size. Without numpy.

They are no format that anything is tested from: each is imported to a PLINK 2 fileset once, which stands for it then.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.files import Extent, Format
from deepnull_gwas.genotypes.pgen_files import DOSAGES_PER_SECOND, Pgen
from deepnull_gwas.text import plain

if TYPE_CHECKING:
    from deepnull_gwas.genotypes.base import Genotypes

#: Bytes of a file that are read at a time, and at most, to tell how much it holds.
_PIECE, _MOST = 1 << 18, 64 << 20
#: Columns of a VCF before the people.
_FIXED = 9


class Vcf(Format):
    """VCF (as text, gzip or bgzip) and BCF; the name of a fileset is the path of the file."""

    name = "vcf"
    title = "VCF"
    extensions = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
    recognised = extensions
    is_imported = True
    effect_allele = "ALT of the VCF"

    def fileset(self, path: str) -> str:
        """Return the path of the file."""
        return path

    def files(self, name: str, base: str = ".") -> tuple[str, ...]:
        """Return the file itself."""
        return (name,)

    def people_file(self, name: str, base: str = ".", settings: Mapping[str, Any] | None = None) -> str:
        """Return the file itself."""
        return name

    def of_file(self, path: str) -> str | None:
        """Return the path where it is that of a VCF."""
        return path if path.endswith(self.extensions) else None

    def prefix(self, name: str) -> str:
        """Return the path without its extension."""
        return next((name.removesuffix(e) for e in reversed(self.extensions) if name.endswith(e)), name)

    def engine_options(self, prefix: str) -> dict[str, str]:
        """Return the options for the PLINK 2 fileset that the file is imported to."""
        return Pgen().engine_options(prefix)

    def extent(self, names: tuple[str, ...], base: str = ".") -> Extent:
        """Count the people in the head, and estimate the variants from the length of the first rows."""
        sizes = [size_of(str(Path(base, name))) for name in names]
        return Extent(sizes[0][0], tuple(variants for _, variants in sizes))

    def decoding_rate(self, names: tuple[str, ...], base: str = ".") -> float:
        """Return the rate of what the file is imported to."""
        return DOSAGES_PER_SECOND

    def rare_share(self, names: tuple[str, ...], people: int, base: str = ".") -> float | None:
        """Return None: a few rows say nothing of the others."""
        return None

    def reader(self) -> type[Genotypes]:
        """Raise an error: the workflow imports the file first."""
        raise InputError("a VCF or BCF is read after its import to a PLINK 2 fileset only (rule import_vcf)")


def size_of(path: str) -> tuple[int, int]:
    """Return the number of people of a VCF or BCF, and about how many variants it has.

    Raises
    ------
    InputError
        When there is no such file, or no line with the names of the columns in it.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    size = Path(path).stat().st_size
    text, binary, head = bytearray(), False, -1
    with open(path, "rb") as file:
        pieces = _Unpacked(file)
        while pieces.read < _MOST and (part := pieces.next()):
            text += part
            binary = text.startswith(b"BCF")
            head = _end_of_head(text, binary) if head < 0 else head
            if head >= 0 and _rows(text, head, binary)[0] >= 2 and pieces.read >= _PIECE:
                break
        read = pieces.read
    names = text[:head][text[:head].rfind(b"#CHROM") :].rstrip(b"\n\x00").split(b"\t") if head > 0 else []
    if len(names) <= _FIXED:
        shown = plain(bytes(text[:60]).decode("utf-8", "replace").split("\n")[0])
        raise InputError(
            f"{path}: no line #CHROM … with the names of people in the first {read:,} bytes (it begins with '{shown}'):"
            " not a VCF or BCF, or a truncated one"
        )
    rows, length = _rows(text, head, binary)
    # the head counts as if it were packed as well as the rows
    packed = size * (len(text) - head) / max(len(text), 1) if read >= size else size
    all_bytes = packed * len(text) / max(read, 1)
    return len(names) - _FIXED, max(round(all_bytes * rows / length) if rows else 0, 1)


def read_head(path: str) -> list[str]:
    """Return the lines of the head of a VCF or BCF, of which the last has the names of the columns; none where the file
    has no such line in its first bytes."""
    text, head = bytearray(), -1
    with open(path, "rb") as file:
        pieces = _Unpacked(file)
        while head < 0 and pieces.read < _MOST and (part := pieces.next()):
            text += part
            head = _end_of_head(text, text.startswith(b"BCF"))
    start = 9 if text.startswith(b"BCF") else 0
    return text[start : max(head, 0)].rstrip(b"\n\x00").decode("utf-8", "replace").splitlines()


class _Unpacked:
    """The beginning of a file, unpacked where it is packed; ``read`` counts the bytes as they are on disk."""

    def __init__(self, file: BinaryIO):
        self.file, self.read = file, 0
        self.unpack = zlib.decompressobj(31) if file.peek(2)[:2] == b"\x1f\x8b" else None

    def next(self) -> bytes:
        """Return the next bytes, none at the end or where the file is damaged (which the import will say)."""
        data = self.file.read(_PIECE)
        self.read += len(data)
        if self.unpack is None or not data:
            return data
        out = []
        try:
            while data:
                out.append(self.unpack.decompress(data))
                data = self.unpack.unused_data
                if self.unpack.eof:
                    self.unpack = zlib.decompressobj(31)
        except zlib.error:
            pass
        return b"".join(out)


def _end_of_head(text: bytearray, binary: bool) -> int:
    """Return where the first row begins; -1 where the head is longer than the text."""
    if binary:
        end = 9 + struct.unpack("<I", text[5:9])[0] if len(text) >= 9 else -1
        return end if end <= len(text) else -1
    at = 0 if text.startswith(b"#CHROM") else text.find(b"\n#CHROM")
    end = text.find(b"\n", at + 1) if at >= 0 else -1
    return end + 1 if end >= 0 else -1


def _rows(text: bytearray, head: int, binary: bool) -> tuple[int, int]:
    """Return how many whole rows follow the head, and their length."""
    if not binary:
        end = text.rfind(b"\n") + 1
        return text.count(b"\n", head, end), max(end - head, 1)
    count, at = 0, head
    while at + 8 <= len(text):
        end = at + 8 + sum(struct.unpack("<II", text[at : at + 8]))
        if end > len(text):
            break
        count, at = count + 1, end
    return count, max(at - head, 1)
