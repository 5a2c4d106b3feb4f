"""The steps of the workflow: files in, files out.

An expected failure of a study is written down as its status, not raised.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.covariates import ONLY_DEEPNULL
from deepnull_gwas.deepnull.fold_steps import FOLDS
from deepnull_gwas.deepnull.folds import derive_seed
from deepnull_gwas.deepnull.metrics import in_words
from deepnull_gwas.deepnull.recipe import AUTO, ORIGINAL, Recipe, weights_in_words
from deepnull_gwas.deepnull.saved import model_of
from deepnull_gwas.deepnull.summary import heritable_among, heritable_warning, summarise_folds
from deepnull_gwas.errors import InputError, StudyFailure
from deepnull_gwas.logs import duration
from deepnull_gwas.tables import Column, read_json, read_npz, read_parquet, write_json, write_npz, write_parquet

if TYPE_CHECKING:
    from deepnull_gwas.deepnull.crossfit import FoldResult

logger = logging.getLogger(__name__)

STAGE = "train_folds"
BY_MODEL = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    Column("fold", "int32", "fold that the person is in"),
    # by_linear, by_splines, ...: the same by each model
    Column(
        "phenotype_prediction",
        "float64",
        "DeepNull prediction in units of the phenotype as analysed; a logit for binary traits",
    ),
    Column(
        "deepnull_covariate",
        "float64",
        "what it has beyond the linear part that the association fits itself; of the original all",
    ),
]
INNER = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    # inner_0, inner_1, ...: the covariate of the deepnull arm by models that have seen neither that fold nor the
    # person; NaN in the fold itself
]
PREDICTION = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    Column("fold", "int32", "fold that the person is in"),
    Column(
        "deepnull_covariate",
        "float64",
        "covariate of the deepnull arm: what the out-of-fold prediction has beyond its linear part (binary: logits)",
    ),
    Column("phenotype_prediction", "float64", "the out-of-fold prediction itself; a logit for binary traits"),
]


@dataclass(frozen=True)
class FoldFiles:
    """What the training of a study's folds comes to, in files.

    Attributes
    ----------
    predictions
        by_model.parquet: out-of-fold predictions, of each model too. Empty for a study that failed.
    metrics
        by_fold.json: what each fold's training came to.
    models
        models.npz: each fold's arrays under its number. Empty for a study that failed.
    inner
        inner.parquet: one column per fold, the covariate of everybody outside it by models that have seen neither the
        fold nor the person; None: not written. Whoever fits something on the covariate and predicts the fold by it
        (:mod:`deepnull_gwas.scores`) needs it: the covariate of prediction.parquet comes from models that have seen
        the other folds.
    """

    predictions: str | Path
    metrics: str | Path
    models: str | Path
    inner: str | Path | None = None


def network_columns(columns: Sequence[str], use_pcs: bool) -> list[str]:
    """Return the covariate columns that the network sees."""
    covariates = [c for c in columns if c.startswith(("cov_", ONLY_DEEPNULL))]
    if use_pcs:
        return covariates
    return [c for c in covariates if not (c.startswith("cov_PC") and c.removeprefix("cov_PC").isdigit())]


def inputs_of(columns: Sequence[str], info: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Return the covariate columns that the models see.

    Parameters
    ----------
    columns
        Columns of samples.parquet: ``cov_...`` of the association, and those that only feed the prediction.
    info
        study.json: which columns each covariate has.
    settings
        ``use_pcs``, and ``covariates``: names of the covariates to take (all where it is None).

    Raises
    ------
    StudyFailure
        When none are left.
    """
    seen = network_columns(columns, settings.get("use_pcs", True))
    if settings.get("covariates") is not None:
        known = [*info.get("covariates", []), *info.get("deepnull_covariates", [])]
        of_name = {c["name"]: c["columns"] for c in known if c.get("kind") != "pc"}
        wanted = {column for name in settings["covariates"] for column in of_name.get(name, [f"cov_{name}"])}
        pcs = set(columns) - set(network_columns(columns, False))
        dropped = [name for name in settings["covariates"] if not wanted & set(of_name.get(name, [])) & set(columns)]
        if of_name and dropped:
            logger.warning("constant among the people analysed, and left out: %s", ", ".join(dropped))
        seen = [c for c in seen if c in wanted or c in pcs]
    if not seen:
        raise StudyFailure(
            STAGE, "no covariates for the models to see; leave out the deepnull arm or give it covariates"
        )
    return seen


