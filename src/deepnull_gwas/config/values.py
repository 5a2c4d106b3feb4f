"""Values as YAML gives them: plain copies, and what no schema sees in them."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deepnull_gwas.errors import InputError
from deepnull_gwas.text import shorten

#: Most values and levels of a configuration: anchors that repeat one another can stand for more than any memory holds.
MOST_VALUES, MOST_LEVELS = 200_000, 40
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def plain_values(value: Any) -> Any:
    """Copy into plain dicts and lists (Snakemake hands over dicts of its own kinds).

    Raises
    ------
    InputError
        When the copy would have more values than any configuration: YAML's anchors may refer to one another many times,
        or to themselves.
    """
    count = 0

    def copied(value: Any, level: int) -> Any:
        nonlocal count
        count += 1
        if count > MOST_VALUES or level > MOST_LEVELS:
            raise InputError(
                f"config: more than {MOST_VALUES:,} values, or more than {MOST_LEVELS} levels of them; "
                "does an anchor (&) refer to itself, or to others many times?"
            )
        if isinstance(value, Mapping):
            return {k: copied(v, level + 1) for k, v in value.items()}
        if isinstance(value, datetime.date):
            # what YAML makes of 2026-11-23
            return value.isoformat()
        return [copied(v, level + 1) for v in value] if isinstance(value, list | tuple) else value

    return copied(value, 0)


def over(under: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration overridden by another, key by key at every level, as Snakemake does it.

    Examples
    --------
    >>> over({"qc": {"maf": 0.01, "mac": 20}, "seed": 1}, {"qc": {"maf": 0.05}})
    {'qc': {'maf': 0.05, 'mac': 20}, 'seed': 1}
    """
    both = dict(under)
    for key, value in given.items():
        below = both.get(key)
        both[key] = over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def as_dict(value: Any) -> dict[str, Any]:
    """Return a mapping as it is, and an empty one for anything else (which the schema complains about)."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[str]:
    """Return a list as it is, and an empty one for anything else (which the schema complains about).

    Examples
    --------
    >>> as_list("age, sex"), as_list(["age"])
    ([], ['age'])
    """
    return value if isinstance(value, list) else []


def show(value: Any) -> str:
    """Return a value as JSON writes it, cut to a length that a message can hold."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def place_in_config(keys: list[str]) -> str:
    """Return the name of a place in the configuration, from its keys: ``config: qc.maf``."""
    return ": ".join(["config", *([".".join(shorten(k) for k in keys)] if keys else [])])


def check_values(value: Any, keys: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what no schema sees: keys that are no text, numbers that are not finite, and line breaks in names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                place = place_in_config([*keys, str(key)])
                yield f"{place}: the name is {show(key)} to YAML, expected text; put it in quotes"
            elif CONTROL.search(key):
                place = place_in_config(list(keys))
                yield f"{place}: the name {show(key)} has a line break or another control character; remove it"
            yield from check_values(inner, (*keys, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from check_values(inner, (*keys, str(number)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{place_in_config(list(keys))}: found {value}, expected a finite number"
    elif isinstance(value, str) and CONTROL.search(value):
        place = place_in_config(list(keys))
        yield f"{place}: found {show(value)}, expected text without line breaks or other control characters"


def check_date(value: Any) -> Iterator[str]:
    """Yield a message where the date of the metadata is no date."""
    if isinstance(value, str):
        try:
            if datetime.date.fromisoformat(value).isoformat() == value:
                return
        except ValueError:
            pass
        yield f"config: metadata_date: found {show(value)}, expected a day as year-month-day, such as 2026-11-23"
