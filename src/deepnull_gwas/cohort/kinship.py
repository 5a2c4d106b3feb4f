"""Relatedness: KING-robust kinship of pairs, classes of pairs, and what chance adds to kinship."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
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


def _kinship(counts: np.ndarray) -> np.ndarray:
    """Compute the KING-robust coefficient (Manichaikul et al. 2010, eq. 11) from the counts of pairs."""
    both, opposite, left, right = counts[:, 1:].T.astype(np.float64)
    smaller = both + np.minimum(left, right)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 0.5 - (4 * opposite + left + right) / (4 * smaller)


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
    bytes_of_person = 16 * -(-len(index) // 64)
    per_group = int(max(TILE, memory_mb * 1e6 / 2 / max(bytes_of_person, 1)) // 64 * 64) or 64
    edges = np.arange(0, fileset.n_samples + per_group, per_group).clip(max=fileset.n_samples)
    ranges = [(int(a), int(b)) for a, b in pairwise(edges) if b > a]
    room = 4 * (0.5 - threshold)
    # a pair within rounding of the threshold is decided on its exact kinship
    room += 1e-9
    found = []
    progress = Progress(len(people) * (len(people) - 1) // 2, "pairs")

    def group(bounds: tuple[int, int]) -> tuple[np.ndarray, ...]:
        members = people[(people >= bounds[0]) & (people < bounds[1])]
        planes = people_planes(fileset, index, *bounds)
        if len(members) < bounds[1] - bounds[0]:
            planes = tuple(np.ascontiguousarray(p[members - bounds[0]]) for p in planes)
        het = np.zeros(len(members), dtype=np.int64)
        count_het(*planes, het)
        return (members, *planes, het)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for a, bounds in enumerate(ranges):
            one = group(bounds)
            for other_bounds in ranges[a:]:
                other = one if other_bounds == bounds else group(other_bounds)
                if len(one[0]) == 0 or len(other[0]) == 0:
                    continue

                def strip(
                    low: int, one: tuple[np.ndarray, ...] = one, other: tuple[np.ndarray, ...] = other
                ) -> tuple[np.ndarray, ...]:
                    high = min(low + TILE, len(one[0]))
                    maybe = np.zeros((high - low, len(other[0])), dtype=bool)
                    screen_pairs(*one[1:], *other[1:], low, high, low if one is other else 0, room, _WORDS, maybe)
                    first, second = np.nonzero(maybe)
                    first += low
                    if one is other:
                        first, second = first[second > first], second[second > first]
                    counts = np.zeros((len(first), 5), dtype=np.int64)
                    count_pairs(*one[1:3], *other[1:3], first, second, counts)
                    progress.add((high - low) * (len(other[0]) - (low + (high - low + 1) // 2 if one is other else 0)))
                    return one[0][first], other[0][second], counts

                found += list(pool.map(strip, range(0, len(one[0]), TILE)))
    first = np.concatenate([f for f, _, _ in found]) if found else np.empty(0, dtype=np.int64)
    second = np.concatenate([s for _, s, _ in found]) if found else np.empty(0, dtype=np.int64)
    counts = np.concatenate([c for _, _, c in found]) if found else np.empty((0, 5), dtype=np.int64)
    kinship = _kinship(counts)
    keep = np.flatnonzero(kinship > threshold)
    keep = keep[np.lexsort((second[keep], first[keep]))]
    called = counts[keep, 0]
    return pd.DataFrame(
        {
            "sample_index_1": first[keep], "sample_index_2": second[keep], "variants": called,
            "het_het": counts[keep, 1] / called, "ibs0": counts[keep, 2] / called, "kinship": kinship[keep],
        }
    )  # fmt: skip


def classify(kinship: np.ndarray, ibs0: np.ndarray, ibs0_unrelated: float) -> np.ndarray:
    """Name the relation of each pair.

    Parameters
    ----------
    kinship, ibs0
        Of each pair.
    ibs0_unrelated
        Share of opposite homozygotes expected of two unrelated people, the sum of 2 p^2 q^2 over variants.

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
    none_shared = np.asarray(ibs0) / max(ibs0_unrelated, 1e-30)
    relation[first] = np.where(none_shared[first] < _PARENT_CHILD_NONE_SHARED, "parent_child", "sibling")
    relation[kinship > DUPLICATE] = "duplicate"
    return relation


def spread_of_strangers(fileset: Genotypes, index: np.ndarray, people: np.ndarray, number: int = 256) -> float:
    """Estimate by how much kinship of strangers varies by chance, from a sample of pairs.

    Kinship from one half of the genome less kinship from the other: ancestry is the same in both and cancels, whereas
    what varies by chance (few variants, their linkage disequilibrium, what strangers share by descent here and there)
    does not.
    """
    chosen = people[np.linspace(0, len(people) - 1, min(number, len(people))).astype(np.int64)]
    if len(chosen) < 8 or len(index) == 0:
        return 0.0
    hom, plus = planes_of_people(fileset, index, chosen)
    first, second = np.triu_indices(len(chosen), 1)
    few = np.linspace(0, len(first) - 1, min(len(first), 4000)).astype(np.int64)
    # stretches of the genome in turn: ten to a half, or as many as there are words of 64 variants
    words = np.arange(hom.shape[1])
    half = words * 20 // max(len(words), 20) % 2
    if len(words) < 2:
        return _binomial_spread(len(index))
    both = []
    for side in (0, 1):
        counts = np.zeros((len(few), 5), dtype=np.int64)
        part = [np.ascontiguousarray(plane[:, half == side]) for plane in (hom, plus)]
        count_pairs(*part, *part, first[few], second[few], counts)
        both.append(_kinship(counts))
    difference = (both[0] - both[1]) / 2
    low, high = np.quantile(difference[np.isfinite(difference)], [0.1587, 0.8413])
    return float(high - low) / 2


def _binomial_spread(variants: int) -> float:
    """Return the spread of kinship over so few independent variants (of frequency 1/3) that they have no two halves."""
    return 1.0 / np.sqrt(max(variants, 1))
