"""Firth's likelihood, the saddle-point approximation and rare variants against PLINK 2, published results and
statsmodels.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from test_association_oracles import in_order, open_cohort, plink_glm

from association_cases import impute, make_cohort
from cohort_files import decode_int8
from deepnull_gwas.association.spa import spa
from deepnull_gwas.association.tails import neg_log10_p_normal
from deepnull_gwas.genotypes.bed import BedGenotypes
from deepnull_gwas.tables import write_parquet


@pytest.mark.realdata
@pytest.mark.parametrize("exact", [False, True])
def test_epacts_firth_to_the_printed_digits(real_data, tmp_path, exact):
    folder = real_data("epacts")
    cohort = open_cohort(tmp_path, folder / "epacts")
    table = in_order(
        pd.read_csv(folder / "epacts.pheno.txt", sep="\t").merge(pd.read_csv(folder / "epacts.cov.txt", sep="\t")),
        cohort,
    )
    study = [cohort.study("s", table["CASE"] - 1, {c: table[c] for c in ("FEMALE", "PC1", "PC2")}, trait="binary")]
    expected = pd.read_csv(folder / "expected.tsv", sep="\t").set_index("ID")
    result = cohort.run(study, firth="always", exact=exact).set_index("id").reindex(expected.index)
    assert (result["s.baseline.method"] == "firth").all()
    np.testing.assert_allclose(result["s.baseline.beta"], expected["firth_beta"], rtol=5e-5)  # five significant digits
    np.testing.assert_allclose(10 ** -result["s.baseline.neg_log10_p"], expected["firth_lrt_p"], rtol=5e-5)
    # the approximate form leaves the covariates where they were: near, not equal
    near = cohort.run(study, firth="always", firth_form="approximate").set_index("id").reindex(expected.index)
    assert (near["s.baseline.method"] == "firth_approximate").all()
    assert (np.abs(near["s.baseline.beta"] - result["s.baseline.beta"]) / result["s.baseline.se"]).max() < 0.05


@pytest.mark.realdata
@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("name", ["kg1126", "sampleA"])
def test_firth_equals_plink_and_gives_an_estimate_where_plink_has_none(real_data, tmp_path, name):
    prefix = real_data(name) / name
    cohort = open_cohort(tmp_path, prefix)
    if name == "kg1126":
        table = pd.read_csv(real_data(name) / "kg1126.pheno.tsv", sep="\t").rename(columns={"status": "y"})
        table["y"] += 1
    else:
        table = pd.read_csv(real_data(name) / "sample.phe", sep=r"\s+").rename(columns={"PHE": "y"})
        table["y"] = table["y"].where(table["y"] > 0)
    table = in_order(table, cohort)
    table["age"] = np.random.default_rng(2).normal(size=len(table))
    study = [cohort.study("y", table["y"] - 1, {"age": table["age"]}, trait="binary")]
    cohort.variants["chunk"] = (~cohort.variants["chromosome"].isin(["21", "22"])).astype(np.int32)
    write_parquet(cohort.variants, cohort.folder / "variants.parquet")
    mine = cohort.run(study, missing_genotypes="drop", firth="always", min_mac=1)
    plink = plink_glm(tmp_path, prefix, table, ["y"], ["age"], "--chr", "21,22", modifiers=("firth",))["y"]
    both = mine.set_index("id").join(plink, how="inner", rsuffix="_plink")
    done = both[both["OR"].notna()]
    assert len(done) > 90
    # plink2 stops at a score of 1e-4 or so: up to 2e-3 standard errors from the maximum
    assert (np.abs(done["y.baseline.beta"] - np.log(done["OR"])) / done["LOG(OR)_SE"]).max() < 2e-3
    np.testing.assert_allclose(done["y.baseline.se"], done["LOG(OR)_SE"], rtol=2e-3)
    # every variant that varies among the people has an estimate
    varies = mine[~mine["y.baseline.reason"].isin(["constant", "no_calls"])]
    assert (varies["y.baseline.method"] == "firth").all()
    assert np.isfinite(varies["y.baseline.beta"]).all()
    assert len(varies) >= len(done)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["kg1126", "sampleA"])
def test_default_precision_equals_statsmodels_on_rare_and_common_variants(real_data, tmp_path, name):
    prefix = real_data(name) / name
    cohort = open_cohort(tmp_path, prefix)
    files = BedGenotypes([str(prefix)])
    n = files.n_samples
    rng = np.random.default_rng(6)
    age, pc = rng.normal(size=n), rng.normal(size=n)
    status = (rng.random(n) < 1 / (1 + np.exp(1 - age))).astype(float)
    cohort.variants["chunk"] = (~cohort.variants["chromosome"].isin(["1", "2"])).astype(np.int32)
    write_parquet(cohort.variants, cohort.folder / "variants.parquet")
    study = [cohort.study("b", status, {"age": age, "pc": pc}, trait="binary")]
    mine = cohort.run(study, firth="fallback", firth_mac=0)
    exact = cohort.run(study, firth="fallback", firth_mac=0, exact=True)
    mac = np.minimum(mine["b.eaf"], 1 - mine["b.eaf"]) * 2 * n
    rare = np.flatnonzero((mac >= 5) & (mac <= 20) & (mine["b.baseline.reason"] == ""))
    common = np.flatnonzero((mac > 20) & (mine["b.baseline.reason"] == ""))
    compared = 0
    for i in [*rng.choice(rare, min(len(rare), 15), replace=False), *rng.choice(common, 15, replace=False)]:
        row = mine.iloc[i]
        if row["b.baseline.method"] != "logistic":
            assert row["b.baseline.method"] == "firth"
            continue
        g = impute(decode_int8(files.calls(np.array([row["index"]])), n)[0])
        fit = sm.Logit(status, np.column_stack([np.ones(n), age, pc, g])).fit(disp=0, method="newton", tol=1e-13)
        assert abs(exact["b.baseline.beta"][i] - fit.params[-1]) / fit.bse[-1] < 1e-6
        assert exact["b.baseline.se"][i] == pytest.approx(fit.bse[-1], rel=1e-6)
        # float32 tiles, and a last step of up to 1e-4 standard errors: 3e-6 seen
        assert abs(row["b.baseline.beta"] - fit.params[-1]) / fit.bse[-1] < 2e-5
        assert row["b.baseline.se"] == pytest.approx(fit.bse[-1], rel=2e-5)
        compared += 1
    # sampleA has hardly any rare variants
    assert compared >= 15


def test_saddle_point_equals_its_textbook_form():
    """Lugannani and Rice's tail in Barndorff-Nielsen's form, with scipy's root finder."""
    rng = np.random.default_rng(4)
    n = 3000
    mu = 1 / (1 + np.exp(4 - 0.5 * rng.normal(size=n)))
    w = mu * (1 - mu)
    for frequency in (0.02, 0.1):
        g = rng.binomial(2, frequency, size=n).astype(float)
        g -= (w @ g) / w.sum()
        variance = w @ g**2
        for z in (-3.0, 2.5, 4.0):
            s = z * np.sqrt(variance)

            def k(t, order=0, g=g):
                e = mu * np.exp(g * t)
                q = e / (1 - mu + e)
                return (np.log(1 - mu + e).sum() - t * (g @ mu), g @ (q - mu), (g**2 * q * (1 - q)).sum())[order]

            total = 0.0
            for side in (s, -s):
                root = optimize.brentq(lambda t, side=side: k(t, 1) - side, -200, 200, xtol=1e-14)
                a = np.sign(root) * np.sqrt(2 * (root * side - k(root)))
                b = root * np.sqrt(k(root, 2))
                total += stats.norm.sf(abs(a + np.log(b / a) / a))
            p, used = spa(s, variance, g, mu)
            assert used
            assert p == pytest.approx(-np.log10(total), rel=1e-7)


