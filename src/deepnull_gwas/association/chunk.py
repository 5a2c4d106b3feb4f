"""A chunk of variants: read, tested in blocks by several threads, checked, written (rule ``associate``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from deepnull_gwas.association import codes
from deepnull_gwas.association.check import Sample, check
from deepnull_gwas.association.inputs import StudyInput, read_study
from deepnull_gwas.association.scan import Place, Scan
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.association.traits import STRATEGIES
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.blocks import read_block, variants_at_once
from deepnull_gwas.genotypes.chromosomes import chromosome_classes
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import ParquetParts, read_json, read_table, to_arrow, to_numpy, to_words
from deepnull_gwas.verify.files import read_study_files

logger = logging.getLogger(__name__)

#: Blocks whose results are held before they are written, and the places with null models of their own that these may
#: be on where each chromosome is one: as many again are tested meanwhile.
BLOCKS_HELD, PLACES_HELD = 16, 2
VARIANT_COLUMNS = ("index", "chromosome", "position", "id", "effect_allele", "other_allele")
#: Files of a study: study.json, samples.parquet, prediction.parquet or None; its arms; where its model is the
#: whole-genome regression also offsets.parquet and the cohort's relatives.tsv.
StudyFiles = Sequence[str | Path | Sequence[str] | None]


@dataclass(frozen=True)
class Job:
    """Some variants of one place, tested as a block: their rows in the chunk's table."""

    place: Place
    rows: np.ndarray


def column_types(studies: Sequence[StudyInput], imputed: bool = False) -> dict[str, pa.DataType]:
    """Return the columns of a result that belong to studies, with their types; of imputed genotypes with ``info``."""
    out: dict[str, pa.DataType] = {}
    word = pa.dictionary(pa.int8(), pa.string())
    for s in studies:
        out |= {f"{s.name}.n": pa.int32(), f"{s.name}.eaf": pa.float64()}
        out |= {f"{s.name}.info": pa.float64()} if imputed else {}
        out |= {f"{s.name}.{column}": kind for column, kind in STRATEGIES[s.trait].COLUMNS.items()}
        for arm in s.arms:
            out |= {f"{s.name}.{arm}.{column}": pa.float64() for column in ("beta", "se", "neg_log10_p")}
            out |= {f"{s.name}.{arm}.{column}": word for column in ("method", "reason")}
    return out


