"""Kinship beyond ancestry: of people of several ancestries, and of people who descend from several.

KING-robust compares two people with each other. Where they are of different ancestries their genotypes differ for that
reason, too, and kinship comes out too low: of admixed relatives few are found. Here genotypes are compared with what
each person's own ancestry, by principal components, lets expect, as in PC-Relate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from deepnull_gwas.cohort.kinship import (
    FIRST,
    Rows,
    Search,
    classify,
    find_pairs,
    people_rows,
    table_of_pairs,
)
from deepnull_gwas.cohort.relationship import apply
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.counts import count_variants
from deepnull_gwas.genotypes.expected_genotypes import compare_with_expected
from deepnull_gwas.genotypes.people_planes import count_pairs, planes_of_people
from deepnull_gwas.genotypes.standardised import StandardisedGenotypes

#: People who define the components that there have to be for each of them.
PEOPLE_PER_COMPONENT = 10


@dataclass(frozen=True)
class Ancestry:
    """What people's ancestry lets expect of their genotypes.

    The expected genotype of person i at variant v is the sum over k of ``position[i, k] * effects[v, k]``.

    Attributes
    ----------
    people
        int64[n], sample indices, ascending.
    position
        float64[n, k + 1], 1 and the principal components.
    effects
        float64[variants, k + 1], on the genotype (copies of the effect allele).
    """

    people: np.ndarray
    position: np.ndarray
    effects: np.ndarray

    def expected(self, row: int) -> np.ndarray:
        """Return the expected frequencies of a person, within 0 and 1: float64[variants]."""
        return np.clip(self.effects @ self.position[row] / 2, 0.0, 1.0)


def fit_ancestry(
    fileset: Genotypes, index: np.ndarray, people: np.ndarray, pcs: np.ndarray, fitted: np.ndarray, threads: int = 1
) -> Ancestry:
    """Regress genotypes on principal components.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of the variants (autosomal, pruned).
    people
        int64[n], ascending sample indices.
    pcs
        float64[n, k].
    fitted
        bool[n], the people to regress in: unrelated. With few of them, only the first components are used.
    threads
        Blocks at a time; the result does not depend on it.
    """
    k = min(pcs.shape[1], int(fitted.sum()) // PEOPLE_PER_COMPONENT)
    position = np.column_stack([np.ones(len(people)), pcs[:, :k]])
    selected = np.zeros(fileset.n_samples, dtype=bool)
    selected[people[fitted]] = True
    counts = count_variants(fileset, index, [selected])[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency = np.nan_to_num((2 * counts[:, 0] + counts[:, 1]) / (2 * counts[:, :3].sum(axis=1)))
    genotypes = StandardisedGenotypes(fileset, index, frequency)
    x = np.zeros((genotypes.width, k + 1))
    x[genotypes.order[people[fitted]]] = position[fitted]
    # one BLAS thread: what is computed then does not depend on the number of threads
    with threadpool_limits(1, user_api="blas"):
        effects = apply(genotypes, x, threads) @ np.linalg.pinv(position[fitted].T @ position[fitted], hermitian=True)
    effects *= np.sqrt(2 * frequency * (1 - frequency))[:, None]
    effects[:, 0] += 2 * frequency
    return Ancestry(people, position, effects)


def _of_people(rows: Rows, ancestry: Ancestry, products: np.ndarray) -> Rows:
    """Fill in missing calls, and compute what the kinship of a pair is put together from (see :func:`_room`)."""
    called = rows.hom | rows.plus
    hom, plus = rows.hom.copy(), rows.plus.copy()
    position = ancestry.position[np.searchsorted(ancestry.people, rows.people)]
    squares, variance, along = compare_with_expected(hom, plus, position, ancestry.effects)
    return replace(
        rows, hom=hom, plus=plus,
        of_person=(squares, np.sqrt(variance), position, along - position @ products / 2, called),
    )  # fmt: skip


def _least_products(one: Rows, other: Rows, first: np.ndarray | slice, threshold: float) -> np.ndarray:
    """Return the sum of products of genotypes at which the kinship of each pair is the threshold."""
    _, deviation, position, beyond, _ = one.of_person
    _, deviations, positions, beyonds, _ = other.of_person
    expected = beyond[first] @ positions.T + position[first] @ beyonds.T
    return 4 * threshold * np.multiply.outer(deviation[first], deviations) + expected


def _kinship_of(one: Rows, other: Rows, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the kinship of some pairs: float64[pairs]."""
    distance = np.zeros((len(first), 5), dtype=np.int64)
    count_pairs(one.hom, one.plus, other.hom, other.plus, first, second, distance)
    differences = 4 * distance[:, 2] + distance[:, 3] + distance[:, 4]
    a, b = ([values[rows] for values in who.of_person[:4]] for who, rows in ((one, first), (other, second)))
    products = (a[0] + b[0] - differences) / 2
    # summed one after the other, in the same order for every pair
    expected = np.zeros(len(first))
    for k in range(a[2].shape[1]):
        expected += a[3][:, k] * b[2][:, k] + a[2][:, k] * b[3][:, k]
    return (products - expected) / (4 * a[1] * b[1])


