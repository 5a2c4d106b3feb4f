"""Figures: drawn for good, empty and failed studies, and the same bytes each time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_results import compare, prepare

from deepnull_gwas.report.arms import plot_arms
from deepnull_gwas.report.batch import plot_batch
from deepnull_gwas.report.deepnull import plot_deepnull
from deepnull_gwas.report.manhattan import plot_manhattan, thin
from deepnull_gwas.report.miami import plot_miami
from deepnull_gwas.report.prediction import plot_prediction
from deepnull_gwas.report.qc import plot_qc
from deepnull_gwas.report.qq import confidence_band, plot_qq, ranks_shown
from deepnull_gwas.report.structure import plot_loadings, plot_pcs, plot_scree, plot_stratification
from deepnull_gwas.results.compare import compare_batch
from deepnull_gwas.tables import write_json, write_parquet, write_tsv

SETTINGS = {"genome_wide": 5e-8, "suggestive": 1e-5, "top_loci_labelled": 10}
METRICS = {"study": "s", "trait": "quantitative", "status": "ok", "linear": {"r2": 0.1}, "deepnull": {"r2": 0.2}}


def twice(draw, folder, *words):
    """Draw twice: the same bytes; and the words are not missing from the folder's file names."""
    draw(folder / "a.svg")
    draw(folder / "b.svg")
    data = (folder / "a.svg").read_bytes()
    assert data == (folder / "b.svg").read_bytes()
    assert data.startswith(b"<?xml")
    draw(folder / "a.png")
    assert (folder / "a.png").stat().st_size > 3000


@pytest.mark.parametrize("failed", [False, True])
def test_figures_of_a_study(tmp_path, failed):
    _, folder, _ = prepare(tmp_path, failed=failed)
    compare(folder, METRICS | ({"status": "failed", "reason": "no cases"} if failed else {}))
    sumstats = {arm: folder / arm / "sumstats.tsv.gz" for arm in ("baseline", "deepnull")}
    leads = {arm: folder / arm / "leads.tsv" for arm in sumstats}
    study = folder / "study.json"
    twice(lambda out: plot_qq(sumstats, study, out), tmp_path)
    twice(lambda out: plot_manhattan(sumstats, leads, study, SETTINGS, out), tmp_path)
    twice(lambda out: plot_manhattan({"baseline": sumstats["baseline"]}, leads, study, SETTINGS, out), tmp_path)
    twice(lambda out: plot_arms(*sumstats.values(), study, folder / "comparison.json", SETTINGS, out), tmp_path)
    twice(lambda out: plot_miami(*sumstats.values(), folder / "comparison.tsv", study, SETTINGS, out), tmp_path)
    compare_batch([folder / "comparison.json"], tmp_path / "batch.tsv")
    row = pd.read_csv(tmp_path / "batch.tsv", sep="\t").iloc[0]
    assert row["study"] == "s"
    assert row["status"] == ("failed" if failed else "ok")
    twice(lambda out: plot_batch(tmp_path / "batch.tsv", out), tmp_path)
    compare_batch([], tmp_path / "none.tsv")
    twice(lambda out: plot_batch(tmp_path / "none.tsv", out), tmp_path)


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


def test_figures_of_a_cohort(tmp_path):
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
    studies = [tmp_path / "a" / "samples.parquet", tmp_path / "b" / "samples.parquet"]
    twice(lambda out: plot_loadings(tmp_path / "l.parquet", out), tmp_path)
    twice(lambda out: plot_stratification(tmp_path / "pcs.parquet", tmp_path / "s.tsv", studies, out), tmp_path)
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
def test_figure_of_the_prediction(tmp_path, status):
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
    twice(lambda out: plot_deepnull(tmp_path / "m.json", tmp_path / "f.json", out), tmp_path)


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
        twice(lambda out, chosen=chosen: plot_prediction([tmp_path / f"{c}.json" for c in chosen], out), tmp_path)
