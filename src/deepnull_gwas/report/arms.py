"""-log10 p with DeepNull against without, as in Figure 1 of McCaw et al. 2022."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from deepnull_gwas.report.style import (
    COLOURS,
    ONE_COLUMN,
    P_LABEL,
    counted,
    figure,
    legend_below,
    say_instead,
    study_title,
)
from deepnull_gwas.results.compare import points_of_arms
from deepnull_gwas.tables import read_json


def plot_arms(
    baseline: str | Path | pl.DataFrame,
    deepnull: str | Path | pl.DataFrame,
    study_json: str | Path,
    summary_json: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Draw the variants of both arms against each other, hits gained and lost marked.

    Parameters
    ----------
    baseline, deepnull
        sumstats.tsv.gz of the arms, or what :func:`~deepnull_gwas.results.compare.points_of_arms` read of them.
    study_json, summary_json
        study.json and comparison.json.
    settings
        The ``report`` section: genome_wide.
    out
        Figure.
    """
    about, summary = read_json(study_json), read_json(summary_json)
    x, y = (points["neg_log_10_p_value"].to_numpy() for points in points_of_arms(baseline, deepnull))
    tested = np.isfinite(x) & np.isfinite(y)
    x, y = x[tested], y[tested]
    title = study_title(about, 0.85 * ONE_COLUMN)
    with figure(out, ONE_COLUMN, 4.5) as fig:
        if not len(x):
            reason = about.get("reason") or summary["prediction"].get("reason") or "see status.tsv"
            say_instead(fig, title, f"no variant tested in both arms: {reason}")
            return
        line = -np.log10(settings["genome_wide"])
        top = max(x.max(), y.max(), line) * 1.05
        # one point per cell where nothing is near a threshold; all others are drawn
        cell = np.rint(x * 40).astype(np.int64) * 1_000_000 + np.rint(y * 40).astype(np.int64)
        _, first = np.unique(cell, return_index=True)
        shown = np.zeros(len(x), dtype=bool)
        shown[first] = True
        hits_x, hits_y = x >= line, y >= line
        shown |= hits_x | hits_y
        ax = fig.add_subplot()
        ax.plot([0, top], [0, top], color=COLOURS["line"], linewidth=0.6)
        ax.axvline(line, color=COLOURS["threshold"], linewidth=0.6, linestyle="--")
        ax.axhline(line, color=COLOURS["threshold"], linewidth=0.6, linestyle="--")
        groups = {
            "not significant": (~hits_x & ~hits_y, "#bbbbbb", 2),
            "both": (hits_x & hits_y, COLOURS["shared"], 4),
            "gained": (~hits_x & hits_y, COLOURS["gained"], 6),
            "lost": (hits_x & ~hits_y, COLOURS["lost"], 6),
        }
        _scatter(ax, x, y, shown, groups, summary["loci"])
        ax.set(
            xlim=(0, top),
            ylim=(0, top),
            xlabel=f"baseline, {P_LABEL}",
            ylabel=f"DeepNull, {P_LABEL}",
            title=title,
            aspect="equal",
        )
        if summary.get("chi2_ratio"):
            ratio = f"mean χ² at loci, DeepNull / baseline: {summary['chi2_ratio']:.3f}"
            if summary.get("chi2_ratio_expected"):
                ratio += f"\n(expected from R²: {summary['chi2_ratio_expected']:.3f})"
            ax.plot([], [], linestyle="none", label=ratio)
        legend_below(fig, ax)


def _scatter(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    shown: np.ndarray,
    groups: Mapping[str, tuple[np.ndarray, str, float]],
    loci: Mapping[str, int],
) -> None:
    """Draw groups of variants (which, colour, size), each with its numbers of variants and loci in the legend."""
    names = {
        name: f" ({counted(loci[verdict], 'locus', 'loci')})"
        for name, verdict in (("both", "shared"), ("gained", "gained"), ("lost", "lost"))
    }
    for name, (at, colour, size) in groups.items():
        ax.scatter(
            x[at & shown],
            y[at & shown],
            s=size,
            color=colour,
            linewidth=0,
            rasterized=True,
            label=f"{name}: {counted(int(at.sum()), 'variant')}{names.get(name, '')}",
        )
