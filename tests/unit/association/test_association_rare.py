"""Rare variants from their carriers, against the same tests over all people in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from association_cases import pack, same, settings_of
from deepnull_gwas.association import binary_arm, firth, likelihoods, refinement
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.genotypes.block import PackedBlock

N, M = 12_000, 24
ARMS = ("baseline", "deepnull")


def make_study(rng, name: str, kept: np.ndarray, prevalence: float = 0.02) -> tuple[StudyInput, np.ndarray]:
    """Draw a binary study of the people that are kept, one covariate with a distant group; and who is a case."""
    c = np.column_stack([rng.normal(size=N), rng.random(N) < 0.5, rng.normal(size=N) + 5 * (np.arange(N) % 60 == 0)])
    risk = 0.6 * c[:, 0] + 0.4 * c[:, 1] + np.log(prevalence)
    y = (rng.random(N) < 1 / (1 + np.exp(-risk))).astype(float)
    index = np.flatnonzero(kept)
    d = np.sin(2 * c[index, 0]) + rng.normal(size=len(index))
    return StudyInput(name, "binary", ARMS, index, y[index], c[index], ("a", "b", "c"), d), y


def make_rare(rng, y: np.ndarray, missing: float) -> np.ndarray:
    """Draw variants that 3 to 80 people carry, half of them oftener among cases,
    a third with A1 as the usual allele.
    """
    g = np.zeros((M, N), dtype=np.int8)
    for v in range(M):
        g[v, rng.choice(N, rng.integers(3, 80), replace=False)] = 1
        g[v, rng.choice(N, 1)] = 2
        if v % 2:
            g[v, rng.choice(np.flatnonzero(y == 1), rng.integers(1, 4), replace=False)] = 1
        # carriers of one group only, which a covariate tells apart
        if v % 4 == 3:
            g[v, rng.choice(np.arange(0, N, 60), 12, replace=False)] = 1
        if v % 3 == 2:
            g[v] = 2 - g[v]
    g[rng.random(g.shape) < missing] = -1
    return g


@pytest.fixture(scope="module")
def cohort():
    """Return two studies, one of a part of the people, and rare variants without and with missing calls."""
    rng = np.random.default_rng(5)
    whole, y = make_study(rng, "whole", np.ones(N, dtype=bool))
    part, _ = make_study(rng, "part", rng.random(N) < 0.8)
    return [whole, part], {missing: make_rare(rng, y, missing) for missing in (0.0, 0.01)}


def run(studies, g, blocks: int = 1, kind: str = "autosome", **options) -> dict[str, np.ndarray]:
    """Scan all variants, in this many blocks; every third person is a woman."""
    sex = 1 + (np.arange(N) % 3 == 0).astype(np.int8)
    scan = Scan(studies, sex, settings_of(**{"min_mac": 1, "firth": "always"} | options))
    parts = [scan.block(PackedBlock(part, N), kind) for part in np.array_split(pack(g), blocks)]
    return {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}


def count_calls(monkeypatch, module, name: str) -> list:
    """Collect what a function returns."""
    results, function = [], getattr(module, name)

    def watched(*given):
        results.append(function(*given))
        return results[-1]

    monkeypatch.setattr(module, name, watched)
    return results


@pytest.mark.parametrize(("missing", "handling"), [(0.0, "impute_mean"), (0.01, "impute_mean"), (0.01, "drop")])
@pytest.mark.parametrize("form", ["full", "approximate"])
def test_firth_from_carriers_equals_firth_over_everybody(cohort, monkeypatch, form, missing, handling):
    studies, g = cohort
    name = "firth_of_carriers" if form == "full" else "firth_approximate_of_carriers"
    results = count_calls(monkeypatch, refinement, name)
    options = {"firth_form": form, "missing_genotypes": handling}
    mine = run(studies, g[missing], **options)
    # two studies with two arms; most can be done so even in a small cohort with some 300 cases
    assert len(results) == 4 * M
    assert sum(r is not None for r in results) > (0.5 if missing else 0.75) * len(results)
    everybody = run(studies, g[missing], exact=True, **options)
    assert len(results) == 4 * M
    assert (mine["whole.baseline.method"] == ("firth" if form == "full" else "firth_approximate")).all()
    # the bound is 2e-5; -log10 p is 0.2 to 2.2 times the statistic's difference, which is held to 2e-5 as well
    same(mine, everybody, studies, tolerance=5e-6)


@pytest.mark.parametrize("missing", [0.0, 0.01])
def test_saddle_point_from_carriers_equals_that_over_everybody(cohort, monkeypatch, missing):
    studies, g = cohort
    results = count_calls(monkeypatch, refinement, "_saddle_of_carriers")
    mine = run(studies, g[missing], refine_by="spa")
    assert len(results) == 4 * M
    assert sum(r is not None for r in results) > 0.75 * len(results)
    assert sum(r is not None and r[1] for r in results) >= 10
    # the scores, and so the se that is made of the p, come from products in single precision
    same(mine, run(studies, g[missing], refine_by="spa", exact=True), studies, tolerance=5e-6)


@pytest.mark.parametrize("settings", [{"firth_form": "full"}, {"firth_form": "approximate"}, {"refine_by": "spa"}])
def test_rare_variants_are_the_same_bytes_in_any_blocks_and_batch(cohort, settings):
    studies, g = cohort
    together = run(studies, g[0.01][:10], **settings)
    for s in studies:
        same(run([s], g[0.01][:10], **settings), together, [s])
    same(run(studies[::-1], g[0.01][:10], blocks=7, **settings), together, studies)


@pytest.mark.parametrize(("kind", "copies"), [("X", 2), ("X", 1), ("Y", 2), ("MT", 2)])
@pytest.mark.parametrize("settings", [{"firth_form": "full"}, {"firth_form": "approximate"}, {"refine_by": "spa"}])
def test_haploid_rare_variants_from_carriers_equal_those_over_everybody(cohort, monkeypatch, kind, copies, settings):
    studies, g = cohort
    # half of the carriers have two copies
    g = np.where((g[0.01][:10] == 1) & (np.arange(N) % 2 == 0), 2, g[0.01][:10]).astype(np.int8)
    name = "_saddle_of_carriers" if "refine_by" in settings else "firth_of_carriers"
    results = count_calls(monkeypatch, refinement, name)
    settings = settings | {"x_male_copies": copies}
    mine = run(studies, g, kind=kind, **settings)
    assert settings.get("firth_form") == "approximate" or any(r is not None for r in results)
    # over everybody in the same precision: where all carriers are of one kind the saddle point magnifies the rounding
    # of the score
    monkeypatch.setattr(binary_arm, "PEOPLE", N + 1)
    same(mine, run(studies, g, kind=kind, **settings), studies, tolerance=5e-6)


def test_what_the_series_leaves_out_is_bounded(cohort):
    """The bound holds where the series is bad, and a variant that it is too bad for is done over all people."""
    studies, _ = cohort
    s = studies[0]
    scan = Scan([s], np.ones(N, dtype=np.int8), settings_of())
    arm = scan.on("autosome").groups[0].tests[0].arms["baseline"]
    rng = np.random.default_rng(1)
    none = 0
    for carriers in (10, 60, 300):
        v = np.zeros(N, dtype=np.int8)
        v[rng.choice(N, carriers, replace=False)] = 1
        v[rng.choice(np.flatnonzero(s.y == 1), carriers // 4, replace=False)] = 1
        found = arm.carriers(PackedBlock(pack(v[None]), N), 0, False)
        rare = refinement.Carriers.of(arm.penalised, *found)
        fit, path = firth._test(likelihoods.OfCarriers(rare), np.zeros(arm.null.x.shape[1] + 1))
        truth = firth.firth(arm.null.x, s.y, v - v.mean(), arm.firth_null[0])
        moved, high = rare.left_out(path.full[:-1])
        # the variant's own error is a part of the covariates'
        assert abs(fit.beta - truth.beta) / truth.se <= moved + 1e-8
        assert abs(fit.neg_log10_p - truth.neg_log10_p) <= 2 * high + 1e-7
        none += firth.firth_of_carriers(rare) is None
    assert none >= 1


def test_firth_of_a_common_variant_equals_firth_of_its_complement(cohort):
    """Over all people: the other allele has the same p and the opposite effect."""
    studies, _ = cohort
    s = studies[0]
    scan = Scan([s], np.ones(N, dtype=np.int8), settings_of())
    arm = scan.on("autosome").groups[0].tests[0].arms["baseline"]
    g = np.random.default_rng(3).binomial(2, 0.3, size=N).astype(float)
    a, b = (firth.firth(arm.null.x, s.y, v, arm.firth_null[0]) for v in (g, 2 - g))
    assert a.converged and b.converged
    assert a.beta == pytest.approx(-b.beta, abs=1e-8)
    assert a.se == pytest.approx(b.se, rel=1e-8)
    assert a.neg_log10_p == pytest.approx(b.neg_log10_p, abs=1e-8)
