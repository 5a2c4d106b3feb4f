"""From the files of a study to the accuracy of its predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from cohort_files import make_cohort
from deepnull_gwas.deepnull.steps import FoldFiles, train_folds
from deepnull_gwas.scores.candidates import CohortFiles
from deepnull_gwas.scores.steps import (
    MODELS,
    PEOPLE,
    Published,
    StudyFiles,
    _straddling,
    collect_accuracies,
    score_study,
)  # fmt: skip
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet
from score_cases import SETTINGS, K, imputed, simulated
from weight_files import weights_of, write_weights


@pytest.fixture
def study(tmp_path):
    """Return the function that writes a study with a curved covariate and three causal variants, and predicts it."""
    dosages, x, _, y, fold = simulated(600, 80)

    def run(name="s", y=y, trait="quantitative", score_file=None, status="ok", site=None, **settings):
        folder = make_cohort(tmp_path / name, dosages)
        m, n = dosages.shape
        write_parquet(pd.DataFrame({"index": np.arange(m), "passed": True}), folder / "qc.parquet")
        people = {"sample_index": np.arange(n), "fid": "0", "iid": [f"i{i}" for i in range(n)], "phenotype": y}
        people |= {"cov_age": x[:, 0], "cov_bmi": x[:, 1]} | ({} if site is None else {"cov_site[D]": site})
        people = pd.DataFrame(people)
        write_parquet(people if status == "ok" else people.iloc[:0], folder / "samples.parquet")
        head = {
            "study": name,
            "cohort": "c",
            "trait": trait,
            "status": status,
            "stage": "assemble_study",
            "reason": "why",
        }
        write_json(head, folder / "study.json")
        write_parquet(pd.DataFrame({"sample_index": np.arange(n), "fold": fold}), folder / "folds.parquet")
        names = ("by_model.parquet", "by_fold.json", "models.npz", "inner.parquet")
        trained = FoldFiles(*(folder / f for f in names))
        deepnull = {"folds": K, "model": "splines", "compare": False}
        files = [folder / f for f in ("samples.parquet", "study.json", "folds.parquet")]
        train_folds(*files, deepnull, 1, trained)
        own = read_parquet(trained.predictions)
        covariate = own["phenotype_prediction"] - own["by_linear"] if len(own) else own["phenotype_prediction"]
        table = {"sample_index": own["sample_index"], "fold": fold[: len(own)], "deepnull_covariate": covariate}
        write_parquet(
            pd.DataFrame(table | {"phenotype_prediction": own["phenotype_prediction"]}), folder / "prediction.parquet"
        )
        found = score_study(
            StudyFiles(*files, folder / "prediction.parquet", folder / "inner.parquet"),
            CohortFiles(*(folder / f for f in ("genotypes.json", "variants.parquet", "qc.parquet"))),
            SETTINGS | settings,
            1,
            Published(*(folder / f for f in ("out.json", "out.tsv", "people.parquet"))),
            score_file=score_file,
        )
        return found, folder

    run.y, run.x, run.fold, run.dosages = y, x, fold, dosages
    return run


def test_the_step(study):
    found, folder = study()
    models = {name: v["estimate"] for name, v in found["measures"]["r2"]["models"].items()}
    # the square of the first covariate explains nearly half of the variance, the three variants 7 %
    assert models["deepnull"] > models["linear"] + 0.2
    assert models["linear_score"] > models["linear"] + 0.02
    assert models["deepnull_score"] > models["deepnull"] + 0.03
    gain = found["measures"]["r2"]["differences"]["deepnull_score - linear_score"]
    assert 0 < gain["low"] < gain["estimate"] < gain["high"]
    assert all(entry["used"] and entry["variants"] >= 1 for entry in found["score"]["by_fold"]["deepnull"])
    people = read_parquet(folder / "people.parquet", PEOPLE)
    assert r2_score(study.y, people["deepnull_score"]) == pytest.approx(models["deepnull_score"])
    table = pd.read_csv(folder / "out.tsv", sep="\t")
    assert len(table) == len(MODELS) + 4
    assert read_json(folder / "out.json")["units"] == 600
    assert found["warnings"] == []


def test_linear_arms_equal_plain_regression(study):
    _, folder = study()
    people = read_parquet(folder / "people.parquet")
    for f in range(K):
        others, here = study.fold != f, study.fold == f
        fit = LinearRegression().fit(study.x[others], study.y[others])
        np.testing.assert_allclose(people["linear"][here], fit.predict(study.x[here]), rtol=1e-9)


def test_a_persons_phenotype_moves_nothing_of_their_own(study):
    """Through all of it: DeepNull, nested predictions, score, threshold and models."""
    y, person = study.y.copy(), 23
    y[person] += 10
    before, after = study("a")[1], study("b", y=y)[1]
    one, two = read_parquet(before / "people.parquet"), read_parquet(after / "people.parquet")
    own = study.fold == study.fold[person]
    for name in ("score_linear", "score_deepnull", *MODELS):
        np.testing.assert_array_equal(one[name][own], two[name][own])
        assert (one[name][~own] != two[name][~own]).any()


def test_the_same_bytes_again(study):
    _, folder = study()
    first = [(folder / f).read_bytes() for f in ("out.json", "out.tsv", "people.parquet")]
    study()
    assert first == [(folder / f).read_bytes() for f in ("out.json", "out.tsv", "people.parquet")]


def test_binary_trait(study):
    found, _ = study(y=(study.y > np.median(study.y)).astype(float), trait="binary")
    auc = {name: v["estimate"] for name, v in found["measures"]["auc"]["models"].items()}
    assert auc["deepnull"] > auc["linear"] + 0.03
    assert auc["deepnull_score"] > auc["deepnull"]
    assert set(found["measures"]) == {"auc", "r2_nagelkerke"}
    assert found["cases"] == found["controls"] == 300


def test_score_from_a_file(study, tmp_path):
    table = weights_of(80)
    table["effect_weight"] = 0.0
    table.loc[[10, 40, 70], "effect_weight"] = 0.5
    found, folder = study(score_file=write_weights(tmp_path / "w.txt", table), method="file")
    people = read_parquet(folder / "people.parquet")
    np.testing.assert_allclose(
        people["score_linear"], 0.5 * imputed(study.dosages)[[10, 40, 70]].sum(axis=0), atol=1e-5
    )
    np.testing.assert_array_equal(people["score_linear"], people["score_deepnull"])
    assert found["score"]["rows"]["matched"] == found["score"]["used"] == 80
    assert found["score"]["header"]["pgs_id"] == "PGS000001"
    models = {name: v["estimate"] for name, v in found["measures"]["r2"]["models"].items()}
    assert models["linear_score"] > models["linear"] + 0.04
    # what the file declares is repeated, and what is made of it
    ratios = table.assign(effect_weight=np.exp(table["effect_weight"]), note="x")
    path = write_weights(tmp_path / "or.txt", ratios, "#weight_type=OR\n#genome_build=GRCh37\n")
    again, other = study("or", score_file=path, method="file")
    np.testing.assert_allclose(
        read_parquet(other / "people.parquet")["score_linear"], people["score_linear"], atol=1e-5
    )
    assert again["score"]["header"]["weight_type"] == "OR"
    said = ["columns that are not understood and not used: note", "weight_type=OR: natural logarithms of the weights"]
    for words, warning, whole in zip(said, again["score"]["warnings"], again["warnings"], strict=True):
        assert warning.startswith(words) and whole == f"{path}: {warning}"


def test_without_a_score_the_models_with_it_are_those_without(study):
    found, _ = study(method="file")
    assert found["score"]["method"] == "none"
    assert found["measures"]["r2"]["differences"]["linear_score - linear"] == {"estimate": 0, "low": 0, "high": 0}


def test_a_level_that_only_one_fold_has_is_reported(study):
    site = np.zeros(600)
    site[np.flatnonzero(study.fold == 2)[:3]] = 1
    found, _ = study(site=site)
    assert found["not_estimated"] == [{"covariate": "site[D]", "fold": 2, "people": 3}]
    assert "covariate site[D] is constant outside fold 2: no effect for 3 people there" in found["warnings"]


def test_a_failed_study_is_written_down(study):
    found, folder = study(status="failed")
    assert (found["status"], found["stage"], found["reason"]) == ("failed", "assemble_study", "why")
    assert len(read_parquet(folder / "people.parquet", PEOPLE)) == 0
    assert len(pd.read_csv(folder / "out.tsv", sep="\t")) == 0


def test_families_in_several_folds_are_counted():
    assert _straddling(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0])) == 1
    assert _straddling(np.array([0, 0, 1]), np.array([1, 1, 1])) == 0


def test_the_table_of_a_cohort(study, tmp_path):
    _, good = study("good")
    _, failed = study("failed", status="failed")
    collect_accuracies([good / "out.json", failed / "out.json"], tmp_path / "all.tsv")
    table = pd.read_csv(tmp_path / "all.tsv", sep="\t")
    assert table["study"].tolist() == ["good"] * 8 + ["failed"]
    assert table["reason"].iloc[-1] == "why"
    own = pd.read_csv(good / "out.tsv", sep="\t")
    pd.testing.assert_frame_equal(table.iloc[:8][own.columns].astype(own.dtypes), own)
