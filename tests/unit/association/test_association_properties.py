"""What must hold for any batch: random people, missing calls, covariates, traits and ways to cut the work."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from association_cases import pack, same, settings_of
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.genotypes.block import PackedBlock

ALL = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
M = 14


class Case:
    """A cohort of a few hundred people and a batch of studies with masks, covariates and traits of their own."""

    def __init__(self, seed: int, n_studies: int, missing: float, disjoint: bool):
        rng = np.random.default_rng(seed)
        self.n = int(rng.integers(150, 420))
        frequency = rng.uniform(0.1, 0.9, size=M)
        # some so rare, or so common, that only their carriers are looked at
        frequency[:3] = [0.005, 0.995, 0.008]
        g = rng.binomial(2, frequency[:, None], size=(M, self.n)).astype(np.int8)
        g[rng.random(g.shape) < missing] = -1
        self.g = g
        self.columns = rng.normal(size=(self.n, 5)) * 10.0 ** rng.uniform(-3, 3, size=5)
        self.columns[:, 4] = rng.random(self.n) < 0.4
        self.studies = []
        for i in range(n_studies):
            kept = rng.random(self.n) < rng.uniform(0.7, 1.0)
            if disjoint:
                kept = np.arange(self.n) % n_studies == i
            index = np.flatnonzero(kept)
            chosen = rng.choice(5, size=int(rng.integers(0, 4)), replace=False)
            d = np.sin(self.columns[index, 0] / self.columns[:, 0].std()) + rng.normal(size=len(index))
            trait = "binary" if rng.random() < 0.4 else "quantitative"
            y = d + rng.normal(size=len(index)) + 0.2 * np.maximum(g[5, index], 0)
            if trait == "binary":
                y = (y > np.quantile(y, rng.uniform(0.4, 0.7))).astype(float)
            self.studies.append(
                StudyInput(
                    f"s{i}", trait, ("baseline", "deepnull"), index, y, self.columns[np.ix_(index, chosen)],
                    tuple(f"c{j}" for j in chosen), d,
                )
            )  # fmt: skip

    def run(self, studies=None, g=None, blocks: int = 1, **options) -> dict[str, np.ndarray]:
        """Scan all variants, in this many blocks."""
        options = {"missing_genotypes": "impute_mean", "min_mac": 1, "refine_below": 0.3, "firth": "fallback"} | options
        g = self.g if g is None else g
        scan = Scan(
            self.studies if studies is None else studies, np.ones(g.shape[1], dtype=np.int8), settings_of(**options)
        )
        parts = [scan.block(PackedBlock(part, g.shape[1]), "autosome") for part in np.array_split(pack(g), blocks)]
        return {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}


cases = st.builds(Case, st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([0.0, 0.02, 0.1]), st.booleans())
handling = st.sampled_from(["impute_mean", "drop"])


@ALL
@given(cases, handling, st.integers(2, M))
def test_neighbours_in_the_batch_and_in_the_block_do_not_matter(case, missing, blocks):
    together = case.run(missing_genotypes=missing)
    for s in case.studies:
        # the same bytes: columns and variants are summed on their own
        same(case.run([s], missing_genotypes=missing), together, [s])
    same(case.run(missing_genotypes=missing, blocks=blocks), together, case.studies)
    same(case.run(case.studies[::-1], missing_genotypes=missing), together, case.studies)


class Related(Case):
    """A cohort whose studies have one of two masks and one of a few sets of covariates, so that what can be shared in a
    batch is shared.

    Parameters
    ----------
    kinds
        (second mask, covariates, binary trait) of each study.
    missing
        Share of missing calls.
    """

    #: Without covariates and PCs, with one, with PCs, with PCs in another order,
    #: with a covariate that is constant, with both
    COVARIATES = ((), (0,), (1, 2), (2, 1), (5,), (0, 1, 2), (0, 1, 2, 4))

    def __init__(self, seed: int, kinds: list[tuple[bool, int, bool]], missing: float):
        super().__init__(seed, 1, missing, False)
        rng = np.random.default_rng(seed + 1)
        self.columns = np.column_stack([self.columns, np.full(self.n, 3.0)])
        self.sex = rng.choice([0, 1, 2], self.n, p=[0.05, 0.45, 0.5]).astype(np.int8)
        masks = [np.flatnonzero(rng.random(self.n) < 0.9), np.flatnonzero(rng.random(self.n) < 0.8)]
        self.studies = []
        for i, (second, covariates, binary) in enumerate(kinds):
            index, chosen = masks[second], self.COVARIATES[covariates]
            d = np.sin(self.columns[index, 0] / self.columns[:, 0].std()) + 0.1 * rng.normal(size=len(index))
            y = d + rng.normal(size=len(index)) + 0.2 * np.maximum(self.g[5, index], 0)
            y = (y > np.quantile(y, 0.6)).astype(float) if binary else y
            self.studies.append(
                StudyInput(
                    f"s{i}", "binary" if binary else "quantitative", ("baseline", "deepnull"), index, y,
                    self.columns[np.ix_(index, chosen)], tuple(f"c{j}" for j in chosen), d,
                )
            )  # fmt: skip

    def on(self, kind: str, studies, **options) -> dict[str, np.ndarray]:
        """Scan all variants as if on one class of chromosomes."""
        settings = {
            "min_mac": 1,
            "refine_below": 0.3,
            "firth": "fallback",
            "hwe_p": 1e-4,
            "missingness_p": 1e-3,
        } | options
        return Scan(studies, self.sex, settings_of(**settings)).block(PackedBlock(pack(self.g), self.n), kind)


related = st.builds(
    Related,
    st.integers(0, 2**32 - 1),
    st.lists(
        st.tuples(st.booleans(), st.integers(0, len(Related.COVARIATES) - 1), st.sampled_from([False, False, True])),
        min_size=2,
        max_size=3,
    ),
    st.sampled_from([0.0, 0.03]),
)


@ALL
@given(related, handling, st.sampled_from(["autosome", "autosome", "X", "Y", "MT"]))
def test_studies_that_share_people_or_covariates_do_not_matter_in_any_order(case, missing, kind):
    alone = {}
    for s in case.studies:
        alone |= case.on(kind, [s], missing_genotypes=missing)
    for studies in itertools.permutations(case.studies):
        together = case.on(kind, studies, missing_genotypes=missing)
        same(together, alone, studies)
        for key, values in alone.items():
            np.testing.assert_array_equal(together[key], values, err_msg=key)


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("kind", ["autosome", "X", "Y", "MT"])
def test_a_study_without_covariates_keeps_its_numbers_beside_one_with_them(missing, kind):
    """A basis without columns begins where the next begins: what is kept for one must not be taken for the other."""
    case = Related(11, [(False, 0, False), (False, 2, False), (False, 1, False), (True, 0, False)], 0.03)
    for studies in itertools.permutations(case.studies, 2):
        together = case.on(kind, studies, missing_genotypes=missing)
        for s in studies:
            for key, values in case.on(kind, [s], missing_genotypes=missing).items():
                np.testing.assert_array_equal(together[key], values, err_msg=key)


@ALL
@given(cases, handling, st.integers(0, 1000))
def test_the_order_of_variants_and_of_people_does_not_matter(case, missing, seed):
    rng = np.random.default_rng(seed)
    plain = case.run(missing_genotypes=missing, exact=True)
    variants = rng.permutation(M)
    same(plain, case.run(g=case.g[variants], missing_genotypes=missing, exact=True), case.studies, variants)
    people = rng.permutation(case.n)
    place = np.argsort(people)
    moved = []
    for s in case.studies:
        where = place[s.sample_index]
        o = np.argsort(where)
        moved.append(
            StudyInput(
                s.name, s.trait, s.arms, where[o], s.y[o], s.covariates[o], s.covariate_names, s.deepnull_covariate[o]
            )
        )  # fmt: skip
    other = case.run(moved, case.g[:, people], missing_genotypes=missing, exact=True)
    # sums in another order, in float64; a likelihood is maximised to 1e-9 standard errors
    same(plain, other, case.studies, tolerance=1e-7)


@ALL
@given(cases, handling)
def test_swapped_alleles_flip_beta_and_nothing_else(case, missing):
    plain = case.run(missing_genotypes=missing)
    swapped = case.run(g=np.where(case.g < 0, -1, 2 - case.g).astype(np.int8), missing_genotypes=missing)
    # float32 products of genotypes centred on the other side: 1e-6 standard errors
    same(plain, swapped, case.studies, flip=-1.0, tolerance=2e-6)
    for s in case.studies:
        np.testing.assert_allclose(plain[f"{s.name}.eaf"], 1 - swapped[f"{s.name}.eaf"], atol=1e-12)


@ALL
@given(cases, handling, st.floats(-3, 3), st.floats(-1e3, 1e3))
def test_scale_and_shift_of_a_covariate_do_not_matter(case, missing, power, shift):
    plain = case.run(missing_genotypes=missing, exact=True)
    other = [
        StudyInput(
            s.name, s.trait, s.arms, s.sample_index, s.y, s.covariates * 10.0**power + shift, s.covariate_names,
            s.deepnull_covariate * 3 - 1,
        )
        for s in case.studies
    ]  # fmt: skip
    # a shift of many standard deviations costs digits of the covariate itself: up to 1e-6 of what is left of it
    same(plain, case.run(other, missing_genotypes=missing, exact=True), case.studies, tolerance=1e-5)


POWERS = [-150, -100, -75, -45, -20, 20, 38, 40, 75, 100, 150]


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("power", POWERS)
def test_the_unit_of_the_phenotype_scales_beta_and_its_error_and_nothing_else(missing, power):
    """From far below to far above what single precision can hold (1e-45 to 3e38), squares included."""
    case = Related(7, [(False, 0, False), (False, 5, False), (True, 1, False), (True, 1, False)], 0.03)
    case.studies[1].y[3] *= 50
    plain = case.on("autosome", case.studies, missing_genotypes=missing)
    unit = 10.0**power
    scaled = [replace(s, y=s.y * unit) for s in case.studies]
    other = case.on("autosome", scaled, missing_genotypes=missing)
    for s in scaled:
        for arm in s.arms:
            key = f"{s.name}.{arm}"
            assert (plain[f"{key}.reason"] == other[f"{key}.reason"]).all()
            assert (plain[f"{key}.reason"] == "").sum() > 10
            se = plain[f"{key}.se"]
            # a decimal power is no power of two: the last digit of each phenotype differs, and its rounding to single
            # precision
            assert np.nanmax(np.abs(other[f"{key}.beta"] / unit - plain[f"{key}.beta"]) / se) < 2e-6
            np.testing.assert_allclose(other[f"{key}.se"] / unit, se, rtol=2e-6)
            np.testing.assert_allclose(other[f"{key}.neg_log10_p"], plain[f"{key}.neg_log10_p"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("trait", ["quantitative", "binary"])
@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
@pytest.mark.parametrize("power", POWERS)
def test_the_unit_of_covariates_and_prediction_changes_nothing(missing, power, trait):
    case = Related(8, [(False, 5, trait == "binary"), (True, 1, trait == "binary")], 0.03)
    plain = case.on("autosome", case.studies, missing_genotypes=missing)
    unit = 10.0**power
    other = [
        replace(s, covariates=s.covariates * unit, deepnull_covariate=s.deepnull_covariate * unit) for s in case.studies
    ]
    same(plain, case.on("autosome", other, missing_genotypes=missing), case.studies, tolerance=2e-6)


@ALL
@given(cases)
def test_every_row_has_a_method_or_a_reason(case):
    out = case.run(min_mac=30, refine_below=1.0)
    for s in case.studies:
        for arm in s.arms:
            key = f"{s.name}.{arm}"
            tested = out[f"{key}.reason"] == ""
            assert (tested == (out[f"{key}.method"] != "")).all()
            for column in ("beta", "se", "neg_log10_p"):
                assert (np.isfinite(out[f"{key}.{column}"]) == tested).all()


@pytest.mark.parametrize("missing", ["impute_mean", "drop"])
def test_single_and_double_precision_agree(missing):
    for seed in range(6):
        case = Case(seed, 4, 0.03, False)
        a, b = (
            case.run(missing_genotypes=missing, refine_below=1.0),
            case.run(missing_genotypes=missing, refine_below=1.0, exact=True),
        )
        # products in float32: 1e-6; a likelihood in float32 is maximised to a step of 1e-4 and what is then left of it
        same(a, b, case.studies, tolerance=1e-5)
