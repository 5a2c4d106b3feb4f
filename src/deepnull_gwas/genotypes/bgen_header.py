"""The head of a BGEN file: how much it holds, how it is compressed, and the identifiers of the people."""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from deepnull_gwas.errors import InputError

_COMPRESSIONS = {0: "none", 1: "zlib", 2: "zstd"}
#: Fewest bytes that a variant can take: three texts, position, number of alleles, two alleles, length of the block, and
#: of it inflated.
_LEAST_VARIANT = {"none": 24, "zlib": 28, "zstd": 28}
#: How many times as long an inflated block may be.
_MOST = {"none": 1, "zlib": 1100, "zstd": 33_000}
#: Bytes at the head of a file by which it is recognised.
SIGNATURE_BYTES = 1000
#: Longest head that is read at once, but for the identifiers.
_LONGEST_HEAD = 1 << 20


@dataclass(frozen=True)
class BgenHeader:
    """What the head of a BGEN file says, checked against the file's size.

    Attributes
    ----------
    path
        The file.
    size
        Its bytes.
    n_variants, n_samples
        Numbers of variants and of people.
    compression
        ``none``, ``zlib`` or ``zstd``.
    first_variant
        The byte where the variants begin.
    identifiers
        The people's, in the order of the genotypes; None where the file is anonymous.
    signature
        SHA-256 of its first 1,000 bytes.
    """

    path: str
    size: int
    n_variants: int
    n_samples: int
    compression: str
    first_variant: int
    identifiers: tuple[str, ...] | None
    signature: str


def read_bgen_header(path: str | Path) -> BgenHeader:
    """Read and check the head of a BGEN file.

    Raises
    ------
    InputError
        When there is no such file, it is not BGEN of layout 2 (versions 1.2 and 1.3), or its lengths do not fit.
    """
    path = str(path)
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(_LONGEST_HEAD)
        if len(head) < 24:
            raise InputError(
                f"{path}: {size} bytes; not a BGEN file, whose head alone has 24. Copy it again from its source"
            )
        offset, length, n_variants, n_samples = struct.unpack_from("<IIII", head)
        if head[16:20] not in (b"bgen", b"\0\0\0\0"):
            raise InputError(
                f"{path}: not a BGEN file (bytes 16 to 19 are {head[16:20].hex()}, expected 6267656e, 'bgen')"
            )
        if not 20 <= length <= min(offset, len(head) - 4) or offset + 4 > size:
            raise InputError(
                f"{path}: the head says that it has {length:,} bytes and that the variants begin at byte "
                f"{offset + 4:,}, of a file of {size:,} bytes: it is truncated or damaged; copy it again from its "
                "source"
            )
        flags = struct.unpack_from("<I", head, length)[0]
        compression = _check_flags(path, flags, length)
        if not n_variants or not n_samples:
            raise InputError(f"{path}: holds {n_variants:,} variants of {n_samples:,} people (bytes 8 to 15)")
        if n_variants * _LEAST_VARIANT[compression] > size - offset - 4:
            raise InputError(
                f"{path}: the head says {n_variants:,} variants (bytes 8 to 11), but {size - offset - 4:,} bytes "
                "cannot hold as many: it is truncated or damaged; copy it again from its source"
            )
        identifiers = None
        if flags >> 31:
            file.seek(4 + length)
            identifiers = _parse_identifiers(path, file.read(offset - length), 4 + length, n_samples)
    signature = hashlib.sha256(head[:SIGNATURE_BYTES]).hexdigest()
    header = BgenHeader(path, size, n_variants, n_samples, compression, offset + 4, identifiers, signature)
    # whoever believes a number of people makes room for them
    if (length := _first_block(header)) is not None and min(length, size * _MOST[compression]) < n_samples + 10:
        raise InputError(
            f"{path}: the head says {n_samples:,} people (bytes 12 to 15), but the block of the first variant (byte "
            f"{offset + 4:,}) has {length:,} bytes, in a file of {size:,}, expected {n_samples + 10:,} or more: it is "
            "damaged; copy it again from its source"
        )
    return header


