"""The population structure of a cohort: eigenvalues, components, loadings, and what they have to do with phenotypes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from deepnull_gwas.genotypes.chromosomes import ORDER
from deepnull_gwas.report.style import (
    ALTERNATE,
    COLOURS,
    ONE_COLUMN,
    PAGE,
    SMALL,
    TEXT,
    TWO_COLUMNS,
    counted,
    figure,
    row_height,
    row_label,
    say_instead,
    wrapped,
)
from deepnull_gwas.tables import read_json, read_parquet
from deepnull_gwas.text import shorten


def plot_scree(eigenvalues: str | Path, out: str | Path) -> None:
    """Draw the eigenvalues.

    Parameters
    ----------
    eigenvalues
        eigenvalues.tsv: component, eigenvalue, variance_explained.
    out
        Figure.
    """
    table = pd.read_csv(eigenvalues, sep="\t")
    with figure(out, ONE_COLUMN, 2.5) as fig:
        if not len(table):
            say_instead(fig, "Scree plot", "no components were asked for")
            return
        ax = fig.add_subplot()
        at = np.arange(1, len(table) + 1)
        ax.plot(at, table["eigenvalue"], marker="o", color=COLOURS["baseline"])
        labelled = len(at) <= 12 and table["variance_explained"].notna().any()
        for i, share in zip(at, table["variance_explained"]):
            if labelled and np.isfinite(share):
                ax.annotate(
                    f"{100 * share:.2g}", (i, table["eigenvalue"][i - 1]), textcoords="offset points", xytext=(3, 3),
                    ha="left", va="bottom", fontsize=SMALL,
                )  # fmt: skip
        ax.set(
            xlabel="principal component",
            ylabel="eigenvalue",
            xlim=(0.4, len(at) + 0.9),
            # room for the first label
            ylim=(0, 1.12 * table["eigenvalue"].max()),
            title="Eigenvalues" + (" (labels: variance explained, %)" if labelled else ""),
        )
        ax.set_xticks(at if len(at) <= 20 else at[::5])


def plot_pcs(
    pcs: str | Path, eigenvalues: str | Path, samples: str | Path, colour_by: Sequence[str], out: str | Path
) -> None:
    """Draw pairs of components, a row of panels for each column that the people are coloured by.

    Parameters
    ----------
    pcs
        pcs.parquet.
    eigenvalues
        eigenvalues.tsv.
    samples
        samples.parquet of the cohort.
    colour_by
        Columns of it; with none, people who were projected and outliers are told apart.
    out
        Figure.
    """
    table = read_parquet(pcs)
    share = pd.read_csv(eigenvalues, sep="\t")["variance_explained"].to_numpy()
    names = [c for c in table if c.startswith("PC")]
    pairs = list(zip(names[0:6:2], names[1:6:2]))
    rows = list(colour_by) or [None]
    # a legend takes as much as a third of a panel; rows beyond a page get lower
    height = min(2.25, (PAGE - 0.1) / len(rows))
    with figure(out, TWO_COLUMNS, height * len(rows)) as fig:
        if not pairs:
            say_instead(fig, "Principal components", "fewer than two components were asked for")
            return
        people = read_parquet(samples).set_index("sample_index").reindex(table["sample_index"])
        axes = fig.subplots(len(rows), len(pairs), squeeze=False)
        for row, name in zip(axes, rows):
            groups = _groups(table, people, name)
            for ax, (x, y) in zip(row, pairs):
                for label, colour, here in groups:
                    ax.scatter(
                        table.loc[here, x], table.loc[here, y], s=2, linewidth=0, alpha=0.7, color=colour, label=label,
                        rasterized=True,
                    )  # fmt: skip
                ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
                for axis, component in (("x", x), ("y", y)):
                    part = share[int(component[2:]) - 1]
                    ax.set(**{f"{axis}label": component + (f" ({100 * part:.2g} %)" if np.isfinite(part) else "")})
            what = f"Components of {counted(len(table), 'person', 'people')}"
            row[0].set_title(what if name is None else wrapped(f"{what}, by {name}", 0.85 * TWO_COLUMNS))
            if len(groups) > 1:
                row[-1].legend(markerscale=3, bbox_to_anchor=(1.0, 1.0), loc="upper left", handletextpad=0.2)


#: Colour-blind safe (Okabe and Ito 2008), for up to eight groups
_PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")


def _groups(table: pd.DataFrame, people: pd.DataFrame, name: str | None) -> list[tuple[str, Any, np.ndarray]]:
    """Split people into groups for colouring: label, colour, who."""
    if name is None:
        outlier = table["outlier"].to_numpy() > 0 if "outlier" in table else np.zeros(len(table), dtype=bool)
        fitted = table["fitted"].to_numpy() if "fitted" in table else np.ones(len(table), dtype=bool)
        groups = [
            ("define the components", COLOURS["baseline"], fitted & ~outlier),
            ("projected (relatives)", _PALETTE[1], ~fitted & ~outlier),
            ("outliers", COLOURS["deepnull"], outlier),
        ]
        return [(f"{label} ({here.sum():,})", colour, here) for label, colour, here in groups if here.any()]
    values = people[name].to_numpy() if name in people else np.full(len(table), None, dtype=object)
    missing = pd.isna(values)
    levels = pd.unique(values[~missing])
    if pd.api.types.is_numeric_dtype(people.get(name)) and len(levels) > len(_PALETTE):
        # thirds of a number, from low to high
        low, high = np.nanquantile(values.astype(float), [1 / 3, 2 / 3])
        parts = [
            (f"up to {low:.4g}", values <= low),
            ("between", (values > low) & (values <= high)),
            (f"over {high:.4g}", values > high),
        ]
        groups = [
            (label, colour, here & ~missing) for (label, here), colour in zip(parts, ("#56b4e9", "#999999", "#d55e00"))
        ]
    else:
        levels = sorted(levels, key=lambda v: (-(values == v).sum(), str(v)))
        shown = levels[: len(_PALETTE) - 1] if len(levels) > len(_PALETTE) else levels
        groups = [
            (f"{v:g}" if isinstance(v, float) else str(v), colour, values == v) for v, colour in zip(shown, _PALETTE)
        ]
        others = ~missing & ~np.isin(values.astype(str), [str(v) for v in shown])
        groups.append((f"{len(levels) - len(shown)} others", _PALETTE[-1], others))
    groups.append(("missing", "#cccccc", missing))
    return [(f"{shorten(label, 24)} ({here.sum():,})", colour, here) for label, colour, here in groups if here.any()]


def plot_loadings(loadings: str | Path, out: str | Path) -> None:
    """Draw squared loadings along the genome: a component of one region of long-range LD stands out as a tower.

    Parameters
    ----------
    loadings
        loadings.parquet.
    out
        Figure.
    """
    table = read_parquet(loadings)
    names = [c for c in table if c.startswith("PC")][:10]
    with figure(out, TWO_COLUMNS, max(0.6 + 0.68 * len(names), 2.0)) as fig:
        if not names or not len(table):
            say_instead(fig, "Loadings", "no components were asked for")
            return
        table = table.assign(order=table["chromosome"].map(ORDER)).sort_values(["order", "position"], ignore_index=True)
        at = np.arange(len(table))
        axes = fig.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        edges = np.flatnonzero(np.diff(table["order"].to_numpy())) + 1
        for ax, name in zip(axes, names):
            square = table[name].to_numpy() ** 2
            square = square / max(square.mean(), 1e-300)
            for i, part in enumerate(np.split(at, edges)):
                ax.scatter(
                    part, square[part], s=1.5, linewidth=0, rasterized=True,
                    color=ALTERNATE["baseline"][i % 2],
                )  # fmt: skip
            ax.set_ylabel(name)
            ax.set_ylim(0, max(10.0, float(square.max()) * 1.05))
            ax.set_xlim(-0.01 * len(table), 1.01 * len(table))
            ax.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
            ax.tick_params(axis="x", length=0)
        axes[0].set_title(f"Squared loadings of {counted(len(table), 'variant')} along the genome (mean 1)")
        ticks = [part.mean() for part in np.split(at, edges)]
        labels = [table["chromosome"].iloc[part[0]] for part in np.split(at, edges)]
        axes[-1].set_xticks(ticks, labels)
        axes[-1].set_xlabel("chromosome")


def plot_stratification(
    pcs: str | Path,
    stratification: str | Path,
    people: Sequence[str | Path],
    studies: Sequence[str | Path],
    out: str | Path,
) -> None:
    """Draw how strongly each component goes with each study's phenotype, and inflation without and with components.

    Parameters
    ----------
    pcs
        pcs.parquet.
    stratification
        stratification.tsv.
    people, studies
        samples.parquet and study.json of each study, in its order.
    out
        Figure. Of more studies than a page has room for, those with most inflation without components.
    """
    table, measured = read_parquet(pcs).set_index("sample_index"), pd.read_csv(stratification, sep="\t")
    names = [c for c in table if c.startswith("PC")]
    height, room = row_height(len(measured), PAGE - 1.2, 0.34, 0.12)
    with figure(out, TWO_COLUMNS, max(1.6, 1.15 + height * min(len(measured), room))) as fig:
        if not names or "lambda_with_all" not in measured:
            say_instead(fig, "Stratification", "no components, or no study with people")
            return
        if room < len(measured):
            fig.suptitle(f"The {room:,} of {counted(len(measured), 'study', 'studies')} with most inflation")
        order = measured["lambda_without_pcs"].fillna(-1).sort_values(ascending=False, kind="stable").index[:room]
        measured, chosen = measured.loc[np.sort(order)], np.sort(order)
        left, right = fig.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [1.4, 1]})
        shares = np.array([_shares(table[names], people[row]) for row in chosen])
        image = left.imshow(
            100 * shares,
            aspect="auto",
            cmap="cividis",
            vmin=0,
            vmax=max(1.0, float(np.nanmax(100 * shares, initial=1.0))),
        )
        left.set_xticks(np.arange(len(names)), [n[2:] for n in names])
        if len(names) > 20:
            left.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        labels = [row_label(name, read_json(studies[row]), height) for name, row in zip(measured["study"], chosen)]
        left.set_yticks(np.arange(len(measured)), labels, fontsize=TEXT if height >= 0.15 else SMALL)
        left.set(xlabel="principal component", title="Explained by each component")
        fig.colorbar(image, ax=left, label="% of variance")
        at = np.arange(len(measured))
        for column, colour, label, style in (
            ("lambda_without_pcs", COLOURS["deepnull"], "without components", {"markersize": 3.5}),
            ("lambda_with_all", COLOURS["gained"], "with all", {"markersize": 3.5}),
            # often the same as with all: an open circle around it
            ("lambda_with_pcs", COLOURS["baseline"], "with the study's", {"markersize": 7, "fillstyle": "none"}),
        ):
            right.plot(measured[column], at, "o", color=colour, label=label, **style)
        right.axvline(1.0, color=COLOURS["line"], linewidth=0.6)
        right.set(xlabel="λ GC of pruned variants", title="Inflation")
        for ax in (left, right):
            ax.tick_params(axis="y", length=0)
        handles, words = right.get_legend_handles_labels()
        fig.legend(
            handles, words, loc="outside lower right", ncols=3, columnspacing=1, handletextpad=0.2, borderpad=0.2
        )


def _shares(pcs: pd.DataFrame, people: str | Path) -> np.ndarray:
    """Return the share of a study's phenotype that each component explains alone; NaN where no phenotype varies."""
    found = read_parquet(people, columns=["sample_index", "phenotype"])
    if len(found) <= 2 or not found["phenotype"].std() > 0:
        return np.full(pcs.shape[1], np.nan)
    x = pcs.loc[found["sample_index"]].to_numpy(float)
    y = found["phenotype"].to_numpy(float)
    x, y = x - x.mean(axis=0), y - y.mean()
    norm = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    return ((x * y[:, None]).sum(axis=0) / np.where(norm > 0, norm, np.nan)) ** 2
