"""A fitted logistic model expanded around its maximum, so that a rare variant is tested from its carriers only.

A variant that few people carry changes the linear predictors of everybody else hardly at all: by x'd, with d the small
shift of the covariates' coefficients. For those people the log-likelihood is its Taylor series in d,

    l(d) = s'd - d'A d / 2 - T[d, d, d] / 6 - ...      s = X'(y - mu)   A = X'W X   T = sum w (1 - 2 mu) x x x

whose tensors are summed over all people once; carriers, people whose call is left out, and the few people with the
largest leverages are computed one by one. What is left out of the series is bounded for each variant: where the bound
is not small, everybody is looked at.
"""

from __future__ import annotations

import numpy as np

from deepnull_gwas.jit import FAST, numba

#: People with the largest leverages, who are always computed one by one
CORE = 512
#: The series is good enough when it moves beta by less than this many standard errors, and a statistic by less than
#: this
ACCURACY = 2e-5
#: From this many times that many people on there is an expansion, for variants that fewer than one in `SPARSE` people
#: carries
PEOPLE, SPARSE = 4 * CORE, 16
#: Where the series is not good enough, one in this many people more is computed one by one: those whom the shift moves
#: most
WIDER = 64
_ROWS = 4096


class Expansion:
    """Tensors of a logistic model around given linear predictors.

    Parameters
    ----------
    x
        float64[n, p], columns of length about sqrt(n), the first constant.
    eta
        float64[n], linear predictors.
    y
        0/1.

    Attributes
    ----------
    score, information, third
        float64[p], [p, p] and [p, p, p]: s, A and T of the module, over everybody outside the core.
    penalty
        float64[p, p], sum w (1 - 6 w) q x x', of the same people: how log|X'W X| bends, to leading order.
    leverage
        float64[n], q = x'(X'WX)^-1 x over all people (without the weight).
    core
        int64, rows that are always computed one by one.
    moments
        k -> sum w q^k of the others: by Cauchy and Schwarz they bound sums of powers of x'd.
    """

    def __init__(self, x: np.ndarray, eta: np.ndarray, y: np.ndarray):
        self.x, self.eta, self.y = x, eta, y
        n, p = x.shape
        mu = 1.0 / (1.0 + np.exp(-eta))
        w = mu * (1.0 - mu)
        whole = np.zeros((p, p))
        for rows in _blocks(n):
            whole += (x[rows] * w[rows, None]).T @ x[rows]
        half = np.linalg.inv(np.linalg.cholesky(whole)).T
        self.leverage = np.empty(n)
        for rows in _blocks(n):
            self.leverage[rows] = np.square(x[rows] @ half).sum(axis=1)
        self.core = np.sort(np.argsort(-self.leverage, kind="stable")[:CORE])
        #: where a person lies in the core; -1 outside it
        self.place = np.full(n, -1, dtype=np.int32)
        self.place[self.core] = np.arange(len(self.core))
        r = y - mu
        b3, b4 = w * (1.0 - 2.0 * mu), w * (1.0 - 6.0 * w) * self.leverage
        for values in (r, w, b3, b4):
            values[self.core] = 0.0
        first, second = np.triu_indices(p)
        self.score, self.information, self.penalty = np.zeros(p), np.zeros((p, p)), np.zeros((p, p))
        flat = np.zeros((len(first), p))
        for rows in _blocks(n):
            part = x[rows]
            self.score += part.T @ r[rows]
            self.information += (part * w[rows, None]).T @ part
            self.penalty += (part * b4[rows, None]).T @ part
            flat += (part[:, first] * part[:, second]).T @ (part * b3[rows, None])
        self.third = np.empty((p, p, p))
        self.third[first, second] = flat
        self.third[second, first] = flat
        q = self.leverage
        self.moments = {k: float((w * q**k).sum()) for k in (2.0, 2.5, 3.0, 4.0)}


def _blocks(n: int) -> list[slice]:
    """Cut the people into blocks."""
    return [slice(first, min(first + _ROWS, n)) for first in range(0, n, _ROWS)]


def _bounds(sixth: float, fourth: float, value: float, cubic: float) -> tuple[float, float]:
    """Turn sums of w u^6, w q^2 u^4, w u^4 and w q |u|^3 into bounds of the terms that follow those of the series.

    The derivatives of w are no larger than w. What is left out is sum w x u^3 / 6 of the score, sum w q x u^2 / 4 of
    the penalty's derivative, sum w u^4 / 24 and sum w q u^3 / 12 of their integrals; those of the penalty are doubled
    for what the inverse adds.
    """
    return float(np.sqrt(sixth) / 6.0 + np.sqrt(fourth) / 2.0), float(value / 24.0 + cubic / 6.0)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _powers(x, eta, leverage, used, shift, sign, out):
    """Add ``sign`` times the sums of w u^6, w q^2 u^4, w u^4, w q |u|^3 (u = x'shift) over the people of ``used``."""
    n, p = x.shape
    for i in range(n):
        if not used[i]:
            continue
        u = 0.0
        for j in range(p):
            u += x[i, j] * shift[j]
        e = np.exp(-abs(eta[i]))
        w = sign * e / ((1.0 + e) * (1.0 + e))
        q, u2 = leverage[i], u * u
        out[0] += w * u2 * u2 * u2
        out[1] += w * q * q * u2 * u2
        out[2] += w * u2 * u2
        out[3] += w * q * u2 * abs(u)


