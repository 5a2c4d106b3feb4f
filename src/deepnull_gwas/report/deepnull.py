"""The prediction: how training went, and what it explains beyond the linear model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps

from deepnull_gwas.report.style import COLOURS, figure, say_instead
from deepnull_gwas.tables import read_json

MEASURES = {"quantitative": ("r2", "R², out of fold"), "binary": ("auc", "AUC, out of fold")}


def plot_deepnull(metrics: str | Path, folds: Sequence[str | Path], out: str | Path) -> None:
    """Draw the training curves of all folds, and the accuracy of network and linear model in each fold and pooled.

    Parameters
    ----------
    metrics
        metrics.json.
    folds
        fold_{fold}.json in order.
    out
        Figure.
    """
    summary, parts = read_json(metrics), [read_json(path) for path in folds]
    with figure(out, 9.5, 3.8) as fig:
        if summary["status"] != "ok":
            say_instead(
                fig, f"{summary['study']}: DeepNull prediction", f"failed at {summary['stage']}: {summary['reason']}"
            )
            return
        left, right = fig.subplots(1, 2)
        for part in parts:
            colour = colormaps["viridis"](part["fold"] / max(len(parts), 2))
            epochs = [e["epoch"] for e in part["epochs"]]
            left.plot(epochs, [e["validation"] for e in part["epochs"]], color=colour, label=f"fold {part['fold']}")
            left.plot(epochs, [e["train"] for e in part["epochs"]], color=colour, linestyle=":", linewidth=0.9)
        loss = "squared error (standardised)" if summary["trait"] == "quantitative" else "cross-entropy"
        left.set(xlabel="epoch", ylabel=f"loss: {loss}", title=f"{summary['study']}: training (dotted), validation")
        left.legend(fontsize=7, ncols=2)
        key, label = MEASURES[summary["trait"]]
        names = [f"fold {f['fold']}" for f in summary["folds"]] + ["pooled"]
        at = np.arange(len(names))
        for shift, arm, colour, text in (
            (-0.2, "linear", COLOURS["baseline"], "linear model"),
            (0.2, "deepnull", COLOURS["deepnull"], "DeepNull"),
        ):
            values = [f[arm][key] for f in summary["folds"]] + [summary[arm][key]]
            right.bar(at + shift, [np.nan if v is None else v for v in values], width=0.38, color=colour, label=text)
        for i, fold in enumerate(summary["folds"]):
            right.annotate(
                f"w {fold['weight']:.2f}",
                (at[i], 0),
                textcoords="offset points",
                xytext=(0, 3),
                ha="center",
                fontsize=6,
                color="white",
            )
        low = 0.4 if summary["trait"] == "binary" else None
        right.set(ylabel=label, title="accuracy (w: weight of the network)", ylim=(low, None))
        right.set_xticks(at, names, fontsize=8)
        right.axvline(len(names) - 1.5, color=COLOURS["line"], linewidth=0.6)
        right.margins(y=0.22)
        right.legend(loc="upper left", fontsize=8, ncols=2)
