"""The thorough check of what was published: by the second implementation, in double precision, by recorded checksums.

The second implementation (:mod:`deepnull_gwas.verify`) is that with which every association job checks a few of its
variants before its result gets a name (:mod:`deepnull_gwas.association.check`); here it is the published files that are
looked at, and more of them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from deepnull_gwas.association.chunk import VARIANT_COLUMNS, StudyFiles
from deepnull_gwas.association.inputs import read_study
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.blocks import read_block
from deepnull_gwas.genotypes.chromosomes import SSF_CODE, chromosome_classes
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.logs import Progress
from deepnull_gwas.results.findings import DOUBLE, SECOND, Findings, Tally
from deepnull_gwas.results.loci import read_leads
from deepnull_gwas.results.published import (
    UNTESTED,
    VARIANT_KEY,
    Published,
    file_problems,
    number_in,
    untested_variants,
)
from deepnull_gwas.tables import read_parquet, write_tsv
from deepnull_gwas.verify.compare import METHODS_KNOWN, METHODS_OF, Estimate, count_agrees, differences
from deepnull_gwas.verify.files import Study, read_study_files
from deepnull_gwas.verify.genotypes import read_copies, read_probabilities
from deepnull_gwas.verify.second import Second

logger = logging.getLogger(__name__)

#: Lead variants of each study and arm that are checked in addition to the random ones.
LEADS = 10
#: Problems named in the message.
NAMED = 8
#: Columns that tell one variant from another, here and in the published file alike.
KEY = ["code", "position", "id", "effect_allele", "other_allele"]
#: Published columns of the three numbers that are compared.
PUBLISHED = {"beta": "beta", "se": "standard_error", "neg_log10_p": "neg_log_10_p_value"}

Files = Mapping[tuple[str, str], Published]


@dataclass(frozen=True)
class Batch:
    """A batch and its cohort, as their files have them.

    Attributes
    ----------
    folder
        Of the cohort's results.
    studies
        The batch.
    files
        Files of each study.
    variants
        Those that passed quality control: index, chromosome, code (the standard's), position, id, effect_allele,
        other_allele, class (``autosome``, ``X``, ``Y`` or ``MT``).
    genotypes
        Where their genotypes are.
    sex
        int8, one per person of the genotype files.
    association
        The ``association`` section, with genome_build.
    """

    folder: Path
    studies: tuple[Study, ...]
    files: tuple[StudyFiles, ...]
    variants: pd.DataFrame
    genotypes: Genotypes
    sex: np.ndarray
    association: Mapping[str, Any]

    def calls(self, row: Any) -> np.ndarray:
        """Read the calls of a variant by the second implementation's own reader."""
        files = self.genotypes
        return read_copies(files.place_of(row.index), files.n_samples, files.single_copies_at(row.index))

    def probabilities(self, row: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """Read what the probabilities of a variant say, where the format has any."""
        files = self.genotypes
        return read_probabilities(files.place_of(row.index), files.n_samples, files.single_copies_at(row.index))


@dataclass(frozen=True)
class Chosen:
    """Which variants are looked at.

    Attributes
    ----------
    unique
        Rows of the variants that can be told from all others in the published file.
    random
        Those of them that the second implementation tests again.
    blocks
        First rows of the blocks that the scan tests again in double precision.
    """

    unique: np.ndarray
    random: np.ndarray
    blocks: np.ndarray


def verify_batch(
    cohort: str | Path,
    batch: str,
    studies: Sequence[Mapping[str, Any]],
    association: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    out: str | Path,
) -> None:
    """Check what was published of the studies of a batch (rule ``verify_batch``).

    Parameters
    ----------
    cohort
        Folder of the cohort's results.
    batch
        Name of the batch.
    studies
        ``study``, ``arms`` and ``model`` of each study.
    association
        The ``association`` section of the config, with genome_build.
    settings
        ``variants`` (tested again by the second implementation, for each study, in addition to the leads), ``blocks``
        (of ``variants_per_block`` neighbours, tested again by the scan in double precision).
    seed
        Decides, with the names of cohort and batch, which variants.
    out
        TSV, one row per study and arm: what was compared, and the largest differences.

    Raises
    ------
    InputErrors
        When anything published differs, naming file, variant, what was found and what was expected.
    """
    given = _read_batch(Path(cohort), studies, association)
    words = f"{seed}/{given.folder.name}/{batch}".encode()
    chosen = _choose(given.variants, settings, int(association["variants_per_block"]), words)
    logger.info(
        "%d random variants and the leads by a second implementation, %d blocks of %d in double precision; %d studies",
        len(chosen.random), len(chosen.blocks), int(association["variants_per_block"]), len(given.studies),
    )  # fmt: skip
    files, damaged = _open_published(given)
    found = Findings.all_of([damaged, *_by_second(given, chosen, files), *_in_double(given, chosen, files)])
    if found.problems:
        more = [f"... and {len(found.problems) - NAMED} more"] if len(found.problems) > NAMED else []
        raise InputErrors([*found.problems[:NAMED], *more])
    write_tsv(pd.DataFrame(_summary(given, found)), out)


def _read_batch(folder: Path, studies: Sequence[Mapping[str, Any]], association: Mapping[str, Any]) -> Batch:
    """Read what the checks need of a cohort and its studies."""
    variants = read_parquet(folder / "variants.parquet", columns=[*VARIANT_COLUMNS])
    passed = read_parquet(folder / "qc" / "variants.parquet", columns=["index", "passed"])
    variants = variants[variants["index"].isin(passed.loc[passed["passed"], "index"])].reset_index(drop=True)
    variants["code"] = variants["chromosome"].map(SSF_CODE).astype(int)
    variants["class"] = chromosome_classes(
        variants["chromosome"].to_numpy(), variants["position"].to_numpy(), association["genome_build"]
    )
    files = tuple(_files_of(folder / s["study"], s) for s in studies)
    return Batch(
        folder,
        tuple(read_study_files(*of_study) for of_study in files),
        files,
        variants,
        open_genotypes(folder / "genotypes.json"),
        read_parquet(folder / "qc" / "samples.parquet", columns=["sex"])["sex"].to_numpy(),
        association,
    )


def _files_of(folder: Path, study: Mapping[str, Any]) -> StudyFiles:
    """Return the files and arms of a study."""
    prediction = folder / "deepnull" / "prediction.parquet" if "deepnull" in study["arms"] else None
    files = folder / "study.json", folder / "samples.parquet", prediction, study["arms"]
    if study["model"] != "whole_genome":
        return files
    return *files, folder / "genome" / "offsets.parquet", folder.parent / "structure" / "relatives.tsv"


def _choose(variants: pd.DataFrame, settings: Mapping[str, Any], size: int, words: bytes) -> Chosen:
    """Choose variants and blocks at random; ``words`` are the seed."""
    # twins cannot be told apart in the published file
    unique = np.flatnonzero(~variants.duplicated(KEY, keep=False))
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(words).digest()[:8], "little"))
    random = rng.choice(unique, min(int(settings["variants"]), len(unique)), replace=False)
    starts = np.arange(0, len(variants), size)
    blocks = np.sort(rng.choice(starts, min(int(settings["blocks"]), len(starts)), replace=False))
    return Chosen(unique, random, blocks)


