"""Counts of genotypes, by variant and by person, in one pass: all quality control derives from them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.chromosomes import class_codes
from deepnull_gwas.genotypes.counts import COUNTER_BLOCK, count_missing_and_het, count_variants
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import Column, read_json, read_parquet, write_parquet

logger = logging.getLogger(__name__)

#: Names of columns for the classes of chromosomes, in the order of :data:`deepnull_gwas.genotypes.chromosomes.CLASSES`.
CLASSES: tuple[str, ...] = ("autosomal", "x", "y", "mt")
GENOTYPES: tuple[str, ...] = ("hom_effect", "het", "hom_other", "missing")

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
    logger.info(
        "chunk %s: %s variants x %s people, %.0f MB read in place; needs about %.0f MB and %.0f s",
        chunk, f"{len(index):,}", f"{fileset.n_samples:,}", len(index) * fileset.bytes_per_variant / 1e6,
        200 + 140 * len(index) / 1e6 + 40 * fileset.n_samples * 8 / 1e6, 1 + len(index) * fileset.n_samples / 2e9,
    )  # fmt: skip
    here = people["in_sample_table"].to_numpy(dtype=bool)
    sex = people["recorded_sex"].to_numpy()
    masks = [here & (sex == code) for code in (1, 2, 0)]
    if not masks[2].any():
        masks.pop()
    counts = np.zeros((len(masks), len(index), 4), dtype=np.int64)
    by_person = np.zeros((len(CLASSES), 2, fileset.n_samples), dtype=np.int64)
    progress = Progress(len(index), "variants")
    size = max(COUNTER_BLOCK, (1 << 22) // max(fileset.bytes_per_variant, 1) // COUNTER_BLOCK * COUNTER_BLOCK)
    # runs of one class, so that the counters by person need no case distinction
    breaks = np.flatnonzero(np.diff(classes)) + 1
    for run in np.split(np.arange(len(index)), breaks):
        if len(run) == 0:
            continue
        start = int(index[run[0]])
        for first, last, packed in fileset.blocks(start, start + len(run), size):
            rows = slice(run[0] + first - start, run[0] + last - start)
            counts[:, rows] = count_variants(fileset, np.arange(first, last), masks)
            count_missing_and_het(packed, *by_person[classes[run[0]]])
            progress.add(last - first)
    frame = pd.DataFrame({"index": index})
    for prefix, values in (("", counts.sum(axis=0)), ("male_", counts[0]), ("female_", counts[1])):
        for k, name in enumerate(GENOTYPES):
            frame[f"{prefix}{name}"] = values[:, k]
    write_parquet(frame, out_variants, VARIANT_COUNTS)
    persons = pd.DataFrame({"sample_index": people["sample_index"].to_numpy()})
    for c, name in enumerate(CLASSES):
        persons[f"{name}_missing"], persons[f"{name}_het"] = by_person[c]
    of_class = {name: int((classes == c).sum()) for c, name in enumerate(CLASSES)}
    write_parquet(persons, out_samples, PERSON_COUNTS, metadata={"variants": of_class})
    logger.info("done: variants by class %s", of_class)
