"""A run of the workflow in a folder, from files and with columns whose names a shell would act on; and tables that lie
in results.
"""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from workflow_runs import CONFIG, Run, small_cohort

pytestmark = pytest.mark.workflow

FOLDER = "-a b'\"$(touch pwned)`touch pwned`;touch pwned é {x}"
PREFIX = "-g $(touch pwned)'`touch pwned`;é"
TABLE = "s $(touch pwned);'\"é.tsv"
PHENOTYPE = "$(touch pwned) <script>alert(1)</script> $y^"
COVARIATE = "`touch pwned`;{age}"
GROUP = "site'\"&"
LEVELS = ["$(touch pwned)", "{x}", "<script>alert(2)</script>"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / FOLDER
    folder.mkdir()
    table = small_cohort(folder)
    for extension in ("bed", "bim", "fam"):
        shutil.move(folder / f"g.{extension}", folder / f"{PREFIX}.{extension}")
    bim = pd.read_csv(folder / f"{PREFIX}.bim", sep="\t", header=None)
    bim[1] = [f'<script>alert({i})</script>$(touch${{IFS}}pwned)"{{i}}' for i in range(len(bim))]
    bim.to_csv(folder / f"{PREFIX}.bim", sep="\t", header=False, index=False, quoting=3, quotechar="\0")
    table = table.rename(columns={"y": PHENOTYPE, "age": COVARIATE}).drop(columns=["case"])
    table[GROUP] = np.random.default_rng(3).choice(LEVELS, len(table))
    table.to_csv(folder / TABLE, sep="\t", index=False)
    run = Run(folder, warm=False)
    config = CONFIG | {"cohorts": {"c": {"genotypes": PREFIX, "samples": TABLE, "genome_build": "GRCh38"}}}
    row = {
        "study": "y",
        "cohort": "c",
        "phenotype": PHENOTYPE,
        "trait": "quantitative",
        "covariates": f"{COVARIATE},{GROUP}",
        "categorical_covariates": GROUP,
        "pcs": 0,
    }
    run.configure(config, [row])
    # cells with quotes in them need CSV's form
    pd.DataFrame([row]).to_csv(folder / "studies.tsv", sep="\t", index=False)
    run.snakemake("--cores", "2", "--quiet", "all", "--", "all", "exports")
    return run


def test_the_run_is_right_and_nothing_was_touched(run):
    assert not list(run.folder.rglob("pwned*")) and not list(run.folder.parent.glob("pwned*"))
    found = pd.read_csv(run.results / "c" / "y" / "baseline" / "sumstats.tsv.gz", sep="\t", quoting=3)
    assert found.loc[found["neg_log_10_p_value"].idxmax(), "original_id"].startswith("<script>alert(7)</script>")
    leads = pd.read_csv(run.results / "c" / "y" / "baseline" / "leads.tsv", sep="\t", quoting=3)
    assert found["variant_id"].str.fullmatch("[A-Za-z0-9_]+").all()
    for column in ("variant_id", "original_id"):
        assert set(leads[column]) <= set(found[column])


def test_figures_hold_names_as_text(run):
    figures = list(run.results.rglob("*.svg"))
    assert len(figures) > 4
    for path in figures:
        assert not [e for e in ET.parse(path).iter() if str(e.tag).lower().endswith("script")], path


def test_the_report_holds_no_script_of_the_data(run):
    run.snakemake("--report", "report.html", "--quiet", "all")
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert len(text) > 100_000
    for i in range(3):
        assert f"<script>alert({i})" not in text
    assert not list(run.folder.rglob("pwned*"))


def test_related_pairs_may_lie_in_the_results_of_another_cohort(tmp_path):
    table = small_cohort(tmp_path)
    run = Run(tmp_path)
    other = tmp_path / "results" / "other" / "structure"
    config = CONFIG | {"structure": {"relatives": "results/other/structure/relatives.tsv"}}
    sheet = [{"study": "y", "cohort": "c", "phenotype": "y", "trait": "quantitative", "covariates": "age", "pcs": 0}]
    run.configure(config, sheet)
    done = run.snakemake("-n", check=False)
    assert done.returncode != 0
    assert (
        "config: cohorts.c.structure.relatives: no such file: results/other/structure/relatives.tsv"
        in done.stderr + done.stdout
    )
    assert "KeyError" not in done.stderr + done.stdout
    other.mkdir(parents=True)
    first, second = table["IID"].iloc[:2]
    (other / "relatives.tsv").write_text(f"IID1\tIID2\tKINSHIP\n{first}\t{second}\t0.25\n")
    run.snakemake("--cores", "2", "--quiet", "all", "--", "results/c/structure/relatives.tsv")
    found = pd.read_csv(tmp_path / "results" / "c" / "structure" / "relatives.tsv", sep="\t")
    assert {found["iid_1"][0], found["iid_2"][0]} == {first, second}


@pytest.mark.parametrize("path", ["s{x}.tsv", "s<x>.tsv"])
def test_paths_that_snakemake_would_take_for_patterns_are_named(tmp_path, path):
    small_cohort(tmp_path)
    shutil.copy(tmp_path / "samples.tsv", tmp_path / path)
    run = Run(tmp_path)
    cohort = {"genotypes": "g", "samples": path, "genome_build": "GRCh38"}
    row = {"study": "y", "cohort": "c", "phenotype": "y", "trait": "quantitative", "covariates": "age", "pcs": 0}
    run.configure(CONFIG | {"cohorts": {"c": cohort}}, [row])
    done = run.snakemake("-n", check=False)
    assert done.returncode != 0
    assert (
        f"config: cohorts.c.samples: '{path}' holds {path[1:4]}, which Snakemake takes for" in done.stderr + done.stdout
    )


def test_a_study_that_is_not_in_the_sheet_is_named(tmp_path):
    small_cohort(tmp_path)
    run = Run(tmp_path)
    run.configure(
        CONFIG,
        [{"study": "bmd", "cohort": "c", "phenotype": "y", "trait": "quantitative", "covariates": "age", "pcs": 0}],
    )
    done = run.snakemake("-n", "--", "results/c/bmt/study.json", check=False)
    assert done.returncode != 0
    assert (
        "the studies sheet has no study 'bmt' in cohort 'c', it has: bmd; did you mean 'bmd'?"
        in done.stderr + done.stdout
    )
