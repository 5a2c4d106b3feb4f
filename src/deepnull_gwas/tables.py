"""Tables between steps: documented schemas, atomic writes, the same bytes for the same content."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepnull_gwas.errors import InputError

if TYPE_CHECKING:
    # half a second of every job's start; imported by what makes or takes frames
    import pandas as pd

METADATA_KEY = b"deepnull_gwas"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name
        Its name.
    dtype
        Its type: ``int8|int32|int64|float64|bool|str|category``.
    doc
        What it holds, with its unit.
    nullable
        Whether it may hold missing values.
    """

    name: str
    dtype: str
    doc: str
    nullable: bool = False


Schema = Sequence[Column]

_ARROW = {
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "str": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
}


def _full(folder: Path) -> bool:
    """Tell whether the disk of a folder has less room than any buffer that a library may hold back."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < 1 << 20


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that becomes ``path`` when the block ends well, and vanishes when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # libraries in C do not always say why they could not write (htslib: "Error flushing")
        if error.errno is None and _full(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _check(table: pa.Table, schema: Schema, path: Path) -> None:
    for column in schema:
        if column.name not in table.column_names:
            raise InputError(f"{path}: column '{column.name}' is missing ({column.doc}); found {table.column_names}")
        field = table.schema.field(column.name)
        expected = _ARROW[column.dtype]
        string_like = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        dictionary = column.dtype == "category" and pa.types.is_dictionary(field.type)
        if field.type != expected and not (column.dtype == "str" and string_like) and not dictionary:
            raise InputError(f"{path}: column '{column.name}' is {field.type}, expected {column.dtype} ({column.doc})")
        if not column.nullable and table.column(column.name).null_count:
            raise InputError(f"{path}: column '{column.name}' has missing values and may not ({column.doc})")


def write_table(table: pa.Table, path: str | Path, schema: Schema | None = None, metadata: Any = None) -> None:
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
        Anything JSON can hold; stored in the file and given back by :func:`read_metadata`.

    Raises
    ------
    InputError
        When the table does not fit the schema.
    """
    path = Path(path)
    if schema is not None:
        _check(table, schema, path)
    keep = dict(table.schema.metadata or {})
    if metadata is not None:
        keep[METADATA_KEY] = json.dumps(metadata, sort_keys=True).encode()
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(keep), temporary, compression="zstd", write_page_checksum=True)


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
        Anything JSON can hold, set before the end; stored in the file and given back by :func:`read_metadata`.
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
    fields = {c.name: _ARROW[c.dtype] for c in schema or ()}
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


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def set_aside(path: str | Path, error: BaseException) -> InputError:
    """Rename a damaged file that the workflow had made, so that the next run makes it anew; give the error to raise."""
    path = Path(path)
    # another job may have found the same, and moved it first
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, _aside(path))
    return InputError(
        f"{path}: damaged ({error}), by a full disk or a copy cut short, say; it was renamed {_aside(path).name}. Run snakemake again: it makes this "
        "file and what depends on it anew, and nothing else"
    )


@contextlib.contextmanager
def own_file(path: str | Path, *damage: type[BaseException]) -> Iterator[None]:
    """Read a file that the workflow made.

    Parameters
    ----------
    path
        The file.
    damage
        The exceptions by which a reader says that what it reads is not whole.

    Raises
    ------
    InputError
        When the file is damaged: it is set aside, see :func:`set_aside`. Or when another job has just set it aside.
    """
    path = Path(path)
    try:
        yield
    except FileNotFoundError as error:
        if not _aside(path).exists():
            raise
        raise InputError(
            f"{path}: another job found it damaged and renamed it {_aside(path).name}. Run snakemake again: it makes this file and what depends on it "
            "anew, and nothing else"
        ) from error
    except damage as error:
        raise set_aside(path, error) from error


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
        Whether the workflow made the file: a damaged one is then set aside, to be made anew. A user's file is never touched.

    Raises
    ------
    InputError
        When the file cannot be read (truncated, not Parquet, a wrong checksum) or does not fit the schema; the message names it.
    """
    path = Path(path)
    # ParquetFile, not read_table: a path such as `batch=1/…` must not grow partition columns
    with _parquet(path, own) as file:
        table = _sound(path, own, lambda: file.read(columns=list(columns) if columns is not None else None))
    if schema is not None:
        _check(table, [c for c in schema if columns is None or c.name in columns], path)
    return table


def column_names(path: str | Path) -> list[str]:
    """List the columns of a Parquet file that the workflow made."""
    with _parquet(path, True) as file:
        return list(file.schema_arrow.names)


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Give a column of an Arrow table without missing values as a numpy array (text as objects).

    Arrow's own conversion imports pandas, which takes half a second that a short job does not have.
    """
    array = column.combine_chunks()
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type):
        return np.from_dlpack(array)
    if pa.types.is_boolean(array.type):
        bits = np.frombuffer(array.buffers()[1], dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)
    return np.array(array.to_pylist(), dtype=object)


def to_arrow(values: np.ndarray) -> pa.Array:
    """Give a numeric numpy array as an Arrow array, without the import of pandas that Arrow's own conversion brings."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def to_words(codes: np.ndarray, words: Sequence[str]) -> pa.DictionaryArray:
    """Give int8 codes as an Arrow dictionary array of the words that they stand for."""
    text = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, text)]).astype(np.int32)
    dictionary = pa.StringArray.from_buffers(len(text), pa.py_buffer(ends), pa.py_buffer(b"".join(text)))
    return pa.DictionaryArray.from_arrays(to_arrow(codes.astype(np.int8)), dictionary)


def read_parquet(
    path: str | Path, schema: Schema | None = None, columns: Sequence[str] | None = None, own: bool = True
) -> pd.DataFrame:
    """Read a Parquet file as a pandas frame; see :func:`read_table`."""
    return read_table(path, schema, columns, own).to_pandas()


def rows_of_table(path: str | Path, columns: Sequence[str], rows: np.ndarray) -> pd.DataFrame:
    """Read some rows of a Parquet file that the workflow made, a group of rows at a time, so that the others take no memory.

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
    """Give back what ``metadata`` was at :func:`write_table`, or None; see :func:`read_table`."""
    with _parquet(path, own) as file:
        raw = file.metadata.metadata or {}
    return json.loads(raw[METADATA_KEY]) if METADATA_KEY in raw else None


def rows_of(path: str | Path) -> int:
    """Give the number of rows of a Parquet file, from its end."""
    with _parquet(path, True) as file:
        return file.metadata.num_rows


def write_tsv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table for people: tab-separated, ``NA`` for missing values, floats with up to 6 significant digits."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.6g", lineterminator="\n")


def _plain(value: Any) -> Any:
    """Turn numpy values into what JSON knows; a number that is not finite becomes null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(value: Any, path: str | Path) -> None:
    """Write JSON, atomically; NaN and infinities become null."""
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_json(path: str | Path) -> Any:
    """Read JSON that the workflow made; a damaged file is set aside, see :func:`set_aside`."""
    with own_file(path, ValueError):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def write_npz(path: str | Path, **arrays: np.ndarray) -> None:
    """Write arrays as .npz, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Read arrays that the workflow wrote as .npz, never pickled ones; a damaged file is set aside, see :func:`set_aside`."""
    damage = ValueError, EOFError, zipfile.BadZipFile, zlib.error
    with own_file(path, *damage), open(path, "rb") as file, np.load(file, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}
