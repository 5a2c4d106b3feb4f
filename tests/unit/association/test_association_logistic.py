import numpy as np
import pytest
import statsmodels.api as sm

from association_cases import impute, make_cohort, make_genotypes
from deepnull_gwas.association.null_logistic import fit_logistic
from deepnull_gwas.association.tails import neg_log10_p_normal
from deepnull_gwas.errors import StudyFailure


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    rng = np.random.default_rng(11)
    n, m = 700, 30
    g = make_genotypes(rng, n, m, missing=0.02)
    g[5] = rng.binomial(2, 0.008, size=n)  # rare
    cohort = make_cohort(tmp_path_factory.mktemp("logistic"), g)
    age, sex = rng.normal(50, 10, size=n), rng.integers(0, 2, size=n).astype(float)
    prediction = (age - 50) ** 2 / 100 + rng.normal(size=n) * 0.1
    eta = prediction - 1.5 + 0.5 * sex + 0.4 * impute(g[3])
    y = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    y[rng.random(n) < 0.1] = np.nan
    return cohort, g, y, {"age": age, "sex": sex}, prediction


def test_null_model_equals_statsmodels(case):
    _, _, y, covariates, prediction = case
    kept = ~np.isnan(y)
    x = np.column_stack([np.ones(kept.sum()), *[v[kept] for v in covariates.values()], prediction[kept]])
    fit = fit_logistic(x, y[kept])
    expected = sm.Logit(y[kept], x).fit(disp=0, method="newton", tol=1e-12)
    np.testing.assert_allclose(fit.coefficients, expected.params, rtol=1e-7)
    assert fit.log_likelihood == pytest.approx(expected.llf, rel=1e-12)


def test_strong_covariates_are_not_taken_for_separation():
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(3000), rng.normal(size=3000) * 8])
    y = (rng.random(3000) < 1 / (1 + np.exp(-2 * x[:, 1]))).astype(float)
    expected = sm.Logit(y, x).fit(disp=0, method="newton", tol=1e-12)
    np.testing.assert_allclose(fit_logistic(x, y).coefficients, expected.params, rtol=1e-6)


def test_nobody_to_compare_with_is_a_failure_of_the_study():
    with pytest.raises(StudyFailure, match="no cases"):
        fit_logistic(np.ones((30, 1)), np.zeros(30))


@pytest.mark.parametrize("overlap", [0, 1])
def test_separation_by_a_covariate_is_a_failure_of_the_study(overlap):
    # complete, and quasi-complete (all cases carry it, some controls do too)
    carrier = np.r_[np.ones(40), np.zeros(60)]
    y = np.r_[np.ones(40 - 10 * overlap), np.zeros(60 + 10 * overlap)]
    with pytest.raises(StudyFailure, match="separates cases from controls"):
        fit_logistic(np.column_stack([np.ones(100), carrier]), y)


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_both_arms_equal_statsmodels(case, missing):
    cohort, g, y, covariates, prediction = case
    study = [cohort.study("b", y, covariates, prediction, trait="binary")]
    result = cohort.run(study, missing_genotypes=missing, exact=True)
    # the score test is of the null model of everybody: where calls are dropped, such variants are fitted
    by_score = cohort.run(study, missing_genotypes=missing, exact=True, refine_below=0.0)
    single = cohort.run(study, missing_genotypes=missing)
    kept = ~np.isnan(y)
    both = np.column_stack(list(covariates.values()))
    for arm, c in {"baseline": both, "deepnull": np.column_stack([both, prediction])}.items():
        for i in range(len(g)):
            people = kept & (g[i] >= 0) if missing == "drop" else kept
            null = np.column_stack([np.ones(people.sum()), c[people]])
            x = np.column_stack([null, impute(g[i][people])])
            fit = sm.Logit(y[people], x).fit(disp=0, method="newton", tol=1e-12)
            small = sm.Logit(y[people], null).fit(disp=0, method="newton", tol=1e-12)
            row = result.iloc[i]
            # float32 products, and Newton stops at a step of 1e-4 standard errors: 2e-6 seen in beta / se, 2e-6 in se
            assert abs(single[f"b.{arm}.beta"][i] - fit.params[-1]) / fit.bse[-1] < 1e-5
            assert single[f"b.{arm}.se"][i] == pytest.approx(fit.bse[-1], rel=1e-5)
            assert abs(row[f"b.{arm}.beta"] - fit.params[-1]) / fit.bse[-1] < 1e-6
            assert row[f"b.{arm}.se"] == pytest.approx(fit.bse[-1], rel=1e-6)
            z = fit.params[-1] / fit.bse[-1]
            assert row[f"b.{arm}.neg_log10_p"] == pytest.approx(neg_log10_p_normal(z), rel=1e-5, abs=1e-6)
            mu = small.predict(null)
            w = mu * (1 - mu)
            residual = x[:, -1] - null @ np.linalg.solve((null * w[:, None]).T @ null, (null * w[:, None]).T @ x[:, -1])
            score = (residual @ (y[people] - mu)) / np.sqrt((w * residual) @ residual)
            if by_score[f"b.{arm}.method"][i] == "score":
                expected = neg_log10_p_normal(score)
                assert by_score[f"b.{arm}.neg_log10_p"][i] == pytest.approx(expected, rel=1e-5, abs=1e-6)
            assert row["b.n"] == people.sum()
            assert row["b.n_cases"] == (y[people] == 1).sum()
            if missing == "drop":
                assert row["b.eaf_cases"] == pytest.approx(g[i][people & (y == 1)].mean() / 2)
                assert row["b.eaf_controls"] == pytest.approx(g[i][people & (y == 0)].mean() / 2)
    assert (by_score["b.deepnull.method"] == "score").sum() == (
        len(g) if missing == "impute_mean" else (g >= 0).all(axis=1).sum()
    )
    assert (result["b.deepnull.reason"] == "").all()
    assert (result["b.deepnull.method"] == "logistic").all()


