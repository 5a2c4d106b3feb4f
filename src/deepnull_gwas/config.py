"""The configuration: validated as a whole before any job, defaults filled from the schemas, as plain dataclasses.

Read each time that Snakemake parses the workflow (on a cluster: in every job), so it imports light things only.
"""

from __future__ import annotations

import copy
import csv
import datetime
import functools
import glob
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from deepnull_gwas.cohort import include, layout
from deepnull_gwas.errors import InputError, InputErrors, nearest, some
from deepnull_gwas.text import is_number, shorten, split_names, unquoted

SCHEMAS = Path(__file__).resolve().parents[2] / "workflow" / "schemas"
#: Folders that the workflow itself makes in results/{cohort}.
RESERVED_STUDIES = ("qc", "structure", "associations", "simulated")
#: Values and levels that a configuration may have: anchors that repeat one another can stand for more than any memory holds.
MOST_VALUES, MOST_LEVELS = 200_000, 40
#: What Snakemake does not take for a part of a path.
_NO_PATH = re.compile(r"\{[^{}]*\}|<[^<>]*>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
#: Plain scalars that YAML 1.1 reads as what nobody means: octal numbers, and sums of sixties.
_OCTAL = re.compile(r"[-+]?0[0-7_]*[0-7]")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_PLACEHOLDER = "{chromosome}"
_CHROMOSOME_ORDER = {c: i for i, c in enumerate([*map(str, range(1, 23)), "X", "Y", "XY", "MT"])}


@dataclass(frozen=True)
class Cohort:
    """One set of people: read from ``filesets`` and ``samples``, or simulated.

    Attributes
    ----------
    filesets
        PLINK prefixes in numeric order of the chromosomes; empty for a simulated cohort.
    samples
        Path of the sample table; None for a simulated cohort.
    missing_values
        What stands for a missing value in the sample table.
    minimum_overlap
        Share of the people of the smaller side who have to be in both the genotypes and the sample table.
    qc, structure
        The global settings with the cohort's own put over them.
    chunks
        Number of chunks of the variants.
    simulate
        Settings of the simulation, defaults filled, or None.
    """

    name: str
    genome_build: str
    chunks: int
    qc: dict[str, Any]
    structure: dict[str, Any]
    filesets: tuple[str, ...] = ()
    samples: str | None = None
    sample_id: str = "IID"
    family_id: str | None = None
    sex: str | None = None
    missing_values: tuple[str, ...] = ()
    minimum_overlap: float = 0.8
    simulate: dict[str, Any] | None = None

    def settings(self) -> dict[str, Any]:
        """Give what ingestion depends on, as JSON can hold it."""
        return {
            "cohort": self.name,
            "genome_build": self.genome_build,
            "sample_id": self.sample_id,
            "family_id": self.family_id,
            "sex": self.sex,
            "missing_values": list(self.missing_values),
            "minimum_overlap": self.minimum_overlap,
        }


@dataclass(frozen=True)
class Study:
    """One row of the studies sheet, with defaults filled.

    Attributes
    ----------
    deepnull_only
        Covariates that feed the prediction and are not in the association: what ``deepnull_covariates``, or ``deepnull.covariates`` of the config,
        name beyond ``covariates``; none without the arm deepnull.
    """

    name: str
    cohort: str
    phenotype: str
    trait: str
    covariates: tuple[str, ...] = ()
    categorical_covariates: tuple[str, ...] = ()
    transform: str = "none"
    case_value: str | None = None
    control_value: str | None = None
    batch: str = "main"
    include: str | None = None
    pcs: int = 0
    arms: tuple[str, ...] = ("baseline", "deepnull")
    model: str | None = None
    deepnull_covariates: tuple[str, ...] | None = None
    score_file: str | None = None
    deepnull_only: tuple[str, ...] = ()

    def deepnull_settings(self) -> dict[str, Any]:
        """Give what the study's prediction has of its own, to put over the config's ``deepnull`` section."""
        own: dict[str, Any] = {}
        if self.model is not None:
            own["model"] = self.model
        if self.deepnull_covariates is not None:
            own["covariates"] = list(self.deepnull_covariates)
        return own

    def settings(self) -> dict[str, Any]:
        """Give what the study's own steps depend on, as JSON can hold it (not its batch, nor its arms)."""
        return {
            "study": self.name,
            "cohort": self.cohort,
            "phenotype": self.phenotype,
            "trait": self.trait,
            "covariates": list(self.covariates),
            "categorical_covariates": list(self.categorical_covariates),
            "transform": self.transform,
            "case_value": self.case_value,
            "control_value": self.control_value,
            "include": self.include,
            "pcs": self.pcs,
            "deepnull_only": list(self.deepnull_only),
        }


@dataclass(frozen=True)
class Config:
    """The whole configuration.

    Attributes
    ----------
    cohorts
        The cohorts that some study uses, by name.
    studies
        All studies, in the order of the sheet.
    deepnull, association, scores, report, verify
        Settings by key, defaults filled.
    metadata_date
        Day (ISO) that the metadata of the published files name; None, that of the workflow's release.
    """

    seed: int
    cohorts: dict[str, Cohort]
    studies: list[Study]
    deepnull: dict[str, Any]
    association: dict[str, Any]
    report: dict[str, Any]
    scores: dict[str, Any]
    qc: dict[str, Any] = field(default_factory=dict)
    structure: dict[str, Any] = field(default_factory=dict)
    verify: dict[str, Any] = field(default_factory=dict)
    metadata_date: str | None = None

    def studies_of(self, cohort: str) -> list[Study]:
        """List a cohort's studies in the order of the sheet."""
        return [s for s in self.studies if s.cohort == cohort]

    def batches(self, cohort: str) -> dict[str, list[Study]]:
        """Give a cohort's studies by batch, both in the order of the sheet."""
        batches: dict[str, list[Study]] = {}
        for study in self.studies_of(cohort):
            batches.setdefault(study.batch, []).append(study)
        return batches

    def study(self, cohort: str, name: str) -> Study:
        """Give one study.

        Raises
        ------
        InputError
            When the sheet has no such study in that cohort.
        """
        if (cohort, name) not in self._by_name:
            names = [s.name for s in self.studies_of(cohort)]
            raise InputError(
                f"the studies sheet has no study '{name}' in cohort '{cohort}', it has: {some(names, 10)}{nearest(name, names)}"
            )
        return self._by_name[cohort, name]

    @functools.cached_property
    def _by_name(self) -> dict[tuple[str, str], Study]:
        return {(s.cohort, s.name): s for s in self.studies}


def load_config(
    config: Mapping[str, Any],
    base: str | Path = ".",
    schemas: str | Path = SCHEMAS,
    files: Iterable[str | Path] = (),
) -> Config:
    """Validate a configuration with its studies sheet and the files it names, and fill in the defaults.

    Parameters
    ----------
    config
        As read from YAML; it is not changed.
    base
        Folder to which its relative paths refer (the working directory of the run). The paths stay as they were written.
    schemas
        Folder of ``config.schema.yaml`` and ``studies.schema.yaml``.
    files
        The YAML or JSON files that the configuration was read from, for what can no longer be seen in ``config``
        (:func:`check_config_text`). Files that are not there, or hold the configuration of another workflow, are passed over.

    Raises
    ------
    InputErrors
        With everything that is wrong, each problem naming its key or its row and column, what was found, and what is allowed.
    """
    base = Path(base)
    schema = _read_schema(Path(schemas) / "config.schema.yaml")
    row_schema = _read_schema(Path(schemas) / "studies.schema.yaml")
    plain = _plain(config)
    problems = [p for file in files if Path(file).is_file() for p in check_config_text(file)]
    problems += _check_values(plain)
    if problems:
        raise InputErrors(list(dict.fromkeys(problems)))
    given = _coerce(plain, schema, schema)
    problems = list(_check(given, schema, _place_in_config))
    cohorts = _dict(given.get("cohorts"))
    rows: list[tuple[int, dict[str, Any]]] = []
    if isinstance(given.get("studies"), str) and given["studies"]:
        rows, sheet_problems = _read_sheet(given["studies"], base, row_schema)
        problems += sheet_problems
    filled = _fill(given, schema, schema)
    used = {row.get("cohort") for _, row in rows}
    built: dict[str, Cohort] = {}
    for name, raw in cohorts.items():
        if isinstance(raw, dict):
            cohort, cohort_problems = _build_cohort(str(name), raw, filled, schema, base, look=name in used)
            problems += cohort_problems
            built[str(name)] = cohort
    of_all = _list(_dict(filled.get("deepnull")).get("covariates"))
    problems += _check_rows(rows, str(given.get("studies")), list(cohorts), built, of_all)
    problems += _check_scores(rows, str(given.get("studies")), _dict(filled.get("scores")).get("method"), base)
    problems += _check_date(filled.get("metadata_date"))
    problems += _check_paths({n: c for n, c in built.items() if n in used}, filled)
    problems += _check_files({n: c for n, c in built.items() if n in used}, filled, base)
    if problems:
        raise InputErrors(list(dict.fromkeys(problems)))
    studies = [_build_study(row, built[row["cohort"]], row_schema, of_all) for _, row in rows]
    return Config(
        seed=filled["seed"],
        cohorts={name: _paths_from(cohort, base) for name, cohort in built.items() if name in used},
        studies=[replace(study, score_file=path_from(study.score_file, base)) for study in studies],
        deepnull=filled["deepnull"] | {"fold_file": path_from(filled["deepnull"]["fold_file"], base)},
        association=filled["association"],
        report=filled["report"],
        scores=filled["scores"],
        qc=_with_preset(filled["qc"], schema),
        structure=filled["structure"],
        verify=filled["verify"],
        metadata_date=filled["metadata_date"],
    )


def path_from(path: str | None, base: str | Path) -> str | None:
    """Return a path relative to a folder where it lies inside, else as it is: a project that moves as a whole keeps the names of its files.

    Names of files are among what Snakemake compares to tell whether a job is up to date.
    """
    if not path or not Path(path).is_absolute():
        return path
    file = Path(path)
    # the folder may be reached, or named, through links; what is linked from inside it keeps its name there
    for inside, folder in ((file, Path(base).absolute()), (file.parent.resolve() / file.name, Path(base).resolve())):
        if inside.is_relative_to(folder):
            return str(inside.relative_to(folder))
    return path


def _paths_from(cohort: Cohort, base: Path) -> Cohort:
    """Return a cohort whose paths inside the folder are relative to it."""
    words = ("exclude", "keep")
    relatives = cohort.structure["relatives"]
    return replace(
        cohort,
        filesets=tuple(str(path_from(prefix, base)) for prefix in cohort.filesets),
        samples=path_from(cohort.samples, base),
        structure=cohort.structure
        | {
            "relatives": relatives if relatives in words else path_from(relatives, base),
            "loadings": path_from(cohort.structure["loadings"], base),
        },
    )


def read_config(path: str | Path, base: str | Path = ".", schemas: str | Path = SCHEMAS) -> Config:
    """Read a configuration from its file; see :func:`load_config`.

    Parameters
    ----------
    path
        YAML, or JSON; where it is relative and not found, it is looked for in ``base`` too. One with ``cohorts`` stands for itself; one without is put
        over ``config/config.yaml`` in ``base`` key by key, as the Snakefile does.
    base, schemas
        As :func:`load_config`.

    Raises
    ------
    InputError
        When the file is not there or is no YAML mapping, or as :func:`load_config`.
    """
    place = Path(path) if Path(path).is_file() else Path(base, path)
    try:
        given = yaml.safe_load(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the run's configuration (see config/README.md)") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(given, dict):
        raise InputError(f"{path}: found {_show(given)}, expected a mapping of keys to values (see config/config.yaml)")
    files = [place]
    # as the Snakefile does: a config with cohorts stands for itself, a few settings are put over the project's config
    if "cohorts" not in given and (project := Path(base, "config/config.yaml")).is_file():
        under = yaml.safe_load(project.read_text(encoding="utf-8"))
        if isinstance(under, dict) and project.resolve() != place.resolve():
            given, files = _over(under, given), [project, place]
    return load_config(given, base, schemas, files)


def _over(under: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Put a configuration over another, key by key at every level, as Snakemake does."""
    both = dict(under)
    for key, value in given.items():
        below = both.get(key)
        both[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def check_recorded(text: str, sheet: str, sheet_path: str, schemas: str | Path = SCHEMAS) -> dict[str, Any]:
    """Read a configuration and a studies sheet that came in somebody else's file, looking at nothing but their texts.

    Snakemake evaluates Python in a configuration with the key ``__use_yte__``, so that nothing may be copied that is not in the schema.

    Parameters
    ----------
    text, sheet
        The configuration as YAML, and the sheet.
    sheet_path
        Path of the sheet where it was recorded; its ending says what parts the columns.
    schemas
        As :func:`load_config`.

    Returns
    -------
    The configuration, as plain dicts and lists.

    Raises
    ------
    InputErrors
        Naming every key, value and column that the schemas do not know.
    """
    schema = _read_schema(Path(schemas) / "config.schema.yaml")
    try:
        given = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"the recorded configuration is not readable as YAML: {shorten(error, 300)}") from None
    plain = _plain(given)
    problems = [*_check(_coerce(plain, schema, schema), schema, _place_in_config), *_check_values(plain)]
    _, wrong = _parse_sheet(
        sheet.encode("utf-8", errors="replace"), sheet_path, _read_schema(Path(schemas) / "studies.schema.yaml")
    )
    if problems := [*problems, *wrong]:
        raise InputErrors(list(dict.fromkeys(problems)))
    return plain


def input_files(config: Config) -> list[str]:
    """List the files that a configuration reads, as it names them: genotypes, sample tables, tables of relatives, loadings, folds, weights of scores."""
    files: list[str] = []
    for cohort in config.cohorts.values():
        files += [f"{prefix}.{kind}" for prefix in cohort.filesets for kind in ("bed", "bim", "fam")]
        files += [cohort.samples] if cohort.samples else []
        if cohort.structure["relatives"] not in ("exclude", "keep"):
            files.append(cohort.structure["relatives"])
        files += [cohort.structure["loadings"]] if cohort.structure["loadings"] else []
    files += [config.deepnull["fold_file"]] if config.deepnull["fold_file"] else []
    files += [s.score_file for s in config.studies if s.score_file]
    return list(dict.fromkeys(files))


def published_files(config: Config) -> list[str]:
    """List what a run publishes, relative to the folder of results."""
    return [
        f"{s.cohort}/{s.name}/{arm}/{name}"
        for s in config.studies
        for arm in s.arms
        for name in ("sumstats.tsv.gz", "other_alleles.tsv.gz", "untested.tsv.gz", "leads.tsv")
    ]


def folders_of(config: Config) -> dict[str, dict[str, list[str]]]:
    """Give the studies and the batches of each cohort: whose results belong to a run."""
    return {
        name: {"studies": [s.name for s in config.studies_of(name)], "batches": list(config.batches(name))}
        for name in config.cohorts
    }


def subject_of(config: Config) -> dict[str, Any]:
    """Give what a record of a run needs to know of its configuration, as JSON can hold it: seed, inputs, published files, folders."""
    return {
        "seed": config.seed,
        "inputs": input_files(config),
        "published": published_files(config),
        "folders": folders_of(config),
    }


# --- schemas -----------------------------------------------------------------


def _read_schema(path: Path) -> dict[str, Any]:
    # the C loader is ten times faster where libyaml is there
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _with_preset(
    qc: Mapping[str, Any], schema: dict[str, Any], over: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give the settings of quality control: those given, and for the others what the preset says.

    Parameters
    ----------
    qc
        Of the whole config.
    over
        A cohort's own, put over them. Where it has a preset of its own, what the whole config departs from another by does not hold.
    """
    own = dict(over or {})
    preset = own.get("preset", qc.get("preset"))
    given = {} if "preset" in own else dict(qc)
    return {**schema["$defs"]["qc"]["presets"].get(str(preset), {}), **given, **own, "preset": preset}


def _plain(value: Any) -> Any:
    """Copy into plain dicts and lists (Snakemake hands over dicts of its own kinds).

    Raises
    ------
    InputError
        When the copy would have more values than any configuration: anchors of YAML may stand for one another many times, or for themselves.
    """
    count = 0

    def copied(value: Any, level: int) -> Any:
        nonlocal count
        count += 1
        if count > MOST_VALUES or level > MOST_LEVELS:
            raise InputError(
                f"config: more than {MOST_VALUES:,} values, or more than {MOST_LEVELS} levels of them; does an anchor (&) refer to itself, or "
                "to others many times?"
            )
        if isinstance(value, Mapping):
            return {k: copied(v, level + 1) for k, v in value.items()}
        if isinstance(value, datetime.date):
            # what YAML makes of 2026-11-23
            return value.isoformat()
        return [copied(v, level + 1) for v in value] if isinstance(value, list | tuple) else value

    return copied(value, 0)


def _check_date(value: Any) -> Iterator[str]:
    """Yield a message where the date of the metadata is none."""
    if isinstance(value, str):
        try:
            if datetime.date.fromisoformat(value).isoformat() == value:
                return
        except ValueError:
            pass
        yield f"config: metadata_date: found {_show(value)}, expected a day as year-month-day, such as 2026-11-23"


def _check_values(value: Any, keys: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what no schema sees: keys that are no text, numbers that are not finite, and line breaks in names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield f"{_place_in_config([*keys, str(key)])}: the name is {_show(key)} to YAML, expected text; put it in quotes"
            elif _CONTROL.search(key):
                yield f"{_place_in_config(list(keys))}: the name {_show(key)} has a line break or another control character; remove it"
            yield from _check_values(inner, (*keys, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _check_values(inner, (*keys, str(number)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{_place_in_config(list(keys))}: found {value}, expected a finite number"
    elif isinstance(value, str) and _CONTROL.search(value):
        yield f"{_place_in_config(list(keys))}: found {_show(value)}, expected text without line breaks or other control characters"


def check_config_text(path: str | Path) -> Iterator[str]:
    """Yield what cannot be seen in a configuration once it is read: keys given twice, of which the last would win, texts that YAML
    takes for octal numbers (``010`` is 8) or sums of sixties (``1:30`` is 90), and the key that makes Snakemake run code.

    Parameters
    ----------
    path
        A file of YAML or JSON. One without ``cohorts`` at its top is another workflow's.
    """
    stack: list[dict[str, Any]] = []
    problems: list[str] = []
    top: set[str] = set()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = list(yaml.parse(Path(path).read_text(encoding="utf-8"), Loader=loader))
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return  # Snakemake has read it, or said what is wrong with it
    for event in events:
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        line = event.start_mark.line + 1
        here = stack[-1] if stack else None
        is_key = here is not None and here["mapping"] and not here["value"]
        if here is not None and here["mapping"]:
            here["value"] = is_key
        if isinstance(event, yaml.ScalarEvent):
            if is_key and here is not None:
                if event.value in here["keys"] and event.value != "<<":
                    first = here["keys"][event.value]
                    problems.append(
                        f"{path}: line {line}: the key '{shorten(event.value)}' is there already (line {first}); the last would win: keep one"
                    )
                here["keys"].setdefault(event.value, line)
                if event.value == "__use_yte__":
                    problems.append(
                        f"{path}: line {line}: the key __use_yte__ makes Snakemake run Python code that is in this file (it has done so before this "
                        "workflow could see it); a configuration holds values only: remove it"
                    )
                if len(stack) == 1:
                    top.add(event.value)
            if event.implicit[0] and event.style not in ("'", '"', "|", ">"):
                for kind, means in ((_OCTAL, "an octal number"), (_SIXTIES, "a sum of sixties")):
                    if kind.fullmatch(event.value) and event.value != "0":
                        problems.append(
                            f"{path}: line {line}: YAML takes {shorten(event.value)} for {means}; put it in quotes if it is text, or write the number "
                            "without leading zeros"
                        )
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            stack.append({"mapping": isinstance(event, yaml.MappingStartEvent), "keys": {}, "value": False})
    if "cohorts" in top:
        yield from problems


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow a ``$ref`` into ``$defs``; keys beside it go before."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return {**_resolve(target, root), **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def _children(value: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    other = schema.get("additionalProperties")
    for key in value:
        if key in schema.get("properties", {}):
            yield key, schema["properties"][key]
        elif isinstance(other, dict):
            yield key, other


def _coerce(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Turn texts into numbers where numbers are meant: YAML 1.1 reads ``1e-15`` as text, and the word ``off`` as false."""
    schema = _resolve(schema, root)
    if isinstance(value, dict):
        for key, child in _children(value, schema):
            value[key] = _coerce(value[key], child, root)
    elif schema.get("type") == "number" and isinstance(value, str) and is_number(value) and math.isfinite(float(value)):
        return float(value)
    elif "integer" in (schema.get("type") or ()) and isinstance(value, float) and value.is_integer():
        # 1.0 is a whole number to the schema, but to no loop
        return int(value)
    elif value is False and "off" in schema.get("enum", ()):
        return "off"
    return value


def _fill(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Copy a value with the defaults of its schema put where a key is absent (jsonschema itself fills nothing)."""
    schema = _resolve(schema, root)
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for key, child in schema.get("properties", {}).items():
        child = _resolve(child, root)
        if key not in filled and "default" in child:
            filled[key] = copy.deepcopy(child["default"])
    for key, child in _children(filled, schema):
        filled[key] = _fill(filled[key], child, root)
    return filled


def _check(value: Any, schema: dict[str, Any], place: Callable[[list[str]], str]) -> Iterator[str]:
    """Yield a message for each thing that does not fit the schema; ``place`` names the place of a list of keys."""
    from jsonschema import Draft202012Validator

    for error in sorted(
        Draft202012Validator(schema).iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path]
    ):
        yield from _explain(error, [str(p) for p in error.absolute_path], place)


def _place_in_config(keys: list[str]) -> str:
    return ": ".join(["config", *([".".join(shorten(k) for k in keys)] if keys else [])])


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys to values",
    "null": "nothing",
}


def _explain(error: Any, keys: list[str], place: Callable[[list[str]], str]) -> Iterator[str]:
    found, limit, path = error.instance, error.validator_value, place(keys)
    match error.validator:
        case "additionalProperties":
            allowed = list(error.schema.get("properties", {}))
            for key in found:
                if key not in allowed:
                    yield f"{place([*keys, str(key)])}: unknown key; allowed: {', '.join(allowed)}{nearest(key, allowed)}"
        case "required":
            for key in limit:
                if key not in found and error.message.startswith(repr(key)):
                    about = error.schema.get("properties", {}).get(key, {}).get("description", "")
                    yield f"{place([*keys, key])}: missing, and it is needed" + (f" ({about.strip()})" if about else "")
        case "enum":
            allowed = list(dict.fromkeys(str(v) for v in limit))
            yield f"{path}: found {_show(found)}, allowed: {', '.join(allowed)}{nearest(str(found), allowed)}"
        case "type":
            kinds = " or ".join(_KINDS[k] for k in ([limit] if isinstance(limit, str) else limit))
            yield f"{path}: found {_show(found)}, expected {kinds}"
        case "pattern":
            yield f"{path}: found {_show(found)}; a name has letters, digits, '_' and '-' only and starts with a letter or digit"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            word = {
                "minimum": "at least",
                "exclusiveMinimum": "more than",
                "maximum": "at most",
                "exclusiveMaximum": "less than",
            }[error.validator]
            yield f"{path}: found {_show(found)}, expected {word} {limit}"
        case "maxLength":
            yield f"{path}: found {_show(found)} of {len(found)} characters, expected at most {limit}"
        case "minItems" | "minLength" | "minProperties":
            yield f"{path}: is empty, expected at least {limit} {'entry' if limit == 1 else 'entries'}"
        case _:
            yield f"{path}: {shorten(error.message, 300)}"


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- cohorts -----------------------------------------------------------------


def _build_cohort(
    name: str, raw: dict[str, Any], filled: dict[str, Any], schema: dict[str, Any], base: Path, look: bool
) -> tuple[Cohort, list[str]]:
    """Build a cohort; ``look`` says whether its files are looked for (those of a cohort without studies need not be there)."""
    where = f"config: cohorts.{name}"
    problems: list[str] = []
    settings = {k: v for k, v in raw.items() if k not in ("qc", "structure")}
    settings = _fill(settings, schema["$defs"]["cohort"], schema)
    merged = {
        "qc": _with_preset(_dict(filled.get("qc")), schema, _dict(raw.get("qc"))),
        "structure": {**_dict(filled.get("structure")), **_dict(raw.get("structure"))},
    }
    simulate, genotypes, samples = raw.get("simulate"), raw.get("genotypes"), raw.get("samples")
    filesets: list[str] = []
    if simulate is not None and genotypes is not None:
        problems.append(
            f"{where}: has both 'genotypes' and 'simulate'; give one of them (several config files are put over one another key by key: "
            "does a cohort of another file have this name?)"
        )
    elif simulate is None and genotypes is None:
        problems.append(
            f"{where}: has neither 'genotypes' nor 'simulate'; give the path of a PLINK fileset, or settings of a simulation"
        )
    elif simulate is not None:
        if samples is not None:
            problems.append(f"{where}.samples: a simulated cohort makes its own sample table; remove this key")
        if isinstance(simulate, dict):
            chromosomes = settings["simulate"].get("chromosomes")
            if isinstance(chromosomes, list):
                settings["simulate"]["chromosomes"] = [str(c) for c in chromosomes]
            problems += _check_simulation(settings["simulate"], f"{where}.simulate")
    else:
        if samples is None:
            problems.append(f"{where}.samples: missing, and it is needed (the path of the sample table)")
        elif look and isinstance(samples, str) and not _is_file(base / samples):
            problems.append(f"{where}.samples: no such file: {shorten(samples, 300)}{_nearest_file(base / samples)}")
        if look and isinstance(genotypes, str) and genotypes:
            filesets, found_problems = _find_filesets(genotypes, base, f"{where}.genotypes")
            problems += found_problems
    cohort = Cohort(
        name=name,
        genome_build=settings.get("genome_build", ""),
        chunks=settings.get("chunks", _dict(filled.get("association")).get("chunks")),
        qc=merged["qc"],
        structure=merged["structure"],
        filesets=tuple(filesets),
        samples=samples,
        sample_id=settings["sample_id"],
        family_id=settings["family_id"],
        sex=settings["sex"],
        missing_values=tuple(str(v) for v in settings["missing_values"])
        if isinstance(settings["missing_values"], list)
        else (),
        minimum_overlap=settings["minimum_overlap"],
        simulate=settings.get("simulate"),
    )
    return cohort, problems


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _check_simulation(simulate: dict[str, Any], where: str) -> Iterator[str]:
    people, related = simulate.get("people"), [simulate.get("sibling_pairs"), simulate.get("parent_child_pairs")]
    if all(isinstance(v, int) for v in [people, *related]) and 2 * sum(related) > people:
        yield f"{where}: {sum(related)} pairs of relatives need {2 * sum(related)} people, but people is {people}"
    for name, phenotype in _dict(simulate.get("phenotypes")).items():
        if name in ("FID", "IID", "sex", "age", "bmi", "smoking", "site"):
            yield f"{where}.phenotypes.{name}: this name is a column of every simulated sample table; choose another"
        if not isinstance(phenotype, dict):
            continue
        shares = [phenotype.get("heritability"), phenotype.get("covariate_variance")]
        if phenotype.get("covariate_effects") == "none":
            shares[1] = 0
        if all(isinstance(v, int | float) for v in shares) and sum(shares) > 1:
            yield (
                f"{where}.phenotypes.{name}: heritability {shares[0]} and covariate_variance {shares[1]} are shares of one variance; "
                "their sum may not exceed 1"
            )


def _is_file(path: Path) -> bool:
    # a name that is too long for the file system is an error to pathlib
    try:
        return path.is_file()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _nearest_file(path: Path, of_suffix: bool = False) -> str:
    folder = path.parent
    if not _is_folder(folder):
        return f"; the folder {shorten(folder, 300)} does not exist"
    return nearest(path.name, [p.name for p in folder.iterdir() if not of_suffix or p.suffix == path.suffix])


def _find_filesets(genotypes: str, base: Path, where: str) -> tuple[list[str], list[str]]:
    """Find the PLINK prefixes that a prefix or a pattern means, in numeric order of the chromosomes."""
    if unknown := [p for p in re.findall(r"\{[^{}]*\}", genotypes) if p != _PLACEHOLDER]:
        return [], [f"{where}: unknown placeholder {unknown[0]} in '{genotypes}', allowed: {_PLACEHOLDER}"]
    if _PLACEHOLDER not in genotypes:
        prefix = genotypes.removesuffix(".bed")
        return [prefix], list(_missing_files(prefix, base, where))
    pattern = genotypes.removesuffix(".bed")
    first, *rest = [re.escape(part) for part in pattern.split(_PLACEHOLDER)]
    matcher = re.compile(first + "([^/]+)" + r"\1".join(rest)) if rest else re.compile(first)
    # names first seen in .bim or .fam only are named as incomplete below
    prefixes = set()
    anything = [pattern.replace(_PLACEHOLDER, "*")]
    literal = "*".join(glob.escape(part) for part in pattern.split(_PLACEHOLDER))
    for extension in (".bed", ".bim", ".fam"):
        root = "" if Path(pattern).is_absolute() else base
        found = glob.glob(f"{literal}{extension}", root_dir=root or None)
        prefixes |= {f.removesuffix(extension) for f in found}
    by_chromosome: dict[str, list[str]] = {}
    others = []
    for prefix in sorted(prefixes):
        match = matcher.fullmatch(prefix)
        name = _chromosome(match.group(1)) if match else None
        if name is None:
            others.append(prefix)
        else:
            by_chromosome.setdefault(name, []).append(prefix)
    if not by_chromosome:
        folder = (base / pattern.split(_PLACEHOLDER)[0]).parent
        seen = f"; found {some(others)}, whose {_PLACEHOLDER} is no chromosome" if others else ""
        seen = f"; the folder {shorten(folder, 300)} does not exist" if not _is_folder(folder) and not others else seen
        return [], [
            f"{where}: the pattern '{shorten(genotypes, 300)}' matches no chromosome (looked for {shorten(anything[0], 300)}.bed with 1-22, X, Y, XY, MT or 23-26 "
            f"in the place of the star){seen}"
        ]
    problems = [
        f"{where}: chromosome {name} is matched more than once: {', '.join(found)}"
        for name, found in by_chromosome.items()
        if len(found) > 1
    ]
    ordered = [by_chromosome[name][0] for name in sorted(by_chromosome, key=_CHROMOSOME_ORDER.__getitem__)]
    for prefix in ordered:
        problems += _missing_files(prefix, base, where)
    return ordered, problems


def _chromosome(code: str) -> str | None:
    # the same aliases as genotypes.chromosomes.normalise, which imports numpy; a test holds the two together
    text = code.upper().removeprefix("CHR")
    text = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "PAR1": "XY", "PAR2": "XY", "M": "MT"}.get(text, text)
    if re.fullmatch(r"0[1-9]", text):
        text = text[1]
    return text if text in _CHROMOSOME_ORDER else None


def _missing_files(prefix: str, base: Path, where: str) -> Iterator[str]:
    for extension in (".bed", ".bim", ".fam"):
        if not _is_file(base / f"{prefix}{extension}"):
            yield f"{where}: no such file: {shorten(prefix, 300)}{extension}{_nearest_file(base / (prefix + extension), of_suffix=True)}"


def _check_paths(cohorts: Mapping[str, Cohort], filled: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths that Snakemake would not take for paths."""
    places = [
        (f"config: cohorts.{name}.{key}", path)
        for name, cohort in cohorts.items()
        for key, path in (
            *(("genotypes", prefix) for prefix in cohort.filesets),
            ("samples", cohort.samples),
            ("structure.relatives", cohort.structure.get("relatives")),
            ("structure.loadings", cohort.structure.get("loadings")),
        )
    ]
    places.append(("config: deepnull.fold_file", _dict(filled.get("deepnull")).get("fold_file")))
    places += [(f"config: pathvars.{key}", path) for key, path in _dict(filled.get("pathvars")).items()]
    for where, path in places:
        yield from _no_path(where, path)


def _no_path(where: str, path: Any) -> Iterator[str]:
    if isinstance(path, str) and (found := _NO_PATH.search(path)):
        yield (
            f"{where}: '{shorten(path, 300)}' holds {found.group()}, which Snakemake takes for a wildcard or a path variable; rename the file or "
            "folder, or make a link to it"
        )


def _check_files(cohorts: Mapping[str, Cohort], filled: Mapping[str, Any], base: Path) -> Iterator[str]:
    """Yield which of the tables that the config names are neither there nor made by the run."""
    results = str(_dict(filled.get("pathvars")).get("results", "results")).rstrip("/")
    places = [
        (f"config: cohorts.{name}.structure.{key}", cohort.structure.get(key), f"{results}/{name}/structure/{own}")
        for name, cohort in cohorts.items()
        for key, own in (("relatives", "relatives.tsv"), ("loadings", "loadings.parquet"))
    ]
    places.append(("config: deepnull.fold_file", _dict(filled.get("deepnull")).get("fold_file"), ""))
    for where, path, own in places:
        if not isinstance(path, str) or not path or (where.endswith("relatives") and path in ("exclude", "keep")):
            continue
        if str(Path(path)) == own:
            yield f"{where}: {path} is what this run makes for this very cohort; give a table from elsewhere, or leave the key out"
        elif not _is_file(base / path) and not any(str(Path(path)).startswith(f"{results}/{n}/") for n in cohorts):
            others = "" if _is_folder((base / path).parent) else f"; this config has the cohorts {some(cohorts)}"
            yield f"{where}: no such file: {shorten(path, 300)}{_nearest_file(base / path)}{others}"


# --- studies -----------------------------------------------------------------


def _read_sheet(path: str, base: Path, schema: dict[str, Any]) -> tuple[list[tuple[int, dict[str, Any]]], list[str]]:
    """Read the studies sheet into rows with their numbers (the header's is 1 unless comments go before)."""
    file = base / path
    if not _is_file(file):
        return [], [f"config: studies: no such file: {shorten(path, 300)}{_nearest_file(file)}"]
    return _parse_sheet(file.read_bytes(), path, schema)


def _parse_sheet(data: bytes, path: str, schema: dict[str, Any]) -> tuple[list[tuple[int, dict[str, Any]]], list[str]]:
    """Read the bytes of a sheet; see :func:`_read_sheet`."""
    try:
        found = layout.read_layout(path, f"one row a study, with {', '.join(schema['required'])}", False, data)
    except InputError as error:
        return [], [str(error)]
    if found.parted_by not in ("commas", "tabs"):
        return [], [
            f"{path}: its columns are separated by {found.parted_by}; save the sheet with tabs (.tsv) or commas (.csv) between them (lists within a cell "
            "are separated by commas)"
        ]
    header = list(found.header)
    while header and not header[-1]:
        header.pop()
    if problems := list(_check_header(header, path, schema)):
        return [], problems
    rows: list[tuple[int, dict[str, Any]]] = []
    for row, cells in _cells(found, path, problems):
        if not any(cells) or cells[0].startswith("#"):
            continue
        if len(cells) > len(header) and any(cells[len(header) :]):
            problems.append(f"{path}: row {row}: {len(cells)} cells, but the header has {len(header)}")
            continue
        values: dict[str, Any] = {}
        for name, cell in zip(header, cells, strict=False):
            if cell:
                values[name] = _read_cell(cell, schema["properties"][name])
        if "phenotype" in values:
            values["phenotype"] = unquoted(values["phenotype"])
        rows.append((row, values))
        problems += _check(values, schema, functools.partial(_place_in_sheet, path, row))
    if not rows and not problems:
        problems.append(f"{path}: has a header but no study")
    return rows, problems


def _check_header(header: list[str], path: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the names of a sheet's columns."""
    allowed = list(schema["properties"])
    for name in dict.fromkeys(header):
        if name not in allowed:
            hint = "; the file's columns must be separated by tabs or commas" if len(header) == 1 else ""
            yield f"{path}: unknown column '{shorten(name)}', allowed: {', '.join(allowed)}{nearest(name, allowed)}{hint}"
        if header.count(name) > 1:
            yield f"{path}: column '{name}' is there {header.count(name)} times"
    for name in schema["required"]:
        if name not in header:
            yield f"{path}: column '{name}' is missing ({schema['properties'][name]['description'].strip()})"


def _cells(sheet: layout.Layout, path: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a sheet with their lines; what ends or spoils them is added to the problems."""
    row = sheet.line
    try:
        for row, cells in layout.cells(sheet):
            if odd := [c for c in cells if _CONTROL.search(c)]:
                problems.append(
                    f'{path}: row {row}: a line break or another control character in {_show(odd[0])}; is a quote (") not closed?'
                )
                return
            yield row, cells
    except csv.Error as error:
        problems.append(f"{path}: row {row + 1}: cannot be read ({error}); check its quotes and its length")


def _place_in_sheet(path: str, row: int, keys: list[str]) -> str:
    return f"{path}: row {row}" + (f", column {keys[0]}" if keys else "")


def _read_cell(cell: str, schema: dict[str, Any]) -> Any:
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "array" in kinds:
        return split_names(cell)
    if "integer" in kinds and re.fullmatch(r"-?[0-9]{1,15}(\.0*)?", cell):
        return int(float(cell))
    return cell


def _check_rows(
    rows: list[tuple[int, dict[str, Any]]],
    path: str,
    names: Iterable[str],
    cohorts: Mapping[str, Cohort],
    predicting: list[str],
) -> Iterator[str]:
    """Yield what is wrong with rows beyond the schema; ``predicting``: ``deepnull.covariates`` of the config."""
    seen: dict[tuple[str, str], int] = {}
    names = [str(n) for n in names]
    for number, row in rows:
        where = f"{path}: row {number}"
        study, cohort = row.get("study"), row.get("cohort")
        if cohort is not None and cohort not in names:
            yield f"{where}, column cohort: unknown cohort '{shorten(cohort)}', the config has: {', '.join(names)}{nearest(cohort, names)}"
        if study in RESERVED_STUDIES:
            yield f"{where}, column study: '{study}' is a folder of the workflow's own; choose another name"
        if study is not None and (before := seen.setdefault((str(cohort), study), number)) != number:
            yield f"{where}, column study: study '{study}' of cohort '{cohort}' is there already (row {before}); names must be unique in a cohort"
        covariates = _list(row.get("covariates"))
        for name in dict.fromkeys(c for c in covariates if covariates.count(c) > 1):
            yield f"{where}, column covariates: '{shorten(name)}' is listed {covariates.count(name)} times"
        own = _list(row.get("deepnull_covariates"))
        known = list(dict.fromkeys([*covariates, *(own or predicting)]))
        for name in _list(row.get("categorical_covariates")):
            if name not in known:
                yield (
                    f"{where}, column categorical_covariates: '{shorten(name)}' is not among the covariates ({some(known, 20) or 'none'}); "
                    f"list it in both columns{nearest(name, known)}"
                )
        for name in dict.fromkeys(c for c in own if own.count(c) > 1):
            yield f"{where}, column deepnull_covariates: '{shorten(name)}' is listed {own.count(name)} times"
        if row.get("phenotype") in covariates:
            yield f"{where}, column covariates: '{shorten(row['phenotype'])}' is the phenotype itself"
        elif row.get("phenotype") in known and "deepnull" in _list(row.get("arms", ["deepnull"])):
            place = f"{where}, column deepnull_covariates" if own else f"{where}: config: deepnull.covariates"
            yield f"{place}: '{shorten(row['phenotype'])}' is the phenotype itself"
        binary = row.get("trait") == "binary"
        if binary and row.get("transform", "none") != "none":
            yield f"{where}, column transform: found '{row['transform']}', but a binary trait cannot be transformed; leave it empty"
        cases = [row.get("case_value"), row.get("control_value")]
        if any(v is not None for v in cases):
            if row.get("trait") == "quantitative":
                yield f"{where}, column case_value: a quantitative trait has no cases; leave case_value and control_value empty"
            elif None in cases:
                yield f"{where}, column case_value: give both case_value and control_value, or neither"
            elif cases[0] == cases[1]:
                yield f"{where}, column case_value: case_value and control_value are both '{cases[0]}'"
        if isinstance(row.get("include"), str):
            try:
                include.parse(row["include"])
            except InputError as error:
                yield f"{where}, column include: {error}"
        if (built := cohorts.get(str(cohort))) is not None and isinstance(built.structure.get("pcs"), int):
            computed = built.structure["pcs"]
            wanted = row.get("pcs", computed)
            if not isinstance(wanted, int):
                continue
            if wanted > computed:
                yield (
                    f"{where}, column pcs: found {wanted}, but only {computed} are computed in cohort '{cohort}'; "
                    f"set structure.pcs to at least {wanted}"
                )
            if wanted and (clash := [c for c in covariates if re.fullmatch(r"PC\d+", c) and int(c[2:]) <= wanted]):
                yield (
                    f"{where}, column covariates: '{clash[0]}' would be there twice, from the sample table and computed; "
                    "set pcs to 0 to use the table's own"
                )
            if "deepnull" in _list(row.get("arms", ["deepnull"])) and not known and not wanted:
                yield f"{where}, column covariates: the arm deepnull needs at least one covariate; give some, or set arms to baseline"


def _check_scores(rows: list[tuple[int, dict[str, Any]]], path: str, method: Any, base: Path) -> Iterator[str]:
    """Yield what is wrong with the files of weights."""
    for number, row in rows:
        if not isinstance(file := row.get("score_file"), str):
            continue
        where = f"{path}: row {number}, column score_file"
        yield from _no_path(where, file)
        if not _is_file(base / file):
            yield f"{where}: no such file: {shorten(file, 300)}{_nearest_file(base / file)}"
        if method == "none":
            yield f"{where}: found '{shorten(file)}', but scores.method is none and no phenotype is predicted; set it to file or clump, or leave the cell empty"
        if "deepnull" not in _list(row.get("arms", ["deepnull"])):
            yield f"{where}: found '{shorten(file)}', but phenotypes are predicted for studies with the arm deepnull only; add it, or leave the cell empty"
    if method == "file" and not any(isinstance(row.get("score_file"), str) for _, row in rows):
        yield f"config: scores.method: is file, but no row of {path} has a score_file; add this column with the path of the weights"


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else []


def _build_study(row: dict[str, Any], cohort: Cohort, schema: dict[str, Any], predicting: list[str]) -> Study:
    filled = _fill(row, schema, schema)
    filled["name"] = filled.pop("study")
    if filled["pcs"] is None:
        filled["pcs"] = cohort.structure["pcs"]
    arms = filled["arms"]
    filled["arms"] = [arm for arm in ("baseline", "deepnull") if arm in arms]
    # PC1 and so on name the computed components, where there are any
    pcs = {f"PC{i}" for i in range(1, filled["pcs"] + 1)}
    named = filled["deepnull_covariates"] if filled["deepnull_covariates"] is not None else predicting
    filled["deepnull_only"] = [
        c for c in named if "deepnull" in arms and c not in filled["covariates"] and c not in pcs
    ]
    return Study(**{k: tuple(v) if isinstance(v, list) else v for k, v in filled.items()})
