"""The check that an association job makes of itself:
right results pass, a wrong one is named, and nothing is written.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest

from association_cases import make_cohort, make_genotypes
from deepnull_gwas.association import check as module
from deepnull_gwas.association import quantitative, scan
from deepnull_gwas.association.check import RANDOM, Sample
from deepnull_gwas.association.codes import METHODS, STUDY_FAILED, TESTED
from deepnull_gwas.errors import SelfCheckError


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Variants on all classes of chromosomes, some rare, with missing calls; studies of both traits, one failed, one
    without covariates.
    """
    rng = np.random.default_rng(5)
    n, per = 500, 30
    sex = rng.choice([0, 1, 2], n, p=[0.05, 0.45, 0.5])
    chromosome = [c for c in ("1", "X", "Y", "MT") for _ in range(per)]
    g = make_genotypes(rng, n, len(chromosome), missing=0.02)
    g[3:9] = np.where(rng.random((6, n)) < 0.012, 1, 0)
    found = make_cohort(tmp_path_factory.mktemp("check"), g, sex, chromosome)
    age = rng.normal(50, 9, n)
    d = np.sin(age / 3)
    y = d + 0.4 * np.maximum(g[1], 0) + 0.4 * np.maximum(g[2 * per], 0) + rng.normal(size=n)
    case = (y > 0.9).astype(float)
    case[rng.random(n) < 0.1] = np.nan
    found.studies = [
        found.study("plain", y * 1e-3),
        found.study("full", y, {"age": age, "months": age * 12}, d),
        found.study("failed", y, {"age": age}, d, status="failed"),
        found.study("alone", rng.normal(size=n) + 1e4, {"pc": rng.normal(size=n)}),
        found.study("case", case, {"age": age}, d, "binary"),
    ]
    return found


