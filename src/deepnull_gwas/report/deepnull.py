"""The prediction: how good it is by each model, whether it is calibrated, what it is made of, how training went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from deepnull_gwas.report.style import COLOURS, SMALL, TWO_COLUMNS, figure, say_instead, study_title
from deepnull_gwas.tables import read_json
from deepnull_gwas.text import shorten
from deepnull_gwas.traits import trait_of

#: Names under the bars that need two lines; the others are written as they are.
NAMES = {
    "baseline": "base-\nline",
    "second_order": "2nd\norder",
    "gaussian_process": "Gauss.\nproc.",
    "network": "net-\nwork",
    "original": "origi-\nnal",
    "deepnull": "predic-\ntion",
}
#: Covariates whose dependence is drawn: those of the strongest.
DRAWN = 6


def plot_deepnull(metrics: str | Path, by_fold: str | Path, study_json: str | Path, out: str | Path) -> None:
    """Draw accuracy by model and fold, calibration, training curves, partial dependence and the strongest interaction.

    Parameters
    ----------
    metrics
        metrics.json.
    by_fold
        by_fold.json.
    study_json
        study.json.
    out
        Figure.
    """
    summary, parts = read_json(metrics), read_json(by_fold)["folds"]
    title = study_title(read_json(study_json), 0.9 * TWO_COLUMNS)
    with figure(out, TWO_COLUMNS, 4.7) as fig:
        if summary["status"] != "ok":
            say_instead(fig, f"{title}: DeepNull", f"failed at {summary['stage']}: {summary['reason']}")
            return
        fig.suptitle(title, x=0.01, ha="left")
        top, bottom = fig.subfigures(2, 1, height_ratios=[1.25, 1])
        left, middle, right = top.subplots(1, 3, width_ratios=[1.5, 1, 1])
        _accuracy(left, summary)
        _calibration(middle, summary)
        _training(right, summary, parts)
        _dependence(bottom, summary)


def _accuracy(ax: Axes, summary: dict[str, Any]) -> None:
    trait = trait_of(summary["trait"])
    key, origin = trait.measure, trait.uninformative
    pooled = {"linear": summary["linear"]} | summary["models"] | {"deepnull": summary["deepnull"]}
    ticks = []
    for at, (name, values) in enumerate(pooled.items()):
        colour = COLOURS["deepnull"] if name == "deepnull" else COLOURS["baseline"]
        value = values[key]
        height = np.nan if value is None else value - origin
        ax.bar(at, height, bottom=origin, width=0.7, color=colour, alpha=1 if name == "deepnull" else 0.75)
        own = [(f["deepnull"] if name == "deepnull" else f["models"].get(name, {})).get(key) for f in summary["folds"]]
        own = [np.nan if v is None else v for v in own]
        ax.scatter(at + np.linspace(-0.2, 0.2, len(own)), own, s=4, color="black", linewidth=0, zorder=3)
        weights = [f["weights"].get(name, 0.0) for f in summary["folds"]]
        if name == "linear":
            weights = [1 - sum(f["weights"].values()) for f in summary["folds"]]
        weighed = name not in ("deepnull", "baseline") and summary["model"] == "auto"
        words = NAMES.get(name, name)
        # weights in one line below names of one line and of two
        ticks.append(words + "\n" * (2 - words.count("\n")) + f"{np.mean(weights):.2f}" if weighed else words)
    ax.set_xticks(range(len(pooled)), ticks)
    ax.tick_params(axis="x", length=0)
    ax.axhline(origin, color="black", linewidth=0.6)
    title = "Accuracy (dots: folds" + ("; below: weights)" if summary["model"] == "auto" else ")")
    ax.set(ylabel=f"{trait.measure_label}, out of fold", title=title)


def _calibration(ax: Axes, summary: dict[str, Any]) -> None:
    predicted = [b["predicted"] for b in summary["calibration"]]
    observed = [b["observed"] for b in summary["calibration"]]
    ends = [min(predicted + observed), max(predicted + observed)]
    ax.plot(ends, ends, color=COLOURS["line"], linewidth=0.6)
    ax.plot(predicted, observed, "o-", color=COLOURS["deepnull"], markersize=3)
    what = "share of cases" if trait_of(summary["trait"]).has_cases else "phenotype"
    ax.set(xlabel="predicted (mean of a tenth)", ylabel=f"observed {what}", title="Calibration")


def _training(ax: Axes, summary: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    if not any(part["epochs"] for part in parts):
        ax.axis("off")
        ax.set_title("No network was trained")
        return
    for key, line, colour in (("validation", "-", COLOURS["deepnull"]), ("train", ":", COLOURS["baseline"])):
        label = {"validation": "held out", "train": "training"}[key]
        for part in parts:
            shown = [(e["epoch"], e[key]) for e in part["epochs"] if e[key] is not None]
            if shown:
                ax.plot(*zip(*shown), color=colour, linestyle=line, linewidth=0.8, label=label)
                label = None
    loss = trait_of(summary["trait"]).loss_label
    ax.set(xlabel="epoch", ylabel=f"loss: {loss}", title="Networks, one line per fold")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    # under the label of the axis, where no line can run
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.23), borderaxespad=0, borderpad=0, ncols=2)


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
        ax.plot(curve["values"], curve["prediction"], style, color=COLOURS["deepnull"], markersize=3)
        ax.set(ylim=(min(ends) - margin, max(ends) + margin))
        ax.set_title(shorten(curve["name"], 10), fontsize=6)
        ax.tick_params(labelsize=SMALL)
        if len(curve["values"]) < 6:
            ax.set_xticks(curve["values"], [f"{v:.3g}" for v in curve["values"]])
        else:
            ax.xaxis.set_major_locator(MaxNLocator(nbins=2, min_n_ticks=2))
        ax.margins(x=0.15)
        if i:
            ax.set_yticklabels([])
        else:
            ax.set_ylabel("partial dependence" + (" (logit)" if trait_of(summary["trait"]).has_cases else ""))
    if pair is not None:
        ax = axes[-1]
        size = np.abs(pair["prediction"]).max() or 1.0
        shown = ax.imshow(
            np.array(pair["prediction"]).T, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-size, vmax=size
        )
        for setter, values in ((ax.set_xticks, pair["values"][0]), (ax.set_yticks, pair["values"][1])):
            setter(range(len(values)), [f"{v:.3g}" for v in values], fontsize=SMALL)
        ax.tick_params(axis="x", rotation=90 if len(pair["values"][0]) > 4 else 0)
        ax.set_xlabel(shorten(pair["names"][0], 18))
        ax.set_ylabel(shorten(pair["names"][1], 18))
        ax.set_title(f"Strongest interaction ({100 * pair['share']:.0f} %)", fontsize=6)
        fig.colorbar(shown, ax=ax).ax.tick_params(labelsize=SMALL)
