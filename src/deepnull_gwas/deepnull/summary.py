"""What the folds of a study come to, in one summary (metrics.json)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.covariates import ONLY_DEEPNULL
from deepnull_gwas.deepnull.explain import calibration, dependence
from deepnull_gwas.deepnull.metrics import measure
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.traits import trait_of

HERITABLE = (
    "A variant that acts on such a covariate can seem to act on the phenotype (collider bias), the more so the more "
    "flexible the model; compare "
    "with a run without them"
)


def summarise_folds(
    info: Mapping[str, Any],
    about: Mapping[str, Any],
    people: pd.DataFrame,
    fold: np.ndarray,
    together: pd.DataFrame,
    fitted: Sequence[Any],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return metrics.json of a study: measures, weights, calibration and partial dependence.

    Parameters
    ----------
    info, about
        study.json and by_fold.json.
    people, fold
        samples.parquet, and the fold of each of them.
    together
        by_model.parquet, in the order of the people.
    fitted
        The models of each fold.
    settings
        The ``deepnull`` section, with the study's own put over it.
    """
    y, trait, heads = people["phenotype"].to_numpy(), info["trait"], about["folds"]
    prediction = together["phenotype_prediction"].to_numpy()
    names = [c.removeprefix("by_") for c in together.columns if c.startswith("by_")]
    pooled = {name: measure(y, together[f"by_{name}"].to_numpy(), trait) for name in names}
    columns, covariates = heads[0]["columns"], heads[0]["covariates"]
    x = people[columns].to_numpy(np.float64)
    linear = pooled.get("baseline") or pooled.get("linear")
    if not linear:
        in_association = [not c.startswith(ONLY_DEEPNULL) for c in columns]
        linear = _linear_out_of_fold(x[:, in_association], y, fold, trait)
    heritable = heritable_among(settings, covariates)
    return {
        "study": info["study"],
        "trait": trait,
        "status": "ok",
        "n": len(y),
        "model": about["model"],
        "deepnull": measure(y, prediction, trait),
        "linear": linear,
        "models": pooled,
        "folds": [
            {
                "fold": h["fold"],
                "deepnull": h["metrics"],
                "models": h["metrics_of"],
                "weights": h["weights"],
                "people": h["people"],
                "seed": h["seed"],
                "fits": h["models"],
            }
            for h in heads
        ],
        "covariates": covariates,
        "constant_covariates": sorted({c for h in heads for c in h["covariates"] if c not in h["kept"]}),
        "warnings": [heritable_warning(heritable)] if heritable else [],
        "recipe": about["recipe"],
        "calibration": calibration(y, prediction, trait),
        "dependence": dependence(fitted, x, covariates),
    }


def heritable_among(settings: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return which covariates that the user calls heritable the models see."""
    return [c for c in settings.get("heritable_covariates") or [] if any(n.split("[")[0] == c for n in names)]


def heritable_warning(covariates: Sequence[str]) -> str:
    """Return what is to be said of heritable covariates."""
    return f"heritable covariates feed the prediction: {', '.join(covariates)}. {HERITABLE}"


def _linear_out_of_fold(x: np.ndarray, y: np.ndarray, fold: np.ndarray, trait: str) -> dict[str, float]:
    """Measure the linear model where the recipe does not fit one (the original)."""
    from deepnull_gwas.deepnull.crossfit import crossfit
    from deepnull_gwas.deepnull.fitting import Choice

    if not x.shape[1]:
        size, total = np.bincount(fold), np.bincount(fold, y)
        mean = ((total.sum() - total) / (size.sum() - size))[fold]
        return measure(y, mean if not trait_of(trait).has_cases else np.log(mean / (1 - mean)), trait)
    prediction, _, _ = crossfit(x, y, fold, Recipe(), 0, trait, Choice("linear", compare=False))
    return measure(y, prediction, trait)
