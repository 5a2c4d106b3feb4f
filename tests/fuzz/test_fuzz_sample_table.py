"""Fuzzing of sample tables: what was planted, or a refusal that names file and row."""

from __future__ import annotations

import csv
import gzip
import io
import re
from dataclasses import dataclass, field

import pytest
from fuzzing import (
    MISSING,
    attempt,
    awkward,
    cases,
    column_reading,
    free,
    lookalike,
    missing,
    number,
    same,
    word,
)  # fmt: skip
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.cohort.sample_table import read_sample_table

IDS = [
    "1", "2", "3", "01", "001", "1.0", "10", "1e5", "-9", "p1", "P1", "p-2", "p_3", "7_7", "NA12878", "0", "é", "x'y",
    "$(id)", "{a}", "-rf", "a" * 300,
]  # fmt: skip
NAMES = [
    "age",
    "sex at birth",
    "Age",
    "bmi (kg/m2)",
    "site",
    "x,y",
    "y;z",
    "PC1",
    "é",
    "$(touch pwned)",
    "{b}",
    "<script>",
    "1",
    "-rf",
    "'q'",
]


@dataclass
class Written:
    """A table as planted, its bytes, and what may become of it."""

    name: str
    data: bytes
    ids: list[str]
    columns: dict[str, list[str]]
    #: Nothing is odd about it: it has to be read.
    sound: bool = True
    #: It can have no right reading.
    broken: bool = False
    #: The row that a refusal has to name.
    row: int | None = None
    notes: list[str] = field(default_factory=list)


