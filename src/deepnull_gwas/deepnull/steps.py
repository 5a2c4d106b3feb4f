"""The steps of the workflow: files in, files out. An expected failure of a study is written down as its status, not raised."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.deepnull.folds import assign_folds, derive_seed
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.tables import Column, atomic_path, read_json, read_parquet, write_json, write_parquet

logger = logging.getLogger(__name__)

FOLDS = [Column("sample_index", "int64", "row of the .fam"), Column("fold", "int32", "fold that predicts the person")]
FOLD = [
    Column("sample_index", "int64", "row of the .fam"),
    Column(
        "prediction", "float64", "DeepNull prediction in units of the phenotype as analysed; a logit for binary traits"
    ),
    Column("linear", "float64", "prediction by the linear model of the same training part"),
]
PREDICTION = [
    Column("sample_index", "int64", "row of the .fam"),
    Column("fold", "int32", "fold that the person is in"),
    Column("prediction", "float64", "out-of-fold DeepNull prediction; a logit for binary traits"),
]


def assign_study_folds(
    samples: str | Path, study: str | Path, k: int, seed: int, out: str | Path, families: str | Path | None = None
) -> None:
    """Part the people of a study into folds; families stay together, binary traits are stratified.

    A family are the people with the same FID (where it is not the IID), joined with those whom kinship joins.

    Parameters
    ----------
    samples, study
        samples.parquet and study.json of the study.
    k, seed
        Number of folds; seed of the config.
    out
        folds.parquet.
    families
        structure/families.parquet, where kinship was estimated.
    """
    people = read_parquet(samples)
    info = read_json(study)
    fid, iid = people["fid"].astype(str), people["iid"].astype(str)
    # PLINK's ways to say "no family": FID 0, or the same FID for everybody
    alone = fid.isin(["0", ""]) | (fid.nunique() == 1)
    groups = np.where(alone, "\x1e" + iid, fid)
    if families is not None:
        groups = _join(groups, read_parquet(families, columns=["sample_index", "family"]), people["sample_index"])
    stratum = people["phenotype"].to_numpy().astype(int) if info["trait"] == "binary" else None
    names = [f"{f} {i}" for f, i in zip(fid, iid)]
    fold = assign_folds(names, k, derive_seed(seed, info["cohort"], info["study"], "folds"), groups, stratum)
    frame = pd.DataFrame({"sample_index": people["sample_index"].to_numpy(np.int64), "fold": fold})
    logger.info(
        "%d people, %d families of more than one, folds of %s",
        len(frame),
        int((pd.Series(groups).value_counts() > 1).sum()),
        np.bincount(fold, minlength=k).tolist(),
    )
    write_parquet(frame, out, FOLDS)


def _join(groups: np.ndarray, families: pd.DataFrame, sample_index: pd.Series) -> np.ndarray:
    """Join the groups that share a family found by kinship: each then has the name of its first member."""
    family = families.set_index("sample_index")["family"].reindex(sample_index).to_numpy()
    name = {}
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            group = parent[group]
        return group

    for group, number in zip(groups, family):
        a = root(str(group))
        if not np.isnan(number):
            b = root(name.setdefault(number, a))
            first, last = sorted((a, b))
            parent[last] = first
    return np.array([root(str(group)) for group in groups], dtype=object)


def network_columns(columns: Sequence[str], use_pcs: bool) -> list[str]:
    """Give the covariate columns that the network sees."""
    covariates = [c for c in columns if c.startswith("cov_")]
    if use_pcs:
        return covariates
    return [c for c in covariates if not (c.startswith("cov_PC") and c.removeprefix("cov_PC").isdigit())]


def train_fold(
    samples: str | Path,
    study: str | Path,
    folds: str | Path,
    fold: int,
    settings: Mapping[str, Any],
    seed: int,
    out_prediction: str | Path,
    out_metrics: str | Path,
    out_model: str | Path,
) -> None:
    """Train the model that predicts one fold of a study, and predict it.

    Parameters
    ----------
    samples, study, folds
        Files of the study.
    fold
        The fold to predict.
    settings
        The ``deepnull`` section: folds, use_pcs, recipe, and optionally device.
    seed
        Seed of the config.
    out_prediction, out_metrics, out_model
        fold_{fold}.parquet, .json and .npz.
    """
    info = read_json(study)
    people, parts = read_parquet(samples), read_parquet(folds, FOLDS)
    recipe = Recipe.from_dict(settings.get("recipe", {}))
    own_seed = derive_seed(seed, info["cohort"], info["study"], "fold", fold)
    head = {"study": info["study"], "fold": fold, "seed": own_seed, "recipe": recipe.as_dict()}
    try:
        if info["status"] != "ok":
            raise StudyFailure(info["stage"], info["reason"])
        columns = network_columns(list(people.columns), settings.get("use_pcs", True))
        if not columns:
            raise StudyFailure(
                "train_fold", "no covariates for the network to see; leave out the deepnull arm or give it covariates"
            )
        from deepnull_gwas.deepnull.crossfit import crossfit_fold

        x, y = people[columns].to_numpy(np.float64), people["phenotype"].to_numpy(np.float64)
        logger.info(
            "%d people, %d covariates; about %.0f MB beside the libraries",
            *x.shape,
            (x.nbytes * 4 + len(x) * sum(recipe.hidden) * 8) / 1e6,
        )
        names = [c.removeprefix("cov_") for c in columns]
        result = crossfit_fold(
            x,
            y,
            parts["fold"].to_numpy(),
            fold,
            settings["folds"],
            names,
            info["trait"],
            recipe,
            own_seed,
            settings.get("device", "cpu"),
        )
    except StudyFailure as failure:
        logger.warning("%s", failure)
        write_parquet(pd.DataFrame({c.name: np.empty(0, c.dtype) for c in FOLD}), out_prediction, FOLD)
        with atomic_path(out_model) as temporary, open(temporary, "wb") as file:
            np.savez(file)
        write_json(head | {"status": "failed", "stage": failure.stage, "reason": failure.reason}, out_metrics)
        return
    logger.info("fold %d: %s, linear %s", fold, result.history["metrics"], result.history["metrics_linear"])
    index = people["sample_index"].to_numpy(np.int64)[result.rows]
    write_parquet(
        pd.DataFrame({"sample_index": index, "prediction": result.prediction, "linear": result.linear}),
        out_prediction,
        FOLD,
    )
    result.model.save(out_model)
    write_json(head | {"status": "ok", "covariates": names} | result.history, out_metrics)


def merge_folds(
    samples: str | Path,
    study: str | Path,
    folds: str | Path,
    predictions: Sequence[str | Path],
    metrics: Sequence[str | Path],
    out_prediction: str | Path,
    out_metrics: str | Path,
) -> None:
    """Collect the out-of-fold predictions of a study and measure them against the linear model.

    Parameters
    ----------
    samples, study, folds
        Files of the study.
    predictions, metrics
        fold_{fold}.parquet and .json in the order of folds.
    out_prediction, out_metrics
        prediction.parquet (one row an analysed person) and metrics.json.
    """
    info = read_json(study)
    heads = [read_json(path) for path in metrics]
    failed = next((h for h in heads if h["status"] != "ok"), None)
    summary: dict[str, Any] = {"study": info["study"], "trait": info["trait"]}
    if failed is not None:
        reason = failed["reason"] if failed["stage"] != "train_fold" else f"fold {failed['fold']}: {failed['reason']}"
        summary |= {"status": "failed", "stage": failed["stage"], "reason": reason}
        write_parquet(pd.DataFrame({c.name: np.empty(0, c.dtype) for c in PREDICTION}), out_prediction, PREDICTION)
        write_json(summary, out_metrics)
        return
    people = read_parquet(samples, columns=["sample_index", "phenotype"])
    parts = read_parquet(folds, FOLDS)
    merged = pd.concat([read_parquet(path, FOLD) for path in predictions]).set_index("sample_index")
    if merged.index.has_duplicates or set(merged.index) != set(people["sample_index"]):
        raise ValueError("the folds' predictions are not of the analysed people, once each")
    merged = merged.reindex(people["sample_index"])
    y, prediction, linear = people["phenotype"].to_numpy(), merged["prediction"].to_numpy(), merged["linear"].to_numpy()
    summary |= {
        "status": "ok",
        "n": len(people),
        "deepnull": measure(y, prediction, info["trait"]),
        "linear": measure(y, linear, info["trait"]),
        "folds": [
            {
                "fold": h["fold"],
                "deepnull": h["metrics"],
                "linear": h["metrics_linear"],
                "weight": h["weight"],
                "people": h["people"],
                "seed": h["seed"],
            }
            for h in heads
        ],
        "covariates": heads[0]["covariates"],
        "recipe": heads[0]["recipe"],
    }
    logger.info("out of fold, pooled: %s, linear %s", summary["deepnull"], summary["linear"])
    frame = pd.DataFrame(
        {
            "sample_index": people["sample_index"].to_numpy(np.int64),
            "fold": parts["fold"].to_numpy(np.int32),
            "prediction": prediction,
        }
    )
    write_parquet(frame, out_prediction, PREDICTION)
    write_json(summary, out_metrics)
