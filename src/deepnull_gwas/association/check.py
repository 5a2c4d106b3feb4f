"""The check that every association job makes of itself: a few variants are tested by the second implementation, too.

The strongest result of each study and arm, and a tested variant of each class of chromosomes, chosen at random with a
fixed seed, are recomputed (:mod:`deepnull_gwas.verify`) from the genotypes and the files of the study before the result
gets its name. Where anything differs, the job fails.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from deepnull_gwas.association.codes import METHODS, TESTED
from deepnull_gwas.errors import SelfCheckError
from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.traits import trait_of
from deepnull_gwas.verify.compare import METHODS_KNOWN, METHODS_OF, count_agrees, differences
from deepnull_gwas.verify.files import Study
from deepnull_gwas.verify.genotypes import read_copies, read_probabilities
from deepnull_gwas.verify.second import Second

logger = logging.getLogger(__name__)

#: Random variants of each study, arm and class of chromosomes, in addition to the strongest: with 20 studies
#: in a batch the check takes 3 % of the job.
RANDOM = 1
#: Problems named in the message.
NAMED = 8
#: Columns that are compared with what the second implementation counts, and its names for them.
COUNTED = {
    "n": "n",
    "eaf": "effect_allele_frequency",
    "n_cases": "n_cases",
    "eaf_cases": "effect_allele_frequency_cases",
    "eaf_controls": "effect_allele_frequency_controls",
    "info": "info",
}


@dataclass(frozen=True)
class Row:
    """One result to check: its place among the chunk's variants, and what the scan found.

    Attributes
    ----------
    rank
        The lower, the sooner it is chosen.
    """

    rank: float
    at: int
    values: dict[str, float]
    method: str


@dataclass
class Sample:
    """Those of a job's results that are to be checked; collected while they pass on their way to the disk.

    Parameters
    ----------
    arms
        (study, its trait, arm) of each analysis.
    classes
        Class of each variant of the chunk (``autosome``, ``X``, ``Y`` or ``MT``).
    seed
        Decides, alone, which variants: not the order of the work.
    """

    arms: Sequence[tuple[str, str, str]]
    classes: np.ndarray
    seed: int
    strongest: dict[tuple[str, str], Row] = field(default_factory=dict)
    random: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rank = np.random.default_rng([self.seed, len(self.classes)]).permutation(len(self.classes))

    def add(self, columns: Mapping[str, np.ndarray], at: np.ndarray) -> None:
        """Look at results.

        Parameters
        ----------
        columns
            Columns of the scan (methods and reasons as codes).
        at
            int64, which variants of the chunk they are about.
        """
        classes = self.classes[at]
        # the same for all studies: who comes first among the variants of a class
        by_rank = np.argsort(self.rank[at])
        first_of = {kind: by_rank[classes[by_rank] == kind] for kind in dict.fromkeys(classes)}
        for study, trait, arm in self.arms:
            tested, key = columns[f"{study}.{arm}.reason"] == TESTED, (study, arm)
            p = np.where(tested, columns[f"{study}.{arm}.neg_log10_p"], -1.0)
            best = int(np.argmax(p))
            if not tested[best]:
                continue
            if key not in self.strongest or -p[best] < self.strongest[key].rank:
                self.strongest[key] = self._row(columns, study, trait, arm, best, at, -float(p[best]))
            for kind, order in first_of.items():
                rows = [
                    self._row(columns, study, trait, arm, k, at, float(self.rank[at[k]])) for k in _first(order, tested)
                ]
                kept = self.random.get((*key, kind), []) + rows
                self.random[*key, kind] = sorted(kept, key=lambda row: row.rank)[:RANDOM]

    def _row(self, columns, study: str, trait: str, arm: str, k: int, at: np.ndarray, rank: float) -> Row:
        names = [f"{arm}.beta", f"{arm}.se", f"{arm}.neg_log10_p", "n", "eaf"]
        names += ["n_cases", "eaf_cases", "eaf_controls"] if trait_of(trait).has_cases else []
        names += ["info"] if f"{study}.info" in columns else []
        values = {name.rpartition(".")[2]: float(columns[f"{study}.{name}"][k]) for name in names}
        return Row(rank, int(at[k]), values, METHODS[columns[f"{study}.{arm}.method"][k]])

    def of(self, study: str, arm: str) -> dict[int, Row]:
        """Return what was chosen of a study and arm, by its place."""
        rows = [row for (s, a, _), kept in self.random.items() if (s, a) == (study, arm) for row in kept]
        rows += [self.strongest[study, arm]] if (study, arm) in self.strongest else []
        return {row.at: row for row in sorted(rows, key=lambda row: row.at)}


def _first(order: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Return the first few variants in an order that are tested."""
    few = order[: 32 * RANDOM]
    found = few[tested[few]][:RANDOM]
    return found if len(found) == RANDOM else order[tested[order]][:RANDOM]


