"""The features of a Gaussian process, evaluated by torch on a GPU, and the products with them.

They are those of :mod:`.process_features`, from the same hyperparameters and points, but for rounding: in single
precision, in runs of as many people, which are added up in double precision. Nothing but the products leaves the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from deepnull_gwas.deepnull.kernel import STRAIGHT, prepare
from deepnull_gwas.deepnull.smooth import FAR, chunks
from deepnull_gwas.deepnull.torch_import import torch

if TYPE_CHECKING:
    from deepnull_gwas.deepnull.process_features import Features

#: Elements of features kept on the GPU between products, at most: 4 GB.
_KEPT = 2**30


@contextmanager
def _single_precision() -> Iterator[None]:
    """Keep TF32 out of products of single precision: it has three digits, too few to solve for coefficients by."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class TorchDesign:
    """The features of some people, see :class:`~deepnull_gwas.deepnull.process_features.Design`.

    Its methods queue their work on the GPU and wait once, for what they return.
    """

    @_single_precision()
    def __init__(self, features: Features, x: np.ndarray, device: str, kept: bool):
        self.count, self.device = features.count, torch.device(device)
        self.x, self.mean, self.spread = map(self._place, (x, features.mean, features.spread))
        self.roots = self._place(features.roots)
        self.kernel = _Kernel(features, self._place) if len(features.points) else None
        self.held = list(self._evaluate()) if kept and len(x) * self.count <= _KEPT else None

    def _place(self, values: np.ndarray) -> torch.Tensor:
        """Copy an array to the device, as it is."""
        return torch.tensor(values, device=self.device)

    @_single_precision()
    def sums(
        self, targets: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Sum products of the features with each other, and with targets."""
        target = self._place(np.array(targets))
        weight = None if weights is None else self._place(np.array(weights, dtype=np.float32))
        gram = target.new_zeros((len(targets), self.count, self.count))
        cross = target.new_zeros((len(targets), self.count))
        for rows, values in self._runs():
            cross += target[:, rows] @ values.double()
            for i in range(len(targets)):
                # whoever is left out is multiplied by 0: to select people would make the processor wait for the GPU
                gram[i] += (values if weight is None else values * weight[i, rows, None]).T @ values
        return list(zip(gram.cpu().numpy(), cross.cpu().numpy(), strict=True))

    @_single_precision()
    def times(self, coefficients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Multiply the features by coefficients."""
        beta = self._place(np.array(coefficients))
        out = beta.new_empty((len(beta), len(self.x)))
        for rows, values in self._runs():
            out[:, rows] = beta @ values.double().T
        return list(out.cpu().numpy())

    def _runs(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Return runs of people and their features float32[run, count]."""
        return self._evaluate() if self.held is None else iter(self.held)

    def _evaluate(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield runs of people and their features, as :meth:`.process_features.Features.evaluate` does."""
        of_kernel = self.roots.shape[1]
        for rows in chunks(len(self.x)):
            x = self.x[rows]
            out = self.roots.new_ones((len(x), self.count))
            out[:, of_kernel:-1] = ((x - self.mean) / self.spread).clamp(-FAR, FAR)
            if self.kernel is not None:
                out[:, :of_kernel] = self.kernel(x) @ self.roots
            yield rows, out


class _Kernel:
    """The kernel between people and the points of some features, as :mod:`.kernel` defines it.

    Attributes
    ----------
    values, scores, slopes
        float64[used, knots]: the scale of each covariate between its knots.
    exponent, rest
        float32[used, 3, m] and float32[used, 2, m]: the points' factors, see :class:`.kernel.One`.
    """

    def __init__(self, features: Features, place: Callable[[np.ndarray], torch.Tensor]):
        scale, hyper = features.scale, features.hyper
        used = hyper.used
        ones = prepare(features.points, scale, hyper)
        self.used, self.order = place(used), hyper.order.tolist()
        self.curved = [one.centre is not None for one in ones]
        values, scores = scale.values[used], scale.scores[used]
        # beyond the last knot, and between those that only fill up the row, scores are held
        slopes, width = np.zeros_like(values), np.diff(values, axis=1)
        np.divide(np.diff(scores, axis=1), width, out=slopes[:, :-1], where=width > 0)
        self.values, self.scores, self.slopes = map(place, (values, scores, slopes))
        self.atoms = place(scale.atoms[used][:, None])
        amplitude, two = hyper.amplitude[used], scale.two[used]
        whole = np.array([1.0 if one.centre is None else one.centre.whole for one in ones])

        def column(each: np.ndarray) -> torch.Tensor:
            return place(each[:, None].astype(np.float32))

        self.half, self.log_amplitude = column(-0.5 / hyper.length[used] ** 2), column(np.log(amplitude))
        self.centred = column(np.where(two, 0.0, -amplitude / whole))
        self.straight = column(np.where(two, amplitude, STRAIGHT * amplitude))
        m = features.points.shape[1]
        none = np.zeros((3, m), dtype=np.float32)
        self.exponent = place(np.array([none if one.exponent is None else one.exponent[1] for one in ones]))
        self.rest = place(np.array([np.vstack([none[len(one.rest[1]) : 2], one.rest[1]]) for one in ones]))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the kernel between people with covariates float64[n, p] and the points, float32[n, m]."""
        z = self._scaled(x)
        means = ((z[:, :, None] - self.atoms).square_() * self.half[:, None]).exp_().mean(dim=2)
        near = torch.stack([self.half * z * z + self.log_amplitude, torch.ones_like(z), -2 * self.half * z], dim=2)
        low = torch.stack([means * self.centred, z * self.straight], dim=2)
        first, second, third = (z.new_zeros((len(x), self.rest.shape[2])) for _ in range(3))
        for i, curved in enumerate(self.curved):
            kernel = low[i] @ self.rest[i]
            if curved:
                kernel += (near[i] @ self.exponent[i]).exp_()
            third.addcmul_(kernel, second)
            second.addcmul_(kernel, first)
            first += kernel
        return first.mul_(self.order[0]).add_(second, alpha=self.order[1]).add_(third, alpha=self.order[2])

    def _scaled(self, x: torch.Tensor) -> torch.Tensor:
        """Return the used covariates on the scale, float32[used, n], as :class:`.kernel.Scale` does."""
        z = x.T[self.used].clamp(self.values[:, :1], self.values[:, -1:]).contiguous()
        at = torch.searchsorted(self.values, z, right=True) - 1
        between = self.slopes.gather(1, at) * (z - self.values.gather(1, at))
        return (self.scores.gather(1, at) + between).float()
