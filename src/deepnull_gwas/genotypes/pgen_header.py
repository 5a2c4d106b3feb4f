"""The head of a .pgen: how much it holds, of what kind, and whether the file is whole. Without numpy."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deepnull_gwas.errors import InputError

_MAGIC = b"\x6c\x1b"
#: Variants that share a block of the head.
_BLOCK = 1 << 16
#: Largest numbers that PLINK 2 takes.
_MOST_VARIANTS, _MOST_SAMPLES = 2**31 - 3, 2**31 - 2
_DOSAGE, _MULTIALLELIC, _TWO_MULTIALLELIC = 0x60, 0x08, 0x88


@dataclass(frozen=True)
class PgenHeader:
    """What the head of a .pgen says, checked against the file's size.

    Attributes
    ----------
    path
        The file.
    n_variants, n_samples
        Numbers of rows and of people.
    has_dosages, has_multiallelic
        Whether any row has dosages, or hard calls of more than two alleles.
    reference_known
        Whether the reference alleles are known to be: True, False where some or all are guesses, None where only the
        .pvar tells.
    """

    path: str
    n_variants: int
    n_samples: int
    has_dosages: bool
    has_multiallelic: bool
    reference_known: bool | None


def read_pgen_header(path: str | Path) -> PgenHeader:
    """Read and check the head of a .pgen.

    Raises
    ------
    InputError
        When there is no such file, it is no .pgen that can be read, or its size is not what the head says.
    """
    path = str(path)
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; a PLINK 2 fileset needs .pgen, .pvar (or .pvar.zst) and .psam")
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:2] != _MAGIC:
            raise InputError(f"{path}: not a .pgen (it begins with {head[:2].hex() or 'nothing'}, expected 6c1b)")
        mode, n_variants, n_samples, control = struct.unpack("<2xBIIB", head)
        if mode == 1:
            raise InputError(f"{path}: a PLINK 1 .bed by another name; name it .bed, or rewrite it: plink2 --make-pgen")
        if mode not in (2, 3, 4, 0x10):
            raise InputError(
                f"{path}: a .pgen of mode {mode:#04x} (byte 2) cannot be read; rewrite it: plink2 --pfile … "
                "--make-pgen --out …"
            )
        if not 0 < n_variants <= _MOST_VARIANTS or not 0 < n_samples <= _MOST_SAMPLES:
            raise InputError(f"{path}: the head says {n_variants:,} variants of {n_samples:,} people (bytes 3 to 10)")
        known = {0: None, 1: True, 2: False, 3: False}[control >> 6]
        if mode != 0x10:
            width = {2: 0, 3: 2 * n_samples, 4: 4 * n_samples}[mode] + (n_samples + 3) // 4
            flags = (n_variants + 7) // 8 if control >> 6 == 3 else 0
            _check_size(path, size, 12 + flags + n_variants * width, n_variants, n_samples)
            return PgenHeader(path, n_variants, n_samples, mode != 2, False, known)
        dosages, multiallelic = _read_blocks(path, file, size, control, n_variants, n_samples)
    return PgenHeader(path, n_variants, n_samples, dosages, multiallelic, known)


def _check_size(path: str, size: int, expected: int, n_variants: int, n_samples: int) -> None:
    if size != expected:
        raise InputError(
            f"{path}: {size:,} bytes, expected {expected:,} for the {n_variants:,} variants of {n_samples:,} people "
            "that the head says: it is truncated or damaged; copy it again from its source"
        )


def _read_blocks(
    path: str, file: BinaryIO, size: int, control: int, n_variants: int, n_samples: int
) -> tuple[bool, bool]:
    """Go through the blocks of the head: return whether any row has dosages, and more than two alleles.

    Raises
    ------
    InputError
        When the rows do not begin where the head says, or do not fill the file.
    """
    storage = control & 15
    wide, length_bytes, allele_bytes = storage > 3, storage % 4 + 1, control >> 4 & 3
    n_blocks = (n_variants + _BLOCK - 1) // _BLOCK
    least = 12 + 8 * n_blocks + (n_variants // 8 if storage > 7 else n_variants // 2 + n_variants * length_bytes)
    if size < least:
        _check_size(path, size, least, n_variants, n_samples)
    if storage > 7:
        # types of one or two bits: Pgenlib reads them, and only hard calls are written so
        return False, False
    offsets = struct.unpack(f"<{n_blocks}Q", file.read(8 * n_blocks))
    dosages = multiallelic = False
    at = None
    for block in range(n_blocks):
        count = min(_BLOCK, n_variants - block * _BLOCK)
        types = file.read(count if wide else (count + 1) // 2)
        lengths = file.read(count * length_bytes)
        file.seek(count * allele_bytes + ((count + 7) // 8 if control >> 6 == 3 else 0), 1)
        if len(lengths) < count * length_bytes:
            _check_size(path, size, least, n_variants, n_samples)
        # types of half a byte lack the bits of phase and dosages
        seen = set(types)
        dosages |= wide and any(t & _DOSAGE for t in seen)
        multiallelic |= any(t & (_MULTIALLELIC if wide else _TWO_MULTIALLELIC) for t in seen)
        if at is not None and offsets[block] != at:
            raise InputError(
                f"{path}: block {block + 1} of rows begins at byte {offsets[block]:,}, but the one before ends at "
                f"{at:,}: the file is damaged; copy it again from its source"
            )
        at = offsets[block] + sum(sum(lengths[k::length_bytes]) << (8 * k) for k in range(length_bytes))
    if offsets[0] != file.tell():
        raise InputError(
            f"{path}: the first row begins at byte {offsets[0]:,}, but the head ends at {file.tell():,}: the file is "
            "damaged; copy it again from its source"
        )
    _check_size(path, size, at, n_variants, n_samples)
    return dosages, multiallelic
