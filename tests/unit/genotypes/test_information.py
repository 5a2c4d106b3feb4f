"""INFO: the formulas written down for each person, sexes on X, and what does not depend on order."""

from __future__ import annotations

import numpy as np
import pytest

from deepnull_gwas.genotypes.dosage import MISSING, sum_dosages
from deepnull_gwas.genotypes.information import allele_frequency, impute_information, mach_r2


def sums(values, people=None):
    values = np.asarray(values, dtype=np.uint16)[None]
    mask = np.ones((1, values.shape[1])) if people is None else np.asarray(people)[None]
    return sum_dosages(values, mask)[:, 0]


def test_mach_by_hand():
    # dosages 0, .5, 1, 2, one missing: mean .875, variance .546875, p = .4375
    found = mach_r2(sums([0, 8192, 16384, 32768, MISSING]), np.array([16384]))
    assert found == pytest.approx(0.546875 / (2 * 0.4375 * 0.5625))


def test_impute_by_hand():
    # probabilities of 2 and 1 effect alleles: (1, 0), (0, 1), (.25, .5), (0, 0)
    e, f = np.array([2, 1, 1, 0]), np.array([4, 1, 1.5, 0])
    p = e.sum() / 8
    diploid = np.array([[4, 0, 0, 65025 // 2, 4 * 255]])
    assert (f - e**2).sum() == 0.5
    want = 1 - (f - e**2).sum() / (2 * 4 * p * (1 - p))
    assert impute_information(diploid, np.array([65025])) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("value", [0, 32768])
def test_a_variant_that_does_not_vary_has_none(value):
    diploid = sums([value] * 5)
    assert np.isnan(mach_r2(diploid, np.array([16384]))).all()
    assert np.isnan(impute_information(diploid, np.array([65025]))).all()
    nobody = sums([MISSING] * 5)
    assert np.isnan(mach_r2(nobody, np.array([16384]))).all()
    assert np.isnan(allele_frequency(nobody, None, np.array([16384]))).all()


@pytest.mark.parametrize("frequency", [0.01, 0.1, 0.5])
def test_on_x_each_sex_in_equilibrium_is_well_imputed(frequency):
    rng = np.random.default_rng(1)
    n = 40_000
    male = rng.random(n) < 0.4
    calls = np.where(male, 2 * rng.binomial(1, frequency, n), rng.binomial(2, frequency, n)).astype(np.uint16)
    females, males, none = sums(calls, ~male), sums(calls, male), np.zeros((1, 5), dtype=np.int64)
    one = np.array([1])
    assert mach_r2(females, one)[0] == pytest.approx(1, abs=0.03)
    assert mach_r2(none, one, males)[0] == pytest.approx(1, abs=0.03)
    assert mach_r2(females, one, males)[0] == pytest.approx(1, abs=0.03)
    assert mach_r2(females + males, one)[0] > 1.3, "what comes of males taken for diploid people"
    assert allele_frequency(females, males, one)[0] == pytest.approx(frequency, rel=0.06)
    # hard calls as probabilities have no variance
    assert impute_information(females, one, males)[0] == 1


def test_both_agree_where_dosages_are_the_conditional_means():
    rng = np.random.default_rng(2)
    n, top = 200_000, 65535
    # females with p(AA), p(AB) of a posterior, calibrated: true genotype and a noisy look at it
    genotype = rng.binomial(2, 0.3, n)
    look = genotype + rng.normal(0, 0.7, n)
    prior = np.array([0.49, 0.42, 0.09])
    likelihood = prior * np.exp(-((look[:, None] - np.arange(3)) ** 2) / (2 * 0.49))
    posterior = likelihood / likelihood.sum(axis=1, keepdims=True)
    mean = posterior @ np.arange(3)
    variance = posterior @ np.arange(3) ** 2 - mean**2
    diploid = sums(np.round(mean * 16384))
    r2 = mach_r2(diploid, np.array([16384]))[0]
    diploid[0, 3:] = round(variance.sum() * top**2), round(mean.sum() * top)
    assert impute_information(diploid, np.array([top**2]))[0] == pytest.approx(r2, abs=0.01)
