"""The user's table of phenotypes and covariates: read as text, typed by its values, joined to the genotypes by ID."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deepnull_gwas.cohort.matching import systematic_differences
from deepnull_gwas.cohort.text_table import line_of, read_text_table, refuse_rounded
from deepnull_gwas.errors import InputError, InputErrors, nearest, some
from deepnull_gwas.text import is_number, shorten

logger = logging.getLogger(__name__)

#: Share of the people of the smaller side whom genotypes and sample table should have in common.
LEAST_OVERLAP = 0.8
#: Columns of samples.parquet that are ours.
RESERVED = ("sample_index", "fid", "iid", "recorded_sex", "in_sample_table")
#: Types of Parquet columns that have a meaning as a number or as text.
_HOLDS_VALUES = (
    pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal,
    pa.types.is_string, pa.types.is_large_string,
    pa.types.is_string_view, pa.types.is_date, pa.types.is_timestamp, pa.types.is_time,
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_SEX = {"1": 1, "2": 2, "m": 1, "f": 2, "male": 1, "female": 2, "0": 0, "-9": 0, "unknown": 0, "u": 0}


@dataclass
class SampleTable:
    """A sample table as read.

    Attributes
    ----------
    path
        Where it was read from, for messages.
    keys
        One text per person: the IID, or FID and IID with a tab between them.
    by_family
        Whether the keys hold the FID.
    columns
        The other columns: float64 with NaN where all non-missing values are finite numbers, else text with None.
    sex
        1 male, 2 female, 0 unknown; None where the config names no column.
    """

    path: str
    keys: pd.Series
    by_family: bool
    columns: pd.DataFrame
    sex: np.ndarray | None


def read_sample_table(
    path: str | Path,
    sample_id: str = "IID",
    family_id: str | None = None,
    sex: str | None = None,
    missing_values: Sequence[str] = ("", "NA"),
) -> SampleTable:
    """Read a sample table: TSV, CSV, columns separated by spaces, or Parquet; text also gzipped.

    Parameters
    ----------
    path
        ``.csv`` is separated by commas (or semicolons), ``.parquet`` is Parquet; of any other the header's first line
        tells: tabs, commas, or spaces.
    sample_id, family_id
        Columns of the person's and the family's ID. Both are always text: leading zeros stay.
    sex
        Column of the recorded sex, or None. It comes back as 1 and 2.
    missing_values
        What stands for a missing value; those that are numbers are also compared as numbers (-9 meets -9.0). An empty
        field always is missing.

    Raises
    ------
    InputError
        When the file cannot be read or understood: encoding, rows of another length than the header, duplicated columns
        or IDs, no ID, a column with a reserved name. All problems that can be seen at once come in one.
    """
    path = Path(path)
    table = read_untyped(path)
    names = table.column_names
    problems = []
    if doubled := [n for n in dict.fromkeys(names) if names.count(n) > 1]:
        problems.append(f"{path}: columns are there more than once: {some(doubled)}; rename or remove them")
    if odd := [repr(n) for n in names if _CONTROL.search(n)]:
        problems.append(
            f"{path}: column names with line breaks, tabs or other control characters: {some(odd)}; rename them"
        )
    for key, name in (("sample_id", sample_id), ("family_id", family_id), ("sex", sex)):
        if name is not None and name not in names:
            problems.append(
                f"{path}: no column '{name}' ({key} in the config); found {some(names, 10)}{nearest(name, names)}"
            )
    ids = [n for n in (family_id, sample_id) if n is not None]
    set_aside = [n for n in names if family_id is None and n.lower() == "fid" and n not in ids]
    if taken := [n for n in names if n in RESERVED and n not in (*ids, *set_aside)]:
        problems.append(f"{path}: column names reserved for the workflow: {some(taken)}; rename them")
    if table.num_rows == 0:
        problems.append(f"{path}: has a header but no rows")
    if problems:
        raise InputErrors(problems)

    markers = {"", *(str(m) for m in missing_values)}
    id_columns = [as_text(table.column(n), markers).to_pandas() for n in ids]
    for name, values in zip(ids, id_columns):
        if values.isna().any():
            rows = [line_of(table, i) for i in np.flatnonzero(values.isna())]
            problems.append(
                f"{path}: {len(rows)} rows have no {name} (rows {some(rows)}; the header is row {line_of(table, -1)})"
            )
    if problems:
        raise InputErrors(problems)
    for name, values in zip(ids, id_columns):
        refuse_rounded(values, table, name, path)
    keys = id_columns[0] if len(ids) == 1 else id_columns[0] + "\t" + id_columns[1]
    _refuse_duplicates(keys, table, str(path), ids, set_aside)

    numbers = [float(m) for m in markers if is_number(m)]
    columns, sexes = {}, None
    for name in names:
        if name in ids or name in set_aside:
            continue
        if name == sex:
            sexes = _decode_sex(table, markers, str(path), name)
            columns[name] = np.where(sexes > 0, sexes, np.nan).astype(np.float64)
        else:
            columns[name] = _typed(table.column(name), markers, numbers)
    return SampleTable(str(path), keys, family_id is not None, pd.DataFrame(columns, index=keys.index), sexes)


def read_untyped(path: str | Path) -> pa.Table:
    """Read a sample table as :func:`read_sample_table` does, with nothing said of its columns.

    Returns
    -------
    Columns as they are in the file: text, but for Parquet.

    Raises
    ------
    InputError
        When there is no such file, or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else read_text_table(path)


