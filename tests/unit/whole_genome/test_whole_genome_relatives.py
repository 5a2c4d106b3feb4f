"""Correlations of relatives by class: estimated from residuals, written to and read from files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.tables import write_json, write_tsv
from deepnull_gwas.verify.relatives import read_relatives
from deepnull_gwas.whole_genome.offsets import read_offsets, write_offsets
from deepnull_gwas.whole_genome.relatives import (
    RelatedPairs,
    family_covariance,
    read_correlations,
    read_related_pairs,
)


def families(rng, siblings: int, cousins: int, alone: int, rho: float = 0.3):
    """Return residuals of siblings in pairs (correlation ``rho``), of cousins (none) and of others, and the pairs."""
    n = 2 * siblings + 2 * cousins + alone
    y = rng.normal(size=n)
    first = np.r_[0 : 2 * (siblings + cousins) : 2]
    shared = rng.normal(size=siblings)
    y[: 2 * siblings] = np.sqrt(1 - rho) * y[: 2 * siblings] + np.sqrt(rho) * np.repeat(shared, 2)
    relation = np.array(["sibling"] * siblings + ["third_degree"] * cousins, dtype=object)
    kinship = np.where(relation == "sibling", 0.25, 0.0625)
    return y, RelatedPairs(first, first + 1, relation, kinship)


def test_each_class_has_its_own_correlation():
    rng = np.random.default_rng(1)
    y, pairs = families(rng, 4000, 3000, 1000)
    c = rng.normal(size=(len(y), 3))
    offset = rng.normal(size=len(y))
    found = family_covariance("quantitative", y + c @ [1, 2, 3] + offset, c, {"all": offset, "1": offset}, pairs)
    assert list(found) == ["sibling", "third_degree"]
    for relation, truth, pairs_of in (("sibling", 0.3, 4000), ("third_degree", 0.0, 3000)):
        about = found[relation]
        assert about["pairs"] == pairs_of
        assert abs(about["rho"] - truth) < 4 * about["se"] < 0.08
        assert about["rho_by_chromosome"] == {"1": pytest.approx(about["rho"], abs=1e-12)}


def test_a_binary_trait_is_measured_on_its_own_scale():
    """The products of residuals sum up to what the correlation says of those of their standard deviations."""
    rng = np.random.default_rng(2)
    liability, pairs = families(rng, 6000, 10, 0, 0.5)
    y = (liability > 1.0).astype(float)
    c = rng.normal(size=(len(y), 1))
    found = family_covariance("binary", y, c, {}, pairs)["sibling"]
    centred = y - y.mean()
    truth = (centred[0:12000:2] * centred[1:12000:2]).mean() / centred.var()
    assert found["rho"] == pytest.approx(truth, abs=0.01)
    assert found["rho_by_chromosome"] == {}
    assert truth > 0.2


def test_few_pairs_are_drawn_to_what_their_kinship_suggests():
    rng = np.random.default_rng(3)
    y, pairs = families(rng, 3000, 2, 0, 0.4)
    y[6000:6004] = [5.0, 5.0, 5.0, 5.0]
    found = family_covariance("quantitative", y, np.empty((len(y), 0)), {}, pairs)
    # the slope that siblings show (.4 at a kinship of .25), not the 25 of two outlying pairs
    assert found["sibling"]["rho"] == pytest.approx(0.4, abs=0.05)
    assert 0.0 <= found["third_degree"]["rho"] < 0.6


def test_without_relatives_there_is_nothing_to_say():
    none = RelatedPairs(*(np.empty(0, dtype=np.int64),) * 2, np.empty(0, dtype=object), np.empty(0))
    assert family_covariance("quantitative", np.arange(5.0), np.empty((5, 0)), {}, none) is None


def test_pairs_and_correlations_are_read_for_the_people_of_a_study(tmp_path):
    table = pd.DataFrame(
        {
            "sample_index_1": [0, 1, 3, 4], "sample_index_2": [1, 5, 4, 9], "fid_1": "f", "iid_1": "1", "fid_2": "f",
            "iid_2": "2", "variants": 10, "het_het": 0.1, "ibs0": 0.0, "kinship": [0.25, 0.25, 0.06, 0.25],
            "relation": ["sibling", "parent_child", "third_degree", "sibling"],
        }
    )  # fmt: skip
    write_tsv(table, tmp_path / "relatives.tsv")
    people = np.array([1, 3, 4, 5, 8])
    pairs = read_related_pairs(tmp_path / "relatives.tsv", people)
    assert pairs.first.tolist() == [0, 1]
    assert pairs.second.tolist() == [3, 2]
    assert pairs.relation.tolist() == ["parent_child", "third_degree"]
    assert pairs.among(np.array([False, True, True, True, True])).second.tolist() == [1]
    about = {"pairs": 1, "kinship": 0.25, "se": 0.1, "rho": 0.2, "rho_by_chromosome": {"7": 0.3}}
    genome = {
        "format": 1,
        "arms": {"baseline": {"relatives": {"parent_child": about}}, "deepnull": {"relatives": None}},
    }
    write_json(genome, tmp_path / "genome.json")
    found = read_correlations(tmp_path / "relatives.tsv", tmp_path / "genome.json", people)
    assert found.on("baseline", "7").tolist() == [0.3, 0.0]
    assert found.on("baseline", "X").tolist() == [0.2, 0.0]
    assert found.on("deepnull", "7").tolist() == [0.0, 0.0]
    assert read_correlations(tmp_path / "relatives.tsv", tmp_path / "genome.json", np.array([0, 8])) is None


def test_relatives_in_different_folds_are_a_class_of_their_own(tmp_path):
    rng = np.random.default_rng(6)
    n, half = 4000, 1000
    first, fold = np.arange(0, n, 2), np.zeros(n, dtype=np.int32)
    fold[1 : 2 * half : 2] = 1
    # alike in one fold, unlike in different ones, as an offset makes them
    y, shared = rng.normal(size=n), rng.normal(size=n // 2)
    y[::2] += 0.5 * shared
    y[1::2] += np.where(np.arange(n // 2) < half, -0.5, 0.5) * shared
    pairs = RelatedPairs(first, first + 1, np.full(n // 2, "sibling", dtype=object), np.full(n // 2, 0.25))
    nothing = np.empty((n, 0))
    together = family_covariance("quantitative", y, nothing, {}, pairs)
    assert list(together) == ["sibling"]
    assert abs(together["sibling"]["rho"]) < 0.08
    told = pairs.by_fold(fold)
    found = family_covariance("quantitative", y, nothing, {}, told)
    assert list(found) == ["sibling", "sibling, other fold"]
    assert found["sibling"]["rho"] == pytest.approx(0.2, abs=0.07)
    assert found["sibling, other fold"]["rho"] == pytest.approx(-0.2, abs=0.07)
    # nobody is told apart who is in one fold
    assert pairs.by_fold(np.zeros(n)).other_fold is None
    table = pd.DataFrame({"sample_index_1": first, "sample_index_2": first + 1, "kinship": 0.25, "relation": "sibling"})
    write_tsv(table, tmp_path / "relatives.tsv")
    write_offsets(tmp_path / "offsets.parquet", np.arange(n), {"baseline": {"all": y}}, ("1",), fold)
    # the other arm has no offsets
    write_json(
        {"arms": {"baseline": {"relatives": found}, "deepnull": {"relatives": together}}}, tmp_path / "genome.json"
    )
    files = tmp_path / "relatives.tsv", tmp_path / "genome.json", np.arange(n)
    known, again = read_correlations(*files), read_relatives(*files)
    inside = fold[first] == fold[first + 1]
    assert {key[0] for key in read_offsets(tmp_path / "offsets.parquet")} == {"baseline"}
    for arm, expected in (
        ("baseline", np.where(inside, found["sibling"]["rho"], found["sibling, other fold"]["rho"])),
        ("deepnull", np.full(n // 2, together["sibling"]["rho"])),
    ):
        np.testing.assert_array_equal(known.on(arm, "1"), expected)
        some = np.arange(n) >= 500
        np.testing.assert_array_equal(known.on(arm, "1", known.pairs.among(some)), expected[250:])
        assert [edge[2] for edge in again.edges(arm, "1", np.ones(n, dtype=bool))] == expected.tolist()
