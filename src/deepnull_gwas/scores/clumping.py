"""Polygenic scores by clumping and thresholding, cross-fitted.

Nobody's score rests on the phenotype of anybody in their fold.

For each evaluated fold f there are k trainings: one without f, which scores the people of f; and for each other fold g
one without f and g, which scores the people of g. So the people on whom the weight of the score is fitted, to predict
f, have scores like those of f: by a training that has seen neither them nor f. All trainings come from one pass over
the genotypes, by moments of each fold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import chdtri
from threadpoolctl import threadpool_limits

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.kernels import count_genotypes, decode, pack_mask, select_people
from deepnull_gwas.genotypes.variant_planes import correlated_above, padded_lanes, variant_planes, words_of_people
from deepnull_gwas.jit import numba
from deepnull_gwas.logs import Progress

logger = logging.getLogger(__name__)

#: People from whom linkage disequilibrium is estimated, at most: more change nothing that matters for a threshold.
LD_PEOPLE = 10_000
#: Dosages decoded at a time.
_BLOCK_DOSAGES = 16_000_000
#: Bytes of genotypes that are read at a time for linkage disequilibrium.
_LD_BYTES = 16 << 20
#: Share of a variant's variance below which the covariates leave nothing of it to test.
_COLLINEAR = 1e-6


@dataclass(frozen=True)
class Training:
    """One training of a score.

    It is without the folds ``evaluated`` and ``scored`` (the same for the training that scores the evaluated fold).
    """

    evaluated: int
    scored: int


def trainings(k: int) -> list[Training]:
    """List the trainings of all evaluated folds, in order."""
    return [Training(f, g) for f in range(k) for g in range(k)]


def centred(
    fileset: Genotypes, index: np.ndarray, people: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Go through variants in blocks of dosages less their mean among some people; a missing call is 0, the mean.

    Parameters
    ----------
    fileset
        The genotypes.
    index
        Ascending indices of the variants.
    people
        int, numbers of people.

    Yields
    ------
    Rows of ``index``; float32 dosages of A1 less their means, variants x people; and these means, float64.
    """
    mask = np.zeros(fileset.n_samples, dtype=bool)
    mask[people] = True
    lanes = pack_mask(mask)
    size = int(np.clip(_BLOCK_DOSAGES // max(fileset.n_samples, 1), 16, 1024))
    for first in range(0, len(index), size):
        packed = fileset.calls(index[first : first + size])
        counts = count_genotypes(packed, lanes)
        called = np.maximum(counts[:, :3].sum(axis=1), 1)
        # rounded first, so that adding the mean again gives the dosage
        mean = ((2 * counts[:, 0] + counts[:, 1]) / called).astype(np.float32)
        g = decode(packed, fileset.n_samples)[:, people]
        g -= mean[:, None]
        np.nan_to_num(g, copy=False)
        yield slice(first, first + len(packed)), g, mean.astype(np.float64)


@dataclass
class _Prepared:
    """What a training needs of the people.

    Its folds, its covariates, and a root of the inverse of their cross-products.
    """

    folds: list[int]
    used: list[int]
    root: np.ndarray
    y_root: np.ndarray
    rss: float
    df: int


class Moments:
    """Cross-products of the columns of a study in each fold: what the trainings need of the people.

    Parameters
    ----------
    covariates
        float64[n, c] with the intercept.
    extra
        float64[n, k] or None: for each evaluated fold one more covariate (the DeepNull covariate by models that have
        not seen it); what it is in the evaluated fold itself does not matter.
    y
        float64[n].
    fold
        int[n].

    Attributes
    ----------
    order
        People by fold, in which the blocks of genotypes come; ``rows`` is where each fold lies in it.
    prepared
        For each arm (without ``extra``, and with it where it is given) its trainings.
    unit
        What coefficients are to be multiplied by: the phenotype is divided by it.
    """

    def __init__(self, covariates: np.ndarray, extra: np.ndarray | None, y: np.ndarray, fold: np.ndarray):
        # an orthonormal basis: the folds' cross-products are then well conditioned, whatever the covariates' units
        sizes = np.maximum(np.linalg.norm(covariates, axis=0), 1e-300)
        left, size, _ = np.linalg.svd(covariates / sizes, full_matrices=False)
        basis = left[:, size > 1e-9 * size[0]] * np.sqrt(len(y))
        self.k = int(fold.max()) + 1
        self.width = basis.shape[1]
        self.order = np.argsort(fold, kind="stable")
        ends = np.cumsum([0, *np.bincount(fold, minlength=self.k)])
        self.rows = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        # a power of two: whatever the phenotype's scale, single precision holds its products
        exponent = int(np.frexp(np.abs(y).max(initial=0.0))[1])
        self.unit = float(np.ldexp(1.0, exponent))
        y = np.ldexp(y, -exponent)
        parts = [basis, y[:, None]] + ([np.nan_to_num(extra)] if extra is not None else [])
        columns = np.concatenate(parts, axis=1)[self.order]
        self.gram = np.stack([columns[r].T @ columns[r] for r in self.rows])
        # in single precision a phenotype far from 0 would lose its digits: each fold's is taken from the fold's own
        # fit, which is added again
        self.own_fit = np.zeros((self.k, self.width))
        for h, r in enumerate(self.rows):
            x, values = columns[r, : self.width], columns[r, self.width]
            self.own_fit[h] = np.linalg.lstsq(x, values, rcond=1e-9)[0]
            columns[r, self.width] = values - x @ self.own_fit[h]
        self.columns = columns.astype(np.float32)
        arms = [False] if extra is None else [False, True]
        self.prepared = [[self._prepare(t, with_extra) for t in trainings(self.k)] for with_extra in arms]

    def _prepare(self, training: Training, with_extra: bool) -> _Prepared:
        folds = [h for h in range(self.k) if h not in (training.evaluated, training.scored)]
        used = list(range(self.width))
        if with_extra:
            used.append(self.width + 1 + training.evaluated)
        gram = self.gram[folds].sum(axis=0)
        inner, cross = gram[np.ix_(used, used)], gram[used, self.width]
        scale = np.sqrt(np.maximum(np.diag(inner), 0))
        scale[scale == 0] = 1.0
        values, vectors = np.linalg.eigh(inner / np.outer(scale, scale))
        # a level of a covariate that only people left out have is no column here
        good = values > 1e-9 * values.max()
        root = vectors[:, good] / np.sqrt(values[good]) / scale[:, None]
        y_root = root.T @ cross
        rss = float(gram[self.width, self.width] - y_root @ y_root)
        people = sum(self.rows[h].stop - self.rows[h].start for h in folds)
        return _Prepared(folds, used, root, y_root, rss, people - int(good.sum()) - 1)


def marginal(moments: Moments, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regress the phenotype on each variant of a block with the covariates, in every training.

    Parameters
    ----------
    moments
        Of the study.
    g
        float32 centred dosages, variants x people in the order of ``moments.order``.

    Returns
    -------
    beta (in units of ``moments.unit``) and chi-square (the squared t statistic), float32[variants, arms, trainings]; 0
    where there is nothing to test.
    """
    products = np.stack([g[:, r] @ moments.columns[r] for r in moments.rows]).astype(np.float64)
    products[:, :, moments.width] += np.einsum("hvc,hc->hv", products[:, :, : moments.width], moments.own_fit)
    squares = np.stack([np.einsum("ij,ij->i", g[:, r], g[:, r], dtype=np.float64) for r in moments.rows])
    shape = (len(g), len(moments.prepared), len(moments.prepared[0]))
    beta, chi2 = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for a, arm in enumerate(moments.prepared):
        for t, about in enumerate(arm):
            both = products[about.folds].sum(axis=0)
            total = squares[about.folds].sum(axis=0)
            rotated = both[:, about.used] @ about.root
            numerator = both[:, moments.width] - rotated @ about.y_root
            denominator = total - np.einsum("ij,ij->i", rotated, rotated)
            good = denominator > _COLLINEAR * np.maximum(total, 1.0)
            num, den = numerator[good], denominator[good]
            explained = num**2 / den
            beta[good, a, t] = num / den
            chi2[good, a, t] = explained * about.df / np.maximum(about.rss - explained, 1e-12 * about.rss)
    return beta, chi2


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


def cross_scores(
    fileset: Genotypes,
    variants: dict[str, np.ndarray],
    people: np.ndarray,
    covariates: np.ndarray,
    extra: np.ndarray | None,
    y: np.ndarray,
    fold: np.ndarray,
    thresholds: Sequence[float],
    window_kb: float,
    r2: float,
    threads: int = 1,
) -> CrossScores:
    """Train and apply the scores of all trainings: one pass over the variants, and one over those that lead a clump.

    Parameters
    ----------
    fileset
        The genotypes.
    variants
        ``index``, ``chromosome``, ``position`` of the variants to use, by index.
    people
        Numbers in the genotype files of the study's people.
    covariates, extra, y, fold
        See :class:`Moments`. Without ``extra`` there is one arm, else two: without and with it.
    thresholds
        p-values of the marginal test above which a variant does not count.
    window_kb, r2
        See :func:`clump`.
    threads
        Blocks at a time; the result does not depend on it.

    Notes
    -----
    Weights are the marginal coefficients of a linear model with the covariates, of the phenotype itself (binary: 0/1,
    whose coefficients are near those of the logistic model up to a factor). Clumping and thresholding as in Purcell et
    al. 2009 (Nature 460:748) and PRSice (Choi and O'Reilly 2019, GigaScience 8:giz082), whose window and r2 are the
    defaults.
    """
    moments = Moments(covariates, extra, y, fold)
    arms, todo = len(moments.prepared), trainings(moments.k)
    ordered = people[moments.order]
    thresholds = sorted(float(p) for p in thresholds)
    bounds = chdtri(1.0, np.array(thresholds))
    least = float(bounds.min())
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    progress = Progress(len(variants["index"]), "variants")

    def test(block: tuple[slice, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, g, _ = block
        beta, chi2 = marginal(moments, g)
        some = np.flatnonzero((chi2 >= least).any(axis=(1, 2)))
        progress.add(len(g))
        return rows.start + some, beta[some], chi2[some]

    with threadpool_limits(1), ThreadPoolExecutor(max(1, threads)) as pool:
        blocks = centred(fileset, variants["index"], ordered)
        # as many blocks in memory as there are threads
        while batch := [b for _, b in zip(range(max(1, threads)), blocks)]:
            found += list(pool.map(test, batch))
        rows = np.concatenate([f[0] for f in found] or [np.zeros(0, np.int64)])
        shape = (0, arms, len(todo))
        beta = np.concatenate([f[1] for f in found] or [np.zeros(shape, np.float32)])
        chi2 = np.concatenate([f[2] for f in found] or [np.zeros(shape, np.float32)])
        lead = np.zeros(chi2.shape, dtype=bool)
        chromosome = variants["chromosome"][rows]
        # evenly spaced, so that every part of the genotype files counts
        spread = np.sort(people)[np.linspace(0, len(people) - 1, min(LD_PEOPLE, len(people))).astype(np.int64)]

        def clump_one(name: str) -> None:
            here = np.flatnonzero(chromosome == name)
            here = here[np.argsort(variants["position"][rows[here]], kind="stable")]
            at = rows[here]
            marked = clump(
                fileset,
                variants["index"][at],
                variants["position"][at],
                chi2[here].reshape(len(here), -1),
                least,
                spread,
                int(window_kb * 1000),
                r2,
            )
            lead[here] = marked.reshape(len(here), *lead.shape[1:])

        list(pool.map(clump_one, sorted(set(chromosome.tolist()))))
    used = np.flatnonzero(lead.any(axis=(1, 2)))
    weights = np.where(lead[used], beta[used], 0).astype(np.float64)
    k, n = moments.k, len(people)
    # each lead counts from the strictest threshold on that it passes
    first = np.searchsorted(-bounds, -chi2[used], side="left")
    scores = np.zeros((arms, k, len(bounds), n))
    with threadpool_limits(1):
        for part, g, _ in centred(fileset, variants["index"][rows[used]], ordered):
            for arm in range(arms):
                for t, training in enumerate(todo):
                    r = moments.rows[training.scored]
                    own = scores[arm, training.evaluated, :, r]
                    _add(g[:, r], weights[part, arm, t] * moments.unit, first[part, arm, t], own)
    scores = np.cumsum(scores, axis=2)
    # from the order of the folds back to that of the people
    scores = scores[..., np.argsort(moments.order)]
    own = [todo.index(Training(f, f)) for f in range(k)]
    counts = (lead[:, :, own, None] & (chi2[:, :, own, None] >= bounds)).sum(axis=0)
    logger.info(
        "%s variants tested, %s with p <= %g in some training, %s of them lead a clump in some training",
        f"{len(variants['index']):,}", f"{len(rows):,}", thresholds[-1], f"{len(used):,}",
    )  # fmt: skip
    return CrossScores(scores, counts, thresholds, len(variants["index"]))
