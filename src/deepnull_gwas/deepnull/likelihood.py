"""Hyperparameters of the Gaussian process: the most likely ones, by the marginal likelihood of some people."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.deepnull.kernel import Hyper, One, Scale, block, row_blocks, sums

logger = logging.getLogger(__name__)

#: Lengths that the search starts from: slow effects, and fast ones.
STARTS = (1.0, 0.35)
#: Evaluations of the likelihood from each start: as many as covariates, within bounds; and from the better one on.
_FIRST, _THEN = (12, 24), 12
#: People in the first evaluations, at most.
_SOME = 1000
#: Sum of all amplitudes to start from, and the most that one has.
_AMPLITUDES = (1.0, 0.3)
#: Log-likelihood by which noise alone must be less likely for there to be a process at all.
_MARGIN = 2.0
#: Amplitude below which a covariate plays no part after the first evaluations, and after all of them.
_NOTHING = (0.002, 0.001)
#: Rate of the exponential prior of amplitudes, in units of log-likelihood: what does not matter goes to 0.
_RATE = 0.5
#: Means and standard deviations of the normal priors of the logarithms of lengths and of the orders' multipliers.
_LENGTH, _ORDERS = (0.0, 1.0), ((-1.5, 1.5), (-2.5, 1.5))
_BOUNDS = {"amplitude": (-9.0, 3.0), "length": (-2.5, 1.8), "order": (-8.0, 3.0), "noise": (-5.0, 0.5)}
#: Bytes of kernels kept between the likelihood and its gradient, at most; with more they are made twice.
_KEPT = 130_000_000
#: Added to the diagonal: single precision of the kernel.
_JITTER = 1e-4


def most_likely(x: np.ndarray, y: np.ndarray, scale: Scale) -> Hyper:
    """Find the most likely hyperparameters.

    From two lengths, as a search that starts at slow effects may miss fast ones. Covariates that have no amplitude
    after the first steps are left out of the rest; all of them where noise alone is as likely by then.

    Parameters
    ----------
    x
        Covariates float64[n, p] of some hundreds of people.
    y
        float64[n], standardised: what a linear model leaves of their phenotype.
    scale
        Of the covariates.
    """
    p = x.shape[1]
    z = scale(x, np.arange(p))
    varies = np.flatnonzero(z.std(axis=1) > 0)
    some = np.linspace(0, len(y) - 1, min(_SOME, len(y))).round().astype(int)
    search = _Likelihood(z[:, some], y[some], scale, varies)
    steps = int(np.clip(len(varies), *_FIRST))
    theta, value = min((search.climb(search.start(length), steps) for length in STARTS), key=lambda found: found[1])
    # as likely as noise alone
    if value > 0.5 * len(some) * (1 + np.log(float(search.y @ search.y) / len(some))) - _MARGIN:
        return Hyper(np.zeros(p), np.ones(p), np.ones(3), float(np.exp(theta[-1])))
    theta, used = _without_small(theta, varies, _NOTHING[0])
    if len(used):
        theta, _ = _Likelihood(z, y, scale, used).climb(theta, _THEN)
        theta, used = _without_small(theta, used, _NOTHING[1])
    amplitude, length, q = np.zeros(p), np.ones(p), len(used)
    amplitude[used], length[used] = np.exp(theta[:q]), np.exp(theta[q : 2 * q])
    return Hyper(amplitude, length, np.r_[1.0, np.exp(theta[2 * q : 2 * q + 2])], float(np.exp(theta[-1])))


def _without_small(theta: np.ndarray, used: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the covariates whose amplitude is less than that; return the other hyperparameters, and whose."""
    q = len(used)
    kept = np.flatnonzero(np.exp(theta[:q]) >= least)
    return theta[np.r_[kept, q + kept, 2 * q : 2 * q + 3]], used[kept]


