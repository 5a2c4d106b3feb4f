"""The jobs of a run, from what Snakemake wrote down, and what they took, from their benchmark files."""

from __future__ import annotations

import base64
import binascii
import contextlib
import csv
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepnull_gwas.config import RESERVED_STUDIES

#: Rules that are not part of the analysis, and may or may not have run when it is recorded.
NOT_RECORDED = ("verify_batch", "record_run", "check_status", "describe_study", "describe_cohort", "build_site")
TOOK = re.compile(r"INFO took .+?, ([\d,]+) MB of memory at most")


def _mine(path: str, results: str, folders: Mapping[str, Mapping[str, Sequence[str]]]) -> bool:
    """Return whether a result belongs to the studies of the configuration (others may be left from earlier runs)."""
    parts = Path(os.path.relpath(path, results)).parts
    if len(parts) < 2 or parts[0] not in folders:
        return len(parts) == 1
    if parts[1] == "associations":
        return len(parts) > 2 and parts[2] in folders[parts[0]]["batches"]
    return len(parts) == 2 or parts[1] in {*RESERVED_STUDIES, *folders[parts[0]]["studies"]}


def job_records(
    metadata: str | Path, results: str, folders: Mapping[str, Mapping[str, Sequence[str]]]
) -> list[dict[str, Any]]:
    """Read what Snakemake recorded of each job.

    Parameters
    ----------
    metadata
        Its folder, ``.snakemake/metadata``; where there is none, no job is listed.
    results
        Folder of the results, as in the names of the outputs.
    folders
        Studies and batches of each cohort: jobs of studies that are not there are left out.

    Returns
    -------
    rule, outputs, parameters (as text, without their names), log, started and ended (seconds since 1970), ordered by
    rule and outputs.
    """
    jobs: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path in sorted(Path(metadata).rglob("*")):
        if not path.is_file():
            continue
        try:
            # a long name is cut into folders, each but the last marked by an @
            name = "".join(part.removeprefix("@") for part in path.relative_to(metadata).parts)
            output = base64.b64decode(name, altchars=b"-_").decode()
            record = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError, binascii.Error):
            continue
        rule = str(record.get("rule"))
        # a workflow that uses this one puts a word before each name
        if record.get("incomplete") or rule.endswith(NOT_RECORDED) or not _mine(output, results, folders):
            continue
        # each output has a record of its own; the log is the job's
        key = (record.get("rule"), tuple(record.get("log") or ()))
        job = jobs.setdefault(
            key,
            {
                "rule": record.get("rule"),
                "outputs": [],
                "parameters": sorted(map(str, record.get("params") or ())),
                "log": (record.get("log") or [None])[0],
                "started": record.get("starttime"),
                "ended": record.get("endtime"),
            },
        )
        job["outputs"].append(Path(os.path.relpath(output, results)).as_posix())
    for job in jobs.values():
        job["outputs"].sort()
    return sorted(jobs.values(), key=lambda j: (str(j["rule"]), j["outputs"]))


def measured(benchmarks: str | Path, logs: str | Path) -> list[dict[str, Any]]:
    """Sum up the benchmark files by rule: jobs, seconds in total and of the longest, peak memory.

    Parameters
    ----------
    benchmarks, logs
        Folders with one folder (or file) per rule; a job's log has the same path as its benchmark file. Peak memory is
        the larger of what Snakemake saw, looking every few seconds, and what the job itself reports at the end of its
        log.
    """
    rules: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(benchmarks).rglob("*.tsv")):
        inside = path.relative_to(benchmarks)
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        if not rows:
            continue
        rule = inside.parts[0].removesuffix(".tsv")
        row = rules.setdefault(rule, {"rule": rule, "jobs": 0, "seconds": 0.0, "longest_seconds": 0.0, "peak_mb": 0.0})
        seconds, peak = _float(rows[-1].get("s")), _float(rows[-1].get("max_rss"))
        with contextlib.suppress(OSError):
            if took := TOOK.search(Path(logs, inside).with_suffix(".log").read_text(encoding="utf-8")):
                peak = max(peak, _float(took[1].replace(",", "")))
        row["jobs"] += 1
        row["seconds"] = round(row["seconds"] + seconds, 1)
        row["longest_seconds"] = round(max(row["longest_seconds"], seconds), 1)
        row["peak_mb"] = round(max(row["peak_mb"], peak), 1)
    return list(rules.values())


def _float(text: str | None) -> float:
    with contextlib.suppress(TypeError, ValueError):
        return float(text or "0")
    return 0.0
