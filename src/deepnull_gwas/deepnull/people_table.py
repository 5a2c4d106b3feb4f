"""The table of `deepnull-gwas predict`.

Read as every table of the user is, and given back as it was with more columns.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnull_gwas.cohort.layout import Layout, count_fields, read_layout, refuse_doubled
from deepnull_gwas.cohort.text_table import line_of, refuse_rounded, rows_of
from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.tables import atomic_path
from deepnull_gwas.text import is_number, shorten


@dataclass
class Table:
    """A table of people as text.

    Attributes
    ----------
    path
        Where it was read from.
    layout
        The file as it is.
    texts
        Its rows, trimmed.
    names
        Names of the columns, a ``#`` before the first taken off.
    family
        Whether the first column is the FID.
    """

    path: Path
    layout: Layout
    texts: pa.Table
    names: list[str]
    family: bool

    def __len__(self) -> int:
        return self.texts.num_rows

    @functools.cached_property
    def iids(self) -> list[str]:
        """The IID of each row."""
        return self.column(self.names[self.family])

    @functools.cached_property
    def fids(self) -> list[str]:
        """The FID of each row, ``0`` where there is none."""
        return [f or "0" for f in self.column(self.names[0])] if self.family else ["0"] * len(self)

    @functools.cached_property
    def people(self) -> list[str]:
        """FID and IID, or IID alone, of each row."""
        return [f"{f} {i}" for f, i in zip(self.column(self.names[0]), self.iids)] if self.family else self.iids

    def column(self, name: str) -> list[str]:
        """Return the values of a column as text."""
        return self.texts.column(name).to_pylist()

    def line(self, row: int) -> int:
        """Return the line of the file that holds a row, counted from 0."""
        return line_of(self.texts, row)


def read_people_table(path: str | Path) -> Table:
    """Read a table whose first columns are FID and IID, or IID alone.

    See :func:`deepnull_gwas.cohort.text_table.read_text_table`.

    Raises
    ------
    InputError
        When it cannot be read, has no such columns, a row of another length than the header, an IID that is empty or
        rounded, or a person twice.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a table")
    if not path.exists():
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{path}: no such file{nearest(path.name, names)}")
    layout = read_layout(path, "FID, IID, target and covariates in it, and one row per person")
    names = [n for n in layout.header if n]
    family = bool(names) and names[0] == "FID"
    if names[: 1 + family] != (["FID", "IID"] if family else ["IID"]):
        hint = "Rename or move the ID columns"
        if not any(c.isalpha() for c in "".join(names)):
            hint = "Is the header missing?"
        raise InputError(
            f"{path}: the first columns are {', '.join(shorten(n) for n in names[:2])} (separated by "
            f"{layout.separated_by}); expected FID and IID, or IID alone (a # before the first is "
            f"fine). {hint}"
        )
    refuse_doubled(names, path)
    texts = rows_of(layout)
    if not texts.num_rows:
        raise InputError(f"{path}: has a header but no rows")
    trimmed = pa.table([pc.utf8_trim_whitespace(c) for c in texts.columns], texts.column_names)
    table = Table(path, layout, trimmed.replace_schema_metadata(texts.schema.metadata), texts.column_names, family)
    refuse_rounded(table.iids, texts, "IID", path)
    if "" in table.iids:
        raise InputError(f"{path}: row {table.line(table.iids.index(''))}: no IID")
    if len(set(table.people)) < len(table):
        seen: set[str] = set()
        doubled = [p for p in table.people if p in seen or seen.add(p)]
        raise InputError(
            f"{path}: {len(doubled)} people are there more than once ({some(dict.fromkeys(doubled))}); "
            "one row per person"
        )
    return table


def numbers(table: Table, name: str, missing: Collection[str], hint: str) -> np.ndarray:
    """Return a column as float64, NaN where it is missing.

    Raises
    ------
    InputError
        Naming the first value that is no finite number; ``hint`` says what to do.
    """
    missing = frozenset(missing)
    out = np.full(len(table), np.nan)
    for i, value in enumerate(table.column(name)):
        if value in missing:
            continue
        # not what Python takes for a number: 1_000, nan, digits of other scripts
        wrong = "is no number" if not is_number(value) else "is not finite" if np.isinf(float(value)) else ""
        if wrong:
            raise InputError(
                f"{table.path}: row {table.line(i)} ({shorten(table.people[i])}), column '{name}': '{shorten(value)}' "
                f"{wrong}; {hint}, or add it to "
                "--missing"
            )
        out[i] = float(value)
    return out