def origin_of(files: Genotypes, index: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be said of the genotypes of a result in its head; of a PLINK 1 fileset nothing.

    Parameters
    ----------
    files
        The genotypes.
    index
        genotypes.json.

    Returns
    -------
    ``genotypes``: ``information``, the definition of the column ``info`` (``impute``, ``mach_r2``; None where there is
    none), and ``other_is_reference``, whether the other allele of all variants is known to be the reference.
    """
    known = all(index.get("other_is_reference") or [False])
    if not known and not files.has_dosages:
        return {}
    definition = "impute" if files.has_probabilities else "mach_r2"
    return {"genotypes": {"information": definition if files.has_dosages else None, "other_is_reference": known}}


def read_variants(variants: str | Path, qc_variants: str | Path | None, chunk: int) -> pa.Table:
    """Read the variants of a chunk that passed quality control (None: all of them): :data:`VARIANT_COLUMNS`."""
    table = read_table(variants, columns=[*VARIANT_COLUMNS, "chunk"])
    kept = to_numpy(table["chunk"]) == chunk
    if qc_variants is not None:
        verdict = read_table(qc_variants, columns=["index", "passed"])
        kept &= np.isin(to_numpy(table["index"]), to_numpy(verdict["index"])[to_numpy(verdict["passed"])])
    return table.select(VARIANT_COLUMNS).take(to_arrow(np.flatnonzero(kept))).combine_chunks()


def cut_into_jobs(scan: Scan, classes: np.ndarray, chromosome: np.ndarray, size: int) -> list[Job]:
    """Cut the variants of a chunk into blocks of at most ``size``, each of one place.

    Parameters
    ----------
    scan
        Which knows what a place is.
    classes, chromosome
        Of each variant.
    size
        Variants in a block.
    """
    if not len(classes):
        return []
    changes = classes[1:] != classes[:-1]
    if scan.by_chromosome:
        changes |= chromosome[1:] != chromosome[:-1]
    edges = np.flatnonzero(np.append(changes, True)) + 1
    jobs = []
    for first, last in zip(np.append(0, edges[:-1]), edges):
        place = scan.place(classes[first], chromosome[first])
        jobs += [Job(place, np.arange(i, min(i + size, last))) for i in range(first, last, size)]
    return jobs


def associate_chunk(
    genotypes: str | Path,
    tables: Mapping[str, str | Path | None],
    studies: Sequence[StudyFiles],
    chunk: int,
    settings: Mapping[str, Any],
    out: str | Path,
    threads: int = 1,
) -> None:
    """Test the variants of a chunk that passed quality control for all studies of a batch and write one row each.

    A few results of each study and arm are tested again by a second implementation before the file gets its name.

    Parameters
    ----------
    genotypes
        genotypes.json of the cohort.
    tables
        ``variants``, ``samples`` and ``qc_variants``: variants.parquet, qc/samples.parquet and qc/variants.parquet of
        the cohort; without the last (None) all variants are tested.
    studies
        (study.json, samples.parquet, prediction.parquet or None, arms) of each study, and where its model is the
        whole-genome regression offsets.parquet and relatives.tsv.
    chunk
        Number of the chunk.
    settings
        The ``association`` section, complete, and genome_build.
    out
        Result.
    threads
        Blocks tested at once; the result does not depend on it.
    """
    inputs = [read_study(*s) for s in studies]
    table = read_variants(tables["variants"], tables["qc_variants"], chunk)
    sex = to_numpy(read_table(tables["samples"], columns=["sex"])["sex"])
    files = open_genotypes(genotypes)
    scan = Scan(inputs, sex, Settings.of(settings))
    chromosome = to_numpy(table["chromosome"])
    classes = chromosome_classes(chromosome, to_numpy(table["position"]), settings["genome_build"])
    jobs = cut_into_jobs(scan, classes, chromosome, variants_at_once(files, scan.settings.variants_per_block))
    # one BLAS thread: null models, too, are then the same bytes whatever the number of threads
    with threadpool_limits(limits=1):
        _prepare_first(scan, jobs)
    _log_need(scan, files, chunk, len(table), threads)
    sample = Sample([(s.name, s.trait, arm) for s in inputs for arm in s.arms], classes, chunk)
    head = table.replace_schema_metadata(None)
    rows = Rows(head, column_types(inputs, files.has_dosages), sample)
    # one BLAS thread each: the sums then come out the same whatever the number of threads
    with (
        threadpool_limits(limits=1),
        ThreadPoolExecutor(max_workers=max(threads, 1)) as pool,
        ParquetParts(out, rows.schema) as parts,
    ):
        for results, at in compute(scan, files, jobs, to_numpy(table["index"]), pool):
            parts.write(rows.of(results, at))
        parts.metadata = scan.metadata() | origin_of(files, read_json(genotypes))
        again, start = [read_study_files(*s) for s in studies], time.perf_counter()
        checked = check(sample, again, sex, files, head, settings, pool)
        logger.info("%d results agree with a second implementation (%.1f s)", checked, time.perf_counter() - start)


def _prepare_first(scan: Scan, jobs: Sequence[Job]) -> None:
    """Fit the null models before anything is tested; of the first chromosome only, where each has its own."""
    places = dict.fromkeys(job.place for job in jobs)
    if not jobs and scan.studies:
        places = {scan.place("autosome", ""): None}
    for place in list(places)[:1] if scan.by_chromosome else places:
        scan.on(*place)


def _log_need(scan: Scan, files: Genotypes, chunk: int, n_variants: int, threads: int) -> None:
    """Log how large the job is and how much memory it is expected to take."""
    inputs, width = scan.studies, scan.width
    size = variants_at_once(files, scan.settings.variants_per_block)
    buffers = max((STRATEGIES[s.trait].BUFFERS for s in inputs), default=0)
    # packed calls and a copy; dosages of two bytes, a copy where haploid people have odd ones, and a block of the file
    of_genotypes = 4.5 * files.n_samples if files.has_dosages else 2 * files.bytes_per_variant
    need = (
        files.n_samples * width * (12 if scan.settings.drop else 4) * (2 if scan.settings.exact else 1)
        + threads * (size * (of_genotypes + 8 * width) + buffers)
        + 2 * BLOCKS_HELD * size * 60 * sum(len(s.arms) for s in inputs)
    )
    people = max((len(s.sample_index) for s in inputs), default=0)
    logger.info(
        "chunk %d: %d variants, %d studies, %d people at most, %d columns; about %.0f MB in addition to the libraries",
        chunk, n_variants, len(inputs), people, width, need / 1e6,
    )  # fmt: skip


def segments(jobs: Sequence[Job], places: int) -> Iterator[tuple[int, int]]:
    """Yield first and last (exclusive) of blocks whose results are written together, on at most this many places."""
    first, held = 0, set()
    for k, job in enumerate(jobs):
        if k - first == BLOCKS_HELD or (job.place not in held and len(held) == places):
            yield first, k
            first, held = k, set()
        held.add(job.place)
    if jobs:
        yield first, len(jobs)


def compute(
    scan: Scan, files: Genotypes, jobs: Sequence[Job], index: np.ndarray, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[dict[str, np.ndarray]], np.ndarray]]:
    """Test blocks of variants, several at a time, and yield their results in order.

    Parameters
    ----------
    scan
        The batch.
    files
        The genotypes.
    jobs
        The blocks.
    index
        int64, index of each of the chunk's variants among those of the cohort.
    pool
        Where the work goes.

    Yields
    ------
    Results of up to :data:`BLOCKS_HELD` blocks, and int64, which of the chunk's variants they are about. While they
    are written, the next are computed.
    """
    progress = Progress(sum(len(job.rows) for job in jobs), "variants")

    def work(job: Job) -> dict[str, np.ndarray]:
        part = scan.coded(read_block(files, index[job.rows], scan.on(*job.place).masks), *job.place)
        progress.add(len(job.rows))
        return part

    def results(held: tuple[list[Future], np.ndarray]) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
        return [future.result() for future in held[0]], held[1]

    waiting: list[tuple[list[Future], np.ndarray]] = []
    for first, last in segments(jobs, PLACES_HELD if scan.by_chromosome else len(jobs)):
        segment = jobs[first:last]
        for job in segment:
            scan.on(*job.place)
            files.read_ahead(index[job.rows])
        futures = [pool.submit(work, job) for job in segment]
        waiting.append((futures, np.concatenate([job.rows for job in segment])))
        if len(waiting) > 1:
            yield results(waiting.pop(0))
            # those before this segment are done
            scan.keep({job.place for job in jobs[first:]})
    for held in waiting:
        yield results(held)


class Rows:
    """Turns results of blocks into rows of the table, and shows them to the sample that is checked.

    Parameters
    ----------
    head
        The chunk's variants.
    types
        The columns of the studies.
    sample
        What is to be checked.
    """

    def __init__(self, head: pa.Table, types: Mapping[str, pa.DataType], sample: Sample):
        self.head, self.types, self.sample = head, types, sample
        self.schema = pa.schema([*head.schema, *(pa.field(name, kind) for name, kind in types.items())])

    def of(self, results: Sequence[dict[str, np.ndarray]], at: np.ndarray) -> pa.Table:
        """Return the rows of variants ``at`` (int64) of the chunk, given the results of their blocks."""
        arrays = list(self.head.take(to_arrow(at)).columns)
        columns = {name: np.concatenate([r[name] for r in results]) for name in self.types}
        self.sample.add(columns, at)
        for name, kind in self.types.items():
            if pa.types.is_dictionary(kind):
                words = codes.REASONS if name.endswith(".reason") else codes.METHODS
                arrays.append(to_words(columns[name], words))
            else:
                arrays.append(to_arrow(columns[name]))
        return pa.Table.from_arrays(arrays, schema=self.schema)
