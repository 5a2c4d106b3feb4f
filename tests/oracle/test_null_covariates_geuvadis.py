"""Real expression phenotypes that covariates explain nothing of: the deepnull arm must not cost power (small form of
benchmarks/null_covariates.py).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

#: The linear model explains less than nothing of them out of fold (R2 -.02 to -.03).
GENES = ["ENSG00000177663", "ENSG00000185651", "ENSG00000100154"]


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).resolve().parents[2] / "benchmarks/null_covariates.py"
    spec = importlib.util.spec_from_file_location("null_covariates", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_arms_are_equal_where_covariates_explain_nothing(benchmark, real_data):
    prefix = real_data("geuvadis") / "geuvadis343"
    table = pd.read_csv(f"{prefix}.samples.tsv", sep="\t")
    rows = [benchmark.predict(table, gene) for gene in GENES]
    benchmark.test(table, rows, str(prefix))
    assert {row["folds"] for row in rows} == {10}
    assert all(row["r2_linear"] < 0 for row in rows)
    for row in rows:
        if row["weight"] == 0:
            # not nearly nothing: the arms are then the same to the last bit
            assert not np.any(row["covariate"])
            assert row["ratio"] == row["ratio_all"] == 1
    assert np.mean([row["ratio_all"] for row in rows]) == pytest.approx(1, abs=0.005)
    # the signals are 2, 0 and 61 variants in strong LD: their ratio varies by a hundredth or two by chance
    assert 0.995 < np.mean([row["ratio"] for row in rows]) < 1.03
