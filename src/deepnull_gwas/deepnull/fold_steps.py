"""The step of the workflow that splits the people of a study into folds."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.families import family_clusters, names_of_families
from deepnull_gwas.cohort.layout import refuse_doubled
from deepnull_gwas.cohort.text_table import column_of_numbers, line_of, read_text_table, refuse_rounded
from deepnull_gwas.deepnull.folds import assign_folds, default_folds, derive_seed, original_folds
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.tables import Column, read_json, read_parquet, write_parquet
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

#: Folds at most.
MAX_FOLDS = 100
FOLDS = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    Column("fold", "int32", "fold that predicts the person"),
]


def assign_study_folds(
    samples: str | Path,
    study: str | Path,
    k: int | None,
    seed: int,
    out: str | Path,
    families: str | Path | None = None,
    fold_file: str | Path | None = None,
    original: bool = False,
) -> None:
    """Split the people of a study into folds; families stay together, binary traits are stratified.

    A family are the people with the same FID (where it is not the IID, nor that of too many people for one family),
    joined with those whom kinship joins.

    Parameters
    ----------
    samples, study
        samples.parquet and study.json of the study.
    k, seed
        Number of folds (None: see :func:`~deepnull_gwas.deepnull.folds.default_folds`; those of ``fold_file``); seed of
        the config.
    out
        folds.parquet.
    families
        structure/families.parquet, where kinship was estimated.
    fold_file
        A table of the user's own, instead of folds by chance.
    original
        Whether to deal people out as the original DeepNull does.

    Raises
    ------
    InputError
        When the user's table does not fit.
    """
    people = read_parquet(samples)
    info = read_json(study)
    if fold_file is not None:
        fold = read_fold_file(fold_file, people, k)
        write_parquet(
            pd.DataFrame({"sample_index": people["sample_index"].to_numpy(np.int64), "fold": fold}), out, FOLDS
        )
        return
    y = people["phenotype"].to_numpy()
    count = default_folds(y, info["trait"], original) if k is None else k
    groups = family_groups(people, families)
    fid, iid = people["fid"].astype(str), people["iid"].astype(str)
    names = [f"{f} {i}" for f, i in zip(fid, iid)]
    if original:
        fold = original_folds(list(iid) if iid.is_unique else names, count, seed)
    else:
        stratum = trait_of(info["trait"]).stratum(y)
        fold = assign_folds(names, count, derive_seed(seed, info["cohort"], info["study"], "folds"), groups, stratum)
    frame = pd.DataFrame({"sample_index": people["sample_index"].to_numpy(np.int64), "fold": fold})
    sizes = np.bincount(fold, minlength=count)
    logger.info(
        "%s people, %s families of more than one%s; %d folds of %s to %s people",
        f"{len(frame):,}",
        f"{int((pd.Series(groups).value_counts() > 1).sum()):,}",
        " (recipe original: not kept together)" if original else "",
        count,
        f"{sizes.min():,}",
        f"{sizes.max():,}",
    )
    write_parquet(frame, out, FOLDS)


def family_groups(people: pd.DataFrame, families: str | Path | None = None) -> np.ndarray:
    """Return the name of each person's family.

    The people with the same FID (where it is one), joined with those whom kinship joins.

    Parameters
    ----------
    people
        samples.parquet of the study.
    families
        structure/families.parquet, where kinship was estimated.
    """
    groups = names_of_families(people["fid"], people["iid"], kinship=families is not None)
    if families is None:
        return groups
    return _join(groups, read_parquet(families, columns=["sample_index", "family"]), people["sample_index"])


def _join(groups: np.ndarray, families: pd.DataFrame, sample_index: pd.Series) -> np.ndarray:
    """Join the groups that share a family found by kinship: each then has the name of its first member."""
    names, group = np.unique(np.array(groups, dtype=str), return_inverse=True)
    family = families.set_index("sample_index")["family"].reindex(sample_index).to_numpy()
    # a person joins their own group with the first that their family was seen in
    known = np.flatnonzero(~np.isnan(family))
    first = {number: group[i] for i, number in reversed(list(zip(known, family[known])))}
    cluster = family_clusters(len(names), [first[family[i]] for i in known], group[known])
    # names are sorted, and clusters numbered by their first member
    return names[np.unique(cluster, return_index=True)[1]][cluster[group]]


def read_fold_file(path: str | Path, people: pd.DataFrame, k: int | None) -> np.ndarray:
    """Read folds from a table of the user's own: columns IID and fold, and FID where IIDs are not unique.

    Tabs, commas or spaces.

    Parameters
    ----------
    path
        The table.
    people
        samples.parquet of the study; empty for a study that failed.
    k
        Number of folds; None: as many as the table has.

    Returns
    -------
    int32, the fold of each of these people.

    Raises
    ------
    InputError
        When it cannot be read as a table, a column, a person or a fold is missing, a person is there twice, or a fold
        is no whole number below k.
    """
    texts = read_text_table(path)
    names = [c.lower() for c in texts.column_names]
    refuse_doubled(names, path)
    for needed in ("iid", "fold"):
        if needed not in names:
            raise InputError(
                f"{path}: no column '{needed}'; found {some(texts.column_names, 20)}, expected IID and fold (and FID, "
                f"if needed)"
            )
    both = "fid" in names
    texts = texts.rename_columns(names)
    ids = [pd.Series([v.strip() for v in texts.column(n).to_pylist()]) for n in (("fid", "iid") if both else ("iid",))]
    for name, values in zip(("fid", "iid") if both else ("iid",), ids):
        refuse_rounded(values, texts, name.upper(), path)
    key = ids[0] if not both else ids[0] + " " + ids[1]
    if key.duplicated().any():
        hint = "" if both else "; add a column FID if IIDs are not unique"
        raise InputError(f"{path}: {some(key[key.duplicated()])} is there more than once{hint}")
    values = column_of_numbers(texts, "fold", path)
    bad = ~np.isin(values, range(MAX_FOLDS if k is None else k))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        limit = f"{MAX_FOLDS - 1}" if k is None else f"{k - 1} (deepnull.folds is {k})"
        raise InputError(
            f"{path}: row {line_of(texts, row)}: fold '{values[row]:g}', expected a whole number from 0 to {limit}"
        )
    own = people["iid"].astype(str) if not both else people["fid"].astype(str) + " " + people["iid"].astype(str)
    found = own.map(dict(zip(key, values.astype(int))))
    if found.isna().any():
        absent = own[found.isna()]
        raise InputError(
            f"{path}: {len(absent)} of {len(own)} people analysed have no fold ({some(absent)}); add them, or leave "
            f"them out of the study"
        )
    if k is None and len(found) and set(found) != set(range(max(3, int(found.max()) + 1))):
        raise InputError(
            f"{path}: the people analysed are in folds {', '.join(f'{f:g}' for f in sorted(set(found)))}, expected "
            f"three or more, numbered from 0 "
            "without gaps"
        )
    return found.to_numpy(np.int32)
