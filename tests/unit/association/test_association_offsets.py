"""Offsets: what is added to a study's linear predictor on a chromosome, through every test, against statsmodels and a
second implementation.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from association_cases import make_cohort, make_genotypes, pack, settings_of
from deepnull_gwas.association import chunk as module
from deepnull_gwas.association.firth import firth, firth_null
from deepnull_gwas.association.inputs import StudyInput, read_study
from deepnull_gwas.association.null_logistic import fit_logistic
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.genotypes.block import PackedBlock
from deepnull_gwas.tables import read_parquet, write_json
from deepnull_gwas.verify.files import read_study_files
from deepnull_gwas.whole_genome.offsets import write_offsets

N, M = 1201, 24
ARMS = ("baseline", "deepnull")
HERE = ("autosome", "1")


@pytest.fixture(scope="module")
def case():
    """Return genotypes with missing calls, a quantitative and a binary study of some of the people, and an offset per
    arm.
    """
    rng = np.random.default_rng(12)
    g = make_genotypes(rng, N, M, missing=0.03)
    g[:6] = np.where(rng.random((6, N)) < 0.01, 1, 0)
    c = rng.normal(size=(N, 3))
    polygenic = rng.normal(size=N)
    d = np.sin(2 * c[:, 0]) + 0.1 * rng.normal(size=N)
    y = c[:, 0] + d + polygenic + 0.2 * np.maximum(g[7], 0) + rng.normal(size=N)
    status = (rng.random(N) < 1 / (1 + np.exp(2.5 - c[:, 1] - 0.5 * d - polygenic))).astype(float)
    index = np.flatnonzero(rng.random(N) < 0.9)
    offset = dict(
        zip(ARMS, (polygenic[index], 0.8 * polygenic[index] + 0.1 * rng.normal(size=len(index))), strict=True)
    )
    studies = {
        trait: StudyInput("s", trait, ARMS, index, values[index], c[index], ("a", "b", "c"), d[index])
        for trait, values in (("quantitative", y), ("binary", status))
    }
    return g, studies, offset


def with_offset(study: StudyInput, offset: dict[str, np.ndarray], *places: tuple[str, str]) -> StudyInput:
    """Return a study with the same offsets on some places."""
    return dataclasses.replace(study, offsets={(arm, *p): v for p in places or (HERE,) for arm, v in offset.items()})


def run(study: StudyInput, g: np.ndarray, chromosome: str = "1", **settings) -> dict[str, np.ndarray]:
    sex = 1 + (np.arange(g.shape[1]) % 2).astype(np.int8)
    return Scan([study], sex, settings_of(**settings)).block(PackedBlock(pack(g), g.shape[1]), "autosome", chromosome)


def dosages(study: StudyInput, g: np.ndarray, drop: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a variant's dosages among the people whose test it is, and who of the study they are."""
    x = g[study.sample_index].astype(float)
    here = x >= 0
    x[~here] = x[here].mean()
    keep = here if drop else np.ones(len(x), dtype=bool)
    return x[keep], keep


def columns(study: StudyInput, arm: str) -> np.ndarray:
    """Return intercept, covariates and, in the deepnull arm, the prediction."""
    more = [study.deepnull_covariate] if arm == "deepnull" else []
    return np.column_stack([np.ones(len(study.y)), study.covariates, *more])


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_a_quantitative_trait_is_tested_less_its_offset(case, missing):
    g, studies, offset = case
    s = studies["quantitative"]
    found = run(with_offset(s, offset), g, missing_genotypes=missing)
    for arm in ARMS:
        # the same bytes as of a phenotype from which it was subtracted beforehand
        less = run(dataclasses.replace(s, y=s.y - offset[arm]), g, missing_genotypes=missing)
        for column in ("beta", "se", "neg_log10_p", "reason", "method"):
            np.testing.assert_array_equal(found[f"s.{arm}.{column}"], less[f"s.{arm}.{column}"])
        for v in (0, 7, 20):
            x, keep = dosages(s, g[v], missing == "drop")
            fit = sm.OLS((s.y - offset[arm])[keep], np.column_stack([columns(s, arm)[keep], x])).fit()
            assert abs(found[f"s.{arm}.beta"][v] - fit.params[-1]) / fit.bse[-1] < 1e-5
            assert found[f"s.{arm}.se"][v] == pytest.approx(fit.bse[-1], rel=1e-5)