def _open_published(batch: Batch) -> tuple[Files, Findings]:
    """Open what was published of each study and arm and check the files as such; what cannot be read is left out."""
    problems: list[str] = []
    files: dict[tuple[str, str], Published] = {}
    for study in batch.studies:
        for arm in study.arms:
            path = study.folder / arm / "sumstats.tsv.gz"
            try:
                problems += file_problems(path, len(batch.variants))
                files[study.name, arm] = Published(path)
            except InputError as error:
                problems.append(str(error))
    return files, Findings(tuple(problems))


# --- by the second implementation ----------------------------------------------


def _by_second(batch: Batch, chosen: Chosen, files: Files) -> Iterator[Findings]:
    """Test the chosen variants and the leads of each study by the second implementation."""
    keys = batch.variants.iloc[chosen.unique][KEY].itertuples(index=False, name=None)
    by_key = dict(zip(keys, map(int, chosen.unique), strict=True))
    progress = Progress(len(batch.studies), "studies")
    for study in batch.studies:
        leads, unreadable = _leads_of(study, by_key)
        yield unreadable
        wanted = list(dict.fromkeys([*map(int, chosen.random), *leads]))
        yield from _test_study(batch, study, batch.variants.iloc[wanted], files)
        progress.add(1)


def _leads_of(study: Study, by_key: Mapping[tuple, int]) -> tuple[list[int], Findings]:
    """Return the strongest leads of a study's arms, as rows of the variants."""
    rows: list[int] = []
    problems: list[str] = []
    for arm in study.arms:
        path = study.folder / arm / "leads.tsv"
        try:
            leads = read_leads(path).sort("neg_log_10_p_value", descending=True).head(LEADS)
        except (OSError, pl.exceptions.PolarsError) as error:
            what = str(error).splitlines()[0]
            problems.append(f"{path}: cannot be read ({what}); delete it and run again")
            continue
        rows += [by_key[lead] for lead in leads.select(VARIANT_KEY).iter_rows() if lead in by_key]
    return rows, Findings(tuple(problems))


