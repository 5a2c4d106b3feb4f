"""Relatives of a cohort whose people are of several ancestries (rule ``adjust_kinship``)."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from deepnull_gwas.cohort.families import FAMILIES
from deepnull_gwas.tables import atomic_path, read_metadata, read_parquet, write_parquet

logger = logging.getLogger(__name__)

#: Kinship is adjusted where differences of ancestry lower KING-robust by at least this: a quarter of what tells
#: relatives of the third degree from strangers. Cousins (.0625) are hardly missed below it.
LEAST_LOWERED = 2**-4.5 / 4
#: Kinship is not adjusted where strangers are told from relatives only above this, that of the third degree: over so
#: few variants, or so short a genome, strangers share too much by chance for their highest kinship to be foreseen.
HIGHEST_THRESHOLD = 2**-4


@dataclass(frozen=True)
class KinshipFiles:
    """What kinship is adjusted from, by path.

    Attributes
    ----------
    genotypes, pruned, qc_samples
        The cohort, its pruned variants, its people's verdicts.
    relatives, families
        Output of ``estimate_kinship``.
    pcs
        Output of ``compute_pcs``; None where the cohort has none.
    """

    genotypes: str | Path
    pruned: str | Path
    qc_samples: str | Path
    relatives: str | Path
    families: str | Path
    pcs: str | Path | None = None


def adjust_kinship(
    files: KinshipFiles,
    settings: Mapping[str, Any],
    out_relatives: str | Path,
    out_families: str | Path,
    threads: int = 1,
) -> None:
    """Find relatives beyond ancestry where ancestry disturbs KING-robust; else pass on what it found.

    Parameters
    ----------
    files
        See :class:`KinshipFiles`.
    settings
        ``kinship``: threshold of a related pair; ``adjust_kinship``: whether to, or ``auto``; ``memory_mb``.
    out_relatives, out_families
        As of :func:`~deepnull_gwas.cohort.relatives.estimate_kinship`, with the column
        :data:`~deepnull_gwas.cohort.families.ADJUSTED` if adjusted.
    threads
        Strips of pairs at a time; the result does not depend on it.
    """
    about = read_metadata(files.families)
    pcs = None if files.pcs is None else read_parquet(files.pcs)
    reason = _reason_not_to(about, pcs, settings["adjust_kinship"])
    if not reason:
        logger.info("differences of ancestry lower KING-robust kinship by up to %.3f", about["lowered_by_ancestry"])
        reason = _find(files, pcs, settings, out_relatives, out_families, threads)
    if reason:
        logger.info("kinship stays KING-robust: %s", reason)
        with atomic_path(out_relatives) as path:
            shutil.copyfile(files.relatives, path)
        families = read_parquet(files.families)
        write_parquet(families, out_families, FAMILIES, metadata={"kinship": about["kinship"]})


def _reason_not_to(about: Mapping[str, Any], pcs: pd.DataFrame | None, wanted: bool | str) -> str:
    """Return why kinship is not adjusted; empty where it is."""
    if not wanted:
        return "structure.adjust_kinship is false"
    if "lowered_by_ancestry" not in about:
        return "the pairs come from a table"
    if pcs is None or "PC1" not in pcs:
        return "there are no principal components"
    lowered = about["lowered_by_ancestry"]
    if wanted == "auto" and lowered < LEAST_LOWERED:
        return f"differences of ancestry lower it by {lowered:.4f} at most, less than {LEAST_LOWERED:.4f}"
    return ""


def _find(
    files: KinshipFiles,
    pcs: pd.DataFrame,
    settings: Mapping[str, Any],
    out_relatives: str | Path,
    out_families: str | Path,
    threads: int,
) -> str:
    """Find relatives beyond ancestry, and write them; return why not where they cannot be told from strangers."""
    # kernels: who only passes on what there is need not load them
    from deepnull_gwas.cohort.adjusted_kinship import (
        fit_ancestry,
        relatives_beyond_ancestry,
        spread_beyond_ancestry,
    )
    from deepnull_gwas.cohort.kinship import Search
    from deepnull_gwas.cohort.relatives import raised_threshold, read_people, write_relatives
    from deepnull_gwas.genotypes.formats import open_genotypes

    people = read_people(files.qc_samples)
    members = people["sample_index"].to_numpy()
    pcs = pcs.set_index("sample_index").loc[members]
    names = [name for name in pcs if name.startswith("PC") and name[2:].isdigit()]
    unrelated = read_parquet(files.families, columns=["sample_index", "unrelated"]).set_index("sample_index")
    fileset, index = open_genotypes(files.genotypes), read_parquet(files.pruned, columns=["index"])["index"].to_numpy()
    ancestry = fit_ancestry(
        fileset, index, members, pcs[names].to_numpy(), unrelated.loc[members, "unrelated"].to_numpy(bool), threads
    )
    spread = spread_beyond_ancestry(fileset, index, ancestry)
    threshold = raised_threshold(float(settings["kinship"]), spread, len(members), len(index))
    if settings["adjust_kinship"] == "auto" and threshold > max(float(settings["kinship"]), HIGHEST_THRESHOLD):
        return (
            f"over {len(index):,} variants strangers cannot be told from relatives below a kinship of {threshold:.4f}, "
            f"which is more than {HIGHEST_THRESHOLD:.4f}"
        )
    logger.info("kinship is adjusted for principal components")
    search = Search(threads, float(settings.get("memory_mb") or 2000.0))
    found = relatives_beyond_ancestry(fileset, index, ancestry, threshold, search)
    known = pd.read_csv(files.relatives, sep="\t", usecols=["sample_index_1", "sample_index_2"])
    both = len(known.merge(found, on=["sample_index_1", "sample_index_2"]))
    logger.info(
        "%s related pairs, %s of them among the %s of KING-robust", f"{len(found):,}", f"{both:,}", f"{len(known):,}"
    )
    write_relatives(people, found, {"kinship": threshold}, out_relatives, out_families)
    return ""
