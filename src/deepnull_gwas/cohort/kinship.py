"""Relatedness: KING-robust kinship of pairs, classes of pairs, and what chance adds to kinship."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.people_planes import (
    TILE,
    count_het,
    count_pairs,
    people_planes,
    planes_of_people,
    screen_pairs,
)
from deepnull_gwas.logs import Progress

logger = logging.getLogger(__name__)

#: Lower bounds of kinship for the degrees: halfway, on a log2 scale, between their expectations (Manichaikul et al.
#: 2010).
DUPLICATE, FIRST, SECOND, THIRD = 2**-1.5, 2**-2.5, 2**-3.5, 2**-4.5
#: First-degree pairs: siblings share no allele by descent at a quarter of the genome, parent and child nowhere.
_PARENT_CHILD_NONE_SHARED = 0.1
#: Words of 64 variants that a tile of pairs looks at before the next.
_WORDS = 256


def king_robust(counts: np.ndarray) -> np.ndarray:
    """Compute the KING-robust coefficient (Manichaikul et al. 2010, eq. 11) from the counts of pairs."""
    both, opposite, left, right = counts[:, 1:].T.astype(np.float64)
    smaller = both + np.minimum(left, right)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 0.5 - (4 * opposite + left + right) / (4 * smaller)


@dataclass(frozen=True)
class Rows:
    """Bit rows of a group of people, and what else is known of each.

    Attributes
    ----------
    people
        int64[n], sample indices, ascending.
    hom, plus
        uint64[n, words] (:func:`~deepnull_gwas.genotypes.people_planes.people_planes`).
    of_person
        Arrays of n rows, whatever tells which pairs are to be found.
    """

    people: np.ndarray
    hom: np.ndarray
    plus: np.ndarray
    of_person: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Search:
    """How pairs are looked for; no result depends on it.

    Attributes
    ----------
    threads
        Strips of pairs at a time.
    memory_mb
        What the bit rows of two groups of people may take; more people than fit are taken in several groups.
    """

    threads: int = 1
    memory_mb: float = 2000.0


def people_rows(fileset: Genotypes, index: np.ndarray, people: np.ndarray, bounds: tuple[int, int]) -> Rows:
    """Read the bit rows of those of some people whose sample index lies within bounds."""
    members = people[(people >= bounds[0]) & (people < bounds[1])]
    planes = people_planes(fileset, index, *bounds)
    if len(members) < bounds[1] - bounds[0]:
        planes = tuple(np.ascontiguousarray(p[members - bounds[0]]) for p in planes)
    return Rows(members, *planes, ())


def find_pairs(
    samples: int,
    people: np.ndarray,
    bytes_of_person: int,
    read: Callable[[tuple[int, int]], Rows],
    room: Callable[[Rows, Rows, slice], np.ndarray],
    measure: Callable[[Rows, Rows, np.ndarray, np.ndarray], tuple[np.ndarray, ...]],
    search: Search,
) -> tuple[np.ndarray, ...]:
    """Go through all pairs of people, and measure those whose distance does not exceed what each pair may have.

    Parameters
    ----------
    samples
        Number of samples in the genotype files.
    people
        Ascending sample indices.
    bytes_of_person
        What a person's bit rows take.
    read
        Range of sample indices -> the people in it.
    room
        First people, second people, some rows of the first -> float64[rows, second people], the largest sum of squared
        differences of dosage at which a pair counts.
    measure
        First people, second people, rows of the first, rows of the second -> arrays with a row per pair.
    search
        How.

    Returns
    -------
    What ``measure`` returned, of all pairs; empty where there is no pair to look at.
    """
    per_group = int(max(TILE, search.memory_mb * 1e6 / 2 / max(bytes_of_person, 1)) // 64 * 64) or 64
    edges = np.arange(0, samples + per_group, per_group).clip(max=samples)
    ranges = [(int(a), int(b)) for a, b in pairwise(edges) if b > a]
    found = []
    progress = Progress(len(people) * (len(people) - 1) // 2, "pairs")
    with ThreadPoolExecutor(max(1, search.threads)) as pool:
        for a, bounds in enumerate(ranges):
            one = read(bounds)
            for other_bounds in ranges[a:]:
                other = one if other_bounds == bounds else read(other_bounds)
                if len(one.people) == 0 or len(other.people) == 0:
                    continue

                def strip(low: int, one: Rows = one, other: Rows = other) -> tuple[np.ndarray, ...]:
                    high, same = min(low + TILE, len(one.people)), one is other
                    maybe = np.zeros((high - low, len(other.people)), dtype=bool)
                    rooms = room(one, other, slice(low, high))
                    planes = (one.hom, one.plus, other.hom, other.plus)
                    screen_pairs(*planes, rooms, low, high, low if same else 0, _WORDS, maybe)
                    first, second = np.nonzero(maybe)
                    first += low
                    if same:
                        first, second = first[second > first], second[second > first]
                    progress.add((high - low) * (len(other.people) - (low + (high - low + 1) // 2 if same else 0)))
                    return measure(one, other, first, second)

                found += list(pool.map(strip, range(0, len(one.people), TILE)))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def kinship_pairs(
    fileset: Genotypes,
    index: np.ndarray,
    people: np.ndarray,
    threshold: float = THIRD,
    threads: int = 1,
    memory_mb: float = 2000.0,
) -> pd.DataFrame:
    """Find all pairs of people with a KING-robust kinship above a threshold.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of the variants: autosomal; they need not be pruned.
    people
        Ascending sample indices.
    threshold
        Lowest kinship of a pair that is reported (it must lie above it).
    threads
        Strips of pairs at a time; the result does not depend on it.
    memory_mb
        What the bit rows of two groups of people may take; more people than fit are taken in several groups.

    Returns
    -------
    sample_index_1, sample_index_2, variants, het_het, ibs0 (shares), kinship; ordered by the two indices.

    Notes
    -----
    KING-robust, between families (Manichaikul et al. 2010, Bioinformatics 26:2867), as PLINK 2 ``--make-king-table``.
    Exact: a pair is rejected early only when no outcome at the remaining variants could lift it to the threshold. Two
    popcounts a word of 64 variants decide; the few pairs left are then counted in full.
    """
    people = np.asarray(people, dtype=np.int64)
    # a pair within rounding of the threshold is decided on its exact kinship
    share = 4 * (0.5 - threshold) + 1e-9

    def read(bounds: tuple[int, int]) -> Rows:
        rows = people_rows(fileset, index, people, bounds)
        het = np.zeros(len(rows.people), dtype=np.int64)
        count_het(rows.hom, rows.plus, het)
        return replace(rows, of_person=(het,))

    def room(one: Rows, other: Rows, some: slice) -> np.ndarray:
        # kinship is 1/2 - d / (4 h), h the smaller number of heterozygotes: at most that of the person alone
        return share * np.minimum.outer(one.of_person[0][some], other.of_person[0])

    def measure(one: Rows, other: Rows, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, ...]:
        counts = np.zeros((len(first), 5), dtype=np.int64)
        count_pairs(one.hom, one.plus, other.hom, other.plus, first, second, counts)
        return one.people[first], other.people[second], counts

    search = Search(threads, memory_mb)
    found = find_pairs(fileset.n_samples, people, 16 * -(-len(index) // 64), read, room, measure, search)
    first, second, counts = found or (np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 5), np.int64))
    kinship = king_robust(counts)
    keep = np.flatnonzero(kinship > threshold)
    keep = keep[np.lexsort((second[keep], first[keep]))]
    return table_of_pairs(first[keep], second[keep], counts[keep])


def table_of_pairs(first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> pd.DataFrame:
    """Return a table of pairs from their counts (int64[pairs, 5]; see :func:`kinship_pairs` for the columns)."""
    called = counts[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return pd.DataFrame(
            {
                "sample_index_1": first, "sample_index_2": second, "variants": called,
                "het_het": counts[:, 1] / called, "ibs0": counts[:, 2] / called, "kinship": king_robust(counts),
            }
        )  # fmt: skip


def classify(kinship: np.ndarray, ibs0: np.ndarray, ibs0_unrelated: float | np.ndarray) -> np.ndarray:
    """Name the relation of each pair.

    Parameters
    ----------
    kinship, ibs0
        Of each pair.
    ibs0_unrelated
        Share of opposite homozygotes expected of two unrelated people, the mean of 2 p^2 q^2 over variants; one for
        all pairs, or one per pair (looked at of first-degree relatives only).

    Returns
    -------
    object array: ``duplicate`` (or monozygotic twin), ``parent_child``, ``sibling``, ``second_degree``,
    ``third_degree``, ``distant``.

    Notes
    -----
    Degrees by kinship (Manichaikul et al. 2010, table 1). ``ibs0 / ibs0_unrelated`` estimates the share of the genome
    without an allele shared by descent: 0 for parent and child, 1/4 for siblings.
    """
    kinship = np.asarray(kinship, dtype=np.float64)
    relation = np.full(len(kinship), "distant", dtype=object)
    relation[kinship > THIRD] = "third_degree"
    relation[kinship > SECOND] = "second_degree"
    first = kinship > FIRST
    none_shared = np.asarray(ibs0) / np.maximum(ibs0_unrelated, 1e-30)
    relation[first] = np.where(none_shared[first] < _PARENT_CHILD_NONE_SHARED, "parent_child", "sibling")
    relation[kinship > DUPLICATE] = "duplicate"
    return relation


@dataclass(frozen=True)
class Strangers:
    """How KING-robust kinship of strangers varies.

    Attributes
    ----------
    spread
        By chance: a standard deviation.
    lowered
        By how much kinship lies below three of these standard deviations in the lowest hundredth of the pairs: 0 where
        all people are of one ancestry; where they are not, kinship of people of different ancestries comes out too low.
    """

    spread: float
    lowered: float


def look_at_strangers(fileset: Genotypes, index: np.ndarray, people: np.ndarray, number: int = 256) -> Strangers:
    """Estimate by how much kinship of strangers varies by chance and by ancestry, from a sample of pairs.

    Chance: kinship from one half of the genome less kinship from the other: ancestry is the same in both and cancels,
    whereas what varies by chance (few variants, their linkage disequilibrium, what strangers share by descent here and
    there) does not.
    """
    chosen = people[np.linspace(0, len(people) - 1, min(number, len(people))).astype(np.int64)]
    if len(chosen) < 8 or len(index) == 0:
        return Strangers(0.0, 0.0)
    hom, plus = planes_of_people(fileset, index, chosen)
    first, second = np.triu_indices(len(chosen), 1)
    few = np.linspace(0, len(first) - 1, min(len(first), 4000)).astype(np.int64)
    # stretches of the genome in turn: ten to a half, or as many as there are words of 64 variants
    words = np.arange(hom.shape[1])
    half = words * 20 // max(len(words), 20) % 2
    if len(words) < 2:
        return Strangers(_binomial_spread(len(index)), 0.0)
    both, total = [], np.zeros((len(few), 5), dtype=np.int64)
    for side in (0, 1):
        counts = np.zeros((len(few), 5), dtype=np.int64)
        part = [np.ascontiguousarray(plane[:, half == side]) for plane in (hom, plus)]
        count_pairs(*part, *part, first[few], second[few], counts)
        both.append(king_robust(counts))
        total += counts
    difference = (both[0] - both[1]) / 2
    low, high = np.quantile(difference[np.isfinite(difference)], [0.1587, 0.8413])
    spread, kinship = float(high - low) / 2, king_robust(total)
    lowest = float(np.quantile(kinship[np.isfinite(kinship)], 0.01))
    return Strangers(spread, max(0.0, -lowest - 3 * spread))


def _binomial_spread(variants: int) -> float:
    """Return the spread of kinship over so few independent variants (of frequency 1/3) that they have no two halves."""
    return 1.0 / np.sqrt(max(variants, 1))
