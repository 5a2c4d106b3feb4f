"""Correlated relatives in the tests: generalised least squares, and the variance of scores, against dense matrices."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from association_cases import make_genotypes, pack, same, settings_of
from deepnull_gwas.association import clusters as module
from deepnull_gwas.association.clusters import find_clusters
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.genotypes.block import PackedBlock
from deepnull_gwas.whole_genome.relatives import RelatedPairs, RelativeCorrelations

N, M = 803, 20
ARMS = ("baseline", "deepnull")
RHO = {"baseline": {"sibling": 0.4, "third_degree": 0.05}, "deepnull": {"sibling": 0.3, "third_degree": -0.1}}


@pytest.fixture(scope="module")
def case():
    """Return genotypes with missing calls, a quantitative and a binary study, and pairs of relatives: trios with one
    pair of distant relatives, and pairs.
    """
    rng = np.random.default_rng(5)
    g = make_genotypes(rng, N, M, missing=0.03)
    g[:3] = np.where(rng.random((3, N)) < 0.01, 1, 0)
    c = rng.normal(size=(N, 2))
    d = np.sin(2 * c[:, 0])
    index = np.flatnonzero(rng.random(N) < 0.9)
    n = len(index)
    order = rng.permutation(n)
    first, second, relation = [], [], []
    for k in range(80):
        a, b, e = order[3 * k : 3 * k + 3]
        first += [a, b]
        second += [b, e]
        relation += ["sibling", "third_degree"]
    for k in range(100):
        first.append(order[240 + 2 * k])
        second.append(order[241 + 2 * k])
        relation.append("sibling")
    first, second = np.minimum(first, second), np.maximum(first, second)
    kinship = np.where(np.array(relation) == "sibling", 0.25, 0.06)
    pairs = RelatedPairs(first, second, np.array(relation, dtype=object), kinship)
    y = c[:, 0] + d + 0.3 * np.maximum(g[7], 0) + rng.normal(size=N)
    status = (rng.random(N) < 1 / (1 + np.exp(1.5 - c[:, 1] - 0.5 * d))).astype(float)
    rho = {arm: {"all": values, "2": {"sibling": 0.2}} for arm, values in RHO.items()}
    known = RelativeCorrelations(pairs, rho)
    studies = {
        trait: StudyInput("s", trait, ARMS, index, values[index], c[index], ("a", "b"), d[index], relatives=known)
        for trait, values in (("quantitative", y), ("binary", status))
    }
    return g, studies


def run(study: StudyInput, g: np.ndarray, kind: str = "autosome", chromosome: str = "1", **settings):
    sex = 1 + (np.arange(g.shape[1]) % 2).astype(np.int8)
    return Scan([study], sex, settings_of(**settings)).block(PackedBlock(pack(g), g.shape[1]), kind, chromosome)


def dense(study: StudyInput, arm: str, chromosome: str = "1", inside=slice(None)) -> np.ndarray:
    """Return R of a study's people as a whole matrix."""
    n = len(study.y)
    r = np.eye(n)
    pairs = study.relatives.pairs
    rho = study.relatives.on(arm, chromosome)
    r[pairs.first, pairs.second] = r[pairs.second, pairs.first] = rho
    return r[inside][:, inside]


def dosage(study: StudyInput, g: np.ndarray) -> np.ndarray:
    x = g[study.sample_index].astype(float)
    x[x < 0] = x[x >= 0].mean()
    return x


def columns(study: StudyInput, arm: str) -> np.ndarray:
    more = [study.deepnull_covariate] if arm == "deepnull" else []
    return np.column_stack([np.ones(len(study.y)), study.covariates, *more])


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_a_quantitative_trait_is_tested_by_generalised_least_squares(case, missing):
    g, studies = case
    s = studies["quantitative"]
    found = run(s, g, missing_genotypes=missing)
    for arm in ARMS:
        for v in range(M):
            fit = sm.GLS(s.y, np.column_stack([dosage(s, g[v]), columns(s, arm)]), sigma=dense(s, arm)).fit()
            assert found[f"s.{arm}.beta"][v] == pytest.approx(fit.params[0], abs=2e-5 * fit.bse[0])
            assert found[f"s.{arm}.se"][v] == pytest.approx(fit.bse[0], rel=1e-5)
            p = -np.log10(2 * stats.t.sf(abs(fit.tvalues[0]), fit.df_resid))
            assert found[f"s.{arm}.neg_log10_p"][v] == pytest.approx(p, rel=1e-4, abs=1e-4)
    assert (found["s.n"] == len(s.y)).all()


def test_offsets_and_a_chromosome_of_its_own(case):
    """With offsets the correlations are those of the chromosome."""
    g, studies = case
    offset = np.random.default_rng(1).normal(size=len(studies["quantitative"].y))
    s = dataclasses.replace(
        studies["quantitative"], offsets={(a, "autosome", k): offset for a in ARMS for k in ("1", "2")}
    )
    for chromosome in ("1", "2"):
        found = run(s, g, chromosome=chromosome)
        x = np.column_stack([dosage(s, g[7]), columns(s, "deepnull")])
        fit = sm.GLS(s.y - offset, x, sigma=dense(s, "deepnull", chromosome)).fit()
        assert found["s.deepnull.beta"][7] == pytest.approx(fit.params[0], abs=2e-5 * fit.bse[0])
        assert found["s.deepnull.se"][7] == pytest.approx(fit.bse[0], rel=1e-5)


