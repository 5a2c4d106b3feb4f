"""Regional plots: the variants around a locus, coloured by their correlation with its lead variant, and the genes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deepnull_gwas.report.manhattan import NAMES
from deepnull_gwas.report.style import (
    ALTERNATE,
    COLOURS,
    LABELS,
    P_LABEL,
    SMALL,
    TWO_COLUMNS,
    counted,
    figure,
    study_title,
    wrapped,
)
from deepnull_gwas.results.regions import read_regions
from deepnull_gwas.tables import read_json
from deepnull_gwas.text import shorten

#: Squared correlations from which on a colour holds, from grey over blue to red: told apart by the colour-blind.
BINS = ((0.0, "#bfc8d0"), (0.2, "#7fb0d5"), (0.4, "#2c7fb8"), (0.6, "#fdae61"), (0.8, "#c0341d"))
UNKNOWN = "#ffffff"
LEAD = "#6a3d9a"
WORDS = {"shared": "found by both arms", "gained": "gained by DeepNull", "lost": "lost with DeepNull", "single": ""}
#: Points of a panel that are drawn as circles rather than as a picture of them.
DRAWN = 5000
#: Rows of genes at most, and inches that each takes; inches of the axes' width, about.
ROWS, ROW, AXES = 10, 0.17, TWO_COLUMNS - 0.75


def colours_of(r2: list[int | None]) -> np.ndarray:
    """Return the colour of each variant from its squared correlation with the lead in thousandths, None not known."""
    edges = [low for low, _ in BINS]
    return np.array(
        [UNKNOWN if v is None else BINS[int(np.searchsorted(edges, v / 1000, side="right")) - 1][1] for v in r2]
    )


def pack_genes(genes: list[Mapping[str, Any]], start: int, stop: int, rows: int = ROWS) -> tuple[list[dict], int]:
    """Lay genes in rows, so that neither they nor their names overlap.

    Parameters
    ----------
    genes
        ``symbol``, ``start``, ``end``, ``strand``, ``biotype``.
    start, stop
        Of the region.
    rows
        How many at most: protein-coding genes come first, then the longest.

    Returns
    -------
    The genes that there is room for, cut at the ends of the region, with ``row``, and ``at``, the middle of the name;
    and how many there is no room for.
    """
    letter = 0.66 * SMALL / 72 / AXES * (stop - start)
    gap = 1.5 * letter

    def extent(gene: Mapping[str, Any]) -> dict[str, Any]:
        first, last = max(gene["start"], start), min(gene["end"], stop)
        # an arrow on either side tells the strand
        half = letter * (len(gene["symbol"]) + 1.5) / 2
        at = min(max((first + last) / 2, start + half), stop - half)
        span = {"first": first, "last": last, "at": at, "low": min(first, at - half), "high": max(last, at + half)}
        return {**gene, **span}

    importance = sorted(genes, key=lambda g: (g["biotype"] == "lncRNA", -(g["end"] - g["start"]), g["symbol"]))
    for count in range(len(importance), -1, -1):
        ends = [-np.inf] * rows
        placed = []
        for gene in sorted(map(extent, importance[:count]), key=lambda g: (g["low"], g["symbol"])):
            free = next((row for row, end in enumerate(ends) if end + gap < gene["low"]), None)
            if free is None:
                break
            ends[free] = gene["high"]
            placed.append({**gene, "row": free})
        if len(placed) == count:
            return placed, len(importance) - count
    return [], len(importance)


def _draw_genes(ax: Axes, genes: list[dict[str, Any]], left_out: int, rows: int) -> None:
    for gene in genes:
        coding = gene["biotype"] != "lncRNA"
        colour = COLOURS["shared"] if coding else COLOURS["line"]
        span, width = [gene["first"] / 1e6, gene["last"] / 1e6], 2.2 if coding else 1.2
        ax.plot(span, [gene["row"]] * 2, color=colour, linewidth=width, solid_capstyle="butt")
        name = {"+": f"{gene['symbol']} →", "-": f"← {gene['symbol']}"}.get(gene["strand"], gene["symbol"])
        ax.text(
            gene["at"] / 1e6,
            gene["row"] - 0.22,
            name,
            ha="center",
            va="bottom",
            fontsize=SMALL,
            color=colour,
        )
    ax.set(ylim=(rows - 0.6, -0.95), yticks=[], ylabel="genes")
    ax.spines["left"].set_visible(False)
    if left_out:
        ax.set_title(
            f"no room for {counted(left_out, 'more gene')}", fontsize=SMALL, loc="right", fontweight="normal", pad=2
        )


def _draw_arm(ax: Axes, region: Mapping[str, Any], arm: str, line: float, top: float) -> None:
    p = np.array(region["arms"][arm]["neg_log_10_p"], dtype=float)
    x, r2 = np.array(region["position"]) / 1e6, region["r2"][0]
    colours, lead = colours_of(r2), region["lead"]
    # the strongest correlated last, on top of the others
    order = np.argsort([-1 if v is None else v for v in r2], kind="stable")
    order = order[np.isfinite(p[order]) & (order != lead)]
    ax.scatter(
        x[order],
        p[order],
        s=9,
        color=colours[order],
        edgecolor="#444444",
        linewidth=0.25,
        rasterized=len(order) > DRAWN,
    )
    ax.axhline(line, color=COLOURS["threshold"], linewidth=0.6, linestyle="--")
    if np.isfinite(p[lead]):
        ax.scatter(x[lead], p[lead], s=26, marker="D", color=LEAD, edgecolor="black", linewidth=0.4, zorder=3)
        left = region["position"][lead] > (region["start"] + region["stop"]) / 2
        ax.annotate(
            shorten(region["id"][lead], 30), (x[lead], p[lead]), xytext=(-5 if left else 5, 3), fontsize=SMALL,
            textcoords="offset points", ha="right" if left else "left", va="bottom", annotation_clip=False,
        )  # fmt: skip
    ax.set(ylim=(0, top), ylabel=P_LABEL)
    ax.text(
        1.005, 0.5, LABELS[arm], transform=ax.transAxes, rotation=270, ha="left", va="center", color=ALTERNATE[arm][0]
    )


def _legend(fig: Figure, unknown: bool) -> None:
    def dot(colour: str, label: str, marker: str = "o") -> Line2D:
        return Line2D(
            [], [], linestyle="none", marker=marker, color=colour, markeredgecolor="#444444", markeredgewidth=0.3,
            label=label,
        )  # fmt: skip

    edges = [low for low, _ in BINS]
    names = [
        f"r² < {edges[1]:g}",
        *(f"{a:g} to {b:g}" for a, b in itertools.pairwise(edges[1:])),
        f"r² ≥ {edges[-1]:g}",
    ]
    entries = [dot(LEAD, "lead variant", "D")]
    entries += [dot(colour, name) for (_, colour), name in zip(reversed(BINS), reversed(names))]
    entries += [dot(UNKNOWN, "r² not known")] if unknown else []
    fig.legend(handles=entries, loc="outside lower left", ncols=len(entries), borderpad=0.2, handletextpad=0.1)


def plot_region(
    region: Mapping[str, Any], about: Mapping[str, Any], settings: Mapping[str, Any], out: str | Path
) -> None:
    """Draw one region: a panel for each arm and one of the genes.

    Parameters
    ----------
    region
        One of the loci of regions.json.gz (:func:`~deepnull_gwas.results.regions.measure_regions`).
    about
        study.json.
    settings
        ``genome_wide`` and ``genome_build``.
    out
        Figure.
    """
    genes, left_out = pack_genes(region["genes"], region["start"], region["stop"])
    rows = max((gene["row"] + 1 for gene in genes), default=0)
    arms = list(region["arms"])
    line = -np.log10(settings["genome_wide"])
    strongest = max((v for arm in arms for v in region["arms"][arm]["neg_log_10_p"] if v is not None), default=0)
    top = 1.15 * max(line, strongest)
    track = ROW * (rows + 0.35) + 0.12 * bool(left_out) if genes else 0
    height = 0.95 + (1.5 if len(arms) > 1 else 2.2) * len(arms) + track
    lead = region["lead"]
    gene = region["nearest_gene"]
    place = "" if gene is None else f" in {gene}" if region["gene_distance"] == 0 else f" near {gene}"
    words = f", {WORDS[region['verdict']]}" if WORDS[region["verdict"]] else ""
    alleles = "/".join(shorten(region[f"{which}_allele"][lead], 12) for which in ("effect", "other"))
    what = wrapped(f"{shorten(region['id'][lead], 40)} ({alleles}){place}{words}", 0.8 * TWO_COLUMNS)
    with figure(out, TWO_COLUMNS, height) as fig:
        ratios = [(height - 0.95 - track) / len(arms)] * len(arms) + ([track] if genes else [])
        axes = fig.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        for ax, arm in zip(axes, arms):
            _draw_arm(ax, region, arm, line, top)
        if genes:
            _draw_genes(axes[-1], genes, left_out, rows)
        axes[0].set_title(f"{study_title(about, 0.8 * TWO_COLUMNS)}\n{what}")
        chromosome = NAMES.get(region["chromosome"], region["chromosome"])
        build = f", {settings['genome_build']}" if settings.get("genome_build") else ""
        axes[-1].set(
            xlim=(region["start"] / 1e6, region["stop"] / 1e6),
            xlabel=f"position on chromosome {chromosome} (Mb{build})",
        )
        axes[-1].ticklabel_format(axis="x", useOffset=False)
        _legend(fig, None in region["r2"][0])


def plot_regions(regions: str | Path, study_json: str | Path, settings: Mapping[str, Any], out: str | Path) -> None:
    """Draw the regions of a study's strongest loci, ``regional_<locus>.svg`` and ``.pdf`` each.

    Parameters
    ----------
    regions
        regions.json.gz.
    study_json
        study.json.
    settings
        As :func:`plot_region`.
    out
        Folder of the figures. ``figures.tsv`` in it lists them, also where there are none.
    """
    about, folder = read_json(study_json), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["figure\tlead\tverdict\tnearest_gene\n"]
    for region in read_regions(regions)["loci"]:
        name = f"regional_{region['name']}"
        plot_region(region, about, settings, folder / f"{name}.svg")
        lead, gene = region["id"][region["lead"]], region["nearest_gene"] or "NA"
        lines.append(f"{name}\t{lead}\t{region['verdict']}\t{gene}\n")
    (folder / "figures.tsv").write_text("".join(lines), encoding="utf-8")
