"""A recorded run set up again in a new folder, and its results compared with the recorded ones."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deepnull_gwas.cohort.layout import cells, read_layout
from deepnull_gwas.config import RELATIVES, check_recorded
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.project import project_folder
from deepnull_gwas.provenance.checksums import sha256
from deepnull_gwas.provenance.record import FORMAT
from deepnull_gwas.provenance.software import packages, source_state
from deepnull_gwas.text import plain, shorten


def read_record(path: str | Path) -> dict[str, Any]:
    """Read a provenance file: data from elsewhere, so its form is checked and the file itself is never touched.

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
    """Return a copy of a configuration with the present path of each input file."""
    config = json.loads(json.dumps(config))

    def move(section: Any, key: str, words: tuple[str, ...] = ()) -> None:
        if isinstance(section, dict) and isinstance(section.get(key), str) and section[key] not in words:
            section[key] = place(section[key])

    for section in (config, *(config.get("cohorts") or {}).values()):
        structure = section.get("structure") if isinstance(section, dict) else None
        move(structure, "relatives", RELATIVES)
        move(structure, "loadings")
    for cohort in (config.get("cohorts") or {}).values():
        move(cohort, "genotypes")
        move(cohort, "samples")
    move(config.get("deepnull"), "fold_file")
    return config


def _sheet_with_paths(text: str, path: str, place: Callable[[str], str]) -> str:
    """Return a studies sheet with the present paths of the files of weights that it names; without any, as it is."""
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
    """Write configuration and studies of a recorded run into a new folder, and check that its inputs are unchanged.

    Parameters
    ----------
    path
        provenance.json.
    directory
        New folder; made if it is not there. A configuration that is there is not overwritten.
    inputs
        Folder to which relative paths of inputs refer; None, the folder in which the recorded run ran.

    Yields
    ------
    Lines for the user: what was checked, what differs that may matter, and the command that runs it.

    Raises
    ------
    InputErrors
        Naming each key of the configuration and each column of the sheet that the schemas do not know (Snakemake would
        run code under some), or each input that is missing or has other contents. Nothing is written then.
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
    if problems := list(_changed_inputs(analysis["inputs"], base)):
        raise InputErrors(problems)
    # the extension tells what separates the columns
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
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (directory / "config.yaml").write_text(text, encoding="utf-8")
    (directory / sheet).write_text(_sheet_with_paths(analysis["studies"]["text"], sheet, place), encoding="utf-8")
    yield from _other_software(analysis["software"])
    where = shlex.quote(str(directory))
    yield f"Written: {directory / 'config.yaml'}, {directory / sheet}. To run, in the folder of the workflow:"
    yield f"  snakemake --cores all --directory {where} --configfile {where}/config.yaml"
    yield "Then, to compare what it publishes with what was recorded:"
    yield f"  deepnull-gwas repeat {shlex.quote(str(path))} --directory {where} --compare"


def _changed_inputs(inputs: Sequence[Mapping[str, Any]], base: Path) -> Iterator[str]:
    """Yield the input files that are missing or not what they were."""
    end = "as the recorded run had; its results cannot be repeated with it"
    for entry in inputs:
        file = Path(base, entry["path"])
        if not file.is_file():
            yield f"{file}: no such file; give the folder that '{entry['path']}' is in by --inputs"
        elif file.stat().st_size != entry["bytes"]:
            yield f"{file}: {file.stat().st_size:,} bytes, expected {entry['bytes']:,}, {end}"
        elif (found := sha256(file)) != entry["sha256"]:
            yield f"{file}: its SHA-256 checksum is {found}, expected {entry['sha256']}, {end}"


def _other_software(recorded: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of the software here differs from what was recorded."""
    then, here = recorded["deepnull-gwas"], source_state(project_folder())
    if then["library_sha256"] != here["library_sha256"]:
        commit = then.get("commit")
        yield (
            f"This is another version of deepnull-gwas: {here['version']}, recorded {plain(then['version'])}"
            + (f" (commit {plain(commit)})" if commit else "")
            + "; results may differ."
        )
    now = packages()
    other = [
        f"{plain(n)} {now.get(n, 'absent')} (recorded {plain(v)})"
        for n, v in recorded["packages"].items()
        if now.get(n) != v
    ]
    if other:
        shown = f"{', '.join(other[:8])}{', ...' if len(other) > 8 else ''}"
        yield f"{len(other)} packages differ, results may differ in their last digits: {shown}"


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
