"""Folds of the whole-genome regression: decided once per cohort, so that all its studies share them.

A study's folds are those of its people, so they depend on no other study; people of one family are in one fold: a
model trained on a person's siblings would predict what they share with that person for other reasons than their genes.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.families import family_clusters, kinship_column
from deepnull_gwas.deepnull.folds import derive_seed
from deepnull_gwas.tables import read_parquet

logger = logging.getLogger(__name__)

#: Kinship above which people are relatives of the second and of the first degree (Manichaikul et al. 2010).
SECOND_DEGREE, FIRST_DEGREE = 2**-3.5, 2**-2.5


def genome_folds(
    families: str | Path | pd.DataFrame,
    folds: int,
    seed: int,
    relatives: str | Path | pd.DataFrame | None = None,
) -> np.ndarray:
    """Split the people of a cohort into folds of nearly equal size; families stay together.

    A cluster of relatives that holds more people than a fold is cut where its people are least related: only relatives
    of the second degree or closer stay together then, or only those of the first degree, or nobody.

    Parameters
    ----------
    families
        structure/families.parquet of the cohort, or its frame: ``sample_index``, ``fid``, ``iid``, ``family``.
    folds
        Their number; with fewer people, as many as there are people.
    seed
        Of the config.
    relatives
        structure/relatives.tsv, or its frame, to cut clusters by; without it they are cut by chance.

    Returns
    -------
    int32, the fold of each person by ``sample_index``; -1 for people without a row in ``families``. It depends on
    people's names, not on their order in the files.
    """
    people = families if isinstance(families, pd.DataFrame) else read_parquet(families)
    index = people["sample_index"].to_numpy(np.int64)
    out = np.full(int(index.max(initial=-1)) + 1, -1, dtype=np.int32)
    if not len(index):
        return out
    names = [f"{fid} {iid}" for fid, iid in zip(people["fid"], people["iid"])]
    count = max(1, min(folds, len(index)))
    group = _cut(people["family"].to_numpy(np.int64), index, relatives, -(-len(index) // count))
    # named by their first member in the order of names, whatever the order of rows
    first: dict[int, str] = {}
    for g, name in zip(group.tolist(), names):
        first[g] = min(first.get(g, name), name)
    out[index] = _deal(group, first, count, derive_seed(seed, "genome", "folds"))[group]
    return out


def _deal(group: np.ndarray, names: dict[int, str], count: int, seed: int) -> np.ndarray:
    """Deal groups into folds, the largest first, each to the fold that has fewest people: int32, one per group."""
    sizes = np.bincount(group)
    keys = {g: hashlib.sha256(f"{seed}\x1f{name}".encode()).digest() for g, name in names.items()}
    load = [(0, fold) for fold in range(count)]
    out = np.full(len(sizes), -1, dtype=np.int32)
    for g in sorted(keys, key=lambda g: (-sizes[g], keys[g])):
        people, fold = load[0]
        heapq.heapreplace(load, (people + int(sizes[g]), fold))
        out[g] = fold
    return out


def _cut(family: np.ndarray, index: np.ndarray, relatives: str | Path | pd.DataFrame | None, most: int) -> np.ndarray:
    """Return the group of each person: the family, or a part of it where it is of more than ``most`` people."""
    group = family.copy()
    large = np.bincount(group)[group] > most
    if not large.any():
        return group
    pairs = _read_pairs(relatives, index)
    for degree, least in (("second", SECOND_DEGREE), ("first", FIRST_DEGREE), (None, np.inf)):
        close = pairs["kinship"].to_numpy() > least
        first, second = (pairs[side].to_numpy()[close] for side in ("first", "second"))
        logger.warning(
            "%s people are in clusters of relatives of more than %s people, too many for a fold: %s; what distant "
            "relatives share may be predicted from each other",
            f"{int(large.sum()):,}", f"{most:,}",
            f"only relatives of the {degree} degree or closer stay together" if degree else "they are split by chance",
        )  # fmt: skip
        finer = family_clusters(len(index), first, second)
        group = np.where(large, finer + group.max() + 1, group)
        group = np.unique(group, return_inverse=True)[1]
        large &= np.bincount(group)[group] > most
        if not large.any():
            break
    return group


def _read_pairs(relatives: str | Path | pd.DataFrame | None, index: np.ndarray) -> pd.DataFrame:
    """Return rows of the people (``first``, ``second``) and ``kinship`` of the pairs of relatives among them."""
    if relatives is None:
        return pd.DataFrame({"first": np.empty(0, np.int64), "second": np.empty(0, np.int64), "kinship": np.empty(0)})
    table = relatives if isinstance(relatives, pd.DataFrame) else pd.read_csv(relatives, sep="\t")
    columns = ["sample_index_1", "sample_index_2", kinship_column(table.columns)]
    place = pd.Series(np.arange(len(index)), index=index)
    sides = [table[c].map(place) for c in columns[:2]]
    known = (sides[0].notna() & sides[1].notna()).to_numpy()
    return pd.DataFrame(
        {
            "first": sides[0][known].astype(np.int64),
            "second": sides[1][known].astype(np.int64),
            "kinship": table[columns[2]][known],
        }
    )


def folds_of_people(folds: np.ndarray, sample_index: np.ndarray) -> np.ndarray:
    """Return the folds of a study's people, numbered from 0 without gaps: int32.

    Parameters
    ----------
    folds
        From :func:`genome_folds`.
    sample_index
        int64[n], the people.
    """
    return np.unique(folds[sample_index], return_inverse=True)[1].astype(np.int32)
