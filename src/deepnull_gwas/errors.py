"""The two kinds of expected failure: a wrong input, and a study that cannot be done."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from deepnull_gwas.text import shorten


class InputError(ValueError):
    """An input of the user is wrong.

    The message names the file, the row, column or sample, what was found, what was expected and how to repair it.
    """


class InputErrors(InputError):
    """Several wrong inputs at once, so that the user can correct them all in one go.

    Parameters
    ----------
    problems
        One message each.
    """

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        count = len(self.problems)
        head = "1 problem in the input:" if count == 1 else f"{count} problems in the input:"
        super().__init__("\n".join([head, *(f"  {i}. {text}" for i, text in enumerate(self.problems, 1))]))


class SelfCheckError(Exception):
    """Results differ from what a second implementation makes of the same data: nobody may publish them.

    Parameters
    ----------
    problems
        One message each: study, arm, variant, what was found and what was expected.
    compared
        How many results were compared.
    """

    def __init__(self, problems: Sequence[str], compared: int):
        self.problems = list(problems)
        lines = "\n".join(f"  {i}. {text}" for i, text in enumerate(self.problems, 1))
        super().__init__(
            f"the results of this job are wrong, and were not kept. {compared} of them were tested again by a second "
            f"implementation:\n{lines}\nNeither your data nor your config are at fault, but the program, a library or "
            "the machine: run it again on another machine, and report it with this message and the job's log."
        )


class StudyFailure(Exception):
    """One study cannot be done, for a reason that lies in its data; the batch goes on without it.

    Parameters
    ----------
    stage
        The step at which it failed (a rule's name).
    reason
        What was found, in words for the user.
    """

    def __init__(self, stage: str, reason: str):
        self.stage = stage
        self.reason = reason
        super().__init__(f"{stage}: {reason}")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the allowed name closest to ``name``, or an empty string."""
    names = [shorten(a) for a in allowed]
    by_lower = {n.lower(): n for n in reversed(names)}
    # the search takes quadratic time
    found = difflib.get_close_matches(shorten(name).lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean '{by_lower[found[0]]}'?" if found else ""


def some(values: Iterable[object], limit: int = 5) -> str:
    """List the first few values for a message, each shortened: ``a, b, c and 12 more``."""
    items = [shorten(v) for v in values]
    shown = ", ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"
