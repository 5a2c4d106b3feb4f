"""Schemas of tables: names, types and meanings of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from deepnull_gwas.errors import InputError


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


ARROW = {
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "str": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
}


def check(table: pa.Table, schema: Schema, path: Path) -> None:
    """Check that a table fits its schema; columns beyond it are allowed.

    Raises
    ------
    InputError
        Naming the column that is missing, has another type, or missing values.
    """
    for column in schema:
        if column.name not in table.column_names:
            raise InputError(f"{path}: column '{column.name}' is missing ({column.doc}); found {table.column_names}")
        field = table.schema.field(column.name)
        expected = ARROW[column.dtype]
        string_like = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        dictionary = column.dtype == "category" and pa.types.is_dictionary(field.type)
        if field.type != expected and not (column.dtype == "str" and string_like) and not dictionary:
            raise InputError(f"{path}: column '{column.name}' is {field.type}, expected {column.dtype} ({column.doc})")
        if not column.nullable and table.column(column.name).null_count:
            raise InputError(f"{path}: column '{column.name}' has missing values and may not ({column.doc})")
