"""Correlation of relatives, by class of relation, in what the null model of a test leaves of a phenotype.

A prediction that leaves a chromosome out does not explain all that relatives share: not the variance that it misses,
and nothing of a shared environment. What is left is measured on the pairs of relatives themselves, class by class
(``parent_child``, ``sibling``, ...), so that whatever makes relatives alike is accounted for, and kept as one
correlation per class, arm and chromosome in genome.json:

    "relatives": {"sibling": {"pairs": 1500, "kinship": 0.25, "rho": 0.21, "se": 0.02,
                              "rho_by_chromosome": {"1": 0.22, ...}}, ...}

People are predicted by models that others trained. Relatives in different folds are then in each other's models, those
in one fold are not, and what is left of their phenotypes differs: where a large cluster of relatives was cut
(:mod:`deepnull_gwas.whole_genome.folds`), a class with offsets is two, ``sibling`` and ``sibling, other fold``, and
offsets.parquet has the fold of each person.

``rho`` holds where no chromosome is left out (X, XY, Y, MT, and everywhere if the study has no offsets). The
association builds the correlation matrix of a study's people from these numbers and the pairs of relatives.tsv
(:mod:`deepnull_gwas.association.clusters`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from deepnull_gwas.cohort.families import family_clusters, kinship_column
from deepnull_gwas.tables import own_file, read_json, to_numpy
from deepnull_gwas.traits import trait_of
from deepnull_gwas.whole_genome.null_models import Covariates, fit_null_model, probabilities
from deepnull_gwas.whole_genome.offsets import WHOLE, read_offsets

logger = logging.getLogger(__name__)

#: Classes of relation, the closest first (:func:`deepnull_gwas.cohort.kinship.classify`).
RELATIONS = (
    "duplicate", "first_degree", "parent_child", "sibling", "second_degree", "third_degree", "distant",
)  # fmt: skip
#: What the name of a class ends with where the two are in different folds.
OTHER_FOLD = ", other fold"
#: Standard deviation of a class's correlation about what its kinship suggests, before its pairs are looked at. A class
#: of 25 independent pairs is taken half at its word, one of 1,500 at 98 %.
SPREAD = 0.2


@dataclass(frozen=True)
class RelatedPairs:
    """Pairs of relatives among the people of a study.

    Attributes
    ----------
    first, second
        int64[m], rows among the people, ``first < second``; in the order of these.
    relation
        str[m], the class of each pair.
    kinship
        float64[m].
    other_fold
        bool[m], whether they are in different folds; None, nobody is.
    """

    first: np.ndarray
    second: np.ndarray
    relation: np.ndarray
    kinship: np.ndarray
    other_fold: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.first)

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """First and second of each pair."""
        return self.first, self.second

    def among(self, inside: np.ndarray) -> RelatedPairs:
        """Return the pairs of some of the people (bool[n]), with rows among these."""
        place = np.cumsum(inside) - 1
        kept = inside[self.first] & inside[self.second]
        other = None if self.other_fold is None else self.other_fold[kept]
        return RelatedPairs(
            place[self.first[kept]], place[self.second[kept]], self.relation[kept], self.kinship[kept], other
        )

    def by_fold(self, fold: np.ndarray) -> RelatedPairs:
        """Return the same pairs, told by the folds of the people (int[n])."""
        other = fold[self.first] != fold[self.second]
        return replace(self, other_fold=other if other.any() else None)

    @property
    def classes(self) -> np.ndarray:
        """The class of each pair: its relation, and whether they are in different folds: str[m]."""
        if self.other_fold is None:
            return self.relation
        return np.where(self.other_fold, self.relation + OTHER_FOLD, self.relation)


def read_related_pairs(relatives: str | Path, sample_index: np.ndarray) -> RelatedPairs:
    """Read the pairs of relatives among some people.

    Parameters
    ----------
    relatives
        relatives.tsv of the cohort (:data:`deepnull_gwas.cohort.families.RELATIVES`).
    sample_index
        int64[n], the people, ascending.
    """
    with open(relatives, encoding="utf-8") as file:
        kinship = kinship_column(file.readline().rstrip("\n").split("\t"))
    columns = {
        "sample_index_1": pa.int64(), "sample_index_2": pa.int64(), kinship: pa.float64(), "relation": pa.string(),
    }  # fmt: skip
    with own_file(relatives, pa.ArrowInvalid, pa.ArrowKeyError):
        table = pyarrow.csv.read_csv(
            relatives,
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t"),
            convert_options=pyarrow.csv.ConvertOptions(column_types=columns, include_columns=list(columns)),
        )
    sides = [to_numpy(table[f"sample_index_{side}"]) for side in (1, 2)]
    rows = [np.searchsorted(sample_index, side) for side in sides]
    here = [np.isin(side, sample_index) for side in sides]
    kept = np.flatnonzero(here[0] & here[1])
    first, second = np.minimum(*rows)[kept], np.maximum(*rows)[kept]
    order = np.lexsort((second, first))
    relation = np.array(table["relation"].to_pylist(), dtype=object)[kept]
    return RelatedPairs(first[order], second[order], relation[order], to_numpy(table[kinship])[kept][order])


def family_covariance(
    trait: str,
    y: np.ndarray,
    covariates: np.ndarray,
    offsets: Mapping[str, np.ndarray | None],
    pairs: RelatedPairs,
) -> dict[str, dict[str, Any]] | None:
    """Estimate the correlation of each class of relatives in what the null models of an arm leave of the phenotype.

    Parameters
    ----------
    trait
        ``quantitative`` or ``binary``.
    y
        float64[n], the phenotype as analysed (binary: 1 case, 0 control).
    covariates
        float64[n, c], those of the arm, the DeepNull covariate among them; with or without intercept.
    offsets
        Chromosome -> float64[n], the offset of its tests (in the unit of ``y``; binary: on the logit scale), and
        ``all`` -> that from the whole genome; None for a chromosome whose tests have none though others' have. Empty
        where the arm has no offsets.
    pairs
        Pairs of relatives among these people (:func:`read_related_pairs`).

    Returns
    -------
    Relation -> ``pairs``, ``kinship`` (mean), ``rho``, ``se``, ``rho_by_chromosome``, ready for JSON (see the module);
    None where no two of the people are related.

    Notes
    -----
    The raw estimate of a class is the sum over its pairs of e_i e_j over the sum of s_i s_j: e the residuals, s their
    standard deviations under the model, one number for a quantitative trait and sqrt(mu (1 - mu)) for a binary one.
    Pairs of a family are not independent: the standard error is that of a ratio of sums over families, but never below
    that of independent pairs. A class of few pairs is drawn to what its kinship suggests, by the slope over all pairs,
    with weights by the standard error and :data:`SPREAD`: a class of many pairs keeps its own estimate.
    """
    if not len(pairs):
        return None
    residuals_given = _null_models(trait, y, covariates)
    whole = residuals_given(offsets.get(WHOLE))
    of_pair = pairs.classes
    classes = [r for r in RELATIONS if (of_pair == r).any()]
    classes += sorted(set(of_pair.tolist()) - set(classes))
    family = family_clusters(len(y), pairs.first, pairs.second)
    rows = [np.flatnonzero(of_pair == relation) for relation in classes]
    # what is left of relatives in different folds goes with kinship in another way
    other = np.array([relation.endswith(OTHER_FOLD) for relation in classes])
    kinship = np.array([pairs.kinship[r].mean() for r in rows])
    raw = [_ratio(whole, pairs, r) for r in rows]
    se = np.array([_standard_error(whole, pairs, r, family, rho) for r, rho in zip(rows, raw, strict=True)])
    rho = _draw_to_kinship(np.array(raw), se, kinship, other)
    by_chromosome: dict[str, np.ndarray] = {}
    for chromosome, offset in offsets.items():
        if chromosome != WHOLE:
            residuals = residuals_given(offset)
            by_chromosome[chromosome] = _draw_to_kinship(
                np.array([_ratio(residuals, pairs, r) for r in rows]), se, kinship, other
            )
    return {
        relation: {
            "pairs": len(rows[k]), "kinship": float(kinship[k]), "rho": float(rho[k]), "se": float(se[k]),
            "rho_by_chromosome": {c: float(values[k]) for c, values in by_chromosome.items()},
        }
        for k, relation in enumerate(classes)
    }  # fmt: skip


def _null_models(
    trait: str, y: np.ndarray, covariates: np.ndarray
) -> Callable[[np.ndarray | None], tuple[np.ndarray, np.ndarray]]:
    """Return what gives, for an offset, residuals and their standard deviations under the model: float64[n] each."""
    n, design = len(y), Covariates.of(covariates)

    def logistic(offset: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        null = fit_null_model(design, y, np.arange(n), offset)
        if null is None:
            # only cases, or only controls: such a study is not tested
            return np.zeros(n), np.zeros(n)
        eta = design.x @ null.coefficients
        mu = probabilities(eta if offset is None else eta + offset)
        return y - mu, np.sqrt(mu * (1 - mu))

    if trait_of(trait).has_cases:
        return logistic
    basis = _orthonormal(design.x)

    def linear(offset: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        left = y if offset is None else y - offset
        left = left - basis @ (basis.T @ left)
        left -= basis @ (basis.T @ left)
        return left, np.full(n, np.sqrt(left @ left / n))

    return linear


def _orthonormal(x: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of columns of mean 0 and variance 1 and a constant; collinear ones add nothing."""
    size, direction = np.linalg.eigh(x.T @ x / len(x))
    kept = size > 1e-10
    return np.linalg.qr(x @ (direction[:, kept] / np.sqrt(size[kept])))[0]


