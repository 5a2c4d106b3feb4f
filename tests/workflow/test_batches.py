"""Batches of studies: what is run again when the sheet changes, what failing studies do to the others, how many jobs
there are.
"""

from __future__ import annotations

import os
import re
import time

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.tables import read_json
from workflow_runs import CHUNKS, CONFIG, SHEET, Run, copy_of, digests, small_cohort

pytestmark = pytest.mark.workflow


def files(run: Run, study: str) -> dict[str, str]:
    """Return a digest of every file that a study published."""
    return digests(run.results / "c" / study)


def planned(run: Run) -> set[tuple[str, str]]:
    """Return rule and study (or batch, or nothing) of every job that would run now."""
    text = run.snakemake("-n").stdout
    jobs = set()
    for name, body in re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", text, flags=re.M):
        wildcards = dict(re.findall(r"(\w+)=([\w-]+)", (re.findall(r"wildcards: (.*)", body) or [""])[0]))
        jobs.add((name, wildcards.get("study") or wildcards.get("batch") or ""))
    return jobs


@pytest.fixture
def run(finished, tmp_path) -> Run:
    """Return a copy of the finished run."""
    return copy_of(finished, tmp_path / "run")


def test_nothing_is_left_to_do(run):
    assert planned(run) == set()
    # the reading of the plan finds jobs where there are any
    (run.results / "c/y/deepnull/sumstats.tsv.gz").unlink()
    assert ("merge_sumstats", "y") in planned(run)


NEW = SHEET[0] | {"study": "young", "include": "age < 60"}


def test_a_study_added_leaves_the_others_as_they_were(run):
    before = {s["study"]: files(run, s["study"]) for s in SHEET}
    run.configure(CHUNKS, [*SHEET, NEW])
    jobs = planned(run)
    assert {study for rule, study in jobs if rule == "train_folds"} == {"young"}
    assert {study for rule, study in jobs if rule == "assemble_study"} == {"young"}
    assert ("associate", "main") in jobs
    # the figures of one study stand for those of the other, which would be drawn again as well
    figures = ("results/c/y/qq.svg", "results/c/y/arms.svg")
    assert {("plot_sumstats", s) for s in before} | {("compare_arms", s) for s in before} <= jobs
    run.snakemake("--cores", "2", "--", "associations", *figures)
    assert {s: files(run, s) for s in before} == before
    assert len(read_sumstats(run.results / "c/young/deepnull/sumstats.tsv.gz")) > 200
    # and taken away again: the pass of its batch is repeated, nothing else changes
    run.configure(CHUNKS, SHEET)
    jobs = planned(run)
    assert ("associate", "main") in jobs
    assert not {rule for rule, _ in jobs} & {"train_folds", "assemble_study"}
    run.snakemake("--cores", "2", "--", "associations")
    assert {s: files(run, s) for s in before} == before


def test_a_study_in_a_batch_of_its_own_touches_nothing_else(run):
    run.configure(CHUNKS, [*SHEET, NEW | {"batch": "later"}])
    per_study = {(rule, study) for rule, study in planned(run) if study}
    assert {study for _, study in per_study} == {"young", "later"}


def test_a_study_edited_reruns_its_own_steps(run):
    before = files(run, "case")
    run.configure(CHUNKS, [SHEET[0] | {"include": "age < 65"}, SHEET[1]])
    jobs = planned(run)
    assert {study for rule, study in jobs if rule in ("train_folds", "assemble_study")} == {"y"}
    run.snakemake("--cores", "2", "--", "associations")
    assert files(run, "case") == before
    assert read_json(run.results / "c/y/study.json")["n"] < 400