@st.composite
def tables(draw: st.DrawFn) -> Written:
    """Plant a table, write it in some form, and damage it, perhaps."""
    n = draw(st.integers(1, 8))
    ids = draw(st.lists(st.sampled_from(IDS), min_size=n, max_size=n, unique=True))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    delimiter = draw(st.sampled_from(["\t", "\t", ",", ";", " "]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]))
    kinds = draw(
        st.lists(st.sampled_from(["numbers", "mixed", "words", "awkward"]), min_size=len(names), max_size=len(names))
    )
    of_kind = {
        "numbers": st.one_of(number, number, number, missing),
        "mixed": st.one_of(number, missing, lookalike),
        "words": st.one_of(word, missing, free, number),
        "awkward": st.one_of(word, awkward, number),
    }
    columns = {name: draw(st.lists(of_kind[k], min_size=n, max_size=n)) for name, k in zip(names, kinds)}
    out = Written("t", b"", ids, columns)
    rows = [["IID", *names], *[[i, *(columns[c][r] for c in names)] for r, i in enumerate(ids)]]
    if delimiter == " ":
        # what a form cannot hold is not planted in it: blanks part columns here, and nothing is quoted
        rows = [[c.strip().replace(" ", "_").replace("\n", "_").replace("\t", "_") or "NA" for c in r] for r in rows]
        rows = [[c.replace('"', "''") for c in r] for r in rows]
        out.columns = {n: [r[k] for r in rows[1:]] for k, n in enumerate(rows[0]) if k}
        text = "".join(
            draw(st.sampled_from(["", " "])) + "  ".join(r) + draw(st.sampled_from(["", " "])) + "\n" for r in rows
        )
        out.name = "t.txt"
        out.sound = "," not in rows[0][1] if len(rows[0]) == 2 else True
    elif quoting == csv.QUOTE_NONE:
        text = "".join(delimiter.join(r) + "\n" for r in rows)
        special = {delimiter, "\n", '"'}
        out.sound = not any(special & set(c) for r in rows for c in r)
        # a value that was written in quotes is what is in them
        out.columns = {name: [re.sub(r'^"([^"]*)"$', r"\1", c) for c in values] for name, values in columns.items()}
    else:
        file = io.StringIO()
        csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
        text = file.getvalue()
        # a value over several lines that holds the delimiter may be a quote never closed: it is refused
        out.sound = not any("\n" in c for r in rows for c in r)
    if delimiter in ",;":
        out.name = "t.csv"
        # of a .csv the header tells the delimiter; a name with the other one in it is the user's own trap
        others = set(",;\t") - {delimiter}
        out.sound &= not any(o in c for o in others for c in rows[0])
    elif delimiter == "\t":
        out.name = "t.tsv"
    lines = text.split("\n")
    multiline = any("\n" in c for r in rows for c in r)
    damage = draw(
        st.sampled_from(
            [None] * 12
            + [
                "short",
                "long",
                "twice",
                "no id",
                "twice a column",
                "nul",
                "latin1",
                "utf16",
                "cut gzip",
                "unclosed",
                "no name",
                "quote",
            ]
        )
    )
    at = draw(st.integers(1, n))
    if damage in ("short", "long", "twice", "no id", "unclosed", "nul", "latin1") and (multiline or not out.sound):
        damage = None
    if damage == "short" and delimiter != " ":
        lines[at] = lines[at].rsplit(delimiter, 1)[0] if quoting == csv.QUOTE_NONE and len(names) else lines[at]
        out.broken, out.row = lines[at].count(delimiter) < len(names), at + 1
    elif damage == "long":
        lines[at] += (delimiter if delimiter != " " else " ") + "7"
        out.broken, out.row = True, at + 1
    elif damage == "twice":
        lines.insert(len(rows), lines[at])
        out.broken, out.row = True, at + 1
    elif damage == "no id" and delimiter != " ":
        lines[at] = lines[at].replace(rows[at][0], "", 1) if quoting == csv.QUOTE_NONE else lines[at]
        out.broken, out.row = quoting == csv.QUOTE_NONE, at + 1
    elif damage == "twice a column":
        lines = [
            line + (delimiter if delimiter != " " else " ") + (rows[0][-1] if k == 0 else "3")
            for k, line in enumerate(lines)
            if line
        ]
        out.broken = not multiline and "," not in rows[0][-1] and ";" not in rows[0][-1]
        out.sound = False
    elif damage == "unclosed" and delimiter != " ":
        lines[at] = '"' + lines[at].replace('"', "")
        out.broken = True
    elif damage == "no name" and delimiter != " ":
        lines[0] += delimiter
        lines[1:] = [line + delimiter + "4" if line else line for line in lines[1:]]
        out.broken = not multiline
        out.sound = False
    elif damage == "nul":
        lines[at] = lines[at] + "\0"
        out.broken = True
    elif damage == "quote" and delimiter != " ":
        lines[at] = lines[at].replace(delimiter, delimiter + '"', 1)
        out.sound = False
    out.notes.append(str(damage))
    if damage is None and out.sound and not multiline and delimiter != " " and draw(st.integers(0, 5)) == 0:
        # delimiters at the ends of all rows, or below the header
        ends = delimiter * draw(st.integers(1, 2))
        below = draw(st.booleans())
        lines = [line + ends if line and (k or not below) else line for k, line in enumerate(lines)]
    text = "\n".join(lines)
    hashed = draw(st.sampled_from([False, False, True])) and text[0] not in '" '
    before = draw(st.sampled_from(["", "", "", "## made by us\n", "# a b\n\n", "\n", "sep"]))
    if before == "sep":
        before = f"sep={delimiter}\n" if delimiter != " " else ""
        # what parts the columns is said: nothing is left to tell from the names
        out.sound |= bool(before) and quoting != csv.QUOTE_NONE and damage is None and not multiline
    text = before + ("#" if hashed else "") + text
    out.row = None if out.row is None else out.row + before.count("\n")
    if draw(st.booleans()) and not multiline:
        text = text.replace("\n", draw(st.sampled_from(["\r\n", "\r"])))
        # a blank line between lines that end in \r alone is none
    if draw(st.sampled_from([False, False, True])):
        text = text.rstrip("\r\n")
    data = text.encode()
    if damage == "latin1":
        data = data[:-1] + b"\xe9" + data[-1:]
        out.broken = True
    elif damage == "utf16":
        data = text.encode("utf-16")
        out.broken = True
    elif draw(st.sampled_from([False, False, True])):
        data = b"\xef\xbb\xbf" + data
    if damage == "cut gzip":
        data = gzip.compress(data, mtime=0)[:-3]
        out.name += ".gz"
        out.broken = True
    elif draw(st.sampled_from([False, False, False, True])):
        data = gzip.compress(data, mtime=0)
        out.name += ".gz"
    if len({c.lstrip("#") if k == 0 else c for k, c in enumerate(rows[0])}) < len(rows[0]):
        out.broken = True
    out.data = data
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@cases(0.2)
@given(table=tables())
def test_sample_tables(folder, table):
    path = folder / table.name
    path.write_bytes(table.data)
    found = attempt("sample table", lambda: read_sample_table(path, missing_values=MISSING), str(path), row=table.row)
    if found is None:
        assert table.broken or not table.sound, f"a sound table was refused: {table}"
        return
    assert not table.broken, f"accepted: {table}"
    assert found.keys.tolist() == table.ids
    assert list(found.columns) == [c.strip() for c in table.columns]
    for name, texts in table.columns.items():
        assert same(found.columns[name.strip()], column_reading(texts)), (
            name,
            texts,
            found.columns[name.strip()].tolist(),
        )
