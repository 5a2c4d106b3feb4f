"""The jobs of level 0: one part of the blocks, for all studies of a batch and all their arms.

A file of a first pass of two (``.first``) has, for each group of studies with the same people and covariates, the
effects of its variants and what its blocks explain, summed over them. One of the last pass has the predictors, summed
over the blocks of each chromosome (:mod:`deepnull_gwas.whole_genome.stacking` says why): all that
:mod:`deepnull_gwas.whole_genome.study` needs. All sums are of whole numbers, so that they are the same in any order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.copies import read_copies
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.whole_genome.array_file import ArrayFile, write_arrays
from deepnull_gwas.whole_genome.blocks import (
    KINDS,
    RIDGES,
    BlockSums,
    SecondPass,
    begin_block,
    explain,
    fit_block,
    leftover,
)
from deepnull_gwas.whole_genome.chromosome_sums import ChromosomeSums
from deepnull_gwas.whole_genome.columns import Columns
from deepnull_gwas.whole_genome.folds import genome_folds
from deepnull_gwas.whole_genome.grams import SharedGrams
from deepnull_gwas.whole_genome.inputs import CohortPaths, StudyPaths, read_study
from deepnull_gwas.whole_genome.people import TILE, People
from deepnull_gwas.whole_genome.targets import Group, make_groups
from deepnull_gwas.whole_genome.variants import (
    BlockRange,
    Regressors,
    blocks_of_part,
    choose_regressors,
    cut_into_blocks,
)

logger = logging.getLogger(__name__)

__all__ = ["CohortPaths", "StudyPaths", "fit_part", "refit_part"]


@dataclass(frozen=True)
class Work:
    """What the jobs of a part have in common.

    Attributes
    ----------
    genotypes
        The cohort's.
    regressors
        Variants of all parts.
    blocks
        Blocks of this part.
    groups
        Groups of studies.
    everybody
        The people of all groups.
    passes
        How many there are.
    """

    genotypes: Genotypes
    regressors: Regressors
    blocks: tuple[BlockRange, ...]
    groups: tuple[Group, ...]
    everybody: People
    passes: int

    @property
    def first_variant(self) -> int:
        """Number of the part's first regressor."""
        return self.blocks[0].start if self.blocks else 0

    @property
    def variants(self) -> int:
        """Number of the part's regressors."""
        return self.blocks[-1].stop - self.blocks[0].start if self.blocks else 0

    @property
    def chromosomes(self) -> list[str]:
        """The chromosomes of the part."""
        return list(dict.fromkeys(block.chromosome for block in self.blocks))

    def description(self, part: int, parts: int) -> dict[str, Any]:
        """Return what a file says of itself."""
        return {
            "part": part,
            "parts": parts,
            "variants": self.variants,
            "all_variants": len(self.regressors),
            "all_chromosomes": list(self.regressors.chromosomes),
            "blocks": len(self.blocks),
            "chromosomes": self.chromosomes,
            "groups": [[[target.study, target.arm] for target in group.targets] for group in self.groups],
        }


def _prepare(
    cohort: CohortPaths, studies: Sequence[StudyPaths], part: int, parts: int, settings: Mapping[str, Any]
) -> Work:
    """Read everything but genotypes."""
    count = int(settings["folds"])
    folds = genome_folds(cohort.families, count, int(settings["seed"]), cohort.relatives)
    groups = make_groups([read_study(paths) for paths in studies], folds, count)
    regressors = choose_regressors(cohort.variants, cohort.qc_variants, settings)
    blocks = cut_into_blocks(regressors, int(settings["block_size"]))
    own = blocks_of_part(len(blocks), part, parts)
    known = [group.people.sample_index for group in groups]
    union = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *known]))
    work = Work(
        open_genotypes(cohort.genotypes), regressors, tuple(blocks[i] for i in own), tuple(groups),
        People.of(union, folds, count), int(settings["passes"]),
    )  # fmt: skip
    targets = sum(len(group.targets) for group in groups)
    logger.info(
        "part %d of %d: %s of %s variants in %d of %d blocks; %s people, %d folds, %d studies and arms in %d groups",
        part + 1, parts, f"{work.variants:,}", f"{len(regressors):,}", len(own), len(blocks),
        f"{len(union):,}", count, targets, len(groups),
    )  # fmt: skip
    return work


