"""The layout of a text table: comment lines, header, delimiter. One set of rules for every table of the user.

Light: the configuration reads the studies sheet by it.
"""

from __future__ import annotations

import bisect
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepnull_gwas.errors import InputError, some

#: A compressed file may unpack to this many bytes, or to this many times its size, whichever is more.
UNPACKED_BYTES = 1 << 30
UNPACKED_TIMES = 100
#: Lines below the header that are looked at to find the delimiter.
_LOOKED_AT = 20
#: Spreadsheets name the delimiter by such a first line.
_SEP = re.compile(rb'"?sep=(?P<mark>[^"\r\n]*)"?[ \t]*\r?(?:\n|\Z)', re.IGNORECASE)
#: First names of headers that PLINK and others write with a # before them.
_HASHED = re.compile(r'#"?(?:(?:fid|iid|fid1|iid1)"?(?:[\t,; ]|$)|(?:id|sid|id1|chrom)"?(?:[\t,;]|$))', re.IGNORECASE)
_QUOTED_BLANK = re.compile(rb'"[^"\r\n]*[ \t][^"\r\n]*"')
_BLANKS = re.compile(rb'(?m)(?:(?<=[ \t])|^)"(?:[^"\r\n]|"")*"(?=[ \t\r\n]|\Z)|[ \t]+')
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks", "|": "bars"}


@dataclass
class Layout:
    """A text table before its rows are read.

    Attributes
    ----------
    path
        Where it was read from.
    raw
        The whole file, unpacked and without a byte-order mark; lines that ended in a carriage return alone end in a
        line feed.
    body
        Header and rows in the form of CSV.
    delimiter
        What separates the columns of ``body``.
    blanks
        Whether runs of blanks separate them in the file itself (tabs do in ``body``).
    quoted
        Whether a value may stand in quotes, as in CSV; else a quote is a letter.
    header
        Names, trimmed, a ``#`` before the first taken off; those at the end may be empty, where the header ends in
        delimiters.
    comments
        Lines of comment before the header, without their ends.
    line
        Line of the header in the file, from 1.
    blank_lines
        Lines of the file below the header that are empty.
    """

    path: Path
    raw: bytes
    body: bytes
    delimiter: str
    blanks: bool
    quoted: bool
    header: list[str]
    comments: list[str] = field(default_factory=list)
    line: int = 1
    blank_lines: list[int] = field(default_factory=list)

    @property
    def separated_by(self) -> str:
        """What separates the columns of the file, in words."""
        return "blanks" if self.blanks else _NAMES.get(self.delimiter, self.delimiter)


def line_of(row: int, line: int, blank_lines: Sequence[int]) -> int:
    """Return the line of a file that holds a row (from 0); ``line`` and ``blank_lines`` as in :class:`Layout`."""
    return line + 1 + row + bisect.bisect_right([blank - line - 1 - i for i, blank in enumerate(blank_lines)], row)


