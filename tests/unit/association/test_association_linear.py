import numpy as np
import pytest

from association_cases import impute, least_squares, make_cohort, make_genotypes
from deepnull_gwas.association.basis import orthonormal_basis
from deepnull_gwas.association.tails import neg_log10_p_chi2, neg_log10_p_normal, neg_log10_p_t


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """One cohort with missing calls and a mask; phenotype with a non-linear covariate effect."""
    rng = np.random.default_rng(7)
    n, m = 601, 80
    g = make_genotypes(rng, n, m, missing=0.03)
    cohort = make_cohort(tmp_path_factory.mktemp("linear"), g)
    age, sex = rng.normal(50, 10, size=n), rng.integers(0, 2, size=n).astype(float)
    prediction = (age - 50) ** 2 / 100 + rng.normal(size=n) * 0.1
    y = prediction + sex + 0.3 * impute(g[3]) + rng.normal(size=n)
    y[rng.random(n) < 0.1] = np.nan
    return cohort, g, y, {"age": age, "sex": sex}, prediction


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize(
    ("exact", "tolerance"),
    # float32 products of a few hundred people: about n^-1/2 times the rounding of a product, in standard errors
    [(True, 1e-10), (False, 1e-5)],
)
def test_both_arms_equal_least_squares_on_every_variant(case, missing, exact, tolerance):
    cohort, g, y, covariates, prediction = case
    result = cohort.run([cohort.study("s", y, covariates, prediction)], missing_genotypes=missing, exact=exact)
    kept = ~np.isnan(y)
    both = np.column_stack(list(covariates.values()))
    for arm, c in {"baseline": both, "deepnull": np.column_stack([both, prediction])}.items():
        for i in range(len(g)):
            people = kept & (g[i] >= 0) if missing == "drop" else kept
            beta, se, df = least_squares(impute(g[i][people]), y[people], c[people])
            row = result.iloc[i]
            assert abs(row[f"s.{arm}.beta"] - beta) / se < tolerance
            assert row[f"s.{arm}.se"] == pytest.approx(se, rel=tolerance)
            expected = neg_log10_p_t(np.array([beta / se]), df)[0]
            assert row[f"s.{arm}.neg_log10_p"] == pytest.approx(expected, rel=10 * tolerance, abs=10 * tolerance)
            assert row["s.n"] == people.sum()
    assert (result["s.baseline.method"] == "linear").all()
    assert (result["s.baseline.reason"] == "").all()


def test_frequency_is_that_of_the_effect_allele_among_the_analysed_people(case):
    cohort, g, y, covariates, _ = case
    result = cohort.run([cohort.study("s", y, covariates)])
    kept = ~np.isnan(y)
    expected = [row[kept & (row >= 0)].mean() / 2 for row in g]
    np.testing.assert_allclose(result["s.eaf"], expected, rtol=1e-14)


def test_swapped_alleles_flip_the_sign_and_nothing_else(case, tmp_path):
    cohort, g, y, covariates, prediction = case
    swapped = make_cohort(tmp_path, np.where(g < 0, g, 2 - g).astype(np.int8))
    a = cohort.run([cohort.study("s", y, covariates, prediction)])
    b = swapped.run([swapped.study("s", y, covariates, prediction)])
    for arm in ("baseline", "deepnull"):
        # rounding of the float32 products: a genotype near 2 and one near 0 round differently
        assert np.abs((a[f"s.{arm}.beta"] + b[f"s.{arm}.beta"]) / a[f"s.{arm}.se"]).max() < 1e-5
        np.testing.assert_allclose(a[f"s.{arm}.se"], b[f"s.{arm}.se"], rtol=1e-6)
    np.testing.assert_allclose(a["s.eaf"], 1 - b["s.eaf"], rtol=1e-13)


