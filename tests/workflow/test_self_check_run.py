"""A wrong number planted in the library is caught by the association job itself, by name,
before anything is published.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from workflow_runs import CHUNKS, ROOT, SHEET, copy_of

pytestmark = pytest.mark.workflow

RIGHT = "linear_imputed(products, *dens[key], "
#: A twentieth off, in the study without covariates.
WRONG = (
    'linear_imputed(products, dens[key][0] * (1.05 if self.designs[e.study].study.name == "years" else 1), '
    "dens[key][1], "
)


def test_a_wrong_denominator_of_one_study_stops_the_run(published, tmp_path, tmp_path_factory):
    run = copy_of(published, tmp_path / "run")
    years = {"study": "years", "cohort": "c", "phenotype": "age", "trait": "quantitative", "pcs": 0, "arms": "baseline"}
    run.configure(CHUNKS, [*SHEET, years])
    home = tmp_path_factory.mktemp("planted")
    for name in ("src", "workflow", "resources", "config", "profiles", "envs"):
        # with what numba has compiled
        shutil.copytree(ROOT / name, home / name)
    shutil.copy(ROOT / "Snakefile", home)
    scan = home / "src/deepnull_gwas/association/quantitative.py"
    text = scan.read_text()
    assert text.count(RIGHT) == 1

    def start() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "-s", str(home / "Snakefile"), "--directory", str(run.folder)]
        command += ["--configfile", str(run.folder / "config.yaml"), "--cores", "1", "associations"]
        # where the library is installed, that copy would be taken
        environment = run.environment | {"PYTHONPATH": str(home / "src")}
        return subprocess.run(command, capture_output=True, text=True, cwd=run.folder, env=environment)

    scan.write_text(text.replace(RIGHT, WRONG))
    failed = start()
    said = failed.stdout + failed.stderr
    assert failed.returncode, said[-3000:]
    assert "Self-check failed: the results of this job are wrong, and were not kept" in said, said[-3000:]
    assert "study years, baseline arm: variant v" in said
    assert "beta: found" in said
    assert "study y," not in said
    assert "study case," not in said
    # a job that fails leaves nothing, neither of this run nor of the one before
    assert len(list((run.results / "c/associations/main").glob("?.parquet"))) < 2
    assert not (run.results / "c/years/baseline/sumstats.tsv.gz").exists()
