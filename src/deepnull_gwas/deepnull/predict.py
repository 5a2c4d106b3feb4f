"""DeepNull predictions for a table of the user's own: what `deepnull-gwas predict` does.

The table comes back with one more column a target.
"""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.cohort.families import names_of_families
from deepnull_gwas.cohort.layout import UNPACKED_BYTES, UNPACKED_TIMES
from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.explain import calibration
from deepnull_gwas.deepnull.folds import assign_folds, default_folds, derive_seed, original_folds
from deepnull_gwas.deepnull.metrics import in_words, measure
from deepnull_gwas.deepnull.people_table import Table, identify, numbers, read_people_table, recognise, write_with
from deepnull_gwas.deepnull.recipe import ORIGINAL, Recipe
from deepnull_gwas.errors import InputError, InputErrors, StudyFailure, nearest, some
from deepnull_gwas.tables import write_json, write_npz
from deepnull_gwas.text import shorten

logger = logging.getLogger(__name__)

SUFFIX = "_deepnull"
MISSING = ("", "NA", "NaN", "nan", "N/A", "n/a", "NULL", "null", ".")
FORMAT = 2


def _target(table: Table, name: str, trait: str, missing: Sequence[str]) -> np.ndarray:
    y = numbers(table, name, missing, "a target holds numbers")
    if trait == "quantitative":
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


def _encode(
    table: Table, covariates: Sequence[str], levels: Mapping[str, Sequence[str] | None], missing: Sequence[str]
) -> tuple[np.ndarray, list[str], dict[str, int]]:
    """Return covariates as numbers (NaN where missing, or of an unknown level), their names.

    And how many people have an unknown level of each.
    """
    columns, names, unknown = [], [], {}
    for name in covariates:
        known = levels[name]
        if known is None:
            columns.append(numbers(table, name, missing, "list it in --categorical if its values are names of groups"))
            names.append(name)
            continue
        values = np.array(table.column(name), dtype=object)
        absent = ~np.isin(values, list(known))
        there = ~np.isin(values, list(missing))
        if (absent & there).any():
            unknown[name] = int((absent & there).sum())
        for level in known[1:]:
            column = (values == level).astype(float)
            column[absent] = np.nan
            columns.append(column)
            names.append(f"{name}[{level}]")
    return np.column_stack(columns) if columns else np.zeros((len(table), 0)), names, unknown


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


