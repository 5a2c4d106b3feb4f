"""Tables between steps: documented schemas, atomic writes, the same bytes for the same content."""

from deepnull_gwas.tables.arrow import to_arrow, to_numpy, to_words
from deepnull_gwas.tables.files import (
    atomic_path,
    own_file,
    read_json,
    read_npz,
    set_aside,
    write_json,
    write_npz,
)
from deepnull_gwas.tables.parquet import (
    METADATA_KEY,
    ParquetParts,
    column_names,
    parts_of_table,
    read_metadata,
    read_parquet,
    read_table,
    rows_of,
    rows_of_table,
    write_parquet,
    write_table,
    write_tsv,
)
from deepnull_gwas.tables.schema import Column, Schema

__all__ = [
    "METADATA_KEY",
    "Column",
    "ParquetParts",
    "Schema",
    "atomic_path",
    "column_names",
    "own_file",
    "parts_of_table",
    "read_json",
    "read_metadata",
    "read_npz",
    "read_parquet",
    "read_table",
    "rows_of",
    "rows_of_table",
    "set_aside",
    "to_arrow",
    "to_numpy",
    "to_words",
    "write_json",
    "write_npz",
    "write_parquet",
    "write_table",
    "write_tsv",
]
