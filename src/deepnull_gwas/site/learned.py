"""What the prediction of a study learned, for its page: accuracy, dependence on covariates with the density of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.site.script_files import short
from deepnull_gwas.tables import column_names, read_json, read_table

#: Bins of the density of a covariate.
BINS = 40
#: Covariates whose dependence is shown: those of the strongest.
SHOWN = 12
#: Measures of accuracy that are shown.
MEASURES = ("r2", "correlation", "auc", "r2_mcfadden", "log_loss")


def learned_of(metrics: str | Path, people: str | Path) -> dict[str, Any]:
    """Return what is shown of a study's prediction.

    Parameters
    ----------
    metrics
        metrics.json.
    people
        samples.parquet of the study: the density of each covariate is counted here, in bins.
    """
    summary: Mapping[str, Any] = read_json(metrics)
    out: dict[str, Any] = {key: summary.get(key) for key in ("status", "stage", "reason", "model", "warnings")}
    if summary["status"] != "ok":
        return out
    folds = summary["folds"]
    weights = {name: [f["weights"].get(name, 0.0) for f in folds] for f in folds for name in f["weights"]}
    out |= {
        "accuracy": {name: _measures(summary[name]) for name in ("linear", "deepnull")},
        "models": {name: _measures(values) for name, values in summary["models"].items()},
        "folds": {
            name: [_measures(f["deepnull"] if name == "deepnull" else f["models"].get(name, {})) for f in folds]
            for name in (*summary["models"], "deepnull")
        },
        "weights": {name: short(np.mean(values)).item() for name, values in weights.items()},
        "calibration": [{key: short(v).item() for key, v in tenth.items()} for tenth in summary["calibration"]],
        "interaction": _interaction(summary["dependence"]["interaction"]),
    }
    out["dependence"] = _dependence(summary["dependence"]["covariates"], people)
    return out


def _measures(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in MEASURES if values.get(key) is not None}


def _interaction(pair: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if pair is None:
        return None
    return {
        "names": pair["names"],
        "values": [short(v) for v in pair["values"]],
        "prediction": short(pair["prediction"]),
        "share": short(pair["share"]).item(),
    }


def _dependence(curves: list[Mapping[str, Any]], people: str | Path) -> list[dict[str, Any]]:
    """Return the curves of strongest dependence, each with how many people have which value of the covariate."""
    spread = [float(np.std(c["prediction"])) if c["prediction"] else 0.0 for c in curves]
    there = set(column_names(people))
    out = []
    for i in np.argsort(-np.array(spread), kind="stable")[:SHOWN]:
        curve = curves[i]
        entry = {"name": curve["name"], "values": short(curve["values"], 6), "prediction": short(curve["prediction"])}
        # covariates of the association and those of the prediction only: see cohort.covariates
        column = next((c for c in _columns_of(curve["name"]) if c in there), None)
        if column is not None:
            entry["density"] = density(read_table(people, columns=[column])[column].to_numpy())
        out.append(entry)
    return out


def _columns_of(name: str) -> tuple[str, ...]:
    from deepnull_gwas.cohort.covariates import ONLY_DEEPNULL

    return f"cov_{name}", f"{ONLY_DEEPNULL}{name}", name


def density(values: np.ndarray) -> dict[str, Any]:
    """Return counts in equal bins between the 1st and the 99th percentile; of few distinct values, of each of them.

    Examples
    --------
    >>> density(np.array([1.0, 2.0, 2.0]))["counts"].tolist()
    [1, 2]
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= 10:
        return {"at": short(distinct, 6), "counts": counts}
    low, high = np.quantile(values, [0.01, 0.99])
    counts, edges = np.histogram(values, bins=BINS, range=(float(low), float(max(high, low + 1e-12))))
    return {"from": short(edges[0], 6).item(), "to": short(edges[-1], 6).item(), "counts": counts}
