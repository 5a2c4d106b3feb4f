"""The plan against what Snakemake would run."""

from __future__ import annotations

import re

import pytest
import yaml

from deepnull_gwas import resources
from deepnull_gwas.config import load_config
from workflow_runs import CONFIG, ROOT, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow


def jobs_of_dry_run(text: str) -> dict[str, int]:
    """Read the table of job counts; the targets are no jobs."""
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, flags=re.M)}
    return {name: count for name, count in counts.items() if name in resources.STEPS}


def test_the_plan_counts_the_jobs_of_the_demo(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    config = load_config(yaml.safe_load((ROOT / "config/config.yaml").read_text()), ROOT)
    planned = {row.rule: row.jobs for row in resources.plan_run(config, ROOT)}
    assert planned == jobs_of_dry_run(Run(tmp_path).snakemake("-n", "--quiet", "rules").stdout)


def test_the_plan_counts_the_jobs_of_a_mixed_run(run: Run):
    """One arm only, two batches, no components, several chunks; and what jobs ask for is what is planned."""
    small_cohort(run.folder)
    sheet = [
        SHEET[0] | {"arms": "baseline"},
        SHEET[1] | {"batch": "late"},
        SHEET[0] | {"study": "y2", "batch": "late", "arms": "deepnull"},
    ]
    config = CONFIG | {"association": {"chunks": 3}}
    run.configure(config, sheet)
    plan = {
        r.rule: r for r in resources.plan_run(load_config(config | {"studies": "studies.tsv"}, run.folder), run.folder)
    }
    said = run.snakemake("-n").stdout
    assert {rule: row.jobs for rule, row in plan.items()} == jobs_of_dry_run(said)
    for rule in ("associate", "index_cohort", "train_folds"):
        asked = [int(mb) for mb in re.findall(rf"rule {rule}:.*?mem_mb=(\d+)", said, flags=re.S)]
        assert max(asked) == plan[rule].mb
