"""The step of the workflow: files of a study in, the accuracy of its phenotype's prediction out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.deepnull.fold_steps import FOLDS, family_groups
from deepnull_gwas.deepnull.folds import derive_seed
from deepnull_gwas.deepnull.steps import INNER, PREDICTION
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.scores.accuracy import accuracy, choose_threshold, fit_and_predict
from deepnull_gwas.scores.clumping import Rules, Sample, cross_scores
from deepnull_gwas.scores.matching import match_weights, score_people
from deepnull_gwas.scores.weights import read_weights
from deepnull_gwas.tables import Column, read_json, read_parquet, write_json, write_parquet, write_tsv
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

STAGE = "score_study"
#: The models, by what they hold beside the covariates and principal components.
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
#: What of the header of a file of weights is repeated.
_HEADER = (
    "pgs_id",
    "pgs_name",
    "trait_reported",
    "weight_type",
    "genome_build",
    "HmPOS_build",
    "format_version",
    "variants_number",
)
PEOPLE = [
    Column("sample_index", "int64", "row of the .fam"),
    Column("fold", "int32", "fold that the person is in: nothing here rests on a phenotype of it"),
    Column("score_linear", "float64", "polygenic score, trained with the covariates (or of the file of weights)"),
    Column("score_deepnull", "float64", "the same, trained with the DeepNull prediction as one more covariate"),
    *(Column(name, "float64", f"out-of-fold prediction from {words}; binary: logit") for name, words in MODELS.items()),
]


def score_study(
    samples: str | Path,
    study: str | Path,
    folds: str | Path,
    prediction: str | Path,
    inner: str | Path,
    genotypes: str | Path,
    variants: str | Path,
    qc_variants: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    out_accuracy: str | Path,
    out_table: str | Path,
    out_people: str | Path,
    families: str | Path | None = None,
    score_file: str | Path | None = None,
    threads: int = 1,
) -> dict[str, Any]:
    """Predict a study's phenotype out of fold from covariates and a polygenic score, with and without DeepNull.

    How well is measured on the people whom the models have not seen.

    Parameters
    ----------
    samples, study
        samples.parquet and study.json of the study.
    folds, prediction, inner
        folds.parquet, prediction.parquet and inner.parquet of its DeepNull prediction.
    genotypes, variants, qc_variants
        The cohort: genotypes.json, variants.parquet, qc/variants.parquet.
    settings
        The ``scores`` section of the config.
    seed
        Seed of the config.
    out_accuracy, out_table, out_people
        accuracy.json, the same as a table, and predictions and scores of the people.
    families
        structure/families.parquet, where kinship was estimated: families are what is resampled.
    score_file
        Weights in the format of the PGS Catalog; None: a score is trained where ``settings["method"]`` is ``clump``.
    threads
        Blocks of variants at a time; the result does not depend on it.

    Returns
    -------
    What is written into ``out_accuracy``.

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
    info = read_json(study)
    result: dict[str, Any] = {"study": info["study"], "cohort": info["cohort"], "trait": info["trait"]}
    people = read_parquet(samples)
    own = read_parquet(prediction, PREDICTION)
    if info["status"] != "ok" or not len(own):
        failed = info["status"] != "ok"
        result |= {
            "status": "failed",
            "stage": info["stage"] if failed else "train_folds",
            "reason": info["reason"] if failed else "there is no DeepNull prediction; deepnull/metrics.json says why",
        }
        logger.warning("nothing to predict: %s", result["reason"])
        return _write(
            result, pd.DataFrame({c.name: np.empty(0, c.dtype) for c in PEOPLE}), out_accuracy, out_table, out_people
        )
    y, trait = people["phenotype"].to_numpy(np.float64), info["trait"]
    fold = read_parquet(folds, FOLDS)["fold"].to_numpy()
    k = int(fold.max()) + 1
    names = [c for c in people.columns if c.startswith("cov_")]
    x = people[names].to_numpy(np.float64)
    held, nested = _deepnull_covariate(own["deepnull_covariate"].to_numpy(), read_parquet(inner, INNER), fold, k)
    unit = np.unique(family_groups(people, families), return_inverse=True)[1]
    result |= {"status": "ok", "n": len(y), "folds": k, "units": int(unit.max()) + 1, "warnings": []}
    if trait_of(trait).has_cases:
        result |= {"cases": int((y == 1).sum()), "controls": int((y == 0).sum())}
    if not nested:
        _warn(
            result,
            "the recipe has no nested predictions: the weight of the DeepNull covariate is fitted on one that has "
            "seen the predicted fold",
        )
    if straddling := _straddling(unit, fold):
        _warn(
            result,
            f"{straddling} families have people in more than one fold (deepnull.fold_file): their scores rest on "
            f"relatives' phenotypes",
        )
    score, describe, result["score"] = _scores(
        info, people, x, held, y, fold, settings, genotypes, variants, qc_variants, score_file, threads
    )
    result["warnings"] += [f"{result['score']['file']}: {words}" for words in result["score"].get("warnings", ())]
    chosen: dict[str, list[dict[str, Any]]] = {"linear": [], "deepnull": []}
    predictions = {name: np.full(len(y), np.nan) for name in MODELS}
    scores = {arm: np.zeros(len(y)) for arm in chosen}
    unseen = []
    for f in range(k):
        others, here = fold != f, fold == f
        for arm, name in enumerate(chosen):
            design = x if name == "linear" else np.column_stack([x, held[:, f]])
            predictions[name][here], varies = fit_and_predict(design[others], y[others], design[here], trait)
            if name == "linear":
                unseen += _unseen(names, varies, x[here], f)
            candidates = score(arm, f)
            at = None
            if result["score"]["method"] == "clump":
                at = choose_threshold(candidates[:, others], design[others], y[others])
            elif result["score"]["method"] == "file":
                at = 0
            if at is not None:
                scores[name][here] = candidates[at][here]
            with_score = design if at is None else np.column_stack([design, candidates[at]])
            predictions[f"{name}_score"][here], _ = fit_and_predict(
                with_score[others], y[others], with_score[here], trait
            )
            chosen[name].append({"fold": f, "used": at is not None} | ({} if at is None else describe(arm, f, at)))
    result["score"]["by_fold"] = chosen
    result["not_estimated"] = unseen
    for entry in unseen:
        _warn(
            result,
            f"covariate {entry['covariate']} is constant outside fold {entry['fold']}: no effect for "
            f"{entry['people']} people there",
        )
    result["measures"] = accuracy(
        y,
        predictions,
        trait,
        unit,
        DIFFERENCES,
        int(settings["resamples"]),
        derive_seed(seed, info["cohort"], info["study"], "prediction"),
    )
    for measure, values in result["measures"].items():
        told = {m: f"{v['estimate']:.4f} ({v['low']:.4f} to {v['high']:.4f})" for m, v in values["models"].items()}
        logger.info("%s, out of fold: %s", measure, told)
    table = {"sample_index": people["sample_index"].to_numpy(np.int64), "fold": fold.astype(np.int32)}
    table |= {f"score_{arm}": values for arm, values in scores.items()} | predictions
    return _write(result, pd.DataFrame(table), out_accuracy, out_table, out_people)


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


