"""Where results came from: one file that says what was analysed, by what, with what; and a run made anew from it.

The file has two parts. ``analysis`` is the same for the same analysis, wherever and whenever it runs: configuration, studies, checksums of
inputs and of published files, seeds, software, and the parameters of every job. ``execution`` is about this one run: host, folder, times, memory.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import csv
import hashlib
import html
import importlib.metadata
import io
import json
import logging
import os
import platform
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deepnull_gwas import __version__
from deepnull_gwas.cohort.layout import cells, read_layout
from deepnull_gwas.config import RESERVED_STUDIES, check_recorded
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.logs import Progress, duration
from deepnull_gwas.tables import atomic_path, read_json, write_json
from deepnull_gwas.text import plain, shorten

logger = logging.getLogger(__name__)

FORMAT = "deepnull-gwas provenance 1"
#: Rules that are not part of the analysis, and may or may not have run when it is recorded.
NOT_RECORDED = ("verify_batch", "record_run", "check_status")
TOOK = re.compile(r"INFO took .+?, ([\d,]+) MB of memory at most")


# --- checksums ---------------------------------------------------------------


def sha256(path: str | Path, told: Callable[[int], None] | None = None) -> str:
    """Give the SHA-256 checksum of a file, as ``sha256sum`` prints it; ``told`` hears how many bytes were read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            if told is not None:
                told(len(block))
    return digest.hexdigest()


class Checksums:
    """Checksums that are computed once: kept in a file, and believed as long as a path's size and time of change stay the same.

    Parameters
    ----------
    cache
        The file; one that is not there or not readable counts as empty.
    """

    def __init__(self, cache: str | Path):
        self.path = Path(cache)
        try:
            kept = read_json(self.path)
        except (OSError, ValueError):
            kept = {}
        self._kept: dict[str, dict[str, Any]] = kept if isinstance(kept, dict) else {}
        self._seen: dict[str, dict[str, Any]] = {}

    def of(self, paths: Sequence[str], base: str | Path = ".") -> list[dict[str, Any]]:
        """Give path, bytes and sha256 of files whose paths refer to ``base``, in their order."""
        state = {p: Path(base, p).stat() for p in paths}
        known = {
            p: entry
            for p in paths
            if (entry := self._kept.get(os.path.abspath(Path(base, p))))
            and (entry.get("bytes"), entry.get("mtime_ns")) == (state[p].st_size, state[p].st_mtime_ns)
        }
        left = [p for p in paths if p not in known]
        progress = Progress(sum(state[p].st_size for p in left), "bytes to check")
        found = []
        for p in paths:
            entry = known.get(p) or {
                "bytes": state[p].st_size,
                "mtime_ns": state[p].st_mtime_ns,
                "sha256": sha256(Path(base, p), progress.add),
            }
            self._seen[os.path.abspath(Path(base, p))] = entry
            found.append({"path": p, "bytes": entry["bytes"], "sha256": entry["sha256"]})
        return found

    def keep(self) -> None:
        """Write what was asked for since the start; what was not is forgotten."""
        write_json(dict(sorted(self._seen.items())), self.path)


# --- what is recorded --------------------------------------------------------


