"""Tables of variants of PLINK 2: .pvar and .pvar.zst, piece by piece, with alternative alleles split; a VCF's first
columns are read alike."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.variant_table import check_variants
from deepnull_gwas.text import plain

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

#: Bytes that are taken at once.
PIECE = 16 << 20
#: Longest line that is taken for one.
LONGEST_LINE = 64 << 20
_NEEDED = ("CHROM", "POS", "ID", "REF", "ALT")
#: A flag of the INFO column: the reference allele is a guess (PLINK 2 sets it for what comes from a .bed).
_PROVISIONAL = re.compile(rb"##INFO=<ID=PR,")


@dataclass(frozen=True)
class Pvar:
    """The variants of a .pvar, one row per alternative allele.

    Attributes
    ----------
    variants
        chromosome (normalised), position, id, effect_allele (the alternative one), other_allele (the reference).
    row
        int64, the row of the genotypes, from 0.
    allele
        int32, which of the row's alternative alleles, from 1.
    allele_offsets
        uint64, one more than rows: numbers of alleles before each row, as Pgenlib wants them; None where all rows have
        two.
    provisional
        bool, whether the reference is a guess.
    """

    variants: pd.DataFrame
    row: np.ndarray
    allele: np.ndarray
    allele_offsets: np.ndarray | None
    provisional: np.ndarray


def read_pvar(path: str | Path, n_rows: int | None = None) -> Pvar:
    """Read and check a .pvar or .pvar.zst.

    Parameters
    ----------
    path
        The file. Without a header (a row that begins with #CHROM) the columns are those of a .bim.
    n_rows
        Number of variants of the .pgen; reading stops where there are more.

    Raises
    ------
    InputErrors
        When columns or fields are missing, positions are no whole numbers, chromosomes unknown, alleles the same, or
        rows are not as many as the .pgen's.
    """
    parts, head = _parts(str(path), n_rows)
    return _expand(str(path), parts, head + 1)


def _parts(path: str, n_rows: int | None) -> tuple[list[pl.DataFrame], int]:
    """Read all pieces of a file; also return the number of rows before the first variant."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; a PLINK 2 fileset needs .pgen, .pvar (or .pvar.zst) and .psam")
    parts, count = [], 0
    with open(path, "rb") as raw, _text(path, raw) as stream:
        names, head, flagged, first = _read_head(path, stream)
        for piece in _pieces(path, stream, first):
            parts.append(_parse(path, piece, names, head + count + 1, flagged))
            count += len(parts[-1])
            if n_rows is not None and count > n_rows:
                raise InputError(
                    f"{path}: more than the {n_rows:,} variants that the .pgen has; take the one that was made with it"
                )
    if n_rows is not None and count != n_rows:
        raise InputError(
            f"{path}: {count:,} variants, but the .pgen has {n_rows:,}; take the one that was made with it"
        )
    if not parts:
        raise InputError(f"{path}: lists no variants")
    return parts, head


def read_sites(path: str | Path) -> Iterator[pl.DataFrame]:
    """Go through the variants of a .pvar, .pvar.zst, or a VCF as text or gzip, whose REF is the reference.

    Yields
    ------
    CHROM (as written), POS, ID, REF, ALT: a row per alternative allele.

    Raises
    ------
    InputErrors
        As :func:`read_pvar`; where the head says that reference alleles may be guesses.
    """
    import polars as pl

    path, count = str(path), 0
    with open(path, "rb") as raw, _text(path, raw) as stream:
        names, head, flagged, first = _read_head(path, stream)
        if flagged or "REF" not in names or names[0] != "CHROM" or not head:
            raise InputError(
                f"{path}: its reference alleles may be guesses (by the flag PR in its head, or as it has no head); "
                "give a table of variants whose REF is known, or a FASTA"
            )
        for piece in _pieces(path, stream, first):
            part = _parse(path, piece, names, head + count + 1, False)
            count += len(part)
            yield part.with_columns(pl.col("ALT").str.split(",")).explode("ALT")
    if not count:
        raise InputError(f"{path}: lists no variants")


def marks_guesses(path: str | Path) -> bool:
    """Return whether the head of a .pvar or .pvar.zst declares the flag of reference alleles that are guesses."""
    with open(path, "rb") as raw, _text(str(path), raw) as stream:
        return _read_head(str(path), stream)[2]


def count_alternatives(path: str | Path, n_rows: int) -> np.ndarray:
    """Count the alternative alleles of each row of a .pvar or .pvar.zst that was read before.

    Returns
    -------
    int64, one per row.

    Raises
    ------
    InputError
        As :func:`read_pvar`, but for what is wrong with variants.
    """
    return np.concatenate([_count(part) for part in _parts(str(path), n_rows)[0]])


