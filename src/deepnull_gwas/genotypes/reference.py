"""Which of a variant's two alleles is that of the reference genome, by a FASTA file or by a table of known variants."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.chromosomes import ORDER, normalise
from deepnull_gwas.genotypes.files import SEQUENCES, SITES
from deepnull_gwas.genotypes.pvar import read_sites
from deepnull_gwas.genotypes.vcf_rows import unpacked
from deepnull_gwas.text import plain

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

#: Which alleles are, or begin as, the reference sequence does; both where an indel fits either way.
NONE, OTHER, EFFECT, BOTH = range(4)

#: Bases of the longest sequence that is taken for a chromosome.
_LONGEST = 1 << 30
_CAPITALS = bytes(range(256)).upper()
_REFSEQ = re.compile(r"NC_0000(\d\d)\.\d+$")
#: More than any position, so that chromosome and position make one number.
_STEP = 1 << 34


def find_references(files: Sequence[str | Path], variants: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Find the reference alleles of all variants of a cohort.

    Parameters
    ----------
    files
        FASTA files, or tables of variants (``genotypes.files``: ``SEQUENCES``, ``SITES``), plain or compressed; a file
        is gone through once.
    variants
        chromosome (normalised), position, effect_allele, other_allele.

    Returns
    -------
    uint8, one per variant, of ``NONE, OTHER, EFFECT, BOTH``; and bool, whether the variant was looked up. A FASTA
    leaves out alleles that are not written in A, C, G, T, and what is beyond its sequences; a table of variants those
    that it does not have with the same two alleles.

    Raises
    ------
    InputError
        When a file is missing, damaged or neither of the two kinds, or holds no chromosome.
    """
    found, seen = np.zeros(len(variants), dtype=np.uint8), np.zeros(len(variants), dtype=bool)
    columns = ("effect_allele", "other_allele")
    alleles = [in_capitals(variants[name].to_numpy(dtype=object)) for name in columns]
    chromosome = variants["chromosome"].to_numpy(dtype=object)
    # pseudo-autosomal variants are coded by their positions on X
    chromosome = np.where(chromosome == "XY", "X", chromosome)
    position = variants["position"].to_numpy()
    for file in map(str, files):
        if not Path(file).is_file():
            raise InputError(f"{file}: no such file (reference)")
        if file.endswith(SEQUENCES):
            _by_sequences(file, chromosome, position, alleles, found, seen)
        elif file.endswith(SITES):
            _by_sites(file, chromosome, position, alleles, found)
        else:
            raise InputError(f"{file}: neither a FASTA ({', '.join(SEQUENCES)}) nor a table of variants ({SITES})")
    return found, seen | (found != NONE)


def _by_sequences(
    path: str, chromosome: np.ndarray, position: np.ndarray, alleles: list[np.ndarray], found: np.ndarray,
    seen: np.ndarray,
) -> None:  # fmt: skip
    """Compare alleles with the sequences of a FASTA file."""
    names, read = [], set()
    for name, sequence in read_sequences(path):
        names.append(name)
        code = _chromosome_of(name)
        if code is None or code in read:
            continue
        read.add(code)
        at = np.flatnonzero((chromosome == code) & (position >= 1) & (position <= len(sequence)))
        if len(at):
            effect, other = (allele[at] for allele in alleles)
            found[at], seen[at] = _compare(sequence, position[at] - 1, effect, other)
        # so that two chromosomes are never held at a time
        del sequence
    if not read:
        raise InputError(
            f"{path}: none of its sequences is a chromosome; found {some([plain(n, 40) for n in names], 5) or 'none'}, "
            "expected 1-22, X, Y, MT, with or without 'chr', or RefSeq's NC_000001.11"
        )