def _for_each_block(
    work: Work, columns: Sequence[Columns], threads: int, use: Callable[[int, int, np.ndarray, BlockSums], None]
) -> None:
    """Go through the blocks of a part, several at a time.

    Parameters
    ----------
    work
        The part.
    columns
        Of each group, covariates and residuals.
    threads
        Blocks at a time.
    use
        Is given number of the block and of the group, int8 copies of the group's people, and the block's sums.
    """
    grams = SharedGrams(work.everybody, work.groups)
    progress = Progress(work.variants, "variants")

    def one(number: int) -> None:
        block = work.blocks[number]
        rows = slice(block.start, block.stop)
        copies = read_copies(
            work.genotypes, work.regressors.index[rows], work.everybody.sample_index, work.regressors.filled[rows]
        )
        for g, (own, gram) in enumerate(grams.of_block(copies)):
            use(number, g, own, BlockSums.of(own, gram, columns[g]))
        progress.add(block.stop - block.start)

    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        for _ in pool.map(one, range(len(work.blocks)) if work.groups else ()):
            pass


# one BLAS thread each: what is computed then does not depend on the number of threads
@threadpool_limits.wrap(limits=1)
def fit_part(
    cohort: CohortPaths,
    studies: Sequence[StudyPaths],
    part: int,
    parts: int,
    settings: Mapping[str, Any],
    out: str | Path,
    threads: int = 1,
) -> None:
    """Regress the phenotypes of a batch on each block of a part by itself (rule ``fit_blocks``).

    Parameters
    ----------
    cohort, studies
        The cohort, and the studies of a batch; of those that failed nothing is written.
    part, parts
        Number of the part, from 0, and of all parts; no study's result depends on the latter.
    settings
        The section ``whole_genome`` and ``seed``.
    out
        A file of arrays: with one pass the predictors; else what the second pass needs of the first.
    threads
        Blocks at a time; the result does not depend on it.
    """
    work = _prepare(cohort, studies, part, parts, settings)
    columns = [group.first_columns() for group in work.groups]
    _log_need(work, columns, threads)
    if work.passes == 1:
        _write_predictors(work, columns, None, work.description(part, parts), out, threads)
        return
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {}
    inside, on_covariates, locks = [], [], []
    for g, group in enumerate(work.groups):
        n, t, folds, c = len(group.people), len(group.targets), group.people.folds, group.covariates.shape[1]
        shapes[f"{g}.products"] = (np.float64, (work.variants, t * folds))
        shapes[f"{g}.effects"] = (np.float32, (work.variants, t, folds))
        shapes[f"{g}.on_covariates"] = (np.int64, (t, folds, c))
        for k in range(t):
            shapes[f"{g}.{k}.inside"] = (np.int32, (n, folds))
        inside.append(np.zeros((n, folds * t), dtype=np.int32))
        on_covariates.append(np.zeros((t, folds, c), dtype=np.int64))
        locks.append(Lock())
    with write_arrays(out, work.description(part, parts), shapes) as file:

        def use(number: int, g: int, copies: np.ndarray, sums: BlockSums) -> None:
            found = begin_block(sums, work.groups[g], len(work.regressors))
            at = work.blocks[number].start - work.first_variant
            file.write(f"{g}.products", at, sums.products)
            file.write(f"{g}.effects", at, found.effects[:, :, 0].transpose(2, 1, 0).astype(np.float32))
            for rows, values in explain(copies, work.groups[g], found):
                with locks[g]:
                    inside[g][rows] += values
            with locks[g]:
                on_covariates[g] += found.on_covariates[:, 0]

        _for_each_block(work, columns, threads, use)
        for g, group in enumerate(work.groups):
            file.write(f"{g}.on_covariates", 0, on_covariates[g])
            by_target = inside[g].reshape(len(group.people), group.people.folds, len(group.targets))
            for k in range(len(group.targets)):
                file.write(f"{g}.{k}.inside", 0, by_target[:, :, k])


