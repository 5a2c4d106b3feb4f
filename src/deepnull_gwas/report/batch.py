"""What DeepNull bought in each study of a batch, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.report.style import COLOURS, figure, say_instead


def plot_batch(table: str | Path, out: str | Path) -> None:
    """Draw accuracy, effective sample size and loci of the studies of a batch.

    Parameters
    ----------
    table
        comparison.tsv of the batch (:func:`deepnull_gwas.results.compare.compare_batch`).
    out
        Figure.
    """
    rows = pd.read_csv(table, sep="\t")
    with figure(out, 11, 1.6 + 0.38 * max(len(rows), 2)) as fig:
        if not len(rows):
            say_instead(fig, "baseline against DeepNull", "no study of this batch has both arms")
            return
        at = np.arange(len(rows))[::-1]
        accuracy, size, loci = fig.subplots(1, 3, sharey=True)
        accuracy.barh(at + 0.18, rows["explained_linear"], height=0.34, color=COLOURS["baseline"], label="linear model")
        accuracy.barh(at - 0.18, rows["explained_deepnull"], height=0.34, color=COLOURS["deepnull"], label="DeepNull")
        accuracy.set_yticks(at, rows["study"])
        accuracy.set(xlabel="explained by covariates, out of fold\n(R²; binary: McFadden's)", title="prediction")
        accuracy.legend(fontsize=7)
        size.barh(
            at, 100 * rows["effective_sample_size_gained_fraction"].fillna(0), height=0.6, color=COLOURS["gained"]
        )
        expected = 100 * (rows["chi2_ratio_expected"] - 1)
        size.plot(expected, at, "|", color="black", markersize=12, label="expected from R²")
        size.axvline(0, color=COLOURS["line"], linewidth=0.7)
        size.set(xlabel="effective sample size gained (%)", title="mean χ² at loci")
        if expected.notna().any():
            size.legend(fontsize=7)
        start = np.zeros(len(rows))
        for name in ("shared", "gained", "lost"):
            loci.barh(at, rows[f"loci_{name}"], left=start, height=0.6, color=COLOURS[name], label=name)
            start += rows[f"loci_{name}"].to_numpy()
        loci.set(xlabel="loci", title="loci")
        loci.legend(fontsize=7)
