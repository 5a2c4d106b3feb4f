"""Sheets, and what a configuration is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepnull_gwas.errors import InputErrors

SIMULATED = {"genome_build": "GRCh38", "simulate": {"phenotypes": {"y": {"trait": "quantitative"}}}}


ROW = {"study": "s", "cohort": "c", "phenotype": "y", "trait": "quantitative", "covariates": "age"}


def write_sheet(
    folder: Path, *rows: dict, name: str = "studies.tsv", newline: str = "\n", encoding: str = "utf-8"
) -> None:
    columns = list(dict.fromkeys(k for row in rows for k in row))
    delimiter = "," if name.endswith(".csv") else "\t"
    cells = [columns, *[[str(row.get(c, "")) for c in columns] for row in rows]]
    quoted = [[f'"{c}"' if "," in c and delimiter == "," else c for c in line] for line in cells]
    (folder / name).write_bytes((newline.join(delimiter.join(line) for line in quoted) + newline).encode(encoding))


def problems(function, *arguments, **options) -> list[str]:
    with pytest.raises(InputErrors) as error:
        function(*arguments, **options)
    return error.value.problems
