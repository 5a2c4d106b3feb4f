"""What a published file is: its name, its rows, its columns or keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deepnull_gwas.tables import Column

#: Wildcards in the names of files, and what they stand for.
WILDCARDS = {
    "cohort": r"[^/]+",
    "study": r"(?!(?:qc|structure|associations|simulated|imported)/)[^/]+",
    "batch": r"[^/]+",
    "arm": r"baseline|deepnull",
    "chunk": r"\d+",
    "fileset": r"\d+",
    "kind": r"svg|pdf",
    "file": r"[^/]+",
    "extension": r"[a-z]+",
}


@dataclass(frozen=True)
class Field:
    """A column of a table, or a key of a JSON file (``a.b`` for b in a, ``a[].b`` for b in each of a list a).

    Attributes
    ----------
    name
        Its name; words in braces stand for names from the data: ``cov_{covariate}``.
    type
        Its type: of a column as in :class:`deepnull_gwas.tables.Column`; ``object`` is any JSON below this key.
    doc
        What it holds, with its unit.
    when
        When it is there; empty for always.
    """

    name: str
    type: str
    doc: str
    when: str = ""

    def matches(self, name: str) -> bool:
        """Return whether a column or key of a file is this one, or lies below it."""
        pattern = re.sub(r"\\\{\w+\\\}", ".+", re.escape(self.name))
        below = r"(?:[.\[].*)?" if self.type == "object" else ""
        return re.fullmatch(pattern + below, name) is not None


@dataclass(frozen=True)
class File:
    """A file, or all files of one kind, under the folder of results.

    Attributes
    ----------
    path
        Its name with wildcards in braces; ``**`` at its end for everything in a folder.
    about
        What it is.
    rows
        What one row is; empty where it is no table.
    fields
        Its columns or keys, in their order; empty where it is neither a table nor JSON.
    when
        When it is there; empty for always.
    """

    path: str
    about: str
    rows: str = ""
    fields: tuple[Field, ...] = ()
    when: str = ""

    @property
    def is_table(self) -> bool:
        """Whether it has columns."""
        return bool(self.rows)

    def matches(self, path: str) -> bool:
        """Return whether a file under the folder of results is this one."""
        parts = re.split(r"\{(\w+)\}|(\*\*)", self.path)
        pattern = ""
        for literal, wildcard, everything in zip(parts[::3], [*parts[1::3], None], [*parts[2::3], None]):
            pattern += re.escape(literal)
            pattern += f"(?:{WILDCARDS[wildcard]})" if wildcard else ".*" if everything else ""
        return re.fullmatch(pattern, path) is not None


def columns(*parts: Column | Field | Sequence[Column] | Iterable[Field]) -> tuple[Field, ...]:
    """Return fields, of schemas that the writer of a table uses and of further ones."""
    fields: list[Field] = []
    for part in parts:
        for one in [part] if isinstance(part, Column | Field) else part:
            if isinstance(one, Column):
                missing = "; may be missing" if one.nullable else ""
                one = Field(one.name, one.dtype, f"{one.doc}{missing}")
            fields.append(one)
    return tuple(fields)


def described(names: Iterable[str], texts: Mapping[str, tuple[str, str]]) -> tuple[Field, ...]:
    """Return the fields of some columns whose type and text stand in a table of texts; each must have one."""
    return tuple(Field(name, *texts[name]) for name in names)


def file_of(path: str, files: Iterable[File]) -> File | None:
    """Return what a file is; None if nothing is known of it."""
    return next((file for file in files if file.matches(path)), None)
