"""Kinds of trait."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from deepnull_gwas.config import SCHEMAS
from deepnull_gwas.errors import InputError
from deepnull_gwas.traits import BINARY, QUANTITATIVE, TRAITS, trait_of


def test_traits_are_those_of_the_schema():
    schema = yaml.safe_load((SCHEMAS / "studies.schema.yaml").read_text())
    assert list(TRAITS) == schema["properties"]["trait"]["enum"]
    assert trait_of("binary") is BINARY
    assert trait_of("quantitative") is QUANTITATIVE


def test_an_unknown_trait_names_the_nearest():
    with pytest.raises(InputError, match="found 'binari', allowed: quantitative, binary; did you mean 'binary'"):
        trait_of("binari")


def test_cases_are_counted_and_balanced_where_there_are_any():
    y = np.array([0.0, 1.0, 1.0, np.nan])
    assert BINARY.cases_and_controls(y) == (2, 1)
    assert QUANTITATIVE.cases_and_controls(y) == (None, None)
    assert QUANTITATIVE.stratum(y[:3]) is None
    assert BINARY.stratum(y[:3]).tolist() == [0, 1, 1]


def test_predictions_come_back_to_the_scale_of_the_phenotype():
    eta = np.array([-2.0, 0.0, 3.0])
    np.testing.assert_allclose(BINARY.on_scale_of_phenotype(eta), [0.11920292, 0.5, 0.95257413])
    assert QUANTITATIVE.on_scale_of_phenotype(eta) is eta