def _compare(
    sequence: bytearray, start: np.ndarray, effect: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which of two alleles a sequence has at some places (from 0), and which places could be looked up."""
    bases = np.frombuffer(sequence, dtype=np.uint8)
    found, known = np.zeros(len(start), dtype=np.uint8), np.isin(bases[start], np.frombuffer(b"ACGT", dtype=np.uint8))
    single = np.ones(len(start), dtype=bool)
    firsts = []
    for allele in (effect, other):
        codes, distinct = _coded(allele)
        single &= np.array([len(a) == 1 for a in distinct])[codes]
        known &= np.array([bool(a) and set(a) <= set("ACGT") for a in distinct])[codes]
        firsts.append(np.array([ord(a[0]) if a and a[0] in "ACGT" else 0 for a in distinct])[codes])
    for bit, first in zip((EFFECT, OTHER), firsts):
        found[(bases[start] == first) & single & known] |= bit
    for i in np.flatnonzero(~single & known):
        for bit, allele in ((EFFECT, effect[i]), (OTHER, other[i])):
            found[i] |= bit * sequence.startswith(allele.encode(), start[i])
    return found, known


def _coded(alleles: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return numbers of alleles, and the distinct ones."""
    import pandas as pd

    codes, distinct = pd.factorize(alleles)
    return codes, [str(a) for a in distinct]


def _chromosome_of(name: str) -> str | None:
    """Return the chromosome that a sequence is by its name; None where it is another contig."""
    match = _REFSEQ.match(name)
    if match is None:
        return "MT" if name.startswith("NC_012920.") else normalise(name)
    return normalise(str(int(match.group(1))))


def read_sequences(path: str | Path) -> Iterator[tuple[str, bytearray]]:
    """Go through the sequences of a FASTA file, as text or packed by gzip or bgzip; an index is not needed.

    Yields
    ------
    Name, up to the first blank, and sequence in capitals. Sequences that are no chromosomes come empty.

    Raises
    ------
    InputError
        When the file is no FASTA, or damaged.
    """
    path = str(path)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(path, "rb"))
        name, wanted, sequence = None, False, bytearray()
        for piece in _whole_lines(path, unpacked(path, file, stack)):
            start = 0
            while start < len(piece):
                if piece.startswith(b">", start):
                    if name is not None:
                        yield name, sequence
                    end = piece.index(b"\n", start)
                    name = (piece[start + 1 : end].decode("utf-8", "replace").split() or [""])[0]
                    wanted, sequence = _chromosome_of(name) is not None, bytearray()
                    start = end + 1
                    continue
                if name is None:
                    shown = plain(piece[:60].decode("utf-8", "replace").split("\n")[0])
                    raise InputError(f"{path}: not a FASTA: it begins with '{shown}', expected '>' and a name")
                end = piece.find(b"\n>", start) + 1 or len(piece)
                if wanted:
                    sequence += piece[start:end].translate(_CAPITALS, b"\r\n")
                    if len(sequence) > _LONGEST:
                        raise InputError(f"{path}: the sequence '{plain(name, 40)}' is longer than {_LONGEST:,} bases")
                start = end
        if name is None:
            raise InputError(f"{path}: empty")
        yield name, sequence


def _whole_lines(path: str, parts: Iterator[bytes]) -> Iterator[bytes]:
    """Go through pieces that end with a line; the last one is given an end."""
    rest: list[bytes] = []
    for part in parts:
        end = part.rfind(b"\n") + 1
        if not end:
            rest.append(part)
            if sum(map(len, rest)) > _LONGEST:
                raise InputError(f"{path}: a line is longer than {_LONGEST:,} bytes; is this a FASTA?")
            continue
        yield b"".join([*rest, part[:end]])
        rest = [part[end:]] if end < len(part) else []
    if last := b"".join(rest):
        yield last + b"\n"


def _by_sites(
    path: str, chromosome: np.ndarray, position: np.ndarray, alleles: list[np.ndarray], found: np.ndarray
) -> None:
    """Compare alleles with those of a table of variants."""
    key = _keys(chromosome, position)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    for sites in read_sites(path):
        theirs = _site_keys(sites)
        first, last = np.searchsorted(ordered, theirs), np.searchsorted(ordered, theirs, side="right")
        count = last - first
        site = np.repeat(np.arange(len(theirs)), count)
        if not len(site):
            continue
        ours = order[np.repeat(first - np.cumsum(count) + count, count) + np.arange(len(site))]
        rows = np.unique(site)
        text = {name: sites[name].gather(rows).str.to_uppercase().to_numpy() for name in ("REF", "ALT")}
        place = np.searchsorted(rows, site)
        reference, alternative = text["REF"].astype(object)[place], text["ALT"].astype(object)[place]
        effect, other = (allele[ours] for allele in alleles)
        np.bitwise_or.at(found, ours[(other == reference) & (effect == alternative)], np.uint8(OTHER))
        np.bitwise_or.at(found, ours[(effect == reference) & (other == alternative)], np.uint8(EFFECT))


def _site_keys(sites: pl.DataFrame) -> np.ndarray:
    """Return chromosome and position of the rows of a table as one number; -1 for contigs."""
    import pandas as pd

    codes, distinct = pd.factorize(sites["CHROM"].to_numpy())
    names = [_chromosome_of(str(name)) for name in distinct]
    named = np.array(["X" if name == "XY" else name or "" for name in names], dtype=object)
    return _keys(named[codes], sites["POS"].to_numpy())


def _keys(chromosome: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return chromosomes and positions as one number each: int64, -1 where there is no chromosome."""
    import pandas as pd

    codes, distinct = pd.factorize(chromosome)
    number = np.array([ORDER.get(str(name), -1) for name in distinct], dtype=np.int64)[codes]
    return np.where(number < 0, -1, number * _STEP + position)