def write_with(table: Table, out: str | Path, added: Mapping[str, np.ndarray]) -> None:
    """Write a table with more columns at its end.

    Its lines stay as they are, but for delimiters at their ends that hold nothing.

    Parameters
    ----------
    table, out
        As read, and where it goes (compressed where that ends in .gz).
    added
        float64 by name, one number per row; NaN becomes NA.

    Raises
    ------
    InputError
        When the file has a value over several lines.
    """
    layout = table.layout
    delimiter = " " if layout.blanks else layout.delimiter
    lines = [line.rstrip("\r") for line in layout.raw.decode().split("\n")]
    while not lines[-1].strip():
        lines.pop()
    at = layout.line - 1
    here = [i for i in range(at + 1, len(lines)) if (lines[i].strip() if layout.blanks else lines[i])]
    if len(here) != len(table):
        raise InputError(
            f"{table.path}: a value in quotes goes over several lines, so that the table cannot be given back line by "
            f"line; put it on one"
        )

    def ended(line: str, width: int) -> str:
        if layout.blanks:
            return line.rstrip(" \t")
        for _ in range(width - len(table.names)):
            line = line.rsplit(delimiter, 1)[0]
        return line

    # all rows have as many: more than the header has names where they end in delimiters that hold nothing
    width = len(table.names) if layout.blanks else count_fields(lines[here[0]], delimiter)
    columns = [["NA" if np.isnan(v) else repr(float(v)) for v in values] for values in added.values()]
    lines[at] = delimiter.join([ended(lines[at], len(layout.header)), *added])
    for i, values in zip(here, zip(*columns, strict=True), strict=True):
        lines[i] = delimiter.join([ended(lines[i], width), *values])
    content = ("\n".join(lines) + "\n").encode()
    with atomic_path(out) as temporary:
        # without a time in it, so that the same input gives the same bytes
        temporary.write_bytes(gzip.compress(content, mtime=0) if str(out).endswith(".gz") else content)


# --- who somebody is ----------------------------------------------------------


def _bare(table: Table) -> np.ndarray:
    """Return whose family the table does not know: no FID, 0, or the IID itself."""
    return np.array([f in ("0", i) for f, i in zip(table.fids, table.iids)], dtype=bool)


def digests(texts: Sequence[str], salt: int) -> np.ndarray:
    """Return 8 bytes of a digest of each text, uint64."""
    each = [hashlib.sha256(f"{salt}\x1f{t}".encode()).digest()[:8] for t in texts]
    return np.frombuffer(b"".join(each), dtype=">u8").astype(np.uint64)


def identify(table: Table, rows: np.ndarray, salt: int) -> dict[str, np.ndarray]:
    """Return digests by which :func:`recognise` finds people again, whichever ID columns another table has.

    Returns
    -------
    ``people``: of FID and IID; ``iids``: of all IIDs; ``bare``: of the IIDs of people without a family. Sorted, so that
    they tell nothing of the rows.
    """
    bare = _bare(table)
    of_iids = digests([table.iids[i] for i in rows], salt)
    both = digests([f"{table.fids[i]}\x1f{table.iids[i]}" for i in rows], salt)
    return {"people": np.sort(both), "iids": np.sort(of_iids), "bare": np.sort(of_iids[bare[rows]])}


def recognise(table: Table, known: Mapping[str, np.ndarray], salt: int) -> np.ndarray:
    """Return who of a table is among the people that :func:`identify` saw: bool, one per row.

    Where both tables have a family of somebody, FID and IID must agree; where one of them has none (no FID column, 0,
    or the IID as FID), the IID.
    """
    of_iids = digests(table.iids, salt)
    both = digests([f"{f}\x1f{i}" for f, i in zip(table.fids, table.iids)], salt)
    found = np.isin(both, known["people"]) | np.isin(of_iids, known["bare"])
    return found | (_bare(table) & np.isin(of_iids, known["iids"]))
