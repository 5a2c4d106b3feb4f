"""The genotype files that a path of a configuration means, and the keys that their format asks for."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deepnull_gwas.config.places import is_file, is_folder, nearest_file
from deepnull_gwas.config.values import as_dict
from deepnull_gwas.errors import some
from deepnull_gwas.genotypes.chromosomes import ORDER, normalise
from deepnull_gwas.genotypes.files import SEQUENCES, SITES
from deepnull_gwas.genotypes.formats import FORMATS, format_of
from deepnull_gwas.text import shorten

_PLACEHOLDER = "{chromosome}"
#: Extensions of what tells the alleles of a reference genome.
REFERENCES = (*SEQUENCES, *SITES)


def check_genotype_keys(raw: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield which keys of a cohort its genotypes lack, or have no use for.

    Parameters
    ----------
    raw
        The cohort's section as it was given.
    where
        Its place in the configuration.
    """
    genotypes = raw.get("genotypes")
    path = genotypes if isinstance(genotypes, str) else ""
    kind = format_of(path).name
    shown = f"the genotypes are {shorten(path, 300)}" if path else "the cohort has no 'genotypes'"
    if kind == "bgen" and raw.get("bgen_reference") is None:
        yield (
            f"{where}.bgen_reference: missing, and it is needed for {shorten(path, 300)}: 'first' or 'last', which of "
            "a variant's two alleles in the .bgen is the reference; the other one is the effect allele, and a wrong "
            "word swaps the two, and with them the sign of every effect. UK Biobank and most imputation servers have "
            "the reference first, plink2 writes it last (unless it was told ref-first). To find out, look at a few "
            "variants (`bgenix -g FILE -list`, columns first_allele and alternative_alleles) and compare with dbSNP "
            "or the documentation of the data; with `reference`, a FASTA of the genome, all variants are checked "
            "before anything is computed, and the preflight prints alleles and frequencies of some"
        )
    if kind == "vcf" and raw.get("vcf_field") is None:
        yield (
            f"{where}.vcf_field: missing, and it is needed for {shorten(path, 300)}: the field of FORMAT that "
            "genotypes are made of, DS (dosages), HDS (dosages of each haplotype), GP (probabilities), or GT (hard "
            "calls); the head of the file declares which it has (`bcftools view -h FILE | grep FORMAT`)"
        )
    if kind != "bgen" and raw.get("bgen_reference") is not None:
        yield f"{where}.bgen_reference: only a .bgen leaves open which allele is the reference, but {shown}; remove it"
    if kind != "vcf" and raw.get("vcf_field") is not None:
        yield f"{where}.vcf_field: only a VCF or BCF has fields to choose from, but {shown}; remove it"
    if kind != "bgen" and raw.get("bgen_sample") is not None:
        yield f"{where}.bgen_sample: only a .bgen has a .sample, but {shown}; remove it"
    if not path and raw.get("reference") is not None:
        yield f"{where}.reference: goes with 'genotypes', and {shown}; remove it"
    if kind != "vcf" and raw.get("vcf_multiallelic") is not None:
        yield f"{where}.vcf_multiallelic: for a VCF or BCF only, but {shown}; remove it"
    if kind not in ("bgen", "vcf") and raw.get("hard_call_threshold") is not None:
        own = "; a .pgen holds hard calls of its own (made by plink2's --hard-call-threshold)" if kind == "pgen" else ""
        yield f"{where}.hard_call_threshold: for a .bgen, VCF or BCF only, but {shown}{own}; remove it"


def check_structure_genotypes(
    structure_genotypes: Any, raw: Mapping[str, Any], filled: Mapping[str, Any], where: str
) -> Iterator[str]:
    """Yield what is wrong with a cohort's ``structure.genotypes`` but for files that are not there.

    Parameters
    ----------
    structure_genotypes
        The cohort's own, or that of the whole configuration.
    raw, where
        As in :func:`check_genotype_keys`.
    filled
        The whole configuration.
    """
    if as_dict(filled.get("structure")).get("genotypes") is not None:
        yield "config: structure.genotypes: are those of one cohort; move this key to cohorts.NAME.structure"
    elif isinstance(structure_genotypes, str):
        if raw.get("genotypes") is None:
            yield f"{where}.structure.genotypes: goes with 'genotypes' of the same people; remove it, or give those"
        elif structure_genotypes == raw.get("genotypes"):
            yield f"{where}.structure.genotypes: the same as 'genotypes', whose hard calls are used anyway; remove it"
        if format_of(structure_genotypes).name in ("bgen", "vcf"):
            yield (
                f"{where}.structure.genotypes: {shorten(structure_genotypes, 300)} holds imputed genotypes; give hard "
                "calls (a PLINK 1 fileset, or a .pgen), or leave the key out: hard calls are then made of 'genotypes'"
            )


