"""The additive kernel of the Gaussian process: of each covariate, of pairs and of threes, kept apart.

Lu, Boukouvalas and Hensman 2022 (https://proceedings.mlr.press/v162/lu22b.html): the kernel of each covariate is made
orthogonal to the constant under the density of the covariate, so that a main effect holds nothing of an interaction;
Duvenaud, Nickisch and Rasmussen 2011 for the sums over all pairs and all threes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Values of each covariate that stand for its density.
ATOMS = 48
#: Share of a straight line in the kernel of a covariate, where its curve has 1.
STRAIGHT = 0.1
#: Knots at most of the map of a covariate to normal scores.
_KNOTS = 400
#: Standard deviations beyond which no value of a covariate may lie for it to be taken as it is.
_LIGHT_TAILS = 4.0
#: Elements of the kernel held at once: what stays in a core's cache.
_BLOCK = 24576


@dataclass(frozen=True)
class Scale:
    """The scale on which a covariate's effect is equally rough everywhere, standardised.

    As it is where its tails are light, otherwise by normal scores. Values are held where nothing was learned beyond.

    Attributes
    ----------
    values, scores
        float64[p, knots]: the scale is linear between them; rows end in repeated values.
    two
        bool[p]: covariates of two values.
    atoms
        float32[p, ATOMS]: values on the scale that stand for the density.
    """

    values: np.ndarray
    scores: np.ndarray
    two: np.ndarray
    atoms: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Scale:
        """Make the scale from covariates float64[n, p] without constants; phenotypes play no part."""
        each = [_scores(x[:, j]) for j in range(x.shape[1])]
        longest = max(len(values) for values, _ in each)
        values, scores = (
            np.array([np.pad(v, (0, longest - len(v)), mode="edge") for v in rows]) for rows in zip(*each)
        )
        atoms = np.empty((len(each), ATOMS), dtype=np.float32)
        at = (np.arange(ATOMS) + 0.5) / ATOMS
        for j in range(len(each)):
            z = np.interp(x[:, j], *each[j])
            mean, spread = z.mean(), z.std() or 1.0
            scores[j] = (scores[j] - mean) / spread
            atoms[j] = np.quantile((z - mean) / spread, at, method="inverted_cdf")
        two = np.array([bool(np.isin(column, [column.min(), column.max()]).all()) for column in x.T], dtype=bool)
        return cls(values, scores, two, atoms)

    def __call__(self, x: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Return the covariates ``used`` on the scale, float32[used, n]."""
        rows = [np.interp(x[:, j], self.values[j], self.scores[j]) for j in used]
        return np.array(rows, dtype=np.float32).reshape(len(used), len(x))