def test_an_offset_that_the_covariates_make_up_changes_nothing(case):
    g, studies, _ = case
    for s in studies.values():
        linear = s.covariates @ np.array([0.3, -0.2, 0.5]) + 0.7
        plain = run(s, g, exact=True)
        found = run(with_offset(s, dict.fromkeys(ARMS, linear)), g, exact=True)
        for arm in ARMS:
            se = plain[f"s.{arm}.se"]
            assert np.nanmax(np.abs(found[f"s.{arm}.beta"] - plain[f"s.{arm}.beta"]) / se) < 1e-6
            np.testing.assert_allclose(found[f"s.{arm}.se"], se, rtol=1e-6)


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_a_binary_trait_equals_statsmodels(case, missing):
    g, studies, offset = case
    s = studies["binary"]
    given = with_offset(s, offset)
    wald = run(given, g, missing_genotypes=missing, exact=True)
    single = run(given, g, missing_genotypes=missing)
    score = run(given, g, missing_genotypes=missing, exact=True, refine_below=0.0)
    family = sm.families.Binomial()
    for arm in ARMS:
        x0 = columns(s, arm)
        null = sm.GLM(s.y, x0, family=family, offset=offset[arm]).fit(tol=1e-14)
        for v in range(6, M, 4):
            x, keep = dosages(s, g[v], missing == "drop")
            fit = sm.GLM(s.y[keep], np.column_stack([x0[keep], x]), family=family, offset=offset[arm][keep]).fit(
                tol=1e-14
            )
            beta, se = fit.params[-1], fit.bse[-1]
            assert abs(wald[f"s.{arm}.beta"][v] - beta) / se < 1e-6
            assert wald[f"s.{arm}.se"][v] == pytest.approx(se, rel=1e-6)
            assert abs(single[f"s.{arm}.beta"][v] - beta) / se < 1e-5
            if missing == "impute_mean":
                mu = null.mu
                w = mu * (1 - mu)
                left = x - x0 @ np.linalg.solve((x0 * w[:, None]).T @ x0, (x0 * w[:, None]).T @ x)
                chi2 = (left @ (s.y - mu)) ** 2 / ((w * left) @ left)
                expected = -np.log10(stats.chi2.sf(chi2, 1))
                assert score[f"s.{arm}.method"][v] == "score"
                assert score[f"s.{arm}.neg_log10_p"][v] == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_the_logistic_null_model_equals_statsmodels(case):
    _, studies, offset = case
    s, x = studies["binary"], columns(studies["binary"], "deepnull")
    fit = fit_logistic(x, s.y, offset["deepnull"])
    expected = sm.GLM(s.y, x, family=sm.families.Binomial(), offset=offset["deepnull"]).fit(tol=1e-14)
    np.testing.assert_allclose(fit.coefficients, expected.params, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(fit.mu, expected.mu, rtol=1e-8)
    assert fit.log_likelihood == pytest.approx(expected.llf, rel=1e-12)


@pytest.mark.parametrize("mean", [-30.0, 0.0, 8.0, 30.0])
@pytest.mark.parametrize("sd", [0.3, 6.0])
def test_the_null_model_of_a_rare_trait_converges_wherever_the_offset_lies(mean, sd):
    rng = np.random.default_rng(5)
    n, cases = 4000, 40
    c = rng.normal(size=(n, 2))
    x = np.column_stack([np.ones(n), c])
    offset = mean + sd * rng.normal(size=n)
    liability = offset + c[:, 0] + rng.logistic(size=n)
    y = (liability >= np.sort(liability)[-cases]).astype(float)
    fit = fit_logistic(x, y, offset)
    assert np.abs(x.T @ (y - fit.mu)).max() < 1e-6
    # the same model with an intercept that takes the offset's mean
    centred = fit_logistic(x, y, offset - mean)
    np.testing.assert_allclose(fit.coefficients + np.array([mean, 0.0, 0.0]), centred.coefficients, atol=1e-7)
    assert firth_null(x, y, fit.coefficients, offset)[1]


def penalised(x: np.ndarray, y: np.ndarray, offset: np.ndarray, free: int) -> tuple[np.ndarray, float]:
    """Maximise Firth's likelihood over the first columns by scoring with halved steps:
    coefficients, and the maximum.
    """

    def value(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        eta = x @ b + offset
        mu = 1 / (1 + np.exp(-eta))
        w = mu * (1 - mu)
        information = (x * w[:, None]).T @ x
        leverage = np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x) * w
        score = x.T @ (y - mu + leverage * (0.5 - mu))
        return y @ eta - np.logaddexp(0, eta).sum() + 0.5 * np.linalg.slogdet(information)[1], score, information

    b = np.zeros(x.shape[1])
    now, score, information = value(b)
    for _ in range(300):
        step = np.zeros(len(b))
        step[:free] = np.linalg.solve(information[:free, :free], score[:free])
        if np.abs(step).max() < 1e-12:
            break
        while value(b + step)[0] < now - 1e-12 * abs(now):
            step /= 2
        b = b + step
        now, score, information = value(b)
    return b, now


def test_firth_equals_the_reference(case):
    g, studies, offset = case
    s = studies["binary"]
    found = run(with_offset(s, offset), g, firth="always")
    for arm in ARMS:
        # columns of about unit length, as the reference likes them
        x0 = columns(s, arm)
        coefficients, converged = firth_null(x0, s.y, np.zeros(x0.shape[1]), offset[arm])
        expected, _ = penalised(x0, s.y, offset[arm], x0.shape[1])
        assert converged
        np.testing.assert_allclose(coefficients, expected, atol=1e-7)
        for v in (0, 3, 5, 9):
            x = np.column_stack([x0, dosages(s, g[v], False)[0]])
            full, high = penalised(x, s.y, offset[arm], x.shape[1])
            _, low = penalised(x, s.y, offset[arm], x.shape[1] - 1)
            assert found[f"s.{arm}.method"][v] == "firth"
            se = found[f"s.{arm}.se"][v]
            assert abs(found[f"s.{arm}.beta"][v] - full[-1]) / se < 1e-5
            expected = -np.log10(stats.chi2.sf(2 * (high - low), 1))
            assert found[f"s.{arm}.neg_log10_p"][v] == pytest.approx(expected, rel=1e-5, abs=1e-5)
            own = firth(x0, s.y, x[:, -1] - x[:, -1].mean(), coefficients, offset[arm])
            assert own.beta == pytest.approx(full[-1], abs=1e-6)


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("settings", [{}, {"refine_by": "spa"}, {"firth": "always"}])
def test_an_offset_of_zeros_is_no_offset(case, trait, missing, settings):
    g, studies, offset = case
    s = studies[trait]
    plain = run(s, g, missing_genotypes=missing, **settings)
    zeros = run(with_offset(s, {arm: np.zeros(len(s.y)) for arm in ARMS}), g, missing_genotypes=missing, **settings)
    for key, values in plain.items():
        np.testing.assert_array_equal(values, zeros[key], err_msg=key)
    # offsets of another chromosome are none here
    other = run(with_offset(s, offset), g, "2", missing_genotypes=missing, **settings)
    for key, values in plain.items():
        np.testing.assert_array_equal(values, other[key], err_msg=key)


def test_few_chromosomes_are_held_at_a_time(monkeypatch):
    """Where each has null models of its own; other scans hold as many blocks as ever."""
    jobs = [module.Job(("autosome", where), np.arange(2)) for where in "111112233455555"]
    monkeypatch.setattr(module, "BLOCKS_HELD", 4)
    assert list(module.segments(jobs, 2)) == [(0, 4), (4, 7), (7, 10), (10, 14), (14, 15)]
    assert list(module.segments(jobs, len(jobs))) == [(0, 4), (4, 8), (8, 12), (12, 15)]
    assert list(module.segments([], 2)) == []


def write_genome(
    study: tuple, offsets: dict[tuple[str, str, str], np.ndarray], people: slice = slice(None), **states: dict
) -> tuple:
    """Write the offsets of a study (X: those of the whole genome) and genome.json; return its files with these.

    Parameters
    ----------
    study
        Its other files.
    offsets
        By arm, class and chromosome, one per analysed person.
    people
        Of whom the file is.
    states
        Arm -> what departs from an offset that is used.
    """
    folder = study[0].parent / "genome"
    by_arm: dict = {arm: {} for arm in ARMS}
    for (arm, name, chromosome), values in offsets.items():
        by_arm[arm][chromosome if name == "autosome" else "all"] = values[people]
    usual = {"status": "ok", "method": "linear", "reason": "", "used": True, "relatives": None}
    arms = {arm: usual | states.get(arm, {}) for arm in ARMS}
    kept = {arm: values for arm, values in by_arm.items() if arms[arm]["used"]}
    sample_index = read_parquet(study[1])["sample_index"].to_numpy()[people]
    autosomes = tuple(dict.fromkeys(where for _, name, where in offsets if name == "autosome"))
    write_offsets(folder / "offsets.parquet", sample_index, kept, autosomes)
    write_json({"format": 1, "arms": arms}, folder / "genome.json")
    return *study, folder / "offsets.parquet", folder / "relatives.tsv"


def test_offsets_as_the_regression_left_them(tmp_path):
    """Both implementations read the same from the file; what failed, is not used or is of other people stays so."""
    rng = np.random.default_rng(4)
    n = 60
    cohort = make_cohort(tmp_path, make_genotypes(rng, n, 3), np.ones(n), ["1", "2", "X"])
    study = cohort.study("q", rng.normal(size=n), {"c": rng.normal(size=n)}, rng.normal(size=n))
    places = (("autosome", "1"), ("autosome", "2"), ("X", "X"))
    offsets = {(arm, *place): rng.normal(size=n) for arm in ARMS for place in places}

    def read(*arguments, **states):
        files = write_genome(study, *arguments, **states)
        first, second = read_study(*files), read_study_files(*files)
        assert set(first.failures) == set(second.failed)
        return first, second

    def found(place):
        here = [one.offsets_on(*place) for one in both]
        assert list(here[0]) == list(here[1])
        for arm, values in here[0].items():
            np.testing.assert_array_equal(values, here[1][arm])
        return here[0]

    both = read(offsets)
    for place in places:
        assert {arm: values.tolist() for arm, values in found(place).items()} == {
            arm: offsets[arm, *place].tolist() for arm in ARMS
        }
    # nothing of chromosome 3 took part, and the pseudo-autosomal part of X lies on X
    for place in (("autosome", "3"), ("autosome", "X"), ("Y", "Y"), ("MT", "MT")):
        assert found(place)["deepnull"].tolist() == offsets["deepnull", "X", "X"].tolist()
    # of an arm nothing else is known than what chromosome 1 itself predicts
    both = read({key: values for key, values in offsets.items() if key != ("deepnull", *places[0])})
    assert list(found(places[0])) == ["baseline"] and list(found(places[1])) == list(ARMS)
    both = read(offsets, baseline={"used": False, "reason": "R2 .001"})
    assert list(found(places[0])) == ["deepnull"] and not both[0].failures
    both = read(offsets, deepnull={"status": "failed", "used": False, "reason": "no cases in any fold"})
    assert list(found(places[0])) == ["baseline"]
    assert both[0].failures["deepnull"].stage == "stack_blocks"
    assert both[0].failures["deepnull"].reason == "no cases in any fold"
    both = read(offsets, slice(1, None))
    assert "is of 59 people, who are not the 60 people analysed" in both[0].failures["baseline"].reason
    assert not found(places[0]) and set(both[0].failures) == set(ARMS)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"missing_genotypes": "drop"},
        {"firth": "always"},
        {"firth": "always", "missing_genotypes": "drop"},
        {"firth": "always", "firth_form": "approximate"},
        {"refine_by": "spa"},
    ],
)
def test_each_chromosome_of_a_chunk_has_its_own_offset(tmp_path, monkeypatch, settings):
    """Through the job, its check by the second implementation included; rare variants from their carriers, too."""
    rng = np.random.default_rng(3)
    n, chromosome = 2500, ["1"] * 10 + ["2"] * 10 + ["X"] * 10
    g = make_genotypes(rng, n, len(chromosome), missing=0.01)
    g[::5] = np.where(rng.random((6, n)) < 0.008, 1, 0)
    sex = 1 + (np.arange(n) % 2)
    g[np.ix_(np.arange(20, 30), sex == 1)] = np.where(g[np.ix_(np.arange(20, 30), sex == 1)] == 1, 2, g[20:, sex == 1])
    cohort = make_cohort(tmp_path, g, sex, chromosome)
    c, polygenic = rng.normal(size=n), rng.normal(size=n)
    d = np.sin(2 * c) + 0.1 * rng.normal(size=n)
    status = (rng.random(n) < 1 / (1 + np.exp(3 - c - d - polygenic))).astype(float)
    studies = [
        cohort.study("q", c + d + polygenic + rng.normal(size=n), {"c": c}, d),
        cohort.study("b", status, {"c": c}, d, "binary"),
    ]
    offsets = {
        (arm, name, where): scale * polygenic + 0.1 * rng.normal(size=n)
        for scale, (name, where) in zip(
            (0.5, 0.8, 0.2), (("autosome", "1"), ("autosome", "2"), ("X", "X")), strict=True
        )
        for arm in ARMS
    }
    files = [write_genome(study, offsets) for study in studies]
    read_study = module.read_study
    monkeypatch.setattr(module, "BLOCKS_HELD", 2)
    found = cohort.run(files, variants_per_block=4, threads=2, **settings)
    assert (found["q.deepnull.reason"] == "").all()
    assert (found["b.deepnull.reason"] == "").mean() > 0.9
    for name, where in (("autosome", "1"), ("autosome", "2"), ("X", "X")):
        here = {key: v for key, v in offsets.items() if key[1:] == (name, where)}
        monkeypatch.setattr(
            module, "read_study", lambda *files, here=here: dataclasses.replace(read_study(*files), offsets=here)
        )
        monkeypatch.setattr(module, "check", lambda *_: 0)
        alone = cohort.run(studies, **settings)
        rows = np.array(chromosome) == where
        for key in found.columns[6:]:
            np.testing.assert_array_equal(found[key][rows], alone[key][rows], err_msg=key)
    assert not found["q.baseline.beta"][:10].equals(alone["q.baseline.beta"][:10])