@dataclass
class _Likelihood:
    """Marginal likelihood of some people, and its gradient by the logarithms of the hyperparameters.

    Attributes
    ----------
    z
        float32[p, n] covariates on their scales; ``used`` are those of the kernel.
    """

    z: np.ndarray
    y: np.ndarray
    scale: Scale
    used: np.ndarray

    def start(self, length: float) -> np.ndarray:
        """Return hyperparameters to start from, with one length of all covariates.

        Amplitudes share a sum: with many covariates pairs and threes would otherwise have a variance far beyond that of
        the phenotype.
        """
        q = len(self.used)
        amplitude = min(_AMPLITUDES[0] / max(q, 1), _AMPLITUDES[1])
        return np.r_[np.full(q, np.log(amplitude)), np.full(q, np.log(length)), 0.0, 0.0, np.log(0.7)]

    def climb(self, start: np.ndarray, steps: int) -> tuple[np.ndarray, float]:
        """Return the most likely point that some evaluations from a start lead to, and its minus log-likelihood."""
        # scipy costs a part of a second to import
        from scipy.optimize import minimize

        q = len(self.used)
        bounds = [_BOUNDS["amplitude"]] * q + [_BOUNDS["length"]] * q + [_BOUNDS["order"]] * 2 + [_BOUNDS["noise"]]
        options = {"maxfun": steps, "maxiter": steps, "maxcor": 20}
        found = minimize(self.value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return found.x, float(found.fun)

    def value(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return minus the logarithm of likelihood times prior, and its gradient."""
        from scipy.linalg.lapack import spotrf, spotri, spotrs

        q, n = len(self.used), len(self.y)
        second, third, noise = np.exp(theta[2 * q :])
        ones = [
            One.of(
                self.z[j], None if self.scale.two[j] else self.scale.atoms[j], np.exp(theta[q + i]), np.exp(theta[i])
            )
            for i, j in enumerate(self.used)
        ]
        covariance, kept = np.zeros((n, n), dtype=np.float32), {}
        for rows in row_blocks(n, n):
            made = _Block.of(ones, rows)
            covariance[rows, : rows.stop] = made.sums[0] + np.float32(second) * made.sums[1]
            covariance[rows, : rows.stop] += np.float32(third) * made.sums[2]
            if 4 * n * n * q <= _KEPT:
                kept[rows.start] = made
        covariance[np.diag_indices(n)] += np.float32(noise + _JITTER)
        # LAPACK sees the transpose: the lower triangle is its upper one
        factor, failed = spotrf(covariance.T, lower=0, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        alpha = spotrs(factor, self.y.astype(np.float32), lower=0)[0]
        value = 0.5 * float(self.y @ alpha) + float(np.log(np.diag(factor).astype(np.float64)).sum())
        inverse = spotri(factor, lower=0, overwrite_c=1)[0].T
        gradient = np.zeros_like(theta)
        gradient[-1] = 0.5 * (float(np.trace(inverse, dtype=np.float64)) - float(alpha @ alpha)) * noise
        for rows in row_blocks(n, n):
            # of the lower triangle only: each pair of people counts twice, everybody with themselves once
            w = inverse[rows, : rows.stop] - np.multiply.outer(alpha[rows], alpha[: rows.stop])
            own = w[:, rows.start :]
            own *= np.tri(len(own), k=-1, dtype=np.float32) + np.eye(len(own), dtype=np.float32) / 2
            made = kept.pop(rows.start, None) or _Block.of(ones, rows)
            gradient += made.slopes(w, ones, theta)
        return self._with_prior(value, gradient, theta)

    def _with_prior(self, value: float, gradient: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Add minus the logarithm of the prior."""
        q = len(self.used)
        amplitude = np.exp(theta[:q])
        value += _RATE * float(amplitude.sum())
        gradient[:q] += _RATE * amplitude
        places = np.arange(q, 2 * q + 2)
        mean = np.r_[np.full(q, _LENGTH[0]), [m for m, _ in _ORDERS]]
        spread = np.r_[np.full(q, _LENGTH[1]), [s for _, s in _ORDERS]]
        off = (theta[places] - mean) / spread
        gradient[places] += off / spread
        return value + 0.5 * float(off @ off), gradient


@dataclass(frozen=True)
class _Block:
    """Kernels between some people and all up to them.

    Attributes
    ----------
    rows
        These people.
    each
        The kernel of each covariate, and its squared exponential part.
    sums
        Over single covariates, pairs and threes.
    """

    rows: slice
    each: list[tuple[np.ndarray, np.ndarray | None]]
    sums: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, ones: list[One], rows: slice) -> _Block:
        """Evaluate the kernels."""
        each = [block(one, one, rows, rows.stop) for one in ones]
        return cls(rows, each, sums([kernel for kernel, _ in each]))

    def slopes(self, w: np.ndarray, ones: list[One], theta: np.ndarray) -> np.ndarray:
        """Return what these people add to the gradient; ``w`` is the derivative by each element of the covariance."""
        q, (e1, e2, e3), rows, end = len(ones), self.sums, self.rows, self.rows.stop
        amplitude, length = np.exp(theta[:q]), np.exp(theta[q : 2 * q])
        second, third = np.exp(theta[2 * q : 2 * q + 2])
        out = np.zeros_like(theta)
        out[2 * q], out[2 * q + 1] = second * np.vdot(w, e2), third * np.vdot(w, e3)
        # by a kernel k: 1 + second (e1 - k) + third (e2 - k (e1 - k)), what it is multiplied by in the sums
        cubic = w * np.float32(third)
        square = e1 * cubic
        square += w * np.float32(second)
        plain = square * e1
        plain -= cubic * (e1 * e1 - e2)
        plain += w
        for i, (one, (kernel, bell)) in enumerate(zip(ones, self.each, strict=True)):
            by = kernel * cubic
            np.subtract(square, by, out=by)
            by *= kernel
            np.subtract(plain, by, out=by)
            out[i] = np.vdot(by, kernel)
            if bell is None or one.centre is None:
                continue
            c, z = one.centre, one.z
            at, slope = (by @ c.both[:end]).T
            centred = -(c.slope[rows] @ at + c.at[rows] @ slope) / c.whole
            centred += (c.at[rows] @ at) * c.whole_slope / c.whole**2
            by *= bell
            none, once, twice = (by @ one.powers[:end]).T
            apart = none @ z[rows] ** 2 - 2 * (once @ z[rows]) + twice.sum()
            out[q + i] = apart / length[i] ** 2 + amplitude[i] * centred
        return out
