"""Ridge and spike-and-slab regression from sums of products over people, with the covariates taken out.

Both levels of the whole-genome regression are this: regressors (genotypes of a block, or predictors of blocks) and a
phenotype, both with the covariates taken out by coefficients of the training people alone. A person who is predicted
enters no sum of the model that predicts this person.

Sources: Mbatchou et al. 2021 (regenie: stacked ridge regression, its grid); Loh et al. 2015 (BOLT-LMM: the
spike-and-slab prior and its coordinate ascent); Frisch, Waugh and Lovell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# not where it is used: its BLAS has to be there when the number of threads is set
from scipy.linalg import lapack

from deepnull_gwas.jit import FAST, numba

#: Shares of variance that the ridge penalties stand for: penalty = number of regressors x (1 - h) / h.
HERITABILITIES = (0.01, 0.25, 0.5, 0.75, 0.99)
#: Shares of the regressors with an effect in the spike-and-slab regressions.
CAUSAL_SHARES = (0.01, 0.1)
#: Variance that the slab explains in all, and that of the residual, of a phenotype of variance 1.
SLAB_VARIANCE, RESIDUAL_VARIANCE = 0.4, 0.8
#: Sweeps of the coordinate ascent at most.
SWEEPS = 15
#: An effect that would move by less than this (in standard deviations of the phenotype) stays.
LEAST_MOVE = 1e-6
#: Models whose coordinates are gone through in step: those of 20 phenotypes.
LANES = 40
#: Coordinates whose moves are applied to all others together, and columns that this is done for at a time: what is read
#: of the matrix then stays in the first cache.
PANEL, TILE = 16, 256
#: A regressor is left out when what the covariates leave of it is below this fraction of its sum of squares.
LEAST_LEFT = 1e-6
#: Phenotypes that a matrix is gone through for at a time: what is theirs stays in the first cache.
TOGETHER = 4
#: Directions of the covariates whose sum of squares is below this fraction of the largest are not used.
RANK_TOLERANCE = 1e-10


def inverse_of(sums: np.ndarray) -> np.ndarray:
    """Return the (pseudo-)inverse of sums of products of covariates with each other: float64[c, c]."""
    values, vectors = np.linalg.eigh(sums)
    used = values > RANK_TOLERANCE * max(float(values[-1]), np.finfo(float).tiny)
    return (vectors[:, used] / values[used]) @ vectors[:, used].T


@dataclass(frozen=True)
class Correlations:
    """Regressors of a training set on the scale on which each has variance 1 beyond the covariates.

    Attributes
    ----------
    matrix
        float64[k, k], their correlations; a regressor that is not used correlates with nothing.
    used
        bool[k]: whether the covariates leave anything of a regressor.
    scale
        float64[k], their standard deviations; 1 where not used.
    on_covariates
        float64[k, c], their coefficients on the covariates.
    people
        Number of people in the training set.
    rows
        float64[k, k and padding], ``matrix`` with rows that vector registers are filled from (:func:`aligned`), or
        None.
    """

    matrix: np.ndarray
    used: np.ndarray
    scale: np.ndarray
    on_covariates: np.ndarray
    people: int
    rows: np.ndarray | None = None

    def standardise(self, products: np.ndarray) -> np.ndarray:
        """Return correlations with a phenotype of variance 1, given the regressors' products with it.

        Parameters
        ----------
        products
            float64[..., k], of regressors with phenotypes without covariates; on their scale.
        """
        return products * np.where(self.used, 1.0 / (self.scale * self.people), 0.0)

    def weights(self, effects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what raw regressors, and covariates, are multiplied with to predict the phenotype.

        Parameters
        ----------
        effects
            float64[..., j, k], per standard deviation of the regressors.

        Returns
        -------
        float64[..., j, k] and float64[..., j, c]; the latter by one product of matrices for each leading index.
        """
        raw = effects / self.scale
        return raw, -(raw @ self.on_covariates)


