"""Why a job failed: what its log says of it, short enough for a screen."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepnull_gwas.logs import INTERRUPTED
from deepnull_gwas.text import plain

#: Bytes of the end of a log that are read.
TAIL = 1 << 16
#: Lines of a message that are shown, and characters of each.
LINES, CHARACTERS = 24, 2000
#: How a message to the user begins in a log (``deepnull_gwas.logs``).
_TOLD = re.compile(
    r"^(?:Interrupted|Input error|Self-check failed|No space left on the disk|Out of memory)\b.*", re.M | re.S
)
_TRACEBACK = "Traceback (most recent call last)"
#: A line of a log with its time, as ``deepnull_gwas.logs`` writes it.
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+ ")
#: What Snakemake says of a script that ended badly.
_ENDED = re.compile(r"\.(\w+)\.py' (?:returned non-zero exit status (\d+)|died with <Signals\.(\w+): \d+>)")


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes
    ----------
    step
        Its rule and wildcards, for people.
    rule
        Its rule.
    logs
        Its logs, that of a cluster's scheduler last.
    message
        Why it failed.
    is_expected
        Whether the message is one to the user; else the program is at fault, or something from outside ended the job.
    """

    step: str
    rule: str
    logs: tuple[str, ...]
    message: str
    is_expected: bool

    @property
    def is_interrupt(self) -> bool:
        """Whether the user stopped it."""
        return self.message in (INTERRUPTED, "KeyboardInterrupt")

    @property
    def first_line(self) -> str:
        """The first line of the message that says something of its own."""
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        # "3 problems in the input:" and the first of them
        return " ".join(lines[:2]) if lines and lines[0].endswith(":") else next(iter(lines), "")


def failure_of(step: str, rule: str, logs: Sequence[str], ended: str = "") -> Failure:
    """Return why a job failed.

    Parameters
    ----------
    step, rule
        See :class:`Failure`.
    logs
        Its logs; one that cannot be read tells nothing.
    ended
        How its process ended, of :func:`ends_in`.
    """
    tails = [tail_of(log) for log in logs]
    for tail in reversed(tails):
        if told := _TOLD.search(tail):
            return Failure(step, rule, tuple(logs), _shown(told[0]), True)
    for tail in tails:
        if _TRACEBACK in tail:
            raised = _shown(_raised(tail))
            if raised == "KeyboardInterrupt":
                return Failure(step, rule, tuple(logs), INTERRUPTED, True)
            message = f"{raised}\n(the program is at fault: the traceback is in the log)"
            return Failure(step, rule, tuple(logs), message, False)
    if ended == INTERRUPTED:
        return Failure(step, rule, tuple(logs), INTERRUPTED, True)
    lines = [line for tail in tails for line in tail.splitlines() if line.strip()]
    last = f"; the last line of its log: {plain(_LOGGED.sub('', lines[-1]), 200)}" if lines else ""
    message = f"{ended or 'the job ended without a message'}{last}"
    return Failure(step, rule, tuple(logs), message, False)


def tail_of(log: str | Path) -> str:
    """Return the end of a log; an empty text where it cannot be read."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _raised(tail: str) -> str:
    """Return the exception at the end of the last traceback of a log."""
    lines = tail[tail.rindex(_TRACEBACK) :].splitlines()[1:]
    for number, line in enumerate(lines):
        if line and not line[0].isspace():
            return "\n".join(lines[number:])
    return "\n".join(lines[-1:])


def _shown(text: str) -> str:
    """Return a message for a terminal: no control characters, not more than :data:`LINES` lines."""
    lines = text.strip().splitlines()
    more = [f"... and {len(lines) - LINES} more lines: see the log"] if len(lines) > LINES else []
    return "\n".join([*(plain(line, CHARACTERS) for line in lines[:LINES]), *more])


def ends_in(text: str) -> tuple[str, str] | None:
    """Return rule and end of a script's process, from what Snakemake says of it; None if it says something else.

    Examples
    --------
    >>> ends_in("Command 'python /a/tmp1.associate.py' died with <Signals.SIGKILL: 9>.")
    ('associate', 'it was killed (SIGKILL): for lack of memory, say')
    """
    if not (found := _ENDED.search(text)):
        return None
    rule, code, signal = found.groups()
    if signal == "SIGINT" or code == "130":
        return rule, INTERRUPTED
    if signal == "SIGKILL" or code == "137":
        return rule, "it was killed (SIGKILL): for lack of memory, say"
    return rule, f"it was ended by {signal}" if signal else f"it ended with exit code {code}"
