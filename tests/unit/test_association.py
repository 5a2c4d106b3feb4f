"""The association engine against float64 least squares and maximum likelihood by statsmodels, and against itself in other company."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import special, stats

from association_cases import settings_of
from deepnull_gwas.association.basis import orthonormal_basis
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.null_logistic import fit_logistic
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.association.tails import neg_log10_p_normal, neg_log10_p_t
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.genotypes.block import PackedBlock

N, M = 1003, 60


def pack(genotypes: np.ndarray) -> np.ndarray:
    """Pack int8 dosages of A1 (-1 missing), variants x people."""
    code = np.array([3, 2, 0, 1], dtype=np.uint8)
    n = genotypes.shape[1]
    lanes = np.zeros((len(genotypes), (n + 3) // 4 * 4), dtype=np.uint8)
    lanes[:, :n] = code[genotypes]
    lanes = lanes.reshape(len(genotypes), -1, 4)
    return lanes[..., 0] | lanes[..., 1] << 2 | lanes[..., 2] << 4 | lanes[..., 3] << 6


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    frequency = rng.uniform(0.02, 0.5, M)
    genotypes = rng.binomial(2, frequency[:, None], (M, N)).astype(np.int8)
    genotypes[rng.random((M, N)) < 0.02] = -1
    covariates = np.column_stack([rng.normal(50, 8, N), rng.integers(1, 3, N), rng.normal(size=(N, 3))])
    liability = 0.05 * (covariates[:, 0] - 50) + 0.3 * covariates[:, 1] + np.sin(covariates[:, 2])
    y = liability + 0.3 * np.maximum(genotypes[0], 0) + rng.normal(size=N)
    case = (liability + rng.logistic(size=N) > 1).astype(float)
    prediction = np.sin(covariates[:, 2]) + 0.1 * rng.normal(size=N)
    return genotypes, covariates, y, case, prediction


def study(
    data, name="s", trait="quantitative", index=None, arms=("baseline", "deepnull"), columns=slice(None)
) -> StudyInput:
    _, covariates, y, case, prediction = data
    index = np.arange(N) if index is None else index
    c = covariates[index][:, columns]
    values = (y if trait == "quantitative" else case)[index]
    return StudyInput(name, trait, arms, index, values, c, tuple(f"c{j}" for j in range(c.shape[1])), prediction[index])


def run(studies, genotypes, **settings) -> dict[str, np.ndarray]:
    return Scan(studies, np.ones(genotypes.shape[1], dtype=np.int8), settings_of(**settings)).block(
        PackedBlock(pack(genotypes), genotypes.shape[1]), "autosome"
    )


def reference(s: StudyInput, g: np.ndarray, arm: str, drop: bool):
    """Fit one variant by statsmodels in float64."""
    g = g[s.sample_index].astype(float)
    here = g >= 0
    if drop:
        keep = here
    else:
        keep = np.ones(len(g), dtype=bool)
        g = np.where(here, g, g[here].mean())
    x = np.column_stack([np.ones(len(g)), s.covariates] + ([s.prediction] if arm == "deepnull" else []) + [g])[keep]
    if s.trait == "quantitative":
        return sm.OLS(s.y[keep], x).fit()
    return sm.Logit(s.y[keep], x).fit(disp=0, tol=1e-14, maxiter=100)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_equals_statsmodels(data, trait, missing, exact):
    rng = np.random.default_rng(1)
    s = study(data, trait=trait, index=np.sort(rng.choice(N, 800, replace=False)))
    out = run([s], data[0], missing_genotypes=missing, exact=exact)
    for arm in s.arms:
        assert (out[f"s.{arm}.reason"] == "").all()
        for v in range(0, M, 7):
            fit = reference(s, data[0][v], arm, missing == "drop")
            beta, se = fit.params[-1], fit.bse[-1]
            # float32 tiles: a few 1e-7 of a standard error (measured, see the design); float64: rounding, and the rule that stops the fit
            tolerance = 1e-7 if exact else 2e-6
            assert abs(out[f"s.{arm}.beta"][v] - beta) / se < tolerance
            assert out[f"s.{arm}.se"][v] == pytest.approx(se, rel=2e-6)
            assert out[f"s.{arm}.neg_log10_p"][v] == pytest.approx(-np.log10(fit.pvalues[-1]), rel=2e-5, abs=2e-6)


def test_two_studies_with_other_people_do_not_touch_each_other(data):
    rng = np.random.default_rng(2)
    order = rng.permutation(N)
    studies = [
        study(data, "a", index=np.sort(order[:500])),
        study(data, "b", index=np.sort(order[500:])),
        study(data, "c", "binary", index=np.sort(order[100:900]), columns=slice(0, 3)),
        study(data, "d", index=np.sort(order[:500]), columns=slice(0, 2)),
    ]
    together = run(studies, data[0])
    for s in studies:
        alone = run([s], data[0])
        for key, values in alone.items():
            if values.dtype == object:
                assert (together[key] == values).all()
            elif key.endswith("beta"):
                # the order of float32 sums may differ with the width of the product: 1e-6 of a standard error
                assert np.max(np.abs(together[key] - values) / alone[key.replace("beta", "se")]) < 1e-6
            else:
                np.testing.assert_allclose(together[key], values, rtol=1e-5, atol=1e-6)


def test_swapped_alleles_flip_beta_and_nothing_else(data):
    s = [study(data), study(data, "b", "binary")]
    swapped = np.where(data[0] < 0, -1, 2 - data[0]).astype(np.int8)
    one, two = run(s, data[0], exact=True), run(s, swapped, exact=True)
    for name in ("s", "b"):
        for arm in ("baseline", "deepnull"):
            np.testing.assert_allclose(two[f"{name}.{arm}.beta"], -one[f"{name}.{arm}.beta"], rtol=1e-7, atol=1e-10)
            np.testing.assert_allclose(two[f"{name}.{arm}.se"], one[f"{name}.{arm}.se"], rtol=1e-8)
        np.testing.assert_allclose(two[f"{name}.eaf"], 1 - one[f"{name}.eaf"])


def test_scaling_a_covariate_changes_nothing(data):
    s = study(data)
    scaled = study(data)
    scaled.covariates = s.covariates * np.array([1000, 0.01, 1, 1, 1]) + np.array([5, -3, 0, 1e3, 0])
    one, two = run([s], data[0], exact=True), run([scaled], data[0], exact=True)
    for arm in s.arms:
        assert np.max(np.abs(one[f"s.{arm}.beta"] - two[f"s.{arm}.beta"]) / one[f"s.{arm}.se"]) < 1e-9


def test_collinear_covariates_are_dropped_and_named(data):
    s = study(data)
    more = study(data)
    more.covariates = np.column_stack([s.covariates, s.covariates[:, 0] + s.covariates[:, 1], np.ones(N)])
    more.covariate_names = (*s.covariate_names, "sum", "constant")
    scan = Scan([more], np.ones(N, dtype=np.int8), settings_of(exact=True))
    out, one = scan.block(PackedBlock(pack(data[0]), N), "autosome"), run([s], data[0], exact=True)
    np.testing.assert_allclose(out["s.baseline.neg_log10_p"], one["s.baseline.neg_log10_p"], rtol=1e-9, atol=1e-9)
    assert scan.metadata()["studies"]["s"]["arms"]["baseline"]["dropped_covariates"] == ["sum", "constant"]


def test_prediction_within_the_covariates_leaves_the_baseline(data):
    s = study(data)
    s.prediction = s.covariates @ np.arange(1.0, 6.0) + 3
    out = run([s], data[0])
    np.testing.assert_array_equal(out["s.baseline.beta"], out["s.deepnull.beta"])


def test_untestable_variants_have_a_reason(data):
    genotypes = data[0].copy()
    genotypes[1] = 0
    genotypes[2] = -1
    genotypes[3] = 0
    genotypes[3, :3] = 1
    genotypes[4] = np.where(np.arange(N) % 2, 2, 0)
    s = study(data)
    s.covariates = np.column_stack([s.covariates, genotypes[5] == 1, genotypes[5] == 2])
    s.covariate_names = (*s.covariate_names, "h", "k")
    genotypes[5][genotypes[5] < 0] = 0
    out = run([s], genotypes, min_mac=5, hwe_p=1e-12)
    assert list(out["s.baseline.reason"][:6]) == ["", "constant", "no_calls", "low_mac", "hwe", "collinear"]
    assert np.isnan(out["s.baseline.beta"][1:6]).all()
    assert np.isfinite(out["s.baseline.beta"][0])


def test_separation_is_named_and_does_not_stop_the_others(data):
    s = study(data, trait="binary")
    genotypes = data[0].copy()
    genotypes[1] = np.where(s.y == 1, np.where(np.arange(N) % 3, 1, 0), 0)
    out = run([s], genotypes)
    assert out["s.baseline.reason"][1] == "separation"
    assert (out["s.baseline.reason"][[0, 2, 3]] == "").all()


def test_a_failed_null_model_fails_its_study_only(data):
    bad = study(data, "bad", "binary")
    bad.covariates = np.column_stack([bad.covariates, bad.y])
    bad.covariate_names = (*bad.covariate_names, "leak")
    out = run([bad, study(data, "good")], data[0])
    assert (out["bad.baseline.reason"] == "study_failed").all()
    assert np.isfinite(out["good.baseline.beta"]).all()


def test_logistic_null_equals_statsmodels(data):
    _, covariates, _, case, _ = data
    x = np.column_stack([np.ones(N), (covariates - covariates.mean(0)) / covariates.std(0)])
    ours, theirs = fit_logistic(x, case), sm.GLM(case, x, family=sm.families.Binomial()).fit(tol=1e-14)
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-8, atol=1e-9)
    assert ours.log_likelihood == pytest.approx(theirs.llf, rel=1e-10)
    with pytest.raises(StudyFailure, match="no cases"):
        fit_logistic(x, np.zeros(N))


def test_score_test(data):
    s = study(data, trait="binary", arms=("baseline",))
    full = np.where(data[0] < 0, 0, data[0]).astype(np.int8)
    score = run([s], full, refine_below=0.0, exact=True)
    assert (score["s.baseline.method"] == "score").all()
    x0 = np.column_stack([np.ones(N), s.covariates])
    mu = sm.Logit(s.y, x0).fit(disp=0, tol=1e-14, maxiter=100).predict()
    for v in range(0, M, 11):
        g = full[v].astype(float)
        w = mu * (1 - mu)
        u, a = g @ (s.y - mu), x0.T @ (w * g)
        variance = (w * g) @ g - a @ np.linalg.solve((x0 * w[:, None]).T @ x0, a)
        assert score["s.baseline.neg_log10_p"][v] == pytest.approx(
            -np.log10(stats.chi2.sf(u**2 / variance, 1)), rel=1e-6, abs=1e-8
        )


def test_refine_below_leaves_the_score_test_to_the_rest(data):
    s = study(data, trait="binary", arms=("baseline",))
    full = np.where(data[0] < 0, 0, data[0]).astype(np.int8)
    every, some, score = run([s], full), run([s], full, refine_below=0.2), run([s], full, refine_below=0.0, exact=True)
    refined = score["s.baseline.neg_log10_p"] > -np.log10(0.2)
    assert 0 < refined.sum() < len(full)
    assert (some["s.baseline.method"] == np.where(refined, "logistic", "score")).all()
    for column in ("beta", "se", "neg_log10_p"):
        key = f"s.baseline.{column}"
        np.testing.assert_allclose(some[key][refined], every[key][refined], rtol=1e-6)
    key = "s.baseline.neg_log10_p"
    # float32 tiles against float64
    np.testing.assert_allclose(some[key][~refined], score[key][~refined], rtol=1e-4, atol=1e-6)
    # the first step of Newton's method is near the maximum where there is little to find
    distance = np.abs(some["s.baseline.beta"] - every["s.baseline.beta"])[~refined] / every["s.baseline.se"][~refined]
    assert distance.max() < 0.1


def test_basis_is_orthonormal_and_spans(data):
    basis, kept, dropped = orthonormal_basis(data[1], list("abcde"))
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-13)
    np.testing.assert_allclose(basis.sum(0), 0, atol=1e-10)
    assert (kept, dropped) == (list("abcde"), [])


def test_tails():
    t, df = np.array([0.0, 1.0, 5.0, 30.0]), 50
    np.testing.assert_allclose(neg_log10_p_t(t, df), -np.log10(2 * stats.t.sf(t, df)), rtol=1e-12)
    # beyond float64: mpmath's 50 digits of log10 of the regularised incomplete beta function, and the normal limit
    import mpmath

    with mpmath.workdps(60):
        for t, df in ((50.0, 10_000), (45.0, 2000), (400.0, 400), (1e6, 60)):
            x = mpmath.mpf(df) / (df + mpmath.mpf(t) ** 2)
            expected = -mpmath.log10(mpmath.betainc(mpmath.mpf(df) / 2, mpmath.mpf(1) / 2, 0, x, regularized=True))
            assert neg_log10_p_t(np.array([t]), df)[0] == pytest.approx(float(expected), rel=1e-11)
    z = np.array([0.5, 3.0, 60.0])
    np.testing.assert_allclose(neg_log10_p_normal(z), -(np.log(2) + special.log_ndtr(-z)) / np.log(10))


def test_x_uses_sex_and_counts_men_once(data):
    rng = np.random.default_rng(8)
    sex = rng.integers(1, 3, N).astype(np.int8)
    sex[:5] = 0
    genotypes = np.where(sex == 1, 2 * rng.binomial(1, 0.3, (M, N)), rng.binomial(2, 0.3, (M, N))).astype(np.int8)
    genotypes[0, np.flatnonzero(sex == 1)[0]] = 1
    s = study(data, columns=slice(2, 5), arms=("baseline",))
    scan = Scan([s], sex, settings_of(exact=True))
    out = scan.block(PackedBlock(pack(genotypes), N), "X")
    known = sex > 0
    for v in (0, 9):
        g = genotypes[v].astype(float)
        g[(sex == 1) & (g == 1)] = np.nan
        g = g[known]
        men = sex[known] == 1
        here = ~np.isnan(g)
        alleles = np.where(men, g / 2, g)[here].sum() / np.where(men, 1, 2)[here].sum()
        g[~here] = g[here].mean()
        fit = sm.OLS(s.y[known], np.column_stack([np.ones(known.sum()), s.covariates[known], sex[known], g])).fit()
        assert out["s.baseline.beta"][v] == pytest.approx(fit.params[-1], rel=1e-8)
        assert out["s.baseline.se"][v] == pytest.approx(fit.bse[-1], rel=1e-8)
        assert out["s.eaf"][v] == pytest.approx(alleles)
    assert "sex was added" in scan.metadata()["studies"]["s"]["arms"]["baseline"]["notes"][0]