def aligned(rows: int, columns: int) -> np.ndarray:
    """Return zeros whose rows begin at multiples of 64 bytes: float64[rows, columns and up to 7 more]."""
    width = -(-columns // 8) * 8
    raw = np.zeros(rows * width + 8)
    start = (-raw.ctypes.data // 8) % 8
    return raw[start : start + rows * width].reshape(rows, width)


@numba.njit(nogil=True, cache=True)
def _standardise(gram, predicted, factor, out):
    """Write what covariates leave of sums of products, on the scale of the regressors: in one pass over all three."""
    for i in range(len(gram)):
        for j in range(len(gram)):
            out[i, j] = (gram[i, j] - predicted[i, j]) * factor[i] * factor[j]


def correlations(gram: np.ndarray, cross: np.ndarray, inverse: np.ndarray, people: int) -> Correlations:
    """Take the covariates out of the regressors of a training set, and scale them.

    Parameters
    ----------
    gram
        float32 or float64[k, k], sums of products of the regressors over the training set.
    cross
        float64[k, c], with the covariates.
    inverse
        float64[c, c], from :func:`inverse_of`.
    people
        Number of people.
    """
    on_covariates = cross @ inverse
    squares = np.diagonal(gram).astype(np.float64)
    left = squares - np.einsum("ij,ij->i", on_covariates, cross)
    used = left > LEAST_LEFT * np.maximum(squares, np.finfo(float).tiny)
    scale = np.sqrt(np.where(used, left, people) / max(people, 1))
    factor = np.where(used, 1.0 / (scale * np.sqrt(max(people, 1))), 0.0)
    rows = aligned(len(gram), len(gram))
    matrix = rows[:, : len(gram)]
    _standardise(gram, on_covariates @ cross.T, factor, matrix)
    np.fill_diagonal(matrix, 1.0)
    return Correlations(matrix, used, scale, np.where(used[:, None], on_covariates, 0.0), people, rows)


def ridge_penalties(regressors: int, heritabilities: tuple[float, ...] = HERITABILITIES) -> np.ndarray:
    """Return the penalties of shares of variance, for a number of regressors in all."""
    h = np.array(heritabilities)
    return regressors * (1 - h) / h


class RidgeFactor:
    """The factorised normal equations of a ridge regression.

    Parameters
    ----------
    regressors
        Of the training set.
    penalty
        On the scale of sums of squares of regressors of variance 1.
    """

    def __init__(self, regressors: Correlations, penalty: float):
        added = penalty / max(regressors.people, 1)
        while True:
            # symmetric, so that its rows are columns for LAPACK
            matrix = regressors.matrix.copy().T
            np.fill_diagonal(matrix, 1.0 + added)
            self._factor, info = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
            if not info:
                break
            # singular to rounding, which a penalty may be too small for
            added = max(10 * added, 1e-10)

    def effects(self, right: np.ndarray) -> np.ndarray:
        """Return the effects on phenotypes, given the regressors' correlations with them: float64[j, k] of both.

        One phenotype at a time, so that nothing depends on how many there are.
        """
        out = np.array(right, dtype=np.float64, order="C")
        _solve(self._factor.T, out)
        return out


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy", inline="always")
def _subtract_rows(left, matrix, moved, by, count, start, stop):
    """Subtract ``count`` rows of a matrix, each times its factor, from some columns of ``left``."""
    # four at a time: what is left is then read and written a fourth as often
    q, one, two, three, four = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    while q + four <= count:
        a, b, c, d = by[q], by[q + one], by[q + two], by[q + three]
        row_a, row_b = matrix[moved[q]], matrix[moved[q + one]]
        row_c, row_d = matrix[moved[q + two]], matrix[moved[q + three]]
        for i in range(start, stop):
            left[i] -= a * row_a[i] + b * row_b[i] + c * row_c[i] + d * row_d[i]
        q += four
    while q < count:
        a, row_a = by[q], matrix[moved[q]]
        for i in range(start, stop):
            left[i] -= a * row_a[i]
        q += one


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy", inline="always")
def _add_products(sums, matrix, first, right, start, stop):
    """Add the products of four rows of a matrix with ``right``, over some columns."""
    row_a, row_b, row_c, row_d = (
        matrix[first], matrix[first + np.uint64(1)], matrix[first + np.uint64(2)], matrix[first + np.uint64(3)]
    )  # fmt: skip
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(start, stop):
        a += row_a[i] * right[i]
        b += row_b[i] * right[i]
        c += row_c[i] * right[i]
        d += row_d[i] * right[i]
    sums[0] += a
    sums[1] += b
    sums[2] += c
    sums[3] += d


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _solve(upper, rights):
    """Solve U'U x = b in place for each row of ``rights``; U float64[k, k], of which only the upper half is read."""
    # unsigned, so that no index can count from the end: the loops then fill vector registers
    k, all_rights, tile = np.uint64(len(upper)), np.uint64(len(rights)), np.uint64(TILE)
    none, one, four, together = np.uint64(0), np.uint64(1), np.uint64(4), np.uint64(TOGETHER)
    rows, values = np.zeros(4, dtype=np.uint64), np.zeros((TOGETHER, 4))
    for first in range(none, all_rights, together):
        last = min(first + together, all_rights)
        # four rows at a time: the last ones, which may be fewer, have no columns after them
        for begin in range(none, k, four):
            end = min(begin + four, k)
            for m in range(first, last):
                for i in range(begin, end):
                    rights[m, i] /= upper[i, i]
                    rows[i - begin], values[m - first, i - begin] = i, rights[m, i]
                    for r in range(i + one, end):
                        rights[m, r] -= upper[i, r] * rights[m, i]
            for start in range(end, k, tile):
                for m in range(first, last):
                    _subtract_rows(rights[m], upper, rows, values[m - first], four, start, min(start + tile, k))
        for done in range(none, k, four):
            begin = (k - one - done) // four * four
            end = min(begin + four, k)
            values[:] = 0.0
            for start in range(end, k, tile):
                for m in range(first, last):
                    _add_products(values[m - first], upper, begin, rights[m], start, min(start + tile, k))
            for m in range(first, last):
                for back in range(end - begin):
                    i = end - one - back
                    value = rights[m, i] - values[m - first, i - begin]
                    for r in range(i + one, end):
                        value -= upper[i, r] * rights[m, r]
                    rights[m, i] = value / upper[i, i]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _shrink(means, logits, bits, powers, lanes):
    """Multiply means in place by 1 / (1 + exp(-logit)); ``bits`` and ``powers`` are the same memory.

    An exponential of its own, since that of the C library fills no vector registers: 2^k times a Taylor polynomial.
    """
    for m in range(lanes):
        x = -min(max(logits[m], -700.0), 700.0)
        k = np.floor(x * 1.4426950408889634 + 0.5)
        r = x - k * 0.6931471805599453
        # fmt: off
        value = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * (
            1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r / 479001600)))))))))))
        # fmt: on
        bits[m] = (np.int64(k) + 1023) << 52
        logits[m] = value
    for m in range(lanes):
        means[m] /= 1.0 + logits[m] * powers[m]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _coordinate_ascent(matrix, lefts, betas, shrink, certainty, bias):
    # rows and what is left are padded with zeros; unsigned, as in _solve
    k, width, lanes = np.uint64(len(matrix)), np.uint64(matrix.shape[1]), np.uint64(LANES)
    panel, tile, none, one = np.uint64(PANEL), np.uint64(TILE), np.uint64(0), np.uint64(1)
    means, logits, bits = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES, dtype=np.int64)
    powers = bits.view(np.float64)
    moved, counts = np.zeros((LANES, PANEL), dtype=np.uint64), np.zeros(LANES, dtype=np.uint64)
    by = np.zeros((LANES, PANEL))
    # models in step, whose exponentials are then computed together; always as many, so that no model's depend on others
    for first in range(none, np.uint64(len(lefts)), lanes):
        last = min(first + lanes, np.uint64(len(lefts)))
        for _ in range(SWEEPS):
            moves = none
            for begin in range(none, k, panel):
                end = min(begin + panel, width)
                counts[:] = none
                for j in range(begin, min(end, k)):
                    for m in range(first, last):
                        mean = shrink[m] * (lefts[m, j] + betas[m, j])
                        means[m - first] = mean
                        logits[m - first] = bias[m] + certainty[m] * mean * mean
                    _shrink(means, logits, bits, powers, lanes)
                    row = matrix[j]
                    for m in range(first, last):
                        lane = m - first
                        move = means[lane] - betas[m, j]
                        if abs(move) > LEAST_MOVE:
                            betas[m, j] = means[lane]
                            left = lefts[m]
                            # the next coordinates need it at once, the others when the panel is through
                            for i in range(begin, end):
                                left[i] -= row[i] * move
                            moved[lane, counts[lane]], by[lane, counts[lane]] = j, move
                            counts[lane] += one
                            moves += one
                for start in range(none, width, tile):
                    stop = min(start + tile, width)
                    before, after = min(stop, begin), max(start, end)
                    for m in range(first, last):
                        lane = m - first
                        if counts[lane]:
                            if start < before:
                                _subtract_rows(lefts[m], matrix, moved[lane], by[lane], counts[lane], start, before)
                            if after < stop:
                                _subtract_rows(lefts[m], matrix, moved[lane], by[lane], counts[lane], after, stop)
            # a further sweep changes nothing of a model that no coordinate moved in
            if not moves:
                break