@threadpool_limits.wrap(limits=1)
def refit_part(
    cohort: CohortPaths,
    studies: Sequence[StudyPaths],
    first_parts: Sequence[str | Path],
    part: int,
    parts: int,
    settings: Mapping[str, Any],
    out: str | Path,
    threads: int = 1,
) -> None:
    """Predict the phenotypes of a batch from each block of a part, given what all blocks explain (``refit_blocks``).

    Parameters
    ----------
    cohort, studies, part, parts, settings, threads
        As in :func:`fit_part`.
    first_parts
        What :func:`fit_part` wrote of all parts.
    out
        A file of arrays: the predictors.
    """
    work = _prepare(cohort, studies, part, parts, settings)
    firsts = [ArrayFile(path) for path in first_parts]
    columns, noise = [], []
    for g, group in enumerate(work.groups):
        on_covariates = sum(first.read(f"{g}.on_covariates") for first in firsts)
        noise.append(np.empty(on_covariates.shape[:2]))

        def left(k: int, g: int = g, group: Group = group, on_covariates: np.ndarray = on_covariates) -> np.ndarray:
            inside = sum(first.read(f"{g}.{k}.inside").astype(np.int64) for first in firsts)
            values, noise[g][k] = leftover(group, group.targets[k], inside, on_covariates[k])
            return values

        columns.append(group.columns(left))
    _log_need(work, columns, threads)
    own = next(first for first in firsts if first.description["part"] == part)

    def second(number: int, g: int) -> SecondPass:
        block = work.blocks[number]
        rows = block.start - work.first_variant, block.stop - work.first_variant
        products, folds = own.read(f"{g}.products", *rows), work.everybody.folds
        return SecondPass(products.reshape(len(products), -1, folds), own.read(f"{g}.effects", *rows), noise[g])

    _write_predictors(work, columns, second, work.description(part, parts), out, threads)


def _write_predictors(
    work: Work,
    columns: Sequence[Columns],
    second: Callable[[int, int], SecondPass] | None,
    description: Mapping[str, Any],
    out: str | Path,
    threads: int,
) -> None:
    """Write the predictors of a part's blocks, summed by chromosome, with people and folds of each group.

    Parameters
    ----------
    work, columns, threads
        As in :func:`_for_each_block`.
    second
        Gives what the second pass starts from, by the numbers of block and group; None with one pass.
    description, out
        Of the file.
    """
    all_sums = ChromosomeSums(work.groups, work.blocks, KINDS[work.passes])
    with write_arrays(out, description, all_sums.shapes) as file:

        def use(number: int, g: int, copies: np.ndarray, sums: BlockSums) -> None:
            start = None if second is None else second(number, g)
            found = fit_block(sums, work.groups[g], len(work.regressors), RIDGES[work.passes], start)
            all_sums.add(file, work.blocks[number], g, copies, found)

        _for_each_block(work, columns, threads, use)
        all_sums.finish(file)


def _log_need(work: Work, columns: Sequence[Columns], threads: int) -> None:
    """Log how much memory the job is expected to take."""
    size = max((block.stop - block.start for block in work.blocks), default=0)
    people = len(work.everybody)
    residuals = sum(c.nbytes for c in columns) + sum(t.residuals.nbytes for g in work.groups for t in g.targets)
    block = size * people * (1 if len(work.groups) < 2 else 2) + size**2 * (4 * work.everybody.folds + 32)
    wide = max((len(tile.places) for c in columns for tile in c.tiles), default=0)
    sums = 8 * (size * max((c.count for c in columns), default=0) + min(people, TILE) * (size / 4 + 2 * wide))
    logger.info("needs about %.0f MB in addition to the libraries", (residuals + threads * (block + sums)) / 1e6)
