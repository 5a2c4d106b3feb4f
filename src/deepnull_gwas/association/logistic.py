"""Logistic association of a block of variants: maximum likelihood by Newton's method, vectorised over the block.

All sums over people are matrix products: scores are residuals times covariates, and the Hessian's covariate part is
weights times the products of pairs of covariates. People are taken in tiles, so that memory does not grow with the
cohort.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.codes import COLLINEAR_BELOW
from deepnull_gwas.association.null_logistic import LogisticNull
from deepnull_gwas.association.tails import neg_log10_p_normal

TILE = 8192
#: Newton stops when no coefficient moves by more than this fraction of its standard error
TOLERANCE = 1e-7
MAX_ITERATIONS = 40


@dataclass
class LogisticEstimates:
    """Results of one study and arm on a block: arrays over variants; NaN where not tested."""

    beta: np.ndarray
    se: np.ndarray
    neg_log10_p: np.ndarray
    reason: np.ndarray


class _Sums:
    """Log-likelihood, score and Hessian of a block of models that share their covariates and differ in one variant."""

    def __init__(self, x: np.ndarray, y: np.ndarray, offset: np.ndarray | None):
        self.x, self.y, self.offset = x, y, offset
        self.n, self.p = x.shape
        self.upper = np.triu_indices(self.p)

    def __call__(self, g: np.ndarray, present: np.ndarray | None, theta: np.ndarray):
        """Return log-likelihood [b], score [b, p+1] and Hessian [b, p+1, p+1] at theta [b, p+1] (the variant last)."""
        b, p = len(g), self.p
        value = np.zeros(b)
        score = np.zeros((b, p + 1))
        hessian = np.zeros((b, p + 1, p + 1))
        flat = np.zeros((b, len(self.upper[0])))
        for first in range(0, self.n, TILE):
            x, y, gt = self.x[first : first + TILE], self.y[first : first + TILE], g[:, first : first + TILE]
            eta = theta[:, :p] @ x.T
            if self.offset is not None:
                eta += self.offset[first : first + TILE]
            eta += theta[:, p:] * gt
            on = None if present is None else present[:, first : first + TILE]
            e = np.exp(-np.abs(eta))
            term = y * eta - np.maximum(eta, 0.0) - np.log1p(e)
            value += term.sum(axis=1) if on is None else (term * on).sum(axis=1)
            mu = np.where(eta >= 0, 1.0, e) / (1.0 + e)
            residual = y - mu
            w = mu * (1.0 - mu)
            if on is not None:
                residual *= on
                w *= on
            score[:, :p] += residual @ x
            score[:, p] += np.einsum("ij,ij->i", residual, gt)
            flat += w @ (x[:, self.upper[0]] * x[:, self.upper[1]])
            w *= gt
            hessian[:, p, :p] += w @ x
            hessian[:, p, p] += np.einsum("ij,ij->i", w, gt)
        hessian[:, self.upper[0], self.upper[1]] = flat
        hessian[:, self.upper[1], self.upper[0]] = flat
        hessian[:, :p, p] = hessian[:, p, :p]
        return value, score, hessian


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve a stack of systems; a singular one gives NaN."""
    try:
        return np.linalg.solve(a, b[..., None])[..., 0]
    except np.linalg.LinAlgError:
        out = np.full(b.shape, np.nan)
        for i in range(len(a)):
            try:
                out[i] = np.linalg.solve(a[i], b[i])
            except np.linalg.LinAlgError:
                continue
        return out


def logistic_block(
    null: LogisticNull,
    y: np.ndarray,
    g: np.ndarray,
    present: np.ndarray | None = None,
) -> LogisticEstimates:
    """Test a block of variants by maximum likelihood.

    Parameters
    ----------
    null
        The fitted null model of the study and arm.
    y
        0/1, float64[n].
    g
        float64[variants, n], genotypes of the analysed people, centred; missing calls 0.
    present
        bool[variants, n] where missing calls are to be left out with their people; None where they are at the mean.

    Returns
    -------
    Log odds ratio per copy, its standard error, and -log10 p of the Wald test.
    """
    b, p = len(g), null.x.shape[1]
    sums = _Sums(null.x, y, null.offset)
    on = None if present is None else present.astype(np.float64)
    theta = np.zeros((b, p + 1))
    theta[:, :p] = null.coefficients
    if on is not None:
        theta[:, :p] = _null_among_present(sums, g, on, theta)
    value, score, hessian = sums(g, on, theta)
    # the variant's information with the covariates taken out
    h12 = hessian[:, :p, p]
    variance = hessian[:, p, p] - np.einsum("ij,ij->i", h12, _solve(hessian[:, :p, :p], h12))
    collinear = ~(variance > COLLINEAR_BELOW * hessian[:, p, p])
    reason = np.where(collinear, "collinear", "").astype(object)
    todo = np.flatnonzero(~collinear)
    beta, se = np.full((2, b), np.nan)
    v, s, h, t = value[todo], score[todo], hessian[todo], theta[todo]
    for _ in range(MAX_ITERATIONS):
        if not len(todo):
            break
        step = _solve(h, s)
        scale = np.sqrt(
            np.abs(
                np.diagonal(
                    np.linalg.pinv(h, hermitian=True) if np.isnan(step).any() else np.linalg.inv(h), axis1=1, axis2=2
                )
            )
        )
        small = np.all(np.abs(step) <= TOLERANCE * scale, axis=1)
        gt = g[todo]
        ont = None if on is None else on[todo]
        new = t + np.where(np.isnan(step), 0.0, step)
        nv, ns, nh = sums(gt, ont, new)
        for _ in range(10):
            worse = nv < v - 1e-9 * np.abs(v)
            if not worse.any():
                break
            new[worse] = (new[worse] + t[worse]) / 2
            nv[worse], ns[worse], nh[worse] = sums(gt[worse], None if ont is None else ont[worse], new[worse])
        # under separation the likelihood creeps up to a limit while the coefficients run away by about 1 a step
        runaway = np.abs(new - t).max(axis=1)
        separated = np.isnan(step).any(axis=1) | ((nv - v < 1e-7) & (runaway > 0.01))
        done = small & ~separated & (runaway < 1e-3)
        if done.any():
            rows = todo[done]
            inverse = np.linalg.inv(nh[done])
            beta[rows] = new[done, p]
            se[rows] = np.sqrt(inverse[:, p, p])
        reason[todo[separated]] = "separation"
        go = ~(done | separated)
        todo, v, s, h, t = todo[go], nv[go], ns[go], nh[go], new[go]
    reason[todo] = "not_converged"
    with np.errstate(invalid="ignore"):
        wald = neg_log10_p_normal(beta / se)
    return LogisticEstimates(beta, se, wald, reason.astype(str))


def _null_among_present(sums: _Sums, g: np.ndarray, on: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Fit the null model of each variant again among the people whose call is there."""
    p = sums.p
    theta = theta.copy()
    zero = np.zeros_like(g)
    for _ in range(MAX_ITERATIONS):
        _, score, hessian = sums(zero, on, theta)
        step = _solve(hessian[:, :p, :p], score[:, :p])
        theta[:, :p] += step
        if np.nanmax(np.abs(step)) < 1e-9:
            break
    return theta[:, :p]
