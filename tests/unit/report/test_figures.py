"""Figures: drawn for good, empty and failed studies, as a journal takes them, and the same bytes each time."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepnull_gwas.report.arms import plot_arms
from deepnull_gwas.report.batch import plot_batch
from deepnull_gwas.report.deepnull import plot_deepnull
from deepnull_gwas.report.manhattan import plot_manhattan, thin
from deepnull_gwas.report.miami import plot_miami
from deepnull_gwas.report.qc import plot_qc
from deepnull_gwas.report.qq import plot_qq
from deepnull_gwas.report.scores import plot_scores
from deepnull_gwas.report.structure import plot_loadings, plot_pcs, plot_scree, plot_stratification
from deepnull_gwas.report.style import ONE_COLUMN, TWO_COLUMNS, counted, figure, people_of, power_label, study_title
from deepnull_gwas.report.validity import plot_validity
from deepnull_gwas.results.calibration import confidence_band, ranks_shown
from deepnull_gwas.results.compare import compare_batch
from deepnull_gwas.tables import read_json, write_json, write_npz, write_parquet, write_tsv
from figure_checks import twice
from result_tables import compare, prepare

SETTINGS = {"genome_wide": 5e-8, "suggestive": 1e-5, "top_loci_labelled": 10}
METRICS = {"study": "s", "trait": "quantitative", "status": "ok", "linear": {"r2": 0.1}, "deepnull": {"r2": 0.2}}


@pytest.mark.parametrize("failed", [False, True])
def test_figures_of_a_study(tmp_path, drawn, failed):
    _, folder, _ = prepare(tmp_path, failed=failed)
    compare(folder, METRICS | ({"status": "failed", "reason": "no cases"} if failed else {}))
    sumstats = {arm: folder / arm / "sumstats.tsv.gz" for arm in ("baseline", "deepnull")}
    leads = {arm: folder / arm / "leads.tsv" for arm in sumstats}
    study = folder / "study.json"
    twice(lambda out: plot_qq(sumstats, study, out), tmp_path)
    n = read_json(study)["n"]
    assert any(f"n = {n:,}" in text for text in drawn)
    twice(lambda out: plot_manhattan(sumstats, leads, study, SETTINGS, out), tmp_path)
    twice(lambda out: plot_manhattan({"baseline": sumstats["baseline"]}, leads, study, SETTINGS, out), tmp_path)
    twice(lambda out: plot_arms(*sumstats.values(), study, folder / "comparison.json", SETTINGS, out), tmp_path)
    twice(lambda out: plot_miami(*sumstats.values(), folder / "comparison.tsv", study, SETTINGS, out), tmp_path)
    compare_batch([folder / "comparison.json"], tmp_path / "batch.tsv")
    row = pd.read_csv(tmp_path / "batch.tsv", sep="\t").iloc[0]
    assert row["study"] == "s"
    assert row["status"] == ("failed" if failed else "ok")
    twice(lambda out: plot_batch(tmp_path / "batch.tsv", [study], out), tmp_path)
    assert f"s\nn = {n:,}" in drawn
    compare_batch([], tmp_path / "none.tsv")
    twice(lambda out: plot_batch(tmp_path / "none.tsv", [], out), tmp_path)


def test_titles_of_qq_plots_tell_people_and_lambda(tmp_path, drawn):
    _, folder, _ = prepare(tmp_path, trait="binary")
    sumstats = {arm: folder / arm / "sumstats.tsv.gz" for arm in ("baseline", "deepnull")}
    plot_qq(sumstats, folder / "study.json", tmp_path / "q.svg")
    tests = {arm: read_json(folder / arm / "tests.json")["lambda_gc"] for arm in sumstats}
    (title,) = [text for text in drawn if "300 cases, 600 controls" in text]
    assert f"λ = {tests['baseline']:.3f} baseline, {tests['deepnull']:.3f} DeepNull" in title


def test_counts_have_their_noun_and_titles_say_nothing_twice():
    assert [counted(n, "variant") for n in (0, 1, 1200)] == ["0 variants", "1 variant", "1,200 variants"]
    assert [counted(n, "locus", "loci") for n in (1, 2)] == ["1 locus", "2 loci"]
    quantitative = {"study": "height", "phenotype": "height", "trait": "quantitative", "n": 12345}
    binary = {"study": "t2d", "phenotype": "diabetes", "trait": "binary", "n": 3001, "cases": 1}
    assert study_title(quantitative, TWO_COLUMNS) == "height (n = 12,345)"
    assert people_of(binary) == "1 case, 3,000 controls"
    assert study_title(binary, TWO_COLUMNS) == "t2d: diabetes (1 case, 3,000 controls)"
    long = study_title(quantitative | {"phenotype": "x" * 80}, ONE_COLUMN)
    assert max(map(len, long.split("\n"))) < 60
    assert [power_label(v) for v in (0.001, 0.5, 1, 2000, 1e6, 1e10)] == ["0.001", "0.5", "1", "2,000", "10⁶", "10¹⁰"]


def test_labels_of_logarithmic_axes_are_plain_and_several(tmp_path, drawn, caplog):
    caplog.set_level("INFO")
    with figure(tmp_path / "f.svg", ONE_COLUMN, 2) as fig:
        wide, narrow = fig.subplots(1, 2)
        wide.plot([1, 2, 3], [1, 1e3, 1e7])
        narrow.plot([1, 2, 3], [0.03, 0.05, 0.09])
        for ax in (wide, narrow):
            ax.set_yscale("log")
    assert {"10⁶", "0.05"} <= set(drawn)
    # nothing about fonts in the logs of the jobs
    assert not caplog.records
    for size in ((5.6, 5.6), (ONE_COLUMN, 20)):
        with pytest.raises(ValueError, match="no size of a figure"), figure(tmp_path / "g.svg", *size):
            pass
    assert not (tmp_path / "g.svg").exists()
    with figure(tmp_path / "h.png", ONE_COLUMN, 2) as fig:
        fig.add_subplot()
    with Image.open(tmp_path / "h.png") as image:
        assert image.width == int(300 * ONE_COLUMN)
    assert not (tmp_path / "h.pdf").exists()


def test_points_are_drawn_at_300_dpi_and_files_repeat_between_processes(tmp_path):
    code = (
        "import numpy as np, sys\nfrom deepnull_gwas.report.style import ONE_COLUMN, figure\n"
        "with figure(sys.argv[1], ONE_COLUMN, 2) as fig:\n"
        "    ax = fig.add_subplot()\n"
        "    ax.scatter(np.arange(50), np.arange(50) ** 2, rasterized=True, label='λ, χ², a long legend')\n"
        "    ax.set(title='n = 12,345', xlabel='−log₁₀(p)')\n"
        "    ax.legend()\n"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / f"{seed}.svg")], check=True, env=environment)
    for kind in ("svg", "pdf"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()
    text = (tmp_path / "1.svg").read_text()
    image = re.search(r"<image[^>]*>", text, re.S)[0]
    pixels = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,\s*([^\"]+)", image)[1]))).width
    assert pixels / float(re.search(r' width="([\d.]+)"', image)[1]) == pytest.approx(300 / 72, rel=0.01)


def test_many_studies_stay_on_a_page(tmp_path, drawn):
    rng = np.random.default_rng(4)
    names = [f"a_rather_long_name_of_a_study_{i:03d}" for i in range(120)]
    about = []
    for name in names:
        folder = tmp_path / name
        head = {"study": name, "trait": "binary", "status": "ok", "n": 5000, "cases": 1234}
        write_json(head, folder / "study.json")
        estimate = rng.normal(0, 0.02)
        value = {"estimate": 0.6, "low": 0.55, "high": 0.65}
        models = dict.fromkeys(("linear", "deepnull", "linear_score", "deepnull_score"), value)
        gain = {"estimate": estimate, "low": estimate - 0.01, "high": estimate + 0.01}
        measured = {"models": models, "differences": {"deepnull - linear": gain, "deepnull_score - linear_score": gain}}
        write_json(head | {"cohort": "c", "measures": {"auc": measured}}, folder / "accuracy.json")
        about.append(folder / "study.json")
        write_parquet(
            pd.DataFrame({"sample_index": np.arange(40), "phenotype": rng.normal(size=40)}), folder / "samples.parquet"
        )
    batch = pd.DataFrame({"study": names, "explained_linear": 0.1, "explained_deepnull": 0.2})
    batch["effective_sample_size_gained_fraction"] = np.linspace(-0.001, 0.2, len(names))
    write_tsv(batch.assign(chi2_ratio_expected=1.1, loci_shared=3, loci_gained=1, loci_lost=0), tmp_path / "batch.tsv")
    # each figure is looked at when it is saved (drawn)
    plot_batch(tmp_path / "batch.tsv", about, tmp_path / "batch.svg")
    assert any(text.startswith("The 66 studies of 120") for text in drawn)
    assert any(names[-1][:21] in text and "1,234 cases" in text for text in drawn)
    plot_scores([a.parent / "accuracy.json" for a in about], tmp_path / "prediction.svg")
    assert any(text.startswith("The 22 of 120 studies") for text in drawn)
    pcs = pd.DataFrame({"sample_index": np.arange(40)} | {f"PC{i}": rng.normal(size=40) for i in range(1, 41)})
    write_parquet(pcs, tmp_path / "pcs.parquet")
    rows = {"study": names, "lambda_without_pcs": 1.2, "lambda_with_pcs": 1.0, "lambda_with_all": 1.0}
    write_tsv(pd.DataFrame(rows), tmp_path / "s.tsv")
    people = [a.parent / "samples.parquet" for a in about]
    plot_stratification(tmp_path / "pcs.parquet", tmp_path / "s.tsv", people, about, tmp_path / "c.svg")


def test_figure_of_calibration_and_power(tmp_path, drawn):
    rng = np.random.default_rng(5)
    points = {}
    for kind in ("quantitative, linear", "quantitative, nonlinear", "binary, nonlinear"):
        for arm in ("baseline", "deepnull", "oracle"):
            points[f"null/{kind}/{arm}"] = rng.exponential(0.43, 5000)
            points[f"power/{kind}/{arm}"] = rng.chisquare(1, 400) * 20
    write_npz(tmp_path / "v.npz", **points)
    twice(lambda out: plot_validity(tmp_path / "v.npz", out), tmp_path)
    assert "binary, nonlinear:\n400 causal variants" in drawn


def test_figure_of_scaling(tmp_path, drawn):
    """Measured times of the documentation, whose seconds lie within less than a power of ten in some panels."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
    try:
        from scaling import draw
    finally:
        sys.path.pop(0)
    found = {
        "variants": [(2048, 0.012), (16384, 0.066)],
        "people": [(5000, 0.013), (320000, 0.133)],
        "people, binary": [(5000, 0.012), (80000, 0.053)],
        "studies": [(1, 0.02), (100, 0.045)],
        "threads": [(1, 0.064), (2, 0.036)],
    }
    twice(lambda out: draw(found, out), tmp_path)
    assert {"0.02", "0.05", "0.1"} <= set(drawn)


