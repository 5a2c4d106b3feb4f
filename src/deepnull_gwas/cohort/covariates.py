"""Columns of a study: phenotype coding and transformation, covariate encoding, and who has all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort import include
from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.tables import column_names, read_parquet
from deepnull_gwas.text import is_number, shorten
from deepnull_gwas.traits import trait_of

OWN = ["sample_index", "fid", "iid", "recorded_sex", "in_sample_table"]
#: Names of people's IDs in inclusion expressions.
IDS = ("FID", "IID")
#: Prefix of the columns of a study's table that feed the prediction and are not in the association.
ONLY_DEEPNULL = "deepnull_"
#: Codings of a binary phenotype that need no case_value and control_value: values -> (control, case).
BINARY_CODINGS = ((0.0, 1.0), (1.0, 2.0))


# --- columns -----------------------------------------------------------------


def read_people(path: str | Path, studies: Sequence[dict[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    """Read the columns of samples.parquet that the studies need, as far as they are there.

    Returns
    -------
    The frame, and the names of all columns of the user's table.
    """
    names = column_names(path)
    wanted: dict[str, None] = dict.fromkeys(OWN)
    for study in studies:
        wanted |= dict.fromkeys(
            [study["phenotype"], *study["covariates"], *study["deepnull_only"], *_columns_of_include(study)]
        )
    frame = read_parquet(path, columns=[n for n in wanted if n in names])
    return frame, [n for n in names if n not in OWN]


def read_columns(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read some columns of the user's table (and our own) from samples.parquet.

    Raises
    ------
    InputError
        When a column is not there; the message offers the nearest name.
    """
    names = column_names(path)
    theirs = [n for n in names if n not in OWN]
    for name in columns:
        if name not in theirs and name != "sex":
            raise InputError(
                f"config: structure.colour_by: '{name}' is no column of the sample table; it has "
                f"{some(theirs, 10)}{nearest(name, theirs)}"
            )
    return read_parquet(path, columns=[*OWN, *(n for n in columns if n in theirs)])


def _columns_of_include(study: dict[str, Any]) -> list[str]:
    return include.columns(include.parse(study["include"])) if study["include"] else []


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of the user's table; ``sex``, where the table has none, is the recorded sex (1, 2, NaN).

    Raises
    ------
    KeyError
        When there is no such column.
    """
    if name in frame.columns and name not in OWN:
        return frame[name]
    if name == "sex":
        sex = frame["recorded_sex"].astype(np.float64)
        return sex.where(sex > 0).rename("sex")
    raise KeyError(name)


def column_to_compare(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column that an inclusion expression names: of the user's table, the recorded sex, ``FID`` or ``IID``.

    Raises
    ------
    KeyError
        When there is no such column.
    """
    if name in IDS and name not in frame.columns:
        return frame[name.lower()].astype(object)
    return column(frame, name)


def is_text(series: pd.Series) -> bool:
    """Return whether a column holds text (object) rather than numbers."""
    return series.dtype.kind not in "biuf"


def level_name(value: Any) -> str:
    """Spell a level of a categorical covariate: whole numbers without ``.0``.

    Examples
    --------
    >>> [level_name(value) for value in (2.0, 2.5, "north")]
    ['2', '2.5', 'north']
    """
    if isinstance(value, str):
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


# --- phenotype ---------------------------------------------------------------


def code_phenotype(series: pd.Series, study: dict[str, Any]) -> np.ndarray:
    """Return a study's phenotype as float64: as it is, or 1 for cases and 0 for controls; NaN for everybody else.

    Parameters
    ----------
    series
        The whole column, before anybody is left out: the coding is a matter of the column, not of the people analysed.
    study
        ``trait``, ``case_value``, ``control_value``.

    Raises
    ------
    InputError
        When the values do not fit the trait; the message shows them with their counts.
    """
    name = series.name
    if not trait_of(study["trait"]).has_cases:
        if is_text(series):
            raise InputError(
                f"phenotype '{name}' is quantitative, but holds text ({examples_of_text(series)}); correct these "
                "values, or list what stands for a missing value in missing_values"
            )
        return series.to_numpy(dtype=np.float64)
    case, control = study["case_value"], study["control_value"]
    coded = np.full(len(series), np.nan)
    if case is not None:
        for value, code in ((control, 0.0), (case, 1.0)):
            hit = _equals(series, value)
            if not hit.any():
                raise InputError(f"phenotype '{name}': nobody has the value '{value}'; it holds {_values(series)}")
            coded[hit] = code
        return coded
    if not is_text(series):
        present = set(series.dropna().unique())
        for low, high in BINARY_CODINGS:
            if present <= {low, high}:
                if len(present) < 2:
                    break
                values = series.to_numpy(dtype=np.float64)
                coded[values == low], coded[values == high] = 0.0, 1.0
                return coded
    raise InputError(
        f"phenotype '{name}' is binary, expected 0/1 or 1/2 (2 the case), found {_values(series)}; say which values "
        "are meant by case_value and control_value, or list those that stand for a missing value in missing_values"
    )


