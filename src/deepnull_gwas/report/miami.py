"""Miami plot: the genome with DeepNull above, without it below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from deepnull_gwas.genes.nearest import GENE_COLUMNS
from deepnull_gwas.report.labels import label_peaks, names_of_loci, room_for
from deepnull_gwas.report.manhattan import NAMES, genome_axis, thin
from deepnull_gwas.report.style import (
    ALTERNATE,
    COLOURS,
    LABELS,
    P_LABEL,
    TWO_COLUMNS,
    counted,
    figure,
    legend_below,
    say_instead,
    study_title,
)
from deepnull_gwas.results.sumstats import points_of
from deepnull_gwas.tables import read_json

#: Columns of comparison.tsv whose type its first rows do not tell.
TYPES = {
    **dict.fromkeys(("variant_id", "original_id", "effect_allele", "other_allele", "verdict"), pl.String),
    **dict.fromkeys(("neg_log_10_p_value_baseline", "neg_log_10_p_value_deepnull"), pl.Float64),
    **GENE_COLUMNS,
}


def plot_miami(
    baseline: str | Path | pl.DataFrame,
    deepnull: str | Path | pl.DataFrame,
    loci: str | Path,
    study_json: str | Path,
    settings: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Draw both arms along the genome, mirrored, with the loci that only one of them found marked.

    Parameters
    ----------
    baseline, deepnull
        sumstats.tsv.gz of the arms, or what :func:`~deepnull_gwas.results.sumstats.points_of` read of them.
    loci
        comparison.tsv.
    study_json
        study.json.
    settings
        The ``report`` section: genome_wide, top_loci_labelled.
    out
        Figure.
    """
    about = read_json(study_json)
    tables = {"deepnull": points_of(deepnull).drop_nulls(), "baseline": points_of(baseline).drop_nulls()}
    title = study_title(about, 0.6 * TWO_COLUMNS)
    with figure(out, TWO_COLUMNS, 3.4) as fig:
        if not any(len(t) for t in tables.values()):
            say_instead(fig, title, f"no variant tested: {about.get('reason') or 'see untested.tsv.gz'}")
            return
        axis = genome_axis(list(tables.values()))
        offset = {code: start - first for code, (start, _, first) in axis.items()}
        width = max(start + length for start, length, _ in axis.values())
        line = -np.log10(settings["genome_wide"])
        top = max(line * 1.2, *(float(t["neg_log_10_p_value"].max() or 0) for t in tables.values()))
        ax = fig.add_subplot()
        for sign, (arm, table) in zip((1, -1), tables.items()):
            code = table["chromosome"].to_numpy()
            at = np.searchsorted(list(axis), code)
            x = table["base_pair_location"].to_numpy() + np.array(list(offset.values()))[at]
            y = table["neg_log_10_p_value"].to_numpy()
            shown = thin(x, y)
            for parity in (0, 1):
                own = shown[at[shown] % 2 == parity]
                ax.scatter(x[own], sign * y[own], s=2, linewidth=0, color=ALTERNATE[arm][parity], rasterized=True)
            ax.axhline(sign * line, color=COLOURS["threshold"], linewidth=0.6, linestyle="--")
            # beside the axes, where no point is
            ax.text(
                1.005, 0.5 + 0.25 * sign, LABELS[arm], transform=ax.transAxes, rotation=270, ha="left", va="center",
                color=ALTERNATE[arm][0],
            )  # fmt: skip
        found = pl.read_csv(loci, separator="	", null_values="NA", quote_char=None, schema_overrides=TYPES)
        for verdict, arm, sign in (("gained", "deepnull", 1), ("lost", "baseline", -1)):
            rows = found.filter(pl.col("verdict") == verdict).drop_nulls(f"neg_log_10_p_value_{arm}")
            if len(rows):
                x = [p + offset[c] for c, p in zip(rows["chromosome"], rows["base_pair_location"])]
                ax.scatter(
                    x, sign * rows[f"neg_log_10_p_value_{arm}"].to_numpy(), s=22, facecolor="none",
                    edgecolor=COLOURS[verdict], linewidth=1.0,
                    label=f"{counted(len(rows), 'locus', 'loci')} {verdict}",
                )  # fmt: skip
        names = _name_peaks(ax, found, offset, (width, 1.08 * top), settings["top_loci_labelled"])
        ax.axhline(0, color="black", linewidth=0.6)
        ax.set(
            ylim=(-top * 1.08, top * 1.08),
            xlim=(-0.01 * width, 1.01 * width),
            ylabel=P_LABEL,
            xlabel="chromosome",
        )
        ax.set_title(title, pad=room_for(names["deepnull"]) if names["deepnull"] else None)
        if names["baseline"]:
            # names of what DeepNull lost lie between the axis and its numbers
            ax.tick_params(axis="x", pad=room_for(names["baseline"]))
        ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        ax.set_xticks([start + length / 2 for start, length, _ in axis.values()], [NAMES.get(c, str(c)) for c in axis])
        legend_below(fig, ax, ncols=2)


def _name_peaks(
    ax: Axes, loci: pl.DataFrame, offset: Mapping[int, float], extent: tuple[float, float], most: int
) -> dict[str, list[str]]:
    """Name loci, those of one arm first, then the strongest; above the axes, or below where DeepNull lost them.

    Returns the names.

    ``extent``: width of the axis and height at which names begin.
    """
    columns = {"deepnull": ["shared", "gained"], "baseline": ["lost"]}
    strength = pl.max_horizontal(f"neg_log_10_p_value_{arm}" for arm in columns)
    # what only one arm found comes first: that is what the figure is looked at for
    strongest = loci.sort(pl.col("verdict") != "shared", strength, descending=True, maintain_order=True)
    names = {}
    for (arm, verdicts), sign in zip(columns.items(), (1, -1)):
        rows = strongest.head(most).filter(pl.col("verdict").is_in(verdicts)).drop_nulls(f"neg_log_10_p_value_{arm}")
        x = np.array([p + offset[c] for c, p in zip(rows["chromosome"], rows["base_pair_location"])])
        names[arm] = names_of_loci(rows)
        label_peaks(ax, x, sign * rows[f"neg_log_10_p_value_{arm}"].to_numpy(), names[arm], extent[0], sign * extent[1])
    return names
