"""Read and validate a configuration as a whole, before any job: all problems in one message, defaults filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from deepnull_gwas.config.checks import check_rows, check_scores
from deepnull_gwas.config.cohorts import build_cohort
from deepnull_gwas.config.model import GENES, Cohort, Config
from deepnull_gwas.config.places import check_files, check_paths, path_from, paths_from
from deepnull_gwas.config.schema import SCHEMAS, coerce, fill, read_schema, violations, with_preset
from deepnull_gwas.config.sheet import Row, parse_sheet, read_sheet, study_of
from deepnull_gwas.config.values import (
    as_dict,
    as_list,
    check_date,
    check_values,
    over,
    place_in_config,
    plain_values,
    show,
)
from deepnull_gwas.config.yaml_text import check_config_text
from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.text import shorten


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
        Folder to which its relative paths refer (the working directory of the run). The paths stay as they are written.
    schemas
        Folder of ``config.schema.yaml`` and ``studies.schema.yaml``.
    files
        The YAML or JSON files that the configuration was read from, for what can no longer be seen in ``config``
        (:func:`~deepnull_gwas.config.yaml_text.check_config_text`). Files that do not exist, or hold the configuration
        of another workflow, are ignored.

    Raises
    ------
    InputErrors
        With all problems; each names its key or its row and column, what was found, and what is allowed.
    """
    base = Path(base)
    schema = read_schema(Path(schemas) / "config.schema.yaml")
    row_schema = read_schema(Path(schemas) / "studies.schema.yaml")
    plain = plain_values(config)
    problems = [p for file in files if Path(file).is_file() for p in check_config_text(file)]
    problems += check_values(plain)
    if problems:
        raise InputErrors(list(dict.fromkeys(problems)))
    given = coerce(plain, schema, schema)
    problems = list(violations(given, schema, place_in_config))
    cohorts = as_dict(given.get("cohorts"))
    rows: list[Row] = []
    if isinstance(given.get("studies"), str) and given["studies"]:
        rows, sheet_problems = read_sheet(given["studies"], base, row_schema)
        problems += sheet_problems
    filled = fill(given, schema, schema)
    used = {row.get("cohort") for _, row in rows}
    built: dict[str, Cohort] = {}
    for name, raw in cohorts.items():
        if isinstance(raw, dict):
            cohort, cohort_problems = build_cohort(str(name), raw, filled, schema, base, look=name in used)
            problems += cohort_problems
            built[str(name)] = cohort
    of_all = as_list(as_dict(filled.get("deepnull")).get("covariates"))
    problems += check_rows(rows, str(given.get("studies")), list(cohorts), built, of_all)
    problems += check_scores(rows, str(given.get("studies")), as_dict(filled.get("scores")).get("method"), base)
    problems += check_date(filled.get("metadata_date"))
    with_studies = {name: cohort for name, cohort in built.items() if name in used}
    problems += check_paths(with_studies, filled)
    problems += check_files(with_studies, filled, base)
    if problems:
        raise InputErrors(list(dict.fromkeys(problems)))
    model = filled["association"]["model"]
    studies = [study_of(row, built[row["cohort"]].structure["pcs"], of_all, row_schema, model) for _, row in rows]
    return Config(
        seed=filled["seed"],
        cohorts={name: paths_from(cohort, base) for name, cohort in with_studies.items()},
        studies=[replace(study, score_file=path_from(study.score_file, base)) for study in studies],
        deepnull=filled["deepnull"] | {"fold_file": path_from(filled["deepnull"]["fold_file"], base)},
        association=filled["association"],
        whole_genome=filled["whole_genome"],
        report=filled["report"]
        | {"genes": genes if (genes := filled["report"]["genes"]) in GENES else path_from(genes, base)},
        scores=filled["scores"],
        qc=with_preset(filled["qc"], schema),
        structure={key: value for key, value in filled["structure"].items() if key != "genotypes"},
        verify=filled["verify"],
        metadata_date=filled["metadata_date"],
    )


def read_config(path: str | Path, base: str | Path = ".", schemas: str | Path = SCHEMAS) -> Config:
    """Read a configuration from its file; see :func:`load_config`.

    Parameters
    ----------
    path
        YAML or JSON; where it is relative and not found, it is looked for in ``base`` too. One with ``cohorts`` stands
        for itself; one without overrides ``config/config.yaml`` in ``base`` key by key, as in the Snakefile.
    base, schemas
        As :func:`load_config`.

    Raises
    ------
    InputError
        When the file is not there or is no YAML mapping, or as :func:`load_config`.
    """
    given, files = read_given(path, base)
    return load_config(given, base, schemas, files)


def read_given(path: str | Path, base: str | Path = ".") -> tuple[dict[str, Any], list[Path]]:
    """Read a configuration as it was given, unchecked, and the files that it came from; see :func:`read_config`.

    Raises
    ------
    InputError
        When the file is not there or is no YAML mapping.
    """
    place = Path(path) if Path(path).is_file() else Path(base, path)
    try:
        given = yaml.safe_load(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the run's configuration (see config/README.md)") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(given, dict):
        raise InputError(f"{path}: found {show(given)}, expected a mapping of keys to values (see config/config.yaml)")
    files = [place]
    # as in the Snakefile: a config with cohorts stands for itself, a few settings override the project's config
    if "cohorts" not in given and (project := Path(base, "config/config.yaml")).is_file():
        under = yaml.safe_load(project.read_text(encoding="utf-8"))
        if isinstance(under, dict) and project.resolve() != place.resolve():
            given, files = over(under, given), [project, place]
    return given, files


def check_recorded(text: str, sheet: str, sheet_path: str, schemas: str | Path = SCHEMAS) -> dict[str, Any]:
    """Read a configuration and a studies sheet that came in somebody else's file, looking at nothing but their texts.

    Snakemake evaluates Python in a configuration with the key ``__use_yte__``, so nothing is copied that is not in the
    schema.

    Parameters
    ----------
    text, sheet
        The configuration as YAML, and the sheet.
    sheet_path
        Path of the sheet where it was recorded; its extension tells what separates the columns.
    schemas
        As :func:`load_config`.

    Returns
    -------
    The configuration, as plain dicts and lists.

    Raises
    ------
    InputErrors
        Naming every key, value and column that the schemas do not allow.
    """
    schema = read_schema(Path(schemas) / "config.schema.yaml")
    try:
        given = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"the recorded configuration is not readable as YAML: {shorten(error, 300)}") from None
    plain = plain_values(given)
    problems = [*violations(coerce(plain, schema, schema), schema, place_in_config), *check_values(plain)]
    _, wrong = parse_sheet(
        sheet.encode("utf-8", errors="replace"), sheet_path, read_schema(Path(schemas) / "studies.schema.yaml")
    )
    if problems := [*problems, *wrong]:
        raise InputErrors(list(dict.fromkeys(problems)))
    return plain
