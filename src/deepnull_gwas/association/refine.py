"""Maximum-likelihood logistic regression of many variants, started from the null model, on blocks of genotypes.

Newton's method with the covariates' part of the information taken from the null model and the variant's part computed
again in each pass. Per variant, eta = eta0 + X delta + gamma g, and g~ = g - X a is the genotype with the covariates
projected out under the current weights. A pass over the people gives

    q = X'r    c = X'W g~    s = g~'r    i = g~'W g~        (r = y - mu, W = diag(mu (1 - mu)))

and the step, with M the information of the covariates under the null model, is

    dgamma = (s - c'M^-1 q) / (i - c'M^-1 c)      ddelta = M^-1 (q - c dgamma) - a dgamma      a <- a + M^-1 c

At the maximum c vanishes, so that i is the exact information of gamma and not only an approximation: M decides how
fast the passes converge, not to what. Two or three passes of four products with X replace Newton's p^2 / 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.codes import COLLINEAR_BELOW
from deepnull_gwas.association.null_logistic import LogisticNull
from deepnull_gwas.genotypes.block import Block
from deepnull_gwas.genotypes.products import COLUMNS, VARIANTS, dots, make_tiles
from deepnull_gwas.genotypes.tiles import STRIDE, TILE, load_presence, load_tile
from deepnull_gwas.jit import FAST, numba

MAX_PASSES = 12
#: Accepted when Newton's decrement (the length of the step in standard errors) is below the first, and what the next
#: pass would still
#: change, judged by the rate of convergence, below the second; in float32 (noise about 2e-7) and float64
_ENOUGH = {np.dtype(np.float32): (1e-4, 1e-6), np.dtype(np.float64): (1e-5, 1e-10)}
#: Log odds ratios beyond this (odds ratios of 50 a copy) are not taken from here
EXTREME = 4.0
_LOG2_E = 1.4426950408889634
#: Coefficients of 2^f = exp(f ln 2), |f| <= 1/2, highest first: the series to the seventh power, off by less than 6e-9
_EXP2 = tuple(np.log(2.0) ** k / float(np.prod(np.arange(1, k + 1))) for k in range(7, -1, -1))


@dataclass
class RefineInput:
    """A study and arm laid out for :func:`refine`.

    Attributes
    ----------
    x
        tiles x covariates with the intercept first (padded) x STRIDE.
    own
        tiles x 3 x STRIDE: linear predictor of the null model, phenotype, and 1 for who is analysed.
    inverse
        float64[p, p], inverse of the null model's information.
    occupied
        bool[tiles], where anybody is analysed.
    """

    x: np.ndarray
    own: np.ndarray
    inverse: np.ndarray
    occupied: np.ndarray

    @classmethod
    def of(cls, n_people: int, index: np.ndarray, null: LogisticNull, y: np.ndarray, dtype: type) -> RefineInput:
        """Lay out a fitted null model of the people ``index`` (of the cohort)."""
        own = make_tiles(n_people, index, np.column_stack([null.eta, y, np.ones(len(y))]), dtype)[:, :3]
        occupied = own[:, 2].any(axis=1)
        return cls(make_tiles(n_people, index, null.x, dtype), np.ascontiguousarray(own), null.inverse, occupied)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _combine(coefficients, v, x, n_columns, out):
    """Add to ``out`` a tile of X times the coefficients of one variant."""
    real = out.dtype.type
    whole = n_columns - n_columns % 4
    for j in range(0, whole, 4):
        c0, c1 = real(coefficients[v, j]), real(coefficients[v, j + 1])
        c2, c3 = real(coefficients[v, j + 2]), real(coefficients[v, j + 3])
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        for p in range(TILE):
            out[p] += c0 * x0[p] + c1 * x1[p] + c2 * x2[p] + c3 * x3[p]
    for j in range(whole, n_columns):
        c0, x0 = real(coefficients[v, j]), x[j]
        for p in range(TILE):
            out[p] += c0 * x0[p]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _exp_negative_single(eta, bits, powers, out):
    """Compute exp(-|eta|) to single precision.

    ``bits`` and ``powers`` are one buffer, seen as integers and as floats.
    """
    real = out.dtype.type
    e7, e6, e5, e4 = real(_EXP2[0]), real(_EXP2[1]), real(_EXP2[2]), real(_EXP2[3])
    e3, e2, e1, e0 = real(_EXP2[4]), real(_EXP2[5]), real(_EXP2[6]), real(_EXP2[7])
    scale, half, floor = real(_LOG2_E), real(0.5), real(-125.0)
    for p in range(TILE):
        t = max(-abs(eta[p]) * scale, floor)
        k = np.int32(t - half)
        f = t - real(k)
        bits[p] = (k + np.int32(127)) << np.int32(23)
        out[p] = ((((((e7 * f + e6) * f + e5) * f + e4) * f + e3) * f + e2) * f + e1) * f + e0
    for p in range(TILE):
        out[p] *= powers[p]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _exp_negative_double(eta, out):
    """Compute exp(-|eta|) to double precision."""
    for p in range(TILE):
        out[p] = np.exp(-abs(eta[p]))


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _residuals(eta, e, g, y, on, r, wg):
    """Turn linear predictors of one variant into residuals and weighted genotypes.

    Return score and information of gamma.
    """
    real = r.dtype.type
    one, zero = real(1.0), real(0.0)
    score, information = zero, zero
    for p in range(TILE):
        t = one / (one + e[p])
        mu = t if eta[p] >= zero else e[p] * t
        w = e[p] * t * t * on[p]
        residual = (y[p] - mu) * on[p]
        r[p] = residual
        wg[p] = w * g[p]
        score += residual * g[p]
        information += w * g[p] * g[p]
    return score, information


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _pass(genotypes, model, at, first, open_, buffers, sums):
    """Add up, over all people, what the next step of some variants needs.

    ``buffers`` are of the tile of each variant; a finished or missing row keeps what they hold: finite numbers that
    nobody reads.
    """
    stored, rows, centre, drop = genotypes
    x, own, occupied = model
    gamma, delta, projection = at
    g, on, eta, e, bits, powers, r, wg = buffers
    q, c, s, info = sums
    n_tiles, width, _ = x.shape
    real = g.dtype.type
    single = real(16777217.0) == real(16777216.0)
    for t in range(n_tiles):
        if not occupied[t]:
            continue
        inside = own[t, 2]
        for i in range(VARIANTS):
            if not open_[i]:
                continue
            k = first + i
            v = rows[k]
            gi, oi, ei, ex = g[i], on[i], eta[i], e[i]
            load_tile(stored, v, t, centre[v], False, gi)
            if drop:
                load_presence(stored, v, t, oi)
                for a in range(TILE):
                    oi[a] *= inside[a]
            else:
                oi[:] = inside
            step = real(gamma[k])
            start = own[t, 0]
            for a in range(TILE):
                gi[a] *= inside[a]
                ei[a] = start[a] + step * gi[a]
            _combine(delta, k, x[t], width, ei)
            _combine(projection, k, x[t], width, gi)
            if single:
                _exp_negative_single(ei, bits, powers, ex)
            else:
                _exp_negative_double(ei, ex)
            a, b = _residuals(ei, ex, gi, own[t, 1], oi, r[i], wg[i])
            s[i] += a
            info[i] += b
        for j in range(0, width, COLUMNS):
            dots(r, x[t], q, 0, j)
            dots(wg, x[t], c, 0, j)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _step(i, k, inverse, at, sums, room):
    """Take a step of Newton's method for variant ``k``, row ``i`` of the sums.

    Returns
    -------
    Newton's decrement (NaN where the variant is collinear with the covariates), and the information of gamma.
    """
    gamma, delta, projection = at
    q, c, s, info = sums
    mq, mc = room
    p = inverse.shape[0]
    qmq, qmc, cmc = 0.0, 0.0, 0.0
    for a in range(p):
        x1, x2 = 0.0, 0.0
        for b in range(p):
            x1 += inverse[a, b] * q[i, b]
            x2 += inverse[a, b] * c[i, b]
        mq[a], mc[a] = x1, x2
        qmq += q[i, a] * x1
        qmc += q[i, a] * x2
        cmc += c[i, a] * x2
    information = info[i] - cmc
    if not information > COLLINEAR_BELOW * info[i]:
        return np.nan, information
    score = s[i] - qmc
    step = score / information
    decrement = np.sqrt(score * score / information + qmq)
    gamma[k] += step
    for a in range(p):
        # `projection` is minus a
        delta[k, a] += mq[a] - mc[a] * step + projection[k, a] * step
        projection[k, a] -= mc[a]
    return decrement, information


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _refine(genotypes, model, inverse, at, limits, buffers, found):
    rows, x, gamma = genotypes[1], model[0], at[0]
    enough, agreed = limits
    beta, se, state = found
    width, p = x.shape[1], inverse.shape[0]
    sums = (np.zeros((VARIANTS, width)), np.zeros((VARIANTS, width)), np.zeros(VARIANTS), np.zeros(VARIANTS))
    last = np.zeros(VARIANTS)
    open_ = np.zeros(VARIANTS, dtype=np.bool_)
    room = (np.zeros(p), np.zeros(p))
    for first in range(0, len(rows), VARIANTS):
        count = min(VARIANTS, len(rows) - first)
        for i in range(VARIANTS):
            open_[i] = i < count
            last[i] = np.inf
        for _ in range(MAX_PASSES):
            sums[0][:] = 0.0
            sums[1][:] = 0.0
            sums[2][:] = 0.0
            sums[3][:] = 0.0
            _pass(genotypes, model, at, first, open_, buffers, sums)
            left = 0
            for i in range(count):
                if not open_[i]:
                    continue
                k = first + i
                decrement, information = _step(i, k, inverse, at, sums, room)
                # collinear, on its way to infinity, or so steep that single precision tells: for the slower methods
                astray = not np.isfinite(decrement) or decrement > 10.0 * min(last[i], 1.0)
                if astray or abs(gamma[k]) > EXTREME:
                    open_[i] = False
                    continue
                ahead = decrement * min(1.0, decrement / last[i])
                if decrement <= enough and ahead <= agreed:
                    beta[k] = gamma[k]
                    se[k] = 1.0 / np.sqrt(information)
                    state[k] = True
                    open_[i] = False
                    continue
                last[i] = decrement
                left += 1
            if left == 0:
                break


def refine(
    given: RefineInput,
    block: Block,
    rows: np.ndarray,
    centre: np.ndarray,
    gamma: np.ndarray,
    projection: np.ndarray,
    drop: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit variants by maximum likelihood.

    Parameters
    ----------
    given
        Study and arm.
    block
        The genotypes.
    rows
        Which of its variants to fit.
    centre
        float64, one per variant of the block: subtracted from each dosage of A1; a missing call counts as this value.
    gamma
        float64[rows], where to start from (the first step of Newton's method from the null model).
    projection
        float64[rows, p], the genotypes' coefficients on the covariates under the null weights.
    drop
        Whether people without a call are left out, variant by variant.

    Returns
    -------
    beta, se, converged
        Log odds ratio a copy, its standard error, and whether the fit converged; NaN where not.
    """
    n = len(rows)
    width = given.x.shape[1]
    p = given.inverse.shape[0]
    minus = np.zeros((n, width))
    minus[:, :p] = -projection
    delta = np.zeros((n, width))
    delta[:, :p] = -projection * gamma[:, None]
    dtype = given.x.dtype
    bits = np.zeros(STRIDE, dtype=np.int32)
    g, on, eta, e, r, wg = (np.zeros((VARIANTS, STRIDE), dtype=dtype) for _ in range(6))
    beta, se, state = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, dtype=bool)
    _refine(
        (block.stored, np.asarray(rows, dtype=np.int64), np.ascontiguousarray(centre), drop),
        (given.x, given.own, given.occupied),
        given.inverse,
        (gamma.copy(), delta, minus),
        _ENOUGH[dtype],
        (g, on, eta, e, bits, bits.view(np.float32), r, wg),
        (beta, se, state),
    )
    return beta, se, state
