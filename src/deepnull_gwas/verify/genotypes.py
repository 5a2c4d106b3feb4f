"""The second implementation's own readers: the genotypes of one variant, in double precision.

They share no code with :mod:`deepnull_gwas.genotypes`; where a file says its variants lie is all that they are told.
"""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np

#: Copies of A1 of the four codes of a .bed: both alleles A1, missing, heterozygous, both A2
_CODES = np.array([2.0, np.nan, 1.0, 0.0])
#: Where a variant lies: its file, and what the format needs to find it there
Place = tuple[str | int, ...]


def read_copies(place: Place, people: int, single: np.ndarray | None = None) -> np.ndarray:
    """Read one variant.

    Parameters
    ----------
    place
        From :meth:`deepnull_gwas.genotypes.base.Genotypes.place_of`: (.bed, row),
        (.pgen, row, number of the alternative allele, first allele of each row or None), or
        (.bgen, byte, number of the effect allele: 0 or 1).
    people
        Number of people in it.
    single
        bool, one per person: whose copies are in the file as 0 to 1, those of one copy.

    Returns
    -------
    float64[people], expected copies of the effect allele, 0 to 2 for everybody; NaN where missing.
    """
    out = _read(place, people)
    return out if single is None else np.where(single, 2 * out, out)


def _read(place: Place, people: int) -> np.ndarray:
    path = str(place[0])
    if path.endswith(".pgen"):
        return _read_pgen(path, int(place[1]), int(place[2]), place[3], people)
    if path.endswith(".bgen"):
        copies, _, bits = _read_bgen(path, int(place[1]), int(place[2]), people)
        # more bits are rounded to those of PLINK 2's dosages, as it does itself
        return np.round(copies * 2**14) / 2**14 if bits >= 16 else copies
    return _read_bed(path, int(place[1]), people)


def read_probabilities(
    place: Place, people: int, single: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Read what the probabilities of a variant say of each genotype; None where a format has no probabilities.

    Parameters
    ----------
    place, people, single
        As for :func:`read_copies`.

    Returns
    -------
    float64[people] each: expected copies of the effect allele, not rounded, and their variance given the data.
    """
    path = str(place[0])
    if not path.endswith(".bgen"):
        return None
    copies, variance, _ = _read_bgen(path, int(place[1]), int(place[2]), people)
    scale = 1 if single is None else np.where(single, 2, 1)
    return copies * scale, variance * scale**2


def _read_bed(path: str, row: int, people: int) -> np.ndarray:
    width = (people + 3) // 4
    with open(path, "rb") as file:
        file.seek(3 + row * width)
        packed = np.frombuffer(file.read(width), dtype=np.uint8)
    return _CODES[(packed[:, None] >> np.array([0, 2, 4, 6])) & 3].ravel()[:people]


def _read_pgen(path: str, row: int, allele: int, first_alleles: np.ndarray | None, people: int) -> np.ndarray:
    """Read by Pgenlib, PLINK 2's own library."""
    import pgenlib

    out = np.empty(people, dtype=np.float64)
    with pgenlib.PgenReader(path.encode(), people, allele_idx_offsets=first_alleles) as reader:
        reader.read_dosages(row, out, allele_idx=allele)
    return np.where(out < 0, np.nan, out)


def _read_bgen(path: str, at: int, effect: int, people: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Read the variant of a BGEN file that begins at a byte: expected copies, their variances, bits of a number.

    Source: https://www.chg.ox.ac.uk/~gav/bgen_format/spec/latest.html
    """
    with open(path, "rb") as file:
        file.seek(4)
        (head,) = struct.unpack("<I", file.read(4))
        file.seek(head)
        (flags,) = struct.unpack("<I", file.read(4))
        file.seek(at)
        for _ in range(3):
            file.seek(struct.unpack("<H", file.read(2))[0], 1)
        _, alleles = struct.unpack("<IH", file.read(6))
        for _ in range(alleles):
            file.seek(struct.unpack("<I", file.read(4))[0], 1)
        (length,) = struct.unpack("<I", file.read(4))
        block = file.read(length)
    if flags & 3 == 1:
        block = zlib.decompress(block[4:])
    elif flags & 3 == 2:
        import zstandard

        block = zstandard.ZstdDecompressor().decompress(block[4:], max_output_size=struct.unpack("<I", block[:4])[0])
    ploidy = np.frombuffer(block, dtype=np.uint8, count=people, offset=8)
    phased, bits = block[8 + people], block[9 + people]
    numbers = _unpack(block[10 + people :], bits) / (2.0**bits - 1)
    out, variance = np.full(people, np.nan), np.full(people, np.nan)
    start = np.concatenate([[0], np.cumsum(ploidy & 63, dtype=np.int64)])
    for i in np.flatnonzero((ploidy < 128) & (ploidy & 63 > 0)):
        p = numbers[start[i] : start[i + 1]]
        if ploidy[i] == 1:
            first, square = 2 * p[0], 4 * p[0]
        elif phased:
            first, square = p[0] + p[1], p[0] + p[1] + 2 * p[0] * p[1]
        else:
            first, square = 2 * p[0] + p[1], 4 * p[0] + p[1]
        out[i] = first if effect == 0 else 2 - first
        variance[i] = square - first**2
    return out, variance, int(bits)


def _unpack(data: bytes, bits: int) -> np.ndarray:
    """Return the whole numbers of ``bits`` bits each, the lowest bits first, as floats."""
    flat = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    count = len(flat) // bits
    return flat[: count * bits].reshape(count, bits).astype(np.float64) @ np.array(
        [math.ldexp(1, b) for b in range(bits)]
    )
