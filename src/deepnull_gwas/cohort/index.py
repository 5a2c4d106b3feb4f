"""Ingestion: a cohort's genotype files and sample table, checked and written as the tables that all else rests on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.reference import check_references
from deepnull_gwas.cohort.sample_table import LEAST_OVERLAP, join_samples, read_sample_table
from deepnull_gwas.errors import InputError, InputErrors, some
from deepnull_gwas.genotypes.chromosomes import in_par
from deepnull_gwas.genotypes.files import HARD_CALL_THRESHOLD
from deepnull_gwas.genotypes.formats import format_of, open_index
from deepnull_gwas.genotypes.joined import JoinedGenotypes
from deepnull_gwas.genotypes.single_copies import LOOKED_AT, find_single_copies
from deepnull_gwas.tables import Column, write_json, write_parquet

logger = logging.getLogger(__name__)

VARIANTS = [
    Column("index", "int64", "number of the variant over all filesets, from 0, in order of analysis"),
    Column("chromosome", "str", "1 to 22, X, Y, MT, or XY (pseudo-autosomal, as coded by PLINK)"),
    Column("position", "int64", "1-based position in bp"),
    Column("id", "str", "identifier in the genotype files"),
    Column("effect_allele", "str", "the allele that dosages count and betas refer to (A1 of a .bed, ALT of a .pgen)"),
    Column("other_allele", "str", "the other allele"),
    Column("file", "int32", "number of the fileset in genotypes.json, from 0"),
    Column("file_row", "int64", "row in the table of variants of that fileset, from 0"),
    Column("chunk", "int32", "number of the chunk, from 0"),
]
SAMPLES = [
    Column("sample_index", "int64", "number of the person in the genotype files, from 0"),
    Column("fid", "str", "family ID"),
    Column("iid", "str", "person's ID"),
    Column(
        "recorded_sex", "int8", "1 male, 2 female, 0 unknown; from the genotype files, completed by the sample table"
    ),
    Column("in_sample_table", "bool", "whether the sample table has the person"),
]


def plan_chunks(n_variants: int, n_chunks: int) -> np.ndarray:
    """Split variants into contiguous chunks whose sizes differ by at most one.

    Returns
    -------
    int64 array of ``n_chunks + 1`` boundaries; chunk c holds the variants from boundary c to boundary c + 1, exclusive.
    With fewer variants than chunks some chunks are empty.
    """
    return np.arange(n_chunks + 1, dtype=np.int64) * n_variants // n_chunks


def index_cohort(
    filesets: Sequence[str | Path],
    table: str | Path,
    settings: dict[str, Any],
    chunks: int,
    out_genotypes: str | Path,
    out_variants: str | Path,
    out_samples: str | Path,
    reference: Sequence[str | Path] = (),
) -> None:
    """Check a cohort's filesets and sample table, and write down its variants, people and chunks.

    Parameters
    ----------
    filesets
        Names of the genotype filesets (for PLINK 1 paths without, else with extension), in the order of analysis.
    table
        The sample table.
    settings
        ``cohort, genome_build, sample_id, family_id, sex, missing_values``, ``minimum_overlap``, and for a .bgen
        ``bgen_reference``, ``hard_call_threshold`` and, where they have other names, ``bgen_samples``
        (``Cohort.settings()``).
    chunks
        Number of chunks.
    out_genotypes, out_variants, out_samples
        genotypes.json, variants.parquet and samples.parquet. Nothing is written when anything is wrong.
    reference
        Files of the cohort's key ``reference``, which tell the alleles of the reference genome.

    Raises
    ------
    InputErrors
        With all that is wrong, each problem naming file and row.
    """
    filesets = [str(name) for name in filesets]
    problems: list[str] = []
    of_format = format_settings(filesets, settings, Path(out_genotypes).parent)
    tables, people = read_filesets(filesets, of_format, problems)
    samples = None
    least = float(settings.get("minimum_overlap", LEAST_OVERLAP))
    known = ("sample_id", "family_id", "sex", "missing_values")
    read = _collect(problems, lambda: read_sample_table(table, **{k: settings[k] for k in known}))
    if read is not None and people:
        people_file = format_of(filesets[0]).people_file(filesets[0], settings=of_format)
        samples = _collect(problems, lambda: join_samples(people[0], read, people_file, least))
    if problems or samples is None:
        raise InputErrors(problems)

    variants = pd.concat(tables, ignore_index=True)
    sizes = [len(t) for t in tables]
    boundaries = plan_chunks(len(variants), chunks)
    variants.insert(0, "index", np.arange(len(variants), dtype=np.int64))
    variants["file"] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    variants["file_row"] = np.concatenate([np.arange(n, dtype=np.int64) for n in sizes])
    variants["chunk"] = np.repeat(np.arange(chunks, dtype=np.int32), np.diff(boundaries))
    duplicates = _report_variants(variants)
    by_sex = _report_sex(variants, samples, settings["genome_build"])
    logger.info("%s variants, %s people, %d chunks", f"{len(variants):,}", f"{len(samples):,}", chunks)

    index = {
        "format": format_of(filesets[0]).name,
        "filesets": filesets,
        **of_format,
        "other_is_reference": [format_of(name).reader().other_is_reference(name) for name in filesets],
        "samples": len(samples),
        "variants": len(variants),
        "genome_build": settings["genome_build"],
        "chunk_boundaries": boundaries,
        **duplicates,
        **by_sex,
    }
    if reference:
        known, index["reference"] = check_references(reference, variants, index)
        index["other_is_reference"] = [known] * len(filesets)
    index |= single_copies(index, variants, samples["recorded_sex"].to_numpy(), samples["iid"].to_numpy(dtype=object))
    write_parquet(variants, out_variants, VARIANTS)
    write_parquet(samples, out_samples, SAMPLES)
    write_json(index, out_genotypes)


def single_copies(
    index: Mapping[str, Any], variants: pd.DataFrame, sex: np.ndarray, names: np.ndarray
) -> dict[str, Any]:
    """Return whose calls and dosages on X are those of one copy, as it goes to genotypes.json; nothing where nobody's.

    Parameters
    ----------
    index
        What is known of the filesets so far.
    variants
        chromosome, position.
    sex, names
        1 for a male, and the ID, of each person in the order of the filesets.
    """
    chromosome = variants["chromosome"].to_numpy(dtype=object)
    on_x = (chromosome == "X") & ~in_par(chromosome, variants["position"].to_numpy(), index["genome_build"])
    genotypes = open_index(index) if on_x.any() else None
    # of a .bed heterozygous calls of males count as missing
    if not isinstance(genotypes, JoinedGenotypes):
        return {}
    found = find_single_copies(genotypes, on_x, sex, names)
    if found is None:
        return {}
    logger.warning(
        "%s: on X the dosages of males are those of one copy, 0 to 1 (%s of %s males, over %d variants); they are "
        "doubled, so that males count 0 or 2 as everywhere in this workflow",
        index["filesets"][0], f"{int(found.people.sum()):,}", f"{int((sex == 1).sum()):,}",
        min(int(on_x.sum()), LOOKED_AT),
    )  # fmt: skip
    return {"single_copies": found.to_json()}


def format_settings(filesets: Sequence[str], settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what the reader of a format has to be told, as it goes to genotypes.json.

    Parameters
    ----------
    filesets
        Names of the filesets.
    settings
        ``bgen_reference``, ``hard_call_threshold`` and ``bgen_samples`` of a .bgen.
    folder
        The cohort's folder of results, in which indexes of .bgen files are kept.
    """
    threshold = float(settings.get("hard_call_threshold", HARD_CALL_THRESHOLD))
    if format_of(filesets[0]).name != "bgen":
        # of an imported VCF; the import itself makes hard calls at the usual threshold
        return {"hard_call_threshold": threshold} if threshold != HARD_CALL_THRESHOLD else {}
    return {
        "bgen_reference": settings.get("bgen_reference") or "",
        "hard_call_threshold": threshold,
        "bgen_index": str(folder / "genotypes"),
        **({"bgen_samples": dict(zip(filesets, samples))} if (samples := settings.get("bgen_samples")) else {}),
    }


