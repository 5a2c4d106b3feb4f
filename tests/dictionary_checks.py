"""Compare the data dictionary with the files of a run."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepnull_gwas.dictionary import FILES, Field, File, file_of

ARROW = {"double": "float64", "string": "str", "large_string": "str"}


def problems_of(results: Path, whole: bool = True) -> list[str]:
    """Return where the dictionary and the files under a folder of results differ.

    ``whole``: the folder holds everything that a run makes in any case.
    """
    found, seen = [], set()
    for path in sorted(p for p in results.rglob("*") if p.is_file()):
        name = str(path.relative_to(results))
        if (file := file_of(name, FILES)) is None:
            found.append(f"{name}: not in the dictionary")
            continue
        seen.add(file.path)
        names = columns_of(path) if file.is_table else keys_of(path) if file.fields else {}
        found += [f"{name}: {problem}" for problem in compared(file, names)]
    if whole:
        # a path with {kind} is of several files
        found += [f"{f.path}: in the dictionary, but not made" for f in FILES if not f.when and f.path not in seen]
    return found


def compared(file: File, names: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with the columns or keys of a file: name -> type, empty where it has none."""
    last, met = -1, set()
    for name, kind in names.items():
        at = next((i for i, f in enumerate(file.fields) if f.name == name), None)
        at = next((i for i, f in enumerate(file.fields) if f.matches(name)), None) if at is None else at
        if at is None:
            yield f"'{name}' is not in the dictionary"
            continue
        field = file.fields[at]
        # columns of Parquet are read by their names
        if file.is_table and not file.path.endswith(".parquet") and not is_repeated(field) and at < last:
            yield f"'{name}' comes before '{file.fields[last].name}' in the dictionary, and after it in the file"
        last = last if is_repeated(field) else at
        met.add(at)
        if kind and field.type not in ("any", "object") and kind != field.type:
            yield f"'{name}' is {kind}, in the dictionary {field.type}"
    for i, field in enumerate(file.fields):
        if names and i not in met and not field.when and field.type != "any":
            yield f"'{field.name}' is in the dictionary, but not in the file"


def is_repeated(field: Field) -> bool:
    """Return whether a field stands for any number of columns."""
    return "{" in field.name


def columns_of(path: Path) -> dict[str, str]:
    """Return the columns of a table with their types; of text the types are not known."""
    if path.suffix == ".parquet":
        types = {f.name: f.type for f in pq.read_schema(path)}
        return {n: "category" if pa.types.is_dictionary(t) else ARROW.get(str(t), str(t)) for n, t in types.items()}
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
        return dict.fromkeys(file.readline().rstrip("\n").split("\t"), "")


def keys_of(path: Path) -> dict[str, str]:
    """Return the keys of a JSON file as the dictionary writes them; their types are not compared."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return dict.fromkeys(_flat(json.loads(text)), "")


def _flat(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _flat(below, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for below in value:
            yield from _flat(below, f"{prefix}[]")
    else:
        yield prefix
