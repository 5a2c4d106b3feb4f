"""Counts of genotypes, by variant and by person, in one pass: all quality control derives from them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import class_codes
from deepnull_gwas.genotypes.counts import COUNTER_BLOCK, count_missing_and_het, count_variants
from deepnull_gwas.genotypes.dosage_counts import COUNTED, DECODED_AT_ONCE, count_imputed
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import Column, read_json, read_parquet, write_parquet

logger = logging.getLogger(__name__)

#: Names of columns for the classes of chromosomes, in the order of :data:`deepnull_gwas.genotypes.chromosomes.CLASSES`.
CLASSES: tuple[str, ...] = ("autosomal", "x", "y", "mt")
GENOTYPES: tuple[str, ...] = ("hom_effect", "het", "hom_other", "missing")
#: Everybody, recorded males, recorded females: prefixes of columns.
GROUPS: tuple[str, ...] = ("", "male_", "female_")

VARIANT_COUNTS = [
    Column("index", "int64", "index of the variant in variants.parquet"),
    *(Column(g, "int64", f"people of the sample table with this call ({g})") for g in GENOTYPES),
    *(Column(f"male_{g}", "int64", f"the same among recorded males ({g})") for g in GENOTYPES),
    *(Column(f"female_{g}", "int64", f"the same among recorded females ({g})") for g in GENOTYPES),
]
PERSON_COUNTS = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    *(
        Column(f"{c}_{g}", "int64", f"{g} calls on {c} variants of the chunk")
        for c in CLASSES
        for g in ("missing", "het")
    ),
]
#: The columns of :data:`VARIANT_COUNTS` where genotypes have dosages, for the people of each group.
IMPUTED_COUNTS = [
    Column("index", "int64", "index of the variant in variants.parquet"),
    *(
        Column(f"{group}{name}", "int64", f"{name} of {group.rstrip('_') or 'all'} (genotypes.dosage_counts)")
        for group in GROUPS
        for name in COUNTED
    ),
    Column("denominator", "int32", "unit of the sums of dosages (and, squared, of the sums of squares)"),
]
IMPUTED_PERSON_COUNTS = [
    *PERSON_COUNTS,
    *(Column(f"{c}_absent", "int64", f"genotypes of {c} variants that are not in the file") for c in CLASSES),
]


def count_chunk(
    genotypes: str | Path,
    variants: str | Path,
    samples: str | Path,
    chunk: int,
    out_variants: str | Path,
    out_samples: str | Path,
) -> None:
    """Count the genotypes of one chunk of variants, by variant and by person (rule ``count_genotypes``).

    Parameters
    ----------
    genotypes
        ``genotypes.json``.
    variants, samples
        ``variants.parquet`` and ``samples.parquet`` of the cohort.
    chunk
        Number of the chunk.
    out_variants
        Parquet: :data:`VARIANT_COUNTS`, over the people of the sample table.
    out_samples
        Parquet: :data:`PERSON_COUNTS`, one row for each person of the genotype files; the file's metadata say how many
        variants of each class the chunk has.
    """
    build = read_json(genotypes)["genome_build"]
    table = read_parquet(variants, columns=["index", "chromosome", "position", "chunk"])
    table = table[table["chunk"] == int(chunk)]
    people = read_parquet(samples, columns=["sample_index", "recorded_sex", "in_sample_table"])
    fileset = open_genotypes(genotypes)
    index = table["index"].to_numpy()
    classes = class_codes(table["chromosome"].to_numpy(), table["position"].to_numpy(), build)
    _log_need(fileset, chunk, len(index))
    here = people["in_sample_table"].to_numpy(dtype=bool)
    sex = people["recorded_sex"].to_numpy()
    masks = [here & (sex == code) for code in (1, 2, 0)]
    if not masks[2].any():
        masks.pop()
    by_person = np.zeros((len(CLASSES), 3 if fileset.has_dosages else 2, fileset.n_samples), dtype=np.int64)
    frame = pd.DataFrame({"index": index})
    if fileset.has_dosages:
        counts, frame["denominator"] = _count_dosages(fileset, index, classes, masks, by_person)
    else:
        counts = _count_calls(fileset, index, classes, masks, by_person)
    names, schema = (COUNTED, IMPUTED_COUNTS) if fileset.has_dosages else (GENOTYPES, VARIANT_COUNTS)
    for prefix, values in zip(GROUPS, (counts.sum(axis=0), counts[0], counts[1])):
        for k, name in enumerate(names):
            frame[f"{prefix}{name}"] = values[:, k]
    write_parquet(frame, out_variants, schema)
    persons = pd.DataFrame({"sample_index": people["sample_index"].to_numpy()})
    for c, name in enumerate(CLASSES):
        persons[f"{name}_missing"], persons[f"{name}_het"] = by_person[c, :2]
        if fileset.has_dosages:
            persons[f"{name}_absent"] = by_person[c, 2]
    of_class = {name: int((classes == c).sum()) for c, name in enumerate(CLASSES)}
    schema = IMPUTED_PERSON_COUNTS if fileset.has_dosages else PERSON_COUNTS
    write_parquet(persons, out_samples, schema, metadata={"variants": of_class})
    logger.info("done: variants by class %s", of_class)


def _log_need(fileset: Genotypes, chunk: int, variants: int) -> None:
    """Log how large a chunk is, and what counting it is expected to take."""
    n = fileset.n_samples
    size, speed = variants * fileset.bytes_per_variant / 1e6, 2e9
    how = f"{size:.0f} MB read in place"
    if fileset.has_dosages:
        how, speed = "decoded once", fileset.format.decoding_rate(tuple(fileset.names))
    held = 2.5 * DECODED_AT_ONCE / 1e6 if fileset.has_dosages else 0
    logger.info(
        "chunk %s: %s variants x %s people, %s; needs about %.0f MB and %.0f s",
        chunk, f"{variants:,}", f"{n:,}", how, 200 + held + 140 * variants / 1e6 + 40 * n * 8 / 1e6,
        1 + variants * n / speed,
    )  # fmt: skip


def _runs(index: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    """Return the places of variants by runs of one class, so that counters by person need no case distinction."""
    return [run for run in np.split(np.arange(len(index)), np.flatnonzero(np.diff(classes)) + 1) if len(run)]


def _count_calls(
    fileset: Genotypes, index: np.ndarray, classes: np.ndarray, masks: list[np.ndarray], by_person: np.ndarray
) -> np.ndarray:
    """Count packed calls: int64, masks x variants x 4; counts by person are added to ``by_person``."""
    counts = np.zeros((len(masks), len(index), 4), dtype=np.int64)
    progress = Progress(len(index), "variants")
    size = max(COUNTER_BLOCK, (1 << 22) // max(fileset.bytes_per_variant, 1) // COUNTER_BLOCK * COUNTER_BLOCK)
    for run in _runs(index, classes):
        start = int(index[run[0]])
        for first, last, packed in fileset.blocks(start, start + len(run), size):
            rows = slice(run[0] + first - start, run[0] + last - start)
            counts[:, rows] = count_variants(fileset, np.arange(first, last), masks)
            count_missing_and_het(packed, *by_person[classes[run[0]]])
            progress.add(last - first)
    return counts


def _count_dosages(
    fileset: Genotypes, index: np.ndarray, classes: np.ndarray, masks: list[np.ndarray], by_person: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count dosages (:func:`count_imputed`); counts by person are added to ``by_person``."""
    counts = np.zeros((len(masks), len(index), len(COUNTED)), dtype=np.int64)
    denominator = np.zeros(len(index), dtype=np.int32)
    progress = Progress(len(index), "variants")
    size = max(1, DECODED_AT_ONCE // max(fileset.n_samples, 1))
    for run in _runs(index, classes):
        for first in range(0, len(run), size):
            rows = run[first : first + size]
            counts[:, rows], denominator[rows] = count_imputed(fileset, index[rows], masks, by_person[classes[run[0]]])
            progress.add(len(rows))
    return counts, denominator
