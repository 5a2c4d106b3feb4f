"""The report and the last words of a run."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from workflow_runs import CONFIG, ROOT, Run, small_cohort

pytestmark = pytest.mark.workflow


def test_cohorts_named_like_categories_give_no_warning(run: Run):
    """Snakemake writes the names of categories into every caption: its own (Workflow), and names that differ in
    capitals only.
    """
    small_cohort(run.folder)
    names = ("workflow", "Workflow")
    sheet = [
        {"study": "y_", "cohort": name, "phenotype": "y", "trait": "quantitative", "covariates": "age", "pcs": 0}
        for name in names
    ]
    run.configure(CONFIG | {"cohorts": dict.fromkeys(names, CONFIG["cohorts"]["c"])}, sheet)
    done = run.snakemake("--cores", "2", "--quiet", "all", "--", "qc")
    # what this run was asked for leaves no summary of studies
    assert "\nSummary statistics of 0 of 4 analyses (2 studies) are in " in done.stderr
    told = run.snakemake("--report", "report.html", "--quiet", "all", "--", "qc")
    assert "WARNING" not in told.stdout + told.stderr
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "System Message" not in page and "system-message" not in page
    for number, name in enumerate(names, 1):
        assert f'"cohort {name} ({number})": {{"quality control": [' in page


def test_the_demo_ends_with_the_run_and_nothing_after_it(tmp_path):
    """What `make demo` does last, with a stand-in for snakemake."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "scripts").mkdir()
    for name in ("requirements.lock", "pyproject.toml", "scripts/setup.sh"):
        (tmp_path / name).touch()
    commands = tmp_path / ".venv/bin"
    commands.mkdir(parents=True)
    stand_in = commands / "snakemake"
    stand_in.write_text('#!/bin/sh\necho "$@"; echo "Open in a browser: results/site/index.html"\n')
    stand_in.chmod(0o755)
    (tmp_path / ".venv/.ready").touch()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(
        ["make", "demo", "CORES=2"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert done[-2:] == ["--cores 2", "Open in a browser: results/site/index.html"]
