"""The models of one fold behind one interface: fit(X, y) -> predict(X). It knows nothing of training, nor of what a file is called."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnull_gwas.deepnull.metrics import in_words, measure
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.penalised import fit_smooth
from deepnull_gwas.deepnull.recipe import MODELS, Recipe, weights_in_words
from deepnull_gwas.deepnull.smooth import FAR, Basis, Curve, SmoothModel
from deepnull_gwas.deepnull.stacking import line_of, shift_of, weigh
from deepnull_gwas.deepnull.trees import TreeModel, fit_trees
from deepnull_gwas.errors import InputError, StudyFailure
from deepnull_gwas.logs import duration
from deepnull_gwas.tables import read_npz, write_npz

if TYPE_CHECKING:
    from deepnull_gwas.deepnull.applying import NetworkModel

logger = logging.getLogger(__name__)

STAGE = "train_folds"
SMOOTH = ("linear", "second_order", "splines")
#: Of saved models.
FORMAT = 4
#: People, about, by whom the straight part of a model is seen.
_SOME = 4096


@dataclass
class FoldModel:
    """All models of one fold: plain arrays, so that they are saved without pickle and applied with numpy alone.

    Attributes
    ----------
    columns
        Names of the covariates they were given, in order.
    keep
        Which of them are used (constants in the training people are left out).
    trait
        ``quantitative`` or ``binary``.
    model
        The model that predicts: one of ``MODELS``, or ``auto``.
    weights
        How much each model counts in the prediction.
    line
        float64[p + 1], intercept and slopes of standardised covariates: the straight part of the weighted models, in whose place the linear model is; None
        where one model predicts alone.
    shift
        float64[p + 1]: by how much the linear model differs when it is fitted beside what the weighted models have beyond a straight line; None where it
        does not (quantitative traits, or no weight).
    start
        The model that the networks add to.
    smooth, trees, network
        The models.
    unit
        What their predictions are to be multiplied by: a phenotype of extreme scale is divided by it before the training.
    """

    columns: list[str]
    keep: np.ndarray
    trait: str
    model: str
    start: str
    weights: dict[str, float] = field(default_factory=dict)
    smooth: dict[str, SmoothModel] = field(default_factory=dict)
    trees: TreeModel | None = None
    network: Any = None
    line: np.ndarray | None = None
    shift: np.ndarray | None = None
    unit: float = 1.0

    def standardise(self, x: np.ndarray) -> np.ndarray:
        """Standardise the used covariates as the training people were; values are held where nothing was learned beyond."""
        basis = self.smooth["linear"].basis
        return np.clip((np.asarray(x, dtype=np.float64)[:, self.keep] - basis.mean) / basis.scale, -FAR, FAR)

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
        out: dict[str, np.ndarray] = {}
        for name in MODELS:
            if wanted is not None and name not in wanted and not (name == self.start and "network" in wanted):
                continue
            if name in self.smooth:
                out[name] = self.smooth[name].predict(used)
            elif name == "trees" and self.trees is not None:
                out[name] = self.trees.predict(used)
            elif name == "network" and self.network is not None:
                out[name] = out[self.start] + self.network.predict(self.standardise(x))
        return out

    def combine(self, each: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        """Weigh the models' predictions ``each`` of people with covariates ``x``: the linear model, and what the others have beyond a straight line."""
        if self.line is None:
            return each[self.model]
        total = each["linear"] + self.beyond(each, x)
        if self.shift is not None:
            total += self.shift[0] + self.standardise(x) @ self.shift[1:]
        return total

    def beyond(self, each: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        """Return what the prediction has beyond a linear model, from the models' predictions ``each`` of people with covariates ``x``: float64[n].

        It is exactly 0 where no model but the linear one has a weight. Where one model predicts alone, it is that less the linear model.
        """
        if self.line is None:
            return each[self.model] - each["linear"]
        total = np.zeros(len(x))
        for name, weight in self.weights.items():
            if weight:
                total += weight * each[name]
        if any(self.weights.values()):
            total -= self.line[0] + self.standardise(x) @ self.line[1:]
        return total

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the phenotype (binary: its logit): float64[n]."""
        each = self.predict_all(x, ["linear", *[m for m, w in self.weights.items() if w]])
        return self.unit * self.combine(each, x)

    def arrays(self) -> dict[str, np.ndarray]:
        """Give everything as arrays by name, as :func:`numpy.savez` takes them."""
        head = {"format": FORMAT} | {
            k: getattr(self, k) for k in ("columns", "trait", "model", "start", "weights", "unit")
        }
        out = {"keep": self.keep}
        head["smooth"] = {}
        for name, model in self.smooth.items():
            basis = model.basis
            head["smooth"][name] = {"intercept": model.intercept, "curves": [int(c.column) for c in basis.curves]}
            for key in ("mean", "scale", "low", "high", "pairs", "twos"):
                out[f"smooth.{name}.{key}"] = getattr(basis, key)
            out[f"smooth.{name}.used"], out[f"smooth.{name}.beta"] = model.used, model.beta
            for i, curve in enumerate(basis.curves):
                for key in ("knots", "coefficients", "roughness"):
                    out[f"smooth.{name}.curve{i}.{key}"] = getattr(curve, key)
        out |= {key: value for key in ("line", "shift") if (value := getattr(self, key)) is not None}
        if self.trees is not None:
            out |= {f"trees.{f.name}": getattr(self.trees, f.name) for f in dataclasses.fields(TreeModel)}
        if self.network is not None:
            out |= {f"network.{k}": v for k, v in self.network.parameters.items()}
        return {"head": np.array(json.dumps(head)), **out}

    @classmethod
    def from_arrays(cls, data: dict[str, np.ndarray]) -> FoldModel:
        """Take back what :meth:`arrays` gave."""
        head = json.loads(str(data["head"]))
        if head.get("format") != FORMAT:
            raise InputError(f"a saved model of format {head.get('format')}, expected {FORMAT}: train it again")
        model = cls(head["columns"], data["keep"], head["trait"], head["model"], head["start"], head["weights"])
        model.unit = head.get("unit", 1.0)
        for name, about in head["smooth"].items():
            at = f"smooth.{name}."
            curves = [
                Curve(column, *(data[f"{at}curve{i}.{key}"] for key in ("knots", "coefficients", "roughness")))
                for i, column in enumerate(about["curves"])
            ]
            own = [data[at + key] for key in ("mean", "scale", "low", "high")]
            basis = Basis(name, *own, curves, data[at + "pairs"], data[at + "twos"])
            model.smooth[name] = SmoothModel(basis, data[at + "used"], data[at + "beta"], about["intercept"])
        model.line, model.shift = data.get("line"), data.get("shift")
        if any(v is not None and v.shape != (len(model.keep) + 1,) for v in (model.line, model.shift)):
            raise ValueError("the straight part is not of the covariates")
        if "trees.roots" in data:
            model.trees = TreeModel(**{f.name: data[f"trees.{f.name}"] for f in dataclasses.fields(TreeModel)})
        parameters = {k.removeprefix("network."): v for k, v in data.items() if k.startswith("network.")}
        if parameters:
            from deepnull_gwas.deepnull.applying import NetworkModel

            model.network = NetworkModel(parameters)
        return model

    def save(self, path: str | Path) -> None:
        """Save as .npz, without pickle."""
        write_npz(path, **self.arrays())

    @classmethod
    def load(cls, path: str | Path) -> FoldModel:
        """Load what :meth:`save` wrote; refuses pickled content."""
        return cls.from_arrays(read_npz(path))


@dataclass(frozen=True)
class NetworkTask:
    """What the networks of one fold are trained on.

    Attributes
    ----------
    z, y
        Standardised covariates float64[n, p] and phenotype (binary: 0/1) of everybody but the people to predict.
    start
        float64[n, 2 parts]: the predictions that the networks start from and add to (binary: logits), each by a model that has seen neither who stops the
        networks nor, in the first half, the part that they do without.
    parts
        The parts of the people.
    seed
        Source of all randomness.
    """

    z: np.ndarray
    y: np.ndarray
    start: np.ndarray
    parts: Parts
    seed: int


@dataclass(frozen=True)
class NetworkFit:
    """What the training of a fold's networks came to.

    Attributes
    ----------
    model
        The networks that predict new people.
    without
        Those without each part in turn.
    added
        float64[n], what each person's network (the mean of those that have not seen their part) adds.
    history
        Per epoch the training and validation loss (means over the networks; quantitative: in units of the phenotype's variance), and the epoch that
        each network was taken from.
    """

    model: NetworkModel
    without: NetworkModel
    added: np.ndarray
    history: dict[str, Any]


@dataclass(frozen=True)
class _Lines:
    """The straight part of a model and of those without each part: float64[p + 1], and float64[p + 1, parts]."""

    model: np.ndarray
    without: np.ndarray

    @classmethod
    def of(cls, z: np.ndarray, predictions: Sequence[np.ndarray]) -> _Lines:
        """Find them from the predictions of some people with standardised covariates ``z``: of the model, and of those without each part."""
        line = line_of(z, np.column_stack(predictions))
        return cls(line[:, 0], line[:, 1:])

    def inner(self, z: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Return what each person gets from the model without their part."""
        own = self.without.T[part]
        return own[:, 0] + np.einsum("ij,ij->i", z, own[:, 1:])


def fit_fold(
    x: np.ndarray,
    y: np.ndarray,
    part: np.ndarray,
    columns: Sequence[str],
    trait: str,
    recipe: Recipe,
    seed: int,
    model: str = "auto",
    compare: bool = True,
) -> Generator[NetworkTask, NetworkFit, tuple[FoldModel, dict[str, Any]]]:
    """Fit the models that predict one fold.

    A generator: where networks are needed it hands out what to train them on, and goes on with what is sent back. So who drives it trains the
    networks of several folds as one, where that is faster (:func:`deepnull_gwas.deepnull.crossfit.crossfit_folds`).

    Parameters
    ----------
    x, y
        Covariates float64[n, p] and phenotype (binary: 0/1) of everybody outside the fold.
    part
        int[n]: the part of each of them, from 0. What needs people that a model has not seen (penalties, early stopping, weights of the models)
        takes each part in turn.
    columns
        Names of the covariates.
    trait
        ``quantitative`` or ``binary``.
    recipe
        How to build and train the networks.
    seed
        Source of all randomness; the same seed gives the same bytes on a CPU, whatever its number of cores.
    model
        The model that predicts: one of ``MODELS``, or ``auto`` for the stack of all.
    compare
        Whether the models that the prediction does not need are fitted too.

    Returns
    -------
    The models, and their history: weights, what each model's fit came to, per epoch the losses of the networks, and ``inner`` and
    ``inner_beyond``, float64[n]: the predictions of these people by models that have not seen their part, and what these have beyond a linear model
    (see :meth:`FoldModel.beyond`).

    Raises
    ------
    StudyFailure
        When a part is empty, has no cases or controls, the phenotype is constant, or a loss is not finite.
    """
    count = int(part.max()) + 1 if len(part) else 0
    if count < 2 or (np.bincount(part, minlength=count) == 0).any():
        raise StudyFailure(STAGE, "a fold has no people; use fewer folds")
    if trait == "binary":
        for j in range(count):
            values = y[part == j]
            if values.min() == values.max():
                raise StudyFailure(
                    STAGE,
                    f"a fold has {'no controls' if values[0] else 'no cases'}; use fewer folds, or leave out the deepnull arm",
                )
    elif not np.isfinite(float(y @ y)):
        raise StudyFailure(
            STAGE,
            "the phenotype's sum of squares is too large for a floating-point number; divide it by its standard deviation",
        )
    elif y.std() == 0 or any(y[part != j].std() == 0 for j in range(count)):
        raise StudyFailure(STAGE, "the phenotype is constant in a training part")
    mean, scale = x.mean(axis=0), x.std(axis=0)
    # a covariate must vary whichever part is left out
    varies = [x[part != j].std(axis=0) > 1e-9 * scale for j in range(count)]
    keep = np.flatnonzero((scale > 1e-12 * np.abs(mean)) & np.all(varies, axis=0))
    if not len(keep):
        raise StudyFailure(STAGE, "all covariates are constant in a training part")
    x = x[:, keep]
    parts = Parts.of(part, y if trait == "binary" else None)
    needed = set(MODELS) if compare or model == "auto" else {"linear", model}
    if "network" in needed:
        needed.add(recipe.start)
    if trait == "binary" and needed & {"trees", "network"} and any(len(set(y[t])) < 2 for t in parts.trains.T):
        raise StudyFailure(
            STAGE, "too few cases or controls to train and to stop the models; leave out the deepnull arm"
        )
    fitted = FoldModel(list(columns), keep, trait, model, recipe.start)
    basis = Basis.of("linear", x)
    z = np.clip((x - basis.mean) / basis.scale, -FAR, FAR)
    # enough people to see the straight part of a model by
    some = np.arange(0, len(x), -(-len(x) // _SOME))
    inner: dict[str, np.ndarray] = {}
    lines: dict[str, _Lines] = {}
    about: dict[str, Any] = {}
    history: dict[str, Any] = {"epochs": [], "taken": []}
    start = None
    for name in MODELS:
        if name not in needed:
            continue
        began = time.monotonic()
        if name in SMOOTH:
            fit = fit_smooth(name, x, y, parts, trait)
            fitted.smooth[name], inner[name], about[name] = fit.model, fit.inner, fit.about
            start = fit.start if name == recipe.start else start
            lines[name] = _Lines.of(z[some], [m.predict(x[some]) for m in (fit.model, *fit.without)])
        elif name == "trees":
            fitted.trees, trees, inner[name], about[name] = fit_trees(x, y, parts, trait, seed)
            each = [fitted.trees.predict(x[some]), *(trees.predict(x[some], j) for j in range(count))]
            lines[name] = _Lines.of(z[some], each)
        else:
            trained = yield NetworkTask(z, y, start, parts, seed)
            fitted.network = trained.model
            inner[name] = inner[recipe.start] + trained.added
            nets = trained.without
            each = [nets.predict(z[some], e) for e in range(len(nets.parameters["out"]))]
            each = [np.mean(each[j::count], axis=0) for j in range(count)]
            added = _Lines.of(z[some], [trained.model.predict(z[some]), *each])
            lines[name] = _Lines(lines[recipe.start].model + added.model, lines[recipe.start].without + added.without)
            history |= {k: trained.history[k] for k in ("epochs", "taken")}
            about[name] = {k: trained.history[k] for k in ("taken", "batch_size")}
        if not np.isfinite(inner[name]).all():
            raise StudyFailure(
                STAGE, f"the predictions of the model {name} are not finite; look for extreme covariate values"
            )
        measures, took = measure(y, inner[name], trait), duration(time.monotonic() - began)
        logger.info("%s: %s in people that it has not seen, %s", name.replace("_", " "), in_words(measures), took)
    if model == "linear" or (model != "auto" and not recipe.calibrate):
        fitted.weights, total = {model: 1.0}, inner[model]
        beyond = total - inner["linear"]
    else:
        total, beyond = _weigh(fitted, x, z, y, part, inner, lines)
    logger.info("%s", weights_in_words(fitted.weights))
    history |= {"inner": total, "inner_beyond": beyond, "inner_each": inner}
    return fitted, history | {"weights": fitted.weights, "models": about, "kept": [fitted.columns[i] for i in keep]}


def _weigh(
    fitted: FoldModel,
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    part: np.ndarray,
    inner: dict[str, np.ndarray],
    lines: dict[str, _Lines],
) -> tuple[np.ndarray, np.ndarray]:
    """Weigh the models of a fold by their inner predictions, and fit the linear part beside them.

    Returns
    -------
    float64[n] each: inner predictions of the whole, and what they have beyond a linear model; weights and linear part come without the person's part.
    """
    others = [m for m in MODELS if m != "linear"] if fitted.model == "auto" else [fitted.model]
    extra = np.column_stack([inner[m] - lines[m].inner(z, part) for m in others])
    weights = weigh(z, y, extra, fitted.trait)
    fitted.weights = dict(zip(others, weights.tolist()))
    fitted.line = np.column_stack([lines[m].model for m in others]) @ weights
    if weights.any():
        beyond = extra @ weights
        # what is left that is straight: the lines were seen by some of the people only
        left = line_of(z, beyond)
        fitted.line += left
        beyond -= left[0] + z @ left[1:]
        fitted.shift = shift_of(z, y, fitted.smooth["linear"].predict(x), beyond, fitted.trait)
    total, beyond = inner["linear"].copy(), np.zeros(len(y))
    for j in range(lines["linear"].without.shape[1]):
        rows, own = part != j, part == j
        weights = weigh(z[rows], y[rows], extra[rows], fitted.trait)
        beyond[own] = extra[own] @ weights
        total[own] += beyond[own]
        if weights.any():
            line = lines["linear"].without[:, j]
            linear = line[0] + z[rows] @ line[1:]
            shift = shift_of(z[rows], y[rows], linear, extra[rows] @ weights, fitted.trait)
            total[own] += 0.0 if shift is None else shift[0] + z[own] @ shift[1:]
    return total, beyond
