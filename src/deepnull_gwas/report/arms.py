"""-log10 p with DeepNull against without, as in Figure 1 of McCaw et al. 2022."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deepnull_gwas.report.style import COLOURS, figure, say_instead
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
    title = f"{about['study']}: {about['phenotype']} (n = {about['n']:,})"
    with figure(out, 5.6, 5.6) as fig:
        if not len(x):
            say_instead(
                fig,
                title,
                f"no variant tested in both arms: {about.get('reason') or summary['prediction'].get('reason') or 'see status.tsv'}",
            )
            return
        line = -np.log10(settings["genome_wide"])
        top = max(x.max(), y.max(), line) * 1.05
        # one point a cell where nothing is near a threshold; all others are drawn
        cell = np.rint(x * 40).astype(np.int64) * 1_000_000 + np.rint(y * 40).astype(np.int64)
        _, first = np.unique(cell, return_index=True)
        shown = np.zeros(len(x), dtype=bool)
        shown[first] = True
        hits_x, hits_y = x >= line, y >= line
        shown |= hits_x | hits_y
        ax = fig.add_subplot()
        ax.plot([0, top], [0, top], color=COLOURS["line"], linewidth=0.8)
        ax.axvline(line, color="#b2182b", linewidth=0.6, linestyle="--")
        ax.axhline(line, color="#b2182b", linewidth=0.6, linestyle="--")
        groups = {
            "not significant": (~hits_x & ~hits_y, "#bbbbbb", 6),
            "both": (hits_x & hits_y, COLOURS["shared"], 10),
            "gained": (~hits_x & hits_y, COLOURS["gained"], 16),
            "lost": (hits_x & ~hits_y, COLOURS["lost"], 16),
        }
        loci = summary["loci"]
        names = {
            "both": f" ({loci['shared']} loci)",
            "gained": f" ({loci['gained']} loci)",
            "lost": f" ({loci['lost']} loci)",
        }
        for name, (at, colour, size) in groups.items():
            ax.scatter(
                x[at & shown],
                y[at & shown],
                s=size,
                color=colour,
                linewidth=0,
                rasterized=True,
                label=f"{name}: {int(at.sum()):,} variants{names.get(name, '')}",
            )
        ax.set(
            xlim=(0, top),
            ylim=(0, top),
            xlabel="baseline, −log10 p",
            ylabel="DeepNull, −log10 p",
            title=title,
            aspect="equal",
        )
        ax.legend(loc="upper left", fontsize=8)
        if summary.get("chi2_ratio"):
            expected = (
                f" (expected from R² {summary['chi2_ratio_expected']:.3f})"
                if summary.get("chi2_ratio_expected")
                else ""
            )
            ax.text(
                0.98,
                0.02,
                f"mean χ² at loci, DeepNull / baseline: {summary['chi2_ratio']:.3f}{expected}",
                transform=ax.transAxes,
                ha="right",
                va="bottom",
                fontsize=8,
            )
