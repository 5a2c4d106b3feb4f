"""Polygenic scores from published weights.

The format of the PGS Catalog; :mod:`deepnull_gwas.scores.matching` finds the variants in a cohort.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from deepnull_gwas.cohort.layout import refuse_doubled
from deepnull_gwas.cohort.text_table import comments_of, line_of, lines_of, read_text_table
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.text import shorten

logger = logging.getLogger(__name__)

#: Rows that are no weight of one allele's copies.
_NOT_ADDITIVE = ("is_haplotype", "is_diplotype", "is_interaction", "is_dominant", "is_recessive")


#: Columns that say something about a weight without changing what it is.
_INFORMATIVE = {
    "locus_name",
    "imputation_method",
    "variant_description",
    "variant_type",
    "inclusion_criteria",
    "OR",
    "HR",
    "hm_source",
    "hm_inferOtherAllele",
    "hm_match_chr",
    "hm_match_pos",
}
_DOSAGE = ("dosage_0_weight", "dosage_1_weight", "dosage_2_weight")
_USED = {
    "rsID",
    "chr_name",
    "chr_position",
    "effect_allele",
    "other_allele",
    "effect_weight",
    "weight_type",
    "hm_rsID",
    "hm_chr",
    "hm_pos",
    *_NOT_ADDITIVE,
    *_DOSAGE,
}
#: Units of weights (letters only, in small ones) that add up, and ratios, whose logarithms do.
_ADDITIVE_UNITS = {
    "",
    "nr",
    "beta",
    "betas",
    "logor",
    "lnor",
    "loghr",
    "lnhr",
    "logrr",
    "lnrr",
    "logoddsratio",
    "lnoddsratio",
    "loghazardratio",
    "lnhazardratio",
}
_RATIOS = {"or", "oddsratio", "oddsratios", "hr", "hazardratio", "hazardratios", "rr", "riskratio", "relativerisk"}
#: Ratios that are all below this are no ratios: each allele would halve the odds.
_NO_RATIO = 0.5

_SEVERAL = re.compile(r"[/,|;]")


@dataclass
class Weights:
    """A file of weights.

    Attributes
    ----------
    table
        ``row`` (line of the file, from 1), ``chromosome`` and ``position`` (empty and 0 where unknown or of another
        build), ``id``, ``effect_allele``, ``other_allele`` (empty where unknown; several with ``/`` between them),
        ``weight`` (of a unit that adds up), ``additive``. Alleles in capitals.
    header
        What the lines with ``#`` say.
    positions
        Which columns the positions come from, in words.
    warnings
        What the file declares and is not taken as it is, in words.
    """

    table: pd.DataFrame
    header: dict[str, str] = field(default_factory=dict)
    positions: str = ""
    warnings: list[str] = field(default_factory=list)


def read_weights(path: str | Path, build: str) -> Weights:
    """Read a scoring file of the PGS Catalog (https://www.pgscatalog.org/downloads/), text or gzipped.

    Harmonised or not.

    Parameters
    ----------
    path
        The file: lines ``#key=value``, then a table (tabs; commas and semicolons are understood) with
        ``effect_allele``, ``effect_weight``, and ``rsID`` or ``chr_name`` and ``chr_position`` (``hm_rsID``,
        ``hm_chr``, ``hm_pos``); ``other_allele`` where known.
    build
        Genome build of the cohort. Positions of another build are not used.

    Returns
    -------
    Weights per copy of the effect allele that add up: logarithms are taken of what the file calls odds, hazard or risk
    ratios (``weight_type``). Whatever else it declares and is not honoured is in ``warnings``, and logged.

    Raises
    ------
    InputError
        When the file is no such table, a weight or an allele is none, or weights are called ratios that are none.
    """
    path = Path(path)
    texts = read_text_table(
        path, "one row per variant (a scoring file of the PGS Catalog)", hash_header=False, quoted=None
    )
    names, line = texts.column_names, lines_of(texts)
    pairs = [comment.lstrip("#").split("=", 1) for comment in comments_of(texts) if "=" in comment]
    header = {key.strip(): value.strip() for key, value in pairs}
    expected = "effect_allele, effect_weight and rsID, or chr_name and chr_position, separated by tabs"
    for needed in ("effect_allele", "effect_weight"):
        if needed not in names:
            more = (
                "; weights of genotypes instead of alleles (dosage_*_weight) cannot be used"
                if set(names) & set(_DOSAGE)
                else ""
            )
            raise InputError(
                f"{path}: row {line_of(texts, -1)}: no column '{needed}'; found {some(names, 8)}, expected "
                f"{expected}{more}"
            )
    refuse_doubled(names, path)
    if not texts.num_rows:
        raise InputError(f"{path}: has a header but no weight")
    known = [n for n in names if n in _USED or n in _INFORMATIVE]
    trimmed = {n: pc.utf8_trim_whitespace(texts.column(n)).to_pylist() for n in known}
    table = pd.DataFrame({n: pd.Series(values, dtype=object) for n, values in trimmed.items()})
    warnings = list(_not_honoured(table, names, header))
    additive = _additive(table)
    weight = _weights(table, header, additive, path, line, warnings)
    chromosome, position, source = _positions(table, header, build, path, line, warnings)
    identifier = _first_of(table, "hm_rsID", "rsID")
    if not source and (identifier == "").all():
        raise InputError(
            f"{path}: no row has an rsID or a position of {build}; found {some(names, 8)}, expected {expected}"
        )
    effect, other = (in_capitals(_first_of(table, name).to_numpy(object)) for name in ("effect_allele", "other_allele"))
    if (empty := np.flatnonzero(effect == "")).size:
        raise InputError(f"{path}: row {line[empty[0]]}: no effect_allele")
    for words in warnings:
        logger.warning("%s: %s", path, words)
    frame = pd.DataFrame(
        {
            "row": line,
            "chromosome": chromosome,
            "position": position,
            "id": identifier,
            "effect_allele": effect,
            "other_allele": other,
            "weight": weight,
            "additive": additive,
        }
    )
    return Weights(frame, header, source or f"none of {build}: variants are found by ID", warnings)


def _not_honoured(table: pd.DataFrame, names: Sequence[str], header: Mapping[str, str]) -> Iterator[str]:
    """Yield what a file declares and does not change how its weights are used."""
    unknown = [n for n in names if n not in _USED | _INFORMATIVE and not n.startswith("allelefrequency_effect")]
    if unknown:
        yield f"columns that are not understood and not used: {some(unknown, 10)}"
    if inferred := ((_first_of(table, "hm_inferOtherAllele") != "") & (_first_of(table, "other_allele") == "")).sum():
        yield (
            f"hm_inferOtherAllele is not used for {inferred:,} rows without other_allele: an allele that was inferred "
            f"says nothing of the strand"
        )
    for name in ("hm_match_chr", "hm_match_pos"):
        if other := _first_of(table, name).str.lower().isin(["false", "0", "no"]).sum():
            yield (
                f"{name} is false in {other:,} rows: the harmonised place is not the one that was reported; it is used"
            )
    if several := _several(_first_of(table, "effect_allele")):
        yield f"{several:,} rows have several effect alleles, of which none can be chosen: they match no variant"
    if dosages := _of_genotypes(table).sum():
        yield f"{dosages:,} rows have weights of genotypes ({some(_DOSAGE)}): they are left out"
    version = header.get("format_version", "")
    if version and version.split(".")[0] not in ("1", "2"):
        yield f"format_version={shorten(version)} is not known; the file is read as version 2.0"
    stated = header.get("variants_number", "").replace(",", "")
    if stated.isdigit() and int(stated) != len(table):
        yield f"variants_number={shorten(stated)}, but the file has {len(table):,} rows; is it whole?"


def _several(alleles: pd.Series) -> int:
    """Count the cells that hold several alleles."""
    codes, found = of_each(alleles, lambda text: _SEVERAL.search(text) is not None)
    return int(np.array(found, dtype=bool)[codes].sum())


def _of_genotypes(table: pd.DataFrame) -> np.ndarray:
    return np.any([(_first_of(table, c) != "").to_numpy() for c in _DOSAGE], axis=0)


def _additive(table: pd.DataFrame) -> np.ndarray:
    """Return which rows are a weight of one allele's copies."""
    flagged = [_first_of(table, c).str.lower().isin(["true", "1", "yes"]).to_numpy() for c in _NOT_ADDITIVE]
    return ~(np.any(flagged, axis=0) | _of_genotypes(table))


def _weights(
    table: pd.DataFrame,
    header: Mapping[str, str],
    additive: np.ndarray,
    path: Path,
    line: np.ndarray,
    warnings: list[str],
) -> np.ndarray:
    """Return the weights in a unit that adds up; what is done beyond reading them is added to the warnings."""
    weight = _numbers(table["effect_weight"])
    # of genotypes: there need be none of an allele
    unneeded = ~additive & (_first_of(table, "effect_weight") == "").to_numpy()
    if (bad := np.flatnonzero(~np.isfinite(weight) & ~unneeded)).size:
        found = shorten(table["effect_weight"][bad[0]])
        raise InputError(f"{path}: row {line[bad[0]]}: effect_weight '{found}' is no number")
    stated = list(
        dict.fromkeys(v for v in [header.get("weight_type", ""), *_first_of(table, "weight_type").unique()] if v)
    )
    units = {re.sub(r"[^a-z]", "", s.lower()) for s in stated}
    if len(units) > 1:
        raise InputError(
            f"{path}: weights of several units (weight_type: {some(stated)}) cannot be summed; convert them to one"
        )
    unit = next(iter(units), "")
    if unit in _RATIOS:
        used = weight[additive & np.isfinite(weight)]
        if (bad := np.flatnonzero(additive & (weight <= 0))).size or (used.size and used.max() < _NO_RATIO):
            what = (
                f"row {line[bad[0]]}: effect_weight {weight[bad[0]]:g} is no ratio"
                if bad.size
                else f"all weights are below {_NO_RATIO:g}"
            )
            raise InputError(
                f"{path}: weight_type={shorten(stated[0])}, but {what}; if the weights are logarithms, say "
                f"#weight_type=log({shorten(stated[0])})"
            )
        warnings.append(
            f"weight_type={shorten(stated[0])}: natural logarithms of the weights are taken, since ratios do not add up"
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(additive, np.log(weight), weight)
    if unit not in _ADDITIVE_UNITS:
        warnings.append(f"weight_type={shorten(stated[0])} is not known: the weights are summed as they are")
    return weight


def _numbers(texts: pd.Series) -> np.ndarray:
    """Return texts as numbers, NaN where one is none."""
    array = pa.array(texts, pa.string())
    # of ASCII digits only, as text.NUMBER
    number = pc.match_substring_regex(array, r"\A[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\z")
    return np.array(pc.if_else(number, array, "nan").to_pylist(), dtype=object).astype(np.float64)


def of_each(values: pd.Series, change: Callable[[str], Any]) -> tuple[np.ndarray, list[Any]]:
    """Apply a function to each distinct text: the place of each row's result, and the results."""
    codes, distinct = pd.factorize(values.to_numpy(object))
    return codes, [change(text) for text in distinct]


def _first_of(table: pd.DataFrame, *names: str) -> pd.Series:
    """Return the first of some columns that is not empty, row by row; empty text where none is there."""
    out = pd.Series("", index=table.index, dtype=object)
    for name in names:
        if name in table:
            values = table[name].where(~table[name].isin(["NA", "nan", "."]), "")
            out = out.where(out != "", values)
    return out


def _positions(
    table: pd.DataFrame, header: Mapping[str, str], build: str, path: Path, line: np.ndarray, warnings: list[str]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return chromosome and position of the cohort's build; the harmonised ones go first.

    What is not used is added to the warnings.
    """
    for columns, key in ((("hm_chr", "hm_pos"), "HmPOS_build"), (("chr_name", "chr_position"), "genome_build")):
        if any(c not in table for c in columns):
            continue
        stated = header.get(key, "")
        known = {"hg19": "GRCh37", "hg38": "GRCh38", "GRCh37": "GRCh37", "GRCh38": "GRCh38"}.get(stated)
        if known not in (None, build):
            warnings.append(f"{columns[0]} and {columns[1]} are of {stated}, the cohort is {build}: they are not used")
            continue
        if known is None:
            if key == "HmPOS_build" or re.match(r"(hg|GRCh|NCBI)\d", stated):
                warnings.append(f"the build of {columns[1]} is not known ({key}={shorten(stated)}): it is not used")
                continue
            warnings.append(f"the file does not say of which build its positions are; they are taken for {build}")
        text = _first_of(table, columns[1])
        number = pd.Series(_numbers(text))
        if (bad := np.flatnonzero((text != "") & ~((number > 0) & (number < 2**31) & (number % 1 == 0)))).size:
            raise InputError(f"{path}: row {line[bad[0]]}: {columns[1]} '{shorten(text[bad[0]])}' is no position")
        codes = _first_of(table, columns[0])
        names = {c: normalise(c) or "" for c in codes.unique()}
        chromosome = np.where(number.notna(), codes.map(names), "").astype(object)
        return chromosome, number.fillna(0).to_numpy(np.int64), f"{columns[0]} and {columns[1]} ({build})"
    return np.full(len(table), "", dtype=object), np.zeros(len(table), np.int64), ""
