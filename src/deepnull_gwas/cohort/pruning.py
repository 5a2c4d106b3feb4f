"""Pruning for linkage disequilibrium: common autosomal variants of which no two close ones correlate."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.genotypes.variant_planes import correlated_above, padded_lanes, variant_planes, words_of_people
from deepnull_gwas.jit import numba
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import Column, read_parquet, rows_of_table, write_parquet

logger = logging.getLogger(__name__)

PRUNED = [
    Column("index", "int64", "index of the variant in variants.parquet"),
    Column("chromosome", "str", "1 .. 22"),
    Column("position", "int64", "1-based"),
    Column("id", "str", "variant ID"),
    Column("effect_allele", "str", "the allele that calls count"),
    Column("other_allele", "str", "the other one"),
]

#: Of imputed variants, the least info, and the least share of people with a hard call.
LEAST_INFO, LEAST_CALLS = 0.9, 0.9
#: Bytes of bit planes that one chromosome holds at most in addition to the window itself.
_BLOCK_BYTES = 64 << 20


@numba.njit(nogil=True, cache=True)
def _windows(position, window):
    """Return first and last (exclusive) candidate of each window; each start is the first that lets the end move on."""
    m = len(position)
    starts, ends = np.empty(m, dtype=np.int64), np.empty(m, dtype=np.int64)
    count, start, end = 0, 0, 0
    while end < m:
        while position[end] - position[start] > window:
            start += 1
        while end < m and position[end] - position[start] <= window:
            end += 1
        starts[count], ends[count] = start, end
        count += 1
    return starts[:count], ends[:count]


@numba.njit(nogil=True, cache=True)
def _prune(called, hom, minus, sums, rows, maf, keep, unchecked, starts, ends, number, n_people, r2):
    """Prune window after window, from window ``number`` on; return the first that must wait for genotypes to be loaded.

    In a window, rounds: each variant in turn goes on along those it has not met until it meets one above the threshold,
    and of the two the one with the lower MAF goes (the later one where they are equal); rounds end when one removes
    nothing.

    ``rows``: number of the candidate in each row of the planes; ``maf``, ``keep``, ``unchecked`` (first candidate that
    each has not met): one per candidate.
    """
    loaded = rows[-1] + 1
    live = np.empty(len(rows), dtype=np.int64)
    n_live, next_row = 0, 0
    while number < len(starts) and ends[number] <= loaded:
        start, end = starts[number], ends[number]
        count = 0
        for a in range(n_live):
            if keep[rows[live[a]]] and rows[live[a]] >= start:
                live[count] = live[a]
                count += 1
        while next_row < len(rows) and rows[next_row] < end:
            if keep[rows[next_row]] and rows[next_row] >= start:
                live[count] = next_row
                count += 1
            next_row += 1
        n_live = count
        again = True
        while again:
            again = False
            for a in range(n_live):
                i = rows[live[a]]
                if not keep[i] or unchecked[i] >= end:
                    continue
                low, high = a + 1, n_live
                while low < high:
                    middle = (low + high) // 2
                    if rows[live[middle]] < unchecked[i]:
                        low = middle + 1
                    else:
                        high = middle
                unchecked[i] = end
                for b in range(low, n_live):
                    j = rows[live[b]]
                    if keep[j] and correlated_above(called, hom, minus, sums, live[a], live[b], n_people, r2):
                        again = True
                        if maf[i] < maf[j] - 1e-13:  # equal frequencies may differ by rounding
                            keep[i] = False
                        else:
                            keep[j] = False
                            unchecked[i] = j + 1
                        break
        number += 1
    return number


def prune_chromosome(
    fileset: Genotypes,
    index: np.ndarray,
    position: np.ndarray,
    maf: np.ndarray,
    mask: np.ndarray,
    window: int,
    r2: float,
) -> np.ndarray:
    """Choose variants of one chromosome of which no two within the window correlate above the threshold.

    Parameters
    ----------
    fileset
        The genotypes.
    index, position, maf
        Candidates in order of position; of a pair the one with the lower MAF goes, the later one where they are equal.
    mask
        bool, one per person: who counts. Correlations are over the people called in both variants.
    window
        Base pairs.
    r2
        The threshold.

    Returns
    -------
    bool, one per candidate: kept.

    Notes
    -----
    The order of the comparisons is that of PLINK 2 ``--indep-pairwise <kb>``, so that the two choose the same variants.
    The dot product of two variants coded -1, 0, 1 is two popcounts over bit planes (Chang et al. 2015, GigaScience
    4:7). Memory: the planes of what is kept in a window and of one block of candidates, 3/8 byte per person and
    variant.
    """
    if len(index) == 0:
        return np.ones(0, dtype=bool)
    n_words, lanes = words_of_people(fileset.n_samples), padded_lanes(mask)
    n_people = int(np.count_nonzero(mask))
    keep = np.ones(len(index), dtype=bool)
    unchecked = np.arange(1, len(index) + 1)
    starts, ends = _windows(np.ascontiguousarray(position, dtype=np.int64), window)
    size = int(np.clip(_BLOCK_BYTES // (24 * n_words), 16, 1024))
    rows = np.empty(0, dtype=np.int64)
    planes = [np.empty((0, n_words), dtype=np.uint64)] * 3
    sums = np.empty((0, 3), dtype=np.int64)
    number = 0
    for first in range(0, len(index), size):
        stop = min(first + size, len(index))
        words = np.zeros((stop - first, n_words * 16), dtype=np.uint8)
        words[:, : fileset.bytes_per_variant] = fileset.calls(index[first:stop])
        fresh = [np.empty((stop - first, n_words), dtype=np.uint64) for _ in range(3)]
        fresh_sums = np.empty((stop - first, 3), dtype=np.int64)
        variant_planes(words.view(np.uint64), lanes, fresh, fresh_sums)
        stay = keep[rows] & (rows >= starts[number])
        rows = np.concatenate([rows[stay], np.arange(first, stop)])
        planes = [np.concatenate([old[stay], new]) for old, new in zip(planes, fresh)]
        sums = np.concatenate([sums[stay], fresh_sums])
        number = _prune(*planes, sums, rows, maf, keep, unchecked, starts, ends, number, n_people, r2)
    return keep


def long_range_ld(path: str | Path, build: str) -> pd.DataFrame:
    """Read the regions of long-range linkage disequilibrium of a genome build.

    Returns
    -------
    chromosome, start, end (1-based, inclusive), name.
    """
    regions = pd.read_csv(path, sep="\t", dtype={"chromosome": str})
    return regions[regions["build"] == build].reset_index(drop=True)


def _is_certain(measures: pd.DataFrame, n_people: int, passed: np.ndarray) -> np.ndarray:
    """Return which imputed variants are certain enough for hard calls to stand for them: bool, one per variant."""
    certain = measures["info"].to_numpy() >= LEAST_INFO
    calls = n_people - (measures["uncertain"] + measures["missing"]).to_numpy()
    certain &= calls >= LEAST_CALLS * n_people
    logger.info(
        "imputed genotypes: %s of %s autosomal variants have an info of %g and hard calls of %g of the people or more; "
        "only these stand for relatives and components",
        f"{int((certain & passed).sum()):,}", f"{int(passed.sum()):,}", LEAST_INFO, LEAST_CALLS,
    )  # fmt: skip
    return certain


def prune_variants(
    genotypes: str | Path,
    variants: str | Path,
    qc_variants: str | Path,
    qc_samples: str | Path,
    long_range: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
    threads: int = 1,
) -> None:
    """Choose common autosomal variants in low linkage disequilibrium (rule ``prune_variants``).

    Regions of long-range linkage disequilibrium are left out.

    Parameters
    ----------
    genotypes, variants, qc_variants, qc_samples
        The cohort and its quality control; only variants and people that passed count.
    long_range
        Table of regions to leave out (``resources/long_range_ld.tsv``).
    settings
        ``maf`` (lowest), ``window_kb``, ``r2``, ``genome_build``.
    out
        Parquet with :data:`PRUNED`; without rows where the cohort has no such variants (``compute_pcs`` says so if it
        needs any).
    threads
        Chromosomes at a time; the result does not depend on it.
    """
    # IDs and alleles only of those that are kept
    table = read_parquet(variants, columns=["index", "chromosome", "position"])
    fileset = open_genotypes(genotypes)
    of_dosages = ["info", "uncertain", "missing"] if fileset.has_dosages else []
    measures = read_parquet(qc_variants, columns=["index", "effect_allele_frequency", "passed", *of_dosages])
    mask = read_parquet(qc_samples, columns=["passed"])["passed"].to_numpy(dtype=bool)
    frequency = measures["effect_allele_frequency"].to_numpy()
    table["maf"] = np.minimum(frequency, 1 - frequency)
    autosomal = table["chromosome"].isin(AUTOSOMES).to_numpy()
    passed = measures["passed"].to_numpy(dtype=bool) & autosomal
    if fileset.has_dosages:
        passed &= _is_certain(measures, int(mask.sum()), passed)
    common = passed & (table["maf"].to_numpy() >= settings["maf"])
    outside = np.ones(len(table), dtype=bool)
    position, chromosome = table["position"].to_numpy(), table["chromosome"].to_numpy()
    for region in long_range_ld(long_range, settings["genome_build"]).itertuples():
        outside &= ~((chromosome == region.chromosome) & (position >= region.start) & (position <= region.end))
    candidates = table[common & outside].sort_values("position", kind="stable")
    logger.info(
        "%s autosomal variants passed, %s with MAF >= %g, %s of them outside the regions of long-range linkage "
        "disequilibrium",
        f"{int(passed.sum()):,}", f"{int(common.sum()):,}", settings["maf"], f"{len(candidates):,}",
    )  # fmt: skip
    n_people = int(mask.sum())
    logger.info(
        "needs about %.0f MB and %.0f s",
        200 + threads * 3 * max(_BLOCK_BYTES / 1e6, 16 * 3 * n_people / 8e6),
        2 + len(candidates) * n_people * 1.5e-8,
    )
    groups = dict(iter(candidates.groupby("chromosome", sort=False)))
    progress = Progress(len(candidates), "variants")

    def prune(group: pd.DataFrame) -> np.ndarray:
        columns = (group["index"].to_numpy(), group["position"].to_numpy(), group["maf"].to_numpy())
        keep = prune_chromosome(fileset, *columns, mask, int(settings["window_kb"] * 1000), float(settings["r2"]))
        progress.add(len(group))
        return group["index"].to_numpy()[keep]

    with ThreadPoolExecutor(max(1, threads)) as pool:
        kept = list(pool.map(prune, groups.values()))
    chosen = np.sort(np.concatenate([*kept, np.empty(0, dtype=np.int64)]))
    pruned = rows_of_table(variants, [c.name for c in PRUNED], np.searchsorted(table["index"].to_numpy(), chosen))
    logger.info("%s variants kept (window %g kb, r2 %g)", f"{len(pruned):,}", settings["window_kb"], settings["r2"])
    write_parquet(
        pruned, out, PRUNED, metadata={"window_kb": settings["window_kb"], "r2": settings["r2"], "maf": settings["maf"]}
    )