def test_confidence_band_covers_the_null():
    rng = np.random.default_rng(1)
    n = 2000
    ranks = ranks_shown(n)
    low, high = confidence_band(n, ranks)
    p = -np.log10(np.sort(rng.random((200, n)), axis=1))[:, ranks - 1]
    # 95 % point by point, over 200 draws
    assert abs(np.mean((p >= low) & (p <= high)) - 0.95) < 0.01


def test_thinning_keeps_every_strong_point():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 1e8, 200_000), rng.exponential(0.4, 200_000)
    kept = thin(x, y)
    assert set(np.flatnonzero(y >= 3.0)) <= set(kept)
    assert len(kept) < 100_000


def test_figures_of_a_cohort(tmp_path, drawn):
    rng = np.random.default_rng(3)
    write_tsv(
        pd.DataFrame({"component": [1, 2, 3], "eigenvalue": [9.0, 4, 1], "variance_explained": [0.02, 0.01, 0.005]}),
        tmp_path / "e.tsv",
    )
    pcs = pd.DataFrame(
        {"sample_index": np.arange(50), **{f"PC{i}": rng.normal(size=50) for i in (1, 2, 3)}}
        | {"fitted": np.arange(50) > 5, "outlier": (np.arange(50) == 9).astype(np.int32)}
    )
    write_parquet(pcs, tmp_path / "pcs.parquet")
    people = pd.DataFrame({"sample_index": np.arange(50), "site": list("ABCDE") * 10, "age": rng.normal(size=50)})
    people.loc[3, "site"] = None
    write_parquet(people, tmp_path / "people.parquet")
    places = pd.DataFrame({"chromosome": ["1"] * 60 + ["2"] * 40, "position": np.arange(100)})
    write_parquet(places.assign(PC1=rng.normal(size=100), PC2=rng.normal(size=100)), tmp_path / "l.parquet")
    for study in ("a", "b"):
        study_people = pd.DataFrame({"sample_index": np.arange(40), "phenotype": rng.normal(size=40)})
        write_parquet(study_people.iloc[: 0 if study == "b" else 40], tmp_path / study / "samples.parquet")
    rows = {"study": ["a", "b"], "lambda_without_pcs": [1.2, np.nan], "lambda_with_pcs": [1.0, np.nan]}
    write_tsv(pd.DataFrame(rows | {"lambda_with_all": [1.0, np.nan]}), tmp_path / "s.tsv")
    write_json({"study": "a", "trait": "binary", "n": 40, "cases": 1}, tmp_path / "a" / "study.json")
    write_json({"study": "b", "trait": "quantitative", "n": 0}, tmp_path / "b" / "study.json")
    studies = [[tmp_path / study / name for study in "ab"] for name in ("samples.parquet", "study.json")]
    twice(lambda out: plot_loadings(tmp_path / "l.parquet", out), tmp_path)
    twice(lambda out: plot_stratification(tmp_path / "pcs.parquet", tmp_path / "s.tsv", *studies, out), tmp_path)
    assert "a\n1 case, 39 controls" in drawn
    twice(lambda out: plot_scree(tmp_path / "e.tsv", out), tmp_path)
    for colours in ([], ["site", "age"]):
        files = (tmp_path / "pcs.parquet", tmp_path / "e.tsv", tmp_path / "people.parquet")
        twice(lambda out, files=files, colours=colours: plot_pcs(*files, colours, out), tmp_path)
    variants = pd.DataFrame(
        {"call_rate": rng.uniform(0.9, 1, 100), "effect_allele_frequency": rng.random(100), "hwe_p": rng.random(100)}
    )
    variants.loc[0, ["effect_allele_frequency", "hwe_p"]] = np.nan
    write_parquet(variants, tmp_path / "v.parquet")
    write_parquet(
        pd.DataFrame(
            {
                "call_rate": rng.uniform(0.9, 1, 40),
                "heterozygosity_f": rng.normal(0, 0.01, 40),
                "x_f": rng.choice([0.0, 1.0], 40),
                "passed": True,
                "reason": ["recorded sex male, sex by X female (F 0.010)"] + [""] * 39,
            }
        ),
        tmp_path / "s.parquet",
    )
    write_tsv(
        pd.DataFrame(
            {
                "step": ["maf"],
                "unit": ["variants"],
                "before": [100],
                "removed": [4],
                "after": [96],
                "rule": ["maf >= .01"],
            }
        ),
        tmp_path / "f.tsv",
    )
    settings = {"variant_call_rate": 0.95, "sample_call_rate": 0.95, "maf": 0.01, "hwe_p": 0}
    twice(
        lambda out: plot_qc(tmp_path / "v.parquet", tmp_path / "s.parquet", tmp_path / "f.tsv", settings, out), tmp_path
    )


