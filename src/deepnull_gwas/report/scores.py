"""How well phenotypes are predicted, with and without DeepNull and a polygenic score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import MaxNLocator

from deepnull_gwas.report.style import (
    COLOURS,
    PAGE,
    SMALL,
    TEXT,
    TWO_COLUMNS,
    counted,
    figure,
    row_height,
    row_label,
    say_instead,
)
from deepnull_gwas.tables import read_json
from deepnull_gwas.text import shorten

MEASURES = {"quantitative": ("r2", "R², out of fold", 0.0), "binary": ("auc", "AUC, out of fold", 0.5)}
#: Bars of a study from the top: model, colour, whether filled, name.
BARS = (
    ("linear", COLOURS["baseline"], False, "covariates"),
    ("deepnull", COLOURS["deepnull"], False, "covariates + DeepNull"),
    ("linear_score", COLOURS["baseline"], True, "covariates + score"),
    ("deepnull_score", COLOURS["deepnull"], True, "covariates + DeepNull + score"),
)
#: Differences of a study from the top: key, marker, name.
GAINS = (
    ("deepnull - linear", "o", False, "without score"),
    ("deepnull_score - linear_score", "o", True, "with score"),
)
_HEIGHT = 0.2
#: Inches in addition to the rows of one kind of trait, and of the legend.
_AROUND, _LEGEND = 0.72, 0.25


def plot_scores(accuracies: Sequence[str | Path], out: str | Path) -> None:
    """Draw the accuracy of the predicted phenotypes of a cohort: bars by model and study, and what DeepNull adds.

    Parameters
    ----------
    accuracies
        accuracy.json of the studies, in the order in which they are drawn.
    out
        Figure. Quantitative and binary traits have panels of their own, as their measures cannot be compared. Of more
        studies than a page has room for, those to which DeepNull adds or takes most.
    """
    every = [read_json(path) for path in accuracies]
    height, room = row_height(len(every), PAGE - 2 * _AROUND - _LEGEND - 0.2, 0.6, 0.34)
    left_out = len(every) - room
    if left_out:
        most = sorted(range(len(every)), key=lambda i: -_added(every[i]))[:room]
        every = [every[i] for i in sorted(most)]
    kinds = [(trait, [s for s in every if s["trait"] == trait]) for trait in MEASURES]
    kinds = [(trait, studies) for trait, studies in kinds if studies]
    # inches: a study's rows, and the axis and title of each kind
    heights = [_AROUND + height * max(len(studies), 1) for _, studies in kinds]
    above = _LEGEND + (0.2 if left_out else 0.0)
    with figure(out, TWO_COLUMNS, max(sum(heights) + above, 1.6)) as fig:
        if not kinds:
            say_instead(fig, "phenotype prediction", "no study of this cohort has the deepnull arm")
            return
        legend, *parts = fig.subfigures(len(kinds) + 1, 1, height_ratios=[above, *heights])
        for part, (trait, studies) in zip(parts, kinds):
            _panel(part, trait, studies, height)
        bars, gains = (ax.get_legend_handles_labels() for ax in parts[0].axes)
        for words, place, ncols in ((bars, "lower left", 4), (gains, "lower right", 2)):
            legend.legend(*words, loc=place, ncols=ncols, columnspacing=1, handlelength=1.4, fontsize=6, borderpad=0.2)
        if left_out:
            legend.suptitle(
                f"The {room:,} of {counted(room + left_out, 'study', 'studies')} that DeepNull changes most"
            )


def _added(study: dict[str, Any]) -> float:
    """Return by how much DeepNull changes the accuracy of a study, up or down; negative where that is unknown."""
    key = MEASURES[study["trait"]][0]
    found = study.get("measures", {}).get(key, {}).get("differences", {}).get(GAINS[0][0], {}).get("estimate")
    return -1.0 if found is None else abs(found)


def _panel(part: SubFigure, trait: str, studies: list[dict[str, Any]], height: float) -> None:
    key, label, origin = MEASURES[trait]
    bars, gains = part.subplots(1, 2, sharey=True, width_ratios=[1.6, 1])
    at = np.arange(len(studies))[::-1].astype(float)
    for place, (name, colour, filled, words) in enumerate(BARS):
        y = at + (1.5 - place) * _HEIGHT
        estimate, low, high = _values(studies, key, "models", name)
        bars.barh(
            y,
            estimate - origin,
            left=origin,
            height=0.85 * _HEIGHT,
            color=colour if filled else "white",
            edgecolor=colour,
            linewidth=0.8,
            label=words,
        )
        bars.hlines(y, low, high, color="black", linewidth=0.7)
        _label(bars, estimate, high, y, "{:.3f}")
    for place, (name, marker, filled, words) in enumerate(GAINS):
        y = at + (0.5 - place) * 2 * _HEIGHT
        estimate, low, high = _values(studies, key, "differences", name)
        colour = COLOURS["deepnull"]
        gains.hlines(y, low, high, color=colour, linewidth=1)
        _label(gains, estimate, high, y, "{:+.3f}")
        gains.plot(
            y * 0 + estimate, y, marker, color=colour, markerfacecolor=colour if filled else "white", label=words
        )
    labels = [row_label(s["study"], s if s["status"] == "ok" else None, height) for s in studies]
    bars.set_yticks(at, labels, fontsize=TEXT)
    bars.set_ylim(-0.6, len(studies) - 0.4)
    bars.tick_params(axis="y", length=0)
    for place, study in zip(at, studies):
        if study["status"] != "ok":
            reason = shorten(f"failed: {study['reason']}", 90)
            # from the left end of the axes, wherever the bars of others begin
            words = bars.text(
                0.0, place, f" {reason}", va="center", fontsize=SMALL, transform=bars.get_yaxis_transform()
            )
            # a long reason runs on over the next panel rather than push it away
            words.set_in_layout(False)
    low, high = bars.get_xlim()
    bars.set_xlim(low, high + 0.06 * (high - low))
    bars.set(xlabel=label, title=f"{trait.capitalize()} traits")
    gains.set(xlabel=f"{label.split(',')[0]}, DeepNull less linear", title="What DeepNull adds")
    gains.tick_params(axis="y", length=0)
    gains.margins(x=0.22)
    gains.xaxis.set_major_locator(MaxNLocator(nbins=5))
    gains.axvline(0, color=COLOURS["line"], linewidth=0.7)
    _from_origin(bars, origin)


def _label(ax: Axes, estimate: np.ndarray, high: np.ndarray, y: np.ndarray, form: str) -> None:
    """Write the estimates behind their intervals."""
    for value, end, height in zip(estimate, np.fmax(high, estimate), y):
        if np.isfinite(value):
            text = form.format(value).replace("-", "−")
            ax.annotate(text, (end, height), xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL)


def _from_origin(ax: Axes, origin: float) -> None:
    """Let bars start at the value of no prediction, unless one is worse than that."""
    low, high = ax.get_xlim()
    ax.set_xlim(min(origin, low) if low < origin - 0.01 * (high - low) else origin, high)
    ax.axvline(origin, color="black", linewidth=0.6)


def _values(
    studies: list[dict[str, Any]], measure: str, kind: str, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimates and bounds of all studies; NaN where there is none."""
    found = [s.get("measures", {}).get(measure, {}).get(kind, {}).get(name, {}) for s in studies]
    rows = [[np.nan if f.get(k) is None else f[k] for f in found] for k in ("estimate", "low", "high")]
    return tuple(np.array(row, dtype=float) for row in rows)
