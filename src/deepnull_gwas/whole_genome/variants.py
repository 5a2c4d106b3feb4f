"""Which variants enter the whole-genome regression, and how they are cut into blocks and dealt to jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnull_gwas.cohort.pruning import LEAST_INFO
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.tables import column_names, read_table, to_numpy

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Regressors:
    """The variants of the regression, in the order of chromosomes and positions.

    Attributes
    ----------
    index
        int64[m], in variants.parquet.
    chromosome
        int8[m], 1 .. 22.
    filled
        int8[m], what a missing call counts as: the mean among the cohort's people, rounded, so that genotypes are whole
        numbers and the same in every study.
    """

    index: np.ndarray
    chromosome: np.ndarray
    filled: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes."""
        return tuple(str(c) for c in np.unique(self.chromosome))


@dataclass(frozen=True)
class BlockRange:
    """A block: regressors ``start`` to ``stop`` (exclusive), on one chromosome.

    Attributes
    ----------
    start, stop
        Numbers of regressors.
    chromosome
        Its name.
    """

    start: int
    stop: int
    chromosome: str


def choose_regressors(variants: str | Path, qc_variants: str | Path, settings: Mapping[str, Any]) -> Regressors:
    """Choose the variants of the regression: autosomal, of good quality, called in most people, common.

    Parameters
    ----------
    variants, qc_variants
        variants.parquet and qc/variants.parquet of the genotypes that stand for structure.
    settings
        ``maf`` and ``call_rate``: least frequency of the rarer allele, and least share of people with a hard call;
        ``maximum_variants``: of more, evenly spaced ones are taken.
    """
    table = read_table(variants, columns=["index", "chromosome", "position"])
    names = ["index", "hom_effect", "het", "hom_other", "missing", "passed"]
    imputed = [name for name in ("info", "uncertain") if name in column_names(qc_variants)]
    measures = {name: to_numpy(c) for name, c in zip(names + imputed, read_table(qc_variants, columns=names + imputed))}
    hard = measures["hom_effect"] + measures["het"] + measures["hom_other"]
    people = hard + measures["missing"] + measures.get("uncertain", 0)
    frequency = (2 * measures["hom_effect"] + measures["het"]) / np.maximum(2 * hard, 1)
    # 0 where not autosomal
    place = pc.index_in(table["chromosome"].cast(pa.string()), value_set=pa.array(AUTOSOMES))
    chromosome = (to_numpy(pc.fill_null(place, -1)) + 1).astype(np.int8)
    good = measures["passed"].astype(bool) & (chromosome > 0) & (hard >= settings["call_rate"] * people) & (hard > 0)
    good &= np.minimum(frequency, 1 - frequency) >= max(settings["maf"], np.finfo(float).tiny)
    if "info" in measures:
        good &= measures["info"] >= LEAST_INFO
    rows = np.flatnonzero(good)
    rows = rows[np.lexsort((rows, to_numpy(table["position"])[rows], chromosome[rows]))]
    found, most = len(rows), int(settings["maximum_variants"])
    if found > most:
        rows = rows[np.arange(most) * found // most]
        logger.info("%s variants could enter the regression; %s of them, evenly spaced, do", f"{found:,}", f"{most:,}")
    return Regressors(to_numpy(table["index"])[rows], chromosome[rows], np.rint(2 * frequency[rows]).astype(np.int8))


def cut_into_blocks(regressors: Regressors, size: int) -> list[BlockRange]:
    """Cut the regressors of each chromosome into blocks of nearly equal size, at most ``size``."""
    blocks = []
    for chromosome in np.unique(regressors.chromosome):
        start, stop = np.searchsorted(regressors.chromosome, [chromosome, chromosome + 1])
        count = -(-(stop - start) // size)
        edges = start + np.arange(count + 1) * (stop - start) // count
        blocks += [BlockRange(int(a), int(b), str(chromosome)) for a, b in pairwise(edges)]
    return blocks


def blocks_of_part(blocks: int, part: int, parts: int) -> range:
    """Return the numbers of the blocks of one of several jobs: neighbours, for they lie together in the files."""
    return range(part * blocks // parts, (part + 1) * blocks // parts)
