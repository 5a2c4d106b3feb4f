"""The distributions behind the filters, with their cut-offs, and what each filter removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

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
    with figure(out, 12.5, 9.2) as fig:
        axes = fig.subplots(3, 3)

        def histogram(ax, values, cuts, title, xlabel, bins=50, log=True):
            values = np.asarray(values, dtype=float)
            values = values[np.isfinite(values)]
            if len(values):
                ax.hist(values, bins=bins, color=COLOURS["baseline"])
            for cut in cuts:
                ax.axvline(cut, color="#b2182b", linestyle="--", linewidth=1)
            ax.set(title=title, xlabel=xlabel, ylabel="count")
            if log and len(values):
                ax.set_yscale("log")

        def one_minus(key):
            return [1 - settings[key]] if settings.get(key) else []

        frequency = v["effect_allele_frequency"]
        histogram(
            axes[0, 0],
            1 - v["call_rate"],
            one_minus("variant_call_rate"),
            "Variants: missing calls",
            "fraction of people",
        )
        maf = [settings["maf"]] if settings.get("maf") else []
        histogram(
            axes[0, 1],
            np.minimum(frequency, 1 - frequency),
            maf,
            "Variants: minor-allele frequency",
            "frequency",
            log=False,
        )
        hwe = -np.log10(np.maximum(v["hwe_p"].to_numpy(dtype=float), 1e-300))
        cut = [-np.log10(settings["hwe_p"])] if settings.get("hwe_p") else []
        histogram(axes[0, 2], np.minimum(hwe, 50), cut, "Variants: Hardy-Weinberg", "−log10 p (up to 50)")
        histogram(
            axes[1, 0],
            1 - s["call_rate"],
            one_minus("sample_call_rate"),
            "People: missing calls",
            "fraction of variants",
        )
        f, bound, k = s["heterozygosity_f"], settings.get("heterozygosity_f"), settings.get("heterozygosity_sd")
        cuts = [-bound, bound] if bound else []
        inside = f[s["passed"].to_numpy(dtype=bool)]
        if k and len(inside) > 1:
            cuts += [float(inside.mean() - k * inside.std()), float(inside.mean() + k * inside.std())]
        histogram(axes[1, 1], f, cuts, "People: autosomal F", "F (contamination: low; inbreeding: high)")
        _sex(axes[1, 2], s, settings)
        for ax in axes[2]:
            ax.remove()
        _flow(fig.add_subplot(axes[2, 0].get_gridspec()[2, :]), steps)


def _sex(ax: Axes, people: pd.DataFrame, settings: Mapping[str, Any]) -> None:
    """Draw F on X, and the bounds between which the sex is unclear."""
    x = people["x_f"].to_numpy(dtype=float)
    ax.set(title="People: F on X", xlabel="F (female near 0, male near 1)", ylabel="count")
    if not np.isfinite(x).any():
        ax.text(0.5, 0.5, "too few variants on X", ha="center", va="center", transform=ax.transAxes)
        return
    wrong = people["reason"].str.contains("recorded sex").to_numpy()
    bins = np.linspace(np.nanmin(x), max(np.nanmax(x), 1.0), 50)
    ax.hist(
        [x[~wrong], x[wrong]], bins=bins, stacked=True, color=[COLOURS["baseline"], COLOURS["deepnull"]],
        label=["", "not the recorded sex"],
    )  # fmt: skip
    ax.set_yscale("log")
    for key in ("sex_f_female", "sex_f_male"):
        if settings.get(key) is not None and settings.get("sex_check") in ("exclude", "warn"):
            ax.axvline(settings[key], color="#b2182b", linestyle="--", linewidth=1)
    if wrong.any():
        ax.legend(fontsize=7)


def _flow(ax: Axes, steps: pd.DataFrame) -> None:
    """Draw the flow of variants and people through the filters: what is left after each, and what it took away."""
    ax.axis("off")
    ax.set_title("From what came in to what is analysed")
    for y, unit, colour in ((0.72, "variants", COLOURS["baseline"]), (0.22, "people", COLOURS["deepnull"])):
        own = steps[steps["unit"] == unit].reset_index(drop=True)
        if not len(own):
            continue
        at = np.linspace(0.06, 0.97, len(own) + 1)
        labels = [("came in", int(own["before"].iloc[0]), 0)]
        labels += [(row.step, int(row.after), int(row.removed)) for row in own.itertuples()]
        for i, (x, (name, left, removed)) in enumerate(zip(at, labels)):
            ax.text(
                x, y, f"{left:,}", ha="center", va="center", fontsize=9, transform=ax.transAxes,
                bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": colour},
            )  # fmt: skip
            text = name.replace("_", "\n", 1).replace("_", " ")
            ax.text(x, y + 0.13, text, ha="center", va="bottom", fontsize=7, transform=ax.transAxes)
            if removed:
                ax.text(
                    x,
                    y - 0.13,
                    f"−{removed:,}",
                    ha="center",
                    va="top",
                    fontsize=8,
                    color="#b2182b",
                    transform=ax.transAxes,
                )
            if i:
                ax.annotate(
                    "", (x - 0.033, y), (at[i - 1] + 0.033, y), xycoords="axes fraction",
                    arrowprops={"arrowstyle": "->", "color": COLOURS["line"]},
                )  # fmt: skip
        ax.text(0.0, y, unit, rotation=90, ha="right", va="center", fontsize=9, transform=ax.transAxes)