def _ratio(residuals: tuple[np.ndarray, np.ndarray], pairs: RelatedPairs, rows: np.ndarray) -> float:
    """Return the sum of products of residuals over that of their standard deviations, for some pairs."""
    e, s = residuals
    first, second = pairs.first[rows], pairs.second[rows]
    scale = float(s[first] @ s[second])
    return float(e[first] @ e[second]) / scale if scale > 0 else 0.0


def _standard_error(
    residuals: tuple[np.ndarray, np.ndarray], pairs: RelatedPairs, rows: np.ndarray, family: np.ndarray, rho: float
) -> float:
    """Return the standard error of :func:`_ratio`, by families; at least that of as many independent pairs."""
    e, s = residuals
    first, second = pairs.first[rows], pairs.second[rows]
    off = e[first] * e[second] - rho * s[first] * s[second]
    by_family = np.bincount(family[first], weights=off)
    scale = float(s[first] @ s[second])
    robust = float(np.sqrt(by_family @ by_family)) / scale if scale > 0 else 0.0
    return max(robust, 1 / np.sqrt(len(rows)))


def _draw_to_kinship(raw: np.ndarray, se: np.ndarray, kinship: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the estimates of the classes, each drawn to the slope of all on twice the kinship (see the notes).

    The classes of relatives in different folds (bool ``other``) have a slope of their own.
    """
    if other.any() and not other.all():
        out = np.empty(len(raw))
        for some in (other, ~other):
            out[some] = _draw_to_kinship(raw[some], se[some], kinship[some], np.zeros(int(some.sum()), dtype=bool))
        return out
    # a handful of pairs with outlying values goes beyond any correlation
    raw, x = np.clip(raw, -1.0, 1.0), 2 * kinship
    # the slope is that of a heritability: of size 1 before any pair is seen
    slope = float((x * raw / se**2).sum() / ((x / se) ** 2).sum()) if np.any(x) else 0.0
    slope *= 1 / (1 + 1 / max(float(((x / se) ** 2).sum()), 1e-300))
    own = 1 / se**2
    return (own * raw + np.clip(slope * x, -1.0, 1.0) / SPREAD**2) / (own + 1 / SPREAD**2)


@dataclass(frozen=True)
class RelativeCorrelations:
    """The pairs of relatives of a study and how correlated they are, for each arm.

    Attributes
    ----------
    pairs
        Among the study's people.
    rho
        Arm -> chromosome, or ``all`` -> relation -> correlation. An arm that is absent has none.
    """

    pairs: RelatedPairs
    rho: Mapping[str, Mapping[str, Mapping[str, float]]]

    def on(self, arm: str, chromosome: str, pairs: RelatedPairs | None = None) -> np.ndarray:
        """Return the correlation of each pair (of ``pairs``; None: all) in the tests of a chromosome: float64[m]."""
        pairs = self.pairs if pairs is None else pairs
        by_chromosome = self.rho.get(arm, {})
        of_class = by_chromosome.get(chromosome, by_chromosome.get(WHOLE, {}))
        out = np.zeros(len(pairs))
        for relation, rho in of_class.items():
            out[pairs.relation == relation] = rho
        # an arm without offsets has the same correlations in different folds
        for relation, rho in of_class.items() if pairs.other_fold is not None else ():
            out[pairs.classes == relation] = rho
        return out


def read_correlations(
    relatives: str | Path, genome: str | Path, sample_index: np.ndarray
) -> RelativeCorrelations | None:
    """Read how correlated the relatives of a study are; None where no two of its people are related.

    Parameters
    ----------
    relatives
        relatives.tsv of the cohort.
    genome
        genome.json of the study (see the module), offsets.parquet next to it.
    sample_index
        int64[n], people of the study, ascending.
    """
    rho: dict[str, dict[str, dict[str, float]]] = {}
    for arm, about in read_json(genome)["arms"].items():
        for relation, found in (about.get("relatives") or {}).items():
            chromosomes = rho.setdefault(arm, {})
            for chromosome, value in {WHOLE: found["rho"], **found["rho_by_chromosome"]}.items():
                chromosomes.setdefault(chromosome, {})[relation] = float(value)
    if not rho:
        return None
    pairs = read_related_pairs(relatives, np.asarray(sample_index))
    if any(name.endswith(OTHER_FOLD) for of_arm in rho.values() for name in of_arm.get(WHOLE, {})):
        pairs = pairs.by_fold(read_offsets(Path(genome).with_name("offsets.parquet")).fold)
    return RelativeCorrelations(pairs, rho) if len(pairs) else None
