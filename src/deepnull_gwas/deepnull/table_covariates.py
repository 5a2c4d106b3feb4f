"""Covariates of the user's own table as numbers, encoded as the workflow encodes those of a study."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.covariates import encode, level_name
from deepnull_gwas.deepnull.people_table import Table, numbers
from deepnull_gwas.text import is_number

logger = logging.getLogger(__name__)


def values_of(table: Table, name: str, categorical: bool, missing: Sequence[str]) -> pd.Series:
    """Return a covariate as the workflow's tables hold it: numbers where all values are, else text; missing as NaN."""
    if not categorical:
        return pd.Series(numbers(table, name, missing, "list it in --categorical if its values are names of groups"))
    texts = pd.Series(table.column(name), dtype=object)
    there = ~texts.isin(list(missing))
    if texts[there].map(is_number).all():
        return texts.where(there).astype(np.float64)
    return texts.where(there, np.nan)


def levels_of(
    people: pd.DataFrame, covariates: Sequence[str], categorical: Sequence[str]
) -> dict[str, list[str] | None]:
    """Return the levels of each covariate, as the workflow encodes it: the reference first; None of numbers.

    Constants are left out.
    """
    found = encode(people, covariates, categorical, prefix="")
    for entry in found.dropped:
        logger.warning("covariate %s: %s; left out", entry["name"], entry["reason"])
    levels: dict[str, list[str] | None] = {}
    for entry in found.covariates:
        name = entry["name"]
        own = [c[len(name) + 1 : -1] for c in entry["columns"]]
        levels[name] = [entry["reference"], *own] if "reference" in entry else None
    return levels


def matrix_of(
    values: Mapping[str, pd.Series], levels: Mapping[str, Sequence[str] | None]
) -> tuple[np.ndarray, list[str], dict[str, int]]:
    """Return covariates as numbers float64[n, columns], their names, and how many people have an unknown level of each.

    NaN where a value is missing, or of an unknown level.
    """
    columns, names, unknown = [], [], {}
    for name, known in levels.items():
        series = values[name]
        if known is None:
            columns.append(series.to_numpy(np.float64))
            names.append(name)
            continue
        there = series.notna().to_numpy()
        spelled = np.array([level_name(v) if t else "" for v, t in zip(series, there)], dtype=object)
        absent = ~there | ~np.isin(spelled, list(known))
        if (absent & there).any():
            unknown[name] = int((absent & there).sum())
        for level in known[1:]:
            column = (spelled == level).astype(float)
            column[absent] = np.nan
            columns.append(column)
            names.append(f"{name}[{level}]")
    return np.column_stack(columns), names, unknown
