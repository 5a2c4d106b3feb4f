"""The variants of a file of weights found in a cohort, and the score of people."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.alleles import in_capitals
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.scores.moments import centred
from deepnull_gwas.scores.weights import Weights, of_each

logger = logging.getLogger(__name__)

_COMPLEMENT = {"A": "T", "T": "A", "C": "G", "G": "C"}
_ALLELES = re.compile(r"[ACGT]+")
#: What becomes of a row of the file, in the order of :data:`OUTCOMES` in reports.
OUTCOMES = {
    "matched": "the effect allele is that of the genotypes",
    "swapped": "the effect allele is the other one of the genotypes: 2 less the copies that they count",
    "ambiguous": "the strand cannot be told: A/T or C/G without the other allele, or the alleles fit only the other "
    "strand; left out",
    "mismatched": "the variant is there with other alleles; left out",
    "missing": "the variant is not among those that passed quality control",
    "not_autosomal": "on X, Y or MT; left out",
    "not_additive": "a haplotype, an interaction, a dominant or a recessive effect; left out",
    "duplicated": "the variant is there already, in an earlier row; left out",
}
_SEVERAL = re.compile(r"[/,|;]")


def _flip(allele: str) -> str:
    return "".join(_COMPLEMENT[c] for c in reversed(allele)) if _ALLELES.fullmatch(allele) else ""


#: What :func:`compare_alleles` returns.
MATCHED, SWAPPED, AMBIGUOUS, MISMATCHED = "matched", "swapped", "ambiguous", "mismatched"


def compare_alleles(effect: Sequence[str], other: Sequence[str], a1: Sequence[str], a2: Sequence[str]) -> np.ndarray:
    """Return how the alleles of weights fit those of variants.

    ``matched``, ``swapped``, ``ambiguous`` or ``mismatched`` for each pair.

    With both alleles given they are taken as they are written, A/T and C/G too: files of weights are on the forward
    strand. Without the other allele, or where only the complements fit, nothing tells the strand for sure, and the
    weight is left out (``ambiguous``).

    Parameters
    ----------
    effect, other
        Alleles of the weights; ``other`` is empty where unknown. In capitals or not.
    a1, a2
        Effect and other allele of the genotype files, in capitals or not.

    Returns
    -------
    Text, one per pair.

    Examples
    --------
    As written, the other way round, on the other strand, and A/T, which could be either strand:

    >>> found = compare_alleles(["A", "G", "C", "A"], ["G", "A", "A", ""], ["A", "A", "G", "A"], ["G", "G", "T", "T"])
    >>> found.tolist()
    ['matched', 'swapped', 'ambiguous', 'ambiguous']
    """
    lists = [np.asarray(values, dtype=object) for values in (effect, other, a1, a2)]
    # alleles are few: what they are is found once each, and numbers are compared
    codes, alleles = pd.factorize(in_capitals(np.concatenate(lists)))
    e, o, a1, a2 = np.split(codes, 4)
    place = {allele: i for i, allele in enumerate(alleles)}
    flip = np.array([place.get(_flip(allele), -1) for allele in alleles] or [0])
    no_other = o == place.get("", -2)
    palindromic = flip[a1] == a2
    flipped = ((flip[e] == a1) & (flip[o] == a2)) | ((flip[e] == a2) & (flip[o] == a1))
    both = [(e == a1) & (o == a2), (e == a2) & (o == a1), flipped]
    alone = [
        (e == a1) & ~palindromic,
        (e == a2) & ~palindromic,
        (e == a1) | (e == a2) | (flip[e] == a1) | (flip[e] == a2),
    ]
    verdicts = [np.where(no_other, one, two) for one, two in zip(alone, both)]
    return np.select(verdicts, np.array([MATCHED, SWAPPED, AMBIGUOUS], dtype=object), MISMATCHED)


@dataclass
class Matched:
    """Weights found in a cohort.

    Attributes
    ----------
    index
        Ascending indices of the variants.
    weight
        Of a copy of the cohort's effect allele: the file's, its sign turned where that is the other allele there.
    constant
        What everybody gets in addition: the sum of 2 x weight over the swapped ones.
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
    """Find the variants of a file of weights in a cohort.

    By position and alleles, and by ID where a row has no position.

    Parameters
    ----------
    weights
        The file.
    variants
        ``index``, ``chromosome``, ``position``, ``id``, ``effect_allele``, ``other_allele`` of the variants
        that may be used.
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
    outcome, rows, at = _outcomes(table, variants)
    counts = dict.fromkeys(OUTCOMES, 0) | pd.Series(outcome).value_counts().to_dict()
    weight, swapped = table["weight"].to_numpy()[rows], outcome[rows] == SWAPPED
    index = variants["index"].to_numpy(np.int64)[at]
    share = len(rows) / len(table)
    told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if count)
    logger.info("%s: %s weights, positions: %s; %s", path, f"{len(table):,}", weights.positions, told)
    if not len(rows) or share < minimum:
        raise InputError(
            f"{path}: only {len(rows):,} of {len(table):,} weights ({100 * share:.1f} %) belong to variants of the "
            f"cohort that passed quality control, "
            f"expected at least {100 * minimum:g} % (scores.minimum_matched); {told}; positions: {weights.positions}. "
            f"Check build and alleles, take "
            "the file harmonised to the cohort's build, or use imputed genotypes"
        )
    order = np.argsort(index)
    constant = float(2 * weight[swapped].sum())
    return Matched(index[order], np.where(swapped, -weight, weight)[order], constant, counts, len(table))


def _candidates(table: pd.DataFrame, variants: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of a row of the file and a variant at its place, or of its ID where it has no place.

    Their places in the two tables.
    """
    placed = (table["chromosome"] != "").to_numpy()
    named = ~placed & (table["id"] != "").to_numpy()
    # only what the file names is looked at: a cohort may have millions of others
    near = np.flatnonzero(variants["position"].isin(table["position"].to_numpy()[placed]).to_numpy())
    called = np.flatnonzero(variants["id"].isin(set(table["id"][named])).to_numpy()) if named.any() else near[:0]
    pairs = []
    for rows, there, key in ((placed, near, ["chromosome", "position"]), (named, called, ["id"])):
        left = table.loc[rows, key].assign(row=np.flatnonzero(rows))
        pairs.append(left.merge(variants.iloc[there][key].assign(at=there), on=key)[["row", "at"]])
    found = pd.concat(pairs).to_numpy(np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _outcomes(table: pd.DataFrame, variants: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what becomes of each row of a file (:data:`OUTCOMES`).

    And the rows that are used with their variants (places in the two tables).
    """
    row, at = _candidates(table, variants)
    # any one of several other alleles will do
    codes, alleles = of_each(table["other_allele"], lambda text: list(dict.fromkeys(_SEVERAL.split(text))))
    lengths, flat = np.array([len(a) for a in alleles]), np.array([a for each in alleles for a in each], dtype=object)
    starts, count = np.cumsum(lengths) - lengths, lengths[codes[row]]
    spread = np.repeat(np.arange(len(row)), count)
    which = np.arange(len(spread)) - np.repeat(np.cumsum(count) - count, count)
    verdict = compare_alleles(
        table["effect_allele"].to_numpy(object)[row][spread],
        flat[starts[codes[row]][spread] + which],
        variants["effect_allele"].to_numpy(object)[at][spread],
        variants["other_allele"].to_numpy(object)[at][spread],
    )
    n = len(table)
    fits = pd.DataFrame({"row": row[spread], "at": at[spread], "verdict": verdict})
    unsure = np.bincount(fits["row"][fits["verdict"] == AMBIGUOUS], minlength=n) > 0
    fits = fits[fits["verdict"].isin([MATCHED, SWAPPED])].drop_duplicates(["row", "at"])
    fitting = np.bincount(fits["row"], minlength=n)
    candidates = np.bincount(row, minlength=n) > 0
    autosomal = table["chromosome"].isin(AUTOSOMES).to_numpy()
    nameless = (table["chromosome"] == "").to_numpy()
    on_autosome = variants["chromosome"].isin(AUTOSOMES).to_numpy()[at]
    autosomal |= nameless & (~candidates | (np.bincount(row[on_autosome], minlength=n) > 0))
    additive = table["additive"].to_numpy(bool)
    # without the other allele, two variants at one place may both fit: nothing says which is meant
    cases = [~additive, ~autosomal, ~candidates, fitting > 1, (fitting == 0) & unsure, fitting == 0]
    names = ["not_additive", "not_autosomal", "missing", AMBIGUOUS, AMBIGUOUS, MISMATCHED]
    outcome = np.select(cases, np.array(names, dtype=object), "")
    used = fits[outcome[fits["row"].to_numpy()] == ""].sort_values("row")
    first = ~used["at"].duplicated().to_numpy()
    outcome[used["row"].to_numpy()] = np.where(first, used["verdict"].to_numpy(object), "duplicated")
    return outcome, used["row"].to_numpy()[first], used["at"].to_numpy()[first]


def score_people(fileset: Genotypes, matched: Matched, people: np.ndarray) -> np.ndarray:
    """Return for each person the sum over variants of weight times copies of the effect allele.

    Dosages are summed up where the format has them. A missing call counts as the mean of these people.

    Parameters
    ----------
    fileset
        The genotypes.
    matched
        Weights of the cohort's effect alleles.
    people
        Numbers of people in the genotype files.

    Returns
    -------
    float64, one per person; the same as ``SCORE1_SUM`` of PLINK 2 ``--score`` on these people.
    """
    total = np.full(len(people), matched.constant)
    for rows, g, mean in centred(fileset, matched.index, people):
        weight = matched.weight[rows]
        total += weight @ g.astype(np.float64) + weight @ mean
    return total
