"""The last words of a run."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Sequence
from pathlib import Path

from deepnull_gwas.console.failures import Failure
from deepnull_gwas.console.handler import RunConsole
from deepnull_gwas.console.pace import clock
from deepnull_gwas.errors import some

#: At most this many failed steps are told with their messages.
FAILURES_SHOWN = 5


def last_words(
    results: str,
    analyses: Sequence[tuple[str, str, str]],
    started: float,
    logs: Sequence[str],
    console: RunConsole | None,
    store: str = "",
) -> str:
    """Return what a run says at its very end: the screen about its studies, or how far it got; failures; where to look.

    Parameters
    ----------
    results
        Folder of the results.
    analyses
        Cohort, study and arm of each analysis.
    started
        When the run began, seconds since the epoch: a summary that is younger is of this run.
    logs
        Snakemake's logs of this run.
    console
        What was shown while it ran, where it was shown by this package.
    store
        Address of the object store that the results go to; empty where they stay on disk.
    """
    summary, site = Path(results, "summary.txt"), Path(results, "site", "index.html")
    is_summarised = summary.is_file() and summary.stat().st_mtime >= started
    failures = list(console.failures.values()) if console else []
    parts = []
    if is_summarised:
        parts.append(summary.read_text(encoding="utf-8").rstrip("\n"))
        # it says so itself
        failures = [failure for failure in failures if failure.rule != "check_status"]
    stopped = [failure.step for failure in failures if failure.is_interrupt]
    if failed := [failure for failure in failures if not failure.is_interrupt]:
        parts.append(_of_failures(failed))
    if stopped:
        parts.append(f"Stopped: {some(stopped, FAILURES_SHOWN)}. The same command goes on from here.")
    if verified := _of_verified(Path(results), started):
        parts.append(verified)
    if store:
        # what is there is not known without asking it
        parts.append(f"Results are in {store.rstrip('/')}/{results}")
    elif not is_summarised:
        there = sum(Path(results, *analysis, "sumstats.tsv.gz").is_file() for analysis in analyses)
        studies = len({analysis[:2] for analysis in analyses})
        of_all = f"{there} of {len(analyses)} analyses ({studies} stud{'ies' if studies != 1 else 'y'})"
        parts.append(f"Summary statistics of {of_all} are in {Path(results).resolve()}")
    last = [f"took {clock(console.elapsed)}"] if console and console.pace else []
    last += [f"Snakemake's log: {', '.join(logs)}"] if logs else []
    parts[-1] += f"\n  {'; '.join(last)}" if last else ""
    # one of an earlier run would tell of other results
    if site.is_file() and is_summarised and not any(failure.rule == "build_site" for failure in failures):
        parts.append(f"Open in a browser: {site.resolve()}")
    return "\n\n".join(parts)


def _of_failures(failures: Sequence[Failure]) -> str:
    """Return what failed, each step with its message and its log."""
    count = f"{len(failures)} steps" if len(failures) > 1 else "1 step"
    lines = [f"FAILED: {count}"]
    for failure in failures[:FAILURES_SHOWN]:
        lines += ["", f"  {failure.step}", textwrap.indent(failure.message, "    ")]
        lines += [f"    log: {log}" for log in failure.logs]
    if more := [failure.step for failure in failures[FAILURES_SHOWN:]]:
        lines += ["", f"  and {some(more, FAILURES_SHOWN)}"]
    lines += ["", "What does not depend on them went on. The same command does what is left."]
    return "\n".join(lines)


def _of_verified(results: Path, started: float) -> str:
    """Return what the checks of this run found to agree (`verify`), empty where none ended."""
    tables = [path for path in results.glob("*/associations/*/verified.tsv") if path.stat().st_mtime >= started]
    rows = []
    for path in sorted(tables):
        with open(path, encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file, delimiter="\t")
    agreeing = [row for row in rows if row["state"] == "ok"]
    if not agreeing:
        return ""
    second, double = (
        sum(int(row[f"variants, {how}"]) for row in agreeing) for how in ("second implementation", "double precision")
    )
    most = max(float(row["largest difference of beta, in se"] or 0) for row in agreeing)
    failed = len(rows) - len(agreeing)
    return (
        f"Verified: {len(agreeing)} {'analyses agree' if len(agreeing) > 1 else 'analysis agrees'} with what was "
        f"published: {second:,} results by a second implementation and {double:,} in double precision, beta within "
        f"{most:.2g} standard errors" + (f"; {failed} of studies that failed were not looked at" if failed else "")
    )