def _equals(series: pd.Series, value: str) -> np.ndarray:
    if is_text(series):
        return (series == value).to_numpy(dtype=bool)
    if not is_number(value):
        return np.zeros(len(series), dtype=bool)
    return (series == float(value)).to_numpy(dtype=bool)


def _values(series: pd.Series) -> str:
    """Show the values of a column with their counts: ``0 (812 people), 1 (120), 2 (3)``."""
    counts = series.value_counts().sort_index()
    if counts.empty:
        return "no value at all"
    shown = [
        f"{level_name(v)} ({n} people)" if i == 0 else f"{level_name(v)} ({n})"
        for i, (v, n) in enumerate(counts.items())
    ]
    return f"{len(counts)} value{'s' if len(counts) > 1 else ''}: {some(shown)}"


def examples_of_text(series: pd.Series, iids: pd.Series | None = None) -> str:
    """Show values of a text column, those first that are no numbers."""
    present = series.dropna()
    numbers = pd.to_numeric(present, errors="coerce").notna()
    odd = present[~numbers] if (~numbers).any() else present
    first = odd.drop_duplicates()[:3]
    if iids is None:
        return some([repr(v) for v in first], 3)
    return some([f"{shorten(repr(v), 40)} (person {shorten(iids[i], 20)})" for i, v in first.items()], 3)


def rank_inverse_normal(values: np.ndarray) -> np.ndarray:
    """Transform to normal scores by rank: the quantile of (rank - 3/8) / (n + 1/4), ties sharing their mean rank.

    Parameters
    ----------
    values
        float64 without missing values.

    Notes
    -----
    The offset is Blom's (G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958); for the use in genetics,
    with its limits, see Beasley, Erickson and Allison, Behavior Genetics 39:580 (2009).

    Examples
    --------
    >>> rank_inverse_normal(np.array([3.0, 100.0, -7.0])).round(3).tolist()
    [0.0, 0.869, -0.869]
    """
    from scipy.stats import norm, rankdata

    return norm.ppf((rankdata(values) - 0.375) / (len(values) + 0.25))


def transform(values: np.ndarray, name: str) -> np.ndarray:
    """Transform a phenotype: ``none``, ``rank_inverse_normal`` or ``log`` (natural).

    Raises
    ------
    InputError
        When the logarithm is asked for values that are not positive.
    """
    if name == "rank_inverse_normal":
        return rank_inverse_normal(values)
    if name == "log":
        if (count := int((values <= 0).sum())) > 0:
            raise InputError(f"{count} values are not positive (smallest {values.min():g}) and have no logarithm")
        return np.log(values)
    if name != "none":
        raise ValueError(f"unknown transform '{name}'")
    return values


# --- who is in ---------------------------------------------------------------


@dataclass
class Selection:
    """People that are left after each step.

    Attributes
    ----------
    keep
        bool, one entry per person of the cohort: who is left.
    accounting
        For each step: its name, the people left after it, how many it removed, and IDs of some of these.
    """

    iids: np.ndarray
    keep: np.ndarray = field(init=False)
    accounting: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keep = np.ones(len(self.iids), dtype=bool)
        self.accounting.append({"step": "in the genotypes", "people": len(self.iids), "removed": 0, "examples": []})

    def step(self, name: str, passes: np.ndarray) -> None:
        """Leave out everybody for whom ``passes`` (bool, one entry per person) is False."""
        out = self.keep & ~passes
        self.keep &= passes
        examples = [str(i) for i in self.iids[np.flatnonzero(out)[:5]]]
        self.accounting.append(
            {"step": name, "people": int(self.keep.sum()), "removed": int(out.sum()), "examples": examples}
        )