def packages() -> dict[str, str]:
    """Give name and version of every package that is installed beside this one."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def source_state(workflow: str | Path) -> dict[str, Any]:
    """Say which version the workflow is: number, git commit and whether files were changed since (null where git does not know), digest of the library."""
    digest, root = hashlib.sha256(), Path(__file__).parent
    for path in sorted(root.rglob("*.py"), key=lambda p: p.relative_to(root).as_posix()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())

    def git(*words: str) -> str | None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                ["git", "-C", str(workflow), *words], capture_output=True, text=True, timeout=60, check=True
            )
            return done.stdout.strip()
        return None

    # a clone of something else around it does not count
    top = git("rev-parse", "--show-toplevel")
    mine = (
        top is not None
        and Path(workflow).resolve().is_relative_to(Path(top).resolve())
        and git("ls-files", "Snakefile")
    )
    changed = git("status", "--porcelain", "--untracked-files=no") if mine else None
    return {
        "version": __version__,
        "commit": git("rev-parse", "HEAD") if mine else None,
        "changed_since_commit": None if changed is None else bool(changed),
        "library_sha256": digest.hexdigest(),
    }


def host() -> dict[str, Any]:
    """Say what machine this is."""
    model = platform.processor() or platform.machine()
    memory = None
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemTotal:"):
                memory = int(line.split()[1]) * 1024 // 10**6
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_mb": memory,
    }


def _mine(path: str, results: str, folders: Mapping[str, Mapping[str, Sequence[str]]]) -> bool:
    """Say whether a result belongs to the studies that the configuration has now (others may be left from earlier ones)."""
    parts = Path(os.path.relpath(path, results)).parts
    if len(parts) < 2 or parts[0] not in folders:
        return len(parts) == 1
    if parts[1] == "associations":
        return len(parts) > 2 and parts[2] in folders[parts[0]]["batches"]
    return len(parts) == 2 or parts[1] in {*RESERVED_STUDIES, *folders[parts[0]]["studies"]}


def job_records(
    metadata: str | Path, results: str, folders: Mapping[str, Mapping[str, Sequence[str]]]
) -> list[dict[str, Any]]:
    """Read what Snakemake wrote down of each job.

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
    rule, outputs, parameters (as text, without their names), log, started and ended (seconds since 1970), ordered by rule and outputs.
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
    """Sum up the benchmark files by rule: jobs, seconds in all and of the longest, peak memory.

    Parameters
    ----------
    benchmarks, logs
        Folders with one folder (or file) a rule; a job's log has the same path as its benchmark file. Peak memory is the larger of what
        Snakemake saw, looking every few seconds, and what the job itself says at the end of its log.
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


def record_run(
    given: Mapping[str, Any],
    subject: Mapping[str, Any],
    results: str | Path,
    logs: str | Path,
    benchmarks: str | Path,
    workflow: str | Path,
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
    results, logs, benchmarks
        The run's folders, relative to the working directory.
    workflow
        Folder of the Snakefile.
    snakemake_version
        Its version.
    out, out_page
        provenance.json; the same for people, HTML. Checksums of large files are kept in ``.checksums.json`` beside them.
    """
    given = json.loads(json.dumps(given, default=str))
    sheet = Path(given["studies"])
    sums = Checksums(Path(out).parent / ".checksums.json")
    inputs = sums.of(subject["inputs"])
    published = sums.of([Path(results, name).as_posix() for name in subject["published"]])
    sums.keep()
    for entry in published:
        entry["path"] = Path(os.path.relpath(entry["path"], results)).as_posix()
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
    jobs = job_records(Path(".snakemake", "metadata"), str(results), subject["folders"])
    analysis = {
        "software": {
            "deepnull-gwas": source_state(workflow),
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
        "results": str(results),
        "host": host(),
        "rules": measured(benchmarks, logs),
        "jobs": [{"output": j["outputs"][0], **{k: j[k] for k in ("log", "started", "ended")}} for j in jobs],
    }
    record = {"format": FORMAT, "analysis": analysis, "execution": execution}
    write_json(record, out)
    with atomic_path(out_page) as temporary:
        temporary.write_text(page(record), encoding="utf-8")
    logger.info("%d input files, %d published files, %d jobs recorded", len(inputs), len(published), len(jobs))


# --- for people --------------------------------------------------------------

_STYLE = (
    "body{font:14px/1.5 sans-serif;margin:2em;max-width:70em;color:#222}table{border-collapse:collapse;margin:.5em 0 1.5em}"
    "td,th{border-bottom:1px solid #ddd;padding:.2em .8em .2em 0;text-align:left;vertical-align:top}td.n{text-align:right}"
    "pre{background:#f5f5f5;padding:1em;overflow:auto}code{font-size:12px}"
)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, int | float):
            return f'<td class="n">{value:,}</td>'
        return f"<td>{html.escape(str(value))}</td>"

    lines = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(h)}</th>' for h in head)}</tr>{lines}</table>"