def join_samples(
    fam: pd.DataFrame, table: SampleTable, where: str, minimum_overlap: float = LEAST_OVERLAP
) -> pd.DataFrame:
    """Join a sample table to the people of the genotypes, by ID, never by position.

    Parameters
    ----------
    fam
        fid, iid (text) and sex (1, 2, 0), in the order of the genotypes.
    table
        The sample table.
    where
        Name of the genotypes' table of people, for messages.
    minimum_overlap
        Share of the people of the smaller side who have to be in both.

    Returns
    -------
    One row per person of ``fam`` in its order: sample_index, fid, iid, recorded_sex, in_sample_table, then the table's
    columns.

    Raises
    ------
    InputError
        When not one ID is in both, or too few are, or IDs of the genotypes are not unique. The message says where IDs
        differ for one reason (zeros lost, a prefix, case, FID_IID); in a warning where enough are in both.
    """
    keys = fam["iid"] if not table.by_family else fam["fid"] + "\t" + fam["iid"]
    if not table.by_family and (twice := keys[keys.duplicated()]).size:
        raise InputError(
            f"{where}: {twice.nunique()} IIDs belong to several people ({some(twice.unique())}), so the sample table "
            "cannot be joined by IID; give the column with the family ID as family_id in the config"
        )
    row = pd.Index(table.keys).get_indexer(pd.Index(keys))
    found = row >= 0
    _check_overlap(fam, table, keys, found, where, minimum_overlap)
    columns = table.columns.take(np.where(found, row, 0)).reset_index(drop=True)
    columns = columns.where(pd.Series(found), other=np.nan) if not found.all() else columns
    for name in columns.columns:
        if columns[name].dtype == object:
            columns[name] = columns[name].astype(object).where(columns[name].notna(), None)
    recorded = fam["sex"].to_numpy(dtype=np.int8).copy()
    if table.sex is not None:
        told = np.where(found, table.sex[np.where(found, row, 0)], 0).astype(np.int8)
        contradicts = (told > 0) & (recorded > 0) & (told != recorded)
        if contradicts.any():
            logger.warning(
                "%d people have another sex in the sample table (which is used) than in the genotype files: %s",
                int(contradicts.sum()), some(fam["iid"][contradicts], 10),
            )  # fmt: skip
        recorded = np.where(told > 0, told, recorded)
    own = pd.DataFrame(
        {
            "sample_index": np.arange(len(fam), dtype=np.int64),
            "fid": fam["fid"].to_numpy(dtype=object),
            "iid": fam["iid"].to_numpy(dtype=object),
            "recorded_sex": recorded,
            "in_sample_table": found,
        }
    )
    return pd.concat([own, columns], axis=1)


# --- reading -----------------------------------------------------------------


def _read_parquet(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from None
    columns, problems = [], []
    for name, column in zip(table.column_names, table.columns):
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
            column = column.cast(kind)
        if pa.types.is_null(kind):
            column = column.cast(pa.string())
        elif pa.types.is_float16(kind):
            column = column.cast(pa.float64())
        elif not any(holds(kind) for holds in _HOLDS_VALUES):
            problems.append(
                f"{path}: column '{name}' holds {shorten(kind)}; expected numbers, text, true/false or dates"
            )
        columns.append(column)
    if problems:
        raise InputErrors(problems)
    return pa.table(columns, names=table.column_names)


def as_text(column: pa.ChunkedArray, markers: set[str]) -> pa.ChunkedArray:
    """Return a column as trimmed text, null where it is missing."""
    if pa.types.is_floating(column.type):
        # NaN stands for missing in tables written by pandas
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        # an ID read as a number by another program: 1001.0 was 1001
        whole = pc.all(pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), 2.0**53))).as_py()
        column = column.cast(pa.int64()) if whole else column
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.is_in(text, value_set=pa.array(sorted(markers))), pa.scalar(None, pa.string()), text)


