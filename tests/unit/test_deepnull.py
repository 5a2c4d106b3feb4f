"""DeepNull: folds, purity, determinism, accuracy, failures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.folds import assign_folds, derive_seed, roles
from deepnull_gwas.deepnull.linear import fit_linear
from deepnull_gwas.deepnull.metrics import auc, measure
from deepnull_gwas.deepnull.network import DeepNull
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.steps import assign_study_folds, merge_folds, network_columns, train_fold
from deepnull_gwas.deepnull.training import FoldModel, fit_fold
from deepnull_gwas.errors import InputError, StudyFailure
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet

QUICK = Recipe(max_epochs=30, patience=8, ensemble=2)


def simulate(n: int, seed: int = 0, linear: bool = False, binary: bool = False):
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.uniform(40, 70, n), rng.integers(1, 3, n), rng.normal(size=(n, 3))])
    a = (x[:, 0] - 55) / 8.66
    truth = 0.4 * a + 0.3 * x[:, 1] + (0 if linear else 1.2 * a**2 * (x[:, 1] - 1.5) + np.sin(2 * x[:, 2]))
    if binary:
        return x, (truth - truth.mean() + rng.logistic(size=n) > 0).astype(float), truth
    return x, truth + rng.normal(size=n), truth


def folds_of(n: int, k: int = 5) -> np.ndarray:
    return assign_folds([f"p{i}" for i in range(n)], k, 1)


def test_folds_are_even_and_depend_on_names_only():
    names = [f"p{i}" for i in range(1003)]
    fold = assign_folds(names, 5, 7)
    assert np.ptp(np.bincount(fold)) <= 1
    order = np.random.default_rng(1).permutation(1003)
    np.testing.assert_array_equal(assign_folds([names[i] for i in order], 5, 7), fold[order])
    assert (assign_folds(names, 5, 8) != fold).any()


def test_families_stay_together_and_cases_are_spread():
    rng = np.random.default_rng(2)
    groups = [f"f{i}" for i in rng.integers(0, 400, 1000)]
    case = (rng.random(1000) < 0.05).astype(int)
    fold = assign_folds([f"p{i}" for i in range(1000)], 5, 3, groups, case)
    assert pd.DataFrame({"g": groups, "f": fold}).groupby("g")["f"].nunique().max() == 1
    cases = np.bincount(fold[case == 1], minlength=5)
    assert np.ptp(cases) <= 2


def test_roles_part_everybody():
    fold = folds_of(100)
    for evaluated in range(5):
        train, validation, evaluation = roles(fold, evaluated, 5)
        np.testing.assert_array_equal(train.astype(int) + validation + evaluation, 1)
        assert set(fold[validation]) == {(evaluated - 1) % 5}


def test_seed_depends_on_names():
    assert derive_seed(1, "a", 2) != derive_seed(1, "a", 3)
    assert derive_seed(1, "a", 2) == derive_seed(1, "a", 2) < 2**63


@pytest.mark.parametrize("binary", [False, True])
def test_own_value_and_that_of_the_fold_do_not_move_a_prediction(binary):
    """Out-of-fold purity: whatever happens to the phenotypes of a fold, its people's predictions stay bit for bit."""
    x, y, _ = simulate(400, binary=binary)
    fold = folds_of(400)
    trait = "binary" if binary else "quantitative"
    before, linear, _ = crossfit(x, y, fold, QUICK, 1, trait)
    changed = y.copy()
    changed[fold == 2] = (
        np.random.default_rng(9).permutation(changed[fold == 2]) if binary else changed[fold == 2] + 100
    )
    after, linear_after, _ = crossfit(x, changed, fold, QUICK, 1, trait)
    np.testing.assert_array_equal(before[fold == 2], after[fold == 2])
    np.testing.assert_array_equal(linear[fold == 2], linear_after[fold == 2])
    assert (before[fold == 3] != after[fold == 3]).any()