def page(record: Mapping[str, Any]) -> str:
    """Write a record as a page of HTML that needs nothing else."""
    analysis, execution = record["analysis"], record["execution"]
    software, machine = analysis["software"], execution["host"]
    source = software["deepnull-gwas"]
    commit = source["commit"] or "not known"
    if source["changed_since_commit"]:
        commit += ", with changes since"
    facts = [
        ("deepnull-gwas", f"{source['version']}; commit {commit}; library {source['library_sha256'][:16]}"),
        ("Snakemake, Python", f"{software['snakemake']}, {software['python']}"),
        ("Seed", str(analysis["seed"])),
        ("Configuration, SHA-256", analysis["config"]["sha256"]),
        ("Studies, SHA-256", analysis["studies"]["sha256"]),
        ("Recorded", execution["recorded"]),
        ("Machine", f"{machine['name']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_mb'] or 0:,} MB; {machine['system']}"),
    ]  # fmt: skip
    files = [(f["path"], f["bytes"], f["sha256"]) for f in analysis["inputs"]]
    published = [(f["path"], f["bytes"], f["sha256"]) for f in analysis["published"]]
    rules = [
        (r["rule"], r["jobs"], duration(r["seconds"]), duration(r["longest_seconds"]), round(r["peak_mb"]))
        for r in execution["rules"]
    ]
    names = ("File", "Bytes", "SHA-256")
    parts = [
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Provenance</title><style>{_STYLE}</style></head><body>',
        "<h1>Where these results came from</h1>",
        _table(("What", ""), facts),
        "<p>To repeat the run: <code>deepnull-gwas repeat provenance.json --directory NEW</code></p>",
        "<h2>Inputs</h2>",
        _table(names, files) if files else "<p>None: all cohorts are simulated.</p>",
        "<h2>Published files</h2>",
        _table(names, published),
        "<h2>Time and memory by rule</h2>",
        _table(("Rule", "Jobs", "Time in all", "Longest job", "Peak memory, MB"), rules),
        f"<h2>Configuration</h2><pre>{html.escape(analysis['config']['text'])}</pre>",
        f"<h2>Studies</h2><pre>{html.escape(analysis['studies']['text'])}</pre>",
        "<h2>Packages</h2>",
        _table(("Package", "Version"), list(software["packages"].items())),
        "</body></html>\n",
    ]
    return "\n".join(parts)


# --- again -------------------------------------------------------------------


def read_record(path: str | Path) -> dict[str, Any]:
    """Read a provenance file: data from elsewhere, so that its form is checked and the file itself is never touched.

    Raises
    ------
    InputError
        When it is not there, or not such a file.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it is in the folder of results of a finished run") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON: {shorten(error, 200)}") from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise InputError(
            f"{path}: its format is {shorten(repr(found))}, expected {FORMAT!r}; give provenance.json of a run"
        )
    for place in _odd_parts(record):
        raise InputError(f"{path}: {place} is absent, or not what a run records there; give provenance.json of a run")
    return record


def _odd_parts(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the places of a record whose value is of another kind than what is recorded there."""

    def at(*keys: str) -> Any:
        value: Any = record
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    texts = [("analysis", "config", "text"), ("analysis", "studies", "path"), ("analysis", "studies", "text")]
    texts += [("analysis", "software", "deepnull-gwas", name) for name in ("library_sha256", "version")]
    yield from (".".join(keys) for keys in [*texts, ("execution", "directory")] if not isinstance(at(*keys), str))
    software = at("analysis", "software", "packages")
    if not isinstance(software, dict) or not all(isinstance(v, str) for v in software.values()):
        yield "analysis.software.packages"
    for name in ("inputs", "published"):
        files = at("analysis", name)
        kinds = {"path": str, "sha256": str, "bytes": int}
        if not isinstance(files, list) or not all(
            isinstance(f, dict) and all(isinstance(f.get(key), kind) for key, kind in kinds.items()) for f in files
        ):
            yield f"analysis.{name}"


