"""Runs of the workflow in folders of their own, on a small cohort with one planted effect."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import yaml

from deepnull_gwas.genotypes.bed import write_bed
from warm import python

ROOT = Path(__file__).resolve().parents[1]
#: Results that are about one run, not about its analysis: times, host, folder.
OF_ONE_RUN = ("provenance.json", "provenance.html", ".checksums.json", "run.js", "site.zip")


@dataclass
class Run:
    """A folder in which the workflow runs with a config of its own, and the checkout that is run."""

    folder: Path
    checkout: Path = ROOT
    #: Whether its processes are forks of one that has imported everything, see :mod:`warm`; not where a test is about
    #: processes.
    warm: bool = True

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def environment(self) -> dict[str, str]:
        """What snakemake is started with: nothing of pytest, nor of a snakemake around it."""
        return {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}

    def configure(self, config: dict, sheet: list[dict]) -> None:
        """Write config and studies sheet."""
        columns = list(dict.fromkeys(key for row in sheet for key in row))
        lines = ["\t".join(columns)] + ["\t".join(str(row.get(c, "")) for c in columns) for row in sheet]
        (self.folder / "studies.tsv").write_text("\n".join(lines) + "\n")
        (self.folder / "config.yaml").write_text(yaml.safe_dump({"studies": "studies.tsv"} | config, sort_keys=False))

    @contextlib.contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start snakemake, and do not wait for it; when the block ends, neither it nor a job of it is left over."""
        warm = self.warm and self.checkout == ROOT and not os.environ.get("DEEPNULL_GWAS_COLD")
        command = [
            python() if warm else sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(self.checkout / "Snakefile"),
            "--directory",
            str(self.folder),
        ]
        if (self.folder / "config.yaml").exists():
            command += ["--configfile", str(self.folder / "config.yaml")]
        # a process group of its own, with its jobs
        with subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.folder,
            process_group=0,
        ) as main:
            try:
                yield main
            finally:
                # nobody may be left in it
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(main.pid, signal.SIGKILL)

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run snakemake; returns its exit code and what it printed."""
        with self.started(*arguments) as main:
            out, err = main.communicate()
        if check and main.returncode:
            raise AssertionError(f"snakemake failed ({main.returncode}):\n{out[-3000:]}\n{err[-6000:]}")
        return subprocess.CompletedProcess(main.args, main.returncode, out, err)


def digests(results: Path) -> dict[str, str]:
    """Return a digest of every file of a run's results that is about the analysis."""
    return {
        str(p.relative_to(results)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(results.rglob("*"))
        if p.is_file() and not p.name.endswith(".damaged") and p.name not in OF_ONE_RUN
    }


def copy_of(run: Run, folder: Path, warm: bool = True) -> Run:
    """Copy a run to a folder; nothing is computed again there."""
    shutil.copytree(run.folder, folder, symlinks=True)
    return Run(folder, run.checkout, warm)


def publish(path: Path, text: str, tell: bool) -> None:
    """Write summary statistics as the workflow does; ``tell``: with a checksum that fits, as somebody would who means
    to deceive.
    """
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(text.encode())
    pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=1, line_skip=1, force=True, keep_original=True)
    if tell:
        meta = path.with_name("sumstats.tsv.gz-meta.yaml")
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        meta.write_text(re.sub(r"data_file_md5sum: \w+", f"data_file_md5sum: {digest}", meta.read_text()))


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder that is made by the first process that asks for it; others wait for that one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made := folder.with_suffix(".made")).exists():
            # what a failed attempt has left
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def small_cohort(folder: Path, swap: bool = False, n: int = 400, m: int = 300) -> pd.DataFrame:
    """Write a small cohort with one planted effect of the allele G at v7 on y and on case."""
    rng = np.random.default_rng(11)
    copies = rng.binomial(2, rng.uniform(0.1, 0.5, m)[:, None], (m, n)).astype(np.int8)
    a1, a2 = ("A", "G") if swap else ("G", "A")
    bim = pd.DataFrame(
        {"c": 1, "id": [f"v{i}" for i in range(m)], "cm": 0, "p": np.arange(m) * 100_000 + 1, "a1": a1, "a2": a2}
    )
    ids = [f"p{i:03d}" for i in range(n)]
    write_bed(
        folder / "g",
        2 - copies if swap else copies,
        bim,
        pd.DataFrame({"f": ids, "i": ids, "x": 0, "y": 0, "s": rng.integers(1, 3, n), "ph": -9}),
    )
    age = rng.uniform(40, 70, n).round(2)
    liability = 0.9 * copies[7] + 0.03 * (age - 55) + rng.logistic(size=n)
    table = pd.DataFrame(
        {"FID": ids, "IID": ids, "age": age, "y": liability.round(5), "case": (liability > 0.5).astype(int)}
    )
    table.sample(frac=1, random_state=1).to_csv(folder / "samples.tsv", sep="\t", index=False)
    return table


CONFIG = {
    "cohorts": {"c": {"genotypes": "g", "samples": "samples.tsv", "genome_build": "GRCh38"}},
    # as PLINK 2 with no-firth does it, and on the same people
    "association": {"chunks": 1, "refine_below": 1, "firth": "never"},
    "structure": {"relatives": "keep"},
    # without torch, whose import alone takes seconds
    "deepnull": {"folds": 3, "model": "splines", "compare": False},
}
#: Of the runs that the tests share: two chunks.
CHUNKS = CONFIG | {"association": CONFIG["association"] | {"chunks": 2}}
SHEET = [
    {"study": "y", "cohort": "c", "phenotype": "y", "trait": "quantitative", "covariates": "age", "pcs": 0},
    {"study": "case", "cohort": "c", "phenotype": "case", "trait": "binary", "covariates": "age", "pcs": 0},
]
