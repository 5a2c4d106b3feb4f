"""Phenotype coding, transformations, covariate encoding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from deepnull_gwas.cohort.covariates import code_phenotype, column, encode, rank_inverse_normal, transform
from deepnull_gwas.errors import InputError


def binary(values, case=None, control=None):
    return code_phenotype(
        pd.Series(values, name="y"), {"trait": "binary", "case_value": case, "control_value": control}
    )


@pytest.mark.parametrize(
    ("values", "case", "control", "expected"),
    [
        ([0.0, 1.0, np.nan], None, None, [0, 1, np.nan]),
        ([1.0, 2.0, np.nan], None, None, [0, 1, np.nan]),
        ([1.0, 2.0, 3.0], "3", "1", [0, np.nan, 1]),
        (["case", "control", None, "unclear"], "case", "control", [1, 0, np.nan, np.nan]),
        # declared coding goes before the usual one
        ([0.0, 1.0], "0", "1.0", [1, 0]),
    ],
)
def test_binary_coding(values, case, control, expected):
    np.testing.assert_array_equal(binary(values, case, control), expected)


@pytest.mark.parametrize(
    ("values", "case", "control", "part"),
    [
        (
            [0.0, 1.0, 1.0, 2.0],
            None,
            None,
            "found 3 values: 0 (1 people), 1 (2), 2 (1); say which values are meant by case_value",
        ),
        ([1.0, 1.0], None, None, "found 1 value: 1 (2 people)"),
        (["yes", "no"], None, None, "found 2 values: no (1 people), yes (1)"),
        ([0.0, 1.0], "2", "0", "nobody has the value '2'; it holds 2 values"),
    ],
)
def test_binary_coding_that_is_wrong(values, case, control, part):
    with pytest.raises(InputError) as error:
        binary(values, case, control)
    assert part in str(error.value)


def test_rank_inverse_normal():
    values = np.array([10.0, -3.0, 10.0, 500.0])
    expected = norm.ppf((np.array([2.5, 1, 2.5, 4]) - 0.375) / 4.25)
    np.testing.assert_allclose(rank_inverse_normal(values), expected, rtol=0, atol=1e-15)


@pytest.mark.oracle("Rscript")
def test_rank_inverse_normal_equals_r(tmp_path):
    """R's ppoints(n, 3/8) are Blom's positions."""
    import subprocess

    values = np.random.default_rng(2).gamma(1, size=200)
    command = (
        f"x <- c({','.join(map(repr, values.tolist()))}); cat(format(qnorm(ppoints(200, 3/8))[rank(x)], digits = 17))"
    )
    found = subprocess.run(["Rscript", "-e", command], capture_output=True, text=True, check=True).stdout.split()
    # the two quantile functions agree to the last digits of a double
    np.testing.assert_allclose(rank_inverse_normal(values), np.array(found, dtype=float), rtol=1e-12, atol=1e-13)


def test_transform():
    np.testing.assert_array_equal(transform(np.array([1.0, np.e]), "log"), [0, 1])
    with pytest.raises(InputError, match="2 values are not positive \\(smallest -1\\)"):
        transform(np.array([1.0, 0.0, -1.0]), "log")


def frame(**columns) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"recorded_sex": np.resize([1, 2, 0], n).astype(np.int8)} | columns)


def test_encoding():
    people = frame(age=[1.0, 2.0, 3.0], site=["b", "a", "c"], centre=[10.0, 9.0, 10.0], one=[5.0] * 3, same=["x"] * 3)
    encoded = encode(people, ["age", "site", "centre", "one", "same"], ["site", "centre", "same"])
    assert {k: v.tolist() for k, v in encoded.columns.items()} == {
        "cov_age": [1, 2, 3],
        "cov_site[b]": [1, 0, 0],
        "cov_site[c]": [0, 0, 1],
        "cov_centre[10]": [1, 0, 1],
    }
    assert encoded.covariates[1] == {
        "name": "site",
        "columns": ["cov_site[b]", "cov_site[c]"],
        "kind": "categorical",
        "reference": "a",
    }
    assert [d["name"] for d in encoded.dropped] == ["one", "same"]
    assert encoded.dropped[0]["reason"] == "constant among the people analysed (5)"


def test_encoding_that_is_wrong():
    with pytest.raises(InputError, match=r"holds text .* not listed in categorical_covariates"):
        encode(frame(site=["a", "b"]), ["site"], [])
    with pytest.raises(InputError, match="is there already"):
        encode(pd.DataFrame({"site": ["a", "b"], "site[b]": [1.0, 2.0]}), ["site[b]", "site"], ["site"])


def test_sex_is_the_recorded_sex_where_the_table_has_none():
    assert column(frame(age=[1.0] * 3), "sex").isna().tolist() == [False, False, True]
    assert column(frame(sex=[7.0] * 3), "sex").tolist() == [7] * 3
    with pytest.raises(KeyError):
        column(frame(age=[1.0]), "recorded_sex")
