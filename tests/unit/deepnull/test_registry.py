"""Kinds of models: what it takes to add one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas import cli
from deepnull_gwas.deepnull.crossfit import crossfit
from deepnull_gwas.deepnull.fitting import Choice
from deepnull_gwas.deepnull.models import FoldModel
from deepnull_gwas.deepnull.protocol import Fit, Inner
from deepnull_gwas.deepnull.recipe import Recipe
from deepnull_gwas.deepnull.registry import KINDS
from deepnull_gwas.tables import read_json

# --- what somebody writes who adds a model: this file's middle, and a line of the registry ---


@dataclass(frozen=True)
class Step:
    """The mean on either side of a threshold of the first covariate."""

    means: np.ndarray

    def predict(self, x):
        return self.means[(x[:, 0] > 55).astype(int)]

    def arrays(self):
        return {"means": self.means}


class Steps:
    name, stops_early, batched_on_gpu = "steps", False, False

    def needs(self, recipe):
        return ()

    def fit_inner(self, tasks):
        found = []
        for task in tasks:
            part, x = task.parts.part, task.x
            without = [fit_step(x[part != j], task.y[part != j]) for j in range(task.parts.count)]
            found.append(Inner(without, np.array([without[j].predict(x[[i]])[0] for i, j in enumerate(part)])))
        return found

    def fit(self, tasks, inner):
        return [Fit(fit_step(task.x, task.y), {"threshold": 55}) for task in tasks]

    def from_arrays(self, arrays):
        return Step(arrays["means"])


def fit_step(x, y):
    above = x[:, 0] > 55
    return Step(np.array([y[~above].mean(), y[above].mean()]))


# --- and what it gets for it ---


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setitem(KINDS, "steps", Steps())
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.uniform(40, 70, 400), rng.normal(size=400)])
    return x, 3.0 * (x[:, 0] > 55) + rng.normal(size=400)


def test_a_new_model_predicts_alone_and_in_the_stack(table, tmp_path):
    x, y = table
    fold = np.arange(400) % 4
    recipe = Recipe(hidden=(8,), max_epochs=1)
    alone, _, results = crossfit(x, y, fold, recipe, 1, choice=Choice("steps", compare=False))
    assert np.corrcoef(alone, y)[0, 1] > 0.8
    assert {name for r in results for name in r.model.models} == {"linear", "steps"}
    _, each, results = crossfit(x, y, fold, recipe, 1)
    assert set(each) == set(KINDS)
    # it is the truth: nothing else has much of a weight
    assert all(r.history["weights"]["steps"] > 0.5 for r in results)
    results[0].model.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(FoldModel.load(tmp_path / "m.npz").predict(x), results[0].model.predict(x))


def test_a_new_model_is_known_to_the_command_line(table, tmp_path, capsys):
    x, y = table
    frame = pd.DataFrame({"IID": [f"p{i}" for i in range(400)], "y": y, "a": x[:, 0], "b": x[:, 1]})
    frame.to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    ask = ["predict", "--input", str(tmp_path / "p.tsv"), "--output", str(tmp_path / "o.tsv"), "--target", "y"]
    ask += ["--trait", "quantitative", "--covariates", "a,b", "--metrics", str(tmp_path / "m.json"), "--folds", "3"]
    assert cli.main([*ask, "--model", "steps"]) == 0
    assert set(read_json(tmp_path / "m.json")["y"]["models"]) == {"linear", "steps"}
    assert cli.main([*ask, "--model", "step"]) == 1
    assert "--model: found 'step', expected auto, linear, " in capsys.readouterr().err
