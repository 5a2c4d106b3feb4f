"""The command `check`: configuration, studies and files against each other, before anything is computed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from deepnull_gwas.cli.workflow import add_place, place_of_config, results_of, snakemake_command, wait_for

CHECK = """\
Check configuration, studies, sample tables and genotype files against each other, and say who would be analysed, who
is out and why. Nothing is computed but lists of people and variants, which a run then uses. Everything that is wrong
comes in one message.
"""
#: The steps that check.
STEPS = ("index_cohort", "screen_cohort", "preflight_cohort")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `check`."""
    check = commands.add_parser(
        "check",
        help="check configuration and data against each other, and say who would be analysed",
        description=CHECK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place(check)
    check.add_argument("--cores", default="all", metavar="N", help="cores to use (default all)")


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> int:
    """Run `deepnull-gwas check`."""
    from deepnull_gwas.config import read_config, read_given
    from deepnull_gwas.packages import check_packages

    place = place_of_config(given)
    config = read_config(place, given.directory)
    raw, _ = read_given(place, given.directory)
    code, printed = wait_for(
        snakemake_command(given, "--cores", given.cores, "--quiet", "progress", "rules", "--", "preflight"), quiet=True
    )
    if code:
        print("\n\n".join(problems_in(printed)) or printed)
        return code
    results = results_of(raw, given.directory)
    logs = Path(given.directory, (raw.get("pathvars") or {}).get("logs") or "logs")
    for name in config.cohorts:
        print("\n".join(about_cohort(name, results, logs)))
    check_packages(config)
    print("Sound. Next: deepnull-gwas plan (memory and time), deepnull-gwas run")
    return 0


def problems_in(printed: str) -> list[str]:
    """Return the messages for the user in what Snakemake printed, without what Snakemake says of them.

    Examples
    --------
    >>> problems_in("Execute 1 jobs...\\n\\nInput error: 1 problem:\\n  1. no\\nRuleException:\\nCalledProcessError")
    ['Input error: 1 problem:\\n  1. no']
    """
    found = re.findall(r"^(Input error: .*?)(?=^RuleException|^\[|^Exiting|\Z)", printed, flags=re.M | re.S)
    return list(dict.fromkeys(message.strip() for message in found))


def about_cohort(name: str, results: Path, logs: Path) -> Iterator[str]:
    """Yield lines about a cohort that was checked: its people, its studies, and what is odd."""
    import csv

    with open(results / name / "preflight.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    yield (
        f"cohort {name}: {int(rows[0]['people_in_genotypes']):,} people with genotypes, "
        f"{int(rows[0]['people_in_sample_table']):,} of them in the sample table"
    )
    for row in rows:
        kinds = "" if row["cases"] == "NA" else f" ({int(row['cases']):,} cases, {int(row['controls']):,} controls)"
        yield (
            f"  study {row['study']}: {row['phenotype']}, {row['trait']}; {int(row['with_all_covariates']):,} people"
            f"{kinds} before quality control"
        )
        yield from (f"    out: {text}" for text in row["out"].split("; ") if text)
        yield from (f"    warning: {text}" for text in row["warnings"].split("; ") if text)
    for step in STEPS[:2]:
        log = logs / step / f"{name}.log"
        for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
            if " WARNING " in line:
                yield f"  warning: {line.split(' WARNING ', 1)[1]}"
    yield f"  who is out and why: {results / name / 'preflight.tsv'}"
    yield f"  alleles and frequencies to compare with dbSNP: {results / name / 'preflight_alleles.tsv'}"
