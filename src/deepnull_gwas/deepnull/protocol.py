"""What a model is to the rest of DeepNull: how it is fitted, how it predicts, and how it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.recipe import Recipe

Arrays = dict[str, np.ndarray]


class Model(Protocol):
    """A fitted model: plain arrays, so that it is saved without pickle and applied with numpy alone.

    Until it is saved it may predict on the GPU that fitted it.
    """

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict from covariates float64[n, p]: float64[n]; a logit for binary traits."""

    def arrays(self) -> Arrays:
        """Return everything as arrays by name."""


@dataclass(frozen=True)
class Task:
    """What the models of one fold are fitted on.

    Attributes
    ----------
    x, y
        Covariates float64[n, p] without constants and phenotype (binary: 0/1) of everybody outside the fold.
    z
        float64[n, p]: the covariates standardised.
    mean, scale
        float64[p], by which they were.
    parts
        The parts of the people.
    trait
        ``quantitative`` or ``binary``.
    recipe
        How to build and train networks.
    seed
        Source of all randomness; the same seed gives the same bytes on a CPU, whatever its number of cores.
    device
        ``auto|cpu|cuda``.
    inner
        What the models before this one in the registry came to without each part.
    shared
        Fits that several folds may have in common, by a digest of all that went into them.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    parts: Parts
    trait: str
    recipe: Recipe
    seed: int
    device: str = "cpu"
    inner: dict[str, Inner] = field(default_factory=dict)
    shared: dict[bytes, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inner:
    """A kind of model fitted without each part of the people in turn.

    These models weigh, they do not predict new people.

    Attributes
    ----------
    without
        The model without each part: it has not seen its phenotypes in any way.
    prediction
        float64[n]: the prediction of each person by the model without their part.
    found
        Whatever the fit of the same kind that predicts new people goes on from.
    """

    without: Sequence[Model]
    prediction: np.ndarray
    found: Any = None


@dataclass(frozen=True)
class Fit:
    """The model that predicts new people, what was chosen in fitting it, and (networks) the losses by epoch."""

    model: Model
    about: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)


class Kind(Protocol):
    """A kind of model. Adding one is a file with such an object and a line in :mod:`deepnull_gwas.deepnull.registry`.

    The models of several folds are fitted in one call, for kinds that are faster so (networks on a GPU); what a fold's
    model is must not depend on the other folds.

    Attributes
    ----------
    name
        What users and files call it.
    stops_early
        Whether some people stop its training: it needs cases and controls on either side.
    batched_on_gpu
        Whether a GPU fits all folds as one batch: small models leave most of it idle otherwise.
    """

    name: str
    stops_early: bool
    batched_on_gpu: bool

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the kinds before it in the registry whose inner fits it starts from."""

    def fit_inner(self, tasks: Sequence[Task]) -> list[Inner]:
        """Fit the models without each part, of each fold."""

    def fit(self, tasks: Sequence[Task], inner: Sequence[Inner]) -> list[Fit]:
        """Fit the model that predicts new people, of each fold."""

    def from_arrays(self, arrays: Arrays) -> Model:
        """Return the model whose :meth:`Model.arrays` these are."""


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Return the arrays whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