def test_studies_that_fail_are_named_and_the_others_finish(run):
    table = pd.read_csv(run.folder / "samples.tsv", sep="\t").sort_values("IID")
    # all cases in the first fold; all cases (thirty, or four) younger than anybody else; values whose squares overflow:
    # the association takes them, training does not
    fold = np.arange(len(table)) % 3
    table["folded"] = ((fold == 0) & (table["y"] > 0)).astype(int)
    table["separated"] = 0
    table.loc[table["age"].nsmallest(30).index, "separated"] = 1
    table["rare"] = 0
    table.loc[table["age"].nsmallest(4).index, "rare"] = 1
    table["huge"] = table["y"] * 1e300
    table.to_csv(run.folder / "samples.tsv", sep="\t", index=False)
    pd.DataFrame({"IID": table["IID"], "fold": fold}).to_csv(run.folder / "folds.tsv", sep="\t", index=False)
    config = CONFIG | {"deepnull": CONFIG["deepnull"] | {"fold_file": "folds.tsv"}}
    good = [SHEET[0], SHEET[1] | {"arms": "baseline"}]
    bad = [
        SHEET[1] | {"study": "folded", "phenotype": "folded"},
        SHEET[1] | {"study": "separated", "phenotype": "separated"},
        SHEET[1] | {"study": "rare", "phenotype": "rare", "arms": "baseline"},
        SHEET[0] | {"study": "huge", "phenotype": "huge"},
    ]
    run.configure(config, [*good, *bad])
    # the exit code; and of the figures that of the batch, and those of studies that fail in both arms and in one
    figures = [f"{study}/{name}" for study in ("separated", "folded") for name in ("qq", "deepnull/deepnull")]
    targets = [f"results/c/{name}.svg" for name in ("associations/main/comparison", *figures)]
    done = run.snakemake("--cores", "2", "--", "results/.status_checked", *targets, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    # at the end, and what failed there only
    screen = done.stderr.index((run.results / "summary.txt").read_text().rstrip())
    assert "Snakemake's log: " in done.stderr[screen:]
    assert "CalledProcessError" not in said and "Traceback" not in said
    status = pd.read_csv(run.results / "status.tsv", sep="\t").set_index(["study", "arm"])
    print(status[["status", "stage", "reason"]].to_string())
    for study, arm in (("y", "baseline"), ("y", "deepnull"), ("case", "baseline")):
        assert status.loc[(study, arm), "status"] == "ok"
        assert len(read_sumstats(run.results / f"c/{study}/{arm}/sumstats.tsv.gz")) > 200
    # only the deepnull arm needs cases in every fold
    assert status.loc[("folded", "baseline"), "status"] == "ok"
    assert status.loc[("folded", "deepnull"), "stage"] == "train_folds"
    huge, plain = (read_sumstats(run.results / f"c/{study}/baseline/sumstats.tsv.gz") for study in ("huge", "y"))
    assert status.loc[("huge", "baseline"), "status"] == "ok"
    np.testing.assert_allclose(huge["neg_log_10_p_value"], plain["neg_log_10_p_value"], rtol=1e-5, atol=1e-5)
    for study, arm, words in (
        ("folded", "deepnull", "no cases"),
        ("separated", "baseline", "separates cases from controls"),
        ("rare", "baseline", "separates cases from controls"),
        ("huge", "deepnull", "too large"),
    ):
        row = status.loc[(study, arm)]
        assert row["status"] == "failed" and words in row["reason"], row
        # a study that fails in both arms alike is one line
        assert f"c/{study} ({arm}" in said
        assert not len(read_sumstats(run.results / f"c/{study}/{arm}/sumstats.tsv.gz"))
    assert not os.path.exists(run.results / ".status_checked")
    assert all((run.folder / target).exists() for target in targets)


@pytest.mark.slow
def test_a_hundred_studies(tmp_path):
    """Three cohorts, both traits, several masks, covariates and batches: few jobs, one of them a study without a
    result, and 99 that are done.
    """
    run = Run(tmp_path)
    cohorts = {}
    for number, name in enumerate("abc"):
        (tmp_path / name).mkdir()
        table = small_cohort(tmp_path / name, swap=name == "b", n=400 + 50 * number, m=500)
        rng = np.random.default_rng(number)
        table["bmi"] = rng.normal(26, 4, len(table)).round(2)
        table["site"] = rng.choice(["north", "south"], len(table))
        table["separated"] = 0
        table.loc[table["age"].nsmallest(30).index, "separated"] = 1
        table.to_csv(tmp_path / name / "samples.tsv", sep="\t", index=False)
        cohorts[name] = {"genotypes": f"{name}/g", "samples": f"{name}/samples.tsv", "genome_build": "GRCh38"}
    masks = ["", "age < 60", "site == 'north'", "age > 45 and bmi < 30"]
    sheet = [
        {
            "study": f"s{i:03d}",
            "cohort": "abc"[i % 3],
            "phenotype": "case" if i % 2 else "y",
            "trait": "binary" if i % 2 else "quantitative",
            "covariates": ["age", "age,bmi", "age,bmi,site"][i % 5 % 3],
            "categorical_covariates": "site" if i % 5 == 2 else "",
            "pcs": (0, 2)[i // 50],
            "include": masks[i % 4],
            "batch": f"b{i // 50}",
        }
        for i in range(100)
    ]
    sheet[41] |= {"phenotype": "separated", "covariates": "age", "include": ""}
    run.configure(CONFIG | {"cohorts": cohorts}, sheet)
    start = time.monotonic()
    plan = run.snakemake("-n", "--quiet", "rules").stdout
    print(f"dry run: {time.monotonic() - start:.1f} s")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", plan, flags=re.M))
    # assembly, training and its figure, two arms' results, their figures, their comparison, regions and their figures,
    # the page of the site
    assert int(counts["total"]) < 100 * 10 + 60, plan
    start = time.monotonic()
    done = run.snakemake("--cores", "2", check=False)
    print(f"run: {time.monotonic() - start:.0f} s")
    print((done.stdout + done.stderr)[-6000:])
    assert done.returncode != 0
    status = pd.read_csv(run.results / "status.tsv", sep="\t")
    assert len(status) == 200
    failed = status[status["status"] != "ok"]
    assert set(failed["study"]) == {"s041"} and failed["reason"].str.contains("separates cases from controls").all()
    assert (status.loc[status["status"] == "ok", "variants"] > 200).all()
    assert planned(run) <= {("check_status", ""), ("record_run", ""), ("all", "")}
