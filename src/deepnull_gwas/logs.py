"""Logs of jobs: everything a step says goes to its log, line by line, and long steps say how far they are."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepnull_gwas.errors import InputError

logger = logging.getLogger("deepnull_gwas")


def peak_memory_mb() -> float | None:
    """Give the largest resident memory that this process has had so far, in MB; None where the system does not tell (not Linux).

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

    The first line says what the step is expected to need, the last one what it took.

    Parameters
    ----------
    path
        The log.
    resources
        The job's ``resources``: ``mem_mb`` and ``runtime`` (minutes) are the limits, ``estimated_s`` the expected time.

    Raises
    ------
    SystemExit
        In place of an :class:`InputError`, see below.

    Notes
    -----
    An :class:`InputError` is meant for the user: log and the real stderr get its message without a traceback, and the process ends with
    :class:`SystemExit`.
    """
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
                "estimate for this job: up to %s MB of memory, about %s (limit %s)",
                f"{memory:,}", duration(resources.estimated_s), duration(60 * resources.runtime),
            )  # fmt: skip
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
            peak = peak_memory_mb()
            logger.info(
                "took %s%s",
                duration(time.monotonic() - start),
                "" if peak is None else f", {peak:,.0f} MB of memory at most",
            )
        except InputError as error:
            print(f"Input error: {error}", file=log)
            os.write(saved[1], f"\nInput error: {error}\n".encode())
            raise SystemExit(1) from None
        except BaseException:
            traceback.print_exc(file=log)
            raise
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for descriptor in saved:
                os.close(descriptor)
            root.removeHandler(handler)
            root.setLevel(level)


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
