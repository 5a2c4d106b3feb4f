"""Kinds of trait: what a phenotype's values are, and what follows from it for tests, models, measures and words.

A trait is declared (the column ``trait`` of the studies sheet), never guessed. Everything that differs between a
quantitative and a binary phenotype is asked of a :class:`Trait`, so that no module compares its name. Light imports
only: the configuration imports this module.

>>> trait_of("binary").has_cases
True
>>> trait_of("quantitative").measure
'r2'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepnull_gwas.errors import InputError, nearest

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Trait:
    """A kind of trait.

    Attributes
    ----------
    name
        As in the configuration and in the files.
    has_cases
        Whether a phenotype is 1 for cases and 0 for controls (and its models are logistic), rather than a number with a
        unit of its own.
    transformable
        Whether its phenotype may be transformed.
    scale
        Scale of a prediction of the phenotype: ``phenotype`` (its own unit) or ``logit``.
    measure
        Key of the measure of accuracy that is reported: ``r2`` or ``auc``.
    measure_label
        The same in words, for axes and tables.
    uninformative
        The measure's value for a prediction that knows nothing.
    loss_label
        What a model's loss is, in words.
    """

    name: str
    has_cases: bool
    transformable: bool
    scale: str
    measure: str
    measure_label: str
    uninformative: float
    loss_label: str

    def stratum(self, y: np.ndarray) -> np.ndarray | None:
        """Return the class of each person (0 or 1), over which folds are balanced; None where there are no classes."""
        return y.astype(int) if self.has_cases else None

    def on_scale_of_phenotype(self, prediction: np.ndarray) -> np.ndarray:
        """Return predictions on the scale of the phenotype: the expected value, or the probability from its logit."""
        import numpy as np

        return 1 / (1 + np.exp(-prediction)) if self.has_cases else prediction

    def cases_and_controls(self, y: np.ndarray) -> tuple[int | None, int | None]:
        """Return how many cases and how many controls there are; None for both where there are no cases."""
        return (int((y == 1).sum()), int((y == 0).sum())) if self.has_cases else (None, None)


QUANTITATIVE = Trait(
    name="quantitative",
    has_cases=False,
    transformable=True,
    scale="phenotype",
    measure="r2",
    measure_label="R²",
    uninformative=0.0,
    loss_label="squared error / variance",
)
BINARY = Trait(
    name="binary",
    has_cases=True,
    transformable=False,
    scale="logit",
    measure="auc",
    measure_label="AUC",
    uninformative=0.5,
    loss_label="cross-entropy",
)
TRAITS: dict[str, Trait] = {trait.name: trait for trait in (QUANTITATIVE, BINARY)}


def trait_of(name: str) -> Trait:
    """Return the trait of a name.

    Raises
    ------
    InputError
        When there is none of that name.
    """
    if name not in TRAITS:
        raise InputError(f"trait: found '{name}', allowed: {', '.join(TRAITS)}{nearest(str(name), list(TRAITS))}")
    return TRAITS[name]
