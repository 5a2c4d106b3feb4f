"""Polygenic scores and the accuracy of predicted phenotypes."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import chdtri
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score

from cohort_files import make_cohort
from deepnull_gwas.deepnull.folds import assign_folds
from deepnull_gwas.deepnull.steps import train_folds
from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.scores.accuracy import accuracy, choose_threshold, fit_and_predict, weighted_auc
from deepnull_gwas.scores.clumping import Moments, centred, clump, cross_scores, marginal, trainings
from deepnull_gwas.scores.steps import MODELS, PEOPLE, _straddling, collect_accuracies, score_study
from deepnull_gwas.scores.weights import (
    OUTCOMES,
    Weights,
    compare_alleles,
    match_weights,
    read_weights,
    score_people,
)
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet

K = 4
SETTINGS = {
    "method": "clump",
    "minimum_matched": 0.75,
    "p_thresholds": [1e-6, 1e-4, 1e-2],
    "window_kb": 250,
    "r2": 0.1,
    "resamples": 100,
}


def genotypes(n: int, m: int, seed: int = 1, missing: float = 0.02) -> np.ndarray:
    """Give dosages, variants x people, each variant in LD with the one before; every fifth starts anew."""
    rng = np.random.default_rng(seed)
    out = np.empty((m, n), dtype=np.int8)
    for v in range(m):
        fresh = rng.binomial(2, rng.uniform(0.2, 0.5), n)
        out[v] = fresh if v % 5 == 0 else np.where(rng.random(n) < 0.7, out[v - 1], fresh)
    out[rng.random((m, n)) < missing] = -1
    return out


def imputed(dosages: np.ndarray) -> np.ndarray:
    """Give dosages as float64 with the mean of the people for missing calls."""
    g = np.where(dosages < 0, np.nan, dosages).astype(float)
    return np.where(np.isnan(g), np.nanmean(g, axis=1)[:, None], g)


# --- clumping and thresholding ------------------------------------------------


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


def simulated(n: int = 600, m: int = 80, binary: bool = False):
    dosages = genotypes(n, m)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 2))
    truth = imputed(dosages)[[10, 40, 70]].sum(axis=0) * 0.5
    curve = np.outer(x[:, 0] ** 2, np.ones(K)) + 0.01 * rng.normal(size=(n, K))
    y = truth + x[:, 1] + curve[:, 0] + rng.normal(size=n)
    fold = assign_folds([str(i) for i in range(n)], K, 1)
    return dosages, x, curve, (y > np.median(y)).astype(float) if binary else y, fold


def scored(folder, dosages, x, extra, y, fold, **changes):
    fileset = open_genotypes(make_cohort(folder, dosages) / "genotypes.json")
    m, n = dosages.shape
    variants = {
        "index": np.arange(m),
        "chromosome": np.full(m, "1", dtype=object),
        "position": np.arange(1, m + 1) * 1000,
    }
    options = {"thresholds": [1e-6, 1e-3], "window_kb": 250, "r2": 0.1} | changes
    return cross_scores(fileset, variants, np.arange(n), np.column_stack([np.ones(n), x]), extra, y, fold, **options)


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


# --- models and measures -----------------------------------------------------------


def test_linear_model_equals_sklearn_and_an_unseen_level_has_no_effect():
    rng = np.random.default_rng(6)
    x = np.column_stack([rng.normal(100, 1, 200), rng.integers(0, 2, 200), np.zeros(200)])
    y = x[:, 0] + rng.normal(size=200)
    new = np.column_stack([rng.normal(100, 1, 50), rng.integers(0, 2, 50), np.ones(50)])
    found, varies = fit_and_predict(x, y, new, "quantitative")
    np.testing.assert_allclose(found, LinearRegression().fit(x[:, :2], y).predict(new[:, :2]), rtol=1e-10)
    assert varies.tolist() == [True, True, False]


def test_logistic_model_equals_statsmodels():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(500, 3))
    y = (x[:, 0] + rng.logistic(size=500) > 0).astype(float)
    found, _ = fit_and_predict(x, y, x[:20], "binary")
    expected = sm.Logit(y, sm.add_constant(x)).fit(disp=0).predict(sm.add_constant(x), which="linear")
    # a ridge of 1e-6 a person
    np.testing.assert_allclose(found, expected[:20], atol=1e-4)


def test_a_separating_covariate_gives_finite_predictions():
    y = np.repeat([0.0, 1.0], 50)
    found, _ = fit_and_predict(np.column_stack([y, np.arange(100) % 7]), y, np.zeros((3, 2)), "binary")
    assert np.isfinite(found).all()


def test_measures_equal_sklearn_and_the_formula():
    rng = np.random.default_rng(8)
    y, one = rng.normal(170, 10, 300), np.arange(300)
    prediction = y + rng.normal(0, 8, 300)
    found = accuracy(y, {"a": prediction, "b": prediction * 0 + y.mean()}, "quantitative", one, [("a", "b")], 50, 1)[
        "r2"
    ]
    assert found["models"]["a"]["estimate"] == pytest.approx(r2_score(y, prediction))
    assert found["differences"]["a - b"]["estimate"] == pytest.approx(r2_score(y, prediction))
    case = rng.integers(0, 2, 300).astype(float)
    logit = np.round(case + rng.normal(size=300), 1)
    found = accuracy(case, {"a": logit}, "binary", one, [], 50, 1)
    assert found["auc"]["models"]["a"]["estimate"] == pytest.approx(roc_auc_score(case, logit))
    likelihood = np.sum(case * logit - np.log1p(np.exp(logit)))
    p = case.mean()
    null = 300 * (p * np.log(p) + (1 - p) * np.log(1 - p))
    expected = (1 - np.exp(2 * (null - likelihood) / 300)) / (1 - np.exp(2 * null / 300))
    assert found["r2_nagelkerke"]["models"]["a"]["estimate"] == pytest.approx(expected)


def test_weighted_auc_equals_people_repeated():
    rng = np.random.default_rng(9)
    y, score = rng.integers(0, 2, 80).astype(float), np.round(rng.normal(size=80), 1)
    weights = rng.integers(0, 4, (5, 80))
    found = weighted_auc(y, score, weights.astype(float))
    for row, value in zip(weights, found):
        assert value == pytest.approx(roc_auc_score(np.repeat(y, row), np.repeat(score, row)))


def test_intervals_cover_and_families_widen_them():
    """R2 of the true mean is known; intervals of 95 % hold it in 85 % of 60 cases at least (binomial p of fewer:
    below 0.002).
    """
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        mean = rng.normal(size=400)
        y = mean + rng.normal(size=400)
        found = accuracy(y, {"a": mean}, "quantitative", np.arange(400), [], 200, 1)["r2"]["models"]["a"]
        covered += found["low"] <= 0.5 <= found["high"]
    assert covered >= 51
    # everybody twice: without families the interval would be too narrow by the root of 2
    twice = accuracy(np.r_[y, y], {"a": np.r_[mean, mean]}, "quantitative", np.arange(800), [], 500, 1)["r2"]["models"][
        "a"
    ]
    family = accuracy(np.r_[y, y], {"a": np.r_[mean, mean]}, "quantitative", np.tile(np.arange(400), 2), [], 500, 1)["r2"]["models"]["a"]  # fmt: skip
    ratio = (family["high"] - family["low"]) / (twice["high"] - twice["low"])
    assert ratio == pytest.approx(np.sqrt(2), rel=0.15)  # 500 resamples: about 4 % error of each width


# --- weights from a file -----------------------------------------------------------

HEADER = "###PGS CATALOG SCORING FILE\n#pgs_id=PGS000001\n#genome_build=GRCh37\n"


def write_weights(path, table: pd.DataFrame, header: str = HEADER) -> str:
    text = header + table.to_csv(sep="\t", index=False)
    if str(path).endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return str(path)


def weights_of(m: int) -> pd.DataFrame:
    rng = np.random.default_rng(10)
    return pd.DataFrame(
        {
            "rsID": [f"v{i}" for i in range(m)],
            "chr_name": "1",
            "chr_position": np.arange(1, m + 1) * 1000,
            "effect_allele": "A",
            "other_allele": "C",
            "effect_weight": rng.normal(size=m).round(4),
        }
    )


@pytest.fixture
def cohort(tmp_path):
    dosages = genotypes(50, 20)
    folder = make_cohort(tmp_path / "cohort", dosages)
    return folder, dosages, open_genotypes(folder / "genotypes.json"), read_parquet(folder / "variants.parquet")


def score_of(cohort, path, minimum=0.75):
    _, _, fileset, variants = cohort
    matched = match_weights(read_weights(path, "GRCh37"), variants, path, minimum)
    return score_people(fileset, matched, np.arange(50)), matched


def test_score_of_a_file_is_the_weighted_sum(cohort, tmp_path):
    table = weights_of(20)
    found, matched = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    expected = table["effect_weight"].to_numpy() @ imputed(cohort[1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # means in single precision
    assert matched.counts["matched"] == 20


def test_swapped_alleles_give_the_same_score_up_to_a_constant_and_order_does_not_matter(cohort, tmp_path):
    table = weights_of(20)
    found, _ = score_of(cohort, write_weights(tmp_path / "w.txt.gz", table))
    swapped = table.copy()
    swapped.loc[:9, ["effect_allele", "other_allele"]] = ["C", "A"]
    swapped.loc[:9, "effect_weight"] *= -1
    other, matched = score_of(cohort, write_weights(tmp_path / "s.txt", swapped.sample(frac=1, random_state=1)))
    assert matched.counts["swapped"] == matched.counts["matched"] == 10
    # b copies of A is the same as 2b less b copies of C
    constant = 2 * table.loc[:9, "effect_weight"].sum()
    np.testing.assert_allclose(other + constant, found, rtol=0, atol=1e-5)


@pytest.mark.oracle("plink2")
def test_score_equals_plink(cohort, tmp_path):
    import subprocess

    folder = cohort[0]
    table = weights_of(20)
    table.loc[5:9, ["effect_allele", "other_allele"]] = ["C", "A"]
    path = write_weights(tmp_path / "w.txt", table)
    found, _ = score_of(cohort, path)
    columns = [str(table.columns.get_loc(c) + 1) for c in ("rsID", "effect_allele", "effect_weight")]
    plain = tmp_path / "plain.txt"
    plain.write_text(table.to_csv(sep="\t", index=False))
    command = [
        "plink2",
        "--bfile",
        str(folder / "cohort"),
        "--score",
        str(plain),
        *columns,
        "header",
        "cols=+scoresums",
    ]
    subprocess.run([*command, "--bad-freqs", "--out", str(tmp_path / "p")], check=True, capture_output=True)
    theirs = pd.read_csv(tmp_path / "p.sscore", sep="\t")["SCORE1_SUM"]
    # PLINK prints six digits; means of missing calls are in single precision here
    np.testing.assert_allclose(found, theirs, rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("effect", "other", "a1", "a2", "verdict"),
    [
        ("A", "G", "A", "G", "matched"),
        ("G", "A", "A", "G", "swapped"),
        ("T", "C", "A", "G", "ambiguous"),  # only the other strand fits
        ("A", "C", "A", "G", "mismatched"),
        ("A", "T", "A", "T", "matched"),  # both alleles as they are written
        ("T", "A", "A", "T", "swapped"),
        ("A", "", "A", "T", "ambiguous"),
        ("C", "", "C", "G", "ambiguous"),
        ("A", "", "A", "G", "matched"),
        ("G", "", "A", "G", "swapped"),
        ("T", "", "A", "G", "ambiguous"),
        ("C", "", "A", "G", "ambiguous"),
        ("AT", "A", "AT", "A", "matched"),
        ("A", "AT", "AT", "A", "swapped"),
        ("D", "I", "I", "D", "swapped"),
        ("D", "", "A", "G", "mismatched"),
    ],
)
def test_alleles(effect, other, a1, a2, verdict):
    assert compare_alleles([effect], [other], [a1], [a2]).tolist() == [verdict]
    # alleles in any case are the same
    assert compare_alleles([effect.lower()], [other.lower()], [a1], [a2]).tolist() == [verdict]
    assert compare_alleles([effect], [other], [a1.lower()], [a2.lower()]).tolist() == [verdict]


def test_every_row_is_counted(cohort, tmp_path):
    table = weights_of(20)
    table["is_dominant"] = "False"
    table.loc[0, ["effect_allele", "other_allele"]] = ["T", "G"]  # other strand
    table.loc[1, ["effect_allele", "other_allele"]] = ["A", "T"]
    table.loc[2, "chr_position"] = 999_999
    table.loc[3, "chr_name"] = "X"
    table.loc[4, "is_dominant"] = "True"
    table = pd.concat([table, table.tail(1)])
    _, matched = score_of(cohort, write_weights(tmp_path / "w.txt", table), 0.5)
    expected = {"matched": 15, "ambiguous": 1, "mismatched": 1, "missing": 1, "not_autosomal": 1, "not_additive": 1}
    assert matched.counts == dict.fromkeys(matched.counts, 0) | expected | {"duplicated": 1}
    assert sum(matched.counts.values()) == matched.total == 21


def _plainly(effect, other, a1, a2):
    """Tell how one weight's alleles fit one variant's, by the definition."""
    flip = {"A": "T", "T": "A", "C": "G", "G": "C", "AT": "AT"}
    effect, other, a1, a2 = (a.upper() for a in (effect, other, a1, a2))
    if other:
        if (effect, other) in ((a1, a2), (a2, a1)):
            return "matched" if effect == a1 else "swapped"
        return "ambiguous" if {flip.get(effect), flip.get(other)} == {a1, a2} else "mismatched"
    if effect in (a1, a2):
        return "ambiguous" if flip.get(a1) == a2 else "matched" if effect == a1 else "swapped"
    return "ambiguous" if flip.get(effect) in (a1, a2) else "mismatched"


def _matched_plainly(table, variants):
    """Match row by row, as the documentation has it."""
    counts, found, constant = dict.fromkeys(OUTCOMES, 0), {}, 0.0
    for row in table.itertuples():
        near = [
            v
            for v in variants.itertuples()
            if (
                (v.chromosome, v.position) == (row.chromosome, row.position) if row.chromosome else row.id == v.id != ""
            )
        ]
        places = {row.chromosome} if row.chromosome else {v.chromosome for v in near}
        verdicts = [
            {_plainly(row.effect_allele, o, v.effect_allele, v.other_allele) for o in row.other_allele.split("/")}
            for v in near
        ]
        fits = [(v, s & {"matched", "swapped"}) for v, s in zip(near, verdicts) if s & {"matched", "swapped"}]
        if not row.additive:
            outcome = "not_additive"
        elif places and not places & {str(c) for c in range(1, 23)}:
            outcome = "not_autosomal"
        elif not near:
            outcome = "missing"
        elif not fits:
            outcome = "ambiguous" if any("ambiguous" in s for s in verdicts) else "mismatched"
        elif len(fits) > 1:
            outcome = "ambiguous"
        elif fits[0][0].index_ in found:
            outcome = "duplicated"
        else:
            ((variant, (outcome,)),) = fits
            found[variant.index_] = row.weight if outcome == "matched" else -row.weight
            constant += 2 * row.weight * (outcome == "swapped")
        counts[outcome] += 1
    return counts, found, constant


@pytest.mark.parametrize("seed", range(8))
def test_matching_equals_the_plain_definition(seed):
    rng = np.random.default_rng(seed)
    m, n = 60, 240
    alleles = ["A", "C", "G", "T", "a", "c", "AT", "D"]
    pairs = np.array([rng.choice(alleles, 2, replace=False) for _ in range(m)], dtype=object)
    variants = pd.DataFrame(
        {"index": np.sort(rng.choice(1000, m, replace=False)), "chromosome": rng.choice(["1", "2", "X"], m), "position": rng.integers(1, 25, m)}
        | {"id": rng.choice([f"v{i}" for i in range(50)], m), "effect_allele": pairs[:, 0], "other_allele": pairs[:, 1]}
    )  # fmt: skip
    table = pd.DataFrame(
        {"row": np.arange(n) + 2, "chromosome": rng.choice(["1", "2", "X", ""], n), "position": rng.integers(1, 25, n)}
        | {"id": rng.choice(["", *(f"v{i}" for i in range(50))], n), "effect_allele": rng.choice(alleles[:4], n)}
        | {"other_allele": rng.choice([*alleles[:4], "", "A/C", "C/G/T", "AT"], n), "weight": rng.normal(size=n)}
        | {"additive": rng.random(n) < 0.95}
    )  # fmt: skip
    found = match_weights(Weights(table), variants, "w", 0.0)
    counts, meant, constant = _matched_plainly(table, variants.rename(columns={"index": "index_"}))
    assert found.counts == counts and found.total == n
    assert min(counts[k] for k in ("matched", "swapped", "ambiguous", "mismatched", "not_autosomal")) > 0
    assert dict(zip(found.index.tolist(), found.weight.tolist())) == meant
    assert found.index.tolist() == sorted(meant)
    assert found.constant == pytest.approx(constant, abs=1e-12)


def test_lower_case_alleles_are_the_same(cohort, tmp_path):
    folder, dosages, fileset, variants = cohort
    table = weights_of(20)
    expected, _ = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    small = variants.assign(effect_allele="a", other_allele=["c", "C"] * 10)
    found, matched = score_of((folder, dosages, fileset, small), tmp_path / "w.txt")
    np.testing.assert_array_equal(found, expected)
    assert matched.counts["matched"] == 20


@pytest.mark.parametrize("unit", ["OR", "or", "Odds Ratio", "HR", "hazard ratio", "odds_ratio"])
def test_logarithms_of_ratios_are_summed(cohort, tmp_path, unit, caplog):
    table = weights_of(20)
    expected, _ = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    ratios = table.assign(effect_weight=np.exp(table["effect_weight"]))
    path = write_weights(tmp_path / "or.txt", ratios, f"#weight_type={unit}\n#genome_build=GRCh37\n")
    found, _ = score_of(cohort, path)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    warning = f"weight_type={unit}: natural logarithms of the weights are taken, since ratios do not add up"
    assert read_weights(path, "GRCh37").warnings == [warning]
    assert warning in caplog.text


@pytest.mark.parametrize("unit", ["beta", "log(OR)", "NR", "ln(HR)", "", "Beta"])
def test_weights_that_add_up_stay(tmp_path, unit):
    table = weights_of(20)
    path = write_weights(tmp_path / "w.txt", table, f"#weight_type={unit}\n#genome_build=GRCh37\n")
    found = read_weights(path, "GRCh37")
    assert found.table["weight"].tolist() == table["effect_weight"].tolist()
    assert found.warnings == []


def test_ratios_that_are_none(tmp_path):
    table, head = weights_of(20), "#weight_type=OR\n#genome_build=GRCh37\n"
    with pytest.raises(
        InputError, match=r"row 4: effect_weight -?[0-9.]+ is no ratio; if the weights are logarithms, say"
    ):
        read_weights(write_weights(tmp_path / "w.txt", table.assign(effect_weight=-table["effect_weight"].abs()), head), "GRCh37")  # fmt: skip
    with pytest.raises(InputError, match=r"weight_type=OR, but all weights are below 0.5"):
        read_weights(write_weights(tmp_path / "w.txt", table.assign(effect_weight=0.03), head), "GRCh37")
    two = table.assign(effect_weight=1.1, weight_type=["OR", "beta"] * 10)
    with pytest.raises(InputError, match=r"weights of several units \(weight_type: OR, beta\) cannot be summed"):
        read_weights(write_weights(tmp_path / "w.txt", two, "#genome_build=GRCh37\n"), "GRCh37")
    one = table.assign(effect_weight=1.1, weight_type="OR")
    found = read_weights(write_weights(tmp_path / "w.txt", one, "#genome_build=GRCh37\n"), "GRCh37")
    np.testing.assert_allclose(found.table["weight"], np.log(1.1))


def test_what_is_declared_and_not_honoured_is_named(cohort, tmp_path):
    table = weights_of(20).astype(object)
    table["other_allele"] = ["C/T", "G,C", "T|C", *["C"] * 17]
    table["imputation_method"] = "none"
    table["allelefrequency_effect_European"] = 0.1
    table["my_shrinkage"] = 0.5
    table["hm_inferOtherAllele"] = ""
    table["hm_match_pos"] = ["False", *["True"] * 19]
    for i in (0, 1, 2):
        table[f"dosage_{i}_weight"] = ["", "0.2", *[""] * 18]
    table.loc[1, "effect_weight"] = ""
    table.loc[4, ["other_allele", "hm_inferOtherAllele"]] = ["", "C/T"]
    table.loc[5, "effect_allele"] = "A/G"
    head = "#weight_type=z-score\n#format_version=3.0\n#variants_number=200\n#genome_build=GRCh37\n"
    path = write_weights(tmp_path / "w.txt", table, head)
    found = read_weights(path, "GRCh37")
    for part in (
        "columns that are not understood and not used: my_shrinkage",
        "hm_inferOtherAllele is not used for 1 rows",
        "hm_match_pos is false in 1 rows",
        "1 rows have several effect alleles",
        "1 rows have weights of genotypes (dosage_0_weight, dosage_1_weight, dosage_2_weight): they are left out",
        "format_version=3.0 is not known",
        "variants_number=200, but the file has 20 rows",
        "weight_type=z-score is not known: the weights are summed as they are",
    ):
        assert sum(part in w for w in found.warnings) == 1, part
    assert len(found.warnings) == 8
    matched = score_of(cohort, path)[1]
    # several other alleles: the one of the cohort is among them
    assert {k: v for k, v in matched.counts.items() if v} == {"matched": 18, "not_additive": 1, "mismatched": 1}


@pytest.mark.parametrize("form", ["commas", "semicolons", "quoted", "trailing tabs", "sep"])
def test_other_forms_of_a_file_of_weights(tmp_path, form):
    table = weights_of(5)
    sep = {"commas": ",", "semicolons": ";", "sep": ";"}.get(form, "\t")
    text = table.to_csv(sep=sep, index=False, quoting=2 if form == "quoted" else 0)
    text = text.replace("\n", "\t\n") if form == "trailing tabs" else text
    path = tmp_path / ("w.csv" if sep != "\t" else "w.txt")
    path.write_text(("sep=;\n" if form == "sep" else "") + "#genome_build=GRCh37\n" + text)
    found = read_weights(path, "GRCh37")
    assert found.table["weight"].tolist() == table["effect_weight"].tolist()
    assert found.table["id"].tolist() == table["rsID"].tolist()
    assert found.header == {"genome_build": "GRCh37"}
    with path.open("a") as file:
        file.write("#rs9" + sep + sep.join(["1"] * 5) + "\n")
    with pytest.raises(InputError, match="begins with a #; lines of comment"):
        read_weights(path, "GRCh37")


def test_harmonised_positions_go_first_and_those_of_another_build_are_not_used(cohort, tmp_path):
    table = weights_of(20)
    expected, _ = score_of(cohort, write_weights(tmp_path / "w.txt", table))
    harmonised = table.assign(hm_chr=table["chr_name"], hm_pos=table["chr_position"], chr_position=7, rsID="")
    header = "#genome_build=GRCh38\n#HmPOS_build=GRCh37\n"
    found, _ = score_of(cohort, write_weights(tmp_path / "h.txt", harmonised, header))
    np.testing.assert_array_equal(found, expected)
    # positions of GRCh38 in a cohort of GRCh37: the IDs decide
    other = table.assign(chr_position=table["chr_position"].to_numpy()[::-1])
    found, _ = score_of(cohort, write_weights(tmp_path / "o.txt", other, "#genome_build=hg38\n"))
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match="no row has an rsID or a position of GRCh37"):
        read_weights(write_weights(tmp_path / "n.txt", other.drop(columns="rsID"), "#genome_build=GRCh38\n"), "GRCh37")


def test_hardly_any_match_is_an_error(cohort, tmp_path):
    table = weights_of(20)
    table["chr_position"] += 1
    path = write_weights(tmp_path / "w.txt", table)
    with pytest.raises(InputError) as error:
        score_of(cohort, path)
    for part in (
        path,
        "only 0 of 20 weights (0.0 %)",
        "at least 75 % (scores.minimum_matched)",
        "missing 20",
        "GRCh37",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.drop(columns="effect_weight"), "row 4: no column 'effect_weight'"),
        (lambda t: t.assign(effect_weight=["x", *t["effect_weight"][1:]]), "row 5: effect_weight 'x' is no number"),
        (lambda t: t.assign(effect_weight=["1_0", *t["effect_weight"][1:]]), "effect_weight '1_0' is no number"),
        (lambda t: t.assign(effect_weight=["inf", *t["effect_weight"][1:]]), "effect_weight 'inf' is no number"),
        (lambda t: t.assign(effect_allele=["", *t["effect_allele"][1:]]), "row 5: no effect_allele"),
        (lambda t: t.assign(chr_position=["1.5", *t["chr_position"][1:]]), "row 5: chr_position '1.5' is no position"),
        (lambda t: t.assign(chr_position=["9" * 30, *t["chr_position"][1:]]), "row 5: chr_position '99999"),
        (
            lambda t: t.assign(effect_weight=["0x10", *t["effect_weight"][1:]]),
            "row 5: effect_weight '0x10' is no number",
        ),
        (
            lambda t: t.assign(effect_weight=["True", *t["effect_weight"][1:]]),
            "row 5: effect_weight 'True' is no number",
        ),
        (lambda t: t.iloc[:0], "has a header but no weight"),
        (lambda t: t.drop(columns=["rsID", "chr_name"]), "no row has an rsID or a position"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, change, part):
    path = write_weights(tmp_path / "w.txt", change(weights_of(3).astype(object)))
    with pytest.raises(InputError) as error:
        read_weights(path, "GRCh37")
    assert part in str(error.value)
    assert path in str(error.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "absent.txt", "GRCh37")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-12])
    with pytest.raises(InputError, match="not a readable gzip file"):
        read_weights(tmp_path / "cut.gz", "GRCh37")
    (tmp_path / "short.txt").write_text("rsID\teffect_allele\teffect_weight\nv1\tA\n")
    with pytest.raises(InputError, match=r"the header's 3 \(separated by tabs\): row 2 has 2"):
        read_weights(tmp_path / "short.txt", "GRCh37")
    (tmp_path / "long.txt").write_text("#a=1\n\nrsID\teffect_allele\teffect_weight\n\nv1\tA\t1\nv2\tA\t1\tC\n")
    with pytest.raises(InputError, match=r"the header's 3 \(separated by tabs\): row 6 has 4"):
        read_weights(tmp_path / "long.txt", "GRCh37")
    for name in ("no.txt", "header.txt"):
        (tmp_path / name).write_text("" if name == "no.txt" else "#a=1\n\n")
        with pytest.raises(InputError, match="is empty"):
            read_weights(tmp_path / name, "GRCh37")


def test_line_ends_blank_lines_and_quotes(tmp_path):
    path = tmp_path / "w.txt"
    path.write_bytes(b'#pgs_id=P\r\nrsID\teffect_allele\teffect_weight\r\n\r\n"v1\tA\t1\r\nv2\tNA\t2e-1\r\n\r\n')
    with pytest.raises(InputError, match="row 5: no effect_allele"):
        read_weights(path, "GRCh37")
    # a carriage return alone ends no line: the rows keep their numbers and their cells
    lone = tmp_path / "r.txt"
    lone.write_bytes(b"rsID\teffect_allele\teffect_weight\nv1\r\tA\t1\nv2\tC\t2\n")
    assert read_weights(lone, "GRCh37").table[["id", "weight"]].to_numpy().tolist() == [["v1", 1], ["v2", 2]]
    path.write_bytes(path.read_bytes().replace(b"NA", b"c"))
    found = read_weights(path, "GRCh37")
    assert found.table["id"].tolist() == ['"v1', "v2"]
    assert found.table["row"].tolist() == [4, 5]
    assert found.table["effect_allele"].tolist() == ["A", "C"]
    assert found.table["weight"].tolist() == [1, 0.2]
    assert found.header == {"pgs_id": "P"}


# --- the step, from files to files -----------------------------------------------


@pytest.fixture
def study(tmp_path):
    """Give the function that writes a study with a curved covariate and three causal variants, and predicts it."""
    dosages, x, _, y, fold = simulated(600, 80)

    def run(name="s", y=y, trait="quantitative", score_file=None, status="ok", site=None, **settings):
        folder = make_cohort(tmp_path / name, dosages)
        m, n = dosages.shape
        write_parquet(pd.DataFrame({"index": np.arange(m), "passed": True}), folder / "qc.parquet")
        people = {"sample_index": np.arange(n), "fid": "0", "iid": [f"i{i}" for i in range(n)], "phenotype": y}
        people |= {"cov_age": x[:, 0], "cov_bmi": x[:, 1]} | ({} if site is None else {"cov_site[D]": site})
        people = pd.DataFrame(people)
        write_parquet(people if status == "ok" else people.iloc[:0], folder / "samples.parquet")
        head = {
            "study": name,
            "cohort": "c",
            "trait": trait,
            "status": status,
            "stage": "assemble_study",
            "reason": "why",
        }
        write_json(head, folder / "study.json")
        write_parquet(pd.DataFrame({"sample_index": np.arange(n), "fold": fold}), folder / "folds.parquet")
        parts = [folder / name for name in ("by_model.parquet", "by_fold.json", "models.npz")]
        deepnull = {"folds": K, "model": "splines", "compare": False}
        files = [folder / f for f in ("samples.parquet", "study.json", "folds.parquet")]
        train_folds(*files, deepnull, 1, *parts, folder / "inner.parquet")
        own = read_parquet(parts[0])
        covariate = own["phenotype_prediction"] - own["by_linear"] if len(own) else own["phenotype_prediction"]
        table = {"sample_index": own["sample_index"], "fold": fold[: len(own)], "deepnull_covariate": covariate}
        write_parquet(
            pd.DataFrame(table | {"phenotype_prediction": own["phenotype_prediction"]}), folder / "prediction.parquet"
        )
        found = score_study(
            *files,
            *(
                folder / f
                for f in ("prediction.parquet", "inner.parquet", "genotypes.json", "variants.parquet", "qc.parquet")
            ),
            SETTINGS | settings,
            1,
            *(folder / f for f in ("out.json", "out.tsv", "people.parquet")),
            score_file=score_file,
        )
        return found, folder

    run.y, run.x, run.fold, run.dosages = y, x, fold, dosages
    return run


def test_the_step(study):
    found, folder = study()
    models = {name: v["estimate"] for name, v in found["measures"]["r2"]["models"].items()}
    # the square of the first covariate explains nearly half of the variance, the three variants 7 %
    assert models["deepnull"] > models["linear"] + 0.2
    assert models["linear_score"] > models["linear"] + 0.02
    assert models["deepnull_score"] > models["deepnull"] + 0.03
    gain = found["measures"]["r2"]["differences"]["deepnull_score - linear_score"]
    assert 0 < gain["low"] < gain["estimate"] < gain["high"]
    assert all(entry["used"] and entry["variants"] >= 1 for entry in found["score"]["by_fold"]["deepnull"])
    people = read_parquet(folder / "people.parquet", PEOPLE)
    assert r2_score(study.y, people["deepnull_score"]) == pytest.approx(models["deepnull_score"])
    table = pd.read_csv(folder / "out.tsv", sep="\t")
    assert len(table) == len(MODELS) + 4
    assert read_json(folder / "out.json")["units"] == 600
    assert found["warnings"] == []


def test_linear_arms_equal_plain_regression(study):
    _, folder = study()
    people = read_parquet(folder / "people.parquet")
    for f in range(K):
        others, here = study.fold != f, study.fold == f
        fit = LinearRegression().fit(study.x[others], study.y[others])
        np.testing.assert_allclose(people["linear"][here], fit.predict(study.x[here]), rtol=1e-9)


def test_a_persons_phenotype_moves_nothing_of_their_own(study):
    """Through all of it: DeepNull, nested predictions, score, threshold and models."""
    y, person = study.y.copy(), 23
    y[person] += 10
    before, after = study("a")[1], study("b", y=y)[1]
    one, two = read_parquet(before / "people.parquet"), read_parquet(after / "people.parquet")
    own = study.fold == study.fold[person]
    for name in ("score_linear", "score_deepnull", *MODELS):
        np.testing.assert_array_equal(one[name][own], two[name][own])
        assert (one[name][~own] != two[name][~own]).any()


def test_the_same_bytes_again(study):
    _, folder = study()
    first = [(folder / f).read_bytes() for f in ("out.json", "out.tsv", "people.parquet")]
    study()
    assert first == [(folder / f).read_bytes() for f in ("out.json", "out.tsv", "people.parquet")]


def test_binary_trait(study):
    found, _ = study(y=(study.y > np.median(study.y)).astype(float), trait="binary")
    auc = {name: v["estimate"] for name, v in found["measures"]["auc"]["models"].items()}
    assert auc["deepnull"] > auc["linear"] + 0.03
    assert auc["deepnull_score"] > auc["deepnull"]
    assert set(found["measures"]) == {"auc", "r2_nagelkerke"}
    assert found["cases"] == found["controls"] == 300


def test_score_from_a_file(study, tmp_path):
    table = weights_of(80)
    table["effect_weight"] = 0.0
    table.loc[[10, 40, 70], "effect_weight"] = 0.5
    found, folder = study(score_file=write_weights(tmp_path / "w.txt", table), method="file")
    people = read_parquet(folder / "people.parquet")
    np.testing.assert_allclose(
        people["score_linear"], 0.5 * imputed(study.dosages)[[10, 40, 70]].sum(axis=0), atol=1e-5
    )
    np.testing.assert_array_equal(people["score_linear"], people["score_deepnull"])
    assert found["score"]["rows"]["matched"] == found["score"]["used"] == 80
    assert found["score"]["header"]["pgs_id"] == "PGS000001"
    models = {name: v["estimate"] for name, v in found["measures"]["r2"]["models"].items()}
    assert models["linear_score"] > models["linear"] + 0.04
    # what the file declares is repeated, and what is made of it
    ratios = table.assign(effect_weight=np.exp(table["effect_weight"]), note="x")
    path = write_weights(tmp_path / "or.txt", ratios, "#weight_type=OR\n#genome_build=GRCh37\n")
    again, other = study("or", score_file=path, method="file")
    np.testing.assert_allclose(
        read_parquet(other / "people.parquet")["score_linear"], people["score_linear"], atol=1e-5
    )
    assert again["score"]["header"]["weight_type"] == "OR"
    said = ["columns that are not understood and not used: note", "weight_type=OR: natural logarithms of the weights"]
    for words, warning, whole in zip(said, again["score"]["warnings"], again["warnings"], strict=True):
        assert warning.startswith(words) and whole == f"{path}: {warning}"


def test_without_a_score_the_models_with_it_are_those_without(study):
    found, _ = study(method="file")
    assert found["score"]["method"] == "none"
    assert found["measures"]["r2"]["differences"]["linear_score - linear"] == {"estimate": 0, "low": 0, "high": 0}


def test_a_level_that_only_one_fold_has_is_reported(study):
    site = np.zeros(600)
    site[np.flatnonzero(study.fold == 2)[:3]] = 1
    found, _ = study(site=site)
    assert found["not_estimated"] == [{"covariate": "site[D]", "fold": 2, "people": 3}]
    assert "covariate site[D] is constant outside fold 2: no effect for 3 people there" in found["warnings"]


def test_a_failed_study_is_written_down(study):
    found, folder = study(status="failed")
    assert (found["status"], found["stage"], found["reason"]) == ("failed", "assemble_study", "why")
    assert len(read_parquet(folder / "people.parquet", PEOPLE)) == 0
    assert len(pd.read_csv(folder / "out.tsv", sep="\t")) == 0


def test_families_in_several_folds_are_counted():
    assert _straddling(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0])) == 1
    assert _straddling(np.array([0, 0, 1]), np.array([1, 1, 1])) == 0


def test_the_table_of_a_cohort(study, tmp_path):
    _, good = study("good")
    _, failed = study("failed", status="failed")
    collect_accuracies([good / "out.json", failed / "out.json"], tmp_path / "all.tsv")
    table = pd.read_csv(tmp_path / "all.tsv", sep="\t")
    assert table["study"].tolist() == ["good"] * 8 + ["failed"]
    assert table["reason"].iloc[-1] == "why"
    own = pd.read_csv(good / "out.tsv", sep="\t")
    pd.testing.assert_frame_equal(table.iloc[:8][own.columns].astype(own.dtypes), own)
