"""What the trainings of a score share: blocks of centred genotypes, cross-products by fold, marginal effects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from deepnull_gwas.genotypes.base import Genotypes
from deepnull_gwas.genotypes.dosage import CALLED, TOTAL
from deepnull_gwas.genotypes.kernels import count_genotypes, decode, pack_mask

#: Dosages decoded at a time.
_BLOCK_DOSAGES = 16_000_000
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
    Rows of ``index``; float32 dosages of the effect allele less their means, variants x people; and these means,
    float64.
    """
    mask = np.zeros(fileset.n_samples, dtype=bool)
    mask[people] = True
    size = int(np.clip(_BLOCK_DOSAGES // max(fileset.n_samples, 1), 16, 1024))
    for first in range(0, len(index), size):
        g, total, called = _read(fileset, index[first : first + size], mask)
        # rounded first, so that adding the mean again gives the dosage
        mean = (total / np.maximum(called, 1)).astype(np.float32)
        g = g[:, people]
        g -= mean[:, None]
        np.nan_to_num(g, copy=False)
        yield slice(first, first + len(g)), g, mean.astype(np.float64)


def _read(fileset: Genotypes, index: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read variants, as dosages where the format has them.

    Returns
    -------
    float32 copies of the effect allele, variants x everybody in the files, NaN where missing; among the people of the
    mask, the sums of copies and the numbers of people called.
    """
    if fileset.has_dosages and (found := fileset.dosages(index, mask[None])) is not None:
        assert found.sums is not None
        sums = found.sums[:, 0]
        return found.to_float(np.float32), sums[:, TOTAL] / found.denominator, sums[:, CALLED]
    packed = fileset.calls(index)
    counts = count_genotypes(packed, pack_mask(mask))
    return decode(packed, fileset.n_samples), 2 * counts[:, 0] + counts[:, 1], counts[:, :3].sum(axis=1)


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
