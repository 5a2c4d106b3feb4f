"""The fitting of the models of a fold, and of their weights. It knows nothing of any kind of model, nor of files."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.metrics import in_words, measure
from deepnull_gwas.deepnull.models import FoldModel
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.deepnull.protocol import Fit, Inner, Task
from deepnull_gwas.deepnull.recipe import AUTO, LINEAR, Recipe, weights_in_words
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.deepnull.smooth import FAR
from deepnull_gwas.deepnull.stacking import line_of, shift_of, weigh
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.logs import duration
from deepnull_gwas.traits import trait_of

logger = logging.getLogger(__name__)

STAGE = "train_folds"
#: People, about, by whom the straight part of a model is seen.
_SOME = 4096


@dataclass(frozen=True)
class Choice:
    """Which models to fit.

    Attributes
    ----------
    model
        The model that predicts: one of the registry, or ``auto`` for the stack of all.
    compare
        Whether the models that the prediction does not need are fitted too.
    """

    model: str = AUTO
    compare: bool = True

    def weighed(self) -> list[str]:
        """Return the models that are weighed together with the linear one."""
        return [name for name in KINDS if name != LINEAR] if self.model == AUTO else [self.model]

    def fitted(self, recipe: Recipe) -> list[str]:
        """Return the models that are fitted at all, in the order of the registry."""
        wanted = set(KINDS) if self.compare else {LINEAR, *self.weighed()}
        for name in reversed(KINDS):
            if name in wanted:
                wanted |= set(KINDS[name].needs(recipe))
        return [name for name in KINDS if name in wanted]


@dataclass(frozen=True)
class People:
    """Who trains the models of one fold: everybody outside it.

    Attributes
    ----------
    x, y
        Covariates float64[n, p] and phenotype (binary: 0/1).
    part
        int[n]: the part of each of them, from 0. What needs people that a model has not seen (penalties, early
        stopping, weights of the models) takes each part in turn.
    seed
        Source of all randomness.
    """

    x: np.ndarray
    y: np.ndarray
    part: np.ndarray
    seed: int


def fit_folds(
    folds: Sequence[People],
    columns: Sequence[str],
    trait: str,
    recipe: Recipe,
    choice: Choice = Choice(),
    device: str = "cpu",
    shared: dict[bytes, Any] | None = None,
) -> list[tuple[FoldModel, dict[str, Any]]]:
    """Fit the models that predict each of some folds. What a fold's models are does not depend on the other folds.

    Parameters
    ----------
    folds
        Who trains the models of each.
    columns
        Names of the covariates.
    trait
        ``quantitative`` or ``binary``.
    recipe
        How to build and train networks.
    choice
        Which models to fit.
    device
        ``auto|cpu|cuda``.
    shared
        Fits that folds have in common, see :class:`~deepnull_gwas.deepnull.protocol.Task`; those of other calls are
        taken, new ones are added.

    Returns
    -------
    The models of each fold, and their history: weights, what each model's fit came to, per epoch the losses of the
    networks, and ``inner``, ``inner_beyond`` and by model ``inner_each``, float64[n]: the predictions of these people
    by models that have not seen their part, and what these have beyond a linear model (see :meth:`FoldModel.beyond`).

    Raises
    ------
    StudyFailure
        When a part is empty, has no cases or controls, the phenotype is constant, or a loss is not finite.
    """
    shared = {} if shared is None else shared
    begun = [_begin(people, columns, trait, recipe, choice, device, shared) for people in folds]
    tasks, fitted = [task for task, _ in begun], [model for _, model in begun]
    lines: list[dict[str, np.ndarray]] = [{} for _ in folds]
    # enough people to see the straight part of a model by
    some = [np.arange(0, len(task.x), -(-len(task.x) // _SOME)) for task in tasks]
    for name in choice.fitted(recipe):
        began = time.monotonic()
        for task, inner, seen, line in zip(tasks, KINDS[name].fit_inner(tasks), some, lines, strict=True):
            task.inner[name] = inner
            _check_inner(name, task, inner, time.monotonic() - began)
            line[name] = _straight(task.z[seen], [m.predict(task.x[seen]) for m in inner.without])
    ends = [_weigh_inner(*each, choice) for each in zip(fitted, tasks, lines, strict=True)]
    found: list[dict[str, Fit]] = [{} for _ in folds]
    for name in choice.fitted(recipe):
        # of the stack, those without a weight are fitted for the comparison only
        always = choice.compare or name in (LINEAR, choice.model)
        which = [i for i, f in enumerate(fitted) if always or f.weights.get(name)]
        if not which:
            continue
        fits = KINDS[name].fit([tasks[i] for i in which], [tasks[i].inner[name] for i in which])
        for i, fit in zip(which, fits, strict=True):
            fitted[i].models[name], found[i][name] = fit.model, fit
    for model, task, seen, end, fits in zip(fitted, tasks, some, ends, found, strict=True):
        if end.extra is not None:
            _put_lines(model, task, seen, end.extra)
        end.history |= {
            "weights": model.weights,
            "models": {name: fit.about for name, fit in fits.items()},
            "kept": [model.columns[i] for i in model.keep],
            "epochs": next((fit.epochs for fit in fits.values() if fit.epochs), []),
            "taken": next((fit.about["taken"] for fit in fits.values() if "taken" in fit.about), []),
        }
    return [(model, end.history) for model, end in zip(fitted, ends, strict=True)]


def _begin(
    people: People,
    columns: Sequence[str],
    trait: str,
    recipe: Recipe,
    choice: Choice,
    device: str,
    shared: dict[bytes, Any],
) -> tuple[Task, FoldModel]:
    """Check who trains a fold, and return what its models are fitted on, and them, empty."""
    x, y, part = people.x, people.y, people.part
    _check_people(y, part, trait)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    # a covariate must vary whichever part is left out
    varies = [x[part != j].std(axis=0) > 1e-9 * scale for j in range(int(part.max()) + 1)]
    keep = np.flatnonzero((scale > 1e-12 * np.abs(mean)) & np.all(varies, axis=0))
    if not len(keep):
        raise StudyFailure(STAGE, "all covariates are constant in a training part")
    x = x[:, keep]
    parts = Parts.of(part, y if trait_of(trait).has_cases else None)
    stopped = [name for name in choice.fitted(recipe) if KINDS[name].stops_early]
    if trait_of(trait).has_cases and stopped and any(len(set(y[t])) < 2 for t in parts.trains.T):
        raise StudyFailure(
            STAGE, "too few cases or controls to train and to stop the models; leave out the deepnull arm"
        )
    mean, scale = x.mean(axis=0), x.std(axis=0)
    z = np.clip((x - mean) / scale, -FAR, FAR)
    task = Task(x, y, z, mean, scale, parts, trait, recipe, people.seed, device, shared=shared)
    return task, FoldModel(list(columns), keep, trait, choice.model, mean, scale)


def _check_people(y: np.ndarray, part: np.ndarray, trait: str) -> None:
    """Refuse people whom no models can be fitted on."""
    count = int(part.max()) + 1 if len(part) else 0
    if count < 2 or (np.bincount(part, minlength=count) == 0).any():
        raise StudyFailure(STAGE, "a fold has no people; use fewer folds")
    if trait_of(trait).has_cases:
        for j in range(count):
            values = y[part == j]
            if values.min() == values.max():
                raise StudyFailure(
                    STAGE,
                    f"a fold has {'no controls' if values[0] else 'no cases'}; use fewer folds, or leave out the "
                    f"deepnull arm",
                )
    elif not np.isfinite(float(y @ y)):
        raise StudyFailure(
            STAGE,
            "the phenotype's sum of squares is too large for a floating-point number; divide it by its standard "
            "deviation",
        )
    elif y.std() == 0 or any(y[part != j].std() == 0 for j in range(count)):
        raise StudyFailure(STAGE, "the phenotype is constant in a training part")


def _check_inner(name: str, task: Task, inner: Inner, seconds: float) -> None:
    """Refuse inner predictions that are no numbers, and log how good they are."""
    if not np.isfinite(inner.prediction).all():
        raise StudyFailure(
            STAGE, f"the predictions of the model {name} are not finite; look for extreme covariate values"
        )
    measures = in_words(measure(task.y, inner.prediction, task.trait))
    logger.info("%s: %s in people that it has not seen, %s", name.replace("_", " "), measures, duration(seconds))


def _straight(z: np.ndarray, predictions: Sequence[np.ndarray]) -> np.ndarray:
    """Return the straight part of some models, float64[p + 1, models].

    From their predictions of people with standardised covariates ``z``.
    """
    return line_of(z, np.column_stack(predictions))


@dataclass
class _End:
    """What the inner fits of a fold came to.

    The history, and what each weighed model has beyond a straight line, float64[n, models]; None where one model
    predicts alone."""

    history: dict[str, Any]
    extra: np.ndarray | None = None


def _weigh_inner(fitted: FoldModel, task: Task, lines: Mapping[str, np.ndarray], choice: Choice) -> _End:
    """Weigh the models of a fold by their inner predictions.

    In the history, inner predictions of the whole and what they have beyond a linear model: weights and linear part
    come without the person's part.
    """
    z, y, part, trait = task.z, task.y, task.parts.part, task.trait
    each = {name: inner.prediction for name, inner in task.inner.items()}
    others = choice.weighed()
    if others == [LINEAR] or (choice.model != AUTO and not task.recipe.calibrate):
        fitted.weights = {choice.model: 1.0}
        logger.info("%s", weights_in_words(fitted.weights))
        total = each[choice.model]
        return _End({"inner": total, "inner_beyond": total - each[LINEAR], "inner_each": each})
    extra = np.column_stack([each[m] - _own_lines(z, part, lines[m]) for m in others])
    fitted.weights = dict(zip(others, weigh(z, y, extra, trait).tolist()))
    logger.info("%s", weights_in_words(fitted.weights))
    total, beyond = each[LINEAR].copy(), np.zeros(len(y))
    for j, line in enumerate(lines[LINEAR].T):
        rows, own = part != j, part == j
        weights = weigh(z[rows], y[rows], extra[rows], trait)
        beyond[own] = extra[own] @ weights
        total[own] += beyond[own]
        if weights.any():
            linear = line[0] + z[rows] @ line[1:]
            shift = shift_of(z[rows], y[rows], linear, extra[rows] @ weights, trait)
            total[own] += 0.0 if shift is None else shift[0] + z[own] @ shift[1:]
    return _End({"inner": total, "inner_beyond": beyond, "inner_each": each}, extra)


def _own_lines(z: np.ndarray, part: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Return what each person gets from the straight part of the model without their part."""
    own = lines.T[part]
    return own[:, 0] + np.einsum("ij,ij->i", z, own[:, 1:])


def _put_lines(fitted: FoldModel, task: Task, some: np.ndarray, extra: np.ndarray) -> None:
    """Find the straight part of a fold's weighed models, and fit the linear model together with what is beyond it."""
    z, weights = task.z, np.array(list(fitted.weights.values()))
    fitted.line = np.zeros(z.shape[1] + 1)
    if not weights.any():
        return
    weighed = {name: weight for name, weight in fitted.weights.items() if weight}
    predictions = [fitted.models[name].predict(task.x[some]) for name in weighed]
    fitted.line += _straight(z[some], predictions) @ np.array(list(weighed.values()))
    beyond = extra @ weights
    # what is left that is straight: the lines were seen by some of the people only
    left = line_of(z, beyond)
    fitted.line += left
    beyond -= left[0] + z @ left[1:]
    fitted.shift = shift_of(z, task.y, fitted.models[LINEAR].predict(task.x), beyond, fitted.trait)
