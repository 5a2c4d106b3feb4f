"""Tables of people of the newer formats (.psam, .sample), read to what a .fam is read to: fid, iid and sex."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputError, InputErrors, some
from deepnull_gwas.text import plain, shorten

logger = logging.getLogger(__name__)

_SEX = {"1": 1, "m": 1, "male": 1, "2": 2, "f": 2, "female": 2}
_UNKNOWN_SEX = ("0", "na", "nan", "-9", ".", "")
#: What the second row of a .sample says of a column.
_TYPES = {"0", "D", "C", "P", "B"}
#: Family ID of people without one.
NO_FAMILY = "0"


def people_table(
    path: str,
    fid: Sequence[str] | None,
    iid: Sequence[str],
    sex: Sequence[str] | None,
    rows: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return a checked table of people.

    Parameters
    ----------
    path
        The file, for messages.
    fid, iid, sex
        Of each person; without families all have ``0``. Sex is 1, M or male, 2, F or female, in any case of letters;
        the rest is unknown.
    rows
        Number of each person's row in the file, for messages; from 1 if None.

    Returns
    -------
    fid, iid (text) and sex (int8: 1 male, 2 female, 0 unknown).

    Raises
    ------
    InputError
        When people are there twice, or have no ID.
    """
    fid = [NO_FAMILY] * len(iid) if fid is None else fid
    rows = range(1, len(iid) + 1) if rows is None else rows
    if empty := [row for row, name in zip(rows, iid) if not name]:
        raise InputError(f"{path}: {len(empty):,} people without an identifier (rows {some(empty)}); give each one")
    people = pd.Series([f"{f} {i}" for f, i in zip(fid, iid)], dtype=object)
    twice = people[people.duplicated(keep=False)]
    if not twice.empty:
        shown = [
            f"{shorten(name, 30)} (rows {', '.join(str(rows[i]) for i in same.index[:4])})"
            for name, same in twice.groupby(twice, sort=False)
        ]
        raise InputError(
            f"{path}: {len(shown)} people (FID IID) are there more than once: {some(shown, 3)}; keep one row per person"
        )
    codes = [s.lower() for s in sex] if sex is not None else ["0"] * len(iid)
    if odd := [s for s in dict.fromkeys(codes) if s not in _SEX and s not in _UNKNOWN_SEX]:
        count = sum(code in odd for code in codes)
        logger.warning(
            "%s: sex is %s for %d people; taken as unknown (1, M male; 2, F female)",
            path,
            some(map(plain, odd)),
            count,
        )
    number = np.array([_SEX.get(code, 0) for code in codes], dtype=np.int8)
    return pd.DataFrame({"fid": np.array(fid, dtype=object), "iid": np.array(iid, dtype=object), "sex": number})


def read_psam(path: str | Path) -> pd.DataFrame:
    """Read and check a .psam of PLINK 2.

    Returns
    -------
    As :func:`people_table`. Without a header (a row that begins with #FID or #IID) the columns are those of a .fam.

    Raises
    ------
    InputErrors
        When rows have another number of fields than the header names, or people are there twice.
    """
    path = str(path)
    lines = _read_lines(path, "a PLINK 2 fileset needs .pgen, .pvar (or .pvar.zst) and .psam")
    head = 0
    while head < len(lines) and lines[head].startswith("#") and lines[head].split()[:1] not in (["#FID"], ["#IID"]):
        head += 1
    if head < len(lines) and lines[head].startswith("#"):
        names = lines[head][1:].split()
        head += 1
    else:
        width = len(lines[head].split()) if head < len(lines) else 6
        names = ["FID", "IID", "PAT", "MAT", "SEX", "PHENO1"][: min(width, 6)] + [
            f"column {i}" for i in range(7, width + 1)
        ]
    upper = [name.upper() for name in names]
    if "IID" not in upper or len(set(upper)) < len(upper):
        raise InputError(f"{path}: its columns are {some(map(plain, names), 12)}; expected IID, and each name once")
    fields, rows = _split(path, lines, head, names)
    column = {name: [f[i] for f in fields] for i, name in enumerate(upper) if name in ("FID", "IID", "SEX")}
    return people_table(path, column.get("FID"), column["IID"], column.get("SEX"), rows)


