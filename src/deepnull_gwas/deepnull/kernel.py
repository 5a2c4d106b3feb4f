"""The additive kernel of the Gaussian process: of each covariate, of pairs and of threes, kept apart.

Lu, Boukouvalas and Hensman 2022 (https://proceedings.mlr.press/v162/lu22b.html): the kernel of each covariate is made
orthogonal to the constant under the density of the covariate, so that a main effect holds nothing of an interaction;
Duvenaud, Nickisch and Rasmussen 2011 for the sums over all pairs and all threes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass
class One:
    """The kernel of one covariate between some people, float32[a, b], and what its gradient needs.

    Attributes
    ----------
    kernel
        Orthogonal to the constant, times the amplitude.
    bell
        The squared exponential kernel; None of covariates of two values.
    square
        Squared distances.
    """

    kernel: np.ndarray
    bell: np.ndarray | None = None
    square: np.ndarray | None = None


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


def one(a: np.ndarray, b: np.ndarray, of_a: Centre | None, of_b: Centre | None, length: float, amplitude: float) -> One:
    """Return the kernel of one covariate between people with values ``a`` and ``b`` on its scale.

    ``of_a`` and ``of_b`` are None for covariates of two values, whose only effect is a straight line.
    """
    if of_a is None or of_b is None:
        return One(np.multiply.outer(a * np.float32(amplitude), b))
    square = np.subtract.outer(a, b)
    square *= square
    bell = np.multiply(square, np.float32(-0.5 / length**2))
    np.exp(bell, out=bell)
    kernel = np.multiply.outer(of_a.at * np.float32(-amplitude / of_a.whole), of_b.at)
    kernel += np.multiply.outer(a * np.float32(amplitude * STRAIGHT), b)
    kernel += bell * np.float32(amplitude)
    return One(kernel, bell, square)


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


@dataclass(frozen=True)
class Points:
    """People as the kernel sees them.

    Attributes
    ----------
    z
        float32[used, n]: covariates that play a part, on their scales.
    centres
        Of each of them; None of covariates of two values.
    """

    z: np.ndarray
    centres: list[Centre | None]

    @classmethod
    def of(cls, z: np.ndarray, scale: Scale, hyper: Hyper) -> Points:
        """Prepare people with covariates ``z`` float32[used, n] on the scale."""
        return cls(
            z,
            [
                None if scale.two[j] else Centre.of(z[i], scale.atoms[j], float(hyper.length[j]))
                for i, j in enumerate(hyper.used)
            ],
        )


def between(a: Points, b: Points, hyper: Hyper) -> np.ndarray:
    """Return the kernel between people, float32[a, b]."""
    out = np.zeros((a.z.shape[1], b.z.shape[1]), dtype=np.float32)
    if not len(hyper.used):
        return out
    order = hyper.order.astype(np.float32)
    for rows in row_blocks(*out.shape):
        kernels = []
        for i, j in enumerate(hyper.used):
            centre = a.centres[i]
            if centre is not None:
                centre = Centre(centre.at[rows], centre.slope[rows], centre.whole, centre.whole_slope)
            length, amplitude = float(hyper.length[j]), float(hyper.amplitude[j])
            kernels.append(one(a.z[i, rows], b.z[i], centre, b.centres[i], length, amplitude).kernel)
        first, second, third = sums(kernels)
        out[rows] = order[0] * first + order[1] * second + order[2] * third
    return out
