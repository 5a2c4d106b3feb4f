"""Polygenic scores from published weights: the format of the PGS Catalog, its variants found in a cohort, and the score of people."""

from __future__ import annotations

import csv
import io
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.text_table import read_text
from deepnull_gwas.errors import InputError, some
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES, normalise
from deepnull_gwas.genotypes.fileset import Fileset
from deepnull_gwas.prediction.clumping import centred
from deepnull_gwas.text import is_number, shorten

logger = logging.getLogger(__name__)

_COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}
_ALLELES = re.compile(r"[ACGT]+")
#: Rows that are no weight of one allele's copies.
_NOT_ADDITIVE = ("is_haplotype", "is_diplotype", "is_interaction", "is_dominant", "is_recessive")
#: What becomes of a row of the file, in the order of :data:`OUTCOMES` in reports.
OUTCOMES = {
    "matched": "the effect allele is A1 of the .bim",
    "swapped": "the effect allele is A2: its copies are 2 less those of A1",
    "ambiguous": "the strand cannot be told: A/T or C/G without the other allele, or the alleles fit only the other strand; left out",
    "mismatched": "the variant is there with other alleles; left out",
    "missing": "the variant is not among those that passed quality control",
    "not_autosomal": "on X, Y or MT; left out",
    "not_additive": "a haplotype, an interaction, a dominant or a recessive effect; left out",
    "duplicated": "the variant is there already, in an earlier row; left out",
}


@dataclass
class Weights:
    """A file of weights.

    Attributes
    ----------
    table
        ``row`` (of the file, from 1), ``chromosome`` and ``position`` (empty and 0 where unknown or of another build), ``id``, ``effect_allele``,
        ``other_allele`` (empty where unknown), ``weight``, ``additive``.
    header
        What the lines with ``#`` say.
    positions
        Which columns the positions come from, in words.
    """

    table: pd.DataFrame
    header: dict[str, str] = field(default_factory=dict)
    positions: str = ""


def read_weights(path: str | Path, build: str) -> Weights:
    """Read a scoring file of the PGS Catalog (https://www.pgscatalog.org/downloads/), text or gzipped, harmonised or not.

    Parameters
    ----------
    path
        The file: lines ``#key=value``, then a table separated by tabs with ``effect_allele``, ``effect_weight``, and ``rsID`` or ``chr_name`` and
        ``chr_position`` (``hm_rsID``, ``hm_chr``, ``hm_pos``); ``other_allele`` where known.
    build
        Genome build of the cohort. Positions of another build are not used.

    Raises
    ------
    InputError
        When the file is no such table, or a weight or an allele is none.
    """
    path = Path(path)
    text = read_text(path).decode().replace("\r\n", "\n").replace("\r", "\n")
    start, head = 0, []
    while text.startswith("#", start) or text.startswith("\n", start):
        end = text.find("\n", start) + 1 or len(text)
        head.append(text[start:end])
        start = end
    if not text[start:].strip():
        raise InputError(f"{path}: is empty; expected a scoring file in the format of the PGS Catalog")
    pairs = [line.lstrip("#").split("=", 1) for line in head if "=" in line]
    header = {key.strip(): value.strip() for key, value in pairs}
    first = len(head) + 1
    text = text[start:]
    names = [c.strip() for c in text.partition("\n")[0].split("\t")]
    expected = "effect_allele, effect_weight and rsID, or chr_name and chr_position, separated by tabs"
    for needed in ("effect_allele", "effect_weight"):
        if needed not in names:
            raise InputError(f"{path}: line {first}: no column '{needed}'; found {some(names, 8)}, expected {expected}")
    if repeated := sorted({c for c in names if names.count(c) > 1}):
        raise InputError(f"{path}: line {first}: column '{repeated[0]}' is there more than once")
    table, line = _read_table(text, names, path, first)
    if table.empty:
        raise InputError(f"{path}: has a header but no weight")
    texts = table["effect_weight"]
    weight = pd.to_numeric(texts.where(texts.map(is_number).astype(bool)), errors="coerce").to_numpy(np.float64)
    if (bad := np.flatnonzero(~np.isfinite(weight))).size:
        raise InputError(f"{path}: line {line[bad[0]]}: effect_weight '{shorten(texts[bad[0]])}' is no number")
    chromosome, position, source = _positions(table, header, build, path, line)
    identifier = _first_of(table, "hm_rsID", "rsID")
    if not source and (identifier == "").all():
        raise InputError(
            f"{path}: no row has an rsID or a position of {build}; found {some(names, 8)}, expected {expected}"
        )
    effect, other = (_first_of(table, name).str.upper() for name in ("effect_allele", "other_allele"))
    if (empty := np.flatnonzero(effect == "")).size:
        raise InputError(f"{path}: line {line[empty[0]]}: no effect_allele")
    additive = ~np.any([_first_of(table, c).str.lower().isin(["true", "1", "yes"]) for c in _NOT_ADDITIVE], axis=0)
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
    return Weights(frame, header, source or f"none of {build}: variants are found by ID")


