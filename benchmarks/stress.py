"""Run the whole workflow on cohorts that are extreme in one way each, and compare every step with its estimate.

    python benchmarks/stress.py --cores 2 --json docs/stress.json

``long``: 60 people x 5 million variants, every tenth of them an insertion or deletion of 300 bases, and some IDs with
quotes. ``wide``: 300,000 people x 1,000 variants. ``--share .1`` makes them a tenth as large; ``--light`` fits linear
models only and reads the related pairs from a table (the networks and the kinship of 300,000 people take an hour each
on two cores).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from resources import FILES, ROOT, expected, measure

from deepnull_gwas import resources
from deepnull_gwas.config import read_config
from deepnull_gwas.genotypes.bed_files import MAGIC
from deepnull_gwas.logs import SNAKEMAKE_MB
from deepnull_gwas.tables import write_json

#: name: people, variants, share of variants that are 300 bases long, chunks, components, what is made smaller by
#: --share
CASES: dict[str, tuple[int, int, float, int, int, str]] = {
    "long": (60, 5_000_000, 0.1, 10, 2, "variants"),
    "wide": (300_000, 1_000, 0.0, 1, 10, "people"),
}
#: Variants in a row that are copies of one with some noise, so that pruning leaves one of them.
BLOCK = 5
STUDIES = {"q": "quantitative", "b": "binary"}


def write_genotypes(folder: Path, people: int, variants: int, long_share: float) -> None:
    """Write a fileset: blocks of variants in LD, frequencies from .05 to .5, one in a hundred calls missing."""
    rng = np.random.default_rng(1)
    code = np.array([3, 2, 0], dtype=np.uint8)
    width = (people + 3) // 4
    with open(folder / "g.bed", "wb") as bed:
        bed.write(MAGIC + b"\x01")
        step = max(BLOCK, min(100_000, 40_000_000 // people) // BLOCK * BLOCK)
        for first in range(0, variants, step):
            m = min(step, variants - first)
            blocks = -(-m // BLOCK)
            p = rng.uniform(0.05, 0.5, (blocks, 1)).astype(np.float32)
            lead = (rng.random((blocks, people), dtype=np.float32) < p).astype(np.int8)
            lead += rng.random((blocks, people), dtype=np.float32) < p
            lanes = np.zeros((m, width * 4), dtype=np.uint8)
            for k in range(BLOCK):
                rows = slice(k, m, BLOCK)
                g = code[lead[: len(range(k, m, BLOCK))]]
                g[rng.random(g.shape, dtype=np.float32) < 0.01] = 1
                lanes[rows, :people] = g
            lanes = lanes.reshape(m, width, 4)
            bed.write((lanes[..., 0] | lanes[..., 1] << 2 | lanes[..., 2] << 4 | lanes[..., 3] << 6).tobytes())
    sequence = "".join(np.array(list("ACGT"))[rng.integers(0, 4, 1_000_000)])
    start = rng.integers(0, len(sequence) - 300, variants)
    is_long = rng.random(variants) < long_share
    per = -(-variants // 22)
    with open(folder / "g.bim", "w", encoding="ascii") as bim:
        for i in range(variants):
            chromosome, at = i // per + 1, (i % per + 1) * (200_000_000 // per)
            first = sequence[start[i] : start[i] + 300] if is_long[i] else "A"
            # a quote is a letter
            mark = '"' if long_share and i % 100_000 == 0 else ""
            bim.write(f"{chromosome}\tv{i}{mark}\t0\t{at}\t{first}\t{'G' if first == 'A' else first[0]}\n")


def write_people(folder: Path, people: int) -> None:
    """Write the .fam and a sample table with two phenotypes that depend on age."""
    rng = np.random.default_rng(2)
    ids = [f"p{i:07d}" for i in range(people)]
    sex = rng.integers(1, 3, people)
    fam = pd.DataFrame({"f": ids, "i": ids, "pa": 0, "ma": 0, "s": sex, "p": -9})
    fam.to_csv(folder / "g.fam", sep="\t", header=False, index=False)
    age, bmi = rng.uniform(40, 70, people).round(1), rng.normal(27, 4, people).round(2)
    noise = rng.normal(size=people)
    curve = (age - 55) ** 2 / 100
    table = pd.DataFrame({"IID": ids, "sex": sex, "age": age, "bmi": bmi, "q": (curve + noise).round(4)})
    table["b"] = (curve + noise > np.quantile(curve + noise, 0.7)).astype(int)
    table.to_csv(folder / "samples.tsv", sep="\t", index=False)


def prepare(folder: Path, case: str, share: float, light: bool) -> None:
    """Write the files of a case."""
    people, variants, long_share, chunks, pcs, scaled = CASES[case]
    people, variants = (
        round(x * share) if name == scaled else x for name, x in (("people", people), ("variants", variants))
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, chunks, pcs, light)
    write_genotypes(folder, people, variants, long_share)
    write_people(folder, people)


def write_config(folder: Path, chunks: int, pcs: int, light: bool) -> None:
    """Write the configuration and the studies: a quantitative and a binary one."""
    config: dict[str, Any] = {
        "studies": "studies.tsv",
        "cohorts": {"c": {"genotypes": "g", "samples": "samples.tsv", "genome_build": "GRCh38"}},
        "qc": {"preset": "array", "heterozygosity_f": 0, "heterozygosity_sd": 0, "duplicate_variants": "exclude"},
        "structure": {"pcs": pcs},
        "association": {"chunks": chunks},
    }
    if light:
        config["deepnull"] = {"model": "linear", "compare": False}
        config["structure"]["relatives"] = "pairs.tsv"
        (folder / "pairs.tsv").write_text("IID1\tIID2\tKINSHIP\np0000000\tp0000001\t0.25\n")
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    rows = [
        "study\tcohort\tphenotype\ttrait\tcovariates",
        *(f"{s}\tc\t{s}\t{t}\tage,sex,bmi" for s, t in STUDIES.items()),
    ]
    (folder / "studies.tsv").write_text("\n".join(rows) + "\n")


def table(given: Path, measured: dict[str, list[dict[str, Any]]]) -> str:
    """Write the measurements as a table for people."""
    lines = [
        "| cohort | step | jobs | peak, MB | estimate, MB | ratio | time, s | processor, s | estimate, s | ratio |"
    ]
    lines += ["|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for case, rows in measured.items():
        for row in rows:
            need = expected(given / case, row["rule"])
            asked = resources.memory_mb(need) - SNAKEMAKE_MB
            lines.append(
                f"| {case} | {row['rule']} | {row['jobs']} | {row['peak_mb']:,} | {asked:,} "
                f"| {asked / row['peak_mb']:.2f} "
                f"| {row['seconds']:.0f} | {row['cpu_seconds']:.0f} | {need.seconds:.0f} "
                f"| {need.seconds / max(row['cpu_seconds'], 1):.2f} |"
            )
    return "\n".join(lines)


def plan(folder: Path, people: int, variants: int) -> str:
    """Write what a run is expected to need as a table, from headers alone: a sparse .bed, as long as it would be."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "g.bed", "wb") as bed:
        bed.truncate(3 + (people + 3) // 4 * variants)
    (folder / "g.bim").write_text("1\tv\t0\t1\tA\tG\n")
    (folder / "g.fam").write_text("".join(f"p{i} p{i} 0 0 1 -9\n" for i in range(people)))
    with open(folder / "samples.tsv", "wb") as table:
        table.truncate(40 * people)
    write_config(folder, 100, 10, False)
    config = read_config("config.yaml", folder)
    lines = ["| rule | jobs | memory of a job, GB | time of a job, h | core-hours |", "|---|--:|--:|--:|--:|"]
    rows = resources.plan_run(config, folder)
    lines += [
        f"| {r.rule} | {r.jobs} | {r.mb / 1e3:.1f} | {r.seconds / 3600:.2f} | {r.core_seconds / 3600:.1f} |"
        for r in rows
    ]
    lines.append(
        f"| all | {sum(r.jobs for r in rows)} | {max(r.mb for r in rows) / 1e3:.1f} | "
        f"| {sum(r.core_seconds for r in rows) / 3600:.0f} |"
    )
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help="which, separated by commas")
    parser.add_argument("--share", type=float, default=1.0, help="of the variants (long) or people (wide)")
    parser.add_argument("--light", action="store_true", help="linear models only, no kinship")
    parser.add_argument(
        "--targets", default="all", help="what is made, separated by commas: rules, or files under results/c"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/output/stress"), help="where the runs go")
    parser.add_argument("--json", type=Path, help="write the measurements")
    parser.add_argument("--read", action="store_true", help="run nothing: read the logs of the last runs")
    parser.add_argument(
        "--plan", metavar="PEOPLExVARIANTS", help="run nothing: print what a cohort of this size is expected to need"
    )
    given = parser.parse_args()
    if given.plan:
        print(plan(given.folder / "plan", *(int(n) for n in given.plan.split("x"))))
        return
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    measured = {}
    for case in given.cases.split(","):
        folder = (given.folder / case).absolute()
        if not given.read:
            if not (folder / "samples.tsv").exists():
                prepare(folder, case, given.share, given.light)
            command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
            command += [
                "--configfile",
                str(folder / "config.yaml"),
                "--cores",
                str(given.cores),
                "--quiet",
                "all",
                "--",
                *given.targets.split(","),
            ]
            subprocess.run(command, check=True, env=environment, cwd=folder)
        measured[case] = measure(folder)
    print(table(given.folder, measured))
    if given.json:
        # runs of other sizes stay
        kept = json.loads(given.json.read_text()) if given.json.exists() else {}
        for case, rows in measured.items():
            folder = given.folder / case
            size = resources.cohort_size(read_config("config.yaml", folder).cohorts["c"], folder)
            texts = {name: (folder / file).read_text() for name, file in FILES.items()}
            kept[f"{size.people}x{size.variants}"] = {**texts, "size": dataclasses.asdict(size), "rules": rows}
        write_json(kept, given.json)


if __name__ == "__main__":
    main()