def places_of(alternatives: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return row, allele and allele_offsets (see :class:`Pvar`) for numbers of alternative alleles."""
    row = np.repeat(np.arange(len(alternatives), dtype=np.int64), alternatives)
    before = np.cumsum(alternatives) - alternatives
    allele = (np.arange(len(row)) - np.repeat(before, alternatives) + 1).astype(np.int32)
    if len(row) == len(alternatives):
        return row, allele, None
    return row, allele, np.concatenate([[0], np.cumsum(alternatives + 1)]).astype(np.uint64)


def _count(part: pl.DataFrame) -> np.ndarray:
    return (part["ALT"].str.count_matches(",", literal=True) + 1).to_numpy().astype(np.int64)


def _text(path: str, raw: BinaryIO) -> io.BufferedReader:
    """Return what reads the text of a file, compressed or not."""
    if path.endswith((".gz", ".bgz")):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 20)
    if not path.endswith(".zst"):
        return io.BufferedReader(raw, 1 << 20)
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=1 << 28).stream_reader(raw, read_across_frames=True)
    return io.BufferedReader(reader, 1 << 20)


def _line(path: str, stream: io.BufferedReader, row: int) -> bytes:
    """Read one line; an empty one at the end of the file."""
    try:
        line = stream.readline(LONGEST_LINE)
    except Exception as error:  # zstandard has its own
        raise InputError(f"{path}: damaged ({plain(error)}); copy it again from its source") from None
    if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
        raise InputError(f"{path}: row {row} is longer than {LONGEST_LINE:,} bytes; is this a .pvar?")
    return line


def _read_head(path: str, stream: io.BufferedReader) -> tuple[list[str], int, bool, bytes]:
    """Read up to the first variant.

    Returns
    -------
    Names of the columns, number of rows before the first variant, whether flags of guessed references are declared, and
    that first row.
    """
    head, flagged = 0, False
    while (line := _line(path, stream, head + 1)).startswith(b"##"):
        flagged |= _PROVISIONAL.match(line) is not None
        head += 1
    if line.startswith(b"#"):
        names = line[1:].decode("utf-8", "replace").split()
        if missing := [name for name in _NEEDED if name not in names]:
            raise InputError(
                f"{path}: row {head + 1} names no column {some(missing)}; found {some(map(plain, names), 12)}, "
                "expected #CHROM POS ID REF ALT"
            )
        return names, head + 1, flagged and "INFO" in names, _line(path, stream, head + 2)
    width = len(line.split())
    if width not in (5, 6):
        raise InputError(
            f"{path}: row {head + 1} has {width} fields, and no row before it begins with #CHROM; expected such a "
            "header, or the columns of a .bim"
        )
    names = ["CHROM", "ID", "CM", "POS", "ALT", "REF"]
    return [n for n in names if width == 6 or n != "CM"], head, False, line


def _pieces(path: str, stream: io.BufferedReader, first: bytes) -> Iterator[bytes]:
    """Go through the rest of a file in pieces of whole lines."""
    rest = first
    while True:
        try:
            data = stream.read(PIECE)
        except Exception as error:  # zstandard has its own
            raise InputError(f"{path}: damaged ({plain(error)}); copy it again from its source") from None
        rest += data
        if not data:
            break
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > LONGEST_LINE:
            raise InputError(f"{path}: a row is longer than {LONGEST_LINE:,} bytes; is this a .pvar?")
    if rest.strip():
        yield rest


def _parse(path: str, piece: bytes, names: list[str], row: int, flagged: bool) -> pl.DataFrame:
    """Parse lines, the first of which is number ``row``: CHROM, POS (int64), ID, REF, ALT and, where flags are
    declared, INFO."""
    import polars as pl

    if b"\0" in piece:
        raise InputError(
            f"{path}: row {row + piece[: piece.index(0)].count(10)} has a zero byte; expected text (UTF-8)"
        )
    lines = piece.count(b"\n") + (not piece.endswith(b"\n"))
    if piece.count(b"\t") < lines:
        piece = b"\n".join(b"\t".join(line.split()) for line in piece.splitlines())
    wanted = [*_NEEDED, "INFO"] if flagged else list(_NEEDED)
    places = {names.index(name): name for name in wanted}
    try:
        frame = pl.read_csv(
            io.BytesIO(piece),
            has_header=False,
            separator="\t",
            columns=sorted(places),
            quote_char=None,
            infer_schema=False,
            truncate_ragged_lines=True,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{path}: rows from {row:,} on cannot be read ({plain(error)}); expected {len(names)} fields, in UTF-8"
        ) from None
    if len(frame) == lines and len(frame.columns) == len(places):
        frame.columns = [places[i] for i in sorted(places)]
    else:
        raise InputError(f"{path}: from row {row:,} on there are empty rows, or such of fewer than {len(names)} fields")
    position = frame["POS"].cast(pl.Int64, strict=False)
    bad = np.flatnonzero(
        (frame.select(pl.any_horizontal(pl.col(wanted).is_null())).to_series() | position.is_null()).to_numpy()
    )
    if bad.size:
        shown = plain(" ".join(str(v) for v in frame.row(int(bad[0]))))
        raise InputError(
            f"{path}: row {row + int(bad[0]):,} has fewer than {len(names)} fields, or no whole number for its "
            f"position ({shown})"
        )
    return frame.with_columns(position.alias("POS"))


def _expand(path: str, parts: list[pl.DataFrame], first: int) -> Pvar:
    """Put pieces together, and make a row of each alternative allele."""
    import polars as pl

    whole = pl.concat(parts)
    provisional = np.zeros(len(whole), dtype=bool)
    if "INFO" in whole.columns:
        provisional = whole["INFO"].str.contains(r"(^|;)PR(;|$)").to_numpy()
    alternatives = _count(whole)
    row, allele, offsets = places_of(alternatives)
    if offsets is not None:
        whole = whole.with_columns(pl.col("ALT").str.split(",")).explode("ALT")
    text = {name: whole[name].to_numpy().astype(object) for name in ("CHROM", "ID", "REF", "ALT")}
    frame = check_variants(
        path, text["CHROM"], whole["POS"].to_numpy(), text["ID"], text["ALT"], text["REF"], first=row + first
    )
    return Pvar(frame, row, allele, offsets, provisional[row])