def test_a_planted_effect_has_the_sign_of_the_effect_allele(tmp_path):
    rng = np.random.default_rng(2)
    g = make_genotypes(rng, 400, 2)
    y = 1.0 * g[0] - 1.0 * g[1] + rng.normal(size=400)
    cohort = make_cohort(tmp_path, g)
    result = cohort.run([cohort.study("s", y)])
    assert result["s.baseline.beta"][0] == pytest.approx(1, abs=0.3)
    assert result["s.baseline.beta"][1] == pytest.approx(-1, abs=0.3)


def test_untestable_variants_say_why(tmp_path):
    rng = np.random.default_rng(3)
    n = 300
    g = make_genotypes(rng, n, 6, low=0.3)
    g[0] = 0
    g[1] = 2
    g[2, :] = 0
    g[2, :4] = 1
    g[3] = -1
    g[4] = 1
    covariate = g[5].astype(float)
    cohort = make_cohort(tmp_path, g)
    y = rng.normal(size=n)
    result = cohort.run([cohort.study("s", y, {"copy": covariate}, rng.normal(size=n))], min_mac=5)
    for arm in ("baseline", "deepnull"):
        assert list(result[f"s.{arm}.reason"]) == [
            "constant",
            "constant",
            "low_mac",
            "no_calls",
            "constant",
            "collinear",
        ]
        assert result[[f"s.{arm}.beta", f"s.{arm}.se", f"s.{arm}.neg_log10_p"]].isna().all(axis=None)
        assert (result[f"s.{arm}.method"] == "").all()
    assert list(cohort.run([cohort.study("s", y)], hwe_p=1e-6)["s.baseline.reason"])[4] == "constant"


def test_hardy_weinberg_is_tested_among_the_analysed_people(tmp_path):
    rng = np.random.default_rng(3)
    n = 300
    g = make_genotypes(rng, n, 2, low=0.3)
    g[0] = 1
    g[0, :30] = 0  # nearly all heterozygous
    y = rng.normal(size=n)
    cohort = make_cohort(tmp_path, g)
    assert list(cohort.run([cohort.study("s", y)], hwe_p=1e-6)["s.baseline.reason"]) == ["hwe", ""]
    y[30:290] = np.nan  # too few heterozygotes left to tell
    assert list(cohort.run([cohort.study("s", y)], hwe_p=1e-6)["s.baseline.reason"]) == ["", ""]
    # binary: among the controls only
    status = np.where(g[0] == 1, 1.0, 0.0)
    status[30:60] = 0.0
    status[:5] = 1.0
    assert cohort.run([cohort.study("b", status, trait="binary")], hwe_p=1e-6)["b.baseline.reason"][0] != "hwe"


def test_collinear_covariates_are_dropped_and_named():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 200))
    columns = np.column_stack([a, b, 3 * a - 2 * b + 5, np.full(200, 7.0), b * 1e-9])
    basis, kept, dropped = orthonormal_basis(columns, ["a", "b", "sum", "constant", "tiny"])
    assert kept == ["a", "b"]
    assert dropped == ["sum", "constant", "tiny"]
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-14)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)


def test_dropped_covariates_reach_the_metadata_and_change_nothing(case):
    cohort, _, y, covariates, prediction = case
    double = covariates | {"again": 2 * covariates["age"] - 1}
    a = cohort.run([cohort.study("s", y, covariates, prediction)])
    b = cohort.run([cohort.study("s", y, double, prediction)])
    assert b.attrs["studies"]["s"]["arms"]["baseline"]["dropped_covariates"] == ["again"]
    np.testing.assert_allclose(a["s.deepnull.neg_log10_p"], b["s.deepnull.neg_log10_p"], rtol=1e-6)