def find_filesets(genotypes: str, base: Path, where: str) -> tuple[list[str], list[str]]:
    """Return the filesets that a path or a pattern means, in numeric order of the chromosomes, and what is wrong.

    Parameters
    ----------
    genotypes
        Path of a fileset, or a pattern with ``{chromosome}`` in the place of the chromosome's name; without an
        extension, that of a PLINK 1 fileset.
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


def find_samples(path: str, genotypes: str, filesets: list[str], base: Path, where: str) -> tuple[list[str], list[str]]:
    """Return the .sample of each fileset, and what is wrong.

    Parameters
    ----------
    path
        Of one .sample for all, or a pattern with ``{chromosome}``, which stands for what it does in ``genotypes``.
    genotypes, filesets
        The key of the cohort, and the filesets that it means.
    base, where
        As in :func:`find_filesets`.
    """
    if unknown := [p for p in re.findall(r"\{[^{}]*\}", path) if p != _PLACEHOLDER]:
        return [], [f"{where}: unknown placeholder {unknown[0]} in '{path}', allowed: {_PLACEHOLDER}"]
    if _PLACEHOLDER not in path:
        files = [path] * len(filesets)
    elif _PLACEHOLDER not in genotypes:
        return [], [f"{where}: '{path}' holds {_PLACEHOLDER}, and 'genotypes' does not: name the one .sample"]
    else:
        matcher = _matcher(genotypes)
        files = [path.replace(_PLACEHOLDER, matcher.fullmatch(name).group(1)) for name in filesets]
    problems = [
        f"{where}: no such file: {shorten(file, 300)}{nearest_file(base / file)}"
        for file in dict.fromkeys(files)
        if not is_file(base / file)
    ]
    return files, problems


def find_reference(path: str, base: Path, where: str) -> tuple[list[str], list[str]]:
    """Return the files of a cohort's ``reference`` in numeric order of the chromosomes, and what is wrong.

    Parameters
    ----------
    path
        Of one file, or a pattern with ``{chromosome}``.
    base, where
        As in :func:`find_filesets`.
    """
    if unknown := [p for p in re.findall(r"\{[^{}]*\}", path) if p != _PLACEHOLDER]:
        return [], [f"{where}: unknown placeholder {unknown[0]} in '{path}', allowed: {_PLACEHOLDER}"]
    if not path.endswith(REFERENCES):
        return [], [
            f"{where}: {shorten(path, 300)} is neither a FASTA nor a table of variants; expected one of "
            f"{', '.join(REFERENCES)}"
        ]
    if _PLACEHOLDER not in path:
        return [path], [] if is_file(base / path) else [
            f"{where}: no such file: {shorten(path, 300)}{nearest_file(base / path)}"
        ]
    matcher = _matcher(path)
    literal = "*".join(glob.escape(part) for part in path.split(_PLACEHOLDER))
    found = {
        code: name
        for name in sorted(glob.glob(literal, root_dir=None if Path(path).is_absolute() else base))
        if (match := matcher.fullmatch(name)) and (code := _chromosome(match.group(1)))
    }
    if not found:
        return [], [f"{where}: the pattern '{shorten(path, 300)}' matches no chromosome (1-22, X, Y, XY, MT)"]
    return [found[code] for code in sorted(found, key=ORDER.__getitem__)], []


def _matcher(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern, of which the first group is what stands for the chromosome."""
    first, *rest = [re.escape(part) for part in pattern.split(_PLACEHOLDER)]
    return re.compile(first + "([^/]+)" + r"\1".join(rest)) if rest else re.compile(first)


def _filesets_of_pattern(pattern: str, base: Path) -> tuple[Mapping[str, list[str]], list[str]]:
    """Return the filesets that match a pattern by chromosome, and those whose placeholder stands for none."""
    matcher = _matcher(pattern)
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
    for form in FORMATS[:-1]:
        literal = "*".join(glob.escape(part) for part in pattern.split(_PLACEHOLDER))
        if form is not format_of(pattern) and form.find(f"{literal}{form.extensions[0]}", str(base)):
            seen = f"; there are files {form.extensions[0]}: write '{shorten(pattern, 300)}{form.extensions[0]}'"
    looked_for = shorten(format_of(pattern).files(pattern.replace(_PLACEHOLDER, "*"))[0], 304)
    return (
        f"{where}: the pattern '{shorten(genotypes, 300)}' matches no chromosome (looked for {looked_for} "
        f"with 1-22, X, Y, XY, MT or 23-26 in the place of the star){seen}"
    )


def _missing_files(name: str, base: Path, where: str) -> Iterator[str]:
    """Yield which files of a fileset are not there."""
    for file in format_of(name).files(name, str(base)):
        if not is_file(base / file):
            prefix = format_of(name).prefix(name)
            shown = shorten(prefix, 300) + file.removeprefix(prefix)
            others = [f.extensions[0] for f in FORMATS if is_file(base / f"{name}{f.extensions[0]}")]
            if others and format_of(name) is FORMATS[-1] and not is_file(base / FORMATS[-1].files(name)[0]):
                yield f"{where}: no such file: {shown}; there is {shorten(name, 300)}{others[0]}: name its extension"
                return
            yield f"{where}: no such file: {shown}{nearest_file(base / file, of_suffix=True)}"