def _check_flags(path: str, flags: int, at: int) -> str:
    """Return the compression that the flags name."""
    layout = flags >> 2 & 15
    if layout == 1:
        raise InputError(
            f"{path}: BGEN 1.1 (layout 1, byte {at}), of which only later versions can be read: rewrite it, saying "
            "which of its alleles is the reference: plink2 --bgen … ref-first --sample … --export bgen-1.2 bits=8 "
            "--out … (or ref-last)"
        )
    if layout != 2:
        raise InputError(f"{path}: layout {layout} of BGEN (byte {at}) is not known; expected 2 (BGEN 1.2 or 1.3)")
    if flags & 3 not in _COMPRESSIONS:
        raise InputError(
            f"{path}: compression {flags & 3} (byte {at}) is not known; expected 0 (none), 1 (zlib) or 2 (zstd)"
        )
    return _COMPRESSIONS[flags & 3]


def _parse_identifiers(path: str, block: bytes, at: int, n_samples: int) -> tuple[str, ...]:
    """Read the block of identifiers, which begins at byte ``at`` of the file."""
    cure = "the file is damaged; copy it again from its source"
    if len(block) < 8:
        raise InputError(
            f"{path}: the identifiers of the people (byte {at:,}) have {len(block)} bytes, expected 8 or more: {cure}"
        )
    length, count = struct.unpack_from("<II", block)
    if count != n_samples:
        raise InputError(f"{path}: {count:,} identifiers (byte {at + 4:,}) of {n_samples:,} people (byte 12): {cure}")
    if length > len(block) or length < 8 + 2 * count:
        raise InputError(
            f"{path}: the {count:,} identifiers (byte {at:,}) are said to take {length:,} bytes, of {len(block):,} "
            f"before the variants: {cure}"
        )
    names, place = [], 8
    for i in range(count):
        if place + 2 > length:
            raise InputError(f"{path}: identifier {i + 1:,} (byte {at + place:,}) begins beyond the last: {cure}")
        (n,) = struct.unpack_from("<H", block, place)
        if place + 2 + n > length:
            raise InputError(
                f"{path}: identifier {i + 1:,} (byte {at + place:,}) has {n:,} bytes, beyond the last: {cure}"
            )
        try:
            names.append(block[place + 2 : place + 2 + n].decode())
        except UnicodeDecodeError:
            raise InputError(f"{path}: identifier {i + 1:,} (byte {at + place:,}) is not UTF-8 text: {cure}") from None
        place += 2 + n
    if place != length:
        raise InputError(
            f"{path}: the identifiers end at byte {at + place:,}, expected at byte {at + length:,}: {cure}"
        )
    return tuple(names)


def bits_of_first(header: BgenHeader) -> int:
    """Guess from the length of the first variant's block how many bits a probability has, without inflating it.

    Returns
    -------
    8 where the file does not tell.
    """
    n, length = header.n_samples, _first_block(header)
    # everybody has two numbers, but for haploid people
    return 8 if length is None else max(round(8 * (length - 10 - n) / (2 * n)), 1)


def _first_block(header: BgenHeader) -> int | None:
    """Return the bytes of the first variant's block when it is inflated, as it says itself; None where it is cut."""
    try:
        with open(header.path, "rb") as file:
            file.seek(header.first_variant)
            for _ in range(3):
                file.seek(struct.unpack("<H", file.read(2))[0], os.SEEK_CUR)
            _, alleles = struct.unpack("<IH", file.read(6))
            for _ in range(alleles):
                file.seek(struct.unpack("<I", file.read(4))[0], os.SEEK_CUR)
            length = struct.unpack("<I", file.read(4))[0]
            if header.compression != "none":
                length = struct.unpack("<I", file.read(4))[0]
    except struct.error:
        return None
    return length
