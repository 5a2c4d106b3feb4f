"""Boosted trees: scikit-learn's histogram gradient boosting, kept as plain arrays."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.protocol import Arrays, Fit, Inner, Model, Task
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.traits import trait_of

_ROWS = 4096
SETTINGS: dict[str, Any] = {
    "learning_rate": 0.06,
    "max_iter": 600,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "n_iter_no_change": 15,
    "tol": 0.0,
}


@dataclass
class TreeModel:
    """Boosted trees as plain arrays, all trees end to end.

    They are saved without pickle and applied without scikit-learn.

    Attributes
    ----------
    feature
        int32[nodes]: covariate that a node asks for; -1 at a leaf.
    threshold
        float64[nodes]: people at or below it go left.
    left, right
        int32[nodes]: nodes that follow.
    value
        float64[nodes]: of a leaf.
    roots
        int32[trees].
    ends
        int32[models + 1]: where each model's trees begin in ``roots``, and the end.
    base
        float64[models]: what each model starts from.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    ends: np.ndarray
    base: np.ndarray

    def __post_init__(self) -> None:
        # a saved model may be damaged: a node that leads back to one before it would be walked for ever
        inner = np.flatnonzero(self.feature >= 0)
        for child in (self.left[inner], self.right[inner]):
            if (child <= inner).any() or (child >= len(self.feature)).any():
                raise ValueError("a tree's node does not lead to a later one")

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict: float64[n] (a logit for binary traits), the mean of all models."""
        out = np.empty(len(x))
        for first in range(0, len(x), _ROWS):
            columns = np.ascontiguousarray(x[first : first + _ROWS].T)
            total = np.zeros(columns.shape[1])
            for m, base in enumerate(self.base):
                own = np.full(columns.shape[1], base)
                for tree in range(self.ends[m], self.ends[m + 1]):
                    own += self._values(tree, columns)
                total += own
            out[first : first + _ROWS] = total / len(self.base)
        return out

    def _values(self, tree: int, columns: np.ndarray) -> np.ndarray:
        """Return what a tree says of some people.

        From its last node up, each takes the value of the node that they go on to.

        That is a few passes over all people, and faster than to follow each from the root.
        """
        root = self.roots[tree]
        end = self.roots[tree + 1] if tree + 1 < len(self.roots) else len(self.feature)
        values: dict[int, np.ndarray] = {}
        for node in range(end - 1, root - 1, -1):
            feature = self.feature[node]
            if feature < 0:
                values[node] = self.value[node]
                continue
            # a damaged model may lead outside its tree
            left, right = values.pop(int(self.left[node])), values.pop(int(self.right[node]))
            goes_left = columns[feature] <= self.threshold[node]
            if np.ndim(right):
                np.copyto(right, left, where=goes_left)
                values[node] = right
            else:
                values[node] = np.where(goes_left, left, right)
        return values[root]

    def arrays(self) -> Arrays:
        """Return everything as arrays by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def fit_trees(x: np.ndarray, y: np.ndarray, trains: np.ndarray, stops: np.ndarray, trait: str) -> TreeModel:
    """Boost trees on the people who train them; they end where the loss in those who stop them is least.

    Parameters
    ----------
    x, y
        Covariates float64[n, p] and phenotype (binary: 0/1).
    trains, stops
        bool[n].
    trait
        ``quantitative`` or ``binary``.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingRegressor if not trait_of(trait).has_cases else HistGradientBoostingClassifier
    # chance picks the people whose covariates are cut into bins where they are very many
    model = kind(**SETTINGS, early_stopping=True, random_state=0)
    # histograms are summed in an order that depends on the number of threads
    with threadpool_limits(1):
        model.fit(x[trains], y[trains], X_val=x[stops], y_val=y[stops])
    return _arrays(model)


def _arrays(model: Any) -> TreeModel:
    """Return the trees of scikit-learn's model; it keeps those that came after the best, they are left out."""
    best = int(np.argmax(model.validation_score_))
    nodes, roots, count = [], [], 0
    for (predictor,) in model._predictors[:best]:
        tree = predictor.nodes
        nodes.append(
            (
                np.where(tree["is_leaf"], -1, tree["feature_idx"]).astype(np.int32),
                tree["num_threshold"].astype(np.float64),
                (tree["left"] + count).astype(np.int32),
                (tree["right"] + count).astype(np.int32),
                tree["value"].astype(np.float64),
            )
        )
        roots.append(count)
        count += len(tree)
    empty = (np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))
    columns = [np.concatenate(c) for c in zip(empty, *nodes)]
    base = np.array([float(np.ravel(model._baseline_prediction)[0])])
    return TreeModel(*columns, np.array(roots, dtype=np.int32), np.array([0, len(roots)], dtype=np.int32), base)


def _together(models: Sequence[TreeModel]) -> TreeModel:
    """Return some models as one, which predicts their mean."""
    shift = np.cumsum([0, *(len(m.feature) for m in models)])
    ends = np.cumsum([0, *(len(m.roots) for m in models)])
    joined = {
        key: np.concatenate([getattr(m, key) for m in models]) for key in ("feature", "threshold", "value", "base")
    }
    for key in ("left", "right", "roots"):
        joined[key] = np.concatenate([getattr(m, key) + np.int32(s) for m, s in zip(models, shift)])
    return TreeModel(**joined, ends=ends.astype(np.int32))


class _Trees:
    """The kind."""

    name = "trees"
    stops_early = True
    batched_on_gpu = False

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        """Return nothing: it starts from no other model."""
        return ()

    def fit_inner(self, tasks: Sequence[Task]) -> list[Inner]:
        """Boost trees without each part; each is stopped by a piece that does not train it."""
        found = []
        for task in tasks:
            parts, prediction = task.parts, np.empty(len(task.x))
            without = [self._once(task, parts.trains[:, j], parts.stops[:, j]) for j in range(parts.count)]
            for j, model in enumerate(without):
                rows = parts.part == j
                prediction[rows] = model.predict(task.x[rows])
            found.append(Inner(without, prediction))
        return found

    def _once(self, task: Task, trains: np.ndarray, stops: np.ndarray) -> TreeModel:
        """Boost trees, or take those that another fold has boosted on the same people.

        The trees without two folds do for both.
        """
        digest = hashlib.sha256(f"{self.name} {task.trait} {int(trains.sum())}".encode())
        for who in (trains, stops):
            digest.update(task.x[who].tobytes() + task.y[who].tobytes())
        key = digest.digest()
        if key not in task.shared:
            task.shared[key] = fit_trees(task.x, task.y, trains, stops, task.trait)
        return task.shared[key]

    def fit(self, tasks: Sequence[Task], inner: Sequence[Inner]) -> list[Fit]:
        """Boost as many models that predict new people, each stopped by a piece of another part.

        The prediction is their mean.
        """
        fits = []
        for task in tasks:
            stops = [task.parts.piece == task.parts.pieces(j)[0] for j in range(task.parts.count)]
            models = [fit_trees(task.x, task.y, ~who, who, task.trait) for who in stops]
            fits.append(Fit(_together(models), {"trees": [len(m.roots) for m in models]}))
        return fits

    def from_arrays(self, arrays: Arrays) -> Model:
        """Return the model whose arrays these are."""
        return TreeModel(**{f.name: arrays[f.name] for f in dataclasses.fields(TreeModel)})


TREES = _Trees()
