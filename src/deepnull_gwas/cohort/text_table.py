"""Text tables of the user: from bytes to columns of text, nothing guessed but the delimiter."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from deepnull_gwas.cohort.layout import Layout, read_layout, refuse_late_comments
from deepnull_gwas.cohort.layout import line_of as line_at
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.text import is_number

#: What stands for a missing value in tables that other tools write.
MISSING = ("", "NA", "NaN", "nan", "-nan", "N/A", "n/a", "NULL", "null", ".")
#: Metadata of a table's schema: the line of its header, its blank lines, and its comments.
_PLACE, _COMMENTS = b"deepnull_gwas.place", b"deepnull_gwas.comments"
#: A number as spreadsheets print one of eleven digits or more, whatever the last of them are.
_ROUNDED = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+[1-9][0-9]+")


def read_text_table(
    path: str | Path, kind: str = "one row per person", hash_header: bool = True, quoted: bool | None = True
) -> pa.Table:
    """Read a table with a header as text: TSV, CSV (commas or semicolons), or separated by blanks; also gzipped.

    Parameters
    ----------
    path, kind, hash_header, quoted
        As for :func:`deepnull_gwas.cohort.layout.read_layout`. Lines of comment before the header, a line ``sep=``, and
        delimiters that end every row and hold nothing are left out.

    Returns
    -------
    Columns of text, untrimmed, in the order of the file. A ``#`` before the first name is taken off; names may be there
    twice. :func:`line_of` returns the line of a row, :func:`comments_of` the lines of comment.

    Raises
    ------
    InputError
        When it is no text in UTF-8, has rows of another length than the header, a column without a name, a line of
        comment below the header, or quotes that are not closed.
    """
    return rows_of(read_layout(path, kind, hash_header, quoted=quoted))


def rows_of(layout: Layout) -> pa.Table:
    """Read the rows of a table; see :func:`read_text_table`."""
    path, header = layout.path, list(layout.header)
    refuse_late_comments(layout)
    while len(header) > 1 and not header[-1]:
        header.pop()
    if "" in header:
        hint = ""
        if header.index("") == 0 and len(header) > 1:
            hint = "; row names? (R: write.csv(..., row.names = FALSE))"
        raise InputError(
            f"{path}: column {header.index('') + 1} of {len(layout.header)} has no name in the header{hint}"
        )
    table, bad = _parse(layout, len(layout.header))
    lengths = {found for _, found in bad}
    if bad and not table.num_rows and len(lengths) == 1 and (length := lengths.pop()) >= len(header):
        # all rows alike: the header or the rows end in delimiters that the others lack
        wider, more = _parse(layout, length)
        if not more and all(_is_empty(wider.column(i)) for i in range(len(header), length)):
            table, bad = wider, []
    if bad:
        raise InputError(_other_lengths(layout, len(header), bad, table.num_rows))
    for i in range(len(header), table.num_columns):
        if not _is_empty(table.column(i)):
            raise InputError(f"{path}: column {i + 1} of {table.num_columns} has no name in the header")
    place = json.dumps([layout.line, layout.blank_lines]).encode()
    table = table.select(range(len(header))).rename_columns(header)
    return table.replace_schema_metadata({_PLACE: place, _COMMENTS: json.dumps(layout.comments).encode()})


def _parse(layout: Layout, width: int) -> tuple[pa.Table, list[tuple[int | None, int]]]:
    """Return rows of ``width`` fields, and of each other row its number (the header is 1) and its number of fields."""
    # columns go by their number while reading: names may be there twice, which is said with the other problems of the
    # header
    numbers = [str(i) for i in range(width)]
    bad: list[tuple[int | None, int]] = []

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        bad.append((row.number, row.actual_columns))
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(layout.body),
            pyarrow.csv.ReadOptions(column_names=numbers, skip_rows=1, use_threads=False, block_size=1 << 24),
            pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quoted else False,
                newlines_in_values=layout.quoted,
                invalid_row_handler=refuse,
            ),
            pyarrow.csv.ConvertOptions(column_types={n: pa.string() for n in numbers}, strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise InputError(f"{layout.path}: cannot be read as a table ({error})") from None
        table = pa.table({n: pa.array([], pa.string()) for n in numbers})
    return table, bad


def _is_empty(column: pa.ChunkedArray) -> bool:
    return pc.max(pc.binary_length(pc.utf8_trim_whitespace(column))).as_py() in (None, 0)


def _other_lengths(layout: Layout, width: int, bad: Sequence[tuple[int | None, int]], good: int) -> str:
    """Return the message about rows with another number of fields, and why that may be."""
    shown = some(
        [
            f"row {line_in(layout, number - 2)} has {found}" if number is not None else f"one has {found}"
            for number, found in bad
        ],
        3,
    )
    hint = ""
    if all(found == width + 1 for _, found in bad):
        if good:
            hint = "; do they end in a delimiter that the others lack?"
        else:
            hint = "; row names without a name in the header? (R: write.table(..., row.names = FALSE))"
    elif layout.blanks:
        hint = "; an empty value in a table separated by blanks is written NA, and one with a blank in it in quotes"
    return (
        f"{layout.path}: {len(bad)} rows have another number of fields than the header's {width} (separated by "
        f"{layout.separated_by}): {shown}{hint}"
    )


def line_in(layout: Layout, row: int) -> int:
    """Return the line of the file that holds a row, counted from 0."""
    return line_at(row, layout.line, layout.blank_lines)


def line_of(table: pa.Table, row: int) -> int:
    """Return the line of the file (from 1) that holds a row (from 0) of a table from :func:`read_text_table`.

    Of any other table: its place among the rows, the header counted.
    """
    place = (table.schema.metadata or {}).get(_PLACE)
    return int(row) + 2 if place is None else line_at(int(row), *json.loads(place))


def lines_of(table: pa.Table) -> np.ndarray:
    """Return the line of the file (from 1) of each row of what :func:`read_text_table` read."""
    line, blank_lines = json.loads((table.schema.metadata or {}).get(_PLACE, b"[1, []]"))
    rows = np.arange(table.num_rows)
    before = np.array(blank_lines, dtype=np.int64) - line - 1 - np.arange(len(blank_lines))
    return line + 1 + rows + np.searchsorted(before, rows, side="right")


def comments_of(table: pa.Table) -> list[str]:
    """Return the lines of comment before the header of what :func:`read_text_table` read."""
    return json.loads((table.schema.metadata or {}).get(_COMMENTS, b"[]"))


def refuse_rounded(ids: Iterable[str | None], table: pa.Table, name: str, path: str | Path) -> None:
    """Refuse IDs that are numbers whose digits a spreadsheet or R has rounded away: several people may have become one.

    Parameters
    ----------
    ids, name
        The column of IDs.
    table, path
        From :func:`read_text_table`, and the file, for the message.

    Raises
    ------
    InputError
        Naming the first of them.
    """
    found = [(i, text) for i, text in enumerate(ids) if text is not None and _ROUNDED.fullmatch(text.strip())]
    if found:
        raise InputError(
            f"{path}: row {line_of(table, found[0][0])}, column {name}: '{found[0][1]}' ({len(found)} like it) is an "
            "ID that some program, a spreadsheet perhaps, has read as a number and rounded; its last digits are "
            "lost: export the table again with this column as text"
        )


def column_of_numbers(table: pa.Table, name: str, path: str | Path, missing: Sequence[str] | None = None) -> np.ndarray:
    """Return a column of a text table as float64.

    Parameters
    ----------
    table, name, path
        From :func:`read_text_table`; the column; the file, for messages.
    missing
        What stands for a missing value and becomes NaN; None where the column may have none.

    Raises
    ------
    InputError
        Naming the row of the first value that is no finite number.
    """
    texts = [t.strip() for t in table.column(name).to_pylist()]
    values = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        if missing is not None and text in missing:
            continue
        values[i] = float(text) if is_number(text) else np.inf
        if not np.isfinite(values[i]):
            raise InputError(f"{path}: row {line_of(table, i)}, column {name}: {some([repr(text)])} is no number")
    return values