def _typed(column: pa.ChunkedArray, markers: set[str], numbers: Sequence[float]) -> np.ndarray:
    """Return float64 with NaN where all non-missing values are finite numbers, else objects: text or None."""
    kind = column.type
    values: pa.ChunkedArray | None = None
    text: pa.ChunkedArray | None = None
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.cast(pa.float64(), safe=False)
        # NaN stands for missing in tables written by pandas
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    else:
        text = as_text(column, markers)
        try:
            values = text.cast(pa.float64())
        except pa.ArrowInvalid:
            return text.to_pandas().to_numpy(dtype=object)
    if not pc.all(pc.is_finite(values)).as_py() and values.null_count < len(values):
        text = text if text is not None else values.cast(pa.string())
        return text.to_pandas().to_numpy(dtype=object)
    array = values.to_pandas().to_numpy(dtype=np.float64, copy=True)
    if numbers:
        array[np.isin(array, numbers)] = np.nan
    return array


def _decode_sex(table: pa.Table, markers: set[str], path: str, name: str) -> np.ndarray:
    values = as_text(table.column(name), markers).to_pandas()
    plain = values.str.lower().str.replace(r"\.0*$", "", regex=True)
    present = set(plain.dropna().unique())
    if present == {"0", "1"}:
        raise InputError(
            f"{path}: column '{name}' (sex in the config) holds 0 and 1; expected 1 or M for males, 2 or F for "
            "females (0 means unknown)"
        )
    if unknown := sorted(v for v in present if v not in _SEX):
        first = int(np.flatnonzero(plain == unknown[0])[0])
        raise InputError(
            f"{path}: column '{name}' (sex in the config) holds "
            f"{some([repr(values[first])] + [repr(u) for u in unknown[1:]])} (row {line_of(table, first)}); expected "
            "1/M/male, 2/F/female, 0 or a missing value"
        )
    return plain.map(_SEX).fillna(0).to_numpy(dtype=np.int8)


def _refuse_duplicates(
    keys: pd.Series, table: pa.Table, path: str, ids: Sequence[str], set_aside: Sequence[str]
) -> None:
    twice = keys[keys.duplicated(keep=False)]
    if twice.empty:
        return
    shown = [
        f"{shorten(_spell([key])[0], 30)} (rows {', '.join(str(line_of(table, i)) for i in group.index[:4])})"
        for key, group in twice.groupby(twice, sort=False)
    ]
    hint = f"; if IDs are unique only within families, give family_id: {set_aside[0]}" if set_aside else ""
    raise InputError(
        f"{path}: {len(shown)} IDs ({'+'.join(ids)}) are there more than once: {some(shown)}; keep one row per "
        f"person{hint}"
    )


def _spell(keys: Sequence[str] | pd.Series) -> list[str]:
    return [str(k).replace("\t", " ") for k in keys]


def _check_overlap(
    fam: pd.DataFrame, table: SampleTable, keys: pd.Series, found: np.ndarray, where: str, least: float
) -> None:
    """Log how many people are in both tables, and why others are not; refuse too small a part."""
    common, smaller = int(found.sum()), min(len(keys), len(table.keys))
    theirs = table.keys[~table.keys.isin(keys)]
    reasons = systematic_differences(fam[~found], theirs, table.by_family) if len(theirs) and common < len(keys) else []
    why = "; ".join(str(r) for r in reasons) or "are they of the same people, and is sample_id the right column?"
    if not common:
        raise InputError(
            f"{table.path}: not one ID in common with {where}: the table has {some(_spell(table.keys[:3]), 3)}, "
            f"the genotypes {some(_spell(keys[:3]), 3)}; {why}"
        )
    logger.info(
        "%s people in %s, %s in %s, %s in both",
        f"{len(keys):,}",
        where,
        f"{len(table.keys):,}",
        table.path,
        f"{common:,}",
    )
    shown = (
        f"only {common:,} of {smaller:,} IDs of the smaller side are in both; not in the sample table: "
        f"{some(_spell(keys[~found]), 3)}; not in the genotypes: {some(_spell(theirs), 3)}"
    )
    if common < least * smaller:
        raise InputError(
            f"{table.path}: {shown}; {why}{'' if why.endswith('?') else '.'} At least {least:.0%} are expected; if "
            f"the others are other people, set minimum_overlap of the cohort to {int(100 * common / smaller) / 100:g} "
            "or less"
        )
    if common < LEAST_OVERLAP * smaller:
        logger.warning("%s: %s", table.path, shown)
    for reason in reasons:
        logger.warning("%s: of the IDs that are not in %s, %s", table.path, where, reason)