def _with_paths(config: dict[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """Copy a configuration with each path of an input file put where it is now."""
    config = json.loads(json.dumps(config))

    def move(section: Any, key: str, words: tuple[str, ...] = ()) -> None:
        if isinstance(section, dict) and isinstance(section.get(key), str) and section[key] not in words:
            section[key] = place(section[key])

    for section in (config, *(config.get("cohorts") or {}).values()):
        structure = section.get("structure") if isinstance(section, dict) else None
        move(structure, "relatives", ("exclude", "keep"))
        move(structure, "loadings")
    for cohort in (config.get("cohorts") or {}).values():
        move(cohort, "genotypes")
        move(cohort, "samples")
    move(config.get("deepnull"), "fold_file")
    return config


def _sheet_with_paths(text: str, path: str, place: Callable[[str], str]) -> str:
    """Copy a studies sheet with the files of weights that it names put where they are now; without any, it stays as it is."""
    layout = read_layout(path, hash_header=False, data=text.encode())
    if "score_file" not in layout.header:
        return text
    at = layout.header.index("score_file")
    rows = [layout.header, *(row for _, row in cells(layout))]
    for row in rows[1:]:
        if len(row) > at and row[at] and not row[0].startswith("#"):
            row[at] = place(row[at])
    out = io.StringIO(newline="")
    out.writelines(f"{comment}\n" for comment in layout.comments)
    csv.writer(out, delimiter=layout.delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def repeat_run(path: str | Path, directory: str | Path, inputs: str | Path | None = None) -> Iterator[str]:
    """Write configuration and studies of a recorded run into a new folder, and check that the inputs are what they were.

    Parameters
    ----------
    path
        provenance.json.
    directory
        Where to; made if it is not there. A configuration that is there is not written over.
    inputs
        Folder to which relative paths of inputs refer; None, the folder in which the recorded run ran.

    Yields
    ------
    Lines for the user: what was checked, what differs that may matter, and the command that runs it.

    Raises
    ------
    InputErrors
        Naming each key of the configuration and each column of the sheet that the schemas do not know (Snakemake would run code under some), or each
        input that is missing or has other contents. Nothing is written then.
    InputError
        When the folder has a configuration already.
    """
    record = read_record(path)
    analysis, execution = record["analysis"], record["execution"]
    try:
        recorded = check_recorded(analysis["config"]["text"], analysis["studies"]["text"], analysis["studies"]["path"])
    except InputErrors as error:
        raise InputErrors([f"{path}: {problem}" for problem in error.problems]) from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    directory = Path(directory)
    base = Path(inputs if inputs is not None else execution["directory"])
    problems = []
    for entry in analysis["inputs"]:
        file = Path(base, entry["path"])
        if not file.is_file():
            problems.append(f"{file}: no such file; give the folder that '{entry['path']}' is in by --inputs")
        elif file.stat().st_size != entry["bytes"]:
            problems.append(
                f"{file}: {file.stat().st_size:,} bytes, expected {entry['bytes']:,}, as the recorded run had; its results cannot be repeated with it"
            )
        elif (found := sha256(file)) != entry["sha256"]:
            problems.append(
                f"{file}: its SHA-256 checksum is {found}, expected {entry['sha256']}, as the recorded run had; its results cannot be repeated with it"
            )
    if problems:
        raise InputErrors(problems)
    # the ending has a say in what parts the columns
    sheet = "studies.csv" if analysis["studies"]["path"].lower().endswith(".csv") else "studies.tsv"
    for name in ("config.yaml", sheet):
        if (directory / name).exists():
            raise InputError(f"{directory / name}: is there already; give a new folder by --directory")
    yield f"{len(analysis['inputs'])} input files are what they were."

    def place(path: str) -> str:
        return os.path.abspath(base / path)

    config = _with_paths(recorded, place)
    config["studies"] = sheet
    # the new run's results must not go where the recorded ones are
    config.pop("pathvars", None)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(
        yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    (directory / sheet).write_text(_sheet_with_paths(analysis["studies"]["text"], sheet, place), encoding="utf-8")
    software, here = analysis["software"], source_state(Path(__file__).parents[2])
    if software["deepnull-gwas"]["library_sha256"] != here["library_sha256"]:
        commit = software["deepnull-gwas"].get("commit")
        yield (
            f"This is another version of deepnull-gwas: {here['version']}, recorded {plain(software['deepnull-gwas']['version'])}"
            + (f" (commit {plain(commit)})" if commit else "")
            + "; results may differ."
        )
    now = packages()
    other = [
        f"{plain(n)} {now.get(n, 'absent')} (recorded {plain(v)})"
        for n, v in software["packages"].items()
        if now.get(n) != v
    ]
    if other:
        yield f"{len(other)} packages differ, results may differ in their last digits: {', '.join(other[:8])}{', ...' if len(other) > 8 else ''}"
    where = shlex.quote(str(directory))
    yield f"Written: {directory / 'config.yaml'}, {directory / sheet}. To run, in the folder of the workflow:"
    yield f"  snakemake --cores all --directory {where} --configfile {where}/config.yaml"
    yield "Then, to compare what it publishes with what was recorded:"
    yield f"  deepnull-gwas repeat {shlex.quote(str(path))} --directory {where} --compare"


def compare_run(path: str | Path, directory: str | Path) -> str:
    """Compare what a repeated run published with the checksums of the recorded one.

    Parameters
    ----------
    path
        provenance.json of the recorded run.
    directory
        Folder in which it was repeated.

    Returns
    -------
    A line for the user.

    Raises
    ------
    InputErrors
        Naming each file that is missing or differs.
    """
    record = read_record(path)
    results = Path(directory, "results")
    problems = []
    for entry in record["analysis"]["published"]:
        file = results / entry["path"]
        if not file.is_file():
            problems.append(f"{file}: no such file; run the workflow in {directory} first")
        elif (found := sha256(file)) != entry["sha256"]:
            problems.append(f"{file}: its SHA-256 checksum is {found}, expected {entry['sha256']}, as recorded")
    if problems:
        raise InputErrors(problems)
    return f"All {len(record['analysis']['published'])} published files are the same, byte by byte."
