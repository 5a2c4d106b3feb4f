"""Phenotypes predicted through the workflow:
a trained score, weights from a file, a covariate of the prediction alone.
"""

from __future__ import annotations

import pandas as pd
import pytest

from deepnull_gwas.tables import read_json, read_parquet
from workflow_runs import CONFIG, SHEET, Run, small_cohort

pytestmark = pytest.mark.workflow


def test_phenotypes_are_predicted_where_switched_on(run: Run):
    table = small_cohort(run.folder)
    table["centre"] = [("north", "south")[i % 2] for i in range(len(table))]
    table.loc[4, "centre"] = None
    table.to_csv(run.folder / "samples.tsv", sep="\t", index=False)
    (run.folder / "w.txt").write_text(
        "#genome_build=GRCh38\n"
        "chr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\n"
        "1\t700001\tG\tA\t0.9\n"
    )
    sheet = [row | {"deepnull_covariates": "age,centre", "categorical_covariates": "centre"} for row in SHEET]
    sheet[1] |= {"score_file": "w.txt"}
    run.configure(CONFIG | {"scores": {"method": "clump", "resamples": 100}}, sheet)
    run.snakemake("--cores", "2", "scores")
    folder = run.results / "c"
    assert (folder / "scores.svg").read_text().startswith("<?xml")
    assert set(pd.read_csv(folder / "scores.tsv", sep="\t")["score"]) == {"clump", "file"}
    trained, given = (read_json(folder / s / "scores/accuracy.json") for s in ("y", "case"))
    # the person without a centre is in neither arm
    assert trained["n"] == given["n"] == 399
    assert list(read_parquet(folder / "y/samples.parquet").columns[-2:]) == ["cov_age", "deepnull_centre[south]"]
    assert trained["score"]["method"] == "clump"
    assert trained["measures"]["r2"]["differences"]["linear_score - linear"]["estimate"] > 0
    assert given["score"]["method"] == "file"
    assert given["score"]["rows"]["matched"] == 1
    assert given["measures"]["auc"]["differences"]["linear_score - linear"]["estimate"] > 0
    rows = pd.read_csv(folder / "y/scores/accuracy.tsv", sep="\t")
    assert set(rows["model"]) >= {"linear", "deepnull", "linear_score", "deepnull_score"}
    again = run.snakemake("-n", "scores")
    assert "Nothing to be done" in again.stdout + again.stderr
    # part of the report when switched on, and of nothing when not
    planned = run.snakemake("-n", "report").stdout
    assert "score_study" not in planned  # done already
    other = run.snakemake("-n", "report", "--forcerun", "plot_scores").stdout
    assert "plot_scores" in other
    assert "plot_scores" in run.snakemake("-n", "phenotype_prediction", "--forceall").stdout
    run.configure(CONFIG, SHEET)
    assert "plot_scores" not in run.snakemake("-n", "report", "--forceall").stdout


def test_a_file_of_weights_for_another_build_stops_with_its_reason(run: Run):
    small_cohort(run.folder)
    (run.folder / "w.txt").write_text("rsID\teffect_allele\teffect_weight\nrs1\tA\t1\nrs2\tC\t1\n")
    run.configure(CONFIG | {"scores": {"method": "file"}}, [SHEET[0] | {"score_file": "w.txt"}])
    failed = run.snakemake("--cores", "2", "scores", check=False)
    assert failed.returncode != 0
    log = (run.folder / "logs/score_study/c/y.log").read_text()
    assert "w.txt: only 0 of 2 weights (0.0 %)" in log
    assert "Traceback" not in log
