"""Cycles are looked for seldom, and not once more when a process ends."""

from __future__ import annotations

import subprocess
import sys

# an object in a cycle is found by the search when the interpreter ends, unless that finds nothing to look at
PROGRAM = """
import gc
from deepnull_gwas.garbage import OBJECTS, collect_seldom

class Told:
    def __del__(self):
        print("looked at")

collect_seldom()
collect_seldom()
assert gc.get_threshold() == (OBJECTS, 10, 10)
one = Told()
one.itself = one
del one
%s
print("end")
"""


def said(extra: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM % extra], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split("\n")[:-1]


def test_no_search_at_the_end_of_a_process():
    assert said("") == ["end"]


def test_a_cycle_is_found_before_many_objects_later():
    assert said("kept = [[] for _ in range(OBJECTS + 1)]") == ["looked at", "end"]


def test_who_switched_collection_off_keeps_it_off():
    assert said("gc.disable(); collect_seldom(); assert not gc.isenabled()") == ["end"]