def read_filesets(
    names: list[str], of_format: Mapping[str, Any], problems: list[str]
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Read tables of variants and people of filesets, and check genotypes; what is wrong is added to the problems."""
    form = format_of(names[0])
    reader = form.reader()
    all_variants: list[pd.DataFrame] = []
    all_people: list[pd.DataFrame] = []
    for name in names:
        logger.info("fileset %s", name)
        variants = _collect(problems, lambda n=name: reader.read_variants(n, of_format))
        people = _collect(problems, lambda n=name: reader.read_people(n, of_format))
        if variants is not None and people is not None:
            _collect(problems, lambda n=name, v=variants, p=people: reader.check(n, len(v), len(p)))
        if variants is not None:
            all_variants.append(variants)
        if people is not None:
            if all_people:
                files = tuple(form.people_file(n, settings=of_format) for n in (names[0], name))
                _collect(problems, lambda p=people, f=files: _same_people(all_people[0], p, *f))
            all_people.append(people)
    return all_variants, all_people


def _collect(problems: list[str], step: Callable[[], Any]) -> Any:
    """Run a step; keep what is wrong with its input and go on."""
    try:
        return step()
    except InputErrors as error:
        problems.extend(problem for problem in error.problems if problem not in problems)
    except InputError as error:
        # of a head that is read for variants as well as for people
        if str(error) not in problems:
            problems.append(str(error))
    return None


def _same_people(first: pd.DataFrame, other: pd.DataFrame, first_path: str, path: str) -> None:
    if len(first) != len(other):
        raise InputError(
            f"{path}: {len(other)} people, but {first_path} has {len(first)}; the filesets of a cohort must hold the "
            "same people in the same order"
        )
    differs = ((first["fid"] != other["fid"]) | (first["iid"] != other["iid"])).to_numpy()
    if differs.any():
        i = int(np.flatnonzero(differs)[0])
        raise InputError(
            f"{path}: row {i + 1} is '{other['fid'][i]} {other['iid'][i]}', but '{first['fid'][i]} {first['iid'][i]}' "
            f"in {first_path} ({int(differs.sum())} rows differ); the filesets of a cohort must hold the same people "
            "in the same order"
        )


def _report_sex(variants: pd.DataFrame, samples: pd.DataFrame, build: str) -> dict[str, int]:
    """Count the variants whose tests need people's sex, and say who has none."""
    chromosome = variants["chromosome"].to_numpy(dtype=object)
    outside = ~in_par(chromosome, variants["position"].to_numpy(), build)
    on = {name: int((outside & (chromosome == name)).sum()) for name in ("X", "Y")}
    inside = samples[samples["in_sample_table"].to_numpy(dtype=bool)]
    unknown = inside.loc[inside["recorded_sex"] == 0, "iid"]
    if len(unknown) and sum(on.values()):
        logger.warning(
            "%s of %s people in the sample table have no recorded sex (%s): without it they are left out on X and Y "
            "(%s variants); name the column of the sample table that has it as `sex` of the cohort, or see "
            "qc.infer_sex",
            f"{len(unknown):,}", f"{len(inside):,}", some(unknown, 3), f"{sum(on.values()):,}",
        )  # fmt: skip
    autosomal = int((~np.isin(chromosome, ["X", "Y", "XY", "MT"])).sum())
    return {"autosomal_variants": autosomal, "variants_on_x": on["X"], "variants_on_y": on["Y"]}


def _report_variants(variants: pd.DataFrame) -> dict[str, int]:
    """Count and log what is no error, but worth knowing."""
    ids = variants["id"]
    named = ids[ids != "."]
    duplicate_ids = int(named.duplicated(keep=False).sum())
    at_same = int(variants.duplicated(["chromosome", "position"], keep=False).sum())
    if duplicate_ids:
        logger.warning(
            "%s variants share their ID with another (%s); all are kept and told apart by position and alleles",
            f"{duplicate_ids:,}", some(named[named.duplicated()].unique(), 3),
        )  # fmt: skip
    if at_same:
        logger.warning(
            "%s variants share their position with another (multi-allelic or duplicated); all are kept", f"{at_same:,}"
        )
    alleles = pd.unique(variants[["effect_allele", "other_allele"]].to_numpy(dtype=object).ravel())
    odd = [a for a in alleles if a != "0" and not set(a.upper()) <= set("ACGTN")]
    if odd:
        logger.warning("alleles that are not written in A, C, G, T: %s; they are kept as they are", some(odd))
    per_chromosome = variants["chromosome"].value_counts(sort=False)
    logger.info("variants by chromosome: %s", some([f"{c}: {n:,}" for c, n in per_chromosome.items()], 30))
    return {"duplicate_ids": duplicate_ids, "duplicate_positions": at_same}
