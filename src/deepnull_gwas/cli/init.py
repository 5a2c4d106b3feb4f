"""The command `init`: a first configuration for somebody's files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deepnull_gwas.cli.workflow import CONFIG, joined
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.text import plain, split_names

if TYPE_CHECKING:
    from deepnull_gwas.propose.columns import Role
    from deepnull_gwas.propose.genotypes import Found
    from deepnull_gwas.propose.samples import Samples

INIT = """\
Look at genotypes and a sample table, and write a configuration with comments (config/config.yaml) and a sheet of
studies (config/studies.tsv) into a folder. Traits, covariates and filters are suggestions, each with its reason; what
cannot be seen from files (the genome build, which allele of a .bgen is the reference) is asked for, or left as a line
to complete, with what was seen. Neither file is overwritten.

  deepnull-gwas init my_gwas --genotypes data/biobank --samples data/biobank.tsv
  deepnull-gwas init my_gwas --genotypes 'data/imputed_chr{chromosome}.pgen' --samples data/biobank.csv --build GRCh38
  cd my_gwas; deepnull-gwas check
"""
#: Extensions of tables that are looked for in a folder.
TABLES = (".tsv", ".csv", ".txt", ".phe", ".pheno", ".parquet", ".tsv.gz", ".csv.gz", ".txt.gz")
#: Columns that are told of one by one, of each kind.
SHOWN = 8


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `init`."""
    init = commands.add_parser(
        "init",
        help="write a first configuration for your genotypes and sample table",
        description=INIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    init.add_argument("folder", metavar="FOLDER", help="where the analysis is to run; made if it is not there")
    init.add_argument(
        "--genotypes",
        metavar="PATH",
        help=(
            "a PLINK fileset, .pgen, .bgen or VCF, a pattern with {chromosome}, or a folder that holds one of them "
            "(default: what is in FOLDER)"
        ),
    )
    init.add_argument("--samples", metavar="TABLE", help="table of people (default: the one table in FOLDER)")
    init.add_argument("--name", metavar="COHORT", help="name of the cohort (default: from the genotypes)")
    init.add_argument("--build", choices=["GRCh37", "GRCh38"], help="genome build of the positions")
    init.add_argument(
        "--bgen-reference", choices=["first", "last"], help="which of a variant's alleles in a .bgen is the reference"
    )
    init.add_argument("--sample-id", metavar="COLUMN", help="column with the people's IDs (default: the one that fits)")
    init.add_argument(
        "--phenotypes", action="append", type=split_names, metavar="NAME,...", help="columns to analyse, and no others"
    )
    init.add_argument(
        "--covariates", action="append", type=split_names, metavar="NAME,...", help="columns to take as covariates too"
    )


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas init`."""
    folder = Path(given.folder)
    config, sheet = folder / CONFIG, folder / "config/studies.tsv"
    if there := [str(file) for file in (config, sheet) if file.exists()]:
        raise InputError(f"{' and '.join(there)}: there already, not overwritten; remove it, or name another folder")
    genotypes = given.genotypes or str(folder)
    table = given.samples or _table_in(folder)
    from deepnull_gwas.propose import write
    from deepnull_gwas.propose.genotypes import look_at
    from deepnull_gwas.propose.samples import look_at_samples

    found = look_at(genotypes)
    phenotypes, covariates = joined(given.phenotypes), joined(given.covariates)
    samples = look_at_samples(table, found.people, given.sample_id, phenotypes, covariates)
    print("\n".join(plain(line, 400) for line in _seen(found, samples)))
    choices = write.Choices(
        given.name or write.cohort_name(found.path),
        _from(folder, found.path),
        _from(folder, table),
        given.build or _ask("Genome build of the positions", ["GRCh37", "GRCh38"], write.build_evidence(found)),
        given.bgen_reference,
    )
    if found.form == "bgen" and choices.bgen_reference is None:
        what = "Which allele of each variant in the .bgen is the reference"
        choices.bgen_reference = _ask(what, ["first", "last"], f"Seen: {write.allele_evidence(found)}.")
    text, studies, undecided = write.sheet_text(samples, choices.cohort)
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(write.config_text(found, samples, choices), encoding="utf-8")
    sheet.write_text(text, encoding="utf-8")
    print(f"\nWritten: {config}, {sheet} ({len(studies)} {'study' if len(studies) == 1 else 'studies'})")
    print("\n".join(_left(found, samples, config, sheet, undecided, bool(studies))))


def _table_in(folder: Path) -> str:
    """Return the one sample table of a folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    there = [str(file) for file in files if file.is_file() and file.name.lower().endswith(TABLES)]
    if len(there) != 1:
        what = f"holds {len(there)} tables: {some(there, 10)}" if there else "holds no table"
        raise InputError(f"the folder {folder} {what}; name the table of people with --samples")
    return there[0]


def _from(folder: Path, path: str) -> str:
    """Return a path as it is to be named in a folder: relative where it lies inside, else absolute."""
    from deepnull_gwas.config import path_from

    return str(path_from(os.path.abspath(path), folder))


def _ask(question: str, answers: list[str], evidence: str) -> str | None:
    """Ask the user, where there is one at a terminal; None where it stays open."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    print(f"\n{evidence}")
    while True:
        try:
            said = input(f"{question} ({' or '.join(answers)}; Enter to leave it open): ").strip()
        except EOFError:
            return None
        if not said:
            return None
        if found := [answer for answer in answers if answer.lower() == said.lower()]:
            return found[0]
        print(f"found '{said}', expected {' or '.join(answers)}")


def _seen(found: Found, samples: Samples) -> Iterator[str]:
    """Yield what was seen."""
    several = f", {len(found.filesets)} files" if len(found.filesets) > 1 else ""
    about = "about " if found.form == "vcf" else ""
    yield (
        f"Genotypes: {found.path} ({found.title}{several}): {len(found.people):,} people, "
        f"{about}{found.variants:,} variants"
    )
    yield from (f"  {note}" for note in found.notes)
    yield (
        f"Samples: {samples.path}: {samples.rows:,} rows; column {samples.sample_id} has the IDs of "
        f"{samples.common:,} of the {len(found.people):,} people with genotypes"
    )
    yield from (f"  {note}" for note in samples.notes)
    yield from (f"  taken for a missing value: {value}, {why}" for value, why in samples.missing.items())
    yield from ([f"  {samples.sex_note}"] if samples.sex_note else [])
    titles = {
        "phenotype": "phenotype",
        "sex": "covariate (sex)",
        "covariate": "covariate",
        "groups": "covariate (groups)",
        "component": "covariate (component)",
        "labels": "colours of a figure",
        "left out": "not used",
    }
    yield "Columns, what is in them, and what is suggested:"
    for use, title in titles.items():
        roles = samples.named(use)
        for role in roles[:SHOWN]:
            yield f"  {role.name}: {title if use != 'phenotype' else _trait(role)}: {role.why} ({role.values})"
        if len(roles) > SHOWN:
            yield f"  and {len(roles) - SHOWN} more: {title} ({some([r.name for r in roles[SHOWN:]], 3)})"


def _trait(role: Role) -> str:
    """Return what kind of phenotype a column is."""
    ranks = ", rank_inverse_normal" if role.transform != "none" else ""
    return f"phenotype, {role.trait or 'open'}{ranks}"


def _left(
    found: Found, samples: Samples, config: Path, sheet: Path, undecided: list[Role], studies: bool
) -> Iterator[str]:
    """Yield what is left to the user, with what was seen, and what comes next."""
    from deepnull_gwas.propose import write

    left = []
    for number, line in enumerate(config.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip().startswith(f"genome_build: {write.OPEN}"):
            left.append(f"{config}, line {number}: genome_build. {write.build_evidence(found)}")
        elif line.strip().startswith(f"bgen_reference: {write.OPEN}"):
            left.append(f"{config}, line {number}: bgen_reference. Seen: {write.allele_evidence(found)}")
        elif write.OPEN in line and not line.lstrip().startswith("#"):
            left.append(f"{config}, line {number}: {line.split(':')[0].strip()}")
    if samples.common < samples.least_common(len(found.people)):
        left.append("; ".join(["too few people are in both genotypes and table", *samples.notes]))
    left += [f"{sheet}: phenotype {role.name}: {role.why} ({role.values})" for role in undecided]
    if not studies and not undecided:
        left.append(f"{sheet}: no column looks like a phenotype; write a row for each study")
    if left:
        yield "To complete before a run:"
        yield from (f"  {plain(text, 600)}" for text in left)
    yield f"Read both files, then: cd {config.parent.parent}; deepnull-gwas check"
