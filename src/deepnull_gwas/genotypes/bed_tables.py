"""The tables of a PLINK 1 fileset, .bim and .fam, read and checked."""

from __future__ import annotations

import csv
import logging
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputError, InputErrors, some
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.bed_files import check_header, count_lines
from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.text import shorten

logger = logging.getLogger(__name__)

_BIM = ["chromosome", "identifier", "centimorgan", "position", "A1", "A2"]
_FAM = ["FID", "IID", "father", "mother", "sex", "phenotype"]

#: A tabix index (.tbi) holds positions below 2^29 (SAM/BAM specification, 5.3).
LAST_POSITION = 2**29

#: What pandas-plink reads otherwise than PLINK: quotes are a character like any other, and a zero byte ends no text. In
#: a .bim, a number of ten digits or more as well: as a position it would wrap around in 32 bits, unseen.
_READ_OTHERWISE = {"bim": re.compile(rb'["\0]|[ \t][+-]?[0-9]{10}'), "fam": re.compile(rb'["\0]')}


def _read_by_pandas_plink(path: str, kind: str, head: int) -> pd.DataFrame:
    """Read a .bim or .fam by pandas-plink, but for the rows of its head.

    The only place that touches pandas-plink. Its public reader opens the .bed as well and takes the path for a glob
    pattern; its readers of the two tables do neither.
    """
    os.environ["DISABLE_PANDERA_IMPORT_WARNING"] = "True"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its dependencies say at import concerns nobody here
        from pandas_plink import _read

        read = {"bim": _read._read_bim_noi, "fam": _read._read_fam_noi}[kind]
        with open(path, "rb") as file:
            for _ in range(head):
                file.readline()
            return read(file)


