"""The DeepNull covariate of a study, as the training of the folds left it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.tables import read_json, read_table, to_numpy


def read_deepnull_covariate(prediction: str | Path, sample_index: np.ndarray) -> np.ndarray:
    """Return what DeepNull's prediction, out of fold, has beyond its linear part: float64, one per analysed person.

    Parameters
    ----------
    prediction
        prediction.parquet of the study, metrics.json next to it.
    sample_index
        int64[n], the analysed people.

    Raises
    ------
    StudyFailure
        When the training failed, or the prediction is of other people.
    """
    metrics = Path(prediction).with_name("metrics.json")
    state = read_json(metrics) if metrics.exists() else {"status": "ok"}
    if state.get("status", "ok") != "ok":
        raise StudyFailure(state["stage"], state["reason"])
    table = read_table(prediction)
    if not np.array_equal(to_numpy(table["sample_index"]), sample_index):
        raise StudyFailure("train_folds", "the prediction is not of the analysed people")
    return to_numpy(table["deepnull_covariate"]).astype(np.float64)
