"""The check of all studies of a cohort against its sample table, before any long job."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort import include
from deepnull_gwas.cohort.covariates import (
    IDS,
    Selection,
    code_phenotype,
    column,
    column_to_compare,
    examples_of_text,
    is_text,
    level_name,
    read_columns,
    read_people,
    select_people,
    transform,
)
from deepnull_gwas.errors import InputError, InputErrors, nearest, some
from deepnull_gwas.tables import read_json, write_tsv
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

#: Fewer people than this in a level of a covariate, or fewer cases or controls, are worth a word.
FEW = 10
#: Names of columns that hold the recorded sex, in lower case, and what they hold.
_SEX_NAMES = {"sex", "gender", "recorded_sex", "reported_sex", "self_reported_sex", "genetic_sex"}
_SEX = {"1": 1, "2": 2, "m": 1, "f": 2, "male": 1, "female": 2}
_LOOKS_MISSING = {"na", "nan", "n/a", "null", "none", ".", "-", "?", "missing", "unknown", "#n/a", "nd"}


def preflight_cohort(
    samples: str | Path,
    studies: Sequence[dict[str, Any]],
    out: str | Path,
    colour_by: Sequence[str] = (),
    genotypes: str | Path | None = None,
    sex: Mapping[str, Any] | None = None,
    problems: Sequence[str] = (),
) -> pd.DataFrame:
    """Check the studies of a cohort: who would be analysed, who is out and why, and what is wrong or odd.

    Parameters
    ----------
    samples
        samples.parquet of the cohort.
    studies
        ``Study.settings()`` of each.
    out
        preflight.tsv, one row per study; not written when anything is wrong.
    colour_by
        Columns that the figure of the components needs.
    genotypes
        genotypes.json of the cohort, which says how many variants need people's sex.
    sex
        ``column``, the cohort's key ``sex`` (or None), and ``infer_sex``, whether X tells the sex where none is
        recorded.
    problems
        What was found wrong before, to be said in the same message.

    Returns
    -------
    The table written. Its counts are those before quality control and principal components.

    Raises
    ------
    InputErrors
        With all problems of all studies: columns that are not there (the nearest name is offered), values that do not
        fit the trait, a constant or text where numbers are expected, covariates without a value or with text that are
        not declared categorical, a logarithm of values that are not positive, and inclusion expressions that do not
        fit.
    """
    others = list(problems)
    try:
        read_columns(samples, colour_by)
    except InputError as error:
        others.append(str(error))
    frame, names = read_people(samples, studies)
    # only what the table says of the people in it counts as a value
    checks = _Checks(frame, names, read_json(genotypes) if genotypes else {}, sex or {})
    found: dict[str, list[str]] = {}
    rows = []
    for study in studies:
        problems, row = checks.check(study)
        for problem in problems:
            found.setdefault(problem, []).append(study["study"])
        rows.append(row)
    if found or others:
        of_studies = [
            f"{'studies' if len(where) > 1 else 'study'} {some(where, 3)}: {problem}"
            for problem, where in found.items()
        ]
        raise InputErrors(others + of_studies)
    for row in rows:
        _log(row)
    table = pd.DataFrame([row | {key: "; ".join(row[key]) for key in ("out", "warnings")} for row in rows])
    write_tsv(table, out)
    return table


class _Checks:
    """Checks of studies of one cohort; what concerns a column alone is done once."""

    def __init__(self, frame: pd.DataFrame, names: list[str], genotypes: Mapping[str, Any], sex: Mapping[str, Any]):
        self.frame = frame
        self.names = names
        self.needing_sex = [
            f"{c} ({count:,} variants)" for c in "XY" if (count := genotypes.get(f"variants_on_{c.lower()}", 0))
        ]
        self.autosomal = genotypes.get("autosomal_variants", np.inf)
        self.sex = sex
        # a covariate that is not in the table: known only once X has been looked at
        self.later = {"sex"} if sex.get("infer_sex") and self.needing_sex and "sex" not in names else set()
        self.inside = frame["in_sample_table"].to_numpy(dtype=bool)
        self.columns: dict[tuple[str, bool], tuple[list[str], list[str]]] = {}

    def check(self, study: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """Return the problems of a study, and its row of the table (empty if there are problems)."""
        problems, warnings = [], []
        study = study | {key: [n for n in study[key] if n not in self.later] for key in ("covariates", "deepnull_only")}
        for name in [*study["covariates"], *study["deepnull_only"]]:
            wrong, odd = self.covariate(name, name in study["categorical_covariates"])
            problems += wrong
            warnings += odd
        phenotype = None
        try:
            phenotype = self.phenotype(study, warnings)
        except InputError as error:
            problems.append(str(error))
        problems += self.expression(study)
        if study["pcs"] > self.autosomal:
            problems.append(
                f"{study['pcs']} principal components need as many autosomal variants, and the genotypes have "
                f"{self.autosomal:,}; set pcs to 0 (and structure.pcs to at most that), or name components of your "
                "own among the covariates"
            )
        if problems or phenotype is None:
            return problems, {}
        selection = select_people(self.frame, study, phenotype)
        y = phenotype[selection.keep]
        if trait_of(study["trait"]).transformable and len(y):
            try:
                transform(y, study["transform"])
            except InputError as error:
                return [f"phenotype '{study['phenotype']}', transform {study['transform']}: {error}"], {}
        warnings += self.combined(study, selection, y)
        warnings += self.unknown_sex(selection)
        warnings += self.sex_as_covariate(study, selection)
        return [], self.row(study, selection, y, warnings)

    def unknown(self, what: str, name: str) -> str:
        parts = {part.strip() for other in self.names if "," in other for part in other.split(",")}
        hint = "; a name with a comma in it goes in backticks" if name in parts else ""
        return (
            f"{what} '{name}' is no column of the sample table; it has "
            f"{some(self.names, 10)}{nearest(name, self.names)}{hint}"
        )

    def covariate(self, name: str, categorical: bool) -> tuple[list[str], list[str]]:
        """Return problems and warnings of a covariate."""
        key = (name, categorical)
        if key not in self.columns:
            self.columns[key] = self._covariate(name, categorical)
        return self.columns[key]

    def _covariate(self, name: str, categorical: bool) -> tuple[list[str], list[str]]:
        try:
            series = column(self.frame, name)[self.inside]
        except KeyError:
            return [self.unknown("covariate", name)], []
        present = series.dropna()
        if present.empty:
            hint = (
                "; the genotype files say of nobody which sex they are"
                if name == "sex" and "sex" not in self.names
                else ""
            )
            return [f"covariate '{name}' is missing for everybody; remove it, or check missing_values{hint}"], []
        if is_text(series) and not categorical:
            examples = examples_of_text(series, self.frame["iid"])
            values = {str(v).lower() for v in present[pd.to_numeric(present, errors="coerce").isna()].unique()}
            remedy = (
                "list what stands for a missing value in missing_values of the cohort"
                if values <= _LOOKS_MISSING
                else (
                    "list it in categorical_covariates too if these are groups, or correct these values if they should "
                    "be numbers"
                )
            )
            return [f"covariate '{name}' holds text ({examples}) and is not declared categorical; {remedy}"], []
        warnings = []
        if present.nunique() < 2:
            warnings.append(f"covariate {name} is constant ({level_name(present.iloc[0])}) and will be dropped")
        if categorical:
            counts = present.value_counts()
            rare = counts[counts < FEW]
            if len(rare):
                warnings.append(
                    f"covariate {name} has {len(rare)} levels with fewer than {FEW} people "
                    f"({some([level_name(v) for v in rare.index], 3)})"
                )
            levels = [level_name(v) for v in counts.index]
            if odd := [v for v in levels if v == "-9" or v.lower() in _LOOKS_MISSING]:
                warnings.append(
                    f"covariate {name} has the level {some([repr(v) for v in odd], 3)}: a group like any other, "
                    "unless it is listed in missing_values"
                )
            if len(counts) > 100:
                warnings.append(f"covariate {name} has {len(counts)} levels; is it categorical?")
        else:
            warnings += _minus_nine(f"covariate {name}", present)
        return [], warnings

    def phenotype(self, study: dict[str, Any], warnings: list[str]) -> np.ndarray:
        name = study["phenotype"]
        if name not in self.names:
            raise InputError(self.unknown("phenotype", name))
        series = self.frame[name]
        present = series.dropna()
        if present.empty:
            raise InputError(
                f"phenotype '{name}' is missing for everybody in both the genotypes and the sample table; check "
                "missing_values"
            )
        values = code_phenotype(series, study)
        if not trait_of(study["trait"]).has_cases:
            distinct = present.nunique()
            if distinct == 1:
                raise InputError(f"phenotype '{name}' is constant: all {len(present)} people have {present.iloc[0]:g}")
            if distinct == 2:
                warnings.append(f"phenotype {name} is quantitative, but has only two values; is it binary?")
            warnings += _minus_nine(f"phenotype {name}", present)
        elif others := int((np.isnan(values) & series.notna().to_numpy()).sum()):
            warnings.append(
                f"{others} people are neither case ({study['case_value']}) nor control ({study['control_value']}) and "
                "are left out"
            )
        return values

    def expression(self, study: dict[str, Any]) -> list[str]:
        """Return what is wrong with the inclusion expression."""
        if not study["include"]:
            return []
        try:
            tree = include.parse(study["include"])
            absent = [n for n in include.columns(tree) if n not in self.names and n not in ("sex", *IDS)]
            if absent:
                return [self.unknown(f"include '{study['include']}':", n) for n in absent]
            include.evaluate(study["include"], lambda n: column_to_compare(self.frame, n))
        except InputError as error:
            return [str(error)]
        return []

    def combined(self, study: dict[str, Any], selection: Selection, y: np.ndarray) -> Iterator[str]:
        """Yield warnings about the people that are left."""
        trait, columns = trait_of(study["trait"]), study["pcs"]
        for name in study["covariates"]:
            series = column(self.frame, name)[selection.keep]
            columns += max(series.nunique() - 1, 0) if name in study["categorical_covariates"] else 1
            if trait.has_cases and len(y):
                yield from _separation(name, series, y, name in study["categorical_covariates"])
        if len(y) <= columns + 10:
            yield f"only {len(y)} people are left for {columns} covariate columns: the study will fail"
        if trait.has_cases:
            for group, count in zip(("cases", "controls"), trait.cases_and_controls(y), strict=True):
                if count == 0:
                    yield f"no {group} are left: the study will fail"
                elif count < FEW:
                    yield f"only {count} {group} are left"
        elif len(y) and np.ptp(y) == 0:
            yield f"the phenotype is constant ({y[0]:g}) among the people left: the study will fail"

    def unknown_sex(self, selection: Selection) -> Iterator[str]:
        """Yield a warning where people who would be analysed have no recorded sex, and X or Y is there to be tested."""
        unknown = selection.keep & (self.frame["recorded_sex"] == 0).to_numpy()
        if not self.needing_sex or not unknown.any():
            return
        count, total = int(unknown.sum()), int(selection.keep.sum())
        shown = some(self.frame["iid"][unknown], 3)
        where = " and ".join(self.needing_sex)
        if self.sex.get("infer_sex"):
            yield (
                f"{count:,} of {total:,} people have no recorded sex ({shown}); on {where} that by F on X is used "
                "(qc.infer_sex)"
            )
            return
        column = self.sex.get("column")
        remedy = (
            f"complete the column '{column}'"
            if column
            else "name the column of the sample table that has it as `sex` of the cohort"
        )
        what = f"{where} will not be tested" if count == total else f"they are left out on {where}"
        yield f"{count:,} of {total:,} people have no recorded sex ({shown}): {what}; {remedy}, or see qc.infer_sex"

    def sex_as_covariate(self, study: dict[str, Any], selection: Selection) -> Iterator[str]:
        """Yield a warning where a covariate looks like the recorded sex, but `sex` of the cohort is not set to it."""
        if self.sex.get("column"):
            return
        recorded = self.frame["recorded_sex"].to_numpy()
        for name in study["covariates"]:
            if name.lower() not in _SEX_NAMES or name not in self.names:
                continue
            series = self.frame[name]
            told = series.map(_sex_of).to_numpy(dtype=np.float64)
            here = selection.keep & (told > 0)
            added, other = int((here & (recorded == 0)).sum()), int((here & (recorded > 0) & (recorded != told)).sum())
            if added or other:
                parts = [f"knows it of {added:,} people of whom the genotype files do not"] if added else []
                parts += [f"has another than the genotype files for {other:,} people"] if other else []
                yield (
                    f"covariate {name} {' and '.join(parts)}, but only enters as a covariate: if it is the recorded "
                    f"sex, set `sex: {name}` in the cohort, so that X, Y and the check of sex go by it"
                )

    def row(self, study: dict[str, Any], selection: Selection, y: np.ndarray, warnings: list[str]) -> dict[str, Any]:
        """Return a study's row of the table."""
        steps = selection.accounting
        after = {s["step"].split(" ")[0]: s["people"] for s in steps}
        cases, controls = trait_of(study["trait"]).cases_and_controls(y)
        out = [f"{_left_out(s['step'])}: {s['removed']} ({some(s['examples'], 3)})" for s in steps if s["removed"]]
        present = next(s for s in steps if s["step"].startswith("phenotype "))["people"]
        return {
            "study": study["study"],
            "phenotype": study["phenotype"],
            "trait": study["trait"],
            "people_in_genotypes": steps[0]["people"],
            "people_in_sample_table": steps[1]["people"],
            "with_phenotype": present,
            "included": after.get("included", present),
            "with_all_covariates": steps[-1]["people"],
            "cases": cases,
            "controls": controls,
            "out": out,
            "warnings": warnings,
        }


