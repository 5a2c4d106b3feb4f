"""What the columns of a sample table look like, what they could be used as, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepnull_gwas.errors import some
from deepnull_gwas.text import shorten

#: Words in names of columns that are rarely a phenotype, in lower case: what a person is, when and where measured.
_COVARIATES = (
    r"age|yob|year|birth|dob|sex|gender|batch|array|chip|plate|platform|phase|wave|centre|center|site|clinic|hospital|"
    r"study|cohort|country|region|assessment|season|month|fasting|smok\w*|cigarette\w*|pack_?years?|alcohol|drink\w*|"
    r"education|income|townsend|deprivation|statin\w*|medication\w*|treatment|lab|operator|kit|run|freeze|female|male"
)
_COVARIATE = re.compile(rf"(?:^|[^a-z])(?:{_COVARIATES})(?=$|[^a-z])", re.IGNORECASE)
#: Covariates whose numbers name groups.
_GROUPS = re.compile(
    r"(?:^|[^a-z])(?:batch|array|chip|plate|platform|centre|center|site|clinic|hospital|country|region|season|lab|"
    r"operator|kit|run)(?=$|[^a-z])",
    re.IGNORECASE,
)
#: Names of populations, which principal components stand for.
_LABELS = re.compile(
    r"(?:^|[^a-z])(?:pop|population|subpop|superpop|super_population|ancestry|ethnic\w*|race)(?=$|[^a-z])",
    re.IGNORECASE,
)
_COMPONENT = re.compile(r"(?:pc|pca|ev|c|mds|eigenvec|genetic_?pc)_?\.?(\d{1,3})", re.IGNORECASE)
_SEX = re.compile(r"(?:(?:recorded|reported|self_reported|genetic)_)?(?:sex|gender)", re.IGNORECASE)
#: Words that make a case and a control, in lower case.
_CASES = {"case": "control", "cases": "controls", "affected": "unaffected", "yes": "no", "y": "n", "true": "false",
          "t": "f", "positive": "negative", "pos": "neg", "diseased": "healthy", "present": "absent"}  # fmt: skip
#: Texts that mean a missing value where the other values of a column are numbers.
_UNKNOWN = {"-", "--", "?", "unknown", "missing", "none", "nd", "n.d.", "not available", "#n/a", "unk", "refused", "*"}
#: Numbers that mean a missing value where everything else in the column is above 0, or far away.
_SENTINELS = (-9.0, -99.0, -999.0, -9999.0)
#: Most groups of a covariate.
_MOST_GROUPS = 60
#: Skewness beyond which a rank-based transform is suggested.
SKEWED = 1.0


@dataclass(frozen=True)
class Role:
    """What a column could be used as.

    Attributes
    ----------
    name
        The column.
    use
        ``phenotype``, ``covariate``, ``groups`` (a categorical covariate), ``sex``, ``component``, ``labels`` (of
        populations, for figures) or ``left out``.
    values
        What is in it, in words.
    why
        The reason for the use.
    trait
        Of a phenotype: ``quantitative`` or ``binary``; None where it has to be told.
    case_value, control_value
        Of a binary phenotype whose coding is not understood by itself.
    transform
        Suggested for a phenotype.
    """

    name: str
    use: str
    values: str
    why: str
    trait: str | None = None
    case_value: str | None = None
    control_value: str | None = None
    transform: str = "none"


def missing_values_of(columns: Mapping[str, pd.Series]) -> dict[str, str]:
    """Return what seems to stand for a missing value beyond the usual, with the reason.

    Parameters
    ----------
    columns
        Text of each column, None where it is missing by the usual values.
    """
    found: dict[str, str] = {}
    for name, text in columns.items():
        present = text.dropna()
        numbers = pd.to_numeric(present, errors="coerce")
        odd = present[numbers.isna()]
        if len(odd) and len(odd) < len(present) / 2 and set(odd.str.lower()) <= _UNKNOWN:
            for value in odd.unique():
                found.setdefault(value, f"{int((odd == value).sum()):,} times in column {name}, which else has numbers")
            numbers = numbers.dropna()
        elif len(odd):
            continue
        for sentinel in _SENTINELS:
            others = numbers[numbers != sentinel]
            count = len(numbers) - len(others)
            if count and len(others) and others.min() > sentinel / 3:
                as_written = str(present[numbers.index][numbers == sentinel].iloc[0])
                found.setdefault(
                    as_written,
                    f"{count:,} times in column {name}, whose other values are {others.min():g} to {others.max():g}",
                )
    return found


def roles_of(columns: Mapping[str, np.ndarray], phenotypes: Sequence[str], covariates: Sequence[str]) -> list[Role]:
    """Return what each column could be used as.

    Parameters
    ----------
    columns
        float64 with NaN, or objects with None, as :func:`~deepnull_gwas.cohort.sample_table.read_sample_table` types
        them; IDs are not among them.
    phenotypes, covariates
        Columns that the user has named as such; where phenotypes are named no other column is one.
    """
    return [_role(name, pd.Series(values), phenotypes, covariates) for name, values in columns.items()]


def _role(name: str, series: pd.Series, phenotypes: Sequence[str], covariates: Sequence[str]) -> Role:
    """Return what a column could be used as."""
    present = series.dropna()
    distinct = present.nunique()
    values = _values(series, present, distinct)
    if distinct < 2 and name not in phenotypes:
        return Role(name, "left out", values, "no two people differ")
    if name in phenotypes:
        return _phenotype(name, present, distinct, values, "named by --phenotypes")
    text = present.dtype == object
    if name in covariates:
        return Role(name, "groups" if text else "covariate", values, "named by --covariates")
    if _SEX.fullmatch(name):
        return Role(name, "sex", values, "by its name")
    if not text and (match := _COMPONENT.fullmatch(name)) and int(match[1]) <= 100:
        return Role(name, "component", values, "by its name, a principal component")
    if text and (distinct > _MOST_GROUPS or distinct > len(present) / 3):
        return Role(name, "left out", values, "text that differs from person to person")
    if distinct <= _MOST_GROUPS and _LABELS.search(_words(name)):
        return Role(name, "labels", values, "by its name, populations: principal components stand for them")
    if match := _COVARIATE.search(_words(name)):
        grouped = text or (distinct <= _MOST_GROUPS and distinct > 2 and bool(_GROUPS.search(_words(name))))
        why = f"by its name ('{match[0].strip('_. -')}')"
        return Role(name, "groups" if grouped else "covariate", values, why + (", names of groups" if grouped else ""))
    if phenotypes:
        return Role(name, "left out", values, "neither a phenotype that was named nor a covariate by its name")
    if text and distinct > 2:
        return Role(name, "groups", values, f"text with {distinct} values")
    return _phenotype(name, present, distinct, values, "")


def _words(name: str) -> str:
    """Return a name with its words apart: ``SmokingStatus2`` to ``Smoking_Status_2``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", name)