def predict_table(
    path: str | Path,
    out: str | Path,
    targets: Sequence[str],
    covariates: Sequence[str],
    traits: Sequence[str],
    categorical: Sequence[str] = (),
    folds: int | None = None,
    seed: int = 1,
    model: str = "auto",
    recipe: Mapping[str, Any] | str | None = None,
    missing: Sequence[str] = MISSING,
    device: str = "auto",
    metrics: str | Path | None = None,
    save_model: str | Path | None = None,
    compare: bool = False,
) -> dict[str, Any]:
    """Predict targets from covariates, out of fold.

    And write the table with one more column ``<target>_deepnull`` each.

    Parameters
    ----------
    path, out
        The table (see :func:`read_people_table`), and where it goes. Rows and columns stay as they are.
    targets, traits
        Columns to predict, and ``quantitative`` or ``binary`` for each.
    covariates, categorical
        Columns to predict from, and those of them whose values are names of groups.
    folds, seed, model, recipe, device
        As in the config's ``deepnull`` section.
    missing
        What stands for a missing value.
    metrics, save_model
        Files to write the metrics (JSON) and the models (.npz) to.
    compare
        Whether models that the prediction does not need are fitted too, to show in the metrics how they compare.

    Returns
    -------
    The metrics by target. People of one FID share a fold. Binary targets are predicted as logits. Somebody with a
    missing covariate gets NA; somebody with a missing target the mean over the models of all folds.

    Raises
    ------
    InputError
        When table, columns or values do not fit.
    """
    table = read_people_table(path)
    new = [f"{t}{SUFFIX}" for t in targets]
    _check_names(table, out, targets, covariates, new)
    if absent := [c for c in categorical if c not in covariates]:
        raise InputError(f"--categorical: {some(absent)} not among --covariates ({', '.join(covariates)})")
    ys = {t: _target(table, t, trait, missing) for t, trait in zip(targets, traits, strict=True)}
    levels = {c: sorted(set(table.column(c)) - set(missing)) if c in categorical else None for c in covariates}
    x, names, _ = _encode(table, covariates, levels, missing)
    complete = ~np.isnan(x).any(axis=1)
    lacking = {
        c: int(np.isnan(x[:, [i for i, n in enumerate(names) if n == c or n.startswith(f"{c}[")]]).any(axis=1).sum())
        for c in covariates
    }
    families = names_of_families(table.fids, table.people, kinship=False)
    groups = [p if f.startswith("\x1e") else f"family {f}" for f, p in zip(families, table.people)]
    original = recipe == ORIGINAL
    how = ORIGINAL if original else Recipe.from_dict(recipe or {})
    added: dict[str, np.ndarray] = {}
    report: dict[str, Any] = {}
    if folds is None:
        used = {t: y[complete & ~np.isnan(y)] for t, y in ys.items()}
        # one number for all targets: a model that is saved has one
        folds = min(default_folds(used[t], trait, original) for t, trait in zip(targets, traits))
    saved: dict[str, np.ndarray] = {}
    for target, trait in zip(targets, traits):
        y = ys[target]
        use = complete & ~np.isnan(y)
        if use.sum() < 10 * folds:
            raise InputError(
                f"{path}: {int(use.sum())} people have target '{target}' and all covariates; {folds} folds need at "
                f"least {10 * folds}"
            )
        rows = np.flatnonzero(use)
        own_seed = derive_seed(seed, target)
        if original:
            fold = original_folds([table.iids[i] for i in rows], folds, seed)
        else:
            stratum = y[rows].astype(int) if trait == "binary" else None
            names_of_rows = [table.people[i] for i in rows]
            fold = assign_folds(names_of_rows, folds, own_seed, [groups[i] for i in rows], stratum)
        try:
            prediction, each, results = crossfit(
                x[rows], y[rows], fold, how, own_seed, trait, model, compare, names, device
            )
        except StudyFailure as failure:
            raise InputError(f"{path}: target '{target}': {failure.reason}") from None
        others = np.flatnonzero(complete & np.isnan(y))
        column = np.full(len(table), np.nan)
        column[rows] = prediction
        if len(others):
            column[others] = np.mean([r.model.predict(x[others]) for r in results], axis=0)
        if original and trait == "binary":
            column = 1 / (1 + np.exp(-column))
        added[f"{target}{SUFFIX}"] = column
        report[target] = {
            "trait": trait,
            "scale": "phenotype" if trait == "quantitative" else "probability" if original else "logit",
            "people": {
                "in the table": len(table),
                "out of fold": len(rows),
                "without target, predicted by all folds": len(others),
                "without a covariate, not predicted": int((~complete).sum()),
            },
            "missing_covariates": lacking,
            "seed": own_seed,
            "model": ORIGINAL if original else model,
            "prediction": measure(y[rows], prediction, trait),
            "models": {name: measure(y[rows], values, trait) for name, values in each.items()},
            "folds": [
                {
                    "fold": f,
                    "people": r.history["people"],
                    "prediction": r.history["metrics"],
                    "weights": r.history["weights"],
                }
                for f, r in enumerate(results)
            ],
            "calibration": calibration(y[rows], prediction, trait),
        }
        for f, r in enumerate(results):
            saved |= {f"{target}/{f}/{k}": v for k, v in r.model.arrays().items()}
        saved |= {f"{target}/{kind}": found for kind, found in identify(table, rows, own_seed).items()}
        logger.info("%s: %s out of fold", target, in_words(report[target]["prediction"]))
    if save_model is not None:
        head = {
            "format": FORMAT,
            "targets": {
                t: {"trait": report[t]["trait"], "scale": report[t]["scale"], "salt": report[t]["seed"]}
                for t in targets
            },
            "folds": folds,
            "covariates": list(covariates),
            "levels": levels,
        }
        write_npz(save_model, predict=np.array(json.dumps(head)), **saved)
    if metrics is not None:
        write_json(report, metrics)
    write_with(table, out, added)
    return report