def test_men_on_y_are_correlated_with_men_alone(case):
    g, studies = case
    s = studies["quantitative"]
    calls = np.where(g == 1, 2, g)
    found = run(s, calls, "Y", "Y")
    men = s.sample_index % 2 == 0
    x = calls[7][s.sample_index[men]].astype(float)
    x[x < 0] = x[x >= 0].mean()
    x = np.column_stack([x / 2, columns(s, "baseline")[men]])
    fit = sm.GLS(s.y[men], x, sigma=dense(s, "baseline", "Y", men)).fit()
    assert found["s.baseline.beta"][7] == pytest.approx(fit.params[0], abs=2e-5 * fit.bse[0])
    assert found["s.baseline.se"][7] == pytest.approx(fit.bse[0], rel=1e-5)


@pytest.mark.parametrize("method", ["score", "logistic", "firth", "spa"])
def test_scores_of_a_binary_trait_have_the_variance_of_relatives(case, method):
    """Every method's deviate is divided by the root of what relatives multiply the variance of the score with."""
    g, studies = case
    s = studies["binary"]
    settings = {
        "score": {"refine_below": 0.0},
        "logistic": {},
        "firth": {"firth": "always"},
        "spa": {"refine_by": "spa"},
    }[method]
    found = run(s, g, **settings)
    alone = run(dataclasses.replace(s, relatives=None), g, **settings)
    assert (found["s.baseline.method"] == alone["s.baseline.method"]).all()
    for arm in ARMS:
        x = columns(s, arm)
        mu = sm.GLM(s.y, x, family=sm.families.Binomial()).fit().fittedvalues
        w = mu * (1 - mu)
        tested = np.flatnonzero(found[f"s.{arm}.reason"] == "")
        assert len(tested) >= M - 3
        for v in tested:
            z = dosage(s, g[v])
            left = z - x @ np.linalg.solve((x.T * w) @ x, (x.T * w) @ z)
            scaled = np.sqrt(w) * left
            ratio = scaled @ dense(s, arm) @ scaled / (scaled @ scaled)
            assert found[f"s.{arm}.beta"][v] == alone[f"s.{arm}.beta"][v]
            assert found[f"s.{arm}.se"][v] == pytest.approx(alone[f"s.{arm}.se"][v] * np.sqrt(ratio), rel=1e-5)
            deviates = [stats.norm.isf(10.0 ** -r[f"s.{arm}.neg_log10_p"][v] / 2) for r in (found, alone)]
            assert deviates[0] * np.sqrt(ratio) == pytest.approx(deviates[1], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
def test_relatives_that_are_not_correlated_change_nothing(case, trait):
    g, studies = case
    s = studies[trait]
    nothing = RelativeCorrelations(s.relatives.pairs, {"baseline": {"all": {"sibling": 0.0}}})
    found, alone = (run(dataclasses.replace(s, relatives=r), g, missing_genotypes="drop") for r in (nothing, None))
    same(found, alone, [s])


def test_what_a_study_gets_does_not_depend_on_the_others(case):
    g, studies = case
    sex = 1 + (np.arange(N) % 2).astype(np.int8)
    names = [dataclasses.replace(s, name=t) for t, s in studies.items()]
    names += [dataclasses.replace(s, name=f"{t}_alone", relatives=None) for t, s in studies.items()]
    together = Scan(names, sex, settings_of()).block(PackedBlock(pack(g), N), "autosome")
    for s in names:
        same(together, Scan([s], sex, settings_of()).block(PackedBlock(pack(g), N), "autosome"), [s])


def test_a_matrix_that_no_people_can_have_is_made_one_that_they_can():
    """Three people, each correlated .9 with the next, who is not with the third."""
    clusters = find_clusters(5, np.array([0, 1]), np.array([1, 2]), np.array([0.9, 0.9]))
    matrix = clusters.groups[0].matrix[0]
    assert np.linalg.eigvalsh(matrix)[0] == pytest.approx(module.LEAST_EIGENVALUE)
    assert matrix[0, 1] == matrix[1, 2] > 0.6
    assert matrix[0, 2] == 0.0


def test_a_large_cluster_is_cut_where_relatives_are_the_least_correlated(monkeypatch):
    """A chain of close pairs, joined by distant ones."""
    monkeypatch.setattr(module, "LARGEST", 3)
    first, second = np.arange(7), np.arange(1, 8)
    rho = np.where(first % 2 == 0, 0.5, 0.1)
    clusters = find_clusters(8, first, second, rho)
    assert clusters.cut == 3
    assert clusters.groups[0].members.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_columns_are_whitened_and_taken_back():
    rng = np.random.default_rng(2)
    clusters = find_clusters(6, np.array([0, 0, 3]), np.array([2, 4, 5]), np.array([0.5, 0.2, -0.3]))
    x = rng.normal(size=(6, 2))
    r = clusters.correlate(np.eye(6))
    np.testing.assert_allclose(clusters.back(clusters.whiten(x)), np.linalg.solve(r, x), atol=1e-12)
