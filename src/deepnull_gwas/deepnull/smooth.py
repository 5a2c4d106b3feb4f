"""Linear models on fixed functions of the covariates: linear, second order, natural splines.

They are fitted in :mod:`penalised`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

#: Rows of the design held at once.
ROWS = 16384
#: Knots of a natural spline.
KNOTS = 12
#: Standard deviations beyond which a covariate is held: nothing was learned there.
FAR = 10.0
#: Ridge, per person, of what is not meant to be penalised: keeps collinear or separating covariates finite.
TINY = 1e-6
_SAMPLE = 20000
#: Of the saved arrays.
_OF_BASIS = ("mean", "scale", "low", "high", "pairs", "twos")
_OF_CURVE = ("knots", "coefficients", "roughness")


def natural_spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Evaluate the cardinal natural cubic splines on some knots: float64[n, knots].

    Column k is 1 at knot k and 0 at the others.

    Linear beyond the outer knots. Formulas as in Green and Silverman, Nonparametric Regression and Generalized Linear
    Models (1994), 2.3 and 2.4.
    """
    h, bend = np.diff(knots), _bend(knots)
    at = np.clip(x, knots[0], knots[-1])
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    right = (at - knots[i]) / h[i]
    left = 1 - right
    values = -((at - knots[i]) * (knots[i + 1] - at) / 6)[:, None] * (
        (1 + right)[:, None] * bend[i + 1] + (1 + left)[:, None] * bend[i]
    )
    rows = np.arange(len(x))
    values[rows, i] += left
    values[rows, i + 1] += right
    unit = np.eye(len(knots))
    first = (unit[1] - unit[0]) / h[0] - h[0] * bend[1] / 6
    last = (unit[-1] - unit[-2]) / h[-1] + h[-1] * bend[-2] / 6
    below, above = np.minimum(x - knots[0], 0), np.maximum(x - knots[-1], 0)
    return values + below[:, None] * first + above[:, None] * last


def _bend(knots: np.ndarray) -> np.ndarray:
    """Second derivatives at the knots of the cardinal splines: float64[knots, knots]."""
    q, r = _bands(knots)
    bend = np.zeros((len(knots), len(knots)))
    bend[1:-1] = np.linalg.solve(r, q.T)
    return bend


