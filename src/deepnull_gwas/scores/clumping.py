"""Polygenic scores by clumping and thresholding, cross-fitted.

Nobody's score rests on the phenotype of anybody in their fold.

For each evaluated fold f there are k trainings: one without f, which scores the people of f; and for each other fold g
one without f and g, which scores the people of g. So the people on whom the weight of the score is fitted, to predict
f, have scores like those of f: by a training that has seen neither them nor f. All trainings come from one pass over
the genotypes, by moments of each fold.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri
from threadpoolctl import threadpool_limits

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.kernels import select_people
from deepnull_gwas.genotypes.variant_planes import correlated_above, padded_lanes, variant_planes, words_of_people
from deepnull_gwas.jit import numba
from deepnull_gwas.logs import Progress
from deepnull_gwas.scores.moments import Moments, Training, centred, marginal, trainings

logger = logging.getLogger(__name__)

#: People from whom linkage disequilibrium is estimated, at most: more change nothing that matters for a threshold.
LD_PEOPLE = 10_000
#: Bytes of genotypes that are read at a time for linkage disequilibrium.
_LD_BYTES = 16 << 20


@numba.njit(nogil=True, cache=True)
def _clump(called, hom, minus, sums, position, order, candidate, n_people, window, r2, lead):
    """Mark the leads: candidates from the strongest on that no stronger lead within the window correlates with."""
    removed = ~candidate
    for i in order:
        if removed[i]:
            continue
        lead[i] = True
        removed[i] = True
        for step in (-1, 1):
            j = i + step
            while 0 <= j < len(position) and abs(position[j] - position[i]) <= window:
                if not removed[j] and correlated_above(called, hom, minus, sums, i, j, n_people, r2):
                    removed[j] = True
                j += step


@numba.njit(nogil=True, cache=True)
def _add(g, weight, first, out):
    """Add each variant's weight times its dosages to the row of its first threshold, one after the other.

    A matrix product would group its sums by which variants any training uses, and so let a person's phenotype into the
    last digit of their own score.
    """
    for v in range(len(weight)):
        if weight[v] != 0:
            target = out[first[v]]
            for i in range(g.shape[1]):
                target[i] += weight[v] * g[v, i]


def clump(
    fileset: Genotypes,
    index: np.ndarray,
    position: np.ndarray,
    chi2: np.ndarray,
    least: float,
    people: np.ndarray,
    window: int,
    r2: float,
) -> np.ndarray:
    """Choose the lead variants of one chromosome, for each column of statistics: greedily, the strongest first.

    Parameters
    ----------
    fileset
        The genotypes.
    index, position
        Variants in order of position.
    chi2
        float[variants, columns]; ties go to the variant that comes first.
    least
        Chi-square that a variant needs.
    people
        Numbers in the genotype files from whom correlations are estimated.
    window
        Base pairs to either side of a lead.
    r2
        Squared correlation with a stronger lead above which a variant goes.

    Returns
    -------
    bool[variants, columns].
    """
    lead = np.zeros(chi2.shape, dtype=bool)
    if not len(index):
        return lead
    # the people who count side by side: the planes of 10,000 people fit where those of a biobank would not
    n_words, lanes = words_of_people(len(people)), padded_lanes(np.ones(len(people), dtype=bool))
    planes = [np.empty((len(index), n_words), dtype=np.uint64) for _ in range(3)]
    sums = np.empty((len(index), 3), dtype=np.int64)
    size = int(np.clip(_LD_BYTES // max(fileset.bytes_per_variant, len(people)), 16, 1024))
    for first in range(0, len(index), size):
        part = slice(first, min(first + size, len(index)))
        words = select_people(fileset.calls(index[part]), people, n_words)
        variant_planes(words, lanes, [p[part] for p in planes], sums[part])
    place = np.ascontiguousarray(position, dtype=np.int64)
    for c in range(chi2.shape[1]):
        order = np.argsort(-chi2[:, c], kind="stable")
        marked = np.zeros(len(index), dtype=bool)
        _clump(*planes, sums, place, order, chi2[:, c] >= least, len(people), window, r2, marked)
        lead[:, c] = marked
    return lead


@dataclass
class CrossScores:
    """Scores of every arm, evaluated fold and threshold.

    Attributes
    ----------
    scores
        float64[arms, evaluated folds, thresholds, people]: for the evaluated fold's own people by the training without
        it; for those of another fold by the training that has seen neither.
    variants
        int[arms, evaluated folds, thresholds]: variants in the score of the evaluated fold.
    thresholds
        p-values.
    tested
        Number of variants.
    """

    scores: np.ndarray
    variants: np.ndarray
    thresholds: list[float]
    tested: int


@dataclass(frozen=True)
class Sample:
    """The people of a study.

    Attributes
    ----------
    people
        Their numbers in the genotype files.
    covariates, extra, y, fold
        See :class:`~deepnull_gwas.scores.moments.Moments`. Without ``extra`` there is one arm, else two: without and
        with it.
    """

    people: np.ndarray
    covariates: np.ndarray
    extra: np.ndarray | None
    y: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True)
class Rules:
    """How a score is made.

    Attributes
    ----------
    thresholds
        p-values of the marginal test above which a variant does not count, ascending.
    window_kb, r2
        See :func:`clump`.
    """

    thresholds: Sequence[float]
    window_kb: float
    r2: float

    @property
    def bounds(self) -> np.ndarray:
        """The thresholds as chi-squares."""
        return chdtri(1.0, np.array(self.thresholds))


@dataclass(frozen=True)
class _Tested:
    """Variants that any training finds below the largest threshold: rows of the variants, their effects and chi-squares
    (variants x arms x trainings)."""

    rows: np.ndarray
    beta: np.ndarray
    chi2: np.ndarray


def cross_scores(
    fileset: Genotypes, variants: Mapping[str, np.ndarray], sample: Sample, rules: Rules, threads: int = 1
) -> CrossScores:
    """Train and apply the scores of all trainings: one pass over the variants, and one over those that lead a clump.

    Parameters
    ----------
    fileset
        The genotypes; dosages are tested and summed up where it has them, correlations are those of hard calls.
    variants
        ``index``, ``chromosome``, ``position`` of the variants to use, by index.
    sample
        The people.
    rules
        How the score is made.
    threads
        Blocks at a time; the result does not depend on it.

    Notes
    -----
    Weights are the marginal coefficients of a linear model with the covariates, of the phenotype itself (binary: 0/1,
    whose coefficients are near those of the logistic model up to a factor). Clumping and thresholding as in Purcell et
    al. 2009 (Nature 460:748) and PRSice (Choi and O'Reilly 2019, GigaScience 8:giz082), whose window and r2 are the
    defaults.
    """
    moments = Moments(sample.covariates, sample.extra, sample.y, sample.fold)
    with threadpool_limits(1), ThreadPoolExecutor(max(1, threads)) as pool:
        tested = _test(fileset, variants["index"], sample.people[moments.order], moments, rules, pool, threads)
        lead = _find_leads(fileset, variants, sample.people, tested, rules, pool)
    used = np.flatnonzero(lead.any(axis=(1, 2)))
    scores = _sum_up(
        fileset,
        variants["index"][tested.rows[used]],
        sample.people,
        moments,
        rules,
        np.where(lead[used], tested.beta[used], 0).astype(np.float64),
        tested.chi2[used],
    )
    own = [trainings(moments.k).index(Training(f, f)) for f in range(moments.k)]
    counts = (lead[:, :, own, None] & (tested.chi2[:, :, own, None] >= rules.bounds)).sum(axis=0)
    logger.info(
        "%s variants tested, %s with p <= %g in some training, %s of them lead a clump in some training",
        f"{len(variants['index']):,}", f"{len(tested.rows):,}", rules.thresholds[-1], f"{len(used):,}",
    )  # fmt: skip
    return CrossScores(scores, counts, list(rules.thresholds), len(variants["index"]))


def _test(
    fileset: Genotypes, index: np.ndarray, ordered: np.ndarray, moments: Moments, rules: Rules,
    pool: ThreadPoolExecutor, threads: int,
) -> _Tested:  # fmt: skip
    """Test all variants in all trainings; ``ordered`` are the people in the order of the moments."""
    least = float(rules.bounds.min())
    progress = Progress(len(index), "variants")

    def test(block: tuple[slice, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, g, _ = block
        beta, chi2 = marginal(moments, g)
        some = np.flatnonzero((chi2 >= least).any(axis=(1, 2)))
        progress.add(len(g))
        return rows.start + some, beta[some], chi2[some]

    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    blocks = centred(fileset, index, ordered)
    # as many blocks in memory as there are threads
    while batch := [b for _, b in zip(range(max(1, threads)), blocks)]:
        found += list(pool.map(test, batch))
    none = np.zeros((0, len(moments.prepared), len(trainings(moments.k))), np.float32)
    return _Tested(
        np.concatenate([f[0] for f in found] or [np.zeros(0, np.int64)]),
        np.concatenate([f[1] for f in found] or [none]),
        np.concatenate([f[2] for f in found] or [none]),
    )


def _find_leads(
    fileset: Genotypes, variants: Mapping[str, np.ndarray], people: np.ndarray, tested: _Tested, rules: Rules,
    pool: ThreadPoolExecutor,
) -> np.ndarray:  # fmt: skip
    """Clump chromosome by chromosome, each column of statistics: bool, of the shape of the chi-squares."""
    lead = np.zeros(tested.chi2.shape, dtype=bool)
    chromosome = variants["chromosome"][tested.rows]
    least = float(rules.bounds.min())
    # evenly spaced, so that every part of the genotype files counts
    spread = np.sort(people)[np.linspace(0, len(people) - 1, min(LD_PEOPLE, len(people))).astype(np.int64)]

    def clump_one(name: str) -> None:
        here = np.flatnonzero(chromosome == name)
        here = here[np.argsort(variants["position"][tested.rows[here]], kind="stable")]
        at = tested.rows[here]
        chi2 = tested.chi2[here].reshape(len(here), -1)
        window = int(rules.window_kb * 1000)
        marked = clump(fileset, variants["index"][at], variants["position"][at], chi2, least, spread, window, rules.r2)
        lead[here] = marked.reshape(len(here), *lead.shape[1:])

    list(pool.map(clump_one, sorted(set(chromosome.tolist()))))
    return lead


def _sum_up(
    fileset: Genotypes, index: np.ndarray, people: np.ndarray, moments: Moments, rules: Rules, weights: np.ndarray,
    chi2: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the scores of the leads (weights and chi-squares: leads x arms x trainings), see :class:`CrossScores`."""
    # each lead counts from the strictest threshold on that it passes
    first = np.searchsorted(-rules.bounds, -chi2, side="left")
    arms, todo = len(moments.prepared), trainings(moments.k)
    scores = np.zeros((arms, moments.k, len(rules.thresholds), len(people)))
    with threadpool_limits(1):
        for part, g, _ in centred(fileset, index, people[moments.order]):
            for arm in range(arms):
                for t, training in enumerate(todo):
                    r = moments.rows[training.scored]
                    own = scores[arm, training.evaluated, :, r]
                    _add(g[:, r], weights[part, arm, t] * moments.unit, first[part, arm, t], own)
    scores = np.cumsum(scores, axis=2)
    # from the order of the folds back to that of the people
    return scores[..., np.argsort(moments.order)]
