"""Hyperparameters of the Gaussian process: the most likely ones, by the marginal likelihood of some people."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from deepnull_gwas.deepnull.kernel import Centre, Hyper, Scale, one, row_blocks, sums

logger = logging.getLogger(__name__)

#: Lengths that the search starts from: slow effects, and fast ones.
STARTS = (1.0, 0.35)
#: People, at most, and evaluations of the likelihood from each start; then from the better one on.
_FIRST, _THEN = (450, 14), (1000, 14)
#: Amplitude below which a covariate plays no part after the first evaluations, and after all of them.
_NOTHING = (0.002, 0.001)
#: Rate of the exponential prior of amplitudes, in units of log-likelihood: what does not matter goes to 0.
_RATE = 0.5
#: Means and standard deviations of the normal priors of the logarithms of lengths and of the orders' multipliers.
_LENGTH, _ORDERS = (0.0, 1.0), ((-1.5, 1.5), (-2.5, 1.5))
_BOUNDS = {"amplitude": (-9.0, 3.0), "length": (-2.5, 1.8), "order": (-8.0, 3.0), "noise": (-5.0, 0.5)}
#: Added to the diagonal: single precision of the kernel.
_JITTER = 1e-4


def most_likely(x: np.ndarray, y: np.ndarray, scale: Scale) -> Hyper:
    """Find the most likely hyperparameters.

    From two lengths, as a search that starts at slow effects may miss fast ones. Covariates that have no amplitude
    after the first steps are left out of the rest.

    Parameters
    ----------
    x
        Covariates float64[n, p] of some hundreds of people.
    y
        float64[n], standardised.
    scale
        Of the covariates.
    """
    p = x.shape[1]
    z = scale(x, np.arange(p))
    varies = np.flatnonzero(z.std(axis=1) > 0)
    some = np.linspace(0, len(y) - 1, min(_FIRST[0], len(y))).round().astype(int)
    search = _Likelihood(z[:, some], y[some], scale, varies)
    theta, _ = min((search.climb(search.start(length), _FIRST[1]) for length in STARTS), key=lambda found: found[1])
    theta, used = _without_small(theta, varies, _NOTHING[0])
    if len(used):
        theta, _ = _Likelihood(z, y, scale, used).climb(theta, _THEN[1])
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
        """Return hyperparameters to start from, with one length of all covariates."""
        q = len(self.used)
        return np.r_[np.full(q, np.log(0.3)), np.full(q, np.log(length)), 0.0, 0.0, np.log(0.7)]

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
        amplitude, length = np.exp(theta[:q]), np.exp(theta[q : 2 * q])
        second, third, noise = np.exp(theta[2 * q :])
        centres = [
            None if self.scale.two[j] else Centre.of(self.z[j], self.scale.atoms[j], length[i])
            for i, j in enumerate(self.used)
        ]
        covariance = np.zeros((n, n), dtype=np.float32)
        for rows in row_blocks(n, n):
            each = self._ones(rows, centres, length, amplitude)
            e1, e2, e3 = sums([k.kernel for k in each])
            covariance[rows, : rows.stop] = e1 + np.float32(second) * e2 + np.float32(third) * e3
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
            gradient += self._slopes(w, rows, centres, theta)
        return self._with_prior(value, gradient, theta)

    def _ones(self, rows: slice, centres: list[Centre | None], length: np.ndarray, amplitude: np.ndarray) -> list:
        """Return the kernel of each covariate between some people and all up to them."""
        each = []
        for i, j in enumerate(self.used):
            of_a = of_b = None
            if (c := centres[i]) is not None:
                of_a = Centre(c.at[rows], c.slope[rows], c.whole, c.whole_slope)
                of_b = Centre(c.at[: rows.stop], c.slope[: rows.stop], c.whole, c.whole_slope)
            each.append(one(self.z[j, rows], self.z[j, : rows.stop], of_a, of_b, float(length[i]), float(amplitude[i])))
        return each

    def _slopes(self, w: np.ndarray, rows: slice, centres: list[Centre | None], theta: np.ndarray) -> np.ndarray:
        """Return what some rows add to the gradient; ``w`` is the derivative by each element of the covariance."""
        q = len(self.used)
        amplitude, length = np.exp(theta[:q]), np.exp(theta[q : 2 * q])
        second, third = np.exp(theta[2 * q : 2 * q + 2])
        each = self._ones(rows, centres, length, amplitude)
        e1, e2, e3 = sums([k.kernel for k in each])
        out = np.zeros_like(theta)
        out[2 * q], out[2 * q + 1] = second * np.vdot(w, e2), third * np.vdot(w, e3)
        for i, k in enumerate(each):
            # the derivative of the sums by this kernel: what it is multiplied by in them
            others = e1 - k.kernel
            by = k.kernel * others
            np.subtract(e2, by, out=by)
            by *= np.float32(third)
            others *= np.float32(second)
            by += others
            by += np.float32(1)
            by *= w
            out[i] = np.vdot(by, k.kernel)
            c = centres[i]
            if c is None or k.bell is None:
                continue
            a, at_b, slope_b = by @ c.at[: rows.stop], c.at[rows], c.slope[rows]
            k.bell *= k.square
            slope = np.vdot(by, k.bell) / length[i] ** 2
            slope -= (slope_b @ a + at_b @ (by @ c.slope[: rows.stop])) / c.whole
            slope += (at_b @ a) * c.whole_slope / c.whole**2
            out[q + i] = amplitude[i] * slope
        return out

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
