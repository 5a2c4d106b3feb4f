"""The features of a sparse Gaussian process, and products with them: all of it that costs by the number of people.

There are two designs of the same features: by numpy, here, and by torch (:mod:`.process_on_gpu`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deepnull_gwas.deepnull.kernel import Hyper, Scale, between, prepare
from deepnull_gwas.deepnull.smooth import FAR, chunks

#: Features whose variance is less than this share of the noise of all people are left out; so are those that single
#: precision does not hold.
_SLIGHT, _PRECISE = 0.01, 1e-5
#: Prior variance of the slopes of the straight lines next to the kernel, of standardised covariates and phenotypes.
FLAT = 1000.0
#: Elements of features kept between products, at most: 200 MB.
_KEPT = 50_000_000


class Design(Protocol):
    """The features of some people, float32[n, count], which are made in runs of people."""

    def sums(
        self, targets: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Sum products of the features with each other, and with targets.

        Parameters
        ----------
        targets
            float64[n] each; 0 for people of weight 0.
        weights
            float64[n] for each target, of the products of the features with each other; None: all 1.

        Returns
        -------
        float64[count, count] and float64[count] for each target.
        """

    def times(self, coefficients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Multiply the features by coefficients float64[count]: float64[n] for each."""


@dataclass(frozen=True)
class Features:
    """Functions of the covariates whose sum of products is the kernel, nearly; then the covariates, and a constant.

    Attributes
    ----------
    scale, hyper
        Of the kernel.
    mean, spread
        float64[p]: the covariates are less the mean, divided by the spread.
    points
        float32[used, m]: some people on the scale.
    roots
        float32[m, features]: the features from the kernel between a person and these people.
    """

    scale: Scale
    hyper: Hyper
    mean: np.ndarray
    spread: np.ndarray
    points: np.ndarray
    roots: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, scale: Scale, hyper: Hyper, people: int) -> Features:
        """Make the features from covariates ``x`` of some people, to be fitted on a number of ``people``."""
        points, mean, spread = scale(x, hyper.used), x.mean(axis=0), x.std(axis=0)
        spread[spread <= 1e-12 * np.abs(mean)] = 1.0
        if not len(points):
            return cls(scale, hyper, mean, spread, points, np.zeros((points.shape[1], 0), dtype=np.float32))
        own = prepare(points, scale, hyper)
        size, direction = np.linalg.eigh(between(own, own, hyper.order).astype(np.float64))
        least = max(_SLIGHT * hyper.noise * len(x) / people, _PRECISE * size[-1])
        kept = size > least
        return cls(scale, hyper, mean, spread, points, (direction[:, kept] / np.sqrt(size[kept])).astype(np.float32))

    @property
    def count(self) -> int:
        """Number of features, with the covariates and the constant."""
        return self.roots.shape[1] + len(self.mean) + 1

    @property
    def ridge(self) -> np.ndarray:
        """Ridge of the coefficients of a standardised phenotype, float64[count]: none of the constant."""
        ridge, p = np.full(self.count, self.hyper.noise), len(self.mean)
        ridge[-p - 1 : -1] /= FLAT
        ridge[-1] = 0.0
        return ridge

    def design(self, x: np.ndarray, device: str | None = None, kept: bool = False) -> Design:
        """Return the features of people with covariates ``x``.

        Parameters
        ----------
        x
            float64[n, p].
        device
            Of torch; None: numpy evaluates them.
        kept
            Whether they are kept from one product to the next, unless there are too many.
        """
        if device is None:
            return _NumpyDesign(self, x, kept)
        # torch costs seconds to import
        from deepnull_gwas.deepnull.process_on_gpu import TorchDesign

        return TorchDesign(self, x, device, kept)

    def evaluate(self, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield runs of people and their features float32[run, count], the constant last."""
        own = prepare(self.points, self.scale, self.hyper)
        for rows in chunks(len(x)):
            z = self.scale(x[rows], self.hyper.used)
            out = np.ones((z.shape[1], self.count), dtype=np.float32)
            lines = np.clip((x[rows] - self.mean) / self.spread, -FAR, FAR)
            out[:, self.roots.shape[1] : -1] = lines
            if len(z):
                kernel = between(prepare(z, self.scale, self.hyper), own, self.hyper.order)
                np.matmul(kernel, self.roots, out=out[:, : self.roots.shape[1]])
            yield rows, out


class _NumpyDesign:
    """The features on the CPU, see :class:`Design`."""

    def __init__(self, features: Features, x: np.ndarray, kept: bool):
        self.features, self.x = features, x
        self.held = list(features.evaluate(x)) if kept and len(x) * features.count <= _KEPT else None

    def sums(
        self, targets: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Sum products of the features with each other, and with targets."""
        m = self.features.count
        out = [(np.zeros((m, m)), np.zeros(m)) for _ in targets]
        for rows, values in self.held or self.features.evaluate(self.x):
            for i, (target, (gram, cross)) in enumerate(zip(targets, out, strict=True)):
                if weights is None:
                    gram += values.T @ values
                    cross += target[rows] @ values
                    continue
                own = np.flatnonzero(weights[i][rows])
                some, weight = values[own], weights[i][rows][own].astype(np.float32)
                gram += (some * weight[:, None]).T @ some
                cross += target[rows][own] @ some
        return out

    def times(self, coefficients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Multiply the features by coefficients."""
        out = [np.empty(len(self.x)) for _ in coefficients]
        for rows, values in self.held or self.features.evaluate(self.x):
            for product, beta in zip(out, coefficients, strict=True):
                product[rows] = values @ beta
        return out
