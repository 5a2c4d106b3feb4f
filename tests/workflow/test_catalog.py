"""What the Snakemake workflow catalog asks of a workflow with standardised usage, and what its deployment tool
(snakedeploy) makes of this one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_runs import ROOT

CATALOG = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
RULES = "\n".join(p.read_text() for p in sorted((ROOT / "workflow/rules").glob("*.smk")))


def test_files_lie_where_the_catalog_looks():
    for name in ("README.md", "LICENSE", "config/README.md", "config/config.yaml", "workflow/Snakefile"):
        assert (ROOT / name).stat().st_size > 0, name
    # the catalog shows it as the page on configuration
    assert (ROOT / "config/README.md").read_text().startswith("# Configuration")


def test_the_catalog_is_told_the_truth():
    assert set(CATALOG) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(CATALOG["mandatory-flags"]) == {"desc", "flags"}
    deployment = CATALOG["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda"}
    rules = re.findall(r"^rule \w+:\n(?:(?: .*)?\n)*?(?=^\S|\Z)", RULES, flags=re.M)
    assert len(rules) > 15
    assert deployment["conda"] == all("\n    conda:\n" in rule for rule in rules)
    with_images = "container:" in RULES or "containerized:" in (ROOT / "Snakefile").read_text()
    assert deployment["apptainer"] == deployment["apptainer+conda"] == with_images
    assert CATALOG["report"] == ("report(" in RULES)


def snakemake(folder: Path, *arguments: str) -> str:
    """Run snakemake; returns what it said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE", "PYTHONPATH"))}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "snakemake", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def planned(said: str) -> dict[str, int]:
    """Return the number of jobs of each rule in a dry run."""
    return {name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", said, flags=re.M)}


@pytest.mark.workflow
def test_the_snakefile_of_the_catalog_is_lint_free_and_has_a_default_target():
    """The catalog lints this file, and `snakemake` in a folder without a Snakefile of its own finds it."""
    assert "in a good condition" in snakemake(ROOT, "-s", "workflow/Snakefile", "--lint")
    assert planned(snakemake(ROOT, "-n", "-s", "workflow/Snakefile", "--forceall"))["everything"] == 1


@pytest.mark.workflow
def test_the_example_of_the_catalog_is_planned():
    """`.test/` holds a small run of its own, for whoever tests workflows. The next test runs it."""
    jobs = planned(snakemake(ROOT, "-n", "--cores", "2", "--directory", ".test", "--forceall"))
    assert jobs["all"] == 1 and jobs["merge_sumstats"] == 4 and jobs["simulate_genotypes"] == 1


@pytest.mark.workflow
@pytest.mark.slow
def test_the_example_of_the_catalog_runs(tmp_path):
    shutil.copytree(ROOT / ".test/config", tmp_path / "config")
    snakemake(ROOT, "--cores", "2", "--directory", str(tmp_path))
    assert (tmp_path / "results/status.tsv").read_text().count("\tok\t") == 4


@pytest.mark.workflow
def test_a_deployed_copy_plans_the_demo(tmp_path):
    """snakedeploy copies config/ and writes a Snakefile that declares the workflow as a module under the names of its
    rules.
    """
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/Snakefile").write_text(f"""
configfile: "config/config.yaml"


module deepnull_gwas:
    snakefile:
        "{ROOT}/workflow/Snakefile"
    config:
        config


use rule * from deepnull_gwas
""")
    flags = CATALOG["mandatory-flags"]["flags"].split()
    jobs = planned(snakemake(tmp_path, "-n", "--cores", "2", *flags))
    assert jobs["everything"] == 1 and jobs["simulate_genotypes"] >= 1 and jobs["merge_sumstats"] >= 2
