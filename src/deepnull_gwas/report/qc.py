"""The distributions behind the filters, with their cut-offs, and what each filter removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from deepnull_gwas.report.style import COLOURS, TEXT, TWO_COLUMNS, figure, thousands
from deepnull_gwas.tables import read_parquet

#: Steps of flow.tsv in words that fit above a box.
STEPS = {
    "sample_table": "in the\nsample table",
    "variant_call_rate_first": "call rate,\nfirst",
    "variant_call_rate": "call rate",
    "sample_call_rate": "call rate",
    "sex_check": "sex",
    "heterozygosity_f": "hetero-\nzygosity",
    "heterozygosity_sd": "hetero-\nzygosity",
    "no_call": "any call",
    "monomorphic": "both\nalleles",
    "duplicate_variants": "no\nduplicates",
    "duplicate_ids": "unique\nIDs",
    "maf": "allele\nfrequency",
    "mac": "allele\ncount",
    "hwe_p": "Hardy-\nWeinberg",
}


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
    with figure(out, TWO_COLUMNS, 5.6) as fig:
        upper, lower = fig.subfigures(2, 1, height_ratios=[3.9, 1.7])
        axes = upper.subplots(2, 3)
        _variants(axes[0], v, settings)
        _people(axes[1], s, settings)
        marks = axes[1, 2].get_legend_handles_labels()
        if marks[0]:
            upper.legend(*marks, loc="outside lower right")
        _flow(lower.add_subplot(), steps)


def _variants(axes: Sequence[Axes], v: pd.DataFrame, settings: Mapping[str, Any]) -> None:
    """Draw call rates, frequencies and Hardy-Weinberg of the variants."""
    frequency = v["effect_allele_frequency"]
    missing, frequencies, equilibrium = axes
    _histogram(missing, 1 - v["call_rate"], _one_minus(settings, "variant_call_rate"))
    missing.set(title="Variants: missing calls", xlabel="fraction of people", ylabel="variants")
    _histogram(
        frequencies,
        np.minimum(frequency, 1 - frequency),
        [settings["maf"]] if settings.get("maf") else [],
        log=False,
    )
    frequencies.set(title="Variants: frequency", xlabel="minor-allele frequency", ylabel="variants")
    frequencies.yaxis.set_major_formatter(FuncFormatter(thousands))
    hwe = -np.log10(np.maximum(v["hwe_p"].to_numpy(dtype=float), 1e-300))
    _histogram(equilibrium, np.minimum(hwe, 50), [-np.log10(settings["hwe_p"])] if settings.get("hwe_p") else [])
    equilibrium.set(title="Variants: Hardy-Weinberg", xlabel="−log₁₀(p), 50 and over as 50", ylabel="variants")


def _people(axes: Sequence[Axes], s: pd.DataFrame, settings: Mapping[str, Any]) -> None:
    """Draw call rates, heterozygosity and F on X of the people."""
    missing, autosomal, x = axes
    _histogram(missing, 1 - s["call_rate"], _one_minus(settings, "sample_call_rate"))
    missing.set(title="People: missing calls", xlabel="fraction of variants", ylabel="people")
    f, bound, k = s["heterozygosity_f"], settings.get("heterozygosity_f"), settings.get("heterozygosity_sd")
    cuts = [-bound, bound] if bound else []
    inside = f[s["passed"].to_numpy(dtype=bool)]
    if k and len(inside) > 1:
        cuts += [float(inside.mean() - k * inside.std()), float(inside.mean() + k * inside.std())]
    _histogram(autosomal, f, cuts)
    autosomal.set(title="People: autosomal F", xlabel="F (contaminated: low, inbred: high)", ylabel="people")
    _sex(x, s, settings)


def _one_minus(settings: Mapping[str, Any], key: str) -> list[float]:
    return [1 - settings[key]] if settings.get(key) else []


def _cut_off(ax: Axes, at: float) -> None:
    ax.axvline(at, color=COLOURS["threshold"], linestyle="--", linewidth=0.8)


def _histogram(ax: Axes, values: Any, cuts: Sequence[float], log: bool = True) -> None:
    """Draw a histogram with its cut-offs."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if len(values):
        ax.hist(values, bins=50, color=COLOURS["baseline"])
    for cut in cuts:
        _cut_off(ax, cut)
    if log and len(values):
        ax.set_yscale("log")


def _sex(ax: Axes, people: pd.DataFrame, settings: Mapping[str, Any]) -> None:
    """Draw F on X, and the bounds between which the sex is unclear."""
    x = people["x_f"].to_numpy(dtype=float)
    ax.set(title="People: F on X", xlabel="F (female near 0, male near 1)", ylabel="people")
    if not np.isfinite(x).any():
        ax.text(0.5, 0.5, "too few variants on X", ha="center", va="center", transform=ax.transAxes)
        return
    wrong = people["reason"].str.contains("recorded sex").to_numpy()
    bins = np.linspace(np.nanmin(x), max(np.nanmax(x), 1.0), 50)
    ax.hist(
        [x[~wrong], x[wrong]], bins=bins, stacked=True, color=[COLOURS["baseline"], COLOURS["deepnull"]],
        label=["as recorded", "not the recorded sex"] if wrong.any() else None,
    )  # fmt: skip
    ax.set_yscale("log")
    for key in ("sex_f_female", "sex_f_male"):
        if settings.get(key) is not None and settings.get("sex_check") in ("exclude", "warn"):
            _cut_off(ax, settings[key])


def _flow(ax: Axes, steps: pd.DataFrame) -> None:
    """Draw the flow of variants and people through the filters: what is left after each, and what it took away."""
    ax.axis("off")
    ax.set_title("From what came in to what is analysed")
    for y, unit, colour in ((0.73, "variants", COLOURS["baseline"]), (0.23, "people", COLOURS["deepnull"])):
        own = steps[steps["unit"] == unit].reset_index(drop=True)
        if not len(own):
            continue
        at = np.linspace(0.1, 0.96, len(own) + 1)
        labels = [("came in", int(own["before"].iloc[0]), 0)]
        labels += [(row.step, int(row.after), int(row.removed)) for row in own.itertuples()]
        # half a box, and a little more: a digit takes .0045 of the width
        half = [0.0045 * len(f"{left:,}") + 0.009 for _, left, _ in labels]
        for i, (x, (name, left, removed)) in enumerate(zip(at, labels)):
            ax.text(
                x, y, f"{left:,}", ha="center", va="center", fontsize=TEXT, transform=ax.transAxes,
                bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour, "linewidth": 0.8},
            )  # fmt: skip
            text = STEPS.get(name, name.replace("_", "\n", 1).replace("_", " "))
            ax.text(x, y + 0.11, text, ha="center", va="bottom", fontsize=6, linespacing=1, transform=ax.transAxes)
            if removed:
                ax.text(
                    x, y - 0.11, f"−{removed:,}", ha="center", va="top", fontsize=6, color=COLOURS["threshold"],
                    transform=ax.transAxes,
                )  # fmt: skip
            if i and x - half[i] > at[i - 1] + half[i - 1]:
                ax.annotate(
                    "", (x - half[i], y), (at[i - 1] + half[i - 1], y), xycoords="axes fraction",
                    arrowprops={
                        "arrowstyle": "-|>", "color": COLOURS["line"], "linewidth": 0.6, "mutation_scale": 5,
                        "shrinkA": 0, "shrinkB": 0,
                    },
                )  # fmt: skip
        ax.text(0.0, y, unit, ha="left", va="center", fontsize=TEXT, fontweight="bold", transform=ax.transAxes)
