"""Text tables of the user: from bytes to columns of text, nothing guessed but the delimiter."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from deepnull_gwas.errors import InputError, some
from deepnull_gwas.text import is_number

#: A compressed file may unpack to this many bytes, or to this many times its size, whichever is more.
UNPACKED_BYTES = 1 << 30
UNPACKED_TIMES = 100
#: What stands for a missing value in tables that other tools write.
MISSING = ("", "NA", "NaN", "nan", "-nan", "N/A", "n/a", "NULL", "null", ".")


def read_bytes(path: str | Path) -> bytes:
    """Read a file, unpacked where it is gzipped (whatever its name).

    Raises
    ------
    InputError
        When it is no file, is damaged, or unpacks to far more than a table could (a gigabyte, or a hundred times its size).
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        raise InputError(f"{path}: no such file")
    # in one go and without seeking: it may be a pipe
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    limit = max(UNPACKED_BYTES, UNPACKED_TIMES * len(data))
    parts, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
            while part := unpacked.read(1 << 24):
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise InputError(
                        f"{path}: unpacks to more than {limit:,} bytes from {len(data):,}: no table does; if it is one, unpack it first"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a readable gzip file ({error})") from None
    return b"".join(parts)


def read_text(path: str | Path) -> bytes:
    """Read a text file, unpacked where it is gzipped, its byte-order mark taken off: bytes that are UTF-8 and hold no zero.

    Raises
    ------
    InputError
        As :func:`read_bytes`; and naming the row of the first byte that is no text in UTF-8.
    """
    data = read_bytes(path)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if (nul := data.find(b"\0")) >= 0:
        raise InputError(
            f"{path}: row {data.count(10, 0, nul) + 1}: is not text (a zero byte); expected TSV, CSV, columns separated by spaces, or .parquet"
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: row {row}: not UTF-8 text (byte {data[error.start]:#x}); save it as UTF-8, e.g. `iconv -f latin1 -t utf-8`"
        ) from None
    return data


def read_text_table(path: str | Path, kind: str = "one row a person") -> pa.Table:
    """Read a table with a header as text: TSV, CSV (commas or semicolons), or columns separated by spaces; also gzipped.

    Parameters
    ----------
    path
        ``.csv`` is separated by commas, semicolons or tabs; of any other the header tells: tabs, commas, or spaces.
    kind
        What its rows are, for the message about an empty one.

    Returns
    -------
    Columns of text, untrimmed, in the order of the file. A ``#`` before the first name is taken off; names may be there twice.

    Raises
    ------
    InputError
        When it is no text in UTF-8, has rows of another length than the header, a column without a name, or quotes that are not closed.
    """
    path = Path(path)
    data = read_text(path)
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    data = data.lstrip(b"\r\n")
    first = data.split(b"\n", 1)[0].decode().rstrip("\r")
    if not first.strip():
        raise InputError(f"{path}: is empty; expected a header and {kind}")
    delimiter = _delimiter(path, first)
    if delimiter == " ":
        # any run of spaces and tabs separates, as in PLINK's own tables
        data = re.sub(rb"[ \t]+", b"\t", re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", data))
        first, delimiter = data.split(b"\n", 1)[0].decode(), "\t"
    try:
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise InputError(
            f"{path}: row 1: the header cannot be read ({error}); check its quotes and its length"
        ) from None
    header[0] = header[0].lstrip("#")
    if "" in header:
        raise InputError(f"{path}: column {header.index('') + 1} of {len(header)} has no name in the header")
    if b'"' in data:
        _check_quotes(data, delimiter, path)
    # columns go by their number while reading: names may be there twice, which is said with the other problems of the header
    numbers = [str(i) for i in range(len(header))]
    bad: list[tuple[int | None, int]] = []

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        bad.append((row.number, row.actual_columns))
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(data),
            pyarrow.csv.ReadOptions(column_names=numbers, skip_rows=1, use_threads=False, block_size=1 << 24),
            pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse),
            pyarrow.csv.ConvertOptions(column_types={n: pa.string() for n in numbers}, strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            table = pa.table({n: pa.array([], pa.string()) for n in numbers})
        else:
            raise InputError(f"{path}: cannot be read as a table ({error})") from None
    if bad:
        shown = some(
            [f"row {number} has {found}" if number is not None else f"one has {found}" for number, found in bad], 3
        )
        hint = ""
        if all(found == len(header) + 1 for _, found in bad):
            hint = "; row names without a name in the header? (R: write.table(..., row.names = FALSE))"
        raise InputError(
            f"{path}: {len(bad)} rows have another number of fields than the header's {len(header)}: {shown}{hint}"
        )
    return table.rename_columns(header)


def _delimiter(path: Path, first: str) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    if ".csv" in suffixes:
        return next((d for d in (",", ";", "\t") if d in first), ",")
    if "\t" in first:
        return "\t"
    if "," in first and not re.search(r"[^,\s][ ]+[^,\s]", first):
        return ","
    return " "


def _check_quotes(data: bytes, delimiter: str, path: Path) -> None:
    """Refuse a quote that opens a value and is not closed: the rows up to the next quote would be read as one value, and their people lost."""
    ends = re.escape(delimiter.encode()) + rb"\r\n"
    quoted = rb'"(?:[^"]++|"")*+"'
    value = rb"(?:%s|[^\"%s][^%s]*+)?+" % (quoted, ends, ends)
    # possessive throughout: one pass, whatever the file holds
    at = re.compile(rb"(?:%s[%s])*+" % (value, ends)).match(data).end()  # type: ignore[union-attr]
    last = re.compile(value).match(data, at)
    if last is not None and last.end() == len(data):
        found = None
        for match in re.finditer(rb"(?:\A|(?<=[%s]))%s" % (ends, quoted), data) if _over_lines(data, quoted) else ():
            inside = match.group()
            if (b"\n" in inside or b"\r" in inside) and delimiter.encode() in inside:
                found = match.start(), "closes rows later, around what looks like whole rows"
                break
    else:
        closed = re.compile(quoted).match(data, at)
        found = at, "is never closed" if closed is None else "closes before the end of its value"
    if found is not None:
        row = data.count(b"\n", 0, found[0]) + 1
        raise InputError(
            f'{path}: row {row}: a quote (") opens a value and {found[1]}; remove it, or put the value in quotes as CSV has it '
            '("5\'10""" for 5\'10")'
        )


def _over_lines(data: bytes, quoted: bytes) -> bool:
    return any(b"\n" in m.group() or b"\r" in m.group() for m in re.finditer(quoted, data))


def refuse_doubled(names: Sequence[str], path: str | Path) -> None:
    """Refuse a header that has a name twice.

    Raises
    ------
    InputError
        Naming the columns.
    """
    if doubled := [n for n in dict.fromkeys(names) if list(names).count(n) > 1]:
        raise InputError(f"{path}: columns are there more than once: {some(doubled)}; rename or remove them")


def column_of_numbers(table: pa.Table, name: str, path: str | Path, missing: Sequence[str] | None = None) -> np.ndarray:
    """Give a column of a text table as float64.

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
            raise InputError(f"{path}: row {i + 2}, column {name}: {some([repr(text)])} is no number")
    return values