class Carriers:
    """A rare variant: the people who are computed one by one, and what the series needs of them.

    Attributes
    ----------
    rows
        int64[k], rows of the analysed people: the core, then carriers outside it (and people without a call).
    g
        float64[k], copies of A1 beyond those that nearly everybody has; 0 for everybody else.
    present
        bool[k], whether the person is analysed (False: the call is missing, and left out).
    tracked
        bool[k], whether the tensors hold the person, so that what they say of him must be taken out.
    """

    def __init__(self, expansion: Expansion, rows: np.ndarray, g: np.ndarray, present: np.ndarray):
        self.expansion, self.rows, self.g, self.present = expansion, rows, g, present
        self.tracked = expansion.place[rows] < 0
        self.x, self.eta, self.y = expansion.x[rows], expansion.eta[rows], expansion.y[rows]
        self.leverage = expansion.leverage[rows]

    @classmethod
    def of(cls, expansion: Expansion, rows: np.ndarray, g: np.ndarray, present: np.ndarray) -> Carriers:
        """Add the core to the people that a block lists (:meth:`deepnull_gwas.genotypes.block.Block.carriers`)."""
        place = expansion.place[rows]
        outside = place < 0
        k = len(expansion.core)
        all_g = np.concatenate([np.zeros(k), g[outside]])
        all_present = np.concatenate([np.ones(k, dtype=bool), present[outside]])
        all_g[place[~outside]] = g[~outside]
        all_present[place[~outside]] = present[~outside]
        return cls(expansion, np.concatenate([expansion.core, rows[outside]]), all_g, all_present)

    def widened(self, shift: np.ndarray) -> Carriers:
        """Add the people whom a shift of the coefficients moves most."""
        moved = np.abs(self.expansion.x @ shift)
        moved[self.rows] = -1.0
        more = len(moved) // WIDER
        rows = np.sort(np.argpartition(-moved, more)[:more])
        return Carriers(
            self.expansion,
            np.concatenate([self.rows, rows]),
            np.concatenate([self.g, np.zeros(more)]),
            np.concatenate([self.present, np.ones(more, dtype=bool)]),
        )

    def _sums(self, shift: np.ndarray) -> np.ndarray:
        e, out, shift = self.expansion, np.zeros(4), np.ascontiguousarray(shift)
        _powers(e.x, e.eta, e.leverage, e.place < 0, shift, 1.0, out)
        _powers(self.x, self.eta, self.leverage, self.tracked, shift, -1.0, out)
        return np.maximum(out, 0.0)

    def left_out(self, shift: np.ndarray) -> tuple[float, float]:
        """Bound what the series leaves out of Firth's likelihood at a shift of the coefficients.

        Returns
        -------
        How far the covariates' coefficients may be off, in standard errors, and the logarithm of the likelihood.
        """
        e = self.expansion
        d2 = self.distance(shift) ** 2
        bound = _bounds(
            d2**3 * e.moments[3.0], d2**2 * e.moments[4.0], d2**2 * e.moments[2.0], d2**1.5 * e.moments[2.5]
        )
        if bound[0] < ACCURACY and bound[1] < ACCURACY / 8:
            return bound
        return _bounds(*self._sums(shift))

    def distance(self, shift: np.ndarray) -> float:
        """Return the length of a shift of the coefficients in standard errors."""
        return float(np.sqrt(shift @ self.expansion.information @ shift))

    def fourth(self, shift: np.ndarray, closely: bool = False) -> float:
        """Bound the fourth-order term of the log-likelihood at a shift.

        By the leverages, or ``closely`` by a pass over all people.
        """
        if closely:
            return float(self._sums(shift)[2]) / 24.0
        e = self.expansion
        return self.distance(shift) ** 4 * e.moments[2.0] / 24.0

    def line(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
        """Restrict the model to g~ = g - X a times one coefficient.

        Returns
        -------
        Rows of this object that are analysed, their g~, and the coefficients of the series of everybody else: score,
        information and third derivative.
        """
        shift = self.x @ a
        mu = 1.0 / (1.0 + np.exp(-self.eta))
        w = np.where(self.tracked, mu * (1.0 - mu), 0.0)
        e = self.expansion
        score = -float(a @ e.score) + float((np.where(self.tracked, self.y - mu, 0.0) * shift).sum())
        information = float(a @ e.information @ a) - float((w * shift**2).sum())
        third = -float(a @ (e.third @ a) @ a) + float((w * (1.0 - 2.0 * mu) * shift**3).sum())
        on = np.flatnonzero(self.present)
        return on, (self.g - shift)[on], (score, max(information, 0.0), third)