def _test_study(batch: Batch, study: Study, variants: pd.DataFrame, files: Files) -> Iterator[Findings]:
    """Test variants again for one study, and look for those that are not published among the untested."""
    seconds: dict[tuple[str, str], Second] = {}
    absent: dict[str, list[Any]] = {}
    # "class" is no name for a field
    for row, kind in zip(variants.drop(columns="class").itertuples(), variants["class"], strict=True):
        place = study.place(kind, row.chromosome)
        if place not in seconds:
            seconds[place] = Second(study, batch.sex, kind, batch.association, row.chromosome)
        calls = batch.calls(row)
        counted = seconds[place].counts(calls)
        if batch.genotypes.has_dosages:
            information = seconds[place].information(calls, batch.probabilities(row))
            # as the standard allows it
            counted["info"] = float(np.clip(information, 0, 1))
        for arm in study.arms:
            if (published := files.get((study.name, arm))) is None:
                continue
            if (found := _published_row(published, row)) is None:
                absent.setdefault(arm, []).append(row)
                continue
            where = _name(row, published.path)
            wrong = [f"{where}: {text}" for text in _wrong_counts(found, counted)]
            method, tally = found["method"], Tally(not_compared=1)
            if method not in METHODS_OF[study.trait]:
                allowed = ", ".join(sorted(METHODS_OF[study.trait]))
                wrong.append(f"{where}: method: found {method}, expected one of: {allowed}")
                tally = Tally()
            elif method in METHODS_KNOWN:
                different, tally = _compare(found, seconds[place].test(calls, arm, method), SECOND)
                wrong += [f"{where}: {text}" for text in different]
            yield Findings(tuple(wrong), {(study.name, arm): tally})
    for arm, rows in absent.items():
        untested = untested_variants(study.folder / arm / UNTESTED)
        yield Findings(
            tuple(
                f"{_name(row, files[study.name, arm].path)}: "
                f"is neither there nor in {UNTESTED}, expected in one of them"
                for row in rows
                if (row.chromosome, str(row.position), row.id, row.effect_allele, row.other_allele) not in untested
            )
        )


def _published_row(published: Published, row: Any) -> dict[str, str] | None:
    return published.row(row.code, row.position, row.id, row.effect_allele, row.other_allele)


def _name(row: Any, path: Path) -> str:
    return f"{path}: variant {row.id} ({row.chromosome}:{row.position}, {row.effect_allele}/{row.other_allele})"