def read_sample(path: str | Path) -> pd.DataFrame:
    """Read and check a .sample (Oxford's format, as qctool and PLINK 2 write it).

    Returns
    -------
    As :func:`people_table`: ID_1 is the family, ID_2 the person. Where the second column is no identifier, the first is
    the person.

    Raises
    ------
    InputErrors
        When the two rows of its head are not there, rows have another number of fields, or people are there twice.
    """
    path = str(path)
    lines = _read_lines(path, "name the .sample that belongs to the .bgen")
    names = lines[0].split() if lines else []
    types = lines[1].split() if len(lines) > 1 else []
    if len(names) != len(types) or not names or not set(types) <= _TYPES or types[0] != "0":
        raise InputError(
            f"{path}: not a .sample: its first two rows are '{plain(' '.join(names))}' and "
            f"'{plain(' '.join(types))}'; expected names of the columns, as 'ID_1 ID_2 missing sex', and what they "
            "hold, as '0 0 0 D' (https://www.cog-genomics.org/plink/2.0/formats#sample)"
        )
    lower = [name.lower() for name in names]
    two = len(names) > 1 and types[1] == "0" and lower[1] != "missing"
    fields, rows = _split(path, lines, 2, names)
    sex = [f[lower.index("sex")] for f in fields] if "sex" in lower else None
    first = [f[0] for f in fields]
    return people_table(path, first if two else None, [f[1] for f in fields] if two else first, sex, rows)


def check_identifiers(
    people: pd.DataFrame, identifiers: Sequence[str] | None, n_samples: int, sample: str, bgen: str
) -> None:
    """Check that a .sample lists the people of a BGEN file, in its order.

    Parameters
    ----------
    people
        From :func:`read_sample`.
    identifiers
        Those in the BGEN file, None where it has none; each is a person's ID, or family's and person's joined by a
        space or an underscore.
    n_samples
        Number of people in the BGEN file.
    sample, bgen
        The files.

    Raises
    ------
    InputError
        Naming the first person that differs.
    """
    if len(people) != n_samples:
        raise InputError(
            f"{sample}: {len(people):,} people, but {bgen} has {n_samples:,}; name the .sample that was made with "
            "this .bgen"
        )
    if identifiers is None:
        return
    fid, iid = people["fid"].tolist(), people["iid"].tolist()
    for row, (f, i, name) in enumerate(zip(fid, iid, identifiers)):
        if name not in (i, f"{f} {i}", f"{f}_{i}", f):
            wrong = sum(n not in (b, f"{a} {b}", f"{a}_{b}", a) for a, b, n in zip(fid, iid, identifiers))
            same = (
                "they are the same people in another order" if set(iid) == set(identifiers) else "they are other people"
            )
            raise InputError(
                f"{sample}: row {row + 3:,} is '{plain(f, 40)} {plain(i, 40)}', but person {row + 1:,} of {bgen} is "
                f"'{plain(name, 40)}' ({wrong:,} of {n_samples:,} differ: {same}); name the .sample that was made "
                "with this .bgen"
            )


def _read_lines(path: str, missing: str) -> list[str]:
    """Read the lines of a text file, without blank ones at its end."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; {missing}")
    data = Path(path).read_bytes()
    if b"\0" in data:
        row = data[: data.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{path}: row {row} has a zero byte; expected text (UTF-8)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: row {row} is not UTF-8 text; save it as UTF-8") from None
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _split(path: str, lines: list[str], head: int, names: Sequence[str]) -> tuple[list[list[str]], list[int]]:
    """Split lines below the head into fields at blanks; also return the numbers of their rows."""
    fields = [line.split() for line in lines[head:]]
    rows = list(range(head + 1, len(lines) + 1))
    if not fields:
        raise InputError(f"{path}: lists no people")
    if wrong := [(row, len(f)) for row, f in zip(rows, fields) if len(f) != len(names)]:
        shown = some([f"row {row}: {count}" for row, count in wrong], 3)
        raise InputErrors(
            [
                f"{path}: {len(wrong):,} rows have not the {len(names)} fields of the header ({shown}); identifiers "
                "may hold no blanks, and an empty cell is written NA"
            ]
        )
    return fields, rows