SETTINGS = {"min_mac": 2, "firth": "fallback", "firth_mac": 8, "refine_below": 0.5}


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"x_male_copies": 1, "refine_below": 1.0, "firth": "always"},
        {"firth": "always", "firth_form": "approximate"},
        {"refine_by": "spa", "exact": True},
        {"firth": "never", "min_mac": 20},
    ],
)
def test_right_results_of_every_kind_pass(cohort, caplog, missing, more, monkeypatch):
    # all variants, not only a few
    monkeypatch.setattr(module, "RANDOM", 30)
    seen = set()
    compare = module.compare

    def watched(second, calls, arm, row, *more):
        seen.add((second.kind, row.method))
        return compare(second, calls, arm, row, *more)

    monkeypatch.setattr(module, "compare", watched)
    with caplog.at_level(logging.INFO):
        cohort.run(cohort.studies, missing_genotypes=missing, **SETTINGS | more)
    assert "results agree with a second implementation" in caplog.text
    assert {kind for kind, _ in seen} == {"autosome", "X", "Y", "MT"}
    expected = {"logistic", "firth"} if "refine_by" not in more else {"score", "spa"}
    expected = {"always": {"firth"}, "never": {"logistic"}}.get(more.get("firth"), expected)
    expected = {"firth_approximate"} if more.get("firth_form") == "approximate" else expected
    assert {method for _, method in seen} >= {"linear", *expected}


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("power", [-150, -100, -40, 40, 100, 150])
def test_right_results_pass_whatever_the_units(tmp_path, power, missing):
    rng = np.random.default_rng(9)
    n, unit = 300, 10.0**power
    g = make_genotypes(rng, n, 20, missing=0.02)
    scaled = make_cohort(tmp_path, g)
    age, d = rng.normal(50, 9, n), rng.normal(size=n)
    y = d + 0.4 * np.maximum(g[1], 0) + rng.normal(size=n)
    studies = [scaled.study("y", y * unit, {"age": age}, d * unit), scaled.study("x", y, {"age": age * unit}, d / unit)]
    found = scaled.run(studies, missing_genotypes=missing)
    for arm in ("baseline", "deepnull"):
        np.testing.assert_allclose(found[f"y.{arm}.neg_log10_p"], found[f"x.{arm}.neg_log10_p"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found[f"y.{arm}.se"] / unit, found[f"x.{arm}.se"], rtol=1e-5)
        assert (found[f"y.{arm}.method"] == "linear").all()


def plant(monkeypatch, change) -> None:
    """Let a function change the columns that come out of the scan."""
    coded = scan.Scan.coded

    def planted(self, *given, **named):
        out = coded(self, *given, **named)
        change(out)
        return out

    monkeypatch.setattr(scan.Scan, "coded", planted)


def wrong(monkeypatch, study: str, what: str, factor: float) -> None:
    """Multiply a column of both arms of one study."""

    def change(out):
        for name in out:
            if name.startswith(f"{study}.") and name.endswith(f".{what}"):
                out[name] = out[name] * factor

    plant(monkeypatch, change)


@pytest.mark.parametrize("what", [0, 1, 2])
@pytest.mark.parametrize("study", [0, 1, 3, 4])
def test_a_study_that_is_off_by_a_hundredth_is_named(cohort, monkeypatch, study, what):
    name, column = ("plain", "full", "failed", "alone", "case")[study], ("beta", "se", "neg_log10_p")[what]
    wrong(monkeypatch, name, column, 1.01)
    out = cohort.folder / "associations" / "0.parquet"
    out.unlink(missing_ok=True)
    with pytest.raises(
        SelfCheckError, match=rf"study {name}, baseline arm: variant v\d+ \(\w+:\d+, A/G\), \w+: "
    ) as error:
        cohort.run(cohort.studies, **SETTINGS)
    others = {"plain", "full", "failed", "alone", "case"} - {name}
    assert not any(f"study {other}," in str(error.value) for other in others)
    assert f"{column}: found " in str(error.value)
    assert not out.exists()


def test_a_wrong_denominator_of_one_study_is_named(cohort, monkeypatch):
    """What a shared denominator did: the study without covariates gets that of the one beside it."""
    imputed = quantitative.linear_imputed

    def planted(products, den, gg, at, reason):
        # the study of 500 people and nothing else has no columns of covariates
        return imputed(products, den * (0.9 if at.df == 500 - 2 else 1.0), gg, at, reason)

    monkeypatch.setattr(quantitative, "linear_imputed", planted)
    with pytest.raises(SelfCheckError, match="study plain, baseline arm: variant") as error:
        cohort.run(cohort.studies, **SETTINGS)
    assert "study full" not in str(error.value)


def test_wrong_counts_are_named(cohort, monkeypatch):
    def change(out):
        out["case.n_cases"] = out["case.n_cases"] + 1
        out["case.eaf_controls"] = 1 - out["case.eaf_controls"]

    plant(monkeypatch, change)
    with pytest.raises(SelfCheckError, match="study case, baseline arm") as error:
        cohort.run(cohort.studies, **SETTINGS)
    assert "n_cases: found" in str(error.value)
    assert "eaf_controls: found" in str(error.value)


def columns(m: int, p: np.ndarray, reason: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "s.baseline.reason": reason, "s.baseline.neg_log10_p": p, "s.baseline.beta": p, "s.baseline.se": p,
        "s.n": np.ones(m),
        "s.eaf": p, "s.baseline.method": np.full(m, METHODS.index("linear")),
    }  # fmt: skip


def test_the_sample_has_the_strongest_result_and_does_not_depend_on_how_the_work_is_cut():
    rng = np.random.default_rng(2)
    m = 200
    classes = np.repeat(np.array(["autosome", "X"], dtype=object), [150, 50])
    p, reason = rng.random(m), rng.choice([TESTED, STUDY_FAILED], m)
    p[77], reason[77], p[78], reason[78] = 5.0, TESTED, 9.0, STUDY_FAILED
    chosen = []
    for cuts in ([], [1, 2, 3], [50, 151], list(range(1, m))):
        sample = Sample([("s", "quantitative", "baseline")], classes, 0)
        for at in np.split(np.arange(m), cuts):
            sample.add({key: values[at] for key, values in columns(m, p, reason).items()}, at)
        chosen.append(list(sample.of("s", "baseline")))
    assert all(c == chosen[0] for c in chosen)
    assert 77 in chosen[0]
    assert all(reason[at] == TESTED for at in chosen[0])
    assert sum(at >= 150 for at in chosen[0]) == RANDOM
    # another chunk, another sample
    sample = Sample([("s", "quantitative", "baseline")], classes, 1)
    sample.add(columns(m, p, reason), np.arange(m))
    assert list(sample.of("s", "baseline")) != chosen[0]


def test_a_study_without_any_result_is_passed_over(cohort, caplog):
    with caplog.at_level(logging.INFO):
        cohort.run([cohort.studies[2]], **SETTINGS)
    assert "0 results agree with a second implementation" in caplog.text
