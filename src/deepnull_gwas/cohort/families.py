"""Families and unrelated people, from pairs of relatives. Apart from the search for pairs: who only asks for a set need not load the kernels."""

from __future__ import annotations

import heapq

import numpy as np

from deepnull_gwas.tables import Column

RELATIVES = [
    Column("sample_index_1", "int64", "position of the first person in the .fam"),
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
FAMILIES = [
    Column("sample_index", "int64", "position of the person in the .fam"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "individual ID"),
    Column("family", "int64", "number of the cluster of relatives (people without relatives are one of their own)"),
    Column("family_size", "int64", "people in the cluster"),
    Column("relatives", "int64", "people related above the threshold"),
    Column("unrelated", "bool", "in the maximal set of unrelated people"),
    Column("duplicate_of", "str", "IID of the same person's sample that is kept; empty for most", nullable=True),
]


def family_clusters(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give each of n people the number of the connected cluster they belong to (clusters are numbered by their first member)."""
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
        One a person: among relatives, who has less of it goes first, whatever the number of relatives (cases 1, controls 0, say).

    Returns
    -------
    bool, one a person.
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
