"""How far a run is, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Seconds for which the estimates are believed before the run itself says how fast it is.
BELIEVED = 20.0
#: Share of its estimate that a running job counts for at most.
RUNNING = 0.9


@dataclass
class Pace:
    """Count steps, and estimate the time left from the estimates of the jobs and how fast the run goes through them.

    Attributes
    ----------
    waiting
        Rule -> jobs that have not ended.
    seconds
        Rule -> seconds that one of its jobs is expected to take, times its threads; of others 1.
    at_once
        Threads that work at a time, as far as it is known before anything has run.
    """

    waiting: dict[str, int]
    seconds: Mapping[str, float]
    at_once: int = 1
    done: int = 0
    done_seconds: float = 0.0
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(self.waiting.values())

    def expected(self, rule: str) -> float:
        """Return what one job of a rule is expected to take."""
        return max(self.seconds.get(rule, 1.0), 0.5)

    def finish(self, rule: str) -> None:
        """Count a job as done."""
        self.done += 1
        self.done_seconds += self.expected(rule)
        self.waiting[rule] = max(0, self.waiting.get(rule, 0) - 1)

    def left(self, elapsed: float, running: Mapping[str, float]) -> float:
        """Return the seconds left.

        Parameters
        ----------
        elapsed
            Seconds since the start.
        running
            Rule -> seconds for which its running jobs have run, summed.

        Examples
        --------
        >>> pace = Pace({"a": 4}, {"a": 100.0})
        >>> round(pace.left(0, {}))
        400
        >>> pace.finish("a")  # in half the time
        >>> round(pace.left(50, {}))
        175
        """
        rest = sum(count * self.expected(rule) for rule, count in self.waiting.items())
        begun = sum(
            min(passed, RUNNING * self.expected(rule) * self.waiting.get(rule, 0)) for rule, passed in running.items()
        )
        pace = (self.done_seconds + begun + BELIEVED * self.at_once) / (elapsed + BELIEVED)
        return (rest - begun) / pace


def clock(seconds: float) -> str:
    """Write a length of time as on a clock: ``0:07``, ``12:40``, ``1:02:03``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def roughly(seconds: float) -> str:
    """Write an estimate of time as one says it: ``10 s``, ``3 min``, ``2.5 h``.

    Examples
    --------
    >>> [roughly(s) for s in (3, 44, 100, 3000, 9000, 60 * 3600)]
    ['5 s', '45 s', '2 min', '50 min', '2.5 h', '60 h']
    """
    if seconds < 57.5:
        return f"{max(5, round(seconds / 5) * 5)} s"
    if seconds < 5400:
        return f"{round(seconds / 60) or 1} min"
    hours = seconds / 3600
    return f"{round(2 * hours) / 2:g} h" if hours < 10 else f"{hours:.0f} h"