@pytest.mark.parametrize("status", ["ok", "failed"])
def test_figure_of_the_prediction(tmp_path, drawn, status):
    fold = {
        "fold": 0,
        "status": "ok",
        "epochs": [{"epoch": e, "train": 1 / e if e else None, "validation": 1.0} for e in range(4)],
    }
    metrics = METRICS | {
        "status": status,
        "stage": "train_folds",
        "reason": "no cases",
        "model": "auto",
        "models": {"linear": {"r2": 0.1}, "trees": {"r2": 0.15}},
        "folds": [
            {
                "fold": 0,
                "weights": {"trees": 0.5},
                "models": {"linear": {"r2": 0.1}, "trees": {"r2": 0.15}},
                "deepnull": {"r2": 0.2},
            }
        ],
        "calibration": [{"people": 5, "predicted": v, "observed": v + 0.1} for v in (0.0, 1.0)],
        "dependence": {
            "covariates": [
                {"name": "age", "values": list(range(9)), "prediction": [0.1 * v for v in range(9)]},
                {"name": "sex", "values": [1, 2], "prediction": [-0.1, 0.1]},
            ],
            "interaction": {
                "names": ["age", "sex"],
                "values": [[1, 2, 3], [1, 2]],
                "prediction": [[0.1, -0.1], [0.0, 0.0], [-0.1, 0.1]],
                "share": 0.2,
                "variance": 0.01,
            },
        },
    }
    write_json({"folds": [fold]}, tmp_path / "f.json")
    write_json(metrics, tmp_path / "m.json")
    write_json({"study": "s", "phenotype": "s", "trait": "quantitative", "n": 900}, tmp_path / "study.json")
    files = (tmp_path / "m.json", tmp_path / "f.json", tmp_path / "study.json")
    twice(lambda out: plot_deepnull(*files, out), tmp_path)
    assert any("s (n = 900)" in text for text in drawn)


def test_predicted_phenotypes(tmp_path):
    """Good, failed and worse than nothing; quantitative and binary, alone and together; none at all."""
    names = ("linear", "deepnull", "linear_score", "deepnull_score")
    value = {"estimate": 0.6, "low": 0.55, "high": 0.65}
    measured = {
        "models": dict.fromkeys(names, value) | {"linear": {"estimate": -0.1, "low": -0.2, "high": -0.05}},
        "differences": dict.fromkeys(("deepnull - linear", "deepnull_score - linear_score"), value),
    }
    head = {"cohort": "c", "status": "ok", "n": 1000}
    studies = {
        "q": head | {"study": "q", "trait": "quantitative", "measures": {"r2": measured}},
        "b": head | {"study": "b", "trait": "binary", "cases": 100, "measures": {"auc": measured}},
        "f": {"study": "f", "cohort": "c", "trait": "binary", "status": "failed", "reason": "no cases", "stage": "x"},
    }
    for name, study in studies.items():
        write_json(study, tmp_path / f"{name}.json")
    for chosen in ("qbf", "q", "f", ""):
        twice(lambda out, chosen=chosen: plot_scores([tmp_path / f"{c}.json" for c in chosen], out), tmp_path)
