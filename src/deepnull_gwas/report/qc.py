"""The distributions behind the filters, with their cut-offs, and what each filter removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.report.style import COLOURS, figure
from deepnull_gwas.tables import read_parquet


def plot_qc(
    variants: str | Path, samples: str | Path, flow: str | Path, settings: Mapping[str, Any], out: str | Path
) -> None:
    """Draw missingness, allele frequency, Hardy-Weinberg and heterozygosity, and the flow of the filters.

    Parameters
    ----------
    variants, samples, flow
        qc/variants.parquet, qc/samples.parquet, qc/flow.tsv.
    settings
        The ``qc`` section.
    out
        Figure.
    """
    v, s = read_parquet(variants), read_parquet(samples)
    steps = pd.read_csv(flow, sep="\t", keep_default_na=False)
    with figure(out, 11, 6.6) as fig:
        axes = fig.subplots(2, 3)

        def histogram(ax, values, cut, title, xlabel, bins=50, log=True):
            values = np.asarray(values, dtype=float)
            values = values[np.isfinite(values)]
            if len(values):
                ax.hist(values, bins=bins, color=COLOURS["baseline"])
            if cut is not None:
                ax.axvline(cut, color="#b2182b", linestyle="--", linewidth=1)
            ax.set(title=title, xlabel=xlabel, ylabel="count")
            if log and len(values):
                ax.set_yscale("log")

        frequency = v["effect_allele_frequency"]
        histogram(
            axes[0, 0],
            1 - v["call_rate"],
            1 - settings["variant_call_rate"],
            "Variants: missing calls",
            "fraction of people",
        )
        histogram(
            axes[0, 1],
            np.minimum(frequency, 1 - frequency),
            settings["maf"],
            "Variants: minor-allele frequency",
            "frequency",
            log=False,
        )
        hwe = -np.log10(np.maximum(v["hwe_p"].to_numpy(dtype=float), 1e-300))
        cut = -np.log10(settings["hwe_p"]) if settings.get("hwe_p") else None
        histogram(axes[0, 2], np.minimum(hwe, 50), cut, "Variants: Hardy-Weinberg", "−log10 p (up to 50)")
        histogram(
            axes[1, 0],
            1 - s["call_rate"],
            1 - settings["sample_call_rate"],
            "People: missing calls",
            "fraction of variants",
        )
        histogram(axes[1, 1], s["heterozygosity"], None, "People: heterozygosity", "fraction of calls", log=False)
        ax = axes[1, 2]
        # one bar a filter, on its own scale: the share that it removed
        share = 100 * steps["removed"].astype(float) / np.maximum(steps["before"].astype(float), 1)
        at = np.arange(len(steps))[::-1]
        ax.barh(at, share, color=[COLOURS["deepnull"] if u == "people" else COLOURS["baseline"] for u in steps["unit"]])
        ax.set_yticks(at, [f"{u}: {n}" for u, n in zip(steps["unit"], steps["step"])], fontsize=7)
        for y, row, width in zip(at, steps.itertuples(), share):
            ax.annotate(
                f"{int(row.removed):,} of {int(row.before):,}",
                (width, y),
                textcoords="offset points",
                xytext=(3, -3),
                fontsize=7,
            )
        ax.set(title="Removed by each filter", xlabel="per cent", xlim=(0, max(1.0, float(share.max()) * 1.6)))