def test_refine_below_leaves_the_score_test_to_the_rest(case):
    cohort, _, y, covariates, _ = case
    study = [cohort.study("b", y, covariates, trait="binary")]
    every, some, score = (
        cohort.run(study),
        cohort.run(study, refine_below=0.2),
        cohort.run(study, refine_below=0.0, exact=True),
    )
    refined = score["b.baseline.neg_log10_p"] > -np.log10(0.2)
    assert 0 < refined.sum() < len(refined)
    assert (some["b.baseline.method"] == np.where(refined, "logistic", "score")).all()
    for column in ("beta", "se", "neg_log10_p"):
        key = f"b.baseline.{column}"
        np.testing.assert_allclose(some[key][refined], every[key][refined], rtol=1e-6)
    key = "b.baseline.neg_log10_p"
    # float32 tiles against float64
    np.testing.assert_allclose(some[key][~refined], score[key][~refined], rtol=1e-4, atol=1e-6)
    # the first step of Newton's method is near the maximum where there is little to find
    distance = np.abs(some["b.baseline.beta"] - every["b.baseline.beta"])[~refined] / every["b.baseline.se"][~refined]
    assert distance.max() < 0.1


def test_a_variant_that_separates_says_so(tmp_path):
    rng = np.random.default_rng(5)
    n = 400
    y = (rng.random(n) < 0.3).astype(float)
    g = make_genotypes(rng, n, 3, low=0.3)
    g[0] = 0
    g[0, np.flatnonzero(y == 1)[:25]] = 1  # carried by cases only
    g[1] = np.where(y == 1, 1, 0)  # complete
    cohort = make_cohort(tmp_path, g)
    result = cohort.run([cohort.study("b", y, {"age": rng.normal(size=n)}, trait="binary")])
    assert list(result["b.baseline.reason"]) == ["separation", "separation", ""]
    assert result["b.baseline.beta"][:2].isna().all()


def test_a_failed_null_model_leaves_the_others_alone(case):
    cohort, _, y, covariates, prediction = case
    bad = covariates | {"same": np.where(np.isnan(y), np.nan, y)}
    ok = cohort.study("b", y, covariates, prediction, trait="binary")
    result = cohort.run([cohort.study("bad", y, bad, trait="binary"), ok])
    alone = cohort.run([ok])
    assert (result["bad.baseline.reason"] == "study_failed").all()
    state = result.attrs["studies"]["bad"]["arms"]["baseline"]
    assert state["status"] == "failed"
    assert "separates" in state["reason"]
    assert np.abs((result["b.deepnull.beta"] - alone["b.deepnull.beta"]) / alone["b.deepnull.se"]).max() < 1e-6