def read_bytes(path: str | Path) -> bytes:
    """Read a file, unpacked where it is gzipped (whatever its name).

    Raises
    ------
    InputError
        When it is no file, is damaged, or unpacks to far more than a table could (a gigabyte, or a hundred times its
        size).
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
                        f"{path}: unpacks to more than {limit:,} bytes from {len(data):,}: no table does; if it is "
                        "one, unpack it first"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a readable gzip file ({error})") from None
    return b"".join(parts)


def check_text(path: str | Path, data: bytes) -> bytes:
    """Return the bytes of a text file without their byte-order mark.

    Raises
    ------
    InputError
        When they are not UTF-8 or hold a zero, naming the row.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if (nul := data.find(b"\0")) >= 0:
        raise InputError(
            f"{path}: row {data.count(10, 0, nul) + 1}: is not text (a zero byte); expected TSV, CSV, columns "
            "separated by spaces, or .parquet"
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: row {row}: not UTF-8 text (byte {data[error.start]:#x}); save it as UTF-8, e.g. `iconv -f "
            "latin1 -t utf-8`"
        ) from None
    return data


def read_layout(
    path: str | Path,
    kind: str = "one row per person",
    hash_header: bool = True,
    data: bytes | None = None,
    quoted: bool | None = True,
) -> Layout:
    """Find the table in a text file: TSV, CSV (commas or semicolons), or columns separated by blanks; also gzipped.

    Parameters
    ----------
    path
        ``.csv`` is separated by commas, semicolons or tabs; of any other the header tells: tabs, commas, semicolons, or
        blanks.
    kind
        What its rows are, for the message about an empty one.
    hash_header
        Whether the last line with a ``#`` may be the header itself (``#FID``, ``#IID``), as PLINK 2 writes it.
    data
        Contents of the file, where they have been read.
    quoted
        Whether a value may stand in quotes; None: where the header has some.

    Raises
    ------
    InputError
        When it is no text in UTF-8, is empty, its ``sep=`` line names what parts no columns, its header cannot be read,
        or a quote is not closed.
    """
    path = Path(path)
    raw = check_text(path, read_bytes(path) if data is None else data)
    if b"\n" not in raw and b"\r" in raw:
        raw = raw.replace(b"\r", b"\n")
    start = _skip_blank(raw, 0)
    mark = None
    if (sep := _SEP.match(raw, start)) is not None:
        mark = sep["mark"].decode().strip(" ") or " "
        if mark not in (",", ";", "\t", "|"):
            raise InputError(f"{path}: its first line says sep={mark}; expected a comma, a semicolon, a tab or a bar")
        start = _skip_blank(raw, sep.end())
    comments = []
    while raw.startswith(b"#", start):
        end = _end_of(raw, start)
        text = raw[start:end].decode().rstrip("\r\n")
        if hash_header and _is_header(path, text, raw, end, mark):
            break
        comments.append(text)
        start = _skip_blank(raw, end)
    body = raw[start:]
    if re.search(rb"\r[^\n]", body):
        # a carriage return alone ends no line among others that end in a line feed
        body = re.sub(rb"\r(?!\n)", b" ", body)
    first = _line_at(body, 0)
    if not first.strip():
        raise InputError(f"{path}: is empty; expected a header and {kind}")
    delimiter = mark or _delimiter(path, first, _lines_from(body, _end_of(body, 0)))
    blanks = delimiter == " "
    if blanks:
        body, delimiter = _with_tabs(body), "\t"
        first = _line_at(body, 0)
    line = raw.count(b"\n", 0, start) + 1
    try:
        quoted = quoted if quoted is not None else '"' in first
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        header = [n.strip() for n in next(csv.reader([first], delimiter=delimiter, strict=True, quoting=quoting))]
    except csv.Error as error:
        raise InputError(
            f"{path}: row {line}: the header cannot be read ({error}); check its quotes and its length"
        ) from None
    if hash_header:
        header[0] = header[0].lstrip("#")
    if quoted and b'"' in body:
        _check_quotes(body, delimiter, path, line)
    blank_lines = []
    if re.search(rb"\n[ \t\r]*\n" if blanks else rb"\n\r?\n", raw[start:]):
        lines = raw[start:].split(b"\n")
        blank_lines = [
            line + i for i, text in enumerate(lines) if text in (b"", b"\r") or (blanks and not text.strip())
        ]
    return Layout(path, raw, body, delimiter, blanks, quoted, header, comments, line, blank_lines)


def refuse_late_comments(layout: Layout) -> None:
    """Refuse a line below the header that begins with a ``#``: it would be a row as others are.

    Raises
    ------
    InputError
        Naming the row.
    """
    if (found := re.compile(rb"\n#").search(layout.body)) is not None:
        row = layout.line + layout.body.count(b"\n", 0, found.start()) + 1
        raise InputError(
            f"{layout.path}: row {row} begins with a #; lines of comment are left out before the header only: remove "
            "it, or put its first value in quotes"
        )


def _skip_blank(data: bytes, start: int) -> int:
    while data[start : start + 1] in (b"\r", b"\n"):
        start += 1
    return start


def _end_of(data: bytes, start: int) -> int:
    """Return where the next line begins."""
    return data.find(b"\n", start) + 1 or len(data)


def _line_at(data: bytes, start: int) -> str:
    return data[start : _end_of(data, start)].decode().rstrip("\r\n")


def _lines_from(data: bytes, start: int) -> list[str]:
    """Return the first lines from some place on that are not empty."""
    lines: list[str] = []
    while start < len(data) and len(lines) < _LOOKED_AT:
        if (text := _line_at(data, start)).strip():
            lines.append(text)
        start = _end_of(data, start)
    return lines


def _is_header(path: Path, text: str, raw: bytes, end: int, mark: str | None) -> bool:
    """Return whether a line that begins with one # is the header: by its first name, or by its number of fields."""
    if text[1:2] in ("#", "", " ", "\t"):
        return False
    if _HASHED.match(text):
        return True
    below = _lines_from(raw, end)
    if not below:
        return True
    if below[0].startswith("#"):
        return False
    delimiter = mark or _delimiter(path, below[0], below[1:])
    return any(count_fields(line, delimiter) == count_fields(text, delimiter) for line in below)


def count_fields(text: str, delimiter: str) -> int:
    """Count the values of a line; a blank as delimiter stands for any run of blanks."""
    if delimiter == " ":
        return len(re.findall(r'"[^"]*"(?=\s|$)|\S+', text))
    try:
        return len(next(csv.reader([text], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _delimiter(path: Path, first: str, below: Sequence[str]) -> str:
    """Return the delimiter: of those in the header, the one that gives most rows as many fields as the header."""
    is_csv = ".csv" in [s.lower() for s in path.suffixes]
    if not is_csv and "\t" in first:
        return "\t"
    order = [",", ";", "\t"] if is_csv else [",", ";", " "]
    if not is_csv and re.search(r"[^,;\s][ ]+[^,;\s]", first):
        order = [" ", ",", ";"]
    there = [d for d in order if count_fields(first, d) > 1]
    if not there:
        return (
            " " if not is_csv or all(count_fields(line, " ") == count_fields(first, " ") > 1 for line in below) else ","
        )
    if len(there) == 1:
        return there[0]

    def fit(delimiter: str) -> tuple[int, int]:
        fields = count_fields(first, delimiter)
        return sum(count_fields(line, delimiter) == fields for line in below), fields

    return max(there, key=fit)


def _with_tabs(body: bytes) -> bytes:
    """Return a body with a tab for each run of blanks between values, as in PLINK's tables; blanks in quotes stay."""
    body = re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", body)
    if _QUOTED_BLANK.search(body):
        return _BLANKS.sub(lambda m: m.group() if m.group()[:1] == b'"' else b"\t", body)
    return re.sub(rb"[ \t]+", b"\t", body)


def _check_quotes(data: bytes, delimiter: str, path: Path, line: int) -> None:
    """Refuse a quote that opens a value and is not closed: the rows up to the next quote would be read as one value."""
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
        row = data.count(b"\n", 0, found[0]) + line
        raise InputError(
            f'{path}: row {row}: a quote (") opens a value and {found[1]}; remove it, or put the value in quotes as '
            'CSV has it ("5\'10""" for 5\'10")'
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


def cells(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows below the header as lists of trimmed text, each with its first line in the file; for small tables.

    Raises
    ------
    csv.Error
        When a row cannot be read.
    """
    reader = csv.reader(io.StringIO(layout.body.decode(), newline=""), delimiter=layout.delimiter, strict=True)
    next(reader, None)
    line = layout.line + reader.line_num
    for row in reader:
        yield line, [cell.strip() for cell in row]
        line = layout.line + reader.line_num
