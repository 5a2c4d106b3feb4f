"""Every figure that a test draws is looked at."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from figure_checks import faults


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Look at each figure that is saved; gives the words in the latest."""
    save, words = Figure.savefig, []

    def look(fig, *arguments, **more):
        # the second time (twice) it is the same
        if more["format"] == "svg" and ".b.svg." not in str(arguments[0]):
            assert faults(fig) == []
            words[:] = [text.get_text() for text in fig.findobj(lambda artist: hasattr(artist, "get_text"))]
        save(fig, *arguments, **more)

    monkeypatch.setattr(Figure, "savefig", look)
    return words