def _values(series: pd.Series, present: pd.Series, distinct: int) -> str:
    """Describe what is in a column."""
    missing = len(series) - len(present)
    of_missing = f", {missing:,} missing" if missing else ""
    if not distinct:
        return "no values"
    if distinct <= 4:
        counts = present.value_counts().sort_index()
        return ", ".join(f"{_spell(v)}: {n:,}" for v, n in counts.items()) + of_missing
    if present.dtype == object:
        return f"{distinct:,} texts such as {some(present.value_counts().index, 3)}{of_missing}"
    low, high = present.min(), present.max()
    whole = "whole numbers" if bool((present == present.round()).all()) else "numbers"
    return f"{distinct:,} {whole} from {low:g} to {high:g}{of_missing}"


def _spell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else shorten(value, 30)


def _phenotype(name: str, present: pd.Series, distinct: int, values: str, why: str) -> Role:
    """Return the role of a phenotype: its trait where the values tell."""
    why = f"{why}; " if why else ""
    if present.dtype == object:
        levels = {str(v).lower(): str(v) for v in present.unique()}
        pairs = [(c, o) for c, o in _CASES.items() if set(levels) == {c, o}]
        if pairs:
            case, control = (levels[word] for word in pairs[0])
            return Role(name, "phenotype", values, f"{why}two words", "binary", case, control)
        return Role(name, "phenotype", values, f"{why}text: say which value is a case, and which a control")
    levels = set(present.unique())
    if levels in ({0.0, 1.0}, {1.0, 2.0}):
        coding = "0 and 1, 1 the case" if 0.0 in levels else "1 and 2, 2 the case"
        return Role(name, "phenotype", values, f"{why}two values: {coding}", "binary")
    if levels == {0.0, 1.0, 2.0}:
        told = f"{why}0, 1, 2: cases and controls of PLINK (0 unknown, 1 control, 2 case), or a count? Say which"
        return Role(name, "phenotype", values, told)
    if distinct == 2:
        return Role(name, "phenotype", values, f"{why}two numbers: say which value is a case, and which a control")
    if distinct < 10:
        return Role(name, "phenotype", values, f"{why}{distinct} different numbers: an ordered scale?", "quantitative")
    spread = present.std()
    skew = float(((present - present.mean()) ** 3).mean() / spread**3) if spread > 0 else 0.0
    if abs(skew) > SKEWED:
        reason = f"{why}numbers, with a skewness of {skew:.1f}: ranks are made normal"
        return Role(name, "phenotype", values, reason, "quantitative", transform="rank_inverse_normal")
    return Role(name, "phenotype", values, f"{why}numbers", "quantitative")
