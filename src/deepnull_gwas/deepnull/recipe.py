"""A recipe: how the network is built and trained, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepnull_gwas.errors import InputError, nearest

#: The stack of all models of the registry, and the one together with which they are weighed.
AUTO, LINEAR = "auto", "linear"
#: Name of the recipe that repeats the original DeepNull.
ORIGINAL = "original"
#: Folds where nobody says how many: more of them below this many people, where each person counts.
FEW_PEOPLE, FOLDS_OF_FEW, FOLDS_OF_MANY = 2000, 10, 5


@dataclass(frozen=True)
class Recipe:
    """How the network is built and trained.

    Attributes
    ----------
    hidden
        Units of the hidden layers (64, 64, 32, 16 in McCaw et al. 2022).
    start
        ``splines`` or ``linear``: the model that the network starts from and adds to.
    learning_rate
        Largest step of Adam; it falls to a hundredth along half a cosine.
    weight_decay
        Decoupled weight decay of the hidden layers (AdamW); the linear path is not decayed.
    dropout
        Share of the hidden units left out at random in training.
    batch_size
        People a step, at most; with few people less, so that an epoch has at least 32 steps.
    max_epochs, patience
        Passes over the training part at most, and without a better validation loss.
    ensemble
        Networks trained side by side from different seeds and with different validation parts, averaged; rounded up so
        that each part validates as many.
    calibrate
        Weigh a single model by what it has beyond the linear model in people it has not seen, down to none of it where
        it does not help there.
    """

    hidden: tuple[int, ...] = (64, 64, 32, 16)
    start: str = "splines"
    learning_rate: float = 0.003
    weight_decay: float = 0.3
    dropout: float = 0.0
    batch_size: int = 1024
    max_epochs: int = 100
    patience: int = 10
    ensemble: int = 4
    calibrate: bool = True

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Make a recipe from configuration.

        Raises
        ------
        InputError
            On a key that no recipe has.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise InputError(
                    f"deepnull.recipe: unknown key '{key}'{nearest(key, known)}; allowed are {', '.join(known)}"
                )
        return cls(**{**values, **({"hidden": tuple(values["hidden"])} if "hidden" in values else {})})

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return dataclasses.asdict(self) | {"hidden": list(self.hidden)}


def weights_in_words(weights: Mapping[str, float]) -> str:
    """Return for a log what models weigh.

    As ``weights: splines 0.61, trees 0.20``, in addition to the linear model, or that nothing is added to it.
    """
    some = {name: weight for name, weight in weights.items() if weight}
    if not some or set(some) == {"linear"}:
        return "the linear model alone"
    if len(some) == 1 and set(weights) == set(some) and set(some.values()) == {1.0}:
        return f"{next(iter(some)).replace('_', ' ')} alone"
    return "weights of all but the linear model: " + ", ".join(
        f"{n.replace('_', ' ')} {w:.2f}" for n, w in some.items()
    )
