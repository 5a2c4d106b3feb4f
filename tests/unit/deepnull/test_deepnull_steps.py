"""DeepNull from files to files: covariates, failures, what the log says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from deepnull_cases import QUICK, SETTINGS, all_steps, study_files
from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.fitting import Choice
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.deepnull.steps import inputs_of, load_model
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet


def test_steps_from_files_to_files(tmp_path):
    frame = study_files(tmp_path)
    metrics, prediction = all_steps(tmp_path, SETTINGS)
    assert metrics["status"] == "ok"
    np.testing.assert_array_equal(prediction["sample_index"], frame["sample_index"])
    assert prediction["deepnull_covariate"].notna().all()
    linear = read_parquet(tmp_path / "by_model.parquet").set_index("sample_index")["by_linear"]
    # the covariate is what the prediction adds to the linear model
    np.testing.assert_allclose(
        prediction["deepnull_covariate"] + linear.loc[prediction["sample_index"]].to_numpy(),
        prediction["phenotype_prediction"],
    )
    assert set(metrics["models"]) == set(KINDS)
    assert [c["name"] for c in metrics["dependence"]["covariates"]] == list("abcde")
    assert sum(b["people"] for b in metrics["calibration"]) == len(frame)
    assert metrics["constant_covariates"] == metrics["warnings"] == []
    # a saved fold gives the published predictions of its people
    model = load_model(tmp_path / "models.npz", 1)
    rows = prediction["fold"] == 1
    np.testing.assert_array_equal(
        model.predict(frame.loc[rows.to_numpy(), [f"cov_{c}" for c in "abcde"]].to_numpy()),
        prediction.loc[rows, "phenotype_prediction"],
    )


def test_nested_predictions_know_nothing_of_the_fold(tmp_path):
    frame = study_files(tmp_path, n=600)
    settings = SETTINGS | {"model": "auto"}
    all_steps(tmp_path, settings)
    before, fold = read_parquet(tmp_path / "inner.parquet"), read_parquet(tmp_path / "folds.parquet")["fold"].to_numpy()
    for f in range(3):
        np.testing.assert_array_equal(before[f"inner_{f}"].isna(), fold == f)
    changed = frame.copy()
    changed.loc[fold == 1, "phenotype"] += np.random.default_rng(1).normal(size=int((fold == 1).sum()))
    write_parquet(changed, tmp_path / "samples.parquet")
    all_steps(tmp_path, settings)
    after = read_parquet(tmp_path / "inner.parquet")
    np.testing.assert_array_equal(after["inner_1"], before["inner_1"])
    assert (after["inner_0"] != before["inner_0"])[fold != 0].any()


def test_a_failure_is_written_down_and_passed_on(tmp_path):
    for name, options, stage, words in (
        ("failed", {"status": "failed"}, "assemble_study", "no people"),
        ("few", {"binary": True, "cases": 2}, "train_folds", "no cases"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        study_files(folder, **options)
        metrics, prediction = all_steps(folder, SETTINGS)
        assert metrics["status"] == "failed"
        assert metrics["stage"] == stage
        assert words in metrics["reason"]
        assert len(prediction) == 0


def test_covariates_of_the_prediction_are_chosen_and_heritable_ones_named(tmp_path):
    study_files(tmp_path)
    metrics, _ = all_steps(tmp_path, SETTINGS | {"covariates": ["a", "b"], "heritable_covariates": ["b", "c"]})
    assert metrics["covariates"] == ["a", "b"]
    assert len(metrics["warnings"]) == 1
    assert "heritable covariates feed the prediction: b." in metrics["warnings"][0]
    info = {"covariates": [{"name": "site", "columns": ["cov_site[B]", "cov_site[C]"], "kind": "categorical"}]}
    columns = ["iid", "cov_age", "cov_site[B]", "cov_site[C]", "cov_PC1"]
    assert inputs_of(columns, info, {"covariates": ["site"]}) == ["cov_site[B]", "cov_site[C]", "cov_PC1"]
    assert inputs_of(columns, info, {"covariates": ["site"], "use_pcs": False}) == ["cov_site[B]", "cov_site[C]"]
    with pytest.raises(StudyFailure, match="no covariates"):
        inputs_of(columns, info, {"covariates": ["height"], "use_pcs": False})


@pytest.mark.parametrize("recipe", [SETTINGS["recipe"], "original"])
@pytest.mark.parametrize("binary", [False, True])
def test_covariates_of_the_prediction_alone(tmp_path, binary, recipe, monkeypatch):
    from deepnull_gwas.deepnull import original

    monkeypatch.setattr(original.fit_original, "__defaults__", ("cpu", 3))
    frame = study_files(tmp_path, n=1200 if binary else 600, binary=binary)
    # what acts linearly and most strongly is not in the association
    moved = frame.rename(columns={"cov_a": "deepnull_a"})
    write_parquet(moved, tmp_path / "samples.parquet")
    settings = SETTINGS | {"recipe": recipe, "covariates": ["a", "b"]}
    info = read_json(tmp_path / "study.json")
    about = {"covariates": [{"name": c, "columns": [f"cov_{c}"], "kind": "numeric"} for c in "bcde"]}
    about["deepnull_covariates"] = [{"name": "a", "columns": ["deepnull_a"], "kind": "numeric"}]
    write_json(info | about, tmp_path / "study.json")
    metrics, prediction = all_steps(tmp_path, settings)
    assert metrics["covariates"] == ["a", "b"]
    # the linear model to compare with is that of the baseline arm: without the column
    key = "auc" if binary else "r2"
    fold = prediction["fold"].to_numpy()
    x, y = moved[["cov_b"]].to_numpy(), moved["phenotype"].to_numpy()
    alone, _, _ = crossfit(x, y, fold, QUICK, 0, info["trait"], Choice("linear", compare=False))
    assert metrics["linear"][key] == pytest.approx(measure(y, alone, info["trait"])[key], abs=1e-9)
    if recipe == "original":
        return
    assert metrics["models"]["linear"][key] > metrics["linear"][key] + 0.01
    # the linear part of what the association lacks stays in its covariate, and only that of what it has goes
    np.testing.assert_allclose(prediction["deepnull_covariate"], prediction["phenotype_prediction"] - alone, atol=1e-9)
    inner = read_parquet(tmp_path / "inner.parquet")
    for f in range(3):
        nested, own = inner[f"inner_{f}"][fold != f], prediction["deepnull_covariate"][fold != f]
        # of other models, each from 400 people or fewer (binary: 800), weighed by what chance makes of them
        assert np.corrcoef(nested, own)[0, 1] > (0.6 if binary else 0.8)


def test_a_prediction_without_any_covariate_of_the_association(tmp_path):
    frame = study_files(tmp_path, n=300)
    write_parquet(frame.rename(columns=lambda c: c.replace("cov_", "deepnull_")), tmp_path / "samples.parquet")
    metrics, prediction = all_steps(tmp_path, SETTINGS)
    assert metrics["linear"]["r2"] == pytest.approx(0, abs=0.1)  # means of other folds, 100 people each
    assert np.ptp(prediction["phenotype_prediction"] - prediction["deepnull_covariate"]) < 0.5
    assert metrics["deepnull"]["r2"] > 0.1


def test_a_level_that_only_one_fold_has_is_named_and_predicted_as_the_first(tmp_path):
    frame = study_files(tmp_path, n=300)
    all_steps(tmp_path, SETTINGS)
    fold = read_parquet(tmp_path / "folds.parquet")["fold"].to_numpy()
    frame["cov_site[D]"] = 0.0
    frame.loc[np.flatnonzero(fold == 1)[:5], "cov_site[D]"] = 1.0
    write_parquet(frame, tmp_path / "samples.parquet")
    metrics, prediction = all_steps(tmp_path, SETTINGS)
    assert metrics["constant_covariates"] == ["site[D]"]
    assert prediction["deepnull_covariate"].notna().all()
    model = load_model(tmp_path / "models.npz", 1)
    x = frame[[c for c in frame if c.startswith("cov_")]].to_numpy()
    as_first = x.copy()
    as_first[:, -1] = 0
    np.testing.assert_array_equal(model.predict(x[fold == 1]), model.predict(as_first[fold == 1]))


def test_the_log_says_fold_by_fold_what_was_reached(tmp_path, caplog):
    import logging

    study_files(tmp_path)
    with caplog.at_level(logging.INFO, logger="deepnull_gwas"):
        all_steps(tmp_path, SETTINGS)
    lines = [r.getMessage() for r in caplog.records]
    assert not [line for line in lines if "{" in line or "[" in line]
    assert "300 people, 0 families of more than one; 3 folds of 100 to 100 people" in lines
    for f in (1, 2, 3):
        assert f"fold {f} of 3: models of 200 people for 100" in lines
        (said,) = [line for line in lines if line.startswith(f"fold {f} of 3: R2 ")]
        assert re.search(
            r"correlation .* out of fold \(linear: R2 .*; weights of all but the linear model: |the linear model alone",
            said,
        )
        assert (" left" in said) == (f < 3)
    for name in ("linear", "second order", "splines", "trees", "network"):
        assert sum(line.startswith(f"{name}: R2 ") for line in lines) == 3
        assert sum(line.startswith(f"  {name}") for line in lines) == 1


def test_where_only_the_linear_model_helps_the_covariate_is_nothing(tmp_path):
    study_files(tmp_path)
    _, prediction = all_steps(tmp_path, SETTINGS | {"model": "linear", "compare": False})
    assert (prediction["deepnull_covariate"] == 0).all()
    assert prediction["phenotype_prediction"].std() > 0
