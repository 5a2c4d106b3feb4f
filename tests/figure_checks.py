"""What a journal sends back, looked for in a figure before it is saved."""

from __future__ import annotations

import itertools
import re

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

#: Millimetres: widths of one and of two columns, and the depth of a page (Nature's figures: 89, 183, 247).
WIDTHS, DEPTH = (89, 183), 247
#: Pixels at 100 dpi that boxes may share: they are a little larger than the ink in them.
SLACK = 1.5


def faults(fig: Figure) -> list[str]:
    """Return what is wrong with a figure: its size, text that is clipped, tiny, doubled, written over other text, and
    legends on data.
    """
    fig.canvas.draw()
    width, height = 25.4 * fig.get_size_inches()
    found = []
    if not (np.isclose(width, WIDTHS).any() and height <= DEPTH):
        found.append(f"size {width:.0f} x {height:.0f} mm")
    texts = _texts(fig)
    for text, box in texts:
        words = text.get_text()
        if "mathdefault" in words or re.search(r"\b1 (variants|people|studies|loci|cases|controls)\b", words):
            found.append(f"text {words!r}")
        if not 5 <= text.get_fontsize() <= 8:
            found.append(f"{text.get_fontsize()} points: {words!r}")
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > fig.bbox.x1 + SLACK or box.y1 > fig.bbox.y1 + SLACK:
            found.append(f"clipped: {words!r}")
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        if _overlap(a, b):
            found.append(f"{one.get_text()!r} over {other.get_text()!r}")
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    for ax, title in zip(fig.axes, titles):
        if title and title.lower() in (ax.get_xlabel().lower(), ax.get_ylabel().lower()):
            found.append(f"said twice: {title!r}")
        name, _, rest = title.partition(":")
        if rest.strip() and rest.strip().startswith(name):
            found.append(f"said twice: {title!r}")
        for axis in (ax.xaxis, ax.yaxis):
            ticks = [t for t in axis.get_ticklabels() if t.get_visible() and t.get_text()]
            names = isinstance(axis.get_major_locator(), FixedLocator)
            if ax.axison and not names and ax.lines and len(ticks) == 1:
                found.append(f"one tick: {ax.get_title(loc='left')!r}")
    return found + _legends_on_data(fig)


def _texts(fig: Figure) -> list[tuple[Text, Bbox]]:
    """Return the texts that are seen, with their boxes."""
    renderer = fig.canvas.get_renderer()
    outside = set()
    for ax in fig.axes:
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                eps = 1e-9 * (high - low)
                if not ax.axison or not low - eps <= tick.get_loc() <= high + eps:
                    outside.update((id(tick.label1), id(tick.label2)))
    shown = []
    for text in fig.findobj(Text):
        if text.get_text().strip() and text.get_visible() and id(text) not in outside:
            box = Text.get_window_extent(text, renderer)
            if box.width > 0:
                shown.append((text, box))
    return shown


def _overlap(a: Bbox, b: Bbox) -> bool:
    shared = Bbox.intersection(a, b)
    return shared is not None and shared.width > SLACK and shared.height > SLACK


def _legends_on_data(fig: Figure) -> list[str]:
    """Return the legends under which there is a point, a line or a bar."""
    renderer = fig.canvas.get_renderer()
    legends = [ax.get_legend() for ax in fig.axes if ax.get_legend()] + list(fig.legends)
    legends += [legend for part in fig.subfigs for legend in part.legends]
    found = []
    for legend in legends:
        box = legend.get_window_extent(renderer)
        for ax in fig.axes:
            points = [
                ax.transData.transform(np.column_stack(line.get_data()))
                for line in ax.lines
                if len(line.get_xdata()) > 2
            ]
            for collection in ax.collections:
                if isinstance(collection, PathCollection):
                    points.append(collection.get_offset_transform().transform(collection.get_offsets()))
            low, high = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])
            inside = any(((place > low) & (place < high)).all(axis=1).any() for place in points)
            seen = [Bbox.intersection(bar.get_window_extent(renderer), ax.bbox) for bar in ax.patches]
            bars = any(_overlap(box, bar) for bar in seen if bar is not None)
            if inside or bars:
                found.append(f"legend on data: {[t.get_text() for t in legend.get_texts()]}")
    return found


def twice(draw, folder):
    """Draw twice: SVG and PDF, the same bytes, no date, the width of one or two columns."""
    draw(folder / "a.svg")
    draw(folder / "b.svg")
    for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        data = (folder / f"a.{kind}").read_bytes()
        assert data == (folder / f"b.{kind}").read_bytes()
        assert data.startswith(start)
        assert not re.search(rb"CreationDate|ModDate|<dc:date>", data)
    width = float(re.search(r'width="([\d.]+)pt"', (folder / "a.svg").read_text())[1])
    assert round(width / 72 * 25.4) in (89, 183)
