"""One line per finished step in place of Snakemake's paragraphs, which are in Snakemake's log all the same."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deepnull_gwas.console.failures import Failure, ends_in, failure_of
from deepnull_gwas.console.pace import Pace, clock, roughly
from deepnull_gwas.logs import TOLD_AT_END, duration
from deepnull_gwas.text import plain

#: What Snakemake says of every run, and nobody needs to know; anything else that it says is shown.
_USUAL = re.compile(
    r"Assuming unrestricted shared filesystem usage|Building DAG of jobs|Using shell: |Provided |Rules claiming more"
    r"|Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive|Select jobs to execute"
    r"|Execute \d+ jobs|Complete log\(s\): |Elapsed time: |Exiting because a job execution failed"
    r"|Storing output in storage|Uploading source archive|Job rate limit reached|Shutting down, this might take"
    r"|Finished jobid|Submitted |SLURM run ID: |Cleaning up SLURM log files|Job \d+ has been submitted"
    r"|Touching output file|Write-protecting output file"
    r"|Removing (?:local copy of storage|temporary output|output files of failed job)|\s*$"
)
#: Events that are in its log only; after that of a group each of its jobs has one of its own.
_EVENTS = (
    "workflow_started",
    "shellcmd",
    "job_started",
    "resources_info",
    "progress",
    "rulegraph",
    "group_info",
    "group_error",
)
_AGAIN = re.compile(r"Trying to restart job (\d+)")
_FINAL = "At least one job did not complete successfully"
#: Seconds without a word after which it says what is running.
SILENCE = 300.0


@dataclass(frozen=True)
class _Job:
    name: str
    rule: str
    logs: tuple[str, ...]
    started: float


class RunConsole(logging.Handler):
    """Show a run on the screen, in place of Snakemake's own handler.

    Parameters
    ----------
    usual
        Snakemake's own handler: shows what this one has no other form for (warnings, errors of Snakemake).
    seconds_of
        Returns rule -> what a job is expected to take (seconds times threads); called when the run starts.
    log
        Returns Snakemake's log.
    """

    def __init__(
        self,
        usual: logging.StreamHandler,
        seconds_of: Callable[[], Mapping[str, float]],
        log: Callable[[], str] = lambda: "",
    ):
        super().__init__()
        self.usual, self.seconds_of, self.log = usual, seconds_of, log
        self.failures: dict[int, Failure] = {}
        self.nothing_to_do = False
        self.pace: Pace | None = None
        self._jobs: dict[int, _Job] = {}
        self._ended: dict[str, str] = {}
        self._cores = 1
        self._start = self._last = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, in a form of its own, or as Snakemake does, or not at all."""
        event = str(getattr(record, "event", None) or "").lower()
        try:
            if taken := getattr(self, f"_on_{event}", None):
                taken(record)
            elif event in _EVENTS:
                self._take_cores(record)
            elif event or record.levelno >= logging.WARNING or not self._on_words(str(record.msg)):
                self._as_usual(record)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def _take_cores(self, record: logging.LogRecord) -> None:
        if cores := getattr(record, "cores", None):
            # jobs on this machine
            os.environ[TOLD_AT_END] = "1"
        self._cores = cores or getattr(record, "nodes", None) or self._cores

    def _as_usual(self, record: logging.LogRecord) -> None:
        text = str(record.msg)
        if not text.startswith("Exiting because a job execution failed") and _FINAL not in text:
            self._last = time.monotonic()
            self.usual.handle(record)

    def say(self, line: str) -> None:
        """Write a line."""
        self._last = time.monotonic()
        self.usual.stream.write(f"{line}\n")
        self.usual.stream.flush()

    def _line(self, what: str, about: str, left: str = "") -> None:
        """Write a line of the table."""
        self.say(f"{what:>9}  {clock(self.elapsed):>8}  {left:<8}  {about}".rstrip())

    def _on_words(self, text: str) -> bool:
        """Take a message without an event; return whether it was taken."""
        if "Nothing to be done" in text:
            self.nothing_to_do = True
            return False
        if again := _AGAIN.match(text):
            if failure := self.failures.pop(int(again[1]), None):
                self._line("again", f"{failure.step}, with twice the memory and time")
            return True
        return _USUAL.match(text) is not None

    def _on_run_info(self, record: logging.LogRecord) -> None:
        stats = {rule: count for rule, count in record.stats.items() if rule != "total"}
        seconds = self.seconds_of()
        # targets are no steps: nothing is done for them
        steps = {rule: count for rule, count in stats.items() if rule in seconds} or stats
        self.pace = Pace(dict(steps), seconds, max(1, min(self._cores, sum(steps.values()))))
        self._start = time.monotonic()
        left = roughly(self.pace.left(0, {}))
        log = f"; Snakemake's own words: {self.log()}" if self.log() else ""
        count = "1 step" if self.pace.total == 1 else f"{self.pace.total} steps"
        self.say(f"deepnull-gwas: {count}, about {left}{log}")
        self.say(f"{'step':>9}  {'elapsed':>8}  left")
        threading.Thread(target=self._watch, daemon=True).start()

    def _on_job_info(self, record: logging.LogRecord) -> None:
        name = name_of(record.rule_name, record.wildcards or {})
        self._jobs[record.jobid] = _Job(name, record.rule_name, tuple(map(str, record.log)), time.monotonic())

    def _on_job_finished(self, record: logging.LogRecord) -> None:
        number = record.job_id if hasattr(record, "job_id") else record.jobid
        job = self._jobs.pop(number, None)
        self.failures.pop(number, None)
        if job is None or self.pace is None or job.rule not in self.pace.waiting:
            return
        self.pace.finish(job.rule)
        left = self.pace.left(self.elapsed, self._running())
        count = f"{self.pace.done}/{self.pace.total}"
        rest = roughly(left) if self.pace.done < self.pace.total else ""
        self._line(count, f"{job.name}, {duration(time.monotonic() - job.started)}", rest)

    def _on_job_error(self, record: logging.LogRecord) -> None:
        job = self._jobs.pop(record.jobid, None) or _Job(record.rule_name, record.rule_name, (), time.monotonic())
        logs = tuple(dict.fromkeys([*job.logs, *map(str, record.log)]))
        failure = failure_of(job.name, job.rule, logs, self._ended.pop(job.rule, ""))
        self.failures[record.jobid] = failure
        if failure.is_interrupt:
            self._line("stopped", job.name)
        else:
            self._line("FAILED", f"{job.name}: {plain(failure.first_line, 160)}")

    def take_untold(self) -> None:
        """Take the failures of jobs of which Snakemake, which broke off itself, has not said that they failed."""
        for number, job in list(self._jobs.items()):
            failure = failure_of(job.name, job.rule, job.logs, self._ended.get(job.rule, ""))
            if failure.is_expected:
                self.failures.setdefault(number, failure)

    def _on_error(self, record: logging.LogRecord) -> None:
        text = str(record.msg)
        if ended := ends_in(text):
            self._ended[ended[0]] = ended[1]
        else:
            self._as_usual(record)

    def _running(self) -> dict[str, float]:
        now, running = time.monotonic(), {}
        for job in list(self._jobs.values()):
            running[job.rule] = running.get(job.rule, 0.0) + now - job.started
        return running

    def _watch(self) -> None:
        while self.pace is not None and self.pace.done < self.pace.total:
            time.sleep(10)
            self.tell_running()

    def tell_running(self) -> None:
        """Write what is running where nothing has been said for long."""
        with self.lock:
            if self.pace is None or not self._jobs or time.monotonic() - self._last < SILENCE:
                return
            first, *more = sorted(self._jobs.values(), key=lambda job: job.started)
            others = f" and {len(more)} more" if more else ""
            log = f"; {first.logs[0]} says how far it is" if first.logs else ""
            about = f"{first.name} (for {duration(time.monotonic() - first.started)}){others}{log}"
            self._line("running", about, roughly(self.pace.left(self.elapsed, self._running())))


def name_of(rule: str, wildcards: Mapping[str, Any]) -> str:
    """Return a job's name for people.

    Examples
    --------
    >>> name_of("associate", {"cohort": "demo", "batch": "main", "chunk": "3"})
    'associate demo/main chunk 3'
    """
    numbered = ("chunk", "fileset", "part")
    names = "/".join(str(value) for key, value in wildcards.items() if key not in numbered)
    numbers = [f"{key} {wildcards[key]}" for key in numbered if key in wildcards]
    return plain(" ".join([rule, *([names] if names else []), *numbers]), 120)


def show_on(
    logger: logging.Logger, seconds_of: Callable[[], Mapping[str, float]], log: Callable[[], str]
) -> RunConsole | None:
    """Put a :class:`RunConsole` in the place of Snakemake's handler for the screen.

    Returns
    -------
    None where there is no such handler: another one was asked for (``--logger``).
    """
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler" and isinstance(handler, logging.StreamHandler):
            console = RunConsole(handler, seconds_of, log)
            console.setLevel(handler.level)
            logger.removeHandler(handler)
            logger.addHandler(console)
            return console
    return None
