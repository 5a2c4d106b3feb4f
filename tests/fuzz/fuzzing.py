"""What the fuzzing tests share: the number of cases, the tally, the one property, and texts that spreadsheets and
people write.

The property is the same for every kind of input: a generator plants values and writes them to a file, in some form and
with some damage. The
library either reads back what was planted, or refuses the file with one message that names it (and the row, where there
is one). Any other
exception, and any other reading, is a fault.
"""

from __future__ import annotations

import collections
import math
import os
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from deepnull_gwas.errors import InputError

#: Cases over all targets (`make fuzz` sets it); the targets take their shares.
CASES = int(os.environ.get("FUZZ_CASES", "500"))
TALLY: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
#: A message longer than this is no message: values in it must be shortened.
LONGEST_MESSAGE = 4000
MISSING = ("", "NA", "NaN", "nan", "N/A", "n/a", "NULL", "null", ".")


def cases(share: float) -> settings:
    """Return the settings of a target that takes this share of all cases; the same cases at every run."""
    return settings(
        max_examples=max(round(CASES * share), 5),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def attempt(target: str, call: Callable[[], Any], *parts: str, row: int | None = None) -> Any:
    """Call; return what it returns, or None where it refuses by a clear message that holds the parts (and the row)."""
    try:
        value = call()
    except InputError as error:
        TALLY[target]["refused"] += 1
        message = str(error)
        for part in parts:
            assert part in message, f"the message names no '{part}': {message}"
        if row is not None:
            assert re.search(rf"\brows? (\d+, )*{row}\b", message), f"the message names no row {row}: {message}"
        assert len(message) < LONGEST_MESSAGE, f"a message of {len(message)} characters: {message[:200]}"
        assert "Traceback" not in message
        return None
    TALLY[target]["accepted"] += 1
    return value


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    """Assert that no more than ``most`` bytes are held at any time: a file that is misread would ask for more."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes of memory"


# --- what people write ---------------------------------------------------------

#: Texts that are the same number to every reader.
NUMBERS = [
    "0",
    "1",
    "2",
    "17",
    "-3.25",
    "1.0",
    "0.5",
    "1e5",
    "1E-3",
    "+7",
    ".5",
    "5.",
    "-0",
    "007",
    "-9",
    "-9.0",
    "1e-300",
    "12345678901",
]
#: Texts that look like numbers to some readers and are none here.
LOOKALIKES = [
    "1,234", "1.234,5", "0,5", "1_000", "0x10", "1e400", "inf", "-Infinity", "TRUE", "False", "2020-01-01",
    "01/02/2020", "12-Mar", "#N/A", "#VALUE!",
    "١٢", "１２", "−5", "5%", "$5", "<0.1", "1e5x", "--1", "+-1", "1e", "e5", "-", "+", "1.2.3", "1e5.0", "Inf", "NAN",
    "None", "?", "=1+1", "@A1", "1d5", "0b1", "9" * 400, "1" * 3000 + "x",
]  # fmt: skip
WORDS = [
    "A",
    "a",
    "B",
    "x y",
    "Zürich",
    "東京",
    "a'b",
    "5'10",
    "{x}",
    "$(id)",
    "`id`",
    "<script>",
    "a;b",
    "a|b",
    "\\N",
    "é" * 3,
    "A" * 5000,
    "100%",
    "$a$b$",
]
#: Texts with something in them that a delimiter or a quote needs care for.
AWKWARD = ['"', '"x', 'x"y', '"x"', "5'10\"", "a,b", "a;b", "a\tb", "a\nb", '"a\nb', "a b"]

number = st.sampled_from(NUMBERS)
missing = st.sampled_from([*MISSING, " NA ", "  "])
lookalike = st.sampled_from(LOOKALIKES)
word = st.sampled_from(WORDS)
awkward = st.sampled_from(AWKWARD)
free = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), max_size=12)
PLAIN_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def reading(text: str, markers: tuple[str, ...] = MISSING) -> float | str | None:
    """Return what a cell means: None where it is missing, a number, or its text without blanks around it."""
    trimmed = text.strip()
    if trimmed in markers:
        return None
    # one megabyte of digits is a number too, but to no float
    if len(trimmed) < 2000 and PLAIN_NUMBER.fullmatch(trimmed) and math.isfinite(float(trimmed)):
        return float(trimmed)
    return trimmed


def column_reading(texts: list[str], markers: tuple[str, ...] = MISSING) -> list[float | str | None]:
    """Return what a column means: numbers where all that is not missing is one, else text as it was written."""
    values = [reading(t, markers) for t in texts]
    if any(isinstance(v, str) for v in values):
        return [None if v is None else t.strip() for v, t in zip(values, texts)]
    return values


def same(found: Any, planted: list[float | str | None]) -> bool:
    """Return whether a column read is the one planted."""
    found = list(found)
    if len(found) != len(planted):
        return False
    for got, want in zip(found, planted):
        absent = got is None or (isinstance(got, float) and math.isnan(got))
        if absent != (want is None) or (want is not None and got != want):
            return False
    return True
