"""Weights of the models: none for what may be noise."""

from __future__ import annotations

import numpy as np
import pytest

from deepnull_gwas.deepnull.metrics import loss
from deepnull_gwas.deepnull.stacking import stack


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
@pytest.mark.parametrize(("size", "taken"), [(1.5, False), (3.0, True)])
def test_nothing_is_taken_within_two_standard_errors_of_no_gain(trait, size, taken):
    """The gain of a model is made ``size`` standard errors by the number of people."""
    rng = np.random.default_rng(1)
    n = 20_000
    model = rng.normal(size=n) * 0.3
    y = model + rng.normal(size=n)
    if trait == "binary":
        y = (rng.random(n) < 1 / (1 + np.exp(-2 * model))).astype(float)
    linear = np.zeros(n)
    gains = loss(y, linear, trait) - loss(y, linear + model, trait)
    # of so many people, the mean gain is this many standard errors: of how many is it `size`?
    per_person = gains.mean() / gains.std()
    some = int((size / per_person) ** 2)
    # people spread over the whole, so that their mean and standard deviation are nearly those of all
    order = np.argsort(gains)[np.linspace(0, n - 1, some).round().astype(int)]
    weights = stack(y[order], linear[order], model[order][:, None], trait)
    assert (weights[0] > 0.5) if taken else (weights[0] == 0)