def _crossfit(
    people: pd.DataFrame,
    columns: Sequence[str],
    names: Sequence[str],
    trait: str,
    fold: np.ndarray,
    settings: Mapping[str, Any],
    recipe: Recipe | str,
    seeds: Sequence[int],
) -> Iterator[FoldResult]:
    """Cross-fit a study on these columns, which people know by these names.

    Parameters as :func:`train_folds` has them.
    """
    # scipy and scikit-learn: not for a study that has failed
    from deepnull_gwas.deepnull.crossfit import Setup, crossfit_folds
    from deepnull_gwas.deepnull.fitting import Choice

    x, y = people[columns].to_numpy(np.float64), people["phenotype"].to_numpy(np.float64)
    only = [j for j, c in enumerate(columns) if c.startswith(ONLY_DEEPNULL)]
    if only:
        logger.info("not in the association: %s", ", ".join(names[j] for j in only))
    logger.info("%d people, %d covariates; about %.0f MB in addition to the libraries", *x.shape, x.nbytes * 12 / 1e6)
    if heritable := heritable_among(settings, names):
        logger.warning("%s", heritable_warning(heritable))
    choice = Choice(settings.get("model", AUTO), settings.get("compare", True))
    return crossfit_folds(x, y, fold, seeds, Setup(names, trait, recipe, choice, settings.get("device", "cpu"), only))


def train_folds(
    samples: str | Path,
    study: str | Path,
    folds: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    out: FoldFiles,
) -> None:
    """Fit the models that predict each fold of a study, and predict it. One job for all folds.

    Starting up costs more than a small fold.

    Parameters
    ----------
    samples, study, folds
        Files of the study.
    settings
        The ``deepnull`` section, with the study's own put over it: model, compare, covariates, use_pcs, recipe, device.
    seed
        Seed of the config.
    out
        Where it goes.
    """
    info = read_json(study)
    people, fold = read_parquet(samples), read_parquet(folds, FOLDS)["fold"].to_numpy()
    index = people["sample_index"].to_numpy(np.int64)
    original = settings.get("recipe") == ORIGINAL
    recipe = ORIGINAL if original else Recipe.from_dict(settings.get("recipe", {}))
    k = int(fold.max(initial=-1)) + 1
    seeds = [derive_seed(seed, info["cohort"], info["study"], "fold", f) for f in range(k)]
    about = {
        "study": info["study"],
        "model": ORIGINAL if original else settings.get("model", AUTO),
        "recipe": ORIGINAL if original else recipe.as_dict(),
    }
    frames, heads, models, inner = [], [], {}, {"sample_index": index}
    began = time.monotonic()
    try:
        if info["status"] != "ok":
            raise StudyFailure(info["stage"], info["reason"])
        columns = inputs_of(list(people.columns), info, settings)
        names = [c.removeprefix("cov_").removeprefix(ONLY_DEEPNULL) for c in columns]
        results = _crossfit(people, columns, names, info["trait"], fold, settings, recipe, seeds)
        for f, result in enumerate(results):
            _log_fold(f, k, result, time.monotonic() - began)
            each = {f"by_{name}": values for name, values in result.each.items()}
            own = {"phenotype_prediction": result.prediction, "deepnull_covariate": result.covariate}
            frame = {"sample_index": index[result.rows], "fold": np.int32(f)} | own | each
            frames.append(pd.DataFrame(frame))
            models |= {f"{f}/{name}": array for name, array in result.model.arrays().items()}
            if result.inner is not None:
                inner[f"inner_{f}"] = np.full(len(people), np.nan)
                inner[f"inner_{f}"][fold != f] = result.inner
            heads.append({"fold": f, "seed": seeds[f], "covariates": names, "columns": columns} | result.history)
        about |= {"status": "ok", "folds": heads}
    except StudyFailure as failure:
        logger.warning("%s", failure)
        frames, models = [pd.DataFrame({c.name: np.empty(0, c.dtype) for c in BY_MODEL})], {}
        about |= {"status": "failed", "stage": failure.stage, "reason": failure.reason, "folds": []}
    # a model that has no weight in some fold is not fitted there, unless models are compared: it is of no fold then
    together = pd.concat(frames, join="inner").sort_values("sample_index", ignore_index=True)
    write_parquet(together, out.predictions, BY_MODEL)
    write_npz(out.models, **models)
    write_json(about, out.metrics)
    if out.inner is not None:
        write_parquet(pd.DataFrame(inner), out.inner, INNER)


