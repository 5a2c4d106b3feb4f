"""`snakemake verify`: what was published is recomputed, and one changed number is found."""

from __future__ import annotations

import gzip
import hashlib
import re

import pandas as pd
import pysam
import pytest

from workflow_runs import CONFIG, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow


def publish(path, text: str, tell: bool) -> None:
    """Write summary statistics as the workflow does; ``tell``: with a checksum that fits, as somebody would who means to deceive."""
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(text.encode())
    pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=1, line_skip=1, force=True, keep_original=True)
    if tell:
        meta = path.with_name("sumstats.tsv.gz-meta.yaml")
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        meta.write_text(re.sub(r"data_file_md5sum: \w+", f"data_file_md5sum: {digest}", meta.read_text()))


def test_verify_passes_what_is_right_and_names_what_was_changed(run: Run):
    small_cohort(run.folder)
    # all variants, so that the one that is changed is among them
    run.configure(CONFIG | {"verify": {"variants": 300, "blocks": 1}}, SHEET)
    run.snakemake("--cores", "2", "verify")
    table = pd.read_csv(run.results / "c/associations/main/verified.tsv", sep="\t")
    assert len(table) == 4
    assert (table["state"] == "ok").all()
    assert (table[["variants, second implementation", "variants, double precision"]] > 250).all().all()

    path = run.results / "c/y/deepnull/sumstats.tsv.gz"
    right = gzip.decompress(path.read_bytes()).decode()
    lines = right.splitlines()
    at = next(i for i, line in enumerate(lines) if "\tv7\t" in line)
    fields = lines[at].split("\t")
    beta = fields[4]
    # by a hundredth: nothing that anybody would see
    fields[4] = f"{float(beta) * 1.01:.7g}"
    wrong = "\n".join([*lines[:at], "\t".join(fields), *lines[at + 1 :]]) + "\n"

    publish(path, wrong, tell=True)
    failed = run.snakemake("--cores", "1", "verify", check=False)
    said = failed.stdout + failed.stderr
    assert failed.returncode
    assert re.search(
        rf"results/c/y/deepnull/sumstats\.tsv\.gz: variant v7 \(1:700001, G/A\): beta: found {re.escape(fields[4])}, expected {beta[:5]}",
        said,
    ), said[-3000:]
    # one thing was changed: it is found by both ways of looking, and nothing else is
    assert "2 problems in the input" in said

    # right numbers, but not the file that was made: the checksum tells
    publish(path, right, tell=True)
    meta = path.with_name("sumstats.tsv.gz-meta.yaml")
    meta.write_text(re.sub(r"data_file_md5sum: \w+", f"data_file_md5sum: {'0' * 32}", meta.read_text()))
    failed = run.snakemake("--cores", "1", "verify", check=False)
    assert failed.returncode
    assert "its MD5 checksum is" in failed.stdout + failed.stderr
    assert "1 problem in the input" in failed.stdout + failed.stderr
