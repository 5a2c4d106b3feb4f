"""What DeepNull gained in each study of a batch, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
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

#: Inches in addition to the rows: titles, axes and legends.
_AROUND = 1.25


def plot_batch(table: str | Path, studies: Sequence[str | Path], out: str | Path) -> None:
    """Draw accuracy, effective sample size and loci of the studies of a batch.

    Parameters
    ----------
    table
        comparison.tsv of the batch (:func:`deepnull_gwas.results.compare.compare_batch`).
    studies
        study.json of its studies, in any order; more are allowed.
    out
        Figure. Of more studies than a page has room for, those in which DeepNull changed most.
    """
    rows = pd.read_csv(table, sep="\t")
    about = {study["study"]: study for study in map(read_json, studies)}
    height, room = row_height(len(rows), PAGE - _AROUND - 0.2, 0.34, 0.12)
    every = len(rows)
    if room < every:
        change = rows["effective_sample_size_gained_fraction"].abs().fillna(-1)
        rows = rows.loc[np.sort(change.sort_values(ascending=False, kind="stable").index[:room])]
    title_room = 0.2 if room < every else 0.0
    with figure(out, TWO_COLUMNS, _AROUND + title_room + height * max(len(rows), 2)) as fig:
        if not len(rows):
            say_instead(fig, "baseline against DeepNull", "no study of this batch has both arms")
            return
        if room < every:
            fig.suptitle(f"The {counted(room, 'study', 'studies')} of {every:,} in which DeepNull changed most")
        at = np.arange(len(rows))[::-1]
        accuracy, size, loci = fig.subplots(1, 3, sharey=True, width_ratios=[1.1, 1, 1])
        accuracy.barh(at + 0.18, rows["explained_linear"], height=0.34, color=COLOURS["baseline"], label="linear model")
        accuracy.barh(at - 0.18, rows["explained_deepnull"], height=0.34, color=COLOURS["deepnull"], label="DeepNull")
        if "explained_both_baseline" in rows:
            _draw_genome(accuracy, rows, at)
        labels = [row_label(name, about.get(name), height) for name in rows["study"]]
        accuracy.set_yticks(at, labels, fontsize=TEXT if height >= 0.15 else SMALL)
        by = "covariates and genome" if "explained_both_baseline" in rows else "covariates"
        accuracy.set(xlabel="R² out of fold\n(binary: McFadden's)", title=f"Explained by {by}")
        size.barh(
            at, 100 * rows["effective_sample_size_gained_fraction"].fillna(0), height=0.6, color=COLOURS["gained"]
        )
        expected = 100 * (rows["chi2_ratio_expected"] - 1)
        if expected.notna().any():
            size.plot(expected, at, "|", color="black", markersize=7, markeredgewidth=1.2, label="expected from R²")
        size.axvline(0, color=COLOURS["line"], linewidth=0.6)
        size.set(xlabel="gain in mean χ² at loci (%)", title="Effective sample size")
        start = np.zeros(len(rows))
        for name in ("shared", "gained", "lost"):
            loci.barh(at, rows[f"loci_{name}"], left=start, height=0.6, color=COLOURS[name], label=name)
            start += rows[f"loci_{name}"].to_numpy()
        loci.set(xlabel="number in either arm", title="Loci", xlim=(0, max(1.0, 1.05 * start.max())))
        loci.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        for ax, side in ((accuracy, "left"), (size, "left"), (loci, "right")):
            ax.set_ylim(-0.6, len(rows) - 0.4)
            ax.tick_params(axis="y", length=0)
            if ax.get_legend_handles_labels()[0]:
                # under the axis, where there are no bars
                ax.legend(
                    loc=f"upper {side}", bbox_to_anchor=(float(side == "right"), 0), borderaxespad=0, borderpad=0,
                    ncols=3, columnspacing=1, handlelength=1.2, bbox_transform=_below(ax),
                )  # fmt: skip


def _draw_genome(ax, rows: pd.DataFrame, at: np.ndarray) -> None:
    """Draw what the rest of the genome explains in addition to the covariates, in either arm, as outlines."""
    for place, arm, covariates in ((at + 0.18, "baseline", "linear"), (at - 0.18, "deepnull", "deepnull")):
        start = rows[f"explained_{covariates}"].clip(lower=0).fillna(0)
        # the share that both explain less that of the covariates alone, by the same measure
        width = (rows[f"explained_both_{arm}"] - rows[f"explained_covariates_{arm}"]).clip(lower=0).fillna(0)
        # one entry of the legend for both arms
        label = "with the genome" if arm == "baseline" else None
        ax.barh(
            place, width, left=start, height=0.34, facecolor="none", edgecolor=COLOURS[arm], linewidth=0.7, label=label
        )


def _below(ax):
    """Return the transformation of an axes' corner to the place under its ticks and two lines of label."""
    from matplotlib.transforms import ScaledTranslation

    return ax.transAxes + ScaledTranslation(0, -0.52, ax.figure.dpi_scale_trans)
