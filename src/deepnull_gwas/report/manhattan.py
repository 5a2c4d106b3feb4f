"""Manhattan plot of a study, one panel per arm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deepnull_gwas.report.labels import label_peaks, names_of_loci, room_for
from deepnull_gwas.report.style import (
    ALTERNATE,
    COLOURS,
    LABELS,
    P_LABEL,
    TWO_COLUMNS,
    figure,
    say_instead,
    study_title,
)
from deepnull_gwas.results.loci import read_leads
from deepnull_gwas.results.sumstats import points_of
from deepnull_gwas.tables import read_json

NAMES = {23: "X", 24: "Y", 25: "MT"}
#: Below this -log10 p only one point is drawn for each cell of the picture.
DENSE = 3.0


def genome_axis(parts: list[pl.DataFrame]) -> dict[int, tuple[float, float, int]]:
    """Lay the chromosomes side by side, with small gaps: chromosome -> (start, length, first position)."""
    ends: dict[int, tuple[int, int]] = {}
    for part in parts:
        for code, low, high in (
            part.group_by("chromosome")
            .agg(pl.col("base_pair_location").min().alias("a"), pl.col("base_pair_location").max().alias("b"))
            .iter_rows()
        ):
            a, b = ends.get(code, (low, high))
            ends[code] = (min(a, low), max(b, high))
    total = sum(b - a + 1 for a, b in ends.values())
    axis, at = {}, 0.0
    for code in sorted(ends):
        a, b = ends[code]
        axis[code] = (at, b - a + 1, a)
        at += b - a + 1 + 0.012 * total
    return axis


def thin(x: np.ndarray, y: np.ndarray, columns: int = 1600, rows: int = 200) -> np.ndarray:
    """Choose the points to draw: all above DENSE, below one per cell of a grid. Deterministic."""
    if not len(x):
        return np.zeros(0, dtype=np.int64)
    cell = (x / max(x.max(), 1) * columns).astype(np.int64) * (rows + 1) + np.minimum(y / DENSE * rows, rows).astype(
        np.int64
    )
    dense = y < DENSE
    _, first = np.unique(cell[dense], return_index=True)
    return np.sort(np.concatenate([np.flatnonzero(~dense), np.flatnonzero(dense)[first]]))


def plot_manhattan(
    sumstats: Mapping[str, str | Path | pl.DataFrame],
    leads: Mapping[str, str | Path],
    study_json: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Draw the Manhattan plot of a study.

    Parameters
    ----------
    sumstats, leads
        arm -> file; the former may be what :func:`~deepnull_gwas.results.sumstats.points_of` read.
    study_json
        study.json.
    settings
        The ``report`` section: genome_wide, suggestive, top_loci_labelled.
    out
        Figure.
    """
    about = read_json(study_json)
    tables = {arm: points_of(source).drop_nulls() for arm, source in sumstats.items()}
    title = study_title(about, 0.8 * TWO_COLUMNS)
    with figure(out, TWO_COLUMNS, 2.5 * len(tables) + 0.3) as fig:
        if not any(len(t) for t in tables.values()):
            say_instead(fig, title, f"no variant tested: {about.get('reason') or 'see untested.tsv.gz'}")
            return
        axis = genome_axis(list(tables.values()))
        offset = {code: start - first for code, (start, _, first) in axis.items()}
        width = max(start + length for start, length, _ in axis.values())
        top = max(
            max(float(t["neg_log_10_p_value"].max() or 0) for t in tables.values()),
            -np.log10(settings["genome_wide"]) * 1.1,
        )
        axes = fig.subplots(len(tables), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (arm, table) in zip(axes, tables.items()):
            code = table["chromosome"].to_numpy()
            x = (
                table["base_pair_location"].to_numpy()
                + np.array(list(offset.values()))[np.searchsorted(list(axis), code)]
            )
            y = table["neg_log_10_p_value"].to_numpy()
            shown = thin(x, y)
            even = np.searchsorted(list(axis), code[shown]) % 2
            for parity in (0, 1):
                at = shown[even == parity]
                ax.scatter(x[at], y[at], s=2, linewidth=0, color=ALTERNATE[arm][parity], rasterized=True)
            ax.axhline(-np.log10(settings["genome_wide"]), color=COLOURS["threshold"], linewidth=0.6, linestyle="--")
            ax.axhline(-np.log10(settings["suggestive"]), color=COLOURS["line"], linewidth=0.6, linestyle=":")
            found = (
                read_leads(leads[arm])
                .sort("neg_log_10_p_value", descending=True, maintain_order=True)
                .head(settings["top_loci_labelled"])
            )
            names = names_of_loci(found)
            if len(found):
                fx = found["base_pair_location"].to_numpy() + np.array([offset[c] for c in found["chromosome"]])
                label_peaks(ax, fx, found["neg_log_10_p_value"].to_numpy(), names, width, top * 1.05)
            ax.set(ylim=(0, top * 1.04), xlim=(-0.01 * width, 1.01 * width), ylabel=P_LABEL)
            ax.set_title(f"{title}: {LABELS[arm]}" if ax is axes[0] else LABELS[arm], pad=room_for(names))
        centres = [start + length / 2 for start, length, _ in axis.values()]
        axes[-1].set_xticks(centres, [NAMES.get(c, str(c)) for c in axis])
        axes[-1].set_xlabel("chromosome")
