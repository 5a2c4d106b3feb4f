"""The studies sheet: its text as rows, and a row as a study."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepnull_gwas.cohort import layout
from deepnull_gwas.config.model import Study
from deepnull_gwas.config.places import is_file, nearest_file
from deepnull_gwas.config.schema import SCHEMAS, fill, read_schema, violations
from deepnull_gwas.config.values import CONTROL, show
from deepnull_gwas.errors import InputError, nearest
from deepnull_gwas.text import shorten, split_names, unquoted

#: A row of the sheet with its number in the file; defaults are filled.
Row = tuple[int, dict[str, Any]]


def read_sheet(path: str, base: Path, schema: dict[str, Any]) -> tuple[list[Row], list[str]]:
    """Read the studies sheet; return its rows with their numbers, defaults filled, and what is wrong with it.

    The number of a row is that of its line: the header has 1 unless comments go before.
    """
    file = base / path
    if not is_file(file):
        return [], [f"config: studies: no such file: {shorten(path, 300)}{nearest_file(file)}"]
    return parse_sheet(file.read_bytes(), path, schema)


def parse_sheet(data: bytes, path: str, schema: dict[str, Any]) -> tuple[list[Row], list[str]]:
    """Read the bytes of a sheet; see :func:`read_sheet`."""
    try:
        found = layout.read_layout(path, f"one row per study, with {', '.join(schema['required'])}", False, data)
    except InputError as error:
        return [], [str(error)]
    if found.separated_by not in ("commas", "tabs"):
        return [], [
            f"{path}: its columns are separated by {found.separated_by}; save the sheet with tabs (.tsv) or commas "
            "(.csv) between them (lists within a cell are separated by commas)"
        ]
    header = list(found.header)
    while header and not header[-1]:
        header.pop()
    if problems := list(_check_header(header, path, schema)):
        return [], problems
    rows: list[Row] = []
    for row, cells in _cells(found, path, problems):
        if not any(cells) or cells[0].startswith("#"):
            continue
        if len(cells) > len(header) and any(cells[len(header) :]):
            problems.append(f"{path}: row {row}: {len(cells)} cells, but the header has {len(header)}")
            continue
        values: dict[str, Any] = {}
        for name, cell in zip(header, cells, strict=False):
            if cell:
                values[name] = _read_cell(cell, schema["properties"][name])
        if "phenotype" in values:
            values["phenotype"] = unquoted(values["phenotype"])
        rows.append((row, fill(values, schema, schema)))
        problems += violations(values, schema, functools.partial(_place_in_sheet, path, row))
    if not rows and not problems:
        problems.append(f"{path}: has a header but no study")
    return rows, problems


def _check_header(header: list[str], path: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the names of a sheet's columns."""
    allowed = list(schema["properties"])
    for name in dict.fromkeys(header):
        if name not in allowed:
            hint = nearest(name, allowed)
            hint += "; the file's columns must be separated by tabs or commas" if len(header) == 1 else ""
            yield f"{path}: unknown column '{shorten(name)}', allowed: {', '.join(allowed)}{hint}"
        if header.count(name) > 1:
            yield f"{path}: column '{name}' is there {header.count(name)} times"
    for name in schema["required"]:
        if name not in header:
            yield f"{path}: column '{name}' is missing ({schema['properties'][name]['description'].strip()})"


def _cells(sheet: layout.Layout, path: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a sheet with their lines; what ends or spoils them is added to the problems."""
    row = sheet.line
    try:
        for row, cells in layout.cells(sheet):
            if odd := [c for c in cells if CONTROL.search(c)]:
                problems.append(
                    f"{path}: row {row}: a line break or another control character in {show(odd[0])}; "
                    'is a quote (") not closed?'
                )
                return
            yield row, cells
    except csv.Error as error:
        problems.append(f"{path}: row {row + 1}: cannot be read ({error}); check its quotes and its length")


def _place_in_sheet(path: str, row: int, keys: list[str]) -> str:
    return f"{path}: row {row}" + (f", column {keys[0]}" if keys else "")


def _read_cell(cell: str, schema: dict[str, Any]) -> Any:
    """Return a cell as its column's schema wants it: a list of names, a whole number, or text."""
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "array" in kinds:
        return split_names(cell)
    if "integer" in kinds and re.fullmatch(r"-?[0-9]{1,15}(\.0*)?", cell):
        return int(float(cell))
    return cell


def study_of(
    row: Mapping[str, Any],
    pcs: int,
    predicting: Sequence[str] = (),
    schema: dict[str, Any] | None = None,
    association_model: str = "linear",
) -> Study:
    """Return the study that a row of the sheet describes; what the row does not have is filled from the schema.

    Parameters
    ----------
    row
        Values by column; sound (see :func:`deepnull_gwas.config.load_config`).
    pcs
        Principal components that are computed in the study's cohort.
    predicting
        ``deepnull.covariates`` of the configuration.
    schema
        That of a row; None, the one of this library.
    association_model
        ``association.model`` of the configuration.
    """
    schema = schema or read_schema(SCHEMAS / "studies.schema.yaml")
    filled = fill(dict(row), schema, schema)
    filled["name"] = filled.pop("study")
    if filled["pcs"] is None:
        filled["pcs"] = pcs
    filled["association_model"] = filled["association_model"] or association_model
    arms = filled["arms"]
    filled["arms"] = [arm for arm in ("baseline", "deepnull") if arm in arms]
    # PC1 and so on name the computed components, where there are any
    components = {f"PC{i}" for i in range(1, filled["pcs"] + 1)}
    named = filled["deepnull_covariates"] if filled["deepnull_covariates"] is not None else predicting
    filled["deepnull_only"] = [
        c for c in named if "deepnull" in arms and c not in filled["covariates"] and c not in components
    ]
    return Study(**{k: tuple(v) if isinstance(v, list) else v for k, v in filled.items()})