def _bands(knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    h, k = np.diff(knots), len(knots)
    q, r = np.zeros((k, k - 2)), np.zeros((k - 2, k - 2))
    for j in range(k - 2):
        q[j : j + 3, j] = 1 / h[j], -1 / h[j] - 1 / h[j + 1], 1 / h[j + 1]
        r[j, j] = (h[j] + h[j + 1]) / 3
        if j:
            r[j, j - 1] = r[j - 1, j] = h[j] / 6
    return q, r


@dataclass
class Curve:
    """What a covariate's natural spline adds to its straight line.

    Uncorrelated functions, from the smoothest on (Demmler and Reinsch 1975).

    Attributes
    ----------
    column
        The covariate.
    knots
        Knots in standard deviations.
    coefficients
        float64[knots, functions].
    roughness
        Roughness penalty of each function, 1 for the smoothest.
    """

    column: int
    knots: np.ndarray
    coefficients: np.ndarray
    roughness: np.ndarray

    @classmethod
    def of(cls, z: np.ndarray, column: int) -> Curve | None:
        """Make the curve of one standardised covariate; None where it has fewer than four values."""
        values = np.unique(z)
        if len(values) < 4:
            return None
        count = min(KNOTS, len(values))
        knots = values if len(values) == count else np.unique(np.quantile(z, np.linspace(0.01, 0.99, count)))
        if len(knots) < 4:
            knots = np.unique(np.quantile(values, np.linspace(0.01, 0.99, count)))
        splines = natural_spline(z, knots)
        q, r = _bands(knots)
        penalty = q @ np.linalg.solve(r, q.T)
        moments = splines.T @ splines / len(z)
        moments += np.eye(len(knots)) * 1e-9 * np.trace(moments)
        root = np.linalg.inv(np.linalg.cholesky(moments))
        size, direction = np.linalg.eigh(root @ penalty @ root.T)
        # the first two functions are the constant and the straight line
        coefficients = root.T @ direction[:, 2:]
        coefficients *= np.sign(coefficients[np.abs(coefficients).argmax(axis=0), np.arange(coefficients.shape[1])])
        return cls(column, knots, coefficients, size[2:] / size[2])

    def functions(self, z: np.ndarray) -> np.ndarray:
        """Evaluate at standardised values: float64[n, functions]."""
        return natural_spline(z, self.knots) @ self.coefficients


@dataclass
class Basis:
    """Functions of the covariates.

    Attributes
    ----------
    kind
        ``linear``, ``second_order`` (squares and products of pairs) or ``splines`` (a natural spline of each covariate,
        by each covariate of two values, and products of pairs).
    mean, scale
        Of the covariates.
    low, high
        Standardised values at which covariates are held within products.
    curves
        One for each covariate of four values or more (splines).
    pairs
        int[pairs, 2]: covariates whose products are taken.
    twos
        Covariates of two values, by which splines are taken.
    """

    kind: str
    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    curves: list[Curve] = field(default_factory=list)
    pairs: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    twos: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, kind: str, x: np.ndarray) -> Basis:
        """Make the functions from covariates float64[n, p] without constants; phenotypes play no part."""
        mean, scale = x.mean(axis=0), x.std(axis=0)
        z = np.clip((x[:: max(1, len(x) // _SAMPLE)] - mean) / scale, -FAR, FAR)
        basis = cls(kind, mean, scale, *np.quantile(z, [0.005, 0.995], axis=0))
        two = np.array([len(np.unique(z[:, j])) == 2 for j in range(z.shape[1])], dtype=bool)
        basis.low[two], basis.high[two] = z.min(axis=0)[two], z.max(axis=0)[two]
        if kind == "linear":
            return basis
        pairs = list(itertools.combinations(range(z.shape[1]), 2))
        if kind == "second_order":
            basis.low, basis.high = np.full_like(mean, -FAR), np.full_like(mean, FAR)
            pairs += [(j, j) for j in np.flatnonzero(~two)]
        else:
            basis.curves = [c for c in (Curve.of(z[:, j], j) for j in np.flatnonzero(~two)) if c is not None]
            basis.twos = np.flatnonzero(two)
        basis.pairs = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return basis

    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return for each column its group (0 linear, 1 curve, 2 interaction) and its penalty within the group."""
        p = len(self.mean)
        rough = [c.roughness for c in self.curves]
        group = [np.zeros(p), *[np.ones(len(r)) for r in rough], np.full(len(self.pairs), 2)]
        weight = [np.zeros(p), *rough, np.ones(len(self.pairs))]
        for _ in self.twos:
            group += [np.full(len(r), 2) for r in rough]
            weight += rough
        return np.concatenate(group).astype(int), np.concatenate(weight)

    def families(self) -> np.ndarray:
        """Return for each column the number of the function family that is kept or shrunk as one."""
        sizes = [*[1] * len(self.mean), *[len(c.roughness) for c in self.curves], *[1] * len(self.pairs)]
        sizes += [len(c.roughness) for _ in self.twos for c in self.curves]
        return np.repeat(np.arange(len(sizes)), sizes)

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Evaluate: float64[n, columns]."""
        z = np.clip((x - self.mean) / self.scale, -FAR, FAR)
        held = np.clip(z, self.low, self.high)
        curves = [c.functions(z[:, c.column]) for c in self.curves]
        products = held[:, self.pairs[:, 0]] * held[:, self.pairs[:, 1]]
        by_two = [values * held[:, [two]] for two in self.twos for values in curves]
        return np.concatenate([z, *curves, products, *by_two], axis=1)


def chunks(n: int) -> Iterator[slice]:
    """Cut n rows into runs of at most ``ROWS``."""
    for first in range(0, n, ROWS):
        yield slice(first, min(first + ROWS, n))


@dataclass
class SmoothModel:
    """A fitted model: the functions it uses and their coefficients.

    Attributes
    ----------
    basis
        The functions.
    used
        Columns of the basis with a coefficient.
    beta, intercept
        Coefficients of these.
    """

    basis: Basis
    used: np.ndarray
    beta: np.ndarray
    intercept: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict: float64[n]; a logit for binary traits."""
        out = np.empty(len(x))
        for rows in chunks(len(x)):
            out[rows] = self.basis.columns(x[rows])[:, self.used] @ self.beta + self.intercept
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name."""
        basis = self.basis
        out = {
            "kind": np.array(basis.kind),
            "used": self.used,
            "beta": self.beta,
            "intercept": np.array(self.intercept),
        }
        out |= {key: getattr(basis, key) for key in _OF_BASIS}
        out["columns"] = np.array([c.column for c in basis.curves], dtype=np.int64)
        for i, curve in enumerate(basis.curves):
            out |= {f"curve{i}.{key}": getattr(curve, key) for key in _OF_CURVE}
        return out

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> SmoothModel:
        """Return the model whose :meth:`arrays` these are."""
        curves = [
            Curve(int(column), *(arrays[f"curve{i}.{key}"] for key in _OF_CURVE))
            for i, column in enumerate(arrays["columns"])
        ]
        basis = Basis(str(arrays["kind"]), curves=curves, **{key: arrays[key] for key in _OF_BASIS})
        return cls(basis, arrays["used"], arrays["beta"], float(arrays["intercept"]))


def logistic(
    design: np.ndarray,
    y: np.ndarray,
    penalty: np.ndarray,
    people: np.ndarray | None = None,
    start: np.ndarray | None = None,
    columns: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> np.ndarray:
    """Fit a penalised logistic regression by Newton's method with halved steps.

    Parameters
    ----------
    design
        float[n, m], the intercept first.
    y
        0/1.
    penalty
        Ridge per person of each coefficient but the intercept, where the mean weight of a person is mean (1 - mean).
    people, columns
        Rows and columns to use; all by default.
    start
        Coefficients to start from.
    offset
        Added to the linear predictor.

    Returns
    -------
    float64 coefficients of the columns used.
    """
    n = len(y)
    index = np.arange(n) if people is None else np.flatnonzero(people)
    mean = float(np.clip(y[index].mean(), 1e-6, 1 - 1e-6))
    ridge = np.r_[0.0, penalty * len(index) * mean * (1 - mean)]
    shift = np.zeros(n) if offset is None else offset

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for rows in chunks(len(index)):
            at = index[rows]
            d = design[at] if columns is None else design[np.ix_(at, columns)]
            yield d.astype(np.float64, copy=False), y[at], shift[at]

    def value(beta: np.ndarray) -> float:
        total = -0.5 * float(beta @ (ridge * beta))
        for d, yy, extra in pieces():
            eta = d @ beta + extra
            total += float(np.sum(yy * eta - np.logaddexp(0, eta)))
        return total

    m = len(ridge)
    beta = np.zeros(m)
    beta[0] = np.log(mean / (1 - mean))
    now = value(beta)
    if start is not None and (other := value(start)) > now:
        beta, now = start.copy(), other
    for _ in range(50):
        hessian, gradient = np.diag(ridge + 1e-12), -ridge * beta
        for d, yy, extra in pieces():
            mu = 1 / (1 + np.exp(-(d @ beta + extra)))
            hessian += (d * np.maximum(mu * (1 - mu), 1e-10)[:, None]).T @ d
            gradient += d.T @ (yy - mu)
        step = np.linalg.solve(hessian, gradient)
        # the gain that the step promises, in units of log-likelihood
        promise = float(gradient @ step)
        factor = 1.0
        while factor > 1e-3:
            new = beta + factor * step
            new_value = value(new)
            if new_value >= now:
                break
            factor /= 2
        else:
            break
        beta, now = new, new_value
        if promise < 1e-7:
            break
    return beta
