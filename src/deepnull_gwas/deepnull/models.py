"""The models of one fold and their weights: fit(X, y) -> predict(X).

It knows nothing of any kind of model, nor of what a file is called.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepnull_gwas.deepnull.protocol import Model, under
from deepnull_gwas.deepnull.recipe import LINEAR
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.deepnull.smooth import FAR
from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import read_npz, write_npz

#: Of saved models.
FORMAT = 5


@dataclass
class FoldModel:
    """The models of one fold: plain arrays, so that they are saved without pickle and applied with numpy alone.

    Attributes
    ----------
    columns
        Names of the covariates they were given, in order.
    keep
        Which of them are used (constants in the training people are left out).
    trait
        ``quantitative`` or ``binary``.
    model
        The model that predicts: one of the registry, or ``auto``.
    mean, scale
        float64[used]: of the used covariates in the training people.
    weights
        How much each model counts in the prediction.
    models
        The models by name.
    line
        float64[p + 1], intercept and slopes of standardised covariates: the straight part of the weighted models, in
        whose place the linear model is; None where one model predicts alone.
    shift
        float64[p + 1]: by how much the linear model differs when it is fitted together with what the weighted models
        have beyond a straight line; None where it does not (quantitative traits, or no weight).
    unit
        What their predictions are to be multiplied by: a phenotype of extreme scale is divided by it before the
        training.
    """

    columns: list[str]
    keep: np.ndarray
    trait: str
    model: str
    mean: np.ndarray
    scale: np.ndarray
    weights: dict[str, float] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    line: np.ndarray | None = None
    shift: np.ndarray | None = None
    unit: float = 1.0

    def standardise(self, x: np.ndarray) -> np.ndarray:
        """Standardise the used covariates as the training people were.

        Values are held where nothing was learned beyond.
        """
        used = np.asarray(x, dtype=np.float64)[:, self.keep]
        return np.clip((used - self.mean) / self.scale, -FAR, FAR)

    def predict_all(self, x: np.ndarray, wanted: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Predict by each model, or by those wanted: float64[n] each, in units of the phenotype, or logits.

        Parameters
        ----------
        x
            float[n, covariates] in the order of ``columns``.

        Raises
        ------
        InputError
            When the number of covariates is not that of the training.
        """
        if x.shape[1] != len(self.columns):
            raise InputError(
                f"{x.shape[1]} covariates, the model was trained on {len(self.columns)}: {', '.join(self.columns)}"
            )
        used = np.asarray(x, dtype=np.float64)[:, self.keep]
        return {name: m.predict(used) for name, m in self.models.items() if wanted is None or name in wanted}

    def combine(self, each: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        """Weigh the models' predictions ``each`` of people with covariates ``x``.

        The linear model, and what the others have beyond a straight line.
        """
        if self.line is None:
            return each[self.model]
        total = each[LINEAR] + self.beyond(each, x)
        if self.shift is not None:
            total += self.shift[0] + self.standardise(x) @ self.shift[1:]
        return total

    def beyond(self, each: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        """Return what the prediction has beyond a linear model.

        From the models' predictions ``each`` of people with covariates ``x``: float64[n].

        It is exactly 0 where no model but the linear one has a weight. Where one model predicts alone, it is that less
        the linear model.
        """
        if self.line is None:
            return each[self.model] - each[LINEAR]
        total = np.zeros(len(x))
        for name, weight in self.weights.items():
            if weight:
                total += weight * each[name]
        if any(self.weights.values()):
            total -= self.line[0] + self.standardise(x) @ self.line[1:]
        return total

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the phenotype (binary: its logit): float64[n]."""
        each = self.predict_all(x, [LINEAR, *[m for m, w in self.weights.items() if w]])
        return self.unit * self.combine(each, x)

    def covariate(self, x: np.ndarray) -> np.ndarray:
        """Return what enters the association of people that no fold has seen: float64[n], see :meth:`beyond`."""
        each = self.predict_all(x, [LINEAR, *[m for m, w in self.weights.items() if w]])
        return self.unit * self.beyond(each, x)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name, as :func:`numpy.savez` takes them."""
        head = {"format": FORMAT, "models": list(self.models)} | {
            k: getattr(self, k) for k in ("columns", "trait", "model", "weights", "unit")
        }
        out = {k: getattr(self, k) for k in ("keep", "mean", "scale")}
        out |= {key: value for key in ("line", "shift") if (value := getattr(self, key)) is not None}
        for name, model in self.models.items():
            out |= {f"{name}.{key}": array for key, array in model.arrays().items()}
        return {"head": np.array(json.dumps(head)), **out}

    @classmethod
    def from_arrays(cls, data: dict[str, np.ndarray]) -> FoldModel:
        """Return the models whose :meth:`arrays` these are."""
        head = json.loads(str(data["head"]))
        if head.get("format") != FORMAT:
            raise InputError(f"a saved model of format {head.get('format')}, expected {FORMAT}: train it again")
        model = cls(head["columns"], data["keep"], head["trait"], head["model"], data["mean"], data["scale"])
        model.weights, model.unit = head["weights"], head["unit"]
        model.models = {name: KINDS[name].from_arrays(under(f"{name}.", data)) for name in head["models"]}
        model.line, model.shift = data.get("line"), data.get("shift")
        if any(v is not None and v.shape != (len(model.keep) + 1,) for v in (model.line, model.shift)):
            raise ValueError("the straight part is not of the covariates")
        return model

    def save(self, path: str | Path) -> None:
        """Save as .npz, without pickle."""
        write_npz(path, **self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> FoldModel:
        """Load what :meth:`save` wrote; refuses pickled content."""
        return cls.from_arrays(read_npz(path))
