"""Hard calls of a cohort's people beside its imputed genotypes: checked, matched by ID, and counted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.counts import count_chunk
from deepnull_gwas.cohort.index import SAMPLES, VARIANTS, read_filesets, single_copies
from deepnull_gwas.errors import InputError, InputErrors, some
from deepnull_gwas.genotypes.formats import format_of
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArrayOutputs:
    """Where the index of the hard calls and their counts go.

    Attributes
    ----------
    genotypes
        As ``genotypes.json`` of the cohort; ``people`` has the row of each of the cohort's people in the filesets, -1
        for those whom they do not have.
    variants
        As ``variants.parquet`` of the cohort, in one chunk.
    samples
        The cohort's people, of whom those without hard calls count as not in the sample table.
    variant_counts, sample_counts
        As the outputs of ``count_genotypes``.
    """

    genotypes: str | Path
    variants: str | Path
    samples: str | Path
    variant_counts: str | Path
    sample_counts: str | Path


def index_array(
    filesets: Sequence[str | Path],
    genotypes: str | Path,
    samples: str | Path,
    minimum_overlap: float,
    out: ArrayOutputs,
) -> None:
    """Check a cohort's ``structure.genotypes``, match their people with the cohort's by ID, and count the calls.

    Parameters
    ----------
    filesets
        Names of the filesets with hard calls.
    genotypes, samples
        genotypes.json and samples.parquet of the cohort.
    minimum_overlap
        Share of the people of the smaller side who have to be in both.
    out
        See :class:`ArrayOutputs`.

    Raises
    ------
    InputErrors
        With all that is wrong with the files; when too few people are in both; when males are on both scales on X.
    """
    names = [str(name) for name in filesets]
    problems: list[str] = []
    tables, people = read_filesets(names, {}, problems)
    if problems:
        raise InputErrors(problems)
    cohort = read_json(genotypes)
    ours = read_parquet(samples, columns=[c.name for c in SAMPLES])
    form, main = format_of(names[0]), cohort["filesets"][0]
    files = form.people_file(names[0]), format_of(main).people_file(main, settings=cohort)
    rows = match_people(ours, people[0], files, minimum_overlap)
    variants = pd.concat(tables, ignore_index=True)
    sizes = [len(t) for t in tables]
    variants.insert(0, "index", np.arange(len(variants), dtype=np.int64))
    variants["file"] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    variants["file_row"] = np.concatenate([np.arange(n, dtype=np.int64) for n in sizes])
    variants["chunk"] = np.zeros(len(variants), dtype=np.int32)
    write_parquet(variants, out.variants, VARIANTS)
    ours["in_sample_table"] &= rows >= 0
    write_parquet(ours, out.samples, SAMPLES)
    index = {
        "format": form.name,
        "filesets": names,
        "other_is_reference": [form.reader().other_is_reference(name) for name in names],
        "samples": len(rows),
        "variants": len(variants),
        "genome_build": cohort["genome_build"],
    }
    index |= single_copies(index, variants, _sex_there(people[0], ours, rows), people[0]["iid"].to_numpy(dtype=object))
    write_json(index | {"people": rows}, out.genotypes)
    count_chunk(out.genotypes, out.variants, out.samples, 0, out.variant_counts, out.sample_counts)


def _sex_there(theirs: pd.DataFrame, ours: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Return the sex of the people of the hard calls: that of the cohort where it is known, else their own."""
    sex = theirs["sex"].to_numpy(dtype=np.int8).copy()
    recorded = ours["recorded_sex"].to_numpy()
    both = (rows >= 0) & (recorded != 0)
    sex[rows[both]] = recorded[both]
    return sex


def match_people(
    ours: pd.DataFrame, theirs: pd.DataFrame, files: tuple[str, str], minimum_overlap: float
) -> np.ndarray:
    """Match the people of two genotype files: by IID where it is unique in both, else by FID and IID.

    Parameters
    ----------
    ours, theirs
        fid and iid of the cohort, and of the hard calls.
    files
        The files that list their people, then ours, for messages.
    minimum_overlap
        Share of the people of the smaller side who have to be in both.

    Returns
    -------
    int64, for each of ours the row among theirs; -1 where there is none.

    Raises
    ------
    InputError
        When fewer are in both; with examples.
    """
    keys = ["iid"] if ours["iid"].is_unique and theirs["iid"].is_unique else ["fid", "iid"]
    place = {key: row for row, key in enumerate(zip(*(theirs[k] for k in keys)))}
    rows = np.array([place.get(key, -1) for key in zip(*(ours[k] for k in keys))], dtype=np.int64)
    shared, least = int((rows >= 0).sum()), min(len(ours), len(theirs))
    by, (theirs_file, ours_file) = " and ".join(k.upper() for k in keys), files
    absent = ours["iid"][rows < 0]
    if not shared or shared < minimum_overlap * least:
        raise InputError(
            f"{theirs_file}: {shared:,} of the {len(ours):,} people of {ours_file} are among its {len(theirs):,} (by "
            f"{by}), expected {minimum_overlap:g} of the smaller number (minimum_overlap): for instance "
            f"{some(absent, 3)} there, {some(theirs['iid'].drop(rows[rows >= 0]), 3)} here; structure.genotypes needs "
            "the same people under the same IDs"
        )
    logger.info("%s: %s of the cohort's %s people, by %s", theirs_file, f"{shared:,}", f"{len(ours):,}", by)
    if len(absent):
        logger.warning(
            "%s people have no hard calls in structure.genotypes (%s): they are left out, as those outside the sample "
            "table are", f"{len(absent):,}", some(absent, 3),
        )  # fmt: skip
    return rows
