"""Simulated people, a quick recipe, and studies as files, for the tests of DeepNull."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepnull_gwas.deepnull.fitting import People, fit_folds
from deepnull_gwas.deepnull.fold_steps import assign_study_folds
from deepnull_gwas.deepnull.folds import assign_folds
from deepnull_gwas.deepnull.models import FoldModel
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.steps import FoldFiles, merge_folds, train_folds
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet

QUICK = Recipe(hidden=(16, 8), max_epochs=6, patience=3)


def fit_alone(x, y, part, columns, trait, recipe, seed) -> FoldModel:
    """Fit the models of one fold by themselves."""
    return fit_folds([People(x, y, part, seed)], columns, trait, recipe)[0][0]


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
    original = settings["recipe"] == "original"
    assign_study_folds(samples, study, settings["folds"], 1, folds, original=original)
    trained = FoldFiles(*(folder / f for f in ("by_model.parquet", "by_fold.json", "models.npz", "inner.parquet")))
    train_folds(samples, study, folds, settings, 1, trained)
    merge_folds(
        samples,
        study,
        folds,
        trained,
        settings,
        folder / "prediction.parquet",
        folder / "metrics.json",
    )
    return read_json(folder / "metrics.json"), read_parquet(folder / "prediction.parquet")


SETTINGS = {"folds": 3, "use_pcs": True, "recipe": {"hidden": [8], "max_epochs": 3, "ensemble": 1}}