def _read_plink_table(path: str, kind: str, names: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Read a .bim or .fam; where anything is odd, go through its lines to say in which row.

    Returns
    -------
    The table, and the number of header rows before it, which are no part of it.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; a PLINK fileset needs .bed, .bim and .fam")
    lines = count_lines(path)
    if lines == 0 or Path(path).stat().st_size == 0:
        raise InputError(f"{path}: is empty")
    if head := check_header(path, kind):
        logger.warning(
            "%s: begins with %d header row%s, which %s skipped, as PLINK does",
            path, head, "s" if head > 1 else "", "are" if head > 1 else "is",
        )  # fmt: skip
    frame, why = None, ""
    try:
        frame = _read_by_pandas_plink(path, kind, head)
    except (ValueError, OverflowError) as error:  # pandas' parser errors are ValueErrors
        why = str(error)
    texts = [0, 1, 4, 5] if kind == "bim" else range(6)
    sound = (
        frame is not None
        and len(frame) == lines
        and isinstance(frame.index, pd.RangeIndex)
        and not any(frame.iloc[:, i].isna().any() for i in texts)
        and not _has(path, _READ_OTHERWISE[kind])
    )
    if not sound:
        frame = None  # freed before its successor is read
        frame = _read_verbatim(path, kind, names, lines, head)
    if frame is None:
        frame = _read_line_by_line(path, kind, names, why, head)
    return frame, head


def _read_verbatim(path: str, kind: str, names: Sequence[str], lines: int, head: int) -> pd.DataFrame | None:
    """Read a whole .bim or .fam with quotes as letters and NA as a name; None where anything else is to be said of it.

    Of one quote in an ID the reader line by line would make three times the memory and time.
    """
    types = dict.fromkeys(range(7), "str")
    if kind == "bim":
        types |= {2: "category", 3: np.int64}
    try:
        # seven columns, so that a field too many is seen
        frame = pd.read_csv(
            path, sep=r"\s+", header=None, names=range(7), dtype=types, quoting=csv.QUOTE_NONE, na_filter=False,
            engine="c", skiprows=head,
        )  # fmt: skip
    except (ValueError, OverflowError):
        return None
    whole = len(frame) == lines and isinstance(frame.index, pd.RangeIndex)
    whole &= bool((frame[6] == "").all()) and not any((frame[i] == "").any() for i in range(6))
    if not whole or (kind == "bim" and int(frame[3].max()) >= 2**31) or _has(path, re.compile(rb"\0")):
        return None
    return frame.iloc[:, :6].set_axis(list(names), axis=1)


def _has(path: str, pattern: re.Pattern[bytes]) -> bool:
    """Return whether a file holds what a pattern of at most 16 bytes finds."""
    with open(path, "rb") as file:
        tail = b""
        while block := file.read(1 << 22):
            if pattern.search(tail + block):
                return True
            tail = block[-16:]
    return False


def _read_line_by_line(path: str, kind: str, names: Sequence[str], why: str, head: int) -> pd.DataFrame:
    """Raise naming the rows of a .bim or .fam that are wrong; return it if it is right (an ID may be called NA)."""
    problems, rows = [], []
    try:
        lines = Path(path).read_text(encoding="utf-8").rstrip("\r\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from None
    for number, line in enumerate(lines[head:], head + 1):
        # PLINK's white space, not that of Unicode
        fields = line.replace("\t", " ").strip(" \r").split(" ")
        fields = [f for f in fields if f]
        if "\0" in line:
            problems.append(f"row {number} holds a zero byte: this is no text")
        elif len(fields) != 6:
            problems.append(f"row {number} has {len(fields)} fields")
        elif kind == "bim" and not _is_integer(fields[3]):
            problems.append(f"row {number}: position '{shorten(fields[3])}' is no whole number below 2^31")
        rows.append(fields)
        if len(problems) > 100:
            break
    if problems:
        raise InputError(f"{path}: expected 6 fields a row ({', '.join(names)}); {some(problems, 3)}")
    frame = pd.DataFrame(rows, columns=list(names), dtype=object)
    if kind == "bim":
        frame[names[3]] = frame[names[3]].astype(np.int64)
    elif why:
        logger.info("%s: read line by line (%s)", path, why)
    return frame


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 10 and int(text) < 2**31


def read_bim(path: str) -> pd.DataFrame:
    """Read and check a .bim.

    Returns
    -------
    chromosome (normalised), position (int64), id, effect_allele (A1, column 5), other_allele (A2, column 6), in file
    order.

    Raises
    ------
    InputErrors
        When rows have not six fields, positions are no whole numbers, negative or beyond 2^29, chromosomes are unknown,
        or the two alleles are the same.
    """
    raw, head = _read_plink_table(path, "bim", _BIM)
    first = head + 1
    code = raw.iloc[:, 0].astype(object)
    names = {c: normalise(c) for c in code.unique()}
    chromosome = code.map(names)
    position = raw.iloc[:, 3].to_numpy(dtype=np.int64)
    a1, a2 = (raw.iloc[:, i].to_numpy(dtype=object) for i in (4, 5))
    # PLINK 2's way to write an unknown allele
    a1, a2 = (np.where(a == ".", "0", a) for a in (a1, a2))
    problems = []
    if unknown := [c for c, name in names.items() if name is None]:
        rows = np.flatnonzero(code.isin(unknown).to_numpy())
        problems.append(
            f"{path}: {len(rows)} variants on unknown chromosomes {some([repr(c) for c in unknown])} (rows "
            f"{some(rows + first)}); known are 1-22, "
            "X, Y, XY, MT, 23-26, PAR1, PAR2, with or without 'chr'; remove the others: plink2 --bfile … --chr 1-26 "
            "--make-bed --out …"
        )
    if (negative := np.flatnonzero(position < 0)).size:
        problems.append(
            f"{path}: {negative.size} variants have a negative position (rows {some(negative + first)}); PLINK leaves "
            "such variants out, so do the "
            "same: plink2 --bfile … --make-bed --out …"
        )
    if (far := np.flatnonzero(position >= LAST_POSITION)).size:
        shown = some([f"row {i + first}: {position[i]}" for i in far], 3)
        problems.append(
            f"{path}: {far.size} variants have a position of {LAST_POSITION:,} or more ({shown}), beyond what a tabix "
            "index can hold and twice "
            "as far as any human chromosome goes; correct these positions, or leave the variants out: plink2 --exclude"
        )
    if (same := np.flatnonzero((in_capitals(a1) == in_capitals(a2)) & (a1 != "0"))).size:
        shown = some([f"row {i + first}: {a1[i]} {a2[i]}" for i in same], 3)
        problems.append(
            f"{path}: {same.size} variants have the same allele twice ({shown}); expected two alleles, 0 for an "
            "unknown one"
        )
    if problems:
        raise InputErrors(problems)
    return pd.DataFrame(
        {
            "chromosome": chromosome.to_numpy(dtype=object),
            "position": position,
            "id": raw.iloc[:, 1].to_numpy(dtype=object),
            "effect_allele": a1,
            "other_allele": a2,
        }
    )


def read_fam(path: str) -> pd.DataFrame:
    """Read and check a .fam.

    Returns
    -------
    fid, iid (text) and sex (int8: 1 male, 2 female, 0 unknown), in file order. Its phenotype is not used.

    Raises
    ------
    InputErrors
        When rows have not six fields, or people are repeated.
    """
    raw, head = _read_plink_table(path, "fam", _FAM)
    first = head + 1
    fid, iid, sex = (raw.iloc[:, i].astype(object) for i in (0, 1, 4))
    if (comments := np.flatnonzero(fid.str.startswith("#").to_numpy())).size:
        raise InputError(
            f"{path}: rows {some(comments + first)} begin with #, which marks a comment, but only the head of the file "
            "may hold any; remove "
            "these rows, or give the families other IDs"
        )
    people = fid + " " + iid
    twice = people[people.duplicated(keep=False)]
    if not twice.empty:
        shown = [
            f"{shorten(name, 30)} (rows {', '.join(str(i + first) for i in rows.index[:4])})"
            for name, rows in twice.groupby(twice, sort=False)
        ]
        raise InputError(
            f"{path}: {len(shown)} people (FID IID) are there more than once: {some(shown, 3)}; keep one row per person"
        )
    odd = ~sex.isin(["0", "1", "2", "-9", "NA", "nan"])
    if odd.any():
        logger.warning(
            "%s: sex is %s for %d people; taken as unknown (1 male, 2 female)",
            path,
            some(sex[odd].unique()),
            int(odd.sum()),
        )
    if not raw.iloc[:, 5].isin(["-9", "0", "NA"]).all():
        logger.info("%s: its phenotype column is not used; phenotypes come from the sample table", path)
    return pd.DataFrame({"fid": fid, "iid": iid, "sex": sex.map({"1": 1, "2": 2}).fillna(0).astype(np.int8)})