def spike_and_slab(
    regressors: Correlations,
    total: int,
    left: np.ndarray,
    start: np.ndarray | None = None,
    noise: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Return posterior mean effects on phenotypes under spike-and-slab priors, by coordinate ascent.

    Parameters
    ----------
    regressors
        Of a block.
    total
        How many regressors there are in all blocks; the slab's variance of each is ``SLAB_VARIANCE / (total x share)``.
    left
        float64[j, k], correlations of the regressors with what the effects in ``start``, and those of other blocks,
        leave of phenotypes of variance 1.
    start
        float64[j, k], effects to begin with; None: 0.
    noise
        float64[j], variance of what is not explained; None: ``RESIDUAL_VARIANCE``.

    Returns
    -------
    For each of :data:`CAUSAL_SHARES`, float64[j, k]; of no phenotype does it depend on which others there are.
    """
    noise = np.full(len(left), RESIDUAL_VARIANCE) if noise is None else noise
    people, rows, number = float(max(regressors.people, 1)), regressors.rows, len(left)
    if rows is None:
        rows = aligned(*regressors.matrix.shape)
        rows[:, : len(rows)] = regressors.matrix
    share = np.repeat(CAUSAL_SHARES, number)
    noise = np.tile(noise, len(CAUSAL_SHARES))
    slab = SLAB_VARIANCE / (max(total, 1) * share)
    variance = noise * slab / (people * slab + noise)
    bias = np.log(share / (1 - share)) + 0.5 * np.log(variance / slab)
    rest = aligned(len(share), left.shape[1])
    rest[:, : left.shape[1]] = np.tile(left, (len(CAUSAL_SHARES), 1))
    beta = np.zeros((len(share), left.shape[1])) if start is None else np.tile(start, (len(CAUSAL_SHARES), 1))
    _coordinate_ascent(rows, rest, beta, variance * people / noise, 0.5 / variance, bias)
    return list(beta.reshape(len(CAUSAL_SHARES), *left.shape))
