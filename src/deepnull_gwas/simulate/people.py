"""The people of a simulated cohort: populations, sexes, families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputError
from deepnull_gwas.simulate.seeds import generator

#: Diploid sizes of the populations, and their shares of the cohort. Together with the splits and the migration
#: below they give pairwise FST of about .009 to .02, as between populations of one continent.
POPULATIONS: dict[str, int] = {"A": 10_000, "B": 6_000, "C": 4_000}
POPULATION_SHARES: dict[str, float] = {"A": 0.55, "B": 0.30, "C": 0.15}


@dataclass(frozen=True)
class People:
    """The people of a simulated cohort, in file order, and the founders they descend from.

    Attributes
    ----------
    fam
        fid, iid, father, mother ("0" where not in the cohort), sex (1 male, 2 female), phenotype (-9).
    population
        str, one per person.
    founder
        int64: the founder that this person is; -1 for a child.
    father, mother
        int64: founders that are the parents of a child; -1 for a founder.
    siblings, parent_child
        int64, pairs x 2: numbers of full siblings, and of parents with their children.
    founder_sex
        int8, one per founder (1 male, 2 female).
    founder_population
        str, one per founder, in blocks: all of A, then B, then C.
    """

    fam: pd.DataFrame
    population: np.ndarray
    founder: np.ndarray
    father: np.ndarray
    mother: np.ndarray
    siblings: np.ndarray
    parent_child: np.ndarray
    founder_sex: np.ndarray
    founder_population: np.ndarray


def draw_people(settings: Mapping[str, Any], seed: int) -> People:
    """Draw who is in the cohort: populations, sexes, families and their order.

    Parameters
    ----------
    settings
        ``people``, ``sibling_pairs``, ``parent_child_pairs``.
    seed
        The seed of the config.

    Returns
    -------
    People; the parents of siblings are not in the cohort, of a parent-child pair one parent is.
    Each family lies within one population. There are as many founders as people in the cohort.

    Raises
    ------
    InputError
        When the pairs need more people than there are.
    """
    n = int(settings["people"])
    n_siblings = int(settings["sibling_pairs"])
    n_parents = int(settings["parent_child_pairs"])
    if min(n_siblings, n_parents) < 0 or 2 * (n_siblings + n_parents) > n or n < 4:
        raise InputError(
            f"simulate: {n} people cannot hold {n_siblings} sibling pairs and {n_parents} parent-child pairs; "
            f"people must be at least 4 and at least twice the number of pairs ({2 * (n_siblings + n_parents)})"
        )
    rng = generator(seed, "people")
    names = np.array(list(POPULATIONS), dtype=object)
    n_families = n - n_siblings - n_parents
    # families in the order: sibling pairs, parent-child pairs, single people
    family_population = rng.choice(len(names), size=n_families, p=[POPULATION_SHARES[k] for k in names])
    is_pair = np.arange(n_families) < n_siblings + n_parents

    founders = _founders(names[family_population], is_pair, rng)
    rows, siblings, parent_child = _children(founders, is_pair, n_siblings, rng)
    # relatives must not be neighbours in the file: order there carries no information
    shuffle = rng.permutation(n)
    rank = np.empty(n, dtype=np.int64)
    rank[shuffle] = np.arange(n)
    table = np.array(rows, dtype=np.int64)[shuffle]
    sibling_pairs = rank[np.array(siblings, dtype=np.int64).reshape(-1, 2)]
    parent_pairs = rank[np.array(parent_child, dtype=np.int64).reshape(-1, 2)]

    fam = _table(table, parent_pairs, n_families, rng)
    return People(
        fam=fam,
        population=names[family_population[table[:, 0]]],
        founder=table[:, 1],
        father=table[:, 2],
        mother=table[:, 3],
        siblings=sibling_pairs,
        parent_child=parent_pairs,
        founder_sex=founders.sex,
        founder_population=founders.population,
    )


@dataclass(frozen=True)
class _Founders:
    """Founders sorted by population: their sexes and populations, and where the first founder of each family is."""

    sex: np.ndarray
    population: np.ndarray
    first: np.ndarray
    second: np.ndarray


def _founders(population: np.ndarray, is_pair: np.ndarray, rng: np.random.Generator) -> _Founders:
    """Draw two founders for each pair (father, mother) and one for each single person.

    Parameters
    ----------
    population, is_pair
        Of each family.
    rng
        Generator.
    """
    # sorted by population for msprime
    owner = np.repeat(np.arange(len(population)), np.where(is_pair, 2, 1))
    first = np.concatenate([[True], owner[1:] != owner[:-1]])
    sex = np.where(is_pair[owner], np.where(first, 1, 2), rng.integers(1, 3, size=len(owner)))
    order = np.argsort(population[owner], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    founder_sex = sex[order].astype(np.int8)
    founder_population = population[owner[order]]
    start = np.flatnonzero(first)  # the first founder of each family, before sorting
    return _Founders(founder_sex, founder_population, place[start], place[np.minimum(start + 1, len(place) - 1)])


def _children(
    founders: _Founders, is_pair: np.ndarray, n_siblings: int, rng: np.random.Generator
) -> tuple[list[tuple[int, int, int, int, int]], list[tuple[int, int]], list[tuple[int, int]]]:
    """Draw the people of each family, in the order: sibling pairs, parent-child pairs, single people.

    Returns
    -------
    Of each person family, founder, father, mother, sex (-1 where there is none); pairs of rows of siblings; and of
    parents with their children.
    """
    rows: list[tuple[int, int, int, int, int]] = []  # family, founder, father, mother, sex
    siblings, parent_child = [], []
    for family in range(len(is_pair)):
        a = founders.first[family]
        if not is_pair[family]:
            rows.append((family, a, -1, -1, int(founders.sex[a])))
            continue
        b = founders.second[family]
        if family < n_siblings:
            siblings.append((len(rows), len(rows) + 1))
            rows.extend((family, -1, a, b, int(rng.integers(1, 3))) for _ in range(2))
        else:
            parent_child.append((len(rows), len(rows) + 1))
            parent = (a, b)[int(rng.integers(2))]
            rows.append((family, parent, -1, -1, int(founders.sex[parent])))
            rows.append((family, -1, a, b, int(rng.integers(1, 3))))
    return rows, siblings, parent_child


def _table(people: np.ndarray, parent_child: np.ndarray, n_families: int, rng: np.random.Generator) -> pd.DataFrame:
    """Name the people: fid, iid, father, mother, sex, phenotype."""
    width = max(5, len(str(len(people))))
    family_label = rng.permutation(n_families) + 1
    fam = pd.DataFrame(
        {
            "fid": [f"F{family_label[f]:0{width}d}" for f in people[:, 0]],
            "iid": [f"S{i + 1:0{width}d}" for i in range(len(people))],
            "father": "0",
            "mother": "0",
            "sex": people[:, 4],
            "phenotype": -9,
        }
    )
    for parent, child in parent_child:
        column = "father" if fam["sex"].iat[parent] == 1 else "mother"
        fam.loc[child, column] = fam["iid"].iat[parent]
    return fam