def test_a_prediction_within_the_covariates_gives_the_baseline(case):
    cohort, _, y, covariates, _ = case
    linear = 3 * covariates["age"] - covariates["sex"]
    result = cohort.run([cohort.study("s", y, covariates, linear)])
    np.testing.assert_array_equal(result["s.baseline.beta"], result["s.deepnull.beta"])
    np.testing.assert_array_equal(result["s.baseline.neg_log10_p"], result["s.deepnull.neg_log10_p"])
    assert "linear combination" in result.attrs["studies"]["s"]["arms"]["deepnull"]["notes"][0]


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_a_prediction_that_is_nothing_gives_the_baseline(case, trait, missing):
    """The deepnull arm where the models found nothing beyond the covariates: all of it, degrees of freedom too, is the
    baseline's.
    """
    cohort, _, y, covariates, _ = case
    y = y if trait == "quantitative" else np.where(np.isnan(y), np.nan, (y > np.nanmedian(y)).astype(float))
    result = cohort.run([cohort.study("s", y, covariates, np.zeros(len(y)), trait)], missing_genotypes=missing)
    for column in [c for c in result.columns if c.startswith("s.baseline.")]:
        np.testing.assert_array_equal(result[column], result[column.replace("baseline", "deepnull")], err_msg=column)
    assert result["s.deepnull.beta"].notna().sum() > 70


def test_scaling_and_shifting_a_covariate_changes_nothing(case):
    cohort, _, y, covariates, prediction = case
    moved = {"age": covariates["age"] * 1e4 + 1e7, "sex": covariates["sex"] * 1e-5}
    a = cohort.run([cohort.study("s", y, covariates, prediction)], exact=True)
    b = cohort.run([cohort.study("s", y, moved, prediction * 50 - 3)], exact=True)
    for arm in ("baseline", "deepnull"):
        # the shift costs seven digits of the covariate
        assert np.abs((a[f"s.{arm}.beta"] - b[f"s.{arm}.beta"]) / a[f"s.{arm}.se"]).max() < 1e-7


def test_a_phenotype_fitted_to_the_last_digit_has_a_p_below_the_range_of_floats(tmp_path):
    rng = np.random.default_rng(5)
    g = make_genotypes(rng, 2000, 3)
    cohort = make_cohort(tmp_path, g)
    y = g[0] + 0.05 * rng.normal(size=2000)
    beta, se, df = least_squares(g[0].astype(float), y, np.empty((2000, 0)))
    expected = neg_log10_p_t(np.array([beta / se]), df)[0]
    assert expected > 2000
    # the residual variance is a small difference of large sums, in which the rounding of float32 shows
    for exact, tolerance in ((False, 1e-4), (True, 1e-9)):
        row = cohort.run([cohort.study("s", y)], exact=exact).iloc[0]
        assert row["s.baseline.neg_log10_p"] == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("df", [1, 3, 25.0, 335, 4981, 499_900])
def test_tails_of_student_equal_scipy(df):
    import scipy.stats

    t = np.array([0.0, 1e-9, 0.3, 1.0, 5.0, 20.0, 37.0, 38.0, 60.0, 150.0, 1000.0])
    expected = -(scipy.stats.t.logsf(t, df) + np.log(2)) / np.log(10)
    got = neg_log10_p_t(t, df)
    usable = np.isfinite(expected)
    np.testing.assert_allclose(got[usable], expected[usable], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(got, neg_log10_p_t(-t, df))
    assert np.all(np.diff(got) >= 0)
    assert np.isnan(neg_log10_p_t(np.array([np.nan]), df))[0]


def test_tails_of_student_equal_arbitrary_precision():
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 50
    for t, df in ((40.0, 100_000), (60.0, 335), (300.0, 2000), (1e4, 60), (45.0, 1e6)):
        x = mpmath.mpf(df) / (mpmath.mpf(df) + mpmath.mpf(t) ** 2)
        p = mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, x, regularized=True)
        assert neg_log10_p_t(np.array([t]), df)[0] == pytest.approx(float(-mpmath.log10(p)), rel=1e-11)


def test_tails_of_the_normal():
    import scipy.stats

    z = np.array([0.0, 0.5, 5.0, 37.0, 100.0])
    expected = -(scipy.stats.norm.logsf(z) + np.log(2)) / np.log(10)
    np.testing.assert_allclose(neg_log10_p_normal(z), expected, atol=1e-12)
    np.testing.assert_allclose(neg_log10_p_chi2(z**2), expected, atol=1e-12)