def select_people(
    frame: pd.DataFrame, study: dict[str, Any], phenotype: np.ndarray, qc_passed: np.ndarray | None = None
) -> Selection:
    """Return who can be analysed in a study, step by step.

    Parameters
    ----------
    frame
        The cohort's people (:func:`read_people`).
    study
        The study's settings.
    phenotype
        From :func:`code_phenotype`, one entry per person.
    qc_passed
        bool, one entry per person; None before quality control.
    """
    selection = Selection(frame["iid"].to_numpy(dtype=object))
    selection.step("in the sample table", frame["in_sample_table"].to_numpy(dtype=bool))
    if qc_passed is not None:
        selection.step("passes quality control", qc_passed)
    selection.step(f"phenotype {study['phenotype']} present", ~np.isnan(phenotype))
    if study["include"]:
        selection.step(f"included ({study['include']})", include.evaluate(study["include"], _getter(frame)))
    for name in study["covariates"]:
        selection.step(f"covariate {name} present", column(frame, name).notna().to_numpy())
    # the same people in both arms, so that they can be compared
    for name in study["deepnull_only"]:
        selection.step(f"covariate {name} of the prediction present", column(frame, name).notna().to_numpy())
    return selection


def _getter(frame: pd.DataFrame) -> Callable[[str], pd.Series]:
    def get(name: str) -> pd.Series:
        series = column_to_compare(frame, name)
        # nobody outside the sample table has a value there, whatever the genotype files say of their sex
        return series.where(frame["in_sample_table"])

    return get


# --- encoding ----------------------------------------------------------------


@dataclass
class Encoded:
    """Covariates as numbers.

    Attributes
    ----------
    columns
        ``cov_<name>`` or ``cov_<name>[<level>]`` -> float64, one entry per person.
    covariates
        ``{"name", "columns", "kind": numeric|categorical}`` of each covariate kept.
    dropped
        ``{"name", "reason"}`` of each covariate without any column.
    """

    columns: dict[str, np.ndarray] = field(default_factory=dict)
    covariates: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, str]] = field(default_factory=list)


def encode(frame: pd.DataFrame, covariates: Sequence[str], categorical: Sequence[str], prefix: str = "cov_") -> Encoded:
    """Encode covariates for the people analysed.

    Parameters
    ----------
    frame
        These people only, without missing values in the covariates.
    covariates, categorical
        Names; a categorical covariate gets one 0/1 column for each level but the first (levels sorted: by size where
        they are numbers, else by spelling), a numeric one stays as it is. Constants are dropped and named.
    prefix
        Of the columns: ``cov_`` for what enters the association, :data:`ONLY_DEEPNULL` for what only feeds the
        prediction.

    Raises
    ------
    InputError
        When a covariate holds text and is not categorical, or two columns get the same name.
    """
    encoded = Encoded()
    for name in covariates:
        series = column(frame, name)
        levels = sorted(series.unique()) if name in categorical or is_text(series) else None
        if name not in categorical and is_text(series):
            raise InputError(
                f"covariate '{name}' holds text ({examples_of_text(series)}) and is not listed in "
                "categorical_covariates"
            )
        constant = len(levels) < 2 if levels is not None else series.nunique() < 2
        if constant:
            value = f" ({level_name(series.iloc[0])})" if len(series) else ""
            encoded.dropped.append({"name": name, "reason": f"constant among the people analysed{value}"})
            continue
        if levels is None:
            made = {f"{prefix}{name}": series.to_numpy(dtype=np.float64)}
        else:
            made = {f"{prefix}{name}[{level_name(v)}]": (series == v).to_numpy(dtype=np.float64) for v in levels[1:]}
        if clash := [c for c in made if c in encoded.columns]:
            raise InputError(
                f"covariate '{name}': its column {clash[0]} is there already; rename the column in the sample table"
            )
        encoded.columns |= made
        encoded.covariates.append(
            {"name": name, "columns": list(made), "kind": "numeric" if levels is None else "categorical"}
            | ({} if levels is None else {"reference": level_name(levels[0])})
        )
    return encoded
