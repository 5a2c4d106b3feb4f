"""Calibration and power on a simulated cohort, drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepnull_gwas.report.style import COLOURS, LABELS, P_LABEL, TWO_COLUMNS, figure, say_instead
from deepnull_gwas.tables import read_npz

_COLOURS = {"baseline": COLOURS["baseline"], "deepnull": COLOURS["deepnull"], "oracle": "black"}


def plot_validity(points: str | Path, out: str | Path) -> None:
    """Draw QQ plots of phenotypes without genetic effects, and chi-squares of causal variants against the baseline's.

    Parameters
    ----------
    points
        validity.npz (:func:`deepnull_gwas.results.validity.measure_validity`): arrays ``null/KIND/ARM`` of -log10 p,
        ``power/KIND/ARM`` of chi-squares.
    out
        Figure.
    """
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {"null": {}, "power": {}}
    for name, values in read_npz(points).items():
        effect, kind, arm = name.split("/")
        found[effect].setdefault(kind, {})[arm] = values
    panels = [(effect, kind) for effect in ("null", "power") for kind in found[effect]]
    columns = max((sum(e == effect for e, _ in panels) for effect in found), default=1)
    rows = [effect for effect in found if found[effect]]
    with figure(out, TWO_COLUMNS, 2.75 * max(len(rows), 1)) as fig:
        if not panels:
            say_instead(fig, "Calibration and power", "no phenotype was measured")
            return
        axes = fig.subplots(len(rows), columns, squeeze=False)
        for at, effect in zip(axes, rows, strict=True):
            for axis, (kind, arms) in zip(at, found[effect].items()):
                (_null if effect == "null" else _power)(axis, kind, arms)
            for axis in at[len(found[effect]) :]:
                axis.set_axis_off()


def _null(axis, kind: str, arms: dict[str, np.ndarray]) -> None:
    top = 0.0
    for arm, values in arms.items():
        p = np.sort(values)[::-1]
        expected = -np.log10((np.arange(len(p)) + 0.5) / len(p))
        shown = np.unique(np.geomspace(1, len(p), 400).astype(int)) - 1
        label = LABELS.get(arm, arm)
        axis.plot(expected[shown], p[shown], ".", markersize=2.5, color=_COLOURS[arm], label=label, rasterized=True)
        top = max(top, float(expected[0]))
    axis.plot([0, top], [0, top], color=COLOURS["line"], linewidth=0.6)
    tests = max(len(values) for values in arms.values())
    axis.set(title=f"{kind}:\n{tests:,} tests, no effect", xlabel=f"expected {P_LABEL}", ylabel=P_LABEL)
    _legend_below(axis, 3)


def _power(axis, kind: str, arms: dict[str, np.ndarray]) -> None:
    base = arms["baseline"]
    for arm in ("oracle", "deepnull"):
        ratio = arms[arm].mean() / base.mean()
        label = f"{LABELS.get(arm, arm)}: ratio {ratio:.2f}"
        axis.plot(base, arms[arm], ".", markersize=3, color=_COLOURS[arm], label=label, rasterized=True)
    axis.plot([0, base.max()], [0, base.max()], color=COLOURS["line"], linewidth=0.6)
    axis.set(title=f"{kind}:\n{len(base):,} causal variants", xlabel="χ², baseline", ylabel="χ²")
    _legend_below(axis, 1)


def _legend_below(axis, ncols: int) -> None:
    """Put the legend under the label of the axis, where no point can lie under it."""
    axis.legend(
        loc="upper left", bbox_to_anchor=(0, -0.22), borderaxespad=0, borderpad=0, ncols=ncols, columnspacing=0.8,
        handletextpad=0.2, handlelength=1,
    )  # fmt: skip
