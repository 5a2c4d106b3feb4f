"""The population structure of a cohort: eigenvalues, components, loadings, and what they have to do with phenotypes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.genotypes.chromosomes import ORDER
from deepnull_gwas.report.style import ALTERNATE, COLOURS, figure, say_instead
from deepnull_gwas.tables import read_parquet


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
    with figure(out, 5.2, 3.4) as fig:
        if not len(table):
            say_instead(fig, "Scree plot", "no components were asked for")
            return
        ax = fig.add_subplot()
        at = np.arange(1, len(table) + 1)
        ax.plot(at, table["eigenvalue"], marker="o", color=COLOURS["baseline"])
        for i, share in zip(at, table["variance_explained"]):
            if len(at) <= 12 and np.isfinite(share):
                ax.annotate(
                    f"{100 * share:.2g} %",
                    (i, table["eigenvalue"][i - 1]),
                    textcoords="offset points",
                    xytext=(4, 5),
                    fontsize=7,
                )
        ax.set(
            xlabel="principal component",
            ylabel="eigenvalue",
            ylim=(0, None),
            title="Scree plot (labels: variance explained)",
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
    with figure(out, 3.9 * max(len(pairs), 1) + 1.6, 3.7 * len(rows)) as fig:
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
                        table.loc[here, x], table.loc[here, y], s=5, linewidth=0, alpha=0.7, color=colour, label=label,
                        rasterized=True,
                    )  # fmt: skip
                for axis, component in (("x", x), ("y", y)):
                    part = share[int(component[2:]) - 1]
                    ax.set(**{f"{axis}label": component + (f" ({100 * part:.2g} %)" if np.isfinite(part) else "")})
            row[0].set_title(f"Components of {len(table):,} people" if name is None else f"by {name}")
            if len(groups) > 1:
                row[-1].legend(fontsize=7, markerscale=2, bbox_to_anchor=(1.0, 1.0), loc="upper left")


#: Colour-blind safe (Okabe and Ito 2008), for up to eight groups
_PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")


def _groups(table: pd.DataFrame, people: pd.DataFrame, name: str | None) -> list[tuple[str, Any, np.ndarray]]:
    """Part people into groups for colouring: label, colour, who."""
    if name is None:
        outlier = table["outlier"].to_numpy() > 0 if "outlier" in table else np.zeros(len(table), dtype=bool)
        fitted = table["fitted"].to_numpy() if "fitted" in table else np.ones(len(table), dtype=bool)
        groups = [
            ("define the components", COLOURS["baseline"], fitted & ~outlier),
            ("projected (relatives)", _PALETTE[1], ~fitted & ~outlier),
            ("outliers", COLOURS["deepnull"], outlier),
        ]
        return [g for g in groups if g[2].any()]
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
    return [g for g in groups if g[2].any()]


def plot_loadings(loadings: str | Path, out: str | Path) -> None:
    """Draw squared loadings along the genome: a component that is a region of long linkage disequilibrium stands out as a tower.

    Parameters
    ----------
    loadings
        loadings.parquet.
    out
        Figure.
    """
    table = read_parquet(loadings)
    names = [c for c in table if c.startswith("PC")][:10]
    with figure(out, 8, max(1.0 + 0.9 * len(names), 3.0)) as fig:
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
                    part, square[part], s=2, linewidth=0, rasterized=True,
                    color=ALTERNATE["baseline"][i % 2],
                )  # fmt: skip
            ax.set_ylabel(name, rotation=0, ha="right", va="center")
            ax.set_ylim(0, max(10.0, float(square.max()) * 1.05))
        axes[0].set_title("Squared loadings along the genome (mean 1)")
        ticks = [part.mean() for part in np.split(at, edges)]
        labels = [table["chromosome"].iloc[part[0]] for part in np.split(at, edges)]
        axes[-1].set_xticks(ticks, labels, fontsize=7)
        axes[-1].set_xlabel("chromosome")


def plot_stratification(
    pcs: str | Path, stratification: str | Path, studies: Sequence[str | Path], out: str | Path
) -> None:
    """Draw how strongly each component goes with each study's phenotype, and inflation without and with components.

    Parameters
    ----------
    pcs
        pcs.parquet.
    stratification
        stratification.tsv.
    studies
        samples.parquet of each study, in its order.
    out
        Figure.
    """
    table, measured = read_parquet(pcs).set_index("sample_index"), pd.read_csv(stratification, sep="\t")
    names = [c for c in table if c.startswith("PC")]
    height = max(2.6, 1.4 + 0.26 * len(measured))
    with figure(out, 9.5, height) as fig:
        if not names or "lambda_with_all" not in measured:
            say_instead(fig, "Stratification", "no components, or no study with people")
            return
        left, right = fig.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [1.5, 1]})
        shares = np.full((len(studies), len(names)), np.nan)
        for row, path in zip(shares, studies):
            people = read_parquet(path, columns=["sample_index", "phenotype"])
            if len(people) > 2 and people["phenotype"].std() > 0:
                x = table.loc[people["sample_index"], names].to_numpy(float)
                y = people["phenotype"].to_numpy(float)
                x = x - x.mean(axis=0)
                norm = np.sqrt((x**2).sum(axis=0) * ((y - y.mean()) ** 2).sum())
                row[:] = ((x * (y - y.mean())[:, None]).sum(axis=0) / np.where(norm > 0, norm, np.nan)) ** 2
        image = left.imshow(
            100 * shares, aspect="auto", cmap="cividis", vmin=0, vmax=max(1.0, float(np.nanmax(100 * shares)))
        )
        left.set_xticks(np.arange(len(names)), [n[2:] for n in names], fontsize=7)
        left.set_yticks(np.arange(len(measured)), measured["study"], fontsize=8)
        left.set(xlabel="component", title="Phenotype that each explains alone (%)")
        fig.colorbar(image, ax=left, shrink=0.8)
        at = np.arange(len(measured))
        for column, colour, label, style in (
            ("lambda_without_pcs", COLOURS["deepnull"], "without components", {"markersize": 5}),
            ("lambda_with_all", COLOURS["gained"], "with all", {"markersize": 5}),
            # often the same as with all: an open circle around it
            ("lambda_with_pcs", COLOURS["baseline"], "with the study's", {"markersize": 10, "fillstyle": "none"}),
        ):
            right.plot(measured[column], at, "o", color=colour, label=label, **style)
        right.axvline(1.0, color=COLOURS["line"], linewidth=1)
        right.set(xlabel="lambda GC of pruned variants", title="Inflation")
        right.legend(fontsize=7, bbox_to_anchor=(1.0, 1.0), loc="upper left")
