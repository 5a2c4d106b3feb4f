"""Scores trained on the other folds: marginal effects, clumps, sums."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import chdtri

from cohort_files import make_cohort
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.scores.accuracy import choose_threshold
from deepnull_gwas.scores.clumping import Rules, Sample, clump, cross_scores
from deepnull_gwas.scores.moments import Moments, centred, marginal, trainings
from score_cases import K, genotypes, imputed, simulated


def test_marginal_effects_equal_statsmodels(tmp_path):
    n, m = 240, 8
    dosages = genotypes(n, m)
    fileset = open_genotypes(make_cohort(tmp_path, dosages) / "genotypes.json")
    rng = np.random.default_rng(2)
    covariates = np.column_stack([np.ones(n), rng.normal(50, 8, n), rng.integers(0, 2, n)])
    extra = rng.normal(size=(n, K))
    # far from 0, as a height in millimetres
    y = 1700 + 40 * imputed(dosages)[3] + covariates[:, 1] + 20 * extra[:, 0] + rng.normal(0, 60, n)
    fold = np.arange(n) % K
    moments = Moments(covariates, extra, y, fold)
    ((rows, g, _),) = centred(fileset, np.arange(m), np.arange(n)[moments.order])
    assert rows == slice(0, m)
    beta, chi2 = marginal(moments, g)
    full = imputed(dosages)
    for t, training in enumerate(trainings(K)):
        inside = ~np.isin(fold, [training.evaluated, training.scored])
        for arm in (0, 1):
            x = covariates if not arm else np.column_stack([covariates, extra[:, training.evaluated]])
            for v in (0, 3, 7):
                fit = sm.OLS(y[inside], np.column_stack([full[v], x])[inside]).fit()
                # genotypes and sums in single precision
                assert beta[v, arm, t] * moments.unit == pytest.approx(fit.params[0], rel=2e-4, abs=1e-4 * fit.bse[0])
                assert chi2[v, arm, t] == pytest.approx(fit.tvalues[0] ** 2, rel=4e-4, abs=1e-5)


def test_clumps_equal_the_greedy_definition(tmp_path):
    n, m = 300, 60
    dosages = genotypes(n, m)
    position = np.arange(1, m + 1) * 20_000
    fileset = open_genotypes(make_cohort(tmp_path, dosages, position=position) / "genotypes.json")
    rng = np.random.default_rng(3)
    chi2 = rng.chisquare(1, (m, 3)) * 3
    people = np.flatnonzero(rng.random(n) < 0.8)
    found = clump(fileset, np.arange(m), position, chi2, 2.0, people, 50_000, 0.1)
    values = np.where(dosages < 0, np.nan, dosages).astype(float)[:, people]
    r2 = pd.DataFrame(values.T).corr().to_numpy() ** 2  # over the people called in both
    for c in range(3):
        removed, leads = chi2[:, c] < 2.0, []
        for i in np.argsort(-chi2[:, c]):
            if not removed[i]:
                leads.append(i)
                removed |= (np.abs(position - position[i]) <= 50_000) & (r2[i] > 0.1)
        np.testing.assert_array_equal(np.flatnonzero(found[:, c]), sorted(leads))
        assert 0 < len(leads) < m


def scored(folder, dosages, x, extra, y, fold, **changes):
    fileset = open_genotypes(make_cohort(folder, dosages) / "genotypes.json")
    m, n = dosages.shape
    variants = {
        "index": np.arange(m),
        "chromosome": np.full(m, "1", dtype=object),
        "position": np.arange(1, m + 1) * 1000,
    }
    options = {"thresholds": [1e-6, 1e-3], "window_kb": 250, "r2": 0.1} | changes
    threads = options.pop("threads", 1)
    sample = Sample(np.arange(n), np.column_stack([np.ones(n), x]), extra, y, fold)
    return cross_scores(fileset, variants, sample, Rules(**options), threads)


def test_scores_are_the_sums_of_the_leads_of_each_training(tmp_path):
    """Each block of a score by the plain definition: OLS without two folds, clumping, sum over the third."""
    dosages, x, extra, y, fold = simulated()
    found = scored(tmp_path, dosages, x, extra, y, fold)
    g = imputed(dosages)
    fileset = open_genotypes(tmp_path / "genotypes.json")
    for evaluated, target, arm in ((0, 0, 0), (0, 2, 1), (3, 1, 0), (2, 2, 1)):
        inside, here = ~np.isin(fold, [evaluated, target]), fold == target
        design = np.column_stack([np.ones(len(y)), x] + ([extra[:, evaluated]] if arm else []))
        fits = [sm.OLS(y[inside], np.column_stack([v, design])[inside]).fit() for v in g]
        chi2 = np.array([f.tvalues[0] ** 2 for f in fits])
        lead = clump(fileset, np.arange(80), np.arange(1, 81) * 1000, chi2[:, None], 5.0, np.arange(600), 250_000, 0.1)
        for t, p in enumerate([1e-6, 1e-3]):
            take = lead[:, 0] & (chi2 >= chdtri(1, p))
            beta = np.array([f.params[0] for f in fits])[take]
            expected = beta @ (g[take] - g[take].mean(axis=1, keepdims=True))[:, here]
            # single precision
            np.testing.assert_allclose(found.scores[arm, evaluated, t][here], expected, atol=2e-4)
            assert p < 1e-3 or take.sum() >= 1
            if evaluated == target:
                assert found.variants[arm, evaluated, t] == take.sum()


def test_nobodys_phenotype_moves_what_is_said_of_their_fold(tmp_path):
    dosages, x, extra, y, fold = simulated()
    before = scored(tmp_path / "a", dosages, x, extra, y, fold)
    changed = y.copy()
    person = 17
    f = fold[person]
    changed[person] += 50
    after = scored(tmp_path / "b", dosages, x, extra, changed, fold)
    # their own fold's evaluation: not a bit of any score in it, their own or others'
    np.testing.assert_array_equal(after.scores[:, f], before.scores[:, f])
    # the test can fail: elsewhere the person counts
    assert (after.scores[:, (f + 1) % K] != before.scores[:, (f + 1) % K]).any()
    # and nested scores of the person's own fold never hold them
    for other in range(K):
        np.testing.assert_array_equal(after.scores[:, other][:, :, fold == f], before.scores[:, other][:, :, fold == f])


@pytest.mark.parametrize("power", [-150, -60, 60, 150])
def test_the_unit_of_the_phenotype_scales_the_scores(tmp_path, power):
    dosages, x, extra, y, fold = simulated(300)
    unit = 10.0**power
    plain = scored(tmp_path / "a", dosages, x, extra, y, fold)
    other = scored(tmp_path / "b", dosages, x, extra, y * unit, fold)
    assert plain.variants.any()
    assert (plain.variants == other.variants).all()
    np.testing.assert_allclose(other.scores / unit, plain.scores, rtol=1e-4, atol=1e-6)


def test_threads_change_nothing(tmp_path):
    dosages, x, extra, y, fold = simulated(300)
    one = scored(tmp_path / "a", dosages, x, extra, y, fold)
    two = scored(tmp_path / "b", dosages, x, extra, y, fold, threads=2)
    np.testing.assert_array_equal(one.scores, two.scores)


def test_no_variant_below_the_threshold_is_no_score(tmp_path):
    dosages, x, _, _, fold = simulated(300)
    noise = np.random.default_rng(5).normal(size=300)
    found = scored(tmp_path, dosages, x, None, noise, fold, thresholds=[1e-12])
    assert found.scores.shape == (1, K, 1, 300)
    assert not found.scores.any()
    assert not found.variants.any()
    assert choose_threshold(found.scores[0, 0], x, noise) is None
