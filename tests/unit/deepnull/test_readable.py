"""The readable twin of metrics.json."""

from __future__ import annotations

import re

import pytest

from deepnull_gwas.deepnull.readable import summary_of

STUDY = {"study": "lung", "cohort": "c", "phenotype": "fev1", "n": 1234, "cases": None}


def metrics(linear: float, deepnull: float, **changes: object) -> dict:
    fold = {"people": {"outside": 1000, "evaluation": 234}, "weights": {"splines": 0.75}, "models": {}}
    return {
        "trait": "quantitative",
        "status": "ok",
        "model": "auto",
        "linear": {"r2": linear, "correlation": 0.1},
        "deepnull": {"r2": deepnull, "correlation": 0.2},
        "models": {"linear": {"r2": linear, "correlation": 0.1}, "splines": {"r2": 0.3, "correlation": None}},
        "folds": [fold | {"fold": 0, "deepnull": {"r2": 0.1}}, fold | {"fold": 1, "deepnull": {"r2": 0.25}}],
        "warnings": [],
        "constant_covariates": [],
        "calibration": [{"people": 123, "predicted": -0.5, "observed": -0.25}],
        "dependence": {
            "covariates": [
                {"name": "sex", "values": [1.0, 2.0], "prediction": [0.0, 0.125]},
                {"name": "age", "values": [40.0, 50.0, 70.0], "prediction": [0.25, -0.5, 0.75]},
            ],
            "interaction": {"names": ["age", "sex"], "share": 0.25},
        },
    } | changes


def test_the_numbers_are_those_of_metrics_json():
    lines = summary_of(metrics(0.2, 0.36), STUDY).splitlines()
    assert lines[0] == "# DeepNull: lung" and "1,234 people." in lines[2]
    # (1 - .2) / (1 - .36) = 1.25
    assert "expected to grow by 25 %" in lines[4] and "R² 0.360, of the linear model 0.200" in lines[4]
    assert "| splines | 0.300 |  |  | 0.75 |" in lines
    assert "| linear | 0.200 | 0.100 |  | 0.25 |" in lines
    assert "| **DeepNull** | 0.360 | 0.200 | 0.100 to 0.250 |  |" in lines
    # strongest first
    ages = lines.index("| age | 1.25 | 50 | 70 |")
    assert lines[ages + 1] == "| sex | 0.125 | 1 | 2 |"
    assert "| 123 | -0.500 | -0.250 |" in lines and "| 1 | 1,000 | 234 | 0.250 |" in lines
    assert any(line.startswith("Strongest interaction: age with sex; 25 %") for line in lines)


@pytest.mark.parametrize(("deepnull", "words"), [(0.2, "predicts as well as"), (0.15, "predicts worse than")])
def test_nothing_gained_is_said(deepnull, words):
    text = summary_of(metrics(0.2, deepnull), STUDY)
    assert f"**DeepNull {words} the linear model**" in text and "nothing to gain" in text and "grow" not in text


def test_binary_traits_have_their_own_measures():
    accuracy = {"auc": 0.7, "r2_mcfadden": 0.1, "log_loss": 0.5}
    folds = [{"fold": 0, "people": {"evaluation": 9}, "weights": {}, "models": {}, "deepnull": accuracy}]
    given = metrics(0, 0, trait="binary", models={}, folds=folds)
    given |= {"linear": accuracy | {"auc": 0.6}, "deepnull": accuracy}
    text = summary_of(given, STUDY | {"cases": 77})
    assert "77 cases" in text and "AUC 0.700, of the linear model 0.600" in text and "share of cases" in text


def test_a_failed_study_says_why_and_names_are_no_markup():
    failed = {"trait": "quantitative", "status": "failed", "stage": "train_folds", "reason": "a fold has no cases"}
    text = summary_of(failed, STUDY | {"study": "<script>[a](b)*|`" + "x" * 200})
    assert "**Failed** at `train_folds`: a fold has no cases" in text
    assert "<script>" not in text.replace("\\<", "") and "](" not in text
    assert not re.search(r"(?<!\\)[*|`]", text.splitlines()[0].removeprefix("# "))
