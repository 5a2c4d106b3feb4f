"""The second implementation against the scan, and the check of published files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, stats

from association_cases import make_cohort, make_genotypes
from deepnull_gwas.association.tails import neg_log10_p_t
from deepnull_gwas.verify.bases import orthonormal_basis
from deepnull_gwas.verify.compare import BETA_IN_SE, FREQUENCY, P_ABSOLUTE, P_RELATIVE, SE_RELATIVE
from deepnull_gwas.verify.files import Study
from deepnull_gwas.verify.genotypes import read_copies
from deepnull_gwas.verify.saddle import saddle_point
from deepnull_gwas.verify.second import Second
from deepnull_gwas.verify.tails import normal_tail, student_tail

CHROMOSOMES = {"autosome": "1", "X": "X", "Y": "Y", "MT": "MT"}


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize(
    ("trait", "refine_by"),
    [("quantitative", "spa"), ("binary", "likelihood"), ("binary", "approximate"), ("binary", "spa")],
)
def test_second_implementation_agrees_with_the_scan(tmp_path, missing, trait, refine_by):
    """On every class of chromosomes, with missing calls, unknown sex, a collinear covariate, and every method that it
    knows.
    """
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
        "missing_genotypes": missing, "x_male_copies": 1 if missing == "drop" else 2, "firth": "fallback",
        "firth_mac": 8,
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
            calls = read_copies((f"{cohort.prefix}.bed", values["index"]), n)
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
        basis = orthonormal_basis(columns)
        assert basis.shape[1] == rank
        np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-12)
        unit = columns / np.abs(columns).max(axis=0)
        np.testing.assert_allclose(basis @ (basis.T @ unit), unit, atol=1e-12)


METHODS = ["linear", "score", "spa", "logistic", "firth", "firth_approximate"]


def with_offset(study: Study, offset: np.ndarray) -> Study:
    """Return a study with an offset for the baseline arm on chromosome 1."""
    return dataclasses.replace(study, offsets={("baseline", "autosome", "1"): offset})


def case_with_offset(
    method: str, drop: bool, seed: int = 8
) -> tuple[Second, Second, np.ndarray, np.ndarray, np.ndarray]:
    """Return the second implementation without and with an offset, the covariates, the offset, and the calls of a
    variant.
    """
    rng = np.random.default_rng(seed)
    n = 300
    covariates = np.column_stack([rng.normal(50, 8, n), rng.normal(size=n)])
    calls = rng.binomial(2, 0.2, n).astype(np.int8)
    calls[rng.random(n) < 0.03] = -1
    offset = 0.7 * rng.normal(size=n)
    liability = 0.03 * (covariates[:, 0] - 50) + offset + 0.3 * np.maximum(calls, 0) + rng.logistic(size=n)
    y = liability if method == "linear" else (liability > 1).astype(float)
    trait = "quantitative" if method == "linear" else "binary"
    settings = {"missing_genotypes": "drop" if drop else "impute_mean"}
    settings |= {"refine_by": "spa"} if method == "spa" else {}
    settings |= {"firth_form": "approximate"} if method == "firth_approximate" else {}
    study = Study("s", trait, ("baseline",), (), np.arange(n), y, covariates, None, Path("s"))
    sex = np.zeros(n, np.int8)
    return (
        Second(study, sex, "autosome", settings),
        Second(with_offset(study, offset), sex, "autosome", settings, "1"),
        covariates,
        offset,
        calls,
    )


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_an_offset_made_of_covariates_changes_nothing(method, drop):
    plain, other, covariates, offset, calls = case_with_offset(method, drop)
    settings = {"missing_genotypes": "drop" if drop else "impute_mean"}
    settings |= {"refine_by": "spa" if method == "spa" else "likelihood"}
    study, sex = with_offset(plain.study, covariates @ [0.02, -0.4] + 0.3), np.zeros(len(offset), np.int8)
    within, elsewhere = (Second(study, sex, "autosome", settings, chromosome) for chromosome in ("1", "2"))
    expected, found = plain.test(calls, "baseline", method), within.test(calls, "baseline", method)
    np.testing.assert_allclose(found[:3], expected[:3], rtol=2e-5)
    # nor does one of another chromosome
    assert elsewhere.test(calls, "baseline", method)[:3] == expected[:3]
    # one that is not made of them does
    assert abs(other.test(calls, "baseline", method).beta - expected.beta) > 1e-3 * expected.se


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_an_offset_enters_as_statsmodels_and_definitions_have_it(method, drop):
    _, second, covariates, offset, calls = case_with_offset(method, drop)
    found = second.test(calls, "baseline", method)
    seen, y = calls >= 0, second.y * second.unit
    g = np.where(seen, calls, calls[seen].mean()).astype(float)
    # approximate Firth, and saddle points, keep the covariates' model of everybody
    own = drop and method not in ("spa", "firth_approximate")
    use = seen if own else np.ones(len(y), bool)
    y, g, x, offset = y[use], g[use], sm.add_constant(covariates[use]), offset[use]
    both = np.column_stack([x, g])
    if method == "linear":
        fit = sm.OLS(y - offset, both).fit()
        beta, se, p = fit.params[-1], fit.bse[-1], fit.pvalues[-1]
    elif method == "logistic":
        fit = sm.GLM(y, both, sm.families.Binomial(), offset=offset).fit(tol=1e-12)
        beta, se, p = fit.params[-1], fit.bse[-1], fit.pvalues[-1]
    elif method in ("score", "spa"):
        mu = sm.GLM(y, x, sm.families.Binomial(), offset=offset).fit(tol=1e-12).predict(x, offset=offset)
        w = mu * (1 - mu)
        left = g - x @ np.linalg.solve((x.T * w) @ x, (x.T * w) @ g)
        score, variance = left @ (y - mu), w @ left**2
        beta, se, p = score / variance, variance**-0.5, 2 * stats.norm.sf(abs(score) / variance**0.5)
        if method == "spa":
            p = 10 ** -saddle_point(score, left, mu)
            se = abs(beta) / stats.norm.isf(p / 2)
    else:
        if method == "firth_approximate":
            null = sm.GLM(y, x, sm.families.Binomial(), offset=offset).fit(tol=1e-12)
            fixed = x @ firth_by_scipy(x, y, offset, null.params)[0] + offset
            mu = null.predict(x, offset=offset)
            w = mu * (1 - mu)
            if drop:
                g, x, w, y, fixed = g[seen], x[seen], w[seen], y[seen], fixed[seen]
            left = g - x @ np.linalg.solve((x.T * w) @ x, (x.T * w) @ g)
            (beta,), high, information = firth_by_scipy(left[:, None], y, fixed, np.zeros(1))
            low = penalised(np.zeros(1), left[:, None], y, fixed)
            se = information[0, 0] ** -0.5
        else:
            full, high, information = firth_by_scipy(both, y, offset, np.zeros(both.shape[1]))
            low = -optimize.minimize(
                lambda b: -penalised(np.append(b, 0), both, y, offset), full[:-1], method="Nelder-Mead",
                options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 20_000},
            ).fun  # fmt: skip
            beta, se = full[-1], np.linalg.inv(information)[-1, -1] ** 0.5
        p = stats.chi2.sf(2 * (high - low), 1)
    np.testing.assert_allclose(found[:3], [beta, se, -np.log10(p)], rtol=2e-4)


def penalised(b: np.ndarray, x: np.ndarray, y: np.ndarray, offset: np.ndarray) -> float:
    """Return Firth's likelihood by its definition."""
    eta = x @ b + offset
    w = 1 / (2 + 2 * np.cosh(eta))
    return float(y @ eta - np.logaddexp(0, eta).sum() + 0.5 * np.linalg.slogdet((x.T * w) @ x)[1])


def firth_by_scipy(x: np.ndarray, y: np.ndarray, offset: np.ndarray, start: np.ndarray) -> tuple:
    """Maximise Firth's likelihood without its derivatives: coefficients, maximum, information."""
    scale = np.abs(x).max(axis=0)
    found = optimize.minimize(
        lambda b: -penalised(b / scale, x, y, offset), start * scale, method="Powell",
        options={"xtol": 1e-10, "ftol": 1e-14, "maxiter": 20_000},
    )  # fmt: skip
    found = optimize.minimize(
        lambda b: -penalised(b / scale, x, y, offset), found.x, method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 20_000},
    )  # fmt: skip
    b = found.x / scale
    w = 1 / (2 + 2 * np.cosh(x @ b + offset))
    return b, -found.fun, (x.T * w) @ x
