"""Saved models: what `deepnull-gwas predict --save-model` wrote, and the models of the workflow's folds."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.cohort.layout import UNPACKED_BYTES, UNPACKED_TIMES
from deepnull_gwas.errors import InputError
from deepnull_gwas.text import shorten

FORMAT = 3

#: What reading or applying arrays may raise that are not what a model is made of.
NO_MODEL = (
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


def why(error: BaseException) -> str:
    """Return in few words what went wrong."""
    return shorten(f"{type(error).__name__}: {error}", 200)


def load_saved(path: str | Path) -> tuple[dict[str, Any], dict[str, list[Any]], dict[str, dict[str, np.ndarray]]]:
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
            head = dict(json.loads(str(data["predict"])))
            if head["format"] != FORMAT:
                raise InputError(f"{path}: format {shorten(head['format'])}, expected {FORMAT}; train it again")
            arrays = {k: data[k] for k in data.files}
        targets, folds = dict(head["targets"]), int(head["folds"])
        if folds < 1 or not targets or not all(isinstance(t, str) for t in targets):
            raise ValueError("it names no folds or targets")
        levels = {t: _levels_of(about["levels"]) for t, about in targets.items()}
        people = {t: {kind: arrays[f"{t}/{kind}"] for kind in ("people", "iids", "bare")} for t in targets}
        parts = {t: [f"{t}/{f}/" for f in range(min(folds, len(arrays)))] for t in targets}
        if folds > len(arrays):
            raise ValueError("its parts do not fit together")
        models = {
            t: [model_of({k.removeprefix(at): v for k, v in arrays.items() if k.startswith(at)}) for at in parts[t]]
            for t in targets
        }
        for t in targets:
            _check_columns(levels[t], models[t])
        about = {t: {"salt": int(a["salt"]), "trait": str(a["trait"]), "levels": levels[t]} for t, a in targets.items()}
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except NO_MODEL as error:
        raise InputError(
            f"{path}: not a model that `deepnull-gwas predict --save-model` wrote ({why(error)})"
        ) from None
    return {"folds": folds, "targets": about, "prediction": bool(head["prediction"])}, models, people


def _check_columns(levels: dict[str, list[str] | None], models: list[Any]) -> None:
    """Check that the models were trained on columns (``name`` or ``name[level]``) of the covariates that are named."""
    for column in {str(column) for model in models for column in model.columns}:
        if not any(column == name or column.startswith(f"{name}[") for name in levels):
            raise ValueError("its models are of other covariates than it names")


def _levels_of(levels: Any) -> dict[str, list[str] | None]:
    """Check the levels of covariates, by name: None of numbers, else two or more texts."""
    found = dict(levels)
    for name, known in found.items():
        right = known is None or (isinstance(known, list) and len(known) > 1 and all(isinstance(v, str) for v in known))
        if not isinstance(name, str) or not right:
            raise ValueError("its covariates have no levels")
    if not found:
        raise ValueError("it names no covariates")
    return found


def model_of(arrays: dict[str, np.ndarray]) -> Any:
    """Return the models of a fold, of the default or the original recipe, whose arrays these are."""
    if "original.trait" in arrays:
        from deepnull_gwas.deepnull.original import OriginalModel

        return OriginalModel.from_arrays(arrays)
    from deepnull_gwas.deepnull.models import FoldModel

    return FoldModel.from_arrays(arrays)
