"""The step of the workflow: files of a study in, the accuracy of its phenotype's prediction out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.deepnull.fold_steps import FOLDS, family_groups
from deepnull_gwas.deepnull.folds import derive_seed
from deepnull_gwas.deepnull.steps import INNER, PREDICTION
from deepnull_gwas.scores.accuracy import accuracy, fit_and_predict
from deepnull_gwas.scores.candidates import Candidates, CohortFiles, candidate_scores
from deepnull_gwas.scores.clumping import Sample
from deepnull_gwas.tables import Column, read_json, read_parquet, write_json, write_parquet, write_tsv
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

STAGE = "score_study"
#: The models, and what they hold in words (principal components are among the covariates).
MODELS = {
    "linear": "covariates",
    "deepnull": "covariates and the DeepNull prediction",
    "linear_score": "covariates and score",
    "deepnull_score": "covariates, the DeepNull prediction and score",
}
#: What is compared, within the same people.
DIFFERENCES = [
    ("deepnull", "linear"),
    ("deepnull_score", "linear_score"),
    ("linear_score", "linear"),
    ("deepnull_score", "deepnull"),
]
PEOPLE = [
    Column("sample_index", "int64", "number of the person in the genotype files"),
    Column("fold", "int32", "fold that the person is in: nothing here rests on a phenotype of it"),
    Column("score_linear", "float64", "polygenic score, trained with the covariates (or of the file of weights)"),
    Column("score_deepnull", "float64", "the same, trained with the DeepNull prediction as one more covariate"),
    *(Column(name, "float64", f"out-of-fold prediction from {words}; binary: logit") for name, words in MODELS.items()),
]


@dataclass(frozen=True)
class StudyFiles:
    """Files of the study.

    Attributes
    ----------
    samples, study
        samples.parquet and study.json.
    folds, prediction, inner
        folds.parquet, prediction.parquet and inner.parquet of its DeepNull prediction.
    families
        structure/families.parquet, where kinship was estimated: families are what is resampled.
    """

    samples: str | Path
    study: str | Path
    folds: str | Path
    prediction: str | Path
    inner: str | Path
    families: str | Path | None = None


@dataclass(frozen=True)
class Published:
    """Where it goes.

    Attributes
    ----------
    accuracy, table, people
        accuracy.json, the same as a table, and predictions and scores of the people.
    """

    accuracy: str | Path
    table: str | Path
    people: str | Path


@dataclass(frozen=True)
class _Study:
    """A study in arrays.

    Phenotype float64[n] and its trait; fold int[n]; covariates float64[n, p] and their names; DeepNull covariate
    by models that have not seen each fold, float64[n, k].
    """

    y: np.ndarray
    trait: str
    fold: np.ndarray
    x: np.ndarray
    names: list[str]
    held: np.ndarray


@dataclass(frozen=True)
class _OutOfFold:
    """What the models come to, out of fold.

    Predictions by model and scores by arm, float64[n] each; by arm, which score each fold used; and the people of a
    covariate that is constant outside their fold.
    """

    predictions: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    chosen: dict[str, list[dict[str, Any]]]
    unseen: list[dict[str, Any]]


def score_study(
    files: StudyFiles,
    cohort: CohortFiles,
    settings: Mapping[str, Any],
    seed: int,
    out: Published,
    score_file: str | Path | None = None,
    threads: int = 1,
) -> dict[str, Any]:
    """Predict a study's phenotype out of fold from covariates and a polygenic score, with and without DeepNull.

    How well is measured on the people whom the models have not seen.

    Parameters
    ----------
    files, cohort
        Files of the study and of its cohort.
    settings
        The ``scores`` section of the config.
    seed
        Seed of the config.
    out
        Where it goes.
    score_file
        Weights in the format of the PGS Catalog; None: a score is trained where ``settings["method"]`` is ``clump``.
    threads
        Blocks of variants at a time; the result does not depend on it.

    Returns
    -------
    What is written into ``out.accuracy``.

    Raises
    ------
    InputError
        When the file of weights is wrong or hardly any of its variants are in the cohort.

    Notes
    -----
    Everything that predicts a fold is made without its phenotypes: the models, the DeepNull covariate and the score of
    its people, and those of the people on whom the models are fitted, which come from nested trainings that have seen
    neither the fold nor them (:mod:`deepnull_gwas.scores.clumping`, and inner.parquet). As in Figure 2 of McCaw et al.
    2022 (Nature Communications 13:241), but on the study's own people. The intervals are over people, with the models
    as they are; they do not hold the chance of the training.
    """
    info = read_json(files.study)
    result: dict[str, Any] = {"study": info["study"], "cohort": info["cohort"], "trait": info["trait"]}
    people = read_parquet(files.samples)
    own = read_parquet(files.prediction, PREDICTION)
    if info["status"] != "ok" or not len(own):
        failed = info["status"] != "ok"
        result |= {
            "status": "failed",
            "stage": info["stage"] if failed else "train_folds",
            "reason": info["reason"] if failed else "there is no DeepNull prediction; deepnull/metrics.json says why",
        }
        logger.warning("nothing to predict: %s", result["reason"])
        return _write(result, pd.DataFrame({c.name: np.empty(0, c.dtype) for c in PEOPLE}), out)
    study, nested = _arrays(files, info, people, own)
    unit = np.unique(family_groups(people, files.families), return_inverse=True)[1]
    result |= _describe(study, unit, nested)
    index = people["sample_index"].to_numpy(np.int64)
    sample = Sample(index, np.column_stack([np.ones(len(study.y)), study.x]), study.held, study.y, study.fold)
    candidates = candidate_scores(cohort, sample, settings, score_file, threads)
    result["score"] = candidates.about
    result["warnings"] += [f"{result['score']['file']}: {words}" for words in result["score"].get("warnings", ())]
    found = _predict_folds(study, candidates)
    result["score"]["by_fold"] = found.chosen
    result["not_estimated"] = found.unseen
    for entry in found.unseen:
        _warn(
            result,
            f"covariate {entry['covariate']} is constant outside fold {entry['fold']}: no effect for "
            f"{entry['people']} people there",
        )
    draws = derive_seed(seed, info["cohort"], info["study"], "prediction")
    result["measures"] = accuracy(
        study.y, found.predictions, study.trait, unit, DIFFERENCES, int(settings["resamples"]), draws
    )
    for measure, values in result["measures"].items():
        told = {m: f"{v['estimate']:.4f} ({v['low']:.4f} to {v['high']:.4f})" for m, v in values["models"].items()}
        logger.info("%s, out of fold: %s", measure, told)
    table = {"sample_index": index, "fold": study.fold.astype(np.int32)}
    table |= {f"score_{arm}": values for arm, values in found.scores.items()} | found.predictions
    return _write(result, pd.DataFrame(table), out)


def _arrays(files: StudyFiles, info: Mapping[str, Any], people: pd.DataFrame, own: pd.DataFrame) -> tuple[_Study, bool]:
    """Return a study in arrays, and whether its DeepNull covariate is nested."""
    fold = read_parquet(files.folds, FOLDS)["fold"].to_numpy()
    names = [c for c in people.columns if c.startswith("cov_")]
    inner = read_parquet(files.inner, INNER)
    held, nested = _deepnull_covariate(own["deepnull_covariate"].to_numpy(), inner, fold, int(fold.max()) + 1)
    y, x = people["phenotype"].to_numpy(np.float64), people[names].to_numpy(np.float64)
    return _Study(y, info["trait"], fold, x, names, held), nested


def _describe(study: _Study, unit: np.ndarray, nested: bool) -> dict[str, Any]:
    """Return what is reported of the people, with warnings of what makes the measures less than out of fold."""
    result = {"status": "ok", "n": len(study.y), "folds": study.held.shape[1], "units": int(unit.max()) + 1}
    result |= {"warnings": []}
    if trait_of(study.trait).has_cases:
        result |= {"cases": int((study.y == 1).sum()), "controls": int((study.y == 0).sum())}
    if not nested:
        _warn(
            result,
            "the recipe has no nested predictions: the weight of the DeepNull covariate is fitted on one that has "
            "seen the predicted fold",
        )
    if straddling := _straddling(unit, study.fold):
        _warn(
            result,
            f"{straddling} families have people in more than one fold (deepnull.fold_file): their scores rest on "
            f"relatives' phenotypes",
        )
    return result


def _predict_folds(study: _Study, candidates: Candidates) -> _OutOfFold:
    """Predict each fold by the models (:data:`MODELS`) that are fitted on the others."""
    y, fold, trait = study.y, study.fold, study.trait
    arms = ("linear", "deepnull")
    found = _OutOfFold(
        {name: np.full(len(y), np.nan) for name in MODELS},
        {arm: np.zeros(len(y)) for arm in arms},
        {arm: [] for arm in arms},
        [],
    )
    for f in range(study.held.shape[1]):
        others, here = fold != f, fold == f
        for arm, name in enumerate(arms):
            design = study.x if name == "linear" else np.column_stack([study.x, study.held[:, f]])
            found.predictions[name][here], varies = fit_and_predict(design[others], y[others], design[here], trait)
            if name == "linear":
                found.unseen.extend(_unseen(study.names, varies, study.x[here], f))
            score, about = candidates.choose(arm, f, design, y, others)
            if score is not None:
                found.scores[name][here] = score[here]
            with_score = design if score is None else np.column_stack([design, score])
            found.predictions[f"{name}_score"][here], _ = fit_and_predict(
                with_score[others], y[others], with_score[here], trait
            )
            found.chosen[name].append(about)
    return found


def _warn(result: dict[str, Any], words: str) -> None:
    logger.warning("%s", words)
    result["warnings"].append(words)


def _straddling(unit: np.ndarray, fold: np.ndarray) -> int:
    """Count the families that are in more than one fold."""
    pairs = np.unique(np.column_stack([unit, fold]), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum())


def _deepnull_covariate(own: np.ndarray, inner: pd.DataFrame, fold: np.ndarray, k: int) -> tuple[np.ndarray, bool]:
    """Return the DeepNull covariate of everybody by models that have not seen each fold: float64[n, k].

    And whether the models were nested.
    """
    held = np.repeat(own[:, None], k, axis=1)
    nested = all(f"inner_{f}" in inner for f in range(k))
    if nested:
        for f in range(k):
            others = fold != f
            held[others, f] = inner[f"inner_{f}"].to_numpy()[others]
    return held, nested


def _unseen(names: list[str], varies: np.ndarray, here: np.ndarray, fold: int) -> list[dict[str, Any]]:
    """Log for how many people of a fold a covariate that is constant outside it has another value than there."""
    found = []
    for j in np.flatnonzero(~varies):
        # a column that is constant outside the fold but not over all people is a level's, 0 outside
        if people := int((here[:, j] != 0).sum()):
            found.append({"covariate": names[j].removeprefix("cov_"), "fold": fold, "people": people})
    return found


def collect_accuracies(accuracies: Sequence[str | Path], out: str | Path) -> None:
    """Put the accuracies of a cohort's studies in one table, with what their scores are.

    Parameters
    ----------
    accuracies
        accuracy.json of the studies, in the order of the rows.
    out
        One row per study, measure, and model or difference; a failed study has one row with its reason.
    """
    rows: list[dict[str, Any]] = []
    for result in map(read_json, accuracies):
        head = {"study": result["study"], "trait": result["trait"], "status": result["status"]}
        if result["status"] != "ok":
            rows.append(head | {"reason": result["reason"]})
            continue
        head |= {"score": result["score"]["method"]}
        rows += [head | row for row in _rows(result)]
    columns = ["study", "trait", "status", "n", "score", "measure", "model", "estimate", "low", "high", "reason"]
    table = pd.DataFrame(rows, columns=columns)
    # whole numbers, though a failed study has none
    write_tsv(table.assign(n=table["n"].astype("Int64")), out)


def _rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"study": result["study"], "trait": result["trait"], "n": result["n"], "measure": measure, "model": model}
        | value
        for measure, values in result.get("measures", {}).items()
        for kind in ("models", "differences")
        for model, value in values[kind].items()
    ]


def _write(result: dict[str, Any], people: pd.DataFrame, out: Published) -> dict[str, Any]:
    columns = ["study", "trait", "n", "measure", "model", "estimate", "low", "high"]
    write_parquet(people, out.people, PEOPLE)
    write_tsv(pd.DataFrame(_rows(result), columns=columns), out.table)
    write_json(result, out.accuracy)
    return result


def tell_of_weights(accuracy: str | Path, study: str) -> None:
    """Print, on the standard error, what a study's file of weights declares and is not honoured.

    Parameters
    ----------
    accuracy
        The study's accuracy.json.
    study
        Its name, for the message.
    """
    for words in (read_json(accuracy).get("score") or {}).get("warnings", ()):
        print(f"{study}: warning: {words}", file=sys.stderr)
