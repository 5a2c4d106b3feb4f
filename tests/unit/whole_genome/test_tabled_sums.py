"""Products by tables of sums, and sums by counting bits: whole numbers, so that they equal plain products exactly."""

import itertools

import numpy as np
import pytest

from deepnull_gwas.whole_genome.grams import gram_by_fold
from deepnull_gwas.whole_genome.people import People
from deepnull_gwas.whole_genome.tabled_sums import (
    add_products,
    codes_of_people,
    codes_of_variants,
    empty_tiles,
    put_columns,
    tiled,
)


def genotypes(variants: int, people: int, seed: int = 1) -> np.ndarray:
    """Return int8[variants, people], common and rare."""
    rng = np.random.default_rng(seed)
    return rng.binomial(2, rng.uniform(0.0, 1.0, (variants, 1)), (variants, people)).astype(np.int8)


# fewer than fill a code, a chunk, a tile of columns; just as many; one more
@pytest.mark.parametrize(("variants", "people", "columns"), [(1, 1, 1), (3, 32, 16), (33, 31, 17), (70, 129, 40)])
def test_sums_over_people_and_over_variants_are_plain_products(variants, people, columns):
    rng, copies = np.random.default_rng(2), genotypes(variants, people)
    for codes, left in ((codes_of_people(copies), copies), (codes_of_variants(copies), copies.T)):
        values = rng.integers(-(2**30), 2**30, (left.shape[1], columns)).astype(np.float64)
        out = np.ones((len(left), columns))
        add_products(codes, tiled(values), out, np.arange(columns))
        assert (out == left.astype(float) @ values + 1).all()
        # single precision holds these sums, and what is whole is written as such
        small = np.rint(values / 2**20).astype(np.float32)
        whole = np.zeros((len(left), columns), dtype=np.int64)
        add_products(codes, tiled(small), whole, np.arange(columns), beyond_one=True)
        assert (whole == (left.astype(int) - 1) @ small.astype(int)).all()


def test_columns_come_from_a_part_of_a_cohort_and_go_where_they_belong():
    copies, rng = genotypes(20, 200), np.random.default_rng(3)
    rows, values = slice(50, 121), rng.integers(-9, 9, (71, 21)).astype(float)
    tiles = empty_tiles(71, 21)
    for first, last in ((0, 3), (3, 18), (18, 21)):
        put_columns(tiles, first, values[:, first:last])
    assert (tiles == tiled(values)).all()
    places, out = rng.permutation(30)[:21], np.zeros((20, 30))
    add_products(codes_of_people(copies[:, rows]), tiles, out, places)
    assert (out[:, places] == copies[:, rows].astype(float) @ values).all()
    assert not out[:, np.setdiff1d(np.arange(30), places)].any()


@pytest.mark.parametrize("fault", ["people", "tiles", "items", "places", "codes"])
def test_what_does_not_belong_together_is_refused(fault):
    codes, values, out, places = codes_of_people(genotypes(5, 40)), tiled(np.ones((40, 3))), np.zeros((5, 3)), range(3)
    given = {"codes": codes, "values": values, "out": out, "places": np.array(places)}
    changed = {
        "people": {"values": tiled(np.ones((70, 3)))},
        "tiles": {"values": values[:, :, :8]},
        "items": {"out": np.zeros((4, 3))},
        "places": {"places": np.array([0, 1, 3])},
        "codes": {"codes": codes.astype(np.int64)},
    }
    with pytest.raises(ValueError, match=r"codes|columns|places"):
        add_products(**given | changed[fault])


def test_products_of_variants_with_each_other_are_counted_within_folds():
    """In tiles of people that fill no word, one, and several; more variants than are mirrored at a time."""
    edges = np.array([0, 1, 65, 65, 193, 5000])
    copies = genotypes(37, edges[-1])
    found = gram_by_fold(copies, People(np.arange(edges[-1]), edges))
    wide = copies.astype(np.int64)
    for f, (start, stop) in enumerate(itertools.pairwise(edges)):
        assert (found[f] == wide[:, start:stop] @ wide[:, start:stop].T).all()
    assert found.dtype == np.float32
