"""Logs of jobs: everything a step says goes to its log, line by line, and long steps say how far they are."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepnull_gwas.errors import InputError, SelfCheckError
from deepnull_gwas.garbage import collect_seldom

logger = logging.getLogger("deepnull_gwas")

#: Memory that Snakemake's own processes take in addition to a job's, where a cluster counts them as the job's (two of
#: 200 MB under Slurm).
SNAKEMAKE_MB = 400
#: What a log says of a job that was stopped by the user.
INTERRUPTED = "Interrupted"
#: Set in the environment of the jobs of a run that tells their errors itself, from their logs: they do not tell them,
#: too.
TOLD_AT_END = "DEEPNULL_GWAS_TOLD_AT_END"


def peak_memory_mb() -> float | None:
    """Return the largest resident memory of this process so far, in MB; None where the system does not tell.

    Snakemake's benchmark files look every few seconds only, and miss short peaks; the system's own mark misses none.
    """
    # not getrusage: its mark is inherited from the process that started this one
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None


def duration(seconds: float) -> str:
    """Write a length of time for people: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def log_to(path: str | Path, resources: Any = None) -> Iterator[None]:
    """Send stdout, stderr, logging and tracebacks of the block to ``path``, and re-raise what was raised.

    The first line is what the step is expected to need, the last one what it took.

    Parameters
    ----------
    path
        The log.
    resources
        The job's ``resources``: ``mem_mb`` and ``runtime`` (minutes) are the limits, ``estimated_s`` the expected time.

    Raises
    ------
    SystemExit
        In place of errors that are matters for the user, see below.

    Notes
    -----
    An :class:`InputError`, a :class:`SelfCheckError`, a full disk and a lack of memory are matters for the user: the
    log, and the real stderr unless :data:`TOLD_AT_END` is set, get a message without a traceback, and the process ends
    with :class:`SystemExit`. Where it is set, any other error ends it so too, with its traceback in the log.
    """
    # the imports of a job are inside the block
    collect_seldom()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", buffering=1, encoding="utf-8") as log:
        handler = logging.StreamHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        # compiled libraries write to the descriptors, not to sys.stdout
        sys.stdout.flush()
        sys.stderr.flush()
        saved = [os.dup(1), os.dup(2)]
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        start = time.monotonic()
        if (memory := getattr(resources, "mem_mb", None)) is not None:
            logger.info(
                "estimate for this job: up to %s MB of memory with %d MB for Snakemake's own processes, about %s "
                "(limit %s)",
                f"{memory:,}", SNAKEMAKE_MB, duration(resources.estimated_s), duration(60 * resources.runtime),
            )  # fmt: skip
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
            peak = peak_memory_mb()
            logger.info(
                "took %s (%s of processor time)%s",
                duration(time.monotonic() - start),
                duration(time.process_time()),
                "" if peak is None else f", {peak:,.0f} MB of memory at most",
            )
        except BaseException as error:
            message, is_logged = _message(error), False
            # the log may lie on the disk that is full
            with contextlib.suppress(OSError):
                if message is None:
                    traceback.print_exc(file=log)
                else:
                    print(message, file=log)
                is_logged = True
            if message is None and not (is_logged and TOLD_AT_END in os.environ):
                raise
            if not is_logged or TOLD_AT_END not in os.environ:
                os.write(saved[1], f"\n{message}\n".encode())
            raise SystemExit(1) from None
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for descriptor in saved:
                os.close(descriptor)
            root.removeHandler(handler)
            root.setLevel(level)


def _message(error: BaseException) -> str | None:
    """Return what the user needs to know of an expected failure; None for any other."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, InputError):
        return f"Input error: {error}"
    if isinstance(error, SelfCheckError):
        return f"Self-check failed: {error}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        return (
            f"No space left on the disk{where}: {error}. Make room and run snakemake again; nothing that was finished "
            "is lost."
        )
    if isinstance(error, MemoryError):
        return (
            f"Out of memory: {error}. Grant the rule more (--set-resources RULE:mem_mb=...), or on a cluster retry "
            "(--retries 2: each attempt asks for twice as much)."
        )
    return None


class Progress:
    """Log how much of a long step is done, at which rate, and how long the rest will take.

    Parameters
    ----------
    total
        How many units there are.
    unit
        Their name in the plural ("variants").
    every
        Seconds between two lines.
    """

    def __init__(self, total: int, unit: str, every: float = 10.0):
        self.total = total
        self.unit = unit
        self.every = every
        self.done = 0
        self.start = self.last = time.monotonic()

    def add(self, count: int) -> None:
        """Count ``count`` more units as done and say so if the last word was long ago."""
        self.done += count
        now = time.monotonic()
        if now - self.last >= self.every or (self.done >= self.total and self.last > self.start):
            self.last = now
            rate = self.done / max(now - self.start, 1e-9)
            left = (self.total - self.done) / max(rate, 1e-9)
            logger.info(
                "%s of %s %s (%.0f %%), %.3g/s, %.0f s left",
                f"{self.done:,}", f"{self.total:,}", self.unit, 100 * self.done / max(self.total, 1), rate, left,
            )  # fmt: skip
