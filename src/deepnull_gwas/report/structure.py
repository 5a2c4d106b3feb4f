"""Scree plot and principal components of a cohort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.report.style import COLOURS, figure, say_instead
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


def plot_pcs(pcs: str | Path, eigenvalues: str | Path, out: str | Path) -> None:
    """Draw the first component against the second.

    Parameters
    ----------
    pcs
        pcs.parquet.
    eigenvalues
        eigenvalues.tsv.
    out
        Figure.
    """
    table = read_parquet(pcs)
    share = pd.read_csv(eigenvalues, sep="\t")["variance_explained"].to_numpy()
    with figure(out, 5.2, 4.8) as fig:
        if "PC2" not in table:
            say_instead(fig, "Principal components", "fewer than two components were asked for")
            return
        ax = fig.add_subplot()
        ax.scatter(table["PC1"], table["PC2"], s=5, linewidth=0, color=COLOURS["baseline"], alpha=0.6, rasterized=True)
        ax.set(
            xlabel=f"PC1 ({100 * share[0]:.2g} %)",
            ylabel=f"PC2 ({100 * share[1]:.2g} %)",
            title=f"Principal components of {len(table):,} people",
        )
