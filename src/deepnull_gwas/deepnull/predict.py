"""DeepNull covariates for a table of the user's own: what `deepnull-gwas predict` does.

It reads, encodes, splits and fits as the workflow does; the table comes back with more columns.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.deepnull.crossfit import FoldResult, Setup, crossfit_folds, in_all_folds
from deepnull_gwas.deepnull.explain import calibration
from deepnull_gwas.deepnull.fitting import Choice
from deepnull_gwas.deepnull.fold_steps import family_groups
from deepnull_gwas.deepnull.folds import assign_folds, default_folds, derive_seed, original_folds
from deepnull_gwas.deepnull.metrics import in_words, measure
from deepnull_gwas.deepnull.people_table import Table, identify, numbers, read_people_table, recognise, write_with
from deepnull_gwas.deepnull.recipe import AUTO, ORIGINAL, Recipe
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.deepnull.saved import FORMAT, NO_MODEL, load_saved, why
from deepnull_gwas.deepnull.table_covariates import levels_of, matrix_of, values_of
from deepnull_gwas.errors import InputError, InputErrors, StudyFailure, nearest, some
from deepnull_gwas.tables import write_json, write_npz
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

COVARIATE, PREDICTION = "_deepnull_covariate", "_phenotype_prediction"
MISSING = ("", "NA", "NaN", "nan", "N/A", "n/a", "NULL", "null", ".")


@dataclass(frozen=True)
class Ask:
    """What is to be predicted, and how.

    Attributes
    ----------
    targets, traits
        Columns to predict, and ``quantitative`` or ``binary`` for each.
    covariates, categorical
        Columns to predict from, and those of them whose values are names of groups.
    study
        Cohort and study of the workflow whose folds and seeds are to be repeated, with one target; None: those of the
        target's name.
    folds, seed, model, recipe, device, compare
        As in the config's ``deepnull`` section.
    missing
        What stands for a missing value.
    prediction
        Whether the prediction of the phenotype itself is written, too.
    """

    targets: Sequence[str]
    traits: Sequence[str]
    covariates: Sequence[str]
    categorical: Sequence[str] = ()
    study: tuple[str, str] | None = None
    folds: int | None = None
    seed: int = 1
    model: str = AUTO
    recipe: Mapping[str, Any] | str | None = None
    device: str = "auto"
    compare: bool = False
    missing: Sequence[str] = MISSING
    prediction: bool = False

    @property
    def how(self) -> Recipe | str:
        """Return the recipe."""
        return ORIGINAL if self.recipe == ORIGINAL else Recipe.from_dict(self.recipe or {})

    def seed_of(self, target: str, *names: str | int) -> int:
        """Return the seed of one use: the workflow's for a study, or the target's own."""
        if self.study is not None:
            return derive_seed(self.seed, *self.study, *names)
        own = derive_seed(self.seed, target)
        return own if names == ("folds",) else derive_seed(own, *(n for n in names if n != "fold"))


@dataclass(frozen=True)
class Files:
    """The table, where it goes with more columns, and where metrics (JSON) and models (.npz) go, if anywhere."""

    table: str | Path
    out: str | Path
    metrics: str | Path | None = None
    model: str | Path | None = None


@dataclass
class _Fitted:
    """What one target came to: its people, models and columns.

    Attributes
    ----------
    rows
        Rows of the people with target and covariates.
    levels
        Of each covariate that is used: its levels, the reference first; None of numbers.
    columns
        float64 by name, one number per row of the table; NaN for whom nothing is predicted.
    """

    rows: np.ndarray
    levels: dict[str, list[str] | None]
    results: list[FoldResult]
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def predict_table(files: Files, ask: Ask) -> dict[str, Any]:
    """Predict targets from covariates, out of fold, and write the table with ``<target>_deepnull_covariate`` each.

    That is the covariate of the workflow's deepnull arm: what the prediction has beyond its linear part. For a study's
    people, covariates, folds and seed it is the same number.

    Parameters
    ----------
    files
        Rows and columns of the table stay as they are; see :func:`read_people_table`.
    ask
        What to predict, and how.

    Returns
    -------
    The metrics by target. People of one FID share a fold. Binary targets are predicted as logits. Somebody with a
    missing covariate gets NA; somebody with a missing target the mean over the models of all folds.

    Raises
    ------
    InputError
        When table, columns or values do not fit.
    """
    if ask.model not in (known := [AUTO, *KINDS]):
        raise InputError(f"--model: found '{ask.model}', expected {', '.join(known)}{nearest(ask.model, known)}")
    table = read_people_table(files.table)
    new = [t + suffix for t in ask.targets for suffix in ((COVARIATE, PREDICTION) if ask.prediction else (COVARIATE,))]
    _check_names(table, files.out, ask.targets, ask.covariates, new)
    if absent := [c for c in ask.categorical if c not in ask.covariates]:
        raise InputError(f"--categorical: {some(absent)} not among --covariates ({', '.join(ask.covariates)})")
    values = {name: values_of(table, name, name in ask.categorical, ask.missing) for name in ask.covariates}
    complete = ~np.any([v.isna() for v in values.values()], axis=0)
    ys = {t: _target(table, t, trait, ask.missing) for t, trait in zip(ask.targets, ask.traits, strict=True)}
    # one number for all targets: a model that is saved has one
    folds = ask.folds or min(
        default_folds(y[complete & ~np.isnan(y)], trait, ask.recipe == ORIGINAL)
        for y, trait in zip(ys.values(), ask.traits)
    )
    report: dict[str, Any] = {}
    fits: dict[str, _Fitted] = {}
    for (target, y), trait in zip(ys.items(), ask.traits):
        try:
            fits[target] = _fit(table, values, y, trait, target, folds, ask)
        except StudyFailure as failure:
            raise InputError(f"{files.table}: target '{target}': {failure.reason}") from None
        report[target] = _report(fits[target], y, trait, target, ask)
        lacking = {name: int(v.isna().sum()) for name, v in values.items()}
        report[target]["people"] |= {
            "in the table": len(table),
            "without a covariate, not predicted": int((~complete).sum()),
        }
        report[target]["missing_covariates"] = lacking
        logger.info("%s: %s out of fold", target, in_words(report[target]["prediction"]))
    if files.model is not None:
        _save(files.model, table, ask, folds, fits, report)
    if files.metrics is not None:
        write_json(report, files.metrics)
    written = {name: c for fit in fits.values() for name, c in fit.columns.items() if name in new}
    write_with(table, files.out, written)
    return report


def _fit(
    table: Table, values: Mapping[str, pd.Series], y: np.ndarray, trait: str, target: str, folds: int, ask: Ask
) -> _Fitted:
    """Cross-fit a target on the people who have it and all covariates, and predict the others by all folds."""
    use = ~np.isnan(y) & ~np.any([v.isna() for v in values.values()], axis=0)
    rows = np.flatnonzero(use)
    if len(rows) < 10 * folds:
        raise InputError(
            f"{table.path}: {len(rows)} people have target '{target}' and all covariates; {folds} folds need at least "
            f"{10 * folds}"
        )
    levels = levels_of(pd.DataFrame({name: v[rows] for name, v in values.items()}), ask.covariates, ask.categorical)
    if not levels:
        raise InputError(f"{table.path}: target '{target}': all covariates are constant")
    x, names, _ = matrix_of(values, levels)
    fold = _folds(table, rows, y[rows], trait, target, folds, ask)
    seeds = [ask.seed_of(target, "fold", f) for f in range(folds)]
    setup = Setup(names, trait, ask.how, Choice(ask.model, ask.compare), ask.device)
    fit = _Fitted(rows, levels, list(crossfit_folds(x[rows], y[rows], fold, seeds, setup)))
    covariate, prediction = np.full(len(table), np.nan), np.full(len(table), np.nan)
    for result in fit.results:
        covariate[rows[result.rows]], prediction[rows[result.rows]] = result.covariate, result.prediction
    others = np.flatnonzero(~use & ~np.isnan(x).any(axis=1))
    if len(others):
        models = [r.model for r in fit.results]
        covariate[others] = np.mean([m.covariate(x[others]) for m in models], axis=0)
        prediction[others] = np.mean([m.predict(x[others]) for m in models], axis=0)
    fit.columns = {target + COVARIATE: covariate, target + PREDICTION: prediction}
    return fit


def _folds(table: Table, rows: np.ndarray, y: np.ndarray, trait: str, target: str, folds: int, ask: Ask) -> np.ndarray:
    """Return the fold of each person, as :func:`~deepnull_gwas.deepnull.fold_steps.assign_study_folds` does."""
    people = pd.DataFrame({"fid": table.fids, "iid": table.iids}).iloc[rows]
    names = (people["fid"] + " " + people["iid"]).tolist()
    if ask.recipe == ORIGINAL:
        return original_folds(people["iid"].tolist() if people["iid"].is_unique else names, folds, ask.seed)
    return assign_folds(names, folds, ask.seed_of(target, "folds"), family_groups(people), trait_of(trait).stratum(y))


def _report(fit: _Fitted, y: np.ndarray, trait: str, target: str, ask: Ask) -> dict[str, Any]:
    """Return the metrics of a target."""
    own = y[fit.rows]
    prediction = fit.columns[target + PREDICTION]
    models = {}
    for name in in_all_folds(fit.results):
        each = np.empty(len(fit.rows))
        for result in fit.results:
            each[result.rows] = result.each[name]
        models[name] = measure(own, each, trait)
    return {
        "trait": trait,
        "scale": trait_of(trait).scale,
        "people": {
            "out of fold": len(fit.rows),
            "without target, predicted by all folds": int((~np.isnan(prediction)).sum()) - len(fit.rows),
        },
        "seed": ask.seed_of(target, "folds"),
        "model": ORIGINAL if ask.recipe == ORIGINAL else ask.model,
        "prediction": measure(own, prediction[fit.rows], trait),
        "models": models,
        "folds": [
            {
                "fold": f,
                "people": r.history["people"],
                "prediction": r.history["metrics"],
                "weights": r.history["weights"],
            }
            for f, r in enumerate(fit.results)
        ],
        "calibration": calibration(own, prediction[fit.rows], trait),
    }


def _save(
    path: str | Path, table: Table, ask: Ask, folds: int, fits: Mapping[str, _Fitted], report: Mapping[str, Any]
) -> None:
    """Save the models of all targets, with digests of the people they were trained on."""
    head = {
        "format": FORMAT,
        "targets": {
            t: {"trait": report[t]["trait"], "salt": report[t]["seed"], "levels": fit.levels} for t, fit in fits.items()
        },
        "folds": folds,
        "prediction": ask.prediction,
        "categorical": list(ask.categorical),
    }
    saved: dict[str, np.ndarray] = {}
    for target, fit in fits.items():
        for f, result in enumerate(fit.results):
            saved |= {f"{target}/{f}/{k}": v for k, v in result.model.arrays().items()}
        known = identify(table, fit.rows, report[target]["seed"])
        saved |= {f"{target}/{kind}": found for kind, found in known.items()}
    write_npz(path, predict=np.array(json.dumps(head)), **saved)


def apply_model(files: Files, model: str | Path, missing: Sequence[str] = MISSING) -> dict[str, Any]:
    """Apply saved models to people that they were not trained on: the mean over the models of all folds.

    Parameters
    ----------
    files
        The table, and where it goes with the columns that the training table got.
    model
        What :func:`predict_table` saved.
    missing
        What stands for a missing value.

    Returns
    -------
    Counts by target: NA where a covariate is missing or of a level that the training people did not have.

    Raises
    ------
    InputError
        When the table does not fit the model, or has people that it was trained on (their prediction would not be out
        of fold).
    """
    path = files.table
    head, models, known_people = load_saved(model)
    table = read_people_table(path)
    suffixes = (COVARIATE, PREDICTION) if head["prediction"] else (COVARIATE,)
    covariates = list(dict.fromkeys(c for about in head["targets"].values() for c in about["levels"]))
    _check_names(table, files.out, [], covariates, [t + suffix for t in head["targets"] for suffix in suffixes])
    added, report = {}, {}
    for target, about in head["targets"].items():
        known = recognise(table, known_people[target], about["salt"])
        if known.any():
            raise InputError(
                f"{path}: {int(known.sum())} people ({some(table.people[i] for i in np.flatnonzero(known))}) were "
                f"among those that the model of '{target}' was trained on; a prediction of them would hold their own "
                "phenotype's noise. Take their out-of-fold prediction from the output of the training, and leave them "
                "out here. If they are others with the same IIDs, give the FIDs of both in the tables"
            )
        values = {c: values_of(table, c, levels is not None, missing) for c, levels in about["levels"].items()}
        x, _, unknown = matrix_of(values, about["levels"])
        complete = np.flatnonzero(~np.isnan(x).any(axis=1))
        for suffix in suffixes:
            column = np.full(len(table), np.nan)
            try:
                each = [
                    m.covariate(x[complete]) if suffix == COVARIATE else m.predict(x[complete]) for m in models[target]
                ]
            except NO_MODEL as error:
                raise InputError(f"{model}: damaged ({why(error)}); train it again") from None
            column[complete] = np.sum(each, axis=0) / head["folds"]
            added[target + suffix] = column
        report[target] = {"people": len(table), "predicted": len(complete), "unknown_levels": unknown}
        if unknown:
            logger.warning("levels that the training people did not have: %s; these people get NA", unknown)
    if files.metrics is not None:
        write_json(report, files.metrics)
    write_with(table, files.out, added)
    return report


def _target(table: Table, name: str, trait: str, missing: Sequence[str]) -> np.ndarray:
    """Return a target as float64, NaN where it is missing; 1 for cases and 0 for controls of binary ones."""
    y = numbers(table, name, missing, "a target holds numbers")
    if not trait_of(trait).has_cases:
        return y
    values = sorted(set(y[~np.isnan(y)].tolist()))
    if values == [1.0, 2.0]:
        return y - 1
    if values != [0.0, 1.0]:
        shown = some(f"{v:g} ({int((y == v).sum())} people)" for v in values)
        raise InputError(
            f"{table.path}: column '{name}': a binary target holds 0 (control) and 1 (case), or 1 and 2 (case); found "
            f"{shown or 'no values'}" + ("; if -9 means missing, give --missing NA,-9" if -9.0 in values else "")
        )
    return y


def _check_names(
    table: Table, out: str | Path, targets: Sequence[str], covariates: Sequence[str], new: Sequence[str]
) -> None:
    problems = []
    for kind, names in (("target", targets), ("covariate", covariates)):
        for name in names:
            if name not in table.names:
                problems.append(
                    f"{table.path}: no column '{name}' ({kind}); found "
                    f"{some(table.names, 20)}{nearest(name, table.names)}"
                )
    for name in set(targets) & set(covariates):
        problems.append(f"'{name}' is both target and covariate")
    for name in new:
        if name in table.names:
            problems.append(
                f"{table.path}: column '{name}' is there already and is not overwritten; remove or rename it"
            )
    if Path(out).resolve() == table.path.resolve():
        problems.append(f"{out}: input and output are one file; give another --output")
    if problems:
        raise InputErrors(problems) if len(problems) > 1 else InputError(problems[0])
