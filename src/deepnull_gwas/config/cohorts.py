"""Cohorts of a configuration: the global settings overridden by their own, and the genotype files that a path means."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deepnull_gwas.config.model import Cohort
from deepnull_gwas.config.places import is_file, is_folder, nearest_file
from deepnull_gwas.config.schema import fill, with_preset
from deepnull_gwas.config.values import as_dict
from deepnull_gwas.errors import some
from deepnull_gwas.genotypes.chromosomes import ORDER, normalise
from deepnull_gwas.genotypes.formats import format_of
from deepnull_gwas.text import shorten

_PLACEHOLDER = "{chromosome}"
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
    filesets: list[str] = []
    problems: list[str] = []
    if simulate is not None and genotypes is not None:
        problems.append(
            f"{where}: has both 'genotypes' and 'simulate'; give one of them (several config files are put over one "
            "another key by key: does a cohort of another file have this name?)"
        )
    elif simulate is None and genotypes is None:
        problems.append(
            f"{where}: has neither 'genotypes' nor 'simulate'; "
            "give the path of a PLINK fileset, or settings of a simulation"
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
        if look and isinstance(genotypes, str) and genotypes:
            filesets, found_problems = find_filesets(genotypes, base, f"{where}.genotypes")
            problems += found_problems
    missing_values = settings["missing_values"]
    cohort = Cohort(
        name=name,
        genome_build=settings.get("genome_build", ""),
        chunks=settings.get("chunks", as_dict(filled.get("association")).get("chunks")),
        qc=with_preset(as_dict(filled.get("qc")), schema, as_dict(raw.get("qc"))),
        structure={**as_dict(filled.get("structure")), **as_dict(raw.get("structure"))},
        filesets=tuple(filesets),
        samples=samples,
        sample_id=settings["sample_id"],
        family_id=settings["family_id"],
        sex=settings["sex"],
        missing_values=tuple(map(str, missing_values)) if isinstance(missing_values, list) else (),
        minimum_overlap=settings["minimum_overlap"],
        simulate=settings.get("simulate"),
    )
    return cohort, problems


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


def find_filesets(genotypes: str, base: Path, where: str) -> tuple[list[str], list[str]]:
    """Return the filesets that a path or a pattern means, in numeric order of the chromosomes, and what is wrong.

    Parameters
    ----------
    genotypes
        Path of a fileset, or a pattern with ``{chromosome}`` in the place of the chromosome's name.
    base
        Folder to which it refers.
    where
        Place in the configuration, for messages.
    """
    if unknown := [p for p in re.findall(r"\{[^{}]*\}", genotypes) if p != _PLACEHOLDER]:
        return [], [f"{where}: unknown placeholder {unknown[0]} in '{genotypes}', allowed: {_PLACEHOLDER}"]
    pattern = format_of(genotypes).fileset(genotypes)
    if _PLACEHOLDER not in genotypes:
        return [pattern], list(_missing_files(pattern, base, where))
    by_chromosome, others = _filesets_of_pattern(pattern, base)
    if not by_chromosome:
        return [], [_no_chromosome(genotypes, pattern, others, base, where)]
    problems = [
        f"{where}: chromosome {name} is matched more than once: {', '.join(found)}"
        for name, found in by_chromosome.items()
        if len(found) > 1
    ]
    ordered = [by_chromosome[name][0] for name in sorted(by_chromosome, key=ORDER.__getitem__)]
    for name in ordered:
        problems += _missing_files(name, base, where)
    return ordered, problems


def _filesets_of_pattern(pattern: str, base: Path) -> tuple[Mapping[str, list[str]], list[str]]:
    """Return the filesets that match a pattern by chromosome, and those whose placeholder stands for none."""
    first, *rest = [re.escape(part) for part in pattern.split(_PLACEHOLDER)]
    matcher = re.compile(first + "([^/]+)" + r"\1".join(rest)) if rest else re.compile(first)
    # a fileset of which only some files are there is found too, and named as incomplete later
    literal = "*".join(glob.escape(part) for part in pattern.split(_PLACEHOLDER))
    root = None if Path(pattern).is_absolute() else base
    names = format_of(pattern).find(literal, None if root is None else str(root))
    by_chromosome: dict[str, list[str]] = {}
    others = []
    for name in sorted(names):
        match = matcher.fullmatch(name)
        chromosome = _chromosome(match.group(1)) if match else None
        if chromosome is None:
            others.append(name)
        else:
            by_chromosome.setdefault(chromosome, []).append(name)
    return by_chromosome, others


def _chromosome(code: str) -> str | None:
    """Return the name of a chromosome as it stands in a file's name, where blanks are no padding."""
    return normalise(code) if code == code.strip() else None


def _no_chromosome(genotypes: str, pattern: str, others: list[str], base: Path, where: str) -> str:
    """Return the message for a pattern that matches no chromosome."""
    folder = (base / pattern.split(_PLACEHOLDER)[0]).parent
    seen = f"; found {some(others)}, whose {_PLACEHOLDER} is no chromosome" if others else ""
    seen = f"; the folder {shorten(folder, 300)} does not exist" if not is_folder(folder) and not others else seen
    looked_for = shorten(format_of(pattern).files(pattern.replace(_PLACEHOLDER, "*"))[0], 304)
    return (
        f"{where}: the pattern '{shorten(genotypes, 300)}' matches no chromosome (looked for {looked_for} "
        f"with 1-22, X, Y, XY, MT or 23-26 in the place of the star){seen}"
    )


def _missing_files(name: str, base: Path, where: str) -> Iterator[str]:
    """Yield which files of a fileset are not there."""
    for file in format_of(name).files(name, str(base)):
        if not is_file(base / file):
            shown = shorten(name, 300) + file.removeprefix(name)
            yield f"{where}: no such file: {shown}{nearest_file(base / file, of_suffix=True)}"