def test_saddle_point_is_calibrated_where_the_normal_is_not():
    """A rare variant and 2 % cases, against draws of the trait from the null model."""
    rng = np.random.default_rng(9)
    n, draws = 1500, 20_000
    mu = np.full(n, 0.02)
    g = (rng.random(n) < 0.02).astype(float)
    g -= g.mean()
    variance = mu[0] * (1 - mu[0]) * (g @ g)
    y = rng.random((draws, n), dtype=np.float32) < np.float32(0.02)
    scores = (y - mu.astype(np.float32)) @ g.astype(np.float32)
    values, counts = np.unique(scores.round(4), return_counts=True)
    # an observed score whose p lies between 1e-3 and 1e-2 by simulation
    tail = np.array([counts[np.abs(values) >= abs(v) - 1e-6].sum() / draws for v in values])
    v = values[np.argmin(np.abs(np.log(tail / 4e-3)))]
    truth = counts[np.abs(values) >= abs(v) - 1e-6].sum() / draws
    p, used = spa(float(v), variance, g, mu)
    normal = float(neg_log10_p_normal(np.array([v / np.sqrt(variance)]))[0])
    assert used
    # the score is discrete, a saddle point is not: within a factor 2, where the normal is off by more than 2
    assert abs(p + np.log10(truth)) < np.log10(2)
    assert normal + np.log10(truth) > np.log10(2)