def _left_out(step: str) -> str:
    """Return what is so of the people who do not pass a step."""
    if step.endswith(" present"):
        return f"{step.removesuffix(' present')} missing"
    return "fails quality control" if step == "passes quality control" else f"not {step}"


def _sex_of(value: Any) -> int:
    """Return 1 for a male, 2 for a female, 0 for anything else that a column of sexes may hold."""
    return _SEX.get(level_name(value).lower() if isinstance(value, str) or value == value else "", 0)


def _minus_nine(what: str, present: pd.Series) -> Iterator[str]:
    """Yield a warning where -9 is the smallest value and far from the others: it may stand for a missing value."""
    values = present.to_numpy(dtype=np.float64)
    if values.min() != -9:
        return
    others = values[values != -9]
    if len(others) and (others.min() >= 0 or others.min() + 9 > 3 * (np.std(others) or 1)):
        count = len(values) - len(others)
        yield (
            f"{what} is -9 for {count} people, and the next value is {others.min():g}: if -9 stands for a missing "
            'value, add "-9" to missing_values'
        )


def _separation(name: str, series: pd.Series, y: np.ndarray, categorical: bool) -> Iterator[str]:
    """Yield a warning where a covariate, or a level of it, has cases only or controls only."""
    if categorical or series.nunique() <= 10:
        table = pd.crosstab(series.to_numpy(), y)
        for group, label in ((1.0, "cases"), (0.0, "controls")):
            counts = table[group] if group in table.columns else pd.Series(0, index=table.index)
            if len(table) > 1 and counts.sum() and (none := list(table.index[counts == 0])):
                yield f"covariate {name}: no {label} at {some([level_name(v) for v in none], 3)} (separation)"
    elif (y == 1).any() and (y == 0).any():
        values = series.to_numpy(dtype=np.float64)
        cases, controls = values[y == 1], values[y == 0]
        if cases.min() > controls.max() or controls.min() > cases.max():
            yield f"covariate {name} tells all cases from all controls (separation)"


def _log(row: dict[str, Any]) -> None:
    groups = f", {row['cases']:,} cases and {row['controls']:,} controls" if row["cases"] is not None else ""
    logger.info(
        "study %s (%s): %s of %s people have phenotype and covariates%s", row["study"], row["trait"],
        f"{row['with_all_covariates']:,}", f"{row['people_in_genotypes']:,}", groups,
    )  # fmt: skip
    for text in row["out"]:
        logger.info("study %s: %s", row["study"], text)
    for text in row["warnings"]:
        logger.warning("study %s: %s", row["study"], text)