def _scores(
    info: Mapping[str, Any],
    people: pd.DataFrame,
    x: np.ndarray,
    held: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    settings: Mapping[str, Any],
    genotypes: str | Path,
    variants: str | Path,
    qc_variants: str | Path,
    score_file: str | Path | None,
    threads: int,
) -> tuple[Callable[[int, int], np.ndarray], Callable[[int, int, int], dict[str, Any]], dict[str, Any]]:
    """Return the function from arm and evaluated fold to candidate scores, float64[candidates, n].

    What is to be said of one of them, and of all.
    """
    rows = people["sample_index"].to_numpy(np.int64)
    if score_file is None and settings["method"] != "clump":
        nothing = np.zeros((1, len(y)))
        return (lambda arm, f: nothing), (lambda arm, f, at: {}), {"method": "none"}
    table = read_parquet(variants, columns=["index", "chromosome", "position", "id", "effect_allele", "other_allele"])
    passed = read_parquet(qc_variants, columns=["passed"])["passed"].to_numpy(bool)
    if len(passed) != len(table):
        raise InputError(
            f"{qc_variants}: {len(passed)} variants, {variants} has {len(table)}; delete them and run again"
        )
    fileset = open_genotypes(genotypes)
    if score_file is not None:
        build = read_json(genotypes)["genome_build"]
        weights = read_weights(score_file, build)
        matched = match_weights(weights, table[passed], score_file, settings["minimum_matched"])
        found = score_people(fileset, matched, rows)[None]
        about = {
            "method": "file",
            "file": str(score_file),
            "weights": matched.total,
            "used": len(matched.index),
            "share_used": len(matched.index) / matched.total,
            "rows": matched.counts,
            "positions": weights.positions,
            "header": {key: weights.header[key] for key in _HEADER if key in weights.header},
            "warnings": weights.warnings,
        }
        return (lambda arm, f: found), (lambda arm, f, at: {}), about
    table = table[passed & table["chromosome"].isin(AUTOSOMES).to_numpy()]
    columns = {
        "index": table["index"].to_numpy(np.int64),
        "chromosome": table["chromosome"].to_numpy(object),
        "position": table["position"].to_numpy(np.int64),
    }
    rules = Rules(sorted(map(float, settings["p_thresholds"])), settings["window_kb"], settings["r2"])
    sample = Sample(rows, np.column_stack([np.ones(len(y)), x]), held, y, fold)
    trained = cross_scores(fileset, columns, sample, rules, threads)
    about = {"method": "clump", "tested": trained.tested, "thresholds": trained.thresholds}
    about |= {"window_kb": settings["window_kb"], "r2": settings["r2"]}
    return (
        (lambda arm, f: trained.scores[arm, f]),
        (lambda arm, f, at: {"p": trained.thresholds[at], "variants": int(trained.variants[arm, f, at])}),
        about,
    )


def collect_accuracies(accuracies: Sequence[str | Path], out: str | Path) -> None:
    """Put the accuracies of a cohort's studies in one table, with what their scores are.

    Parameters
    ----------
    accuracies
        accuracy.json of the studies, in the order of the rows.
    out
        One row a study, measure, and model or difference; a failed study has one row with its reason.
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


def _write(
    result: dict[str, Any],
    people: pd.DataFrame,
    out_accuracy: str | Path,
    out_table: str | Path,
    out_people: str | Path,
) -> dict[str, Any]:
    columns = ["study", "trait", "n", "measure", "model", "estimate", "low", "high"]
    write_parquet(people, out_people, PEOPLE)
    write_tsv(pd.DataFrame(_rows(result), columns=columns), out_table)
    write_json(result, out_accuracy)
    return result