def _read_table(text: str, names: list[str], path: Path, first: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Read the table of a file, as text, and give the line of each row; ``text`` begins with the header, which is line ``first``."""
    lines, blank = [], False
    for number, line in enumerate(io.StringIO(text), first):
        if not line.strip():
            blank = True
            continue
        if line.count("\t") != len(names) - 1:
            raise InputError(f"{path}: line {number}: {line.count(chr(9)) + 1} fields, but the header has {len(names)}")
        lines.append(number)
    if blank:
        text = "".join(line for line in io.StringIO(text) if line.strip())
    table = pd.read_csv(
        io.StringIO(text), sep="\t", names=names, header=0, index_col=False, dtype=str, keep_default_na=False, na_values=[],
        quoting=csv.QUOTE_NONE,
    )  # fmt: skip
    return table.apply(lambda values: values.str.strip()), np.array(lines[1:], dtype=np.int64)


def _first_of(table: pd.DataFrame, *names: str) -> pd.Series:
    """Give the first of some columns that is not empty, row by row; empty text where none is there."""
    out = pd.Series("", index=table.index, dtype=object)
    for name in names:
        if name in table:
            values = table[name].where(~table[name].isin(["NA", "nan", "."]), "")
            out = out.where(out != "", values)
    return out


def _positions(
    table: pd.DataFrame, header: dict[str, str], build: str, path: Path, line: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """Give chromosome and position of the cohort's build; the harmonised ones go first."""
    for columns, key in ((("hm_chr", "hm_pos"), "HmPOS_build"), (("chr_name", "chr_position"), "genome_build")):
        if any(c not in table for c in columns):
            continue
        stated = header.get(key, "")
        known = {"hg19": "GRCh37", "hg38": "GRCh38", "GRCh37": "GRCh37", "GRCh38": "GRCh38"}.get(stated)
        if known not in (None, build):
            logger.warning(
                "%s: %s and %s are of %s, the cohort is %s: they are not used", path, *columns, stated, build
            )
            continue
        if known is None:
            if key == "HmPOS_build" or re.match(r"(hg|GRCh|NCBI)\d", stated):
                logger.warning(
                    "%s: the build of %s is not known (%s=%s): it is not used", path, columns[1], key, stated
                )
                continue
            logger.warning("%s: does not say of which build its positions are; they are taken for %s", path, build)
        text = _first_of(table, columns[1])
        number = pd.to_numeric(text, errors="coerce")
        if (bad := np.flatnonzero((text != "") & ~((number > 0) & (number % 1 == 0)))).size:
            raise InputError(f"{path}: line {line[bad[0]]}: {columns[1]} '{shorten(text[bad[0]])}' is no position")
        codes = _first_of(table, columns[0])
        names = {c: normalise(c) or "" for c in codes.unique()}
        chromosome = np.where(number.notna(), codes.map(names), "").astype(object)
        return chromosome, number.fillna(0).to_numpy(np.int64), f"{columns[0]} and {columns[1]} ({build})"
    return np.full(len(table), "", dtype=object), np.zeros(len(table), np.int64), ""


def _flip(allele: str) -> str:
    return "".join(_COMPLEMENT[c] for c in reversed(allele)) if _ALLELES.fullmatch(allele) else ""


def compare_alleles(effect: str, other: str, a1: str, a2: str) -> str:
    """Say how the alleles of a weight fit those of a variant (A1 and A2 of the .bim): ``matched``, ``swapped``, ``ambiguous`` or ``mismatched``.

    With both alleles given they are taken as they are written, A/T and C/G too: files of weights are on the forward strand. Without the other allele, or
    where only the complements fit, nothing tells the strand for sure, and the weight is left out (``ambiguous``).
    """
    palindromic = _flip(a1) == a2
    if other:
        if (effect, other) == (a1, a2):
            return "matched"
        if (effect, other) == (a2, a1):
            return "swapped"
        return "ambiguous" if {_flip(effect), _flip(other)} == {a1, a2} else "mismatched"
    if effect in (a1, a2):
        if palindromic:
            return "ambiguous"
        return "matched" if effect == a1 else "swapped"
    return "ambiguous" if _flip(effect) in (a1, a2) else "mismatched"


@dataclass
class Matched:
    """Weights found in a cohort.

    Attributes
    ----------
    index
        Ascending indices of the variants.
    weight
        Of a copy of A1: the file's, its sign turned where the effect allele is A2.
    constant
        What everybody gets beside it: the sum of 2 x weight over the swapped ones.
    counts
        Rows by outcome (:data:`OUTCOMES`).
    total
        Rows of the file.
    """

    index: np.ndarray
    weight: np.ndarray
    constant: float
    counts: dict[str, int]
    total: int


def match_weights(weights: Weights, variants: pd.DataFrame, path: str | Path, minimum: float) -> Matched:
    """Find the variants of a file of weights in a cohort: by position and alleles, and by ID where a row has no position.

    Parameters
    ----------
    weights
        The file.
    variants
        ``index``, ``chromosome``, ``position``, ``id``, ``effect_allele`` (A1), ``other_allele`` (A2) of the variants that may be used.
    path
        Of the file, for messages.
    minimum
        Least share of rows that must be matched or swapped.

    Raises
    ------
    InputError
        When fewer rows than that are found; the message counts what became of them.
    """
    table = weights.table
    # only what the file names is looked at: a cohort may have millions of others
    wanted = pd.MultiIndex.from_arrays([table["chromosome"], table["position"]])
    places = pd.MultiIndex.from_arrays([variants["chromosome"], variants["position"]])
    near = variants[places.isin(wanted) | variants["id"].isin(set(table["id"]) - {""})]
    by_place: dict[tuple[str, int], list[Any]] = {}
    by_id: dict[str, list[Any]] = {}
    for row in near.itertuples(index=False):
        by_place.setdefault((row.chromosome, row.position), []).append(row)
        by_id.setdefault(row.id, []).append(row)
    autosomal = set(AUTOSOMES)
    counts = dict.fromkeys(OUTCOMES, 0)
    found: dict[int, float] = {}
    constant = 0.0
    for row in table.itertuples(index=False):
        candidates = by_place.get((row.chromosome, row.position), []) if row.chromosome else by_id.get(row.id, [])
        chromosomes = {row.chromosome} if row.chromosome else {c.chromosome for c in candidates}
        outcome = "missing"
        if not row.additive:
            outcome = "not_additive"
        elif chromosomes and not chromosomes & autosomal:
            outcome = "not_autosomal"
        elif candidates:
            verdicts = [
                compare_alleles(row.effect_allele, row.other_allele, c.effect_allele, c.other_allele)
                for c in candidates
            ]
            fits = [(c, v) for c, v in zip(candidates, verdicts) if v in ("matched", "swapped")]
            if fits:
                # without the other allele, two variants at one place may both fit: nothing says which is meant
                variant, outcome = fits[0]
                if len(fits) > 1:
                    outcome = "ambiguous"
                elif variant.index in found:
                    outcome = "duplicated"
                else:
                    found[variant.index] = row.weight if outcome == "matched" else -row.weight
                    constant += 2 * row.weight if outcome == "swapped" else 0.0
            else:
                outcome = "ambiguous" if "ambiguous" in verdicts else "mismatched"
        counts[outcome] += 1
    share = len(found) / len(table)
    told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if count)
    logger.info("%s: %s weights, positions: %s; %s", path, f"{len(table):,}", weights.positions, told)
    if not found or share < minimum:
        raise InputError(
            f"{path}: only {len(found):,} of {len(table):,} weights ({100 * share:.1f} %) belong to variants of the cohort that passed quality control, "
            f"expected at least {100 * minimum:g} % (scores.minimum_matched); {told}; positions: {weights.positions}. Check build and alleles, take "
            "the file harmonised to the cohort's build, or use imputed genotypes"
        )
    index = np.array(sorted(found), dtype=np.int64)
    return Matched(index, np.array([found[i] for i in index.tolist()]), constant, counts, len(table))


def score_people(fileset: Fileset, matched: Matched, people: np.ndarray) -> np.ndarray:
    """Give each person the sum over variants of weight times copies of the effect allele; a missing call counts as the mean of these people.

    Parameters
    ----------
    fileset
        The genotypes.
    matched
        Weights of A1.
    people
        Rows of the .fam.

    Returns
    -------
    float64, one a person; the same as ``SCORE1_SUM`` of PLINK 2 ``--score`` on these people.
    """
    total = np.full(len(people), matched.constant)
    for rows, g, mean in centred(fileset, matched.index, people):
        weight = matched.weight[rows]
        total += weight @ g.astype(np.float64) + weight @ mean
    return total