def penalised_null(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Firth's penalised likelihood of the covariates alone, by scipy from its definition: the logarithm plus log|X'WX|
    / 2.
    """
    q, r = np.linalg.qr(x)

    def minus(b):
        eta = q @ b
        w = np.exp(-np.logaddexp(0, eta) - np.logaddexp(0, -eta))
        return -(y @ eta - np.logaddexp(0, eta).sum() + np.linalg.slogdet((q.T * w) @ q)[1] / 2)

    start = q.T @ np.full(len(y), np.log(y.mean() / (1 - y.mean())))
    b = optimize.minimize(minus, start, method="BFGS", options={"gtol": 1e-9}).x
    for _ in range(20):
        # the last digits: Newton's method on Firth's score
        mu = 1 / (1 + np.exp(-(q @ b)))
        half = np.linalg.qr(np.sqrt(mu * (1 - mu))[:, None] * q)[0]
        step = np.linalg.solve((q.T * (mu * (1 - mu))) @ q, q.T @ (y - mu + (half**2).sum(axis=1) * (0.5 - mu)))
        b = b + step
    assert np.abs(step).max() < 1e-10
    return np.linalg.solve(r, b)


def regenie_firth(x: np.ndarray, y: np.ndarray, g: np.ndarray) -> tuple[float, float, float]:
    """Do as regenie's --firth --approx (Step2_Models.cpp of its sources): beta, the information's se, -log10 p.

    The offset is that of the covariates' penalised model (fit_approx_firth_null); the genotype has the covariates taken
    out under the
    weights of the model without penalty (compute_score_bt); the null of the test is beta = 0 with the penalty of the
    genotype alone.
    """
    offset = x @ penalised_null(x, y)
    mu = sm.Logit(y, x).fit(disp=0, method="newton", tol=1e-14).predict()
    w = mu * (1 - mu)
    g = g - x @ np.linalg.solve((x.T * w) @ x, x.T @ (w * g))

    def information(b):
        m = 1 / (1 + np.exp(-(offset + b * g)))
        return (g * g) @ (m * (1 - m))

    def value(b):
        eta = offset + b * g
        return y @ eta - np.logaddexp(0, eta).sum() + np.log(information(b)) / 2

    def slope(b):
        m = 1 / (1 + np.exp(-(offset + b * g)))
        return g @ (y - m) + g**3 @ (m * (1 - m) * (0.5 - m)) / information(b)

    b = optimize.brentq(slope, -15, 15, xtol=1e-13)
    return b, information(b) ** -0.5, -stats.chi2.logsf(2 * (value(b) - value(0.0)), 1) / np.log(10)


@pytest.mark.parametrize(("n", "cases", "exact"), [(494, 120, False), (494, 120, True), (6000, 60, False)])
def test_approximate_firth_is_that_of_regenie(tmp_path, n, cases, exact):
    """Few cases and many covariates, where the penalised and the plain null model differ; the larger cohort is done
    from carriers.
    """
    rng = np.random.default_rng(11)
    c = rng.normal(size=(n, 8))
    risk = 0.8 * c[:, 0] - 0.5 * c[:, 1] + rng.logistic(size=n)
    y = (risk >= np.sort(risk)[-cases]).astype(float)
    g = (rng.random((20, n)) < 8 / n).astype(np.int8)
    g[np.arange(20), rng.choice(np.flatnonzero(y), 20)] = 1
    cohort = make_cohort(tmp_path, g)
    study = [cohort.study("s", y, {f"c{j}": c[:, j] for j in range(8)}, trait="binary")]
    found = cohort.run(study, firth="always", firth_form="approximate", exact=exact)
    full = cohort.run(study, firth="always", firth_form="full", exact=exact)
    assert (found["s.baseline.method"] == "firth_approximate").all()
    x = np.column_stack([np.ones(n), c])
    for v in range(0, 20, 1 if n < 2048 else 4):
        row = found.iloc[v]
        beta, se, p = regenie_firth(x, y, impute(g[v]))
        # from carriers the bound is 2e-5; over everybody, converged to 1e-9
        near = 2e-6 if n > 2048 else 1e-8
        assert row["s.baseline.beta"] == pytest.approx(beta, abs=near * se)
        assert row["s.baseline.se"] == pytest.approx(se, rel=near)
        assert row["s.baseline.neg_log10_p"] == pytest.approx(p, abs=near)
        # against the full form: what fixing the covariates costs
        assert abs(beta - full["s.baseline.beta"][v]) / full["s.baseline.se"][v] < 0.1