def test_same_bytes_whatever_the_number_of_threads():
    x, y, _ = simulate(500)
    fold = folds_of(500)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, _, _ = crossfit(x, y, fold, QUICK, 4)
        torch.set_num_threads(2)
        two, _, _ = crossfit(x, y, fold, QUICK, 4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert one.tobytes() == two.tobytes()
    other, _, _ = crossfit(x, y, fold, QUICK, 5)
    assert one.tobytes() != other.tobytes()


def test_network_starts_at_the_linear_model():
    x, y, _ = simulate(300)
    z = (x - x.mean(0)) / x.std(0)
    beta, intercept = fit_linear(z, y, "quantitative")
    network = DeepNull(
        5, (64, 64, 32, 16), 3, torch.from_numpy(beta).float(), intercept, torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        out = network(torch.from_numpy(z).float()).numpy()
    for row in out:
        # float32
        np.testing.assert_allclose(row, z @ beta + intercept, rtol=1e-4, atol=1e-5)


def test_linear_models_against_numpy_and_sklearn():
    x, y, _ = simulate(800)
    z = (x - x.mean(0)) / x.std(0)
    beta, intercept = fit_linear(z, y, "quantitative")
    expected = np.linalg.lstsq(np.column_stack([np.ones(800), z]), y, rcond=None)[0]
    # the ridge of 1e-6 moves them by about as much
    np.testing.assert_allclose(np.r_[intercept, beta], expected, rtol=1e-4, atol=1e-5)
    x, y, _ = simulate(800, binary=True)
    beta, intercept = fit_linear(z, y, "binary")
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(z, y)
    np.testing.assert_allclose(np.r_[intercept, beta], np.r_[other.intercept_, other.coef_[0]], rtol=1e-3, atol=1e-4)
    # a covariate that separates cases from controls stays finite
    assert np.isfinite(fit_linear(np.column_stack([z, y * 2 - 1]), y, "binary")[0]).all()


def test_standardised_on_the_training_part_only():
    x, y, _ = simulate(300)
    model, _ = fit_fold(x[:200], y[:200], x[200:], y[200:], list("abcde"), "quantitative", QUICK, 1)
    np.testing.assert_allclose(model.mean, x[:200].mean(axis=0))
    np.testing.assert_allclose(model.scale, x[:200].std(axis=0))
    assert model.y_mean == pytest.approx(y[:200].mean())


def test_scale_of_covariates_and_constants_do_not_matter():
    x, y, _ = simulate(400)
    fold = folds_of(400)
    one, _, _ = crossfit(x, y, fold, QUICK, 1)
    other, _, _ = crossfit(np.column_stack([x[:, 0] * 1000 + 5, x[:, 1:], np.full(400, 3.0)]), y, fold, QUICK, 1)
    # float32 covariates differ in the last bit, and training amplifies it
    assert np.corrcoef(one, other)[0, 1] > 0.999


def test_gains_where_effects_are_not_linear_and_loses_nothing_where_they_are():
    x, y, truth = simulate(3000, 1)
    fold = folds_of(3000)
    prediction, linear, _ = crossfit(x, y, fold, Recipe(), 1)
    best = measure(y, truth, "quantitative")["r2"]
    ours, base = measure(y, prediction, "quantitative")["r2"], measure(y, linear, "quantitative")["r2"]
    # most of what there is to gain at this size
    assert ours > base + 0.75 * (best - base)
    x, y, _ = simulate(3000, 1, linear=True)
    prediction, linear, _ = crossfit(x, y, fold, Recipe(), 1)
    assert measure(y, prediction, "quantitative")["r2"] > measure(y, linear, "quantitative")["r2"] - 0.004


def test_binary_is_a_logit_and_gains():
    x, y, _ = simulate(4000, 2, binary=True)
    fold = assign_folds([f"p{i}" for i in range(4000)], 5, 1, stratum=y.astype(int))
    prediction, linear, _ = crossfit(x, y, fold, Recipe(), 1, "binary")
    ours, base = measure(y, prediction, "binary"), measure(y, linear, "binary")
    assert ours["auc"] > base["auc"] + 0.03
    assert ours["log_loss"] < base["log_loss"]
    assert prediction.min() < 0 < prediction.max()


def test_measures_against_sklearn():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 500).astype(float)
    score = np.round(y + rng.normal(size=500), 1)
    assert auc(y, score) == pytest.approx(roc_auc_score(y, score))
    assert measure(y, score, "binary")["log_loss"] == pytest.approx(log_loss(y, 1 / (1 + np.exp(-score))))


def test_saved_model_predicts_the_same_without_pickle(tmp_path):
    x, y, _ = simulate(400)
    model, _ = fit_fold(x[:300], y[:300], x[300:], y[300:], list("abcde"), "quantitative", QUICK, 1)
    model.save(tmp_path / "m.npz")
    again = FoldModel.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(InputError, match="trained on 5: a, b, c, d, e"):
        again.predict(x[:, :3])
    np.savez(tmp_path / "bad.npz", head=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        FoldModel.load(tmp_path / "bad.npz")


def test_expected_failures():
    x, y, _ = simulate(100)
    with pytest.raises(StudyFailure, match="no cases"):
        fit_fold(x, np.zeros(100), x, y > 0, list("abcde"), "binary", QUICK, 1)
    with pytest.raises(StudyFailure, match="no people"):
        fit_fold(x, y, x[:0], y[:0], list("abcde"), "quantitative", QUICK, 1)
    with pytest.raises(StudyFailure, match="not finite"):
        fit_fold(x, y, x, y, list("abcde"), "quantitative", Recipe(learning_rate=1e30, max_epochs=20), 1)


def test_recipe_names_unknown_keys():
    assert Recipe.from_dict({"hidden": [8]}).hidden == (8,)
    with pytest.raises(InputError, match="did you mean 'patience'"):
        Recipe.from_dict({"patiense": 3})


def test_network_columns():
    columns = ["sample_index", "cov_age", "cov_PC1", "cov_PC10", "cov_PCR_plate"]
    assert network_columns(columns, True) == ["cov_age", "cov_PC1", "cov_PC10", "cov_PCR_plate"]
    assert network_columns(columns, False) == ["cov_age", "cov_PCR_plate"]


def study_files(folder, n=300, status="ok", binary=False, cases=None):
    x, y, _ = simulate(n, binary=binary)
    if cases is not None:
        y[:] = 0
        y[:cases] = 1
    frame = pd.DataFrame(
        {"sample_index": np.arange(n) * 2, "fid": "0", "iid": [f"p{i}" for i in range(n)], "phenotype": y}
    )
    frame[[f"cov_{c}" for c in "abcde"]] = x
    if status != "ok":
        frame = frame.iloc[:0]
    write_parquet(frame, folder / "samples.parquet")
    about = {
        "study": "s",
        "cohort": "c",
        "trait": "binary" if binary else "quantitative",
        "status": status,
        "stage": "assemble_study",
        "reason": "no people",
    }
    write_json(about, folder / "study.json")
    return frame


def all_steps(folder, settings):
    samples, study, folds = folder / "samples.parquet", folder / "study.json", folder / "folds.parquet"
    assign_study_folds(samples, study, settings["folds"], 1, folds)
    parts = []
    for fold in range(settings["folds"]):
        parts.append([folder / f"fold_{fold}.{s}" for s in ("parquet", "json", "npz")])
        train_fold(samples, study, folds, fold, settings, 1, *parts[-1])
    merge_folds(
        samples,
        study,
        folds,
        [p[0] for p in parts],
        [p[1] for p in parts],
        folder / "prediction.parquet",
        folder / "metrics.json",
    )
    return read_json(folder / "metrics.json"), read_parquet(folder / "prediction.parquet")


SETTINGS = {"folds": 3, "use_pcs": True, "recipe": {"max_epochs": 5, "ensemble": 1}}


def test_steps_from_files_to_files(tmp_path):
    frame = study_files(tmp_path)
    metrics, prediction = all_steps(tmp_path, SETTINGS)
    assert metrics["status"] == "ok"
    np.testing.assert_array_equal(prediction["sample_index"], frame["sample_index"])
    assert prediction["prediction"].notna().all()
    # a saved fold gives the published predictions of its people
    model = FoldModel.load(tmp_path / "fold_1.npz")
    rows = prediction["fold"] == 1
    np.testing.assert_array_equal(
        model.predict(frame.loc[rows.to_numpy(), [f"cov_{c}" for c in "abcde"]].to_numpy()),
        prediction.loc[rows, "prediction"],
    )


def test_a_failure_is_written_down_and_passed_on(tmp_path):
    for name, options, stage, words in (
        ("failed", {"status": "failed"}, "assemble_study", "no people"),
        ("few", {"binary": True, "cases": 2}, "train_fold", "no cases"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        study_files(folder, **options)
        metrics, prediction = all_steps(folder, SETTINGS)
        assert metrics["status"] == "failed"
        assert metrics["stage"] == stage
        assert words in metrics["reason"]
        assert len(prediction) == 0