def _log_fold(fold: int, k: int, result: FoldResult, seconds: float) -> None:
    """Log what a fold reached, what its models weigh, and how long the rest will take."""
    history = result.history
    linear = history["metrics_of"].get("baseline") or history["metrics_of"].get("linear")
    logger.info(
        "fold %d of %d: %s out of fold%s; %s; %s so far%s",
        fold + 1,
        k,
        in_words(history["metrics"]),
        f" (linear: {in_words(linear)})" if linear else "",
        weights_in_words(history["weights"]),
        duration(seconds),
        f", about {duration(seconds / (fold + 1) * (k - fold - 1))} left" if fold + 1 < k else "",
    )


def merge_folds(
    samples: str | Path,
    study: str | Path,
    folds: str | Path,
    trained: FoldFiles,
    settings: Mapping[str, Any],
    out_prediction: str | Path,
    out_metrics: str | Path,
) -> None:
    """Collect the out-of-fold predictions of a study and measure them against each model.

    Parameters
    ----------
    samples, study, folds
        Files of the study.
    trained
        What :func:`train_folds` wrote.
    settings
        As for :func:`train_folds`.
    out_prediction, out_metrics
        prediction.parquet (one row per analysed person; see Notes) and metrics.json: pooled and per-fold
        measures of the prediction and of each model, their weights, calibration, partial dependence.

    Notes
    -----
    The covariate of the deepnull arm is the prediction less its linear part: the linear model that was cross-fitted
    with it (binary traits: fitted together with what the other models have, see
    :class:`~deepnull_gwas.deepnull.models.FoldModel`). The association has the linear covariates anyway, so nothing is
    lost; but the coefficients of a cross-fitted linear model differ by fold, each away from its own fold's phenotypes,
    and as a covariate these differences act like covariate-by-fold interactions: they would cost about (folds - 1) x
    covariates / n of every chi-square, just where the truth is linear. Where nothing but the linear model helps, the
    covariate is 0 and the arms are equal. Covariates that are not in the association leave their linear part in the
    prediction's covariate: what is taken off is then the linear model of those that are (``baseline``), with which the
    prediction is compared too.
    """
    info = read_json(study)
    about = read_json(trained.metrics)
    if about["status"] != "ok":
        write_parquet(pd.DataFrame({c.name: np.empty(0, c.dtype) for c in PREDICTION}), out_prediction, PREDICTION)
        failure = {"study": info["study"], "trait": info["trait"], "status": "failed"}
        write_json(failure | {"stage": about["stage"], "reason": about["reason"]}, out_metrics)
        return
    people, parts = read_parquet(samples), read_parquet(folds, FOLDS)
    together = read_parquet(trained.predictions, BY_MODEL).set_index("sample_index").reindex(people["sample_index"])
    if absent := int(together["phenotype_prediction"].isna().sum()):
        raise InputError(
            f"{out_prediction}: {absent} analysed people have no prediction; delete the folder and run again"
        )
    fitted = [load_model(trained.models, h["fold"]) for h in about["folds"]]
    summary = summarise_folds(info, about, people, parts["fold"].to_numpy(), together, fitted, settings)
    logger.info("all folds together: %s out of fold; each model:", in_words(summary["deepnull"]))
    for name, measures in summary["models"].items():
        logger.info("  %-12s %s", name.replace("_", " "), in_words(measures))
    frame = pd.DataFrame(
        {
            "sample_index": people["sample_index"].to_numpy(np.int64),
            "fold": parts["fold"].to_numpy(np.int32),
            "deepnull_covariate": together["deepnull_covariate"].to_numpy(),
            "phenotype_prediction": together["phenotype_prediction"].to_numpy(),
        }
    )
    write_parquet(frame, out_prediction, PREDICTION)
    write_json(summary, out_metrics)


def load_model(path: str | Path, fold: int) -> Any:
    """Load a fold's model from models.npz, of the default or the original recipe; refuses pickled content."""
    every = read_npz(path)
    arrays = {name.removeprefix(f"{fold}/"): array for name, array in every.items() if name.startswith(f"{fold}/")}
    return model_of(arrays)
