"""The prediction: how good it is by each model, whether it is calibrated, what it is made of, how training went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from deepnull_gwas.report.style import COLOURS, figure, say_instead
from deepnull_gwas.tables import read_json

MEASURES = {"quantitative": ("r2", "R², out of fold"), "binary": ("auc", "AUC, out of fold")}
NAMES = {
    "linear": "linear",
    "baseline": "base-\nline",
    "second_order": "second\norder",
    "splines": "splines",
    "trees": "trees",
    "network": "network",
    "original": "original",
    "deepnull": "prediction",
}
#: Covariates whose dependence is drawn: those of the strongest.
DRAWN = 6


def plot_deepnull(metrics: str | Path, by_fold: str | Path, out: str | Path) -> None:
    """Draw accuracy by model and fold, calibration, training curves, partial dependence and the strongest interaction.

    Parameters
    ----------
    metrics
        metrics.json.
    by_fold
        by_fold.json.
    out
        Figure.
    """
    summary, parts = read_json(metrics), read_json(by_fold)["folds"]
    with figure(out, 11, 6.6) as fig:
        if summary["status"] != "ok":
            say_instead(
                fig, f"{summary['study']}: DeepNull prediction", f"failed at {summary['stage']}: {summary['reason']}"
            )
            return
        top, bottom = fig.subfigures(2, 1, height_ratios=[1.15, 1])
        left, middle, right = top.subplots(1, 3, width_ratios=[1.35, 1, 1])
        _accuracy(left, summary)
        _calibration(middle, summary)
        _training(right, summary, parts)
        _dependence(bottom, summary)


def _accuracy(ax: Axes, summary: dict[str, Any]) -> None:
    key, label = MEASURES[summary["trait"]]
    pooled = {"linear": summary["linear"]} | summary["models"] | {"deepnull": summary["deepnull"]}
    for at, (name, values) in enumerate(pooled.items()):
        colour = COLOURS["deepnull"] if name == "deepnull" else COLOURS["baseline"]
        value = values[key]
        ax.bar(at, np.nan if value is None else value, width=0.7, color=colour, alpha=1 if name == "deepnull" else 0.75)
        own = [(f["deepnull"] if name == "deepnull" else f["models"].get(name, {})).get(key) for f in summary["folds"]]
        own = [np.nan if v is None else v for v in own]
        ax.scatter(at + np.linspace(-0.2, 0.2, len(own)), own, s=9, color="black", linewidth=0, zorder=3)
        weights = [f["weights"].get(name, 0.0) for f in summary["folds"]]
        if name not in ("deepnull", "baseline", "linear") and summary["model"] == "auto":
            ax.annotate(
                f"w {np.mean(weights):.2f}",
                (at, 0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color="white",
            )
    ax.set_xticks(range(len(pooled)), [NAMES.get(n, n) for n in pooled], fontsize=8)
    low = 0.4 if summary["trait"] == "binary" else None
    ax.set(ylabel=label, ylim=(low, None), title=f"{summary['study']}: accuracy (dots: folds)")


def _calibration(ax: Axes, summary: dict[str, Any]) -> None:
    predicted = [b["predicted"] for b in summary["calibration"]]
    observed = [b["observed"] for b in summary["calibration"]]
    ends = [min(predicted + observed), max(predicted + observed)]
    ax.plot(ends, ends, color=COLOURS["line"], linewidth=0.8)
    ax.plot(predicted, observed, "o-", color=COLOURS["deepnull"], markersize=4, linewidth=1)
    what = "share of cases" if summary["trait"] == "binary" else "phenotype"
    ax.set(xlabel="predicted (mean of a tenth)", ylabel=f"observed {what}", title="calibration")


def _training(ax: Axes, summary: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    if not any(part["epochs"] for part in parts):
        ax.axis("off")
        ax.set_title("no network was trained")
        return
    for part in parts:
        colour = colormaps["viridis"](part["fold"] / max(len(parts), 2))
        for key, line in (("validation", "-"), ("train", ":")):
            shown = [(e["epoch"], e[key]) for e in part["epochs"] if e[key] is not None]
            label = f"fold {part['fold']}" if key == "validation" else None
            ax.plot(*zip(*shown), color=colour, linestyle=line, linewidth=1, label=label)
    loss = "squared error / variance" if summary["trait"] == "quantitative" else "cross-entropy"
    ax.set(xlabel="epoch", ylabel=f"loss: {loss}", title="networks (dotted: training)")
    ax.legend(fontsize=7, ncols=2)


def _dependence(fig: Any, summary: dict[str, Any]) -> None:
    curves = sorted(
        summary["dependence"]["covariates"],
        key=lambda c: np.std(c["prediction"]) if c["prediction"] else 0,
        reverse=True,
    )[:DRAWN]
    pair = summary["dependence"]["interaction"]
    axes = np.atleast_1d(
        fig.subplots(1, len(curves) + (pair is not None), width_ratios=[1] * len(curves) + [1.5] * (pair is not None))
    )
    ends = [v for c in curves for v in c["prediction"]]
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    for i, (ax, curve) in enumerate(zip(axes, curves)):
        style = "o-" if len(curve["values"]) < 6 else "-"
        ax.plot(curve["values"], curve["prediction"], style, color=COLOURS["deepnull"], markersize=4)
        ax.set(ylim=(min(ends) - margin, max(ends) + margin))
        ax.set_title(curve["name"], fontsize=9)
        ax.tick_params(labelsize=7)
        if i:
            ax.set_yticklabels([])
        else:
            ax.set_ylabel("partial dependence" + (" (logit)" if summary["trait"] == "binary" else ""), fontsize=8)
    if pair is not None:
        ax = axes[-1]
        size = np.abs(pair["prediction"]).max() or 1.0
        shown = ax.imshow(
            np.array(pair["prediction"]).T, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-size, vmax=size
        )
        for setter, values in ((ax.set_xticks, pair["values"][0]), (ax.set_yticks, pair["values"][1])):
            setter(range(len(values)), [f"{v:.3g}" for v in values], fontsize=7)
        ax.set_xlabel(pair["names"][0], fontsize=8)
        ax.set_ylabel(pair["names"][1], fontsize=8)
        ax.set_title(f"strongest interaction ({100 * pair['share']:.0f} %)", fontsize=9)
        fig.colorbar(shown, ax=ax).ax.tick_params(labelsize=7)