def _scores(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values of a covariate and their scores."""
    values, count = np.unique(x, return_counts=True)
    middle = (np.cumsum(count) - count / 2) / len(x)
    if np.abs(values[[0, -1]] - x.mean()).max() <= _LIGHT_TAILS * x.std():
        return values[[0, -1]], values[[0, -1]]
    # scipy costs a part of a second to import
    from scipy.special import ndtri

    if len(values) > _KNOTS:
        taken = np.searchsorted(middle, np.linspace(0.5 / len(x), 1 - 0.5 / len(x), _KNOTS))
        taken = np.unique(np.clip(taken, 0, len(values) - 1))
        values, middle = values[taken], middle[taken]
    return values, ndtri(middle)


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters of the kernel of a standardised phenotype.

    Attributes
    ----------
    amplitude
        float64[p]: of each covariate's kernel, a variance; 0: the covariate plays no part.
    length
        float64[p]: on its scale, the distance over which its effect changes.
    order
        float64[3]: what single covariates, pairs and threes are multiplied by.
    noise
        Variance of what no covariate explains.
    """

    amplitude: np.ndarray
    length: np.ndarray
    order: np.ndarray
    noise: float

    @property
    def used(self) -> np.ndarray:
        """Numbers of the covariates that play a part."""
        return np.flatnonzero(self.amplitude)


@dataclass(frozen=True)
class Centre:
    """Means of a covariate's squared exponential kernel over its density.

    Attributes
    ----------
    at
        float32[n]: between each person and the density; ``slope`` its derivative by the logarithm of the length.
    whole
        Between the density and itself; ``whole_slope`` its derivative.
    """

    at: np.ndarray
    slope: np.ndarray
    whole: float
    whole_slope: float

    @classmethod
    def of(cls, z: np.ndarray, atoms: np.ndarray, length: float) -> Centre:
        """Return the means for people with values ``z`` of the covariate."""
        means, slopes = [], []
        for values in (z, atoms):
            square = (values[:, None] - atoms) ** 2 / np.float32(length**2)
            bell = np.exp(np.float32(-0.5) * square)
            means.append(bell.mean(axis=1))
            slopes.append((bell * square).mean(axis=1))
        return cls(means[0], slopes[0], float(means[1].mean()), float(slopes[1].mean()))

    # what the gradient multiplies with again and again, and nobody else needs
    @cached_property
    def both(self) -> np.ndarray:
        """``at`` and ``slope``: float32[n, 2]."""
        return np.column_stack([self.at, self.slope])


@dataclass(frozen=True)
class One:
    """One covariate of some people, as factors of its kernel: sums of few products are faster than differences.

    Attributes
    ----------
    z
        float32[n] on the covariate's scale.
    centre
        None of covariates of two values, whose only effect is a straight line.
    exponent
        float32[n, 3] and float32[3, n]: their product is the exponent of the squared exponential kernel, the logarithm
        of the amplitude in it; None of covariates of two values.
    rest
        float32[n, 1 or 2] and its counterpart: their product is the rest of the kernel.
    """

    z: np.ndarray
    centre: Centre | None
    exponent: tuple[np.ndarray, np.ndarray] | None
    rest: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, z: np.ndarray, atoms: np.ndarray | None, length: float, amplitude: float) -> One:
        """Prepare people with values ``z``; ``atoms`` is None for covariates of two values."""
        if atoms is None:
            return cls(z, None, None, ((z * np.float32(amplitude))[:, None], z[None]))
        centre = Centre.of(z, atoms, length)
        half, ones = np.float32(-0.5 / length**2), np.ones_like(z)
        near = np.column_stack([half * z * z + np.float32(np.log(amplitude)), ones, np.float32(-2) * half * z])
        far = np.array([ones, half * z * z, z])
        low = np.column_stack([centre.at * np.float32(-amplitude / centre.whole), z * np.float32(amplitude * STRAIGHT)])
        return cls(z, centre, (near, far), (low, np.array([centre.at, z])))

    @cached_property
    def powers(self) -> np.ndarray:
        """Each person's value on the scale to the power of 0, 1 and 2: float32[n, 3]; of the gradient, too."""
        return np.column_stack([np.ones_like(self.z), self.z, self.z**2])


def block(a: One, b: One, rows: slice, end: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the kernel of one covariate between some people of ``a`` and those of ``b`` before ``end``.

    It is orthogonal to the constant; and its squared exponential part alone. Both are multiplied by the amplitude.
    """
    kernel = a.rest[0][rows] @ b.rest[1][:, :end]
    if a.exponent is None or b.exponent is None:
        return kernel, None
    bell = a.exponent[0][rows] @ b.exponent[1][:, :end]
    np.exp(bell, out=bell)
    kernel += bell
    return kernel, bell


def sums(kernels: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sums of some kernels, of the products of all pairs, and of all threes (Newton and Girard)."""
    shape = kernels[0].shape
    first, second, third = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    for kernel in kernels:
        third += kernel * second
        second += kernel * first
        first += kernel
    return first, second, third


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut rows into runs, so that a block of the kernel stays in a core's cache."""
    step = max(8, _BLOCK // max(columns, 1))
    for begin in range(0, rows, step):
        yield slice(begin, min(begin + step, rows))


def prepare(z: np.ndarray, scale: Scale, hyper: Hyper) -> list[One]:
    """Prepare people with the covariates that play a part, ``z`` float32[used, n] on the scale."""
    return [
        One.of(z[i], None if scale.two[j] else scale.atoms[j], float(hyper.length[j]), float(hyper.amplitude[j]))
        for i, j in enumerate(hyper.used)
    ]


def between(a: list[One], b: list[One], order: np.ndarray) -> np.ndarray:
    """Return the kernel between people, float32[a, b]; some covariate plays a part."""
    out = np.zeros((len(a[0].z), len(b[0].z)), dtype=np.float32)
    for rows in row_blocks(*out.shape):
        first, second, third = sums([block(i, j, rows, out.shape[1])[0] for i, j in zip(a, b, strict=True)])
        out[rows] = np.float32(order[0]) * first + np.float32(order[1]) * second + np.float32(order[2]) * third
    return out
