"""One look for all figures, and files whose bytes repeat."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from deepnull_gwas.tables import atomic_path

#: Colour-blind safe (Okabe and Ito 2008).
COLOURS = {
    "baseline": "#56718f",
    "deepnull": "#d55e00",
    "gained": "#009e73",
    "lost": "#cc79a7",
    "shared": "#333333",
    "line": "#888888",
}
ALTERNATE = {"baseline": ("#34495e", "#8aa1b8"), "deepnull": ("#b34700", "#f0a868")}
LABELS = {"baseline": "baseline", "deepnull": "DeepNull"}

_RC = {
    "svg.hashsalt": "deepnull-gwas",
    "svg.fonttype": "path",
    # names of phenotypes and levels are the user's: dollar signs in them are no mathematics
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
}


@contextlib.contextmanager
def figure(path: str | Path, width: float, height: float) -> Iterator[Figure]:
    """Give a figure of ``width`` x ``height`` inches that is saved at ``path`` (.svg or .png) when the block ends well."""
    path = Path(path)
    with plt.rc_context(_RC):
        fig = plt.figure(figsize=(width, height))
        try:
            yield fig
            with atomic_path(path) as temporary:
                kind = path.suffix.removeprefix(".")
                # without a date in it, the same figure is the same bytes
                fig.savefig(temporary, format=kind, metadata={"Date": None} if kind == "svg" else {})
        finally:
            plt.close(fig)


def say_instead(fig: Figure, title: str, reason: str) -> None:
    """Write the reason why there is nothing to draw."""
    ax = fig.add_subplot()
    ax.axis("off")
    ax.set_title(title)
    ax.text(0.5, 0.5, reason, ha="center", va="center", wrap=True, transform=ax.transAxes)
