"""Blocks of dosages: hard calls read as dosages are what packed calls are, and uncertain dosages what numpy says."""

from __future__ import annotations

import numpy as np
import pytest

from deepnull_gwas.genotypes.block import Mask, PackedBlock
from deepnull_gwas.genotypes.dosage import MISSING, Dosages, pack_counts
from deepnull_gwas.genotypes.dosage_block import DosageBlock
from deepnull_gwas.genotypes.products import Columns
from deepnull_gwas.genotypes.quadratic import QuadraticForm

PEOPLE, VARIANTS = 2311, 37


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def hard_calls(rng: np.random.Generator, denominator: int) -> tuple[PackedBlock, DosageBlock]:
    frequency = rng.uniform(0.0, 1.0, VARIANTS)
    frequency[:3] = 0.0, 1.0, 0.002
    copies = rng.binomial(2, frequency[:, None], (VARIANTS, PEOPLE)).astype(np.int8)
    copies[rng.random(copies.shape) < 0.02] = -1
    copies[5] = -1
    values = np.where(copies < 0, MISSING, copies.astype(np.int64) * denominator).astype(np.uint16)
    dosages = Dosages(values, np.full(VARIANTS, denominator, dtype=np.int32))
    return PackedBlock(pack_counts(copies), PEOPLE), DosageBlock(dosages)


def clusters_of(rng: np.random.Generator, people: np.ndarray) -> tuple[QuadraticForm, np.ndarray]:
    """Return clusters of one to nine of some people, and their matrix over all of these people."""
    matrix, start, order, weights = np.zeros((len(people), len(people))), [0], [], []
    free = rng.permutation(len(people))
    for size in rng.integers(1, 10, 60):
        members, free = np.sort(free[:size]), free[size:]
        own = rng.normal(size=(size, size))
        own += own.T
        matrix[np.ix_(members, members)] = own
        i, j = np.tril_indices(size)
        weights.append(own[i, j] * np.where(i == j, 1, 2))
        order.append(people[members])
        start.append(start[-1] + size)
    return QuadraticForm(np.concatenate(order), np.array(start), np.concatenate(weights)), matrix


@pytest.mark.parametrize("denominator", [1, 255, 16_384])
@pytest.mark.parametrize("inherited", [None, "X, two copies", "X, one copy", "MT"])
def test_hard_calls_as_dosages_are_what_packed_calls_are(rng, denominator, inherited):
    packed, dosage = hard_calls(rng, denominator)
    chosen = rng.random(PEOPLE) < 0.7
    mask = Mask.of(chosen)
    if inherited:
        haploid = Mask.of(np.ones(PEOPLE, dtype=bool) if inherited == "MT" else rng.random(PEOPLE) < 0.5)
        single = inherited != "X, two copies"
        packed, dosage = packed.inherited(haploid, single), dosage.inherited(haploid, single)
    for name in ("calls", "observed", "missing"):
        assert np.array_equal(getattr(packed, name)(mask), getattr(dosage, name)(mask)), name
    assert packed.haploid_hets(mask) == dosage.haploid_hets(mask)
    for name in ("alleles", "moments"):
        for a, b in zip(getattr(packed, name)(mask), getattr(dosage, name)(mask)):
            # both are sums of whole numbers, up to the last rounding of a double (packed moments are a difference of
            # large numbers)
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-9, err_msg=name)
    people = np.flatnonzero(chosen)[::3]
    np.testing.assert_allclose(
        packed.dosages(np.arange(VARIANTS), people), dosage.dosages(np.arange(VARIANTS), people), rtol=1e-15
    )
    columns = Columns(PEOPLE, np.flatnonzero(chosen), rng.normal(size=(chosen.sum(), 5)), np.float64)
    for squared in (False, True):
        np.testing.assert_allclose(
            packed.multiply(columns, mask, squared), dosage.multiply(columns, mask, squared), rtol=1e-10, atol=1e-9
        )
    form, _ = clusters_of(rng, np.flatnonzero(chosen))
    np.testing.assert_allclose(packed.quadratic(form, mask), dosage.quadratic(form, mask), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("drop", [False, True])
def test_carriers_of_hard_calls_are_the_same(rng, drop):
    packed, dosage = hard_calls(rng, 255)
    chosen = rng.random(PEOPLE) < 0.7
    mask, row_of = Mask.of(chosen), np.where(chosen, np.cumsum(chosen) - 1, -1)
    found = 0
    for v in range(VARIANTS):
        a, b = packed.carriers(v, mask, row_of, drop, PEOPLE // 4), dosage.carriers(v, mask, row_of, drop, PEOPLE // 4)
        assert (a is None) == (b is None)
        if a is not None:
            found += 1
            for x, y in zip(a, b):
                np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)
    assert found >= 3


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_uncertain_dosages_against_numpy(rng, dtype, tolerance):
    denominator = rng.choice([255, 16_384], VARIANTS).astype(np.int32)
    values = (rng.beta(0.3, 0.5, (VARIANTS, PEOPLE)) * 2 * denominator[:, None]).astype(np.uint16)
    values[rng.random(values.shape) < 0.01] = MISSING
    male = rng.random(PEOPLE) < 0.4
    values[:, male] -= (values[:, male] == denominator[:, None]).astype(np.uint16)
    block = DosageBlock(Dosages(values, denominator)).inherited(Mask.of(male), single=True)
    chosen = rng.random(PEOPLE) < 0.8
    mask, index = Mask.of(chosen), np.flatnonzero(chosen)
    g = np.where(values == MISSING, np.nan, values / denominator[:, None])
    copies = np.where(male, g / 2, g)[:, index]
    mean, length = block.moments(mask)
    np.testing.assert_allclose(mean, np.nanmean(copies, axis=1), rtol=1e-12)
    np.testing.assert_allclose(length, np.nansum((copies - mean[:, None]) ** 2, axis=1), rtol=1e-10)
    alleles, chromosomes = block.alleles(mask)
    np.testing.assert_allclose(alleles, np.nansum(copies, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(chromosomes, (np.where(male[index], 1, 2) * ~np.isnan(copies)).sum(axis=1))
    columns = rng.normal(size=(len(index), 3))
    centred = np.nan_to_num(copies - mean[:, None])
    for squared in (False, True):
        expected = (centred**2 if squared else centred) @ columns
        found = block.multiply(Columns(PEOPLE, index, columns, dtype), mask, squared)[:, :3]
        # single precision keeps about 7 digits of sums of some hundred terms of about 1
        np.testing.assert_allclose(found, expected, atol=tolerance * np.sqrt(len(index)) * 10)
    form, matrix = clusters_of(rng, index)
    np.testing.assert_allclose(
        block.quadratic(form, mask), np.einsum("vi,ij,vj->v", centred, matrix, centred), rtol=1e-10, atol=1e-9
    )


def test_moments_of_a_nearly_constant_variant_keep_their_digits():
    """Of a million copies a few units are all that varies: a difference of large floats would be noise."""
    values = np.full((1, 50_000), 2 * 16_384, dtype=np.uint16)
    values[0, :3] -= 1
    everybody = Mask.of(np.ones(50_000, dtype=bool))
    _, length = DosageBlock(Dosages(values, np.array([16_384], dtype=np.int32))).moments(everybody)
    assert length[0] == pytest.approx((3 - 9 / 50_000) / 16_384**2, rel=1e-12)
