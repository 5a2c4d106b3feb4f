"""A block of variants against counts and sums over people, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from association_cases import pack
from deepnull_gwas.genotypes.block import Mask, PackedBlock
from deepnull_gwas.genotypes.products import Columns

N, M = 211, 12


@pytest.fixture(scope="module")
def genotypes() -> np.ndarray:
    """Return int8 genotypes with missing calls, some rare, one without any call."""
    rng = np.random.default_rng(4)
    g = rng.binomial(2, rng.uniform(0.1, 0.9, M)[:, None], (M, N)).astype(np.int8)
    g[1] = rng.random(N) < 0.01
    g[2] = 2 - (rng.random(N) < 0.01)
    g[rng.random((M, N)) < 0.04] = -1
    g[3] = -1
    return g


def people(seed: int, share: float = 0.7) -> np.ndarray:
    return np.random.default_rng(seed).random(N) < share


def copies(g: np.ndarray, haploid: np.ndarray, single: bool) -> np.ndarray:
    """Return the dosages that are tested, NaN where missing."""
    x = np.where(g < 0, np.nan, g.astype(float))
    x[:, haploid] = np.where(x[:, haploid] == 1, np.nan, x[:, haploid])
    if single:
        x[:, haploid] /= 2
    return x


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_counts_moments_and_products_equal_those_person_by_person(genotypes, share, single):
    haploid, chosen = people(1, share), people(2)
    block = PackedBlock(pack(genotypes), N)
    if share:
        block = block.inherited(Mask.of(haploid), single)
    mask, x = Mask.of(chosen), copies(genotypes, haploid, single)[:, chosen]
    file = copies(genotypes, haploid, False)[:, chosen]
    here = ~np.isnan(x)
    assert len(mask) == chosen.sum()
    np.testing.assert_array_equal(block.observed(mask), here.sum(axis=1))
    np.testing.assert_array_equal(block.missing(mask), (~here).sum(axis=1))
    for code, value in enumerate((2, 1, 0)):
        np.testing.assert_array_equal(block.calls(mask)[:, code], (file == value).sum(axis=1))
    alleles, chromosomes = block.alleles(mask)
    ploidy = np.where(haploid[chosen], 1, 2)
    np.testing.assert_array_equal(alleles, np.nansum(file * ploidy / 2, axis=1))
    np.testing.assert_array_equal(chromosomes, (here * ploidy).sum(axis=1))
    mean, gg = block.moments(mask)
    some = here.any(axis=1)
    np.testing.assert_allclose(mean[some], np.nanmean(x[some], axis=1), rtol=1e-13)
    centred = np.where(here, x - mean[:, None], 0.0)
    np.testing.assert_allclose(gg, (centred**2).sum(axis=1), atol=1e-10)
    assert (mean[~some] == 0).all()
    values = np.random.default_rng(3).normal(size=(chosen.sum(), 5))
    columns = Columns(N, np.flatnonzero(chosen), values, np.float64)
    for squared in (False, True):
        expected = (centred**2 if squared else centred) @ values
        np.testing.assert_allclose(block.multiply(columns, mask, squared)[:, :5], expected, atol=1e-10)
    np.testing.assert_array_equal(block.dosages(np.array([4, 1]), np.flatnonzero(chosen)), x[[4, 1]])
    hets = (genotypes[:, chosen & haploid] == 1).sum() if share else 0
    assert block.haploid_hets(mask) == hets


@pytest.mark.parametrize("drop", [False, True])
def test_carriers_are_those_with_another_genotype_than_nearly_everybody(genotypes, drop):
    chosen = people(5)
    block, mask = PackedBlock(pack(genotypes), N), Mask.of(chosen)
    row_of = np.where(chosen, np.cumsum(chosen) - 1, -1)
    for v, usual in ((1, 0), (2, 2)):
        rows, g, present = block.carriers(v, mask, row_of, drop, N)
        mine = genotypes[v, chosen]
        np.testing.assert_array_equal(rows, np.flatnonzero(mine != usual))
        mean = mine[mine >= 0].mean()
        expected = np.where(mine[rows] < 0, 0.0 if drop else mean - usual, mine[rows] - usual)
        np.testing.assert_allclose(g, expected, rtol=1e-12)
        np.testing.assert_array_equal(present, mine[rows] >= 0 if drop else np.ones(len(rows), dtype=bool))
    others = int((genotypes[1] != 0).sum())
    assert block.carriers(1, mask, row_of, drop, others - 1) is None
    assert block.carriers(1, mask, row_of, drop, others) is not None


def test_masks_of_the_same_people_are_equal_and_counted_once(genotypes, monkeypatch):
    from deepnull_gwas.genotypes import block as module

    calls = []
    count = module.count_genotypes
    monkeypatch.setattr(module, "count_genotypes", lambda *given: calls.append(1) or count(*given))
    chosen = people(6)
    block = PackedBlock(pack(genotypes), N)
    a, b = Mask.of(chosen), Mask.of_people(np.flatnonzero(chosen), N)
    assert a == b and hash(a) == hash(b) and a != Mask.of(~chosen)
    assert a & Mask.of(people(7)) == Mask.of(chosen & people(7))
    block.moments(a), block.alleles(b), block.observed(a), block.missing(b)
    assert len(calls) == 1
