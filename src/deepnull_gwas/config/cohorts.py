"""Cohorts of a configuration: the global settings overridden by their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepnull_gwas.config.filesets import (
    check_genotype_keys,
    check_structure_genotypes,
    find_filesets,
    find_reference,
    find_samples,
)
from deepnull_gwas.config.model import Cohort
from deepnull_gwas.config.places import is_file, nearest_file
from deepnull_gwas.config.schema import fill, with_preset
from deepnull_gwas.config.values import as_dict
from deepnull_gwas.text import shorten

#: Names of folders beside those of the cohorts.
RESERVED_COHORTS = ("site",)
#: Columns of every simulated sample table.
_SIMULATED_COLUMNS = ("FID", "IID", "sex", "age", "bmi", "smoking", "site")


def build_cohort(
    name: str, raw: dict[str, Any], filled: dict[str, Any], schema: dict[str, Any], base: Path, look: bool
) -> tuple[Cohort, list[str]]:
    """Return a cohort and what is wrong with it.

    Parameters
    ----------
    name, raw
        Its name, and its section as it was given.
    filled
        The whole configuration with defaults filled.
    schema
        That of the configuration.
    base
        Folder to which relative paths refer.
    look
        Whether its files are looked for; those of a cohort without studies need not be there.
    """
    where = f"config: cohorts.{name}"
    settings = {k: v for k, v in raw.items() if k not in ("qc", "structure")}
    settings = fill(settings, schema["$defs"]["cohort"], schema)
    simulate, genotypes, samples = raw.get("simulate"), raw.get("genotypes"), raw.get("samples")
    files: dict[str, tuple[str, ...]] = {}
    structure = {**as_dict(filled.get("structure")), **as_dict(raw.get("structure"))}
    structure_genotypes = structure.pop("genotypes", None)
    problems: list[str] = list(check_genotype_keys(raw, where))
    if name.lower() in RESERVED_COHORTS:
        problems.append(f"{where}: '{name}' is a folder of the workflow's own; choose another name")
    problems += check_structure_genotypes(structure_genotypes, raw, filled, where)
    if simulate is not None and genotypes is not None:
        problems.append(
            f"{where}: has both 'genotypes' and 'simulate'; give one of them (several config files are put over one "
            "another key by key: does a cohort of another file have this name?)"
        )
    elif simulate is None and genotypes is None:
        problems.append(
            f"{where}: has neither 'genotypes' nor 'simulate'; "
            "give the path of genotype files (.pgen, .bgen, or a PLINK 1 fileset), or settings of a simulation"
        )
    elif simulate is not None:
        if samples is not None:
            problems.append(f"{where}.samples: a simulated cohort makes its own sample table; remove this key")
        if isinstance(simulate, dict):
            chromosomes = settings["simulate"].get("chromosomes")
            if isinstance(chromosomes, list):
                settings["simulate"]["chromosomes"] = [str(c) for c in chromosomes]
            problems += _check_simulation(settings["simulate"], f"{where}.simulate")
    else:
        if samples is None:
            problems.append(f"{where}.samples: missing, and it is needed (the path of the sample table)")
        elif look and isinstance(samples, str) and not is_file(base / samples):
            problems.append(f"{where}.samples: no such file: {shorten(samples, 300)}{nearest_file(base / samples)}")
        if look:
            files, missing = _find_files(genotypes, structure_genotypes, settings, base, where)
            problems += missing
    missing_values = settings["missing_values"]
    cohort = Cohort(
        name=name,
        genome_build=settings.get("genome_build", ""),
        chunks=settings.get("chunks", as_dict(filled.get("association")).get("chunks")),
        qc=with_preset(as_dict(filled.get("qc")), schema, as_dict(raw.get("qc"))),
        structure=structure,
        filesets=files.get("filesets", ()),
        structure_filesets=files.get("structure_filesets", ()),
        bgen_reference=settings.get("bgen_reference"),
        bgen_samples=files.get("bgen_samples", ()),
        reference=files.get("reference", ()),
        hard_call_threshold=settings["hard_call_threshold"],
        vcf_field=settings.get("vcf_field"),
        vcf_multiallelic=settings["vcf_multiallelic"],
        imputation_panel=settings["imputation_panel"],
        imputation_software=settings["imputation_software"],
        samples=samples,
        sample_id=settings["sample_id"],
        family_id=settings["family_id"],
        sex=settings["sex"],
        missing_values=tuple(map(str, missing_values)) if isinstance(missing_values, list) else (),
        minimum_overlap=settings["minimum_overlap"],
        simulate=settings.get("simulate"),
    )
    return cohort, problems


def _find_files(
    genotypes: Any, structure_genotypes: Any, settings: dict[str, Any], base: Path, where: str
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the genotype files of a cohort and what goes with them, by the names in :class:`Cohort`, and what is
    wrong; keys that are no text are left to the schema."""
    found: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []

    def keep(name: str, files: tuple[list[str], list[str]]) -> None:
        found[name] = tuple(files[0])
        problems.extend(files[1])

    if isinstance(genotypes, str) and genotypes:
        keep("filesets", find_filesets(genotypes, base, f"{where}.genotypes"))
    if isinstance(structure_genotypes, str) and structure_genotypes:
        keep("structure_filesets", find_filesets(structure_genotypes, base, f"{where}.structure.genotypes"))
    if found.get("filesets") and isinstance(path := settings["bgen_sample"], str) and path:
        samples = find_samples(path, genotypes, list(found["filesets"]), base, f"{where}.bgen_sample")
        keep("bgen_samples", samples)
    if isinstance(path := settings["reference"], str) and path:
        keep("reference", find_reference(path, base, f"{where}.reference"))
    return found, problems


def _check_simulation(simulate: dict[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with the settings of a simulation beyond the schema."""
    people, related = simulate.get("people"), [simulate.get("sibling_pairs"), simulate.get("parent_child_pairs")]
    if all(isinstance(v, int) for v in [people, *related]) and 2 * sum(related) > people:
        yield f"{where}: {sum(related)} pairs of relatives need {2 * sum(related)} people, but people is {people}"
    for name, phenotype in as_dict(simulate.get("phenotypes")).items():
        if name in _SIMULATED_COLUMNS:
            yield f"{where}.phenotypes.{name}: this name is a column of every simulated sample table; choose another"
        if not isinstance(phenotype, dict):
            continue
        shares = [phenotype.get("heritability"), phenotype.get("covariate_variance")]
        if phenotype.get("covariate_effects") == "none":
            shares[1] = 0
        if all(isinstance(v, int | float) for v in shares) and sum(shares) > 1:
            yield (
                f"{where}.phenotypes.{name}: heritability {shares[0]} and covariate_variance {shares[1]} are shares of "
                "one variance; their sum may not exceed 1"
            )
