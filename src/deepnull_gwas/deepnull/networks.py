"""Networks as a kind of model: they start from another model's predictions and add to them.

Training needs torch, prediction does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.applying import NetworkModel
from deepnull_gwas.deepnull.protocol import Arrays, Fit, Inner, Model, Task, under
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.smooth import FAR, SmoothModel


@dataclass(frozen=True)
class AddedNetworks:
    """A model and the networks that add to it.

    Attributes
    ----------
    start
        What they start from.
    networks
        They predict from standardised covariates.
    mean, scale
        float64[p]: of the covariates.
    """

    start: SmoothModel
    networks: NetworkModel
    mean: np.ndarray
    scale: np.ndarray

    def added(self, x: np.ndarray) -> np.ndarray:
        """Predict what the networks add: float64[n]."""
        return self.networks.predict(np.clip((x - self.mean) / self.scale, -FAR, FAR))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict: float64[n]; a logit for binary traits."""
        return self.start.predict(x) + self.added(x)

    def arrays(self) -> Arrays:
        """Return everything as arrays by name."""
        out = {"mean": self.mean, "scale": self.scale}
        out |= {f"networks.{name}": array for name, array in self.networks.parameters.items()}
        return out | {f"start.{name}": array for name, array in self.start.arrays().items()}


class _Networks:
    """The kind."""

    name = "network"
    stops_early = True
    batched_on_gpu = True

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the kind that the networks start from."""
        return (recipe.start,)

    def fit_inner(self, tasks: Sequence[Task]) -> list[Inner]:
        """Train networks without each part; each is stopped by a piece that does not train it."""
        # torch costs seconds to import: only where there is a network to train
        from deepnull_gwas.deepnull.training import Job, fit_networks

        recipe, jobs = tasks[0].recipe, []
        for task in tasks:
            parts, start = task.parts, task.inner[recipe.start].found.start
            pairs = parts.stopping()
            networks = np.arange(max(len(pairs), parts.count * _repeats(task))) % len(pairs)
            trainings = [((parts.part != j) & (parts.piece != piece), parts.piece == piece) for j, piece in pairs]
            jobs.append(Job(task.z, task.y, start[:, networks], [trainings[i] for i in networks], task.seed))
        return [
            self._inner(task, model, history)
            for task, (model, history) in zip(tasks, fit_networks(jobs, tasks[0].trait, recipe, tasks[0].device))
        ]

    def _inner(self, task: Task, model: NetworkModel, history: dict[str, Any]) -> Inner:
        parts, start = task.parts, task.inner[task.recipe.start]
        without, prediction = [], start.prediction.copy()
        for j in range(parts.count):
            own = NetworkModel({name: v[j :: parts.count] for name, v in model.parameters.items()})
            without.append(AddedNetworks(start.without[j], own, task.mean, task.scale))
            rows = parts.part == j
            prediction[rows] += own.predict(task.z[rows])
        return Inner(without, prediction, history)

    def fit(self, tasks: Sequence[Task], inner: Sequence[Inner]) -> list[Fit]:
        """Train the networks that predict new people.

        Each is stopped by a whole part, as it takes many people to see what entangled covariates bring.
        """
        from deepnull_gwas.deepnull.training import Job, fit_networks

        recipe, repeats = tasks[0].recipe, _repeats(tasks[0])
        jobs = []
        for task in tasks:
            parts, start = task.parts, task.inner[recipe.start].found.start
            trainings = [(parts.part != j, parts.part == j) for j in range(parts.count)] * repeats
            columns = len(parts.stopping()) + np.arange(len(trainings)) % parts.count
            jobs.append(Job(task.z, task.y, start[:, columns], trainings, task.seed + 1, together=True))
        fits = []
        trained = fit_networks(jobs, tasks[0].trait, recipe, tasks[0].device)
        for task, own, (networks, history) in zip(tasks, inner, trained, strict=True):
            model = AddedNetworks(task.inner[recipe.start].found.model, networks, task.mean, task.scale)
            taken = [*own.found["taken"], *history["taken"]]
            fits.append(Fit(model, {"taken": taken, "batch_size": history["batch_size"]}, history["epochs"]))
        return fits

    def from_arrays(self, arrays: Arrays) -> Model:
        """Return the model whose arrays these are."""
        networks = NetworkModel(under("networks.", arrays))
        return AddedNetworks(
            SmoothModel.from_arrays(under("start.", arrays)), networks, arrays["mean"], arrays["scale"]
        )


def _repeats(task: Task) -> int:
    """Return how many networks that predict new people each part stops: the ensemble in equal numbers."""
    return math.ceil(task.recipe.ensemble / task.parts.count)


NETWORK = _Networks()
