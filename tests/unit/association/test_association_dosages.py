"""The scan on dosages: hard calls read as dosages give what packed calls give, uncertain ones what statsmodels gives;
INFO and its filter.
"""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from association_cases import settings_of
from deepnull_gwas.association.codes import REASONS
from deepnull_gwas.association.inputs import StudyInput
from deepnull_gwas.association.scan import Scan
from deepnull_gwas.genotypes.block import PackedBlock
from deepnull_gwas.genotypes.dosage import MISSING, Dosages, pack_counts, sum_dosages
from deepnull_gwas.genotypes.dosage_block import DosageBlock
from deepnull_gwas.genotypes.information import mach_r2

PEOPLE, VARIANTS = 900, 60


def studies(rng: np.random.Generator) -> list[StudyInput]:
    """Return two studies of different people, quantitative and binary, both arms."""
    out = []
    for name, trait in (("q", "quantitative"), ("b", "binary")):
        index = np.sort(rng.choice(PEOPLE, 700, replace=False))
        x = rng.normal(size=(len(index), 2))
        y = x @ [0.5, 0.2] + rng.normal(size=len(index))
        y = (y > 1.0).astype(float) if trait == "binary" else y
        d = x[:, 0] ** 2 + 0.1 * rng.normal(size=len(index))
        out.append(StudyInput(name, trait, ("baseline", "deepnull"), index, y, x, ("x1", "x2"), d))
    return out


@pytest.mark.parametrize("name", ["autosome", "X", "Y", "MT"])
@pytest.mark.parametrize("missing_genotypes", ["impute_mean", "drop"])
def test_hard_calls_as_dosages_give_the_packed_results(name, missing_genotypes):
    rng = np.random.default_rng(3)
    sex = rng.integers(1, 3, PEOPLE).astype(np.int8)
    frequency = np.append(rng.uniform(0.02, 0.98, VARIANTS - 2), [0.0, 0.004])
    copies = rng.binomial(2, frequency[:, None], (VARIANTS, PEOPLE)).astype(np.int8)
    copies[rng.random(copies.shape) < 0.01] = -1
    values = np.where(copies < 0, MISSING, copies.astype(np.int64) * 255).astype(np.uint16)
    given = studies(rng)
    settings = settings_of(
        missing_genotypes=missing_genotypes, exact=True, hwe_p=1e-6, missingness_p=1e-6, firth="fallback"
    )
    scan = Scan(given, sex, settings)
    packed = scan.block(PackedBlock(pack_counts(copies), PEOPLE), name)
    dosage = scan.block(DosageBlock(Dosages(values, np.full(VARIANTS, 255, dtype=np.int32))), name)
    assert set(dosage) == {*packed, "q.info", "b.info"}
    for column, values in packed.items():
        if values.dtype == object or values.dtype.kind in "iu":
            assert np.array_equal(values, dosage[column]), column
    for study in given:
        for arm in study.arms:
            key = f"{study.name}.{arm}"
            se = packed[f"{key}.se"]
            # the same sums, in another order
            assert np.nanmax(np.abs(dosage[f"{key}.beta"] - packed[f"{key}.beta"]) / se) < 1e-6
            np.testing.assert_allclose(dosage[f"{key}.se"], se, rtol=1e-6)
            np.testing.assert_allclose(dosage[f"{key}.neg_log10_p"], packed[f"{key}.neg_log10_p"], rtol=1e-5, atol=1e-6)


def uncertain(rng: np.random.Generator) -> tuple[np.ndarray, Dosages]:
    frequency = rng.uniform(0.1, 0.9, VARIANTS)
    copies = rng.binomial(2, frequency[:, None], (VARIANTS, PEOPLE))
    quality = np.linspace(0.05, 1.0, VARIANTS)[:, None]
    blurred = copies * quality + 2 * frequency[:, None] * (1 - quality)
    values = np.rint(blurred * 16_384).astype(np.uint16)
    return values / 16_384, Dosages(values, np.full(VARIANTS, 16_384, dtype=np.int32))


def test_uncertain_dosages_against_statsmodels():
    rng = np.random.default_rng(4)
    g, dosages = uncertain(rng)
    given = studies(rng)
    found = Scan(given, np.zeros(PEOPLE, np.int8), settings_of(exact=True)).block(DosageBlock(dosages), "autosome")
    for study in given:
        for arm in study.arms:
            x = study.covariates if arm == "baseline" else np.column_stack([study.covariates, study.deepnull_covariate])
            for v in range(0, VARIANTS, 7):
                design = sm.add_constant(np.column_stack([x, g[v, study.sample_index]]))
                model = sm.OLS(study.y, design) if study.trait == "quantitative" else sm.Logit(study.y, design)
                fit = model.fit() if study.trait == "quantitative" else model.fit(disp=0, tol=1e-12)
                key = f"{study.name}.{arm}"
                assert found[f"{key}.beta"][v] == pytest.approx(fit.params[-1], abs=1e-6 * fit.bse[-1])
                assert found[f"{key}.se"][v] == pytest.approx(fit.bse[-1], rel=1e-6)


def test_information_is_that_of_the_studys_people_and_filters():
    rng = np.random.default_rng(5)
    _, dosages = uncertain(rng)
    given = studies(rng)
    scan = Scan(given, np.zeros(PEOPLE, np.int8), settings_of(min_info=0.2))
    found = scan.block(DosageBlock(dosages), "autosome")
    for study in given:
        mask = np.zeros((1, PEOPLE), dtype=bool)
        mask[0, study.sample_index] = True
        expected = mach_r2(sum_dosages(dosages.values, mask)[:, 0], dosages.denominator)
        np.testing.assert_allclose(found[f"{study.name}.info"], expected, rtol=1e-12)
        low = expected < 0.2
        assert low.any()
        assert np.array_equal(found[f"{study.name}.baseline.reason"] == "low_info", low)
        note = f"{int(((expected < 0.3) & ~low).sum())} tested variants have an INFO below 0.3"
        assert any(note in n for n in scan.metadata()["studies"][study.name]["arms"]["baseline"]["notes"])
    assert "low_info" in REASONS
