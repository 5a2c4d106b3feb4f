"""The products of genotypes with columns against numpy."""

import numpy as np
import pytest

from association_cases import pack
from deepnull_gwas.genotypes.block import PackedBlock
from deepnull_gwas.genotypes.products import COLUMNS, make_tiles, multiply
from deepnull_gwas.genotypes.rare import multiply_rare


@pytest.mark.parametrize("n", [1, 5, 31, 1023, 1024, 1030, 2051])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("squared", [False, True])
def test_products_equal_numpy(n, dtype, squared):
    rng = np.random.default_rng(n)
    g = rng.integers(-1, 3, (9, n)).astype(np.int8)
    inside = np.flatnonzero(rng.random(n) < 0.7)
    k = rng.normal(size=(len(inside), 7))
    centre = rng.uniform(0, 2, size=9)
    x = np.where(g < 0, 0.0, g - centre[:, None])[:, inside]
    expected = (x**2 if squared else x) @ k
    found = multiply(PackedBlock(pack(g), n).stored, centre, make_tiles(n, inside, k, dtype), squared)
    assert found.shape == (9, -(-7 // COLUMNS) * COLUMNS)
    # rounding of the columns and of sums of up to 1,024 people
    tolerance = 1e-4 if dtype is np.float32 else 1e-11
    np.testing.assert_allclose(found[:, :7], expected, atol=tolerance)
    assert not found[:, 7:].any()


@pytest.mark.parametrize("n", [1, 5, 31, 33, 64, 1030])
@pytest.mark.parametrize("squared", [False, True])
def test_products_by_carriers_equal_numpy(n, squared):
    rng = np.random.default_rng(n)
    g = rng.integers(-1, 3, (6, n)).astype(np.int8)
    g[1], g[2] = 0, 2
    g[3] = np.where(rng.random(n) < 0.05, g[3], 0)
    g[4] = np.where(rng.random(n) < 0.05, g[4], 2)
    k = np.where(rng.random(n)[:, None] < 0.8, rng.normal(size=(n, 5)), 0.0)
    centre = rng.uniform(0, 2, size=6)
    x = np.where(g < 0, 0.0, g - centre[:, None])
    expected = (x**2 if squared else x) @ k
    rows = np.array([0, 1, 2, 3, 4])
    out = np.full((6, 8), 7.0)
    out[:, 5:] = 0
    people = np.hstack([k, np.zeros((n, 0))])
    multiply_rare(
        pack(g),
        rows,
        np.array([True, True, False, True, False]),
        centre,
        people,
        people.sum(axis=0),
        out[:, :5],
        squared,
    )
    np.testing.assert_allclose(out[rows, :5], expected[rows], atol=1e-10)
    assert (out[5, :5] == 7).all()