def compare(
    second: Second,
    calls: np.ndarray,
    arm: str,
    row: Row,
    probabilities: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[str]:
    """Test a variant again and return what differs, each with its column, what was found and what was expected."""
    found, counted = [], second.counts(calls)
    if "info" in row.values:
        counted["info"] = second.information(calls, probabilities)
    for name, value in row.values.items():
        if name in COUNTED and not count_agrees(name, value, counted[COUNTED[name]]):
            found.append(f"{name}: found {value:.7g}, expected {counted[COUNTED[name]]:.7g}")
    if row.method not in METHODS_OF[second.study.trait]:
        allowed = ", ".join(sorted(METHODS_OF[second.study.trait]))
        return [*found, f"method: found {row.method or 'none'}, expected one of: {allowed}"]
    if row.method in METHODS_KNOWN:
        values = [row.values[c] for c in ("beta", "se", "neg_log10_p")]
        for difference in differences(*values, second.test(calls, arm, row.method)):
            if not difference.agrees:
                found.append(f"{difference.name}: found {row.values[difference.name]:.7g}, {difference}")
    return found


def check(
    sample: Sample,
    studies: Sequence[Study],
    sex: np.ndarray,
    files: Genotypes,
    variants: pa.Table,
    settings: Mapping[str, Any],
    pool: Executor,
) -> int:
    """Test what was sampled again by the second implementation.

    Parameters
    ----------
    sample
        The results.
    studies
        The batch, read again from its files.
    sex
        int8, one per person of the genotype files.
    files
        Which genotype files there are, and which variants lie in which.
    variants
        The chunk's variants: index, chromosome, position, id, effect_allele, other_allele.
    settings
        The ``association`` section.
    pool
        Where the work goes; what is compared does not depend on it.

    Returns
    -------
    How many results were compared.

    Raises
    ------
    SelfCheckError
        When any differs, naming study, arm, variant, what was found and what was expected.
    """
    calls: dict[int, tuple[np.ndarray, Any]] = {}

    def read(at: int) -> tuple[np.ndarray, Any]:
        if at not in calls:
            row = variants["index"][at].as_py()
            given = files.place_of(row), files.n_samples, files.single_copies_at(row)
            calls[at] = read_copies(*given), read_probabilities(*given)
        return calls[at]

    problems: list[str] = []
    compared = 0
    chromosomes = variants["chromosome"].to_pylist()
    before: dict[str, Second] = {}
    for study in studies:
        # study after study: what one needs in memory is let go before the next
        seconds: dict[tuple[str, str], Second] = {}
        work = []
        for arm in study.arms:
            for at, row in sample.of(study.name, arm).items():
                kind, chromosome = str(sample.classes[at]), chromosomes[at]
                place = study.place(kind, chromosome)
                if place not in seconds:
                    seconds[place] = Second(study, sex, kind, settings, chromosome).ready(before.get(kind))
                    before[kind] = seconds[place]
                genotypes, probabilities = read(at)
                work.append((seconds[place], genotypes, arm, row, probabilities))
        for (_, _, arm, row, _), found in zip(work, pool.map(lambda w: compare(*w), work), strict=True):
            compared += 1
            name = "variant {id} ({chromosome}:{position}, {effect_allele}/{other_allele})".format(
                **variants.slice(row.at, 1).to_pylist()[0]
            )
            problems += [f"study {study.name}, {arm} arm: {name}, {row.method}: {text}" for text in found]
    if problems:
        more = [f"... and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
        raise SelfCheckError([*problems[:NAMED], *more], compared)
    return compared
