"""Write down where the results of a finished run came from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deepnull_gwas.provenance.checksums import Checksums, sha256
from deepnull_gwas.provenance.jobs import job_records, measured
from deepnull_gwas.provenance.page import page
from deepnull_gwas.provenance.software import host, packages, source_state
from deepnull_gwas.tables import atomic_path, write_json

logger = logging.getLogger(__name__)

FORMAT = "deepnull-gwas provenance 1"


@dataclass(frozen=True)
class RunFolders:
    """The folders of a run.

    Attributes
    ----------
    results, logs, benchmarks
        Relative to the working directory.
    workflow
        Folder of the Snakefile.
    """

    results: str
    logs: str
    benchmarks: str
    workflow: str


def record_run(
    given: Mapping[str, Any],
    subject: Mapping[str, Any],
    folders: RunFolders,
    snakemake_version: str,
    out: str | Path,
    out_page: str | Path,
) -> None:
    """Write down where the results of a finished run came from (rule ``record_run``).

    Parameters
    ----------
    given
        The configuration as the user gave it.
    subject
        Of :func:`deepnull_gwas.config.subject_of`.
    folders
        The folders of the run.
    snakemake_version
        Version of Snakemake.
    out, out_page
        provenance.json; the same for people, HTML. Checksums of large files are kept in ``.checksums.json`` next to
        them.
    """
    given = json.loads(json.dumps(given, default=str))
    sheet = Path(given["studies"])
    sums = Checksums(Path(out).parent / ".checksums.json")
    inputs = sums.of(subject["inputs"])
    published = sums.of([Path(folders.results, name).as_posix() for name in subject["published"]])
    sums.keep()
    for entry in published:
        entry["path"] = Path(os.path.relpath(entry["path"], folders.results)).as_posix()
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
    jobs = job_records(Path(".snakemake", "metadata"), folders.results, subject["folders"])
    analysis = {
        "software": {
            "deepnull-gwas": source_state(folders.workflow),
            "snakemake": snakemake_version,
            "python": platform.python_version(),
            "packages": packages(),
        },
        "seed": subject["seed"],
        "config": {"sha256": hashlib.sha256(text.encode()).hexdigest(), "text": text},
        "studies": {
            "path": str(given["studies"]),
            "sha256": sha256(sheet),
            "text": sheet.read_text(encoding="utf-8-sig"),
        },
        "inputs": inputs,
        "published": published,
        "jobs": [{k: job[k] for k in ("rule", "outputs", "parameters")} for job in jobs],
    }
    execution = {
        "recorded": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "directory": os.getcwd(),
        "results": folders.results,
        "host": host(),
        "rules": measured(folders.benchmarks, folders.logs),
        "jobs": [{"output": j["outputs"][0], **{k: j[k] for k in ("log", "started", "ended")}} for j in jobs],
    }
    record = {"format": FORMAT, "analysis": analysis, "execution": execution}
    write_json(record, out)
    with atomic_path(out_page) as temporary:
        temporary.write_text(page(record), encoding="utf-8")
    logger.info("%d input files, %d published files, %d jobs recorded", len(inputs), len(published), len(jobs))
