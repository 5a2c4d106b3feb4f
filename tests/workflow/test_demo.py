"""The demo, end to end: what a new user runs first."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.results.calibration import chi2_of_neg_log10_p
from deepnull_gwas.results.regions import read_regions
from deepnull_gwas.results.sumstats import read_sumstats
from deepnull_gwas.tables import read_json, read_parquet
from dictionary_checks import problems_of as problems_of_dictionary
from site_browser import NARROW, WIDE, chromium, opened
from ssf_validator import problems_of
from workflow_runs import ROOT, Run

pytestmark = pytest.mark.workflow
STUDIES = ("lung_function", "height", "asthma")
#: Of a row of the site's index: label -> what is written. Of a plot: place of the strongest locus, its ID, its heading.
CELLS = "(r) => Object.fromEntries([...r.querySelectorAll('td')].map((c) => [c.dataset.label, c.innerText]))"
PEAK = """({ plot }) => {
  const [l] = [...plot.loci].sort((a, b) => b.p.deepnull - a.p.deepnull);
  const y = plot.shape.sy(l.p.deepnull, 'deepnull');
  return { x: plot.shape.sx(l.x), y, id: l.id, name: dn.place(l.code, l.position) };
}"""


def causal(demo, study: str) -> pd.DataFrame:
    """Return the causal variants of a study with the estimates of both arms."""
    truth = pd.read_csv(demo.results / "demo/simulated/truth.tsv", sep="\t")
    truth = truth[truth["phenotype"] == study]
    for arm in ("baseline", "deepnull"):
        found = read_sumstats(demo.results / "demo" / study / arm / "sumstats.tsv.gz").to_pandas()
        truth = truth.merge(
            found,
            left_on="id",
            right_on="original_id",
            suffixes=("", f"_{arm}"),
            validate="1:1",
        )
    return truth


def test_every_study_is_done_and_nothing_is_left_to_do(demo):
    status = pd.read_csv(demo.results / "status.tsv", sep="\t")
    assert list(status["status"]) == ["ok"] * 6
    assert (status["loci"] > 3).all()
    dry = demo.snakemake("-n")
    assert "Nothing to be done" in dry.stdout + dry.stderr


def test_strangers_are_not_taken_for_relatives(demo):
    # 60 pairs are simulated; a few more are by chance as alike as that over five short chromosomes
    relatives = pd.read_csv(demo.results / "demo/structure/relatives.tsv", sep="\t")
    assert 50 < len(relatives) < 90
    for study in STUDIES:
        account = read_json(demo.results / "demo" / study / "study.json")["accounting"]
        assert sum(step["removed"] for step in account if step["step"].startswith("unrelated")) < 90


def test_the_dictionary_knows_every_file_and_every_column(demo):
    assert problems_of_dictionary(demo.results) == []


@pytest.mark.parametrize("checkout", ["as it is", "a link", "a copy with new dates"])
def test_a_finished_project_can_move(demo, tmp_path, checkout):
    """Where a project lies, and where the workflow lies, is no reason to compute anything again."""
    moved = tmp_path / "moved"
    shutil.copytree(demo.folder, moved, symlinks=True)
    home = tmp_path / "checkout"
    if checkout == "as it is":
        home = ROOT
    elif checkout == "a link":
        home.symlink_to(ROOT)
    else:
        # copyfile does not keep dates
        for name in ("workflow", "src", "resources", "envs", "profiles"):
            shutil.copytree(ROOT / name, home / name, copy_function=shutil.copyfile)
        shutil.copyfile(ROOT / "Snakefile", home / "Snakefile")
    dry = Run(moved, home).snakemake("-n")
    assert "Nothing to be done" in dry.stdout + dry.stderr


@pytest.mark.parametrize("study", STUDIES)
def test_planted_variants_keep_sign_and_allele(demo, study):
    table = causal(demo, study)
    assert len(table) >= 10
    for arm in ("baseline", "deepnull"):
        suffix = "" if arm == "baseline" and "beta_baseline" not in table else f"_{arm}"
        alleles = table[f"effect_allele{suffix}"] if f"effect_allele{suffix}" in table else table["effect_allele"]
        assert (alleles == table["effect_allele"]).all()
        hits = (
            table[f"neg_log_10_p_value{suffix}" if f"neg_log_10_p_value{suffix}" in table else "neg_log_10_p_value"] > 5
        )
        beta = table[f"beta{suffix}"]
        assert hits.sum() >= 5
        assert (np.sign(beta[hits]) == np.sign(table["beta"][hits])).all()


def test_the_nonlinear_study_gains_and_the_linear_one_loses_nothing(demo):
    ratio = {}
    for study in STUDIES:
        both = [
            read_sumstats(demo.results / "demo" / study / arm / "sumstats.tsv.gz").to_pandas().set_index("original_id")
            for arm in ("baseline", "deepnull")
        ]
        truth = pd.read_csv(demo.results / "demo/simulated/truth.tsv", sep="\t")
        ids = truth.loc[truth["phenotype"] == study, "id"]
        # quality control may remove a causal variant
        ids = [i for i in ids if i in both[0].index]
        assert len(ids) >= 10
        baseline, deepnull = (chi2_of_neg_log10_p(t.loc[ids, "neg_log_10_p_value"].to_numpy()).mean() for t in both)
        ratio[study] = deepnull / baseline
    assert ratio["lung_function"] > 1.05
    assert ratio["height"] > 0.99


def test_people_are_the_same_in_both_arms_and_accounted_for(demo):
    for study in STUDIES:
        about = read_json(demo.results / "demo" / study / "study.json")
        people = read_parquet(demo.results / "demo" / study / "samples.parquet")
        assert len(people) == about["n"]
        for arm in ("baseline", "deepnull"):
            table = read_sumstats(demo.results / "demo" / study / arm / "sumstats.tsv.gz", ["n"])
            # X leaves out people of unknown sex
            assert table["n"].max() == about["n"]


def test_predictions_are_out_of_fold_and_better_than_linear(demo):
    metrics = read_json(demo.results / "demo/lung_function/deepnull/metrics.json")
    assert metrics["deepnull"]["r2"] > metrics["linear"]["r2"] + 0.05


def test_the_gwas_catalogs_validator_takes_files_and_metadata(demo):
    files = [
        demo.results / "demo" / study / arm / "sumstats.tsv.gz" for study in STUDIES for arm in ("baseline", "deepnull")
    ]
    # four chromosomes and X, and fewer variants than its default
    assert problems_of(files, minimum_rows=40_000, all_autosomes=False) == {str(f): [] for f in files}


def test_tabix_reads_the_result(demo):
    path = demo.results / "demo/height/deepnull/sumstats.tsv.gz"
    with gzip.open(path, "rt") as file:
        assert file.readline().startswith("chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta")


@pytest.mark.oracle("tabix")
def test_tabix_program_reads_the_result(demo):
    path = demo.results / "demo/height/deepnull/sumstats.tsv.gz"
    rows = subprocess.run(
        ["tabix", str(path), "23:1-9000000"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert rows
    assert all(r.startswith("23\t") for r in rows)


def test_report_holds_figures_and_captions(demo, tmp_path):
    out = tmp_path / "report.html"
    done = demo.snakemake("--report", str(out))
    assert out.stat().st_size > 500_000
    assert "WARNING" not in done.stdout + done.stderr
    page = out.read_text(encoding="utf-8")
    assert "System Message" not in page and "system-message" not in page
    for study in STUDIES:
        assert f"results/demo/{study}/arms.svg" in page
        # tables are pages, to be read in place
        for table in ("leads", "comparison"):
            assert f'"results/demo/{study}/{table}.html": {{' in page
    assert '.tsv": {' not in page
    # in the order of reading
    groups = ["quality control", "structure", *(f"study {study}" for study in STUDIES), "studies compared"]
    assert '"cohort demo": {"quality control": [' in page and all(f'"{group}": [' in page for group in groups)
    assert ">results/site/index.html</a>" in page


def test_figures_come_as_svg_and_pdf_without_mathematics(demo):
    figures = sorted(demo.results.rglob("*.svg"))
    # and one of each of a study's strongest loci
    regions = [path for path in figures if path.parent.name == "regional"]
    assert len(figures) == 7 + 5 * len(STUDIES) + len(regions)
    assert len(regions) == sum(
        len(read_regions(demo.results / "demo" / study / "regions.json.gz")["loci"]) for study in STUDIES
    )
    for path in figures:
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF"), path
        text = path.read_text()
        # text is drawn as paths; what it says stands in comments
        assert "mathdefault" not in text, path
        assert round(float(re.search(r'width="([\d.]+)pt"', text)[1]) / 72 * 25.4) in (89, 183), path
    qc = (demo.results / "demo/qc/qc.svg").read_text()
    assert "<!-- 10,000 -->" in qc
    for study in STUDIES:
        about = read_json(demo.results / "demo" / study / "study.json")
        words = f"{about['cases']:,} cases" if about["trait"] == "binary" else f"n = {about['n']:,}"
        for name in ("qq", "manhattan", "arms", "miami", "deepnull/deepnull"):
            assert words in (demo.results / "demo" / study / f"{name}.svg").read_text(), (study, name)


def test_a_job_leaves_a_log_and_no_half_files(demo):
    log = (demo.folder / "logs/associate/demo/main/0.log").read_text()
    assert "results agree with a second implementation" in log
    assert not list(demo.results.rglob("*.tmp"))


def test_phenotypes_are_predicted_better_with_deepnull_where_covariates_do_not_act_linearly(demo):
    table = pd.read_csv(demo.results / "demo/scores.tsv", sep="\t")
    table = table.set_index(["study", "measure", "model"])
    for study, measure in (("lung_function", "r2"), ("height", "r2"), ("asthma", "auc")):
        gain = table.loc[study, measure, "deepnull_score - linear_score"]
        if study == "height":
            # nothing to gain, and next to nothing lost
            assert abs(gain["estimate"]) < 0.01
        else:
            assert gain["low"] > 0.02
        for score in ("linear_score - linear", "deepnull_score - deepnull"):
            assert table.loc[study, measure, score]["low"] > 0.02


@pytest.mark.oracle("chromium")
def test_site(demo, tmp_path):
    """The site opens from the disk, also where it was sent to: nothing leaves, its numbers are those of the tables, a
    press on a peak opens its region, and all can read it on a desk's screen and on a telephone's.
    """
    shutil.unpack_archive(demo.results / "site.zip", tmp_path)
    folder = demo.results / "demo" / "lung_function"
    tests = {arm: read_json(folder / arm / "tests.json") for arm in ("baseline", "deepnull")}
    r2 = {name: read_json(folder / "deepnull/metrics.json")[name]["r2"] for name in ("linear", "deepnull")}
    loci = pd.read_csv(folder / "comparison.tsv", sep="\t")
    with chromium() as browser:
        for site, width in ((demo.results / "site", WIDE), (tmp_path / "site", NARROW)):
            with opened(browser, site, width) as watched:
                page = watched.page
                watched.go()
                assert watched.audit() == []
                row = page.eval_on_selector("tbody tr:has-text('lung_function')", CELLS)
                assert row["λ baseline"] == f"{tests['baseline']['lambda_gc']:.3f}"
                assert row["λ DeepNull"] == f"{tests['deepnull']['lambda_gc']:.3f}"
                assert row["R² DeepNull"] == f"{r2['deepnull']:.3f}" and row["R² linear"] == f"{r2['linear']:.3f}"
                assert row["Loci"].startswith(f"{tests['baseline']['loci']} → {tests['deepnull']['loci']}")
                page.fill("#search", "lung")
                assert page.locator("tbody tr").count() == 1
                page.click("text=lung_function")
                page.wait_for_selector("h1:has-text('lung_function')")
                assert watched.audit() == []
                saved = watched.save("section[aria-labelledby=loci] button.save")
                assert len(saved.splitlines()) == len(loci) + 1
                place = page.eval_on_selector(".plot:has(canvas[tabindex])", PEAK)
                page.locator(".plot canvas[tabindex]").first.click(position={"x": place["x"], "y": place["y"]})
                page.wait_for_selector(f"h1:has-text('{place['name']}')")
                page.wait_for_selector("section[aria-labelledby=variants] tbody tr")
                assert watched.audit() == []
                first = page.inner_text("section[aria-labelledby=variants] tbody tr:first-child")
                assert place["id"] in first and "1.000" in first
                for address in ("#/cohort/demo", "#/run", "#/study/demo/asthma"):
                    watched.go(address)
                    assert watched.audit() == [], address
