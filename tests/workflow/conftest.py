"""Runs of the workflow in folders of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Run:
    """A folder in which the workflow runs with a config of its own."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def configure(self, config: dict, sheet: list[dict]) -> None:
        """Write config and studies sheet."""
        columns = list(dict.fromkeys(key for row in sheet for key in row))
        lines = ["\t".join(columns)] + ["\t".join(str(row.get(c, "")) for c in columns) for row in sheet]
        (self.folder / "studies.tsv").write_text("\n".join(lines) + "\n")
        (self.folder / "config.yaml").write_text(yaml.safe_dump({"studies": "studies.tsv"} | config, sort_keys=False))

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run snakemake; returns its exit code and what it printed."""
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(self.folder)]
        if (self.folder / "config.yaml").exists():
            command += ["--configfile", str(self.folder / "config.yaml")]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, cwd=self.folder)
        if check and done.returncode:
            raise AssertionError(f"snakemake failed ({done.returncode}):\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done


@pytest.fixture
def run(tmp_path) -> Run:
    """Give a fresh folder to run in."""
    return Run(tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Run:
    """Run the demo once for all tests that look at its results."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "config").symlink_to(ROOT / "config")
    done = Run(folder)
    done.snakemake("--cores", "2")
    return done
