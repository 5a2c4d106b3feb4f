"""Linear models, second order and splines as kinds of model."""

from __future__ import annotations

from collections.abc import Sequence

from deepnull_gwas.deepnull.penalised import fit_smooth
from deepnull_gwas.deepnull.protocol import Arrays, Fit, Inner, Model, Task
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.smooth import SmoothModel


class _Smooth:
    """A kind of model on fixed functions of the covariates.

    All models of a fold come from the same sums, so that they are fitted at once.
    """

    stops_early = False
    batched_on_gpu = False

    def __init__(self, name: str) -> None:
        self.name = name

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        """Return nothing: it starts from no other model."""
        return ()

    def fit_inner(self, tasks: Sequence[Task]) -> list[Inner]:
        """Fit the models without each part, and the one that predicts new people."""
        fits = [fit_smooth(self.name, task.x, task.y, task.parts, task.trait) for task in tasks]
        return [Inner(fit.without, fit.inner, fit) for fit in fits]

    def fit(self, tasks: Sequence[Task], inner: Sequence[Inner]) -> list[Fit]:
        """Return the model that was fitted with the others."""
        return [Fit(own.found.model, own.found.about) for own in inner]

    def from_arrays(self, arrays: Arrays) -> Model:
        """Return the model whose arrays these are."""
        return SmoothModel.from_arrays(arrays)


LINEAR, SECOND_ORDER, SPLINES = (_Smooth(name) for name in ("linear", "second_order", "splines"))
