"""The second implementation against the scan, and the check of published files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from association_cases import make_cohort, make_genotypes
from deepnull_gwas.association.second import (
    BETA_IN_SE,
    FREQUENCY,
    P_ABSOLUTE,
    P_RELATIVE,
    SE_RELATIVE,
    Second,
    Study,
    _basis,
    normal_tail,
    read_calls,
    student_tail,
)
from deepnull_gwas.association.tails import neg_log10_p_t

CHROMOSOMES = {"autosome": "1", "X": "X", "Y": "Y", "MT": "MT"}


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize(
    ("trait", "refine_by"),
    [("quantitative", "spa"), ("binary", "likelihood"), ("binary", "approximate"), ("binary", "spa")],
)
def test_second_implementation_agrees_with_the_scan(tmp_path, missing, trait, refine_by):
    """On every class of chromosomes, with missing calls, unknown sex, a collinear covariate, and every method that it knows."""
    rng = np.random.default_rng(3)
    n, per = 500, 12
    sex = rng.choice([0, 1, 2], n, p=[0.05, 0.45, 0.5]).astype(np.int8)
    chromosome = [c for c in CHROMOSOMES.values() for _ in range(per)]
    g = make_genotypes(rng, n, len(chromosome), missing=0.02, low=0.15)
    # a few rare variants, for Firth's likelihood
    g[:3] = np.where(rng.random((3, n)) < 0.01, 1, 0)
    cohort = make_cohort(tmp_path, g, sex, chromosome)
    age = rng.normal(50, 8, n)
    prediction = 0.1 * np.sin(age)
    liability = 0.02 * (age - 50) + prediction * 4 + 0.2 * np.maximum(g[5], 0) + rng.normal(size=n)
    y = liability if trait == "quantitative" else (liability > 0.3).astype(float)
    y[rng.random(n) < 0.1] = np.nan
    covariates = {"age": age, "months": 12 * age, "pc": rng.normal(size=n)}
    settings = {
        "missing_genotypes": missing, "x_male_copies": 1 if missing == "drop" else 2, "firth": "fallback", "firth_mac": 8,
        "refine_below": 0.5, "refine_by": refine_by,
    }  # fmt: skip
    if refine_by == "approximate":
        settings |= {"refine_by": "likelihood", "firth_form": "approximate", "firth": "always"}
    found = cohort.run([cohort.study("s", y, covariates, prediction, trait)], **settings)
    people = np.flatnonzero(~np.isnan(y))
    matrix = np.column_stack([*covariates.values()])[people]
    study = Study("s", trait, ("baseline", "deepnull"), (), people, y[people], matrix, prediction[people], tmp_path)
    methods = set()
    for kind, name in CHROMOSOMES.items():
        second = Second(study, sex, kind, settings)
        for row in found[found["chromosome"] == name].itertuples():
            values = dict(zip(found.columns, row[1:]))
            calls = read_calls(f"{cohort.prefix}.bed", values["index"], n)
            counted = second.counts(calls)
            names = {"n": "n", "effect_allele_frequency": "eaf"}
            if trait == "binary":
                names |= {"n_cases": "n_cases"} | {
                    f"effect_allele_frequency_{w}": f"eaf_{w}" for w in ("cases", "controls")
                }
            assert set(counted) == set(names)
            for column, theirs in names.items():
                assert abs(counted[column] - values[f"s.{theirs}"]) <= (0 if "n" in column[:2] else FREQUENCY), column
            for arm in study.arms:
                if values[f"s.{arm}.reason"]:
                    continue
                method = values[f"s.{arm}.method"]
                beta, se, p, _ = second.test(calls, arm, method)
                methods.add(method)
                assert abs(beta - values[f"s.{arm}.beta"]) < BETA_IN_SE * se, (name, arm, method)
                assert abs(se - values[f"s.{arm}.se"]) < SE_RELATIVE * se, (name, arm, method)
                assert abs(p - values[f"s.{arm}.neg_log10_p"]) < P_ABSOLUTE + P_RELATIVE * p, (name, arm, method)
    want = {"likelihood": {"logistic", "firth"}, "approximate": {"score", "firth_approximate"}, "spa": {"score", "spa"}}
    want = want[refine_by]
    assert methods >= (want if trait == "binary" else {"linear"})


def test_tails_are_those_of_scipy():
    for t in (0.0, 1e-3, 0.5, 1.0, 3.0, 8.0, 20.0, 35.0):
        assert normal_tail(t) == pytest.approx(-(stats.norm.logsf(t) + np.log(2)) / np.log(10), rel=1e-9, abs=1e-12)
        for df in (1, 2, 5, 60, 1000, 500_000):
            expected = -(stats.t.logsf(t, df) + np.log(2)) / np.log(10)
            assert student_tail(t, df) == pytest.approx(expected, rel=1e-8, abs=1e-8), (t, df)
    # beyond what a probability can be
    assert normal_tail(1000.0) == pytest.approx(-(stats.norm.logsf(1000) + np.log(2)) / np.log(10), rel=1e-12)
    assert student_tail(1000.0, 1e6) == pytest.approx(float(neg_log10_p_t(np.array([1000.0]), 1e6)[0]), rel=1e-9)


def test_a_collinear_covariate_adds_nothing_to_the_second_basis():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 3)) * [1e-150, 1.0, 1e150] + [0, 1e3, 0]
    twice = np.column_stack(
        [x, x[:, 1] * 7 - 3, np.full(200, 5.0), x[:, 0] / 1e-150 + x[:, 2] / 1e150, rng.normal(size=200)]
    )
    for columns, rank in ((twice, 5), (x, 4)):
        basis = _basis(columns)
        assert basis.shape[1] == rank
        np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-12)
        unit = columns / np.abs(columns).max(axis=0)
        np.testing.assert_allclose(basis @ (basis.T @ unit), unit, atol=1e-12)
