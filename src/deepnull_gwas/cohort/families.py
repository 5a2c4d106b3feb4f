"""Families and unrelated people, from pairs of relatives.

Apart from the search for pairs: who only asks for a set need not load the kernels.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Sequence

import numpy as np

from deepnull_gwas.errors import some
from deepnull_gwas.tables import Column

logger = logging.getLogger(__name__)

RELATIVES = [
    Column("sample_index_1", "int64", "number of the first person in the genotype files"),
    Column("sample_index_2", "int64", "of the second; larger than that of the first"),
    Column("fid_1", "str", "family ID of the first"),
    Column("iid_1", "str", "individual ID of the first"),
    Column("fid_2", "str", "of the second"),
    Column("iid_2", "str", "of the second"),
    Column("variants", "int64", "variants called in both"),
    Column("het_het", "float64", "share of these at which both are heterozygous"),
    Column("ibs0", "float64", "share of these at which they are homozygous for different alleles"),
    Column("kinship", "float64", "KING-robust kinship coefficient (duplicate .5, first degree .25, second .125)"),
    Column("relation", "str", "duplicate, parent_child, sibling, second_degree, third_degree"),
]
#: In addition, where the cohort's people are of several ancestries: degrees and families are then by it.
ADJUSTED = Column("kinship_adjusted", "float64", "kinship beyond ancestry, by principal components")
FAMILIES = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "individual ID"),
    Column("family", "int64", "number of the cluster of relatives (people without relatives are one of their own)"),
    Column("family_size", "int64", "people in the cluster"),
    Column("relatives", "int64", "people related above the threshold"),
    Column("unrelated", "bool", "in the maximal set of unrelated people"),
    Column("duplicate_of", "str", "IID of the same person's sample that is kept; empty for most", nullable=True),
]


def kinship_column(columns: Iterable[str]) -> str:
    """Return the column of a table of relatives that degrees and families are by."""
    return ADJUSTED.name if ADJUSTED.name in set(columns) else "kinship"


#: An FID of more people than this names no family; nor does one with at least this many people that are more than that
#: share of all.
LARGEST_FAMILY, LEAST_PEOPLE, LARGEST_SHARE = 50, 10, 0.1


def names_of_families(fid: Sequence[str], iid: Sequence[str], kinship: bool = True) -> np.ndarray:
    """Return the name of each person's family by FID; people without one have a name of their own.

    No family are FID 0, an empty one and the same FID for everybody (PLINK's ways to say so), and an FID that many
    people share: it is that of a population, a site or a plate, and is warned of.

    Parameters
    ----------
    fid, iid
        Of each person.
    kinship
        Whether relatives are also known by kinship, for the warning.
    """
    fid, iid = np.asarray(fid, dtype=object).astype(str), np.asarray(iid, dtype=object).astype(str)
    names, place, counts = np.unique(fid, return_inverse=True, return_counts=True)
    none = np.isin(names, ["0", ""]) | (len(names) == 1)
    large = (counts > LARGEST_FAMILY) | ((counts >= LEAST_PEOPLE) & (counts > LARGEST_SHARE * len(fid)))
    if (shared := np.flatnonzero(large & ~none)).size:
        shown = some(
            [f"{names[i]}: {counts[i]:,} people" for i in shared[np.argsort(-counts[shared], kind="stable")]], 3
        )
        logger.warning(
            "%d FID%s too many people for a family (%s): a population or a site? Not taken for families; %s",
            len(shared), " has" if len(shared) == 1 else "s have", shown,
            "kinship tells who is related" if kinship else "relatives among them may come into different folds",
        )  # fmt: skip
    return np.where((none | large)[place], "\x1e" + iid.astype(object), fid)


def family_clusters(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the number of each person's connected cluster; clusters are numbered by their first member.

    Examples
    --------
    >>> family_clusters(5, np.array([0, 3]), np.array([2, 2])).tolist()
    [0, 1, 0, 0, 2]
    """
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in zip(first, second, strict=True):
        a, b = root(int(i)), root(int(j))
        parent[max(a, b)] = min(a, b)
    roots = np.array([root(i) for i in range(n)], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def unrelated_set(n: int, first: np.ndarray, second: np.ndarray, priority: np.ndarray | None = None) -> np.ndarray:
    """Choose a maximal set of people of whom no two are related: greedily, whoever has most relatives left goes first.

    Parameters
    ----------
    n
        Number of people.
    first, second
        Related pairs.
    priority
        One per person: among relatives, who has less of it goes first, whatever the number of relatives (cases 1,
        controls 0, say).

    Returns
    -------
    bool, one per person.

    Examples
    --------
    >>> unrelated_set(4, np.array([0, 0]), np.array([1, 2])).tolist()
    [False, True, True, True]
    """
    priority = np.zeros(n) if priority is None else np.asarray(priority, dtype=np.float64)
    relatives: dict[int, set[int]] = {}
    for i, j in zip(first, second, strict=True):
        relatives.setdefault(int(i), set()).add(int(j))
        relatives.setdefault(int(j), set()).add(int(i))
    keep = np.ones(n, dtype=bool)

    def order(i: int) -> tuple[float, int, int]:
        return (priority[i], -len(relatives[i]), -i)

    heap = [order(i) for i in relatives]
    heapq.heapify(heap)
    while heap:
        entry = heapq.heappop(heap)
        i = -entry[2]
        if not relatives[i] or not keep[i]:
            continue
        if entry != order(i):  # lost a relative since: its place is further back
            heapq.heappush(heap, order(i))
            continue
        keep[i] = False
        for j in relatives.pop(i):
            relatives[j].discard(i)
        relatives[i] = set()
    # whoever went for the sake of somebody who went later may come back
    neighbours: dict[int, list[int]] = {}
    for i, j in zip(first, second, strict=True):
        neighbours.setdefault(int(i), []).append(int(j))
        neighbours.setdefault(int(j), []).append(int(i))
    for i in sorted(np.flatnonzero(~keep), key=lambda i: (-priority[i], i)):
        if not keep[neighbours[int(i)]].any():
            keep[i] = True
    return keep
