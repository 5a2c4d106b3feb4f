"""Tables between steps as Parquet, and tables for people as TSV."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepnull_gwas.errors import InputError
from deepnull_gwas.tables.arrow import to_arrow
from deepnull_gwas.tables.files import atomic_path, own_file
from deepnull_gwas.tables.schema import ARROW, Schema, check

if TYPE_CHECKING:
    # half a second of every job's start; imported by what makes or takes frames
    import pandas as pd

METADATA_KEY = b"deepnull_gwas"
#: Rows that :func:`parts_of_table` yields at a time.
ROWS_AT_A_TIME = 1 << 20


def write_table(
    table: pa.Table,
    path: str | Path,
    schema: Schema | None = None,
    metadata: Any = None,
    dictionaries: bool = True,
) -> None:
    """Write an Arrow table as Parquet, atomically.

    Parameters
    ----------
    table
        What to write.
    path
        Where to.
    schema
        Asserted where given; columns beyond it are allowed.
    metadata
        Anything JSON can hold; stored in the file and returned by :func:`read_metadata`.
    dictionaries
        Whether columns are written as numbers of distinct values where that is smaller: of numbers that are all
        different it never is, and to try takes most of the time.

    Raises
    ------
    InputError
        When the table does not fit the schema.
    """
    path = Path(path)
    if schema is not None:
        check(table, schema, path)
    keep = dict(table.schema.metadata or {})
    if metadata is not None:
        keep[METADATA_KEY] = json.dumps(metadata, sort_keys=True).encode()
    with atomic_path(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(keep),
            temporary,
            compression="zstd",
            write_page_checksum=True,
            use_dictionary=dictionaries,
        )


class ParquetParts:
    """Write a Parquet file part by part, so that it never lies in memory as a whole; atomic, as :func:`write_table`.

    Parameters
    ----------
    path
        Where to.
    schema
        Arrow schema of every part.

    Attributes
    ----------
    metadata
        Anything JSON can hold, set before the end; stored in the file and returned by :func:`read_metadata`.
    """

    def __init__(self, path: str | Path, schema: pa.Schema):
        self.path, self.schema, self.metadata = Path(path), schema, None

    def __enter__(self) -> ParquetParts:
        self._stack = contextlib.ExitStack()
        temporary = self._stack.enter_context(atomic_path(self.path))
        self._writer = self._stack.enter_context(
            pq.ParquetWriter(temporary, self.schema, compression="zstd", write_page_checksum=True)
        )
        return self

    def write(self, part: pa.Table) -> None:
        """Append rows."""
        self._writer.write_table(part)

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None and self.metadata is not None:
            text = json.dumps(self.metadata, sort_keys=True)
            self._writer.add_key_value_metadata({METADATA_KEY.decode(): text})
        return self._stack.__exit__(*error)


def write_parquet(frame: pd.DataFrame, path: str | Path, schema: Schema | None = None, metadata: Any = None) -> None:
    """Write a pandas frame (its index is dropped) as Parquet; see :func:`write_table`."""
    fields = {c.name: ARROW[c.dtype] for c in schema or ()}
    arrays = []
    for name in frame.columns:
        values = frame[name]
        arrow_type = fields.get(name)
        if arrow_type is None and values.dtype == object:
            arrow_type = pa.string()
        if values.dtype == "category":
            arrow_type = None
        arrays.append(pa.Array.from_pandas(values, type=arrow_type))
    write_table(pa.table(arrays, names=[str(c) for c in frame.columns]), path, schema, metadata)


def _parquet(path: str | Path, own: bool) -> pq.ParquetFile:
    """Open a Parquet file; see :func:`read_table`."""
    return _sound(path, own, lambda: pq.ParquetFile(path, page_checksum_verification=True))


class _Unreadable(Exception):
    """What Arrow says of a file that is not whole."""


def _sound(path: str | Path, own: bool, read: Callable[[], Any]) -> Any:
    try:
        with own_file(path, _Unreadable) if own else contextlib.nullcontext():
            try:
                return read()
            except (pa.ArrowInvalid, OSError) as error:
                # the operating system's own errors (no such file, no permission) say nothing of what is in the file
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                raise _Unreadable(error) from error
    except _Unreadable as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error


def read_table(
    path: str | Path, schema: Schema | None = None, columns: Sequence[str] | None = None, own: bool = True
) -> pa.Table:
    """Read a Parquet file as an Arrow table.

    Parameters
    ----------
    path
        The file.
    schema
        Asserted where given.
    columns
        Which; None, all.
    own
        Whether the workflow made the file: a damaged one is then set aside, to be made again. A user's file is never
        touched.

    Raises
    ------
    InputError
        When the file cannot be read (truncated, not Parquet, a wrong checksum) or does not fit the schema.
    """
    path = Path(path)
    # ParquetFile, not read_table: a path such as `batch=1/…` must not grow partition columns
    with _parquet(path, own) as file:
        table = _sound(path, own, lambda: file.read(columns=list(columns) if columns is not None else None))
    if schema is not None:
        check(table, [c for c in schema if columns is None or c.name in columns], path)
    return table


def column_names(path: str | Path) -> list[str]:
    """List the columns of a Parquet file that the workflow made."""
    with _parquet(path, True) as file:
        return list(file.schema_arrow.names)


def read_parquet(
    path: str | Path, schema: Schema | None = None, columns: Sequence[str] | None = None, own: bool = True
) -> pd.DataFrame:
    """Read a Parquet file as a pandas frame; see :func:`read_table`."""
    return read_table(path, schema, columns, own).to_pandas()


def parts_of_table(path: str | Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Go through some columns of a Parquet file that the workflow made, one row group at a time, at most so many rows.

    Yields
    ------
    Tables of at most :data:`ROWS_AT_A_TIME` rows, in order; words stay dictionaries.
    """
    with _parquet(path, True) as file:
        for group in range(file.num_row_groups):
            part = _sound(path, True, lambda g=group: file.read_row_group(g, columns=list(columns)))
            for start in range(0, part.num_rows, ROWS_AT_A_TIME):
                yield part.slice(start, ROWS_AT_A_TIME)


def rows_of_table(path: str | Path, columns: Sequence[str], rows: np.ndarray) -> pd.DataFrame:
    """Read some rows of a Parquet file that the workflow made, one row group at a time; the others take no memory.

    Parameters
    ----------
    path
        The file.
    columns
        Which, in this order.
    rows
        Ascending numbers of rows, from 0.
    """
    parts, first = [], 0
    with _parquet(path, True) as file:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            low, high = np.searchsorted(rows, [first, first + count])
            if high > low or not parts:
                part = _sound(path, True, lambda g=group: file.read_row_group(g, columns=list(columns)))
                parts.append(part.select(list(columns)).take(to_arrow(rows[low:high] - first)))
            first += count
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    return table.replace_schema_metadata(None).to_pandas()


def read_metadata(path: str | Path, own: bool = True) -> Any:
    """Return the ``metadata`` of :func:`write_table`, or None; see :func:`read_table`."""
    with _parquet(path, own) as file:
        raw = file.metadata.metadata or {}
    return json.loads(raw[METADATA_KEY]) if METADATA_KEY in raw else None


def rows_of(path: str | Path) -> int:
    """Return the number of rows of a Parquet file, from its footer."""
    with _parquet(path, True) as file:
        return file.metadata.num_rows


def write_tsv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table for people: tab-separated, ``NA`` for missing values, floats with up to 6 significant digits."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.6g", lineterminator="\n")