def adjusted_pairs(
    fileset: Genotypes, index: np.ndarray, ancestry: Ancestry, threshold: float, search: Search | None = None
) -> pd.DataFrame:
    """Find all pairs of people with a kinship, beyond their ancestry, above a threshold.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of the variants, those of ``ancestry``.
    ancestry
        Of the people (:func:`fit_ancestry`).
    threshold
        Lowest kinship of a pair that is reported (it must lie above it).
    search
        How the pairs are looked for.

    Returns
    -------
    As :func:`~deepnull_gwas.cohort.kinship.kinship_pairs`, and ``kinship_adjusted``, and ``ibs0_unrelated``: the share
    of opposite homozygotes expected of two unrelated people of these ancestries (first-degree relatives only, else
    NaN).

    Notes
    -----
    With p_iv the expected frequency, kinship is sum (g_iv - 2 p_iv) (g_jv - 2 p_jv) / (4 s_i s_j), s_i^2 = sum of
    p_iv (1 - p_iv): the estimator of PC-Relate (Conomos et al. 2016, American Journal of Human Genetics 98:127), which
    has the sum of the products of standard deviations below the line instead of the product of the roots of sums. The
    sum of products of genotypes follows from the squared differences that popcounts give; what is expected of it has as
    few dimensions as there are components, so that a pair costs no more than with KING. A missing call counts as the
    genotype nearest to what is expected. ``kinship`` stays KING-robust, of the calls that there are.
    """
    products = ancestry.effects.T @ ancestry.effects
    found = find_pairs(
        fileset.n_samples, ancestry.people, 24 * -(-len(index) // 64),
        lambda bounds: _of_people(people_rows(fileset, index, ancestry.people, bounds), ancestry, products),
        _room(threshold), _measure(threshold), search or Search(),
    )  # fmt: skip
    if not found:
        found = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 5), np.int64), np.empty(0))
    order = np.lexsort((found[1], found[0]))
    first, second, counts, kinship = (values[order] for values in found)
    table = table_of_pairs(first, second, counts).assign(kinship_adjusted=kinship, ibs0_unrelated=np.nan)
    rows = [np.searchsorted(ancestry.people, side) for side in (first, second)]
    for pair in np.flatnonzero(kinship > FIRST):
        p, q = (ancestry.expected(int(row[pair])) for row in rows)
        table.loc[pair, "ibs0_unrelated"] = float(np.mean((p * (1 - q)) ** 2 + (q * (1 - p)) ** 2))
    return table


def relatives_beyond_ancestry(
    fileset: Genotypes, index: np.ndarray, ancestry: Ancestry, threshold: float, search: Search | None = None
) -> pd.DataFrame:
    """Find the relatives among people of several ancestries, and name their relations by the adjusted kinship.

    Parameters
    ----------
    fileset, index, ancestry, threshold, search
        As of :func:`adjusted_pairs`.

    Returns
    -------
    As :func:`adjusted_pairs`, and ``relation``.
    """
    found = adjusted_pairs(fileset, index, ancestry, threshold, search)
    expected = np.nan_to_num(found["ibs0_unrelated"].to_numpy())
    found["relation"] = classify(found["kinship_adjusted"], found["ibs0"], expected)
    return found


def _room(threshold: float) -> Callable[[Rows, Rows, slice], np.ndarray]:
    """Return what gives the largest distance of pairs whose kinship is above a threshold."""

    def room(one: Rows, other: Rows, some: slice) -> np.ndarray:
        squares, more = one.of_person[0][some], other.of_person[0]
        far = np.add.outer(squares, more) - 2 * _least_products(one, other, some, threshold)
        # a pair within rounding of the threshold is decided on its exact kinship
        return far + 1e-6 * (1 + np.abs(far))

    return room


def _measure(threshold: float) -> Callable[..., tuple[np.ndarray, ...]]:
    """Return what measures pairs: sample indices, counts of the calls that there are, and kinship."""

    def measure(one: Rows, other: Rows, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, ...]:
        kinship = _kinship_of(one, other, first, second)
        kept = kinship > threshold
        first, second = first[kept], second[kept]
        counts = np.zeros((len(first), 5), dtype=np.int64)
        rows = [(who.hom[at] & who.of_person[4][at], who.plus[at] & who.of_person[4][at])
                for who, at in ((one, first), (other, second))]  # fmt: skip
        pair = np.arange(len(first))
        count_pairs(*rows[0], *rows[1], pair, pair, counts)
        return one.people[first], other.people[second], counts, kinship[kept]

    return measure


def spread_beyond_ancestry(fileset: Genotypes, index: np.ndarray, ancestry: Ancestry, number: int = 256) -> float:
    """Estimate by how much kinship of strangers, beyond their ancestry, varies: from pairs of some people.

    By the quantiles that hold two thirds of the pairs, so that a few relatives among them do not matter; or by the
    highest hundredth if that lies further out than a normal distribution has it: over a short genome strangers share
    long stretches by descent here and there. What the components leave of ancestry counts as variation.
    """
    n = len(ancestry.people)
    if n < 8 or not len(index):
        return 0.0
    chosen = np.linspace(0, n - 1, min(number, n)).astype(np.int64)
    few = replace(ancestry, people=ancestry.people[chosen], position=ancestry.position[chosen])
    products = few.effects.T @ few.effects
    rows = Rows(few.people, *planes_of_people(fileset, index, few.people), ())
    rows = _of_people(rows, few, products)
    kinship = _kinship_of(rows, rows, *np.triu_indices(len(chosen), 1))
    low, middle, high, highest = np.quantile(kinship, [0.1587, 0.5, 0.8413, 0.99])
    return float(max((high - low) / 2, (highest - middle) / 2.3263))
