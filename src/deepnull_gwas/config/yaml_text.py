"""The text of a configuration: what can no longer be seen once it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from deepnull_gwas.text import shorten

#: Plain scalars that YAML 1.1 reads as what nobody means: octal numbers, and sums of sixties.
_OCTAL = re.compile(r"[-+]?0[0-7_]*[0-7]")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


@dataclass
class _Level:
    """A mapping or list that is being read: its keys with their lines, and whether a value comes next."""

    mapping: bool
    keys: dict[str, int] = field(default_factory=dict)
    value: bool = False


def check_config_text(path: str | Path) -> Iterator[str]:
    """Yield what cannot be seen in a configuration once it is read.

    That is keys given twice, of which the last would win, texts that YAML takes for octal numbers (``010`` is 8) or
    sums of sixties (``1:30`` is 90), and the key that makes Snakemake run code.

    Parameters
    ----------
    path
        A file of YAML or JSON. One without ``cohorts`` at its top is another workflow's.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = list(yaml.parse(Path(path).read_text(encoding="utf-8"), Loader=loader))
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return  # Snakemake has read it, or said what is wrong with it
    stack: list[_Level] = []
    problems: list[str] = []
    top: set[str] = set()
    for event in events:
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        here = stack[-1] if stack else None
        is_key = here is not None and here.mapping and not here.value
        if here is not None and here.mapping:
            here.value = is_key
        if isinstance(event, yaml.ScalarEvent):
            place = f"{path}: line {event.start_mark.line + 1}"
            if is_key and here is not None:
                problems += _check_key(event, here, place)
                if len(stack) == 1:
                    top.add(event.value)
            problems += _check_scalar(event, place)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            stack.append(_Level(isinstance(event, yaml.MappingStartEvent)))
    if "cohorts" in top:
        yield from problems


def _check_key(event: yaml.ScalarEvent, here: _Level, place: str) -> Iterator[str]:
    """Yield what is wrong with a key of a mapping, and keep it."""
    if event.value in here.keys and event.value != "<<":
        first = here.keys[event.value]
        yield f"{place}: the key '{shorten(event.value)}' is there already (line {first}); the last would win: keep one"
    here.keys.setdefault(event.value, event.start_mark.line + 1)
    if event.value == "__use_yte__":
        yield (
            f"{place}: the key __use_yte__ makes Snakemake run Python code that is in this file (it has done so before "
            "this workflow could see it); a configuration holds values only: remove it"
        )


def _check_scalar(event: yaml.ScalarEvent, place: str) -> Iterator[str]:
    """Yield a message where YAML takes a plain scalar for a number that nobody means."""
    if not event.implicit[0] or event.style in ("'", '"', "|", ">"):
        return
    for kind, means in ((_OCTAL, "an octal number"), (_SIXTIES, "a sum of sixties")):
        if kind.fullmatch(event.value) and event.value != "0":
            yield (
                f"{place}: YAML takes {shorten(event.value)} for {means}; put it in quotes if it is text, "
                "or write the number without leading zeros"
            )
