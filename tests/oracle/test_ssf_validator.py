"""The GWAS Catalog's own validator accepts what is published."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deepnull_gwas.results.sumstats import merge_sumstats
from result_tables import write_results

ROOT = Path(__file__).resolve().parents[2]


def validator() -> str:
    own = ROOT / ".cache/ssf-validator/bin/gwas-ssf"
    found = str(own) if own.exists() else shutil.which("gwas-ssf")
    if found is None:
        reason = "the GWAS Catalog's validator is not installed (make validator)"
        if os.environ.get("REQUIRE_ORACLES"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
@pytest.mark.parametrize("more", [[], ["--infer-from-metadata"]])
def test_validator_accepts_the_file(tmp_path, trait, more):
    program = validator()
    chromosomes = [*map(str, range(1, 23)), "X"]
    study, chunks, _ = write_results(tmp_path, chromosomes, 100, trait=trait)
    out = tmp_path / "sumstats.tsv.gz"
    merge_sumstats(
        chunks,
        "s",
        "baseline",
        study,
        out,
        tmp_path / "sumstats.tsv.gz-meta.yaml",
        tmp_path / "u.gz",
        {"cohort": "c", "genome_build": "GRCh38"},
    )
    done = subprocess.run([program, "validate", str(out), "--min-rows", "1000", *more], capture_output=True, text=True)
    assert "Validation status: True" in done.stdout or "File is valid" in done.stdout, done.stdout + done.stderr
    # and it is no rubber stamp: the same file without one chromosome is refused
    study, chunks, _ = write_results(tmp_path, chromosomes[1:], 100, trait=trait)
    merge_sumstats(
        chunks,
        "s",
        "baseline",
        study,
        out,
        tmp_path / "sumstats.tsv.gz-meta.yaml",
        tmp_path / "u.gz",
        {"cohort": "c", "genome_build": "GRCh38"},
    )
    done = subprocess.run([program, "validate", str(out), "--min-rows", "1000", *more], capture_output=True, text=True)
    assert "Validation status: False" in done.stdout or done.returncode != 0