def apply_model(
    path: str | Path,
    out: str | Path,
    model: str | Path,
    missing: Sequence[str] = MISSING,
    metrics: str | Path | None = None,
) -> dict[str, Any]:
    """Apply saved models to people that they were not trained on: the mean over the models of all folds.

    Parameters
    ----------
    path, out
        The table, and where it goes with one more column a target.
    model
        What ``save_model`` of :func:`predict_table` wrote.
    missing, metrics
        As for :func:`predict_table`.

    Returns
    -------
    Counts by target: NA where a covariate is missing or of a level that the training people did not have.

    Raises
    ------
    InputError
        When the table does not fit the model, or has people that it was trained on (their prediction would not be out
        of fold).
    """
    head, models, known_people = _load(model)
    table = read_people_table(path)
    _check_names(table, out, [], head["covariates"], [f"{t}{SUFFIX}" for t in head["targets"]])
    x, _, unknown = _encode(table, head["covariates"], head["levels"], missing)
    complete = np.flatnonzero(~np.isnan(x).any(axis=1))
    added, report = {}, {}
    for target, about in head["targets"].items():
        known = recognise(table, known_people[target], about["salt"])
        if known.any():
            raise InputError(
                f"{path}: {int(known.sum())} people ({some(table.people[i] for i in np.flatnonzero(known))}) were "
                f"among those that the model of '{target}' "
                "was trained on; a prediction of them would hold their own phenotype's noise. Take their out-of-fold "
                "prediction from the output of the "
                "training, and leave them out here. If they are others with the same IIDs, give the FIDs of both in "
                "the tables"
            )
        column = np.full(len(table), np.nan)
        try:
            total = np.sum([m.predict(x[complete]) for m in models[target]], axis=0)
        except _NO_MODEL as error:
            raise InputError(f"{model}: damaged ({_why(error)}); train it again") from None
        column[complete] = total / head["folds"]
        added[f"{target}{SUFFIX}"] = 1 / (1 + np.exp(-column)) if about["scale"] == "probability" else column
        report[target] = {"people": len(table), "predicted": len(complete), "unknown_levels": unknown}
    if unknown:
        logger.warning("levels that the training people did not have: %s; these people get NA", unknown)
    if metrics is not None:
        write_json(report, metrics)
    write_with(table, out, added)
    return report


#: What reading or applying arrays may raise that are not what a model is made of.
_NO_MODEL = (
    ArithmeticError,
    AttributeError,
    EOFError,
    KeyError,
    IndexError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def _why(error: BaseException) -> str:
    return shorten(f"{type(error).__name__}: {error}", 200)


def _load(path: str | Path) -> tuple[dict[str, Any], dict[str, list[Any]], dict[str, dict[str, np.ndarray]]]:
    """Read a saved model.

    What it says of itself, the models of the folds by target, and the digests of the people it was trained on.

    It is data from elsewhere: arrays and JSON only, nothing pickled.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            size, limit = sum(f.file_size for f in archive.infolist()), UNPACKED_TIMES * Path(path).stat().st_size
        if size > max(UNPACKED_BYTES, limit):
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as data:
            head = json.loads(str(data["predict"]))
            if head["format"] != FORMAT:
                raise InputError(f"{path}: format {shorten(head['format'])}, expected {FORMAT}; train it again")
            arrays = {k: data[k] for k in data.files}
        targets, folds = dict(head["targets"]), int(head["folds"])
        if folds < 1 or not targets or not all(isinstance(c, str) for c in [*targets, *head["covariates"]]):
            raise ValueError("it names no folds, targets or covariates")
        people = {t: {kind: arrays[f"{t}/{kind}"] for kind in ("people", "iids", "bare")} for t in targets}
        parts = {t: [f"{t}/{f}/" for f in range(min(folds, len(arrays)))] for t in targets}
        if folds > len(arrays) or set(head["levels"]) != set(head["covariates"]):
            raise ValueError("its parts do not fit together")
        models = {
            t: [_model({k.removeprefix(at): v for k, v in arrays.items() if k.startswith(at)}) for at in parts[t]]
            for t in targets
        }
        about = {
            t: {"salt": int(a["salt"]), "scale": str(a["scale"]), "trait": str(a["trait"])} for t, a in targets.items()
        }
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except _NO_MODEL as error:
        raise InputError(
            f"{path}: not a model that `deepnull-gwas predict --save-model` wrote ({_why(error)})"
        ) from None
    return head | {"folds": folds, "targets": about}, models, people


def _model(arrays: dict[str, np.ndarray]) -> Any:
    if "original.trait" in arrays:
        from deepnull_gwas.deepnull.original import OriginalModel

        return OriginalModel.from_arrays(arrays)
    from deepnull_gwas.deepnull.models import FoldModel

    return FoldModel.from_arrays(arrays)
