"""Boosted trees: scikit-learn's histogram gradient boosting, kept as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnull_gwas.deepnull.parts import Parts

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
    """Boosted trees as plain arrays, all trees end to end, so that they are saved without pickle and applied without scikit-learn.

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

    def predict(self, x: np.ndarray, model: int | None = None) -> np.ndarray:
        """Predict: float64[n] (a logit for binary traits), the mean of all models or that of one."""
        wanted = range(len(self.base)) if model is None else [model]
        out = np.zeros(len(x))
        for first in range(0, len(x), 65536):
            part = x[first : first + 65536]
            rows = np.arange(len(part))
            for m in wanted:
                total = np.full(len(part), self.base[m])
                for root in self.roots[self.ends[m] : self.ends[m + 1]]:
                    node = np.full(len(part), root, dtype=np.int32)
                    going = rows
                    while len(going):
                        here = node[going]
                        feature = self.feature[here]
                        inner = feature >= 0
                        going, here, feature = going[inner], here[inner], feature[inner]
                        goes_left = part[going, feature] <= self.threshold[here]
                        node[going] = np.where(goes_left, self.left[here], self.right[here])
                    total += self.value[node]
                out[first : first + 65536] += total
        return out / len(wanted)


def fit_trees(
    x: np.ndarray, y: np.ndarray, parts: Parts, trait: str, seed: int
) -> tuple[TreeModel, TreeModel, np.ndarray, dict[str, Any]]:
    """Boost trees, one model without each part of the people, and as many that predict new people; each is stopped by a piece that does not train it.

    Parameters
    ----------
    x, y
        Covariates float64[n, p] and phenotype (binary: 0/1).
    parts
        The parts of the people.
    trait
        ``quantitative`` or ``binary``.
    seed
        Seed of the library.

    Returns
    -------
    The models for new people; those without each part; float64[n], each person's prediction by the model that has not seen their part; and the number of trees of each model for new
    people.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingRegressor if trait == "quantitative" else HistGradientBoostingClassifier
    models = []
    # histograms are summed in an order that depends on the number of threads
    with threadpool_limits(1):
        for _, trains, stops in parts.trainings():
            model = kind(**SETTINGS, early_stopping=True, random_state=seed % 2**32)
            model.fit(x[trains], y[trains], X_val=x[stops], y_val=y[stops])
            models.append(model)
    without, trees = _arrays(models[: parts.count]), _arrays(models[parts.count :])
    inner = np.empty(len(x))
    for j in range(parts.count):
        rows = parts.part == j
        inner[rows] = without.predict(x[rows], j)
    return trees, without, inner, {"trees": np.diff(trees.ends).tolist()}


def _arrays(models: list[Any]) -> TreeModel:
    nodes, roots, ends = [], [], [0]
    count = 0
    for model in models:
        validation = np.asarray(model.validation_score_)
        best = int(np.argmax(validation))
        # scikit-learn keeps the trees that came after the best; they are left out
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
        ends.append(len(roots))
    empty = (np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))
    columns = [np.concatenate(c) for c in zip(empty, *nodes)]
    base = np.array([float(np.ravel(m._baseline_prediction)[0]) for m in models])
    return TreeModel(*columns, np.array(roots, dtype=np.int32), np.array(ends, dtype=np.int32), base)
