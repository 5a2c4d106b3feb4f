"""Compare the memory and time that the workflow requests with what its steps take, on simulated cohorts.

    python benchmarks/resources.py --cores 2 --json benchmarks/output/resources.json

Runs the whole workflow on each cohort (about half an hour on two idle cores) and reads what each
job wrote at the end of its log: the system's mark of its largest resident memory, and its time. Snakemake's benchmark
files look at a job every few seconds only, and miss short peaks.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from deepnull_gwas import resources
from deepnull_gwas.config import read_config
from deepnull_gwas.logs import SNAKEMAKE_MB
from deepnull_gwas.tables import write_json

ROOT = Path(__file__).resolve().parents[1]
#: name: people, variants, studies (the last of several is binary), chromosomes
CASES = {
    "2k": (2_000, 20_000, 2, 2),
    "10k": (10_000, 50_000, 3, 4),
    "many_variants": (2_000, 600_000, 2, 22),
    "many_studies": (10_000, 20_000, 20, 2),
    "50k": (50_000, 50_000, 2, 10),
    "200k": (200_000, 10_000, 6, 10),
    "whole_genome": (10_000, 22_000, 4, 22),
}
#: Those whose studies have the model of this name.
OF_MODEL = ("whole_genome",)
TOOK = re.compile(r"INFO took (.+?)(?: \((.+?) of processor time\))?, ([\d,]+) MB of memory at most")
FILES = {"config": "config.yaml", "studies": "studies.tsv"}
UNITS = {"s": 1, "min": 60, "h": 3600}


def seconds(text: str) -> float:
    """Read a length of time as logs have it."""
    value, unit = text.split()
    return float(value) * UNITS[unit]


def prepare(folder: Path, people: int, variants: int, studies: int, chromosomes: int, model: str = "linear") -> None:
    """Write config and studies of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    phenotypes: dict[str, Any] = {
        f"q{i}": {"trait": "quantitative", "covariate_effects": "nonlinear"} for i in range(studies - 1)
    }
    phenotypes["b"] = {"trait": "binary", "covariate_effects": "nonlinear"}
    simulate = {
        "people": people,
        "variants": variants,
        "chromosomes": list(range(1, chromosomes + 1)),
        "phenotypes": phenotypes,
    }
    config = {
        "studies": "studies.tsv",
        "cohorts": {"c": {"genome_build": "GRCh38", "simulate": simulate}},
        "qc": {"preset": "array", "heterozygosity_f": 0.3, "heterozygosity_sd": 0},
        "association": {"chunks": 2},
    }
    if model != "linear":
        config["association"] |= {"model": model}
    if studies > 5 or model != "linear":
        config["deepnull"] = {"model": "linear", "compare": False}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    rows = [
        f"{name}\tc\t{name}\t{about['trait']}\tage,sex,bmi,smoking,site\tsite" for name, about in phenotypes.items()
    ]
    head = "study\tcohort\tphenotype\ttrait\tcovariates\tcategorical_covariates"
    (folder / "studies.tsv").write_text("\n".join([head, *rows]) + "\n")


def measure(folder: Path) -> list[dict[str, Any]]:
    """Read what the largest job of each rule took from the logs."""
    rules: dict[str, dict[str, Any]] = {}
    # the last of several runs of a job is the one whose log is there
    for log in sorted((folder / "logs").rglob("*.log")):
        took = TOOK.search(log.read_text(encoding="utf-8"))
        if took is None:
            continue
        rule = log.relative_to(folder / "logs").parts[0].removesuffix(".log")
        row = rules.setdefault(rule, {"rule": rule, "jobs": 0, "peak_mb": 0, "seconds": 0.0, "cpu_seconds": 0.0})
        row["jobs"] += 1
        row["seconds"] = max(row["seconds"], seconds(took[1]))
        row["cpu_seconds"] = max(row["cpu_seconds"], seconds(took[2] or "0 s"))
        row["peak_mb"] = max(row["peak_mb"], int(took[3].replace(",", "")))
    return [rules[rule] for rule in resources.STEPS if rule in rules]


def expected(folder: Path, rule: str) -> resources.Estimate:
    """Estimate what the largest job of a rule needs."""
    config = read_config("config.yaml", folder)
    needs = [resources.estimate(rule, config, wildcards, folder) for wildcards, _ in resources.jobs_of(rule, config)]
    return resources.Estimate(max(n.mb for n in needs), max(n.seconds for n in needs))


def table(given: Path, measured: dict[str, list[dict[str, Any]]]) -> str:
    """Write the measurements as a table for people."""
    lines = ["| cohort | step | jobs | peak, MB | estimate, MB | ratio | time, s | estimate, s |"]
    lines += ["|---|---|--:|--:|--:|--:|--:|--:|"]
    for case, rows in measured.items():
        people, variants, studies, _ = CASES[case]
        for row in rows:
            need = expected(given / case, row["rule"])
            asked = resources.memory_mb(need) - SNAKEMAKE_MB
            lines.append(
                f"| {people:,} x {variants:,}, {studies} studies | {row['rule']} | {row['jobs']} "
                f"| {row['peak_mb']:,} | {asked:,} "
                f"| {asked / row['peak_mb']:.2f} | {row['seconds']:.0f} | {need.seconds:.0f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help="which, separated by commas")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/output/resources"), help="where the runs go")
    parser.add_argument("--json", type=Path, help="write the measurements")
    parser.add_argument("--read", action="store_true", help="run nothing: read the logs of the last runs")
    given = parser.parse_args()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    measured = {}
    for case in given.cases.split(","):
        folder = (given.folder / case).absolute()
        if not given.read:
            prepare(folder, *CASES[case], model=case if case in OF_MODEL else "linear")
            command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
            command += ["--configfile", str(folder / "config.yaml"), "--cores", str(given.cores), "--quiet", "all"]
            subprocess.run(command, check=True, env=environment, cwd=folder)
        measured[case] = measure(folder)
    print(table(given.folder, measured))
    if given.json:
        write_json(
            {
                case: {
                    **{name: (given.folder / case / file).read_text() for name, file in FILES.items()},
                    "rules": rows,
                }
                for case, rows in measured.items()
            },
            given.json,
        )


if __name__ == "__main__":
    main()
