"""One look for all figures, at the widths of a journal's columns, and files whose bytes repeat."""

from __future__ import annotations

import contextlib
import logging
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, NullFormatter

from deepnull_gwas.tables import atomic_path
from deepnull_gwas.text import shorten
from deepnull_gwas.traits import trait_of

#: Widths of one and two columns of a journal (89 and 183 mm) and the depth of its page (240 mm), in inches.
ONE_COLUMN, TWO_COLUMNS, PAGE = 89 / 25.4, 183 / 25.4, 240 / 25.4
#: Sizes of text in points: titles, most of it, marks beside points.
TITLE, TEXT, SMALL = 7.5, 6.5, 5.5
#: Colour-blind safe (Okabe and Ito 2008).
COLOURS = {
    "baseline": "#56718f",
    "deepnull": "#d55e00",
    "gained": "#009e73",
    "lost": "#cc79a7",
    "shared": "#333333",
    "line": "#888888",
    "threshold": "#b2182b",
}
ALTERNATE = {"baseline": ("#34495e", "#8aa1b8"), "deepnull": ("#b34700", "#f0a868")}
LABELS = {"baseline": "baseline", "deepnull": "DeepNull"}
P_LABEL = "−log₁₀(p)"

_RC = {
    "svg.hashsalt": "deepnull-gwas",
    "svg.fonttype": "path",
    # TrueType: text of a PDF stays text in the programs of the publishers
    "pdf.fonttype": 42,
    # names of phenotypes and levels are the user's: dollar signs in them are no mathematics
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": TITLE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.titlesize": TITLE,
    "figure.titleweight": "bold",
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "figure.constrained_layout.use": True,
    # of what is drawn as points rather than lines
    "savefig.dpi": 300,
}
# what it leaves out of the fonts of a PDF, table by table
logging.getLogger("fontTools").setLevel(logging.WARNING)
# without dates in them, the same figure is the same bytes
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


@contextlib.contextmanager
def figure(path: str | Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure that is saved when the block ends well.

    Parameters
    ----------
    path
        Where it is saved, by its ending: .svg, with the same as .pdf next to it, or .png.
    width, height
        Inches: the width of one or two columns, at most the depth of a page.
    """
    path = Path(path)
    if width not in (ONE_COLUMN, TWO_COLUMNS) or height > PAGE:
        raise ValueError(f"{path}: {width:.2f} x {height:.2f} inches is no size of a figure in a journal")
    with plt.rc_context(_RC):
        fig = plt.figure(figsize=(width, height))
        try:
            yield fig
            _plain_logarithmic_axes(fig)
            # laid out once, for all forms
            fig.draw_without_rendering()
            fig.set_layout_engine("none")
            for kind in ("svg", "pdf") if path.suffix == ".svg" else (path.suffix.removeprefix("."),):
                with atomic_path(path.with_suffix(f".{kind}")) as temporary:
                    fig.savefig(temporary, format=kind, metadata=_UNDATED.get(kind, {}))
        finally:
            plt.close(fig)


def _plain_logarithmic_axes(fig: Figure) -> None:
    """Label logarithmic axes with plain numbers: matplotlib's own labels are mathematics, which is off (see above)."""
    for ax in fig.axes:
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            if isinstance(axis.get_major_formatter(), LogFormatter):
                axis.set_major_formatter(FuncFormatter(power_label))
                # powers of ten alone would be one or two ticks
                if max(limits) < 1000 * min(limits):
                    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            if isinstance(axis.get_minor_formatter(), LogFormatter):
                axis.set_minor_formatter(NullFormatter())


def power_label(value: float, _: object = None) -> str:
    """Return the label of a tick of a logarithmic axis: 0.001, 1, 1,000; powers of ten from a million."""
    if value >= 1e6 and f"{value:e}".startswith("1.000000e"):
        return "10" + f"{value:e}".split("e")[1].lstrip("+0").translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def thousands(value: float, _: object = None) -> str:
    """Return a count as people read it: 12,000."""
    return f"{value:,.0f}" if abs(value) >= 1 or value == 0 else f"{value:g}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: 1 variant, 1,200 variants, 2 loci."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def people_of(about: Mapping[str, Any]) -> str:
    """Return how many people a study has: n, or cases and controls.

    Parameters
    ----------
    about
        study.json: trait, n, and cases for binary traits.

    Examples
    --------
    >>> people_of({"trait": "binary", "n": 1200, "cases": 1})
    '1 case, 1,199 controls'
    >>> people_of({"trait": "quantitative", "n": 1200})
    'n = 1,200'
    """
    if about.get("cases") is not None and trait_of(about["trait"]).has_cases:
        return f"{counted(about['cases'], 'case')}, {counted(about['n'] - about['cases'], 'control')}"
    return f"n = {about['n']:,}"


def study_title(about: Mapping[str, Any], inches: float, size: float = TITLE) -> str:
    """Return the title of a study's figure: study, phenotype where its name is another, and how many people.

    Parameters
    ----------
    about
        study.json.
    inches, size
        Room that there is, and points of the text, as :func:`wrapped`.
    """
    same = about["study"] == about.get("phenotype", about["study"])
    what = about["study"] if same else f"{about['study']}: {about['phenotype']}"
    return wrapped(f"{shorten(what, 90)} ({people_of(about)})", inches, size)


def wrapped(text: str, inches: float, size: float = TITLE) -> str:
    """Return text in lines that fit into a width in inches; words longer than a line are broken.

    Parameters
    ----------
    text, size
        What is written, and in how many points. A character counts as .7 of the size wide: bold text of small
        letters takes .65.
    inches
        Room that there is.
    """
    return "\n".join(textwrap.wrap(text, max(8, int(inches * 72 / (0.7 * size))))) or text


def row_label(name: str, about: Mapping[str, Any] | None, inches: float) -> str:
    """Return the label of a study's row: its name and people, in two lines where a row has the room.

    Parameters
    ----------
    name
        Study.
    about
        study.json; None where only the name is written.
    inches
        Height of a row.
    """
    if about is None or about.get("n") is None:
        return shorten(name, 32)
    if inches >= 0.24:
        return f"{shorten(name, 32)}\n{people_of(about)}"
    return f"{shorten(name, 24)} ({people_of(about)})"


def row_height(rows: int, room: float, most: float, least: float) -> tuple[float, int]:
    """Return the height of a row in inches, and how many of the rows there is room for.

    Parameters
    ----------
    rows
        How many there are.
    room
        Inches that all rows may take together.
    most, least
        Height of a row where there are few, and the smallest in which its text can be read.
    """
    height = min(most, max(least, room / max(rows, 1)))
    return height, min(rows, int(room / height + 1e-9))


def legend_below(fig: Figure, *axes: Axes, ncols: int = 1) -> None:
    """Put one legend of some axes below them all, where no point can lie under it."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    if entries:
        fig.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower left",
            ncols=ncols,
            borderpad=0.2,
            labelspacing=0.3,
        )


def say_instead(fig: Figure, title: str, reason: str) -> None:
    """Write the reason why there is nothing to draw."""
    ax = fig.add_subplot()
    ax.axis("off")
    ax.set_title(title)
    words = wrapped(reason, 0.85 * fig.get_figwidth(), TEXT)
    ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes)
