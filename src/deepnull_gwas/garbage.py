"""Garbage collection for programs that live for a second, half of it spent on imports.

A step of the workflow on a small cohort takes about as long as its imports, and a quarter of that is Python's search
for cycles among the objects of the libraries imported: again and again while they come in, and once more at the end,
when the process gives all its memory back anyway.
"""

from __future__ import annotations

import atexit
import gc

#: Objects more than there were at the last search before the next (Python's own: 700 or 2,000). Enough that imports
#: come in at one go, few enough that an array kept by a cycle does not stay for long.
OBJECTS = 10_000


def collect_seldom() -> None:
    """Look for cycles less often from now on, and not at all when this process ends."""
    if gc.isenabled():
        gc.set_threshold(OBJECTS, 10, 10)
    # what is frozen is not looked at
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
