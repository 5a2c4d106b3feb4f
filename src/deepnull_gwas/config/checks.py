"""Checks across the parts of a configuration: rows of the sheet against each other, their cohorts and the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deepnull_gwas.cohort import include
from deepnull_gwas.config.model import RESERVED_STUDIES, Cohort
from deepnull_gwas.config.places import is_file, nearest_file, no_path
from deepnull_gwas.config.sheet import Row
from deepnull_gwas.config.values import as_list
from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.text import shorten
from deepnull_gwas.traits import TRAITS


def check_rows(
    rows: list[Row],
    path: str,
    names: Iterable[str],
    cohorts: Mapping[str, Cohort],
    predicting: list[str],
) -> Iterator[str]:
    """Yield what is wrong with rows beyond the schema.

    Parameters
    ----------
    rows, path
        Rows of the sheet, and its path.
    names, cohorts
        Names of all cohorts of the configuration, and those that could be built.
    predicting
        ``deepnull.covariates`` of the configuration.
    """
    seen: dict[tuple[str, str], int] = {}
    names = [str(n) for n in names]
    for number, row in rows:
        where = f"{path}: row {number}"
        yield from _check_names(row, number, where, names, seen)
        yield from _check_covariates(row, where, predicting)
        yield from _check_trait(row, where)
        if isinstance(row["include"], str):
            try:
                include.parse(row["include"])
            except InputError as error:
                yield f"{where}, column include: {error}"
        if (cohort := cohorts.get(str(row.get("cohort")))) is not None:
            yield from _check_components(row, where, cohort, predicting)


def _check_names(
    row: dict[str, Any], number: int, where: str, cohorts: list[str], seen: dict[tuple[str, str], int]
) -> Iterator[str]:
    """Yield what is wrong with the names of study and cohort; ``seen``: the rows of the studies before, filled here."""
    study, cohort = row.get("study"), row.get("cohort")
    if cohort is not None and cohort not in cohorts:
        known = f"the config has: {', '.join(cohorts)}{nearest(cohort, cohorts)}"
        yield f"{where}, column cohort: unknown cohort '{shorten(cohort)}', {known}"
    if study in RESERVED_STUDIES:
        yield f"{where}, column study: '{study}' is a folder of the workflow's own; choose another name"
    if study is not None and (before := seen.setdefault((str(cohort), study), number)) != number:
        yield (
            f"{where}, column study: study '{study}' of cohort '{cohort}' is there already (row {before}); "
            "names must be unique in a cohort"
        )


def _known_covariates(row: dict[str, Any], predicting: list[str]) -> list[str]:
    """Return all covariates of a row: those of the association, and those that feed the prediction only."""
    own = as_list(row["deepnull_covariates"])
    return list(dict.fromkeys([*as_list(row["covariates"]), *(own or predicting)]))


def _check_covariates(row: dict[str, Any], where: str, predicting: list[str]) -> Iterator[str]:
    """Yield what is wrong with the covariates of a row."""
    covariates, own = as_list(row["covariates"]), as_list(row["deepnull_covariates"])
    for name in dict.fromkeys(c for c in covariates if covariates.count(c) > 1):
        yield f"{where}, column covariates: '{shorten(name)}' is listed {covariates.count(name)} times"
    known = _known_covariates(row, predicting)
    for name in as_list(row["categorical_covariates"]):
        if name not in known:
            yield (
                f"{where}, column categorical_covariates: '{shorten(name)}' is not among the covariates "
                f"({some(known, 20) or 'none'}); list it in both columns{nearest(name, known)}"
            )
    for name in dict.fromkeys(c for c in own if own.count(c) > 1):
        yield f"{where}, column deepnull_covariates: '{shorten(name)}' is listed {own.count(name)} times"
    phenotype = row.get("phenotype")
    if phenotype in covariates:
        yield f"{where}, column covariates: '{shorten(phenotype)}' is the phenotype itself"
    elif phenotype in known and "deepnull" in as_list(row["arms"]):
        place = f"{where}, column deepnull_covariates" if own else f"{where}: config: deepnull.covariates"
        yield f"{place}: '{shorten(phenotype)}' is the phenotype itself"


def _check_trait(row: dict[str, Any], where: str) -> Iterator[str]:
    """Yield what does not go with the trait of a row: transforms, and values of cases and controls."""
    trait = TRAITS.get(str(row.get("trait")))
    if trait is not None and not trait.transformable and row["transform"] != "none":
        found = f"found '{row['transform']}', but a {trait.name} trait cannot be transformed"
        yield f"{where}, column transform: {found}; leave it empty"
    cases = [row["case_value"], row["control_value"]]
    if cases == [None, None]:
        return
    place = f"{where}, column case_value"
    if trait is not None and not trait.has_cases:
        yield f"{place}: a {trait.name} trait has no cases; leave case_value and control_value empty"
    elif None in cases:
        yield f"{place}: give both case_value and control_value, or neither"
    elif cases[0] == cases[1]:
        yield f"{place}: case_value and control_value are both '{cases[0]}'"


def _check_components(row: dict[str, Any], where: str, cohort: Cohort, predicting: list[str]) -> Iterator[str]:
    """Yield what is wrong with the principal components of a row, and whether the arm deepnull has any covariate."""
    computed = cohort.structure.get("pcs")
    wanted = computed if row["pcs"] is None else row["pcs"]
    if not isinstance(computed, int) or not isinstance(wanted, int):
        return
    if wanted > computed:
        yield (
            f"{where}, column pcs: found {wanted}, but only {computed} are computed in cohort '{row.get('cohort')}'; "
            f"set structure.pcs to at least {wanted}"
        )
    covariates = as_list(row["covariates"])
    if wanted and (clash := [c for c in covariates if re.fullmatch(r"PC\d+", c) and int(c[2:]) <= wanted]):
        yield (
            f"{where}, column covariates: '{clash[0]}' would be there twice, from the sample table and computed; "
            "set pcs to 0 to use the table's own"
        )
    if "deepnull" in as_list(row["arms"]) and not _known_covariates(row, predicting) and not wanted:
        yield (
            f"{where}, column covariates: the arm deepnull needs at least one covariate; "
            "give some, or set arms to baseline"
        )


def check_scores(rows: list[Row], path: str, method: Any, base: Path) -> Iterator[str]:
    """Yield what is wrong with the files of weights that rows name; ``method``: ``scores.method`` of the config."""
    for number, row in rows:
        if not isinstance(file := row["score_file"], str):
            continue
        where = f"{path}: row {number}, column score_file"
        yield from no_path(where, file)
        if not is_file(base / file):
            yield f"{where}: no such file: {shorten(file, 300)}{nearest_file(base / file)}"
        if method == "none":
            yield (
                f"{where}: found '{shorten(file)}', but scores.method is none and no phenotype is predicted; "
                "set it to file or clump, or leave the cell empty"
            )
        if "deepnull" not in as_list(row["arms"]):
            yield (
                f"{where}: found '{shorten(file)}', but phenotypes are predicted for studies with the arm deepnull "
                "only; add it, or leave the cell empty"
            )
    if method == "file" and not any(isinstance(row["score_file"], str) for _, row in rows):
        yield (
            f"config: scores.method: is file, but no row of {path} has a score_file; "
            "add this column with the path of the weights"
        )
