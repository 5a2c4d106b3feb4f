"""Firth's likelihood, the saddle-point approximation and rare variants against PLINK 2, published results and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from test_association_oracles import in_order, open_cohort, plink_glm

from association_cases import impute
from deepnull_gwas.association.spa import spa
from deepnull_gwas.association.tails import neg_log10_p_normal
from deepnull_gwas.genotypes.fileset import Fileset
from deepnull_gwas.genotypes.kernels import decode_int8
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
    files = Fileset([str(prefix)])
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
        g = impute(decode_int8(files.take(np.array([row["index"]])), n)[0])
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