def _wrong_counts(row: Mapping[str, str], expected: Mapping[str, float]) -> Iterator[str]:
    """Yield numbers of people and frequencies that are not those counted in the genotypes."""
    for column, value in expected.items():
        if not count_agrees(column, number_in(row.get(column, "")), value):
            yield f"{column}: found {row.get(column, 'no such column')}, expected {value:.7g}"


def _compare(row: Mapping[str, str], expected: Estimate, way: str) -> tuple[list[str], Tally]:
    """Compare beta, se and -log10 p of a row with what was recomputed: what differs, and by how much all do."""
    compared = differences(*(number_in(row[c]) for c in PUBLISHED.values()), expected)
    different = [f"{PUBLISHED[d.name]}: found {row[PUBLISHED[d.name]]}, {d}" for d in compared if not d.agrees]
    return different, Tally.of(way, compared)


# --- in double precision -------------------------------------------------------


def _in_double(batch: Batch, chosen: Chosen, files: Files) -> Iterator[Findings]:
    """Test whole blocks again by the scan in double precision."""
    if not len(chosen.blocks):
        return
    inputs = [read_study(*of_study) for of_study in batch.files]
    scan = Scan(inputs, batch.sex, Settings.of({**batch.association, "exact": True}))
    size = int(batch.association["variants_per_block"])
    progress = Progress(len(chosen.blocks) * size, "variants in double precision")
    for start in chosen.blocks:
        rows = batch.variants.iloc[start : start + size]
        for (kind, chromosome), part in rows.groupby(["class", "chromosome"], sort=False):
            # with the masks of the study, as in the association: INFO, by which variants are left out, is IMPUTE's then
            block = read_block(batch.genotypes, part["index"].to_numpy(), scan.on(kind, chromosome).masks)
            result = scan.block(block, kind, chromosome)
            for (study, arm), published in files.items():
                own = {c: result[f"{study}.{arm}.{c}"] for c in ("reason", "method", *PUBLISHED)}
                yield from _compare_block(part.drop(columns="class").itertuples(), own, (study, arm), published)
        progress.add(len(rows))


def _compare_block(
    rows: Iterable[Any], result: Mapping[str, np.ndarray], key: tuple[str, str], published: Published
) -> Iterator[Findings]:
    """Compare the published rows of a block with those of the scan in double precision."""
    for k, row in enumerate(rows):
        found, why = _published_row(published, row), result["reason"][k]
        if found is None or why:
            if (found is None) != bool(why):
                state = "is not there" if found is None else "is there"
                yield Findings((f"{_name(row, published.path)}: {state}, expected {why or 'an estimate'}",))
            continue
        # at the edge between two methods rounding may choose the other
        if found["method"] != result["method"][k]:
            yield Findings(tallies={key: Tally(not_compared=1)})
            continue
        beta, se, neg_log10_p = (float(result[c][k]) for c in PUBLISHED)
        # the same sums in double precision: rounding is magnified by what beta itself explains, and by covariates
        expected = Estimate(beta, se, neg_log10_p, 2 + (beta / se) ** 2 / float(found["n"]))
        different, tally = _compare(found, expected, DOUBLE)
        problems = tuple(f"{_name(row, published.path)}: {text}" for text in different)
        yield Findings(problems, {key: tally})


def _summary(batch: Batch, found: Findings) -> list[dict[str, Any]]:
    """Return the rows of the summary: what was compared for each study and arm, and the largest differences."""
    return [
        {
            "cohort": batch.folder.name, "study": s.name, "arm": arm,
            "state": "failed study" if arm in s.failed else "ok",
            "variants, second implementation": t.second, "variants, double precision": t.double,
            "variants, not compared": t.not_compared, "largest difference of beta, in se": t.beta,
            "of se, relative": t.se, "of neg_log_10_p_value": t.neg_log10_p,
        }
        for s in batch.studies for arm in s.arms for t in [found.tally(s.name, arm)]
    ]  # fmt: skip
