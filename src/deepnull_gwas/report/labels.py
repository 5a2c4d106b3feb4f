"""Names of loci above peaks: side by side where they would overlap."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from deepnull_gwas.report.style import COLOURS, SMALL
from deepnull_gwas.text import shorten

#: Characters of a name; share of the width of two columns that a name on its side takes.
LONGEST, STEP = 18, 0.026


def names_of_loci(loci: pl.DataFrame) -> list[str]:
    """Return what loci are called in a figure: the nearest gene, or the lead variant where no gene is known.

    Parameters
    ----------
    loci
        Rows of leads.tsv or comparison.tsv.
    """
    columns = [c for c in ("nearest_gene", "original_id") if c in loci.columns]
    return [shorten(name, LONGEST) for name in loci.select(pl.coalesce(columns).fill_null("")).to_series()]


def spread(x: np.ndarray, width: float) -> np.ndarray:
    """Return places for names beside each other, as near to their points as there is room, in the order of the points.

    Parameters
    ----------
    x
        Ascending places of the points.
    width
        Of the axis: places lie between 0 and this.
    """
    step = width * STEP
    # of more names than fit, the step shrinks
    step = min(step, width / max(len(x), 1))
    places = np.clip(x.astype(float), step / 2, width - step / 2)
    # pushed right where they overlap, then back from the right end
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + step)
    shift = places - x
    # each run of touching names moves back by half of how far its last was pushed
    start = 0
    for i in range(1, len(places) + 1):
        if i == len(places) or places[i] - places[i - 1] > step * (1 + 1e-9):
            places[start:i] -= max(shift[start:i].max(), 0) / 2
            start = i
    for i in range(len(places) - 1, -1, -1):
        limit = width - step / 2 if i == len(places) - 1 else places[i + 1] - step
        places[i] = min(places[i], limit)
    for i in range(len(places)):
        limit = step / 2 if i == 0 else places[i - 1] + step
        places[i] = max(places[i], limit)
    return places


def label_peaks(ax: Axes, x: np.ndarray, y: np.ndarray, names: list[str], width: float, top: float) -> None:
    """Write names outside the axes, on their side: above them, or below where ``top`` is negative.

    Parameters
    ----------
    ax
        With the peaks.
    x, y, names
        Of the peaks.
    width
        Of the axis, see :func:`spread`.
    top
        Height at which names begin.
    """
    order = np.argsort(x, kind="stable")
    places = spread(x[order], width)
    for place, i in zip(places, order):
        ax.annotate(
            names[i], (x[i], y[i]), xytext=(place, top), rotation=90, ha="center", fontsize=SMALL,
            va="bottom" if top > 0 else "top", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": COLOURS["line"], "linewidth": 0.4, "shrinkA": 1, "shrinkB": 2},
        )  # fmt: skip


def room_for(names: list[str]) -> float:
    """Return the points that names on their side take beyond the axes: capitals take about .7 of their size."""
    return 0.7 * SMALL * max(map(len, names), default=0) + 7
