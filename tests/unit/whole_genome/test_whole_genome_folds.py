"""Folds of the whole-genome regression."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.families import family_clusters
from deepnull_gwas.whole_genome.folds import folds_of_people, genome_folds


def people(n: int, pairs: list[tuple[int, int, float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return families and relatives as ``estimate_kinship`` writes them, with gaps in ``sample_index``."""
    index = 2 * np.arange(n)
    first, second = (np.array([p[side] for p in pairs], dtype=np.int64) for side in (0, 1))
    names = [f"i{i}" for i in range(n)]
    family = family_clusters(n, first, second)
    families = pd.DataFrame({"sample_index": index, "fid": names, "iid": names, "family": family})
    relatives = pd.DataFrame(
        {"sample_index_1": index[first], "sample_index_2": index[second], "kinship": [p[2] for p in pairs]}
    )
    return families, relatives


def test_families_stay_together_and_folds_are_balanced():
    families, relatives = people(1000, [(i, i + 500, 0.25) for i in range(300)] + [(600, 700, 0.1)])
    fold = genome_folds(families, 10, 3, relatives)
    assert fold.dtype == np.int32
    assert (fold[1::2] == -1).all()
    own = fold[::2]
    assert (own[:300] == own[500:800]).all()
    assert own[600] == own[700]
    sizes = np.bincount(own)
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 1


def test_folds_depend_on_names_not_on_the_order_of_the_file():
    families, relatives = people(400, [(i, i + 1, 0.25) for i in range(0, 100, 3)])
    fold = genome_folds(families, 5, 1, relatives)
    order = np.random.default_rng(1).permutation(400)
    place = np.empty(400, dtype=np.int64)
    place[order] = np.arange(400)
    permuted = families.iloc[order].reset_index(drop=True).assign(sample_index=2 * np.arange(400))
    sides = {c: 2 * place[relatives[c] // 2] for c in ("sample_index_1", "sample_index_2")}
    other = genome_folds(permuted, 5, 1, relatives.assign(**sides))
    assert (other[::2] == fold[::2][order]).all()
    assert (genome_folds(families, 5, 2, relatives) != fold).any()


def test_a_cluster_of_most_people_is_cut_where_they_are_least_related(caplog):
    # 50 pairs of siblings that distant kinship joins to one cluster
    siblings = [(2 * i, 2 * i + 1, 0.25) for i in range(50)]
    families, relatives = people(200, siblings + [(2 * i, 2 * i + 2, 0.06) for i in range(49)])
    with caplog.at_level(logging.WARNING):
        fold = genome_folds(families, 10, 1, relatives)[::2]
    assert "100 people are in clusters of relatives of more than 20 people" in caplog.text
    assert (fold[:100:2] == fold[1:100:2]).all()
    assert np.bincount(fold).max() <= 21


def test_a_cluster_of_close_relatives_is_cut_by_chance(caplog):
    families, relatives = people(100, [(i, i + 1, 0.25) for i in range(99)])
    with caplog.at_level(logging.WARNING):
        fold = genome_folds(families, 10, 1, relatives)[::2]
    assert "they are split by chance" in caplog.text
    assert (np.bincount(fold) == 10).all()
    assert (genome_folds(families, 10, 1)[::2] == fold).all()  # without the pairs too


def test_few_people_and_none():
    families, relatives = people(3, [])
    assert sorted(genome_folds(families, 10, 1, relatives)[::2]) == [0, 1, 2]
    assert len(genome_folds(families.iloc[:0], 10, 1)) == 0


def test_folds_of_a_study_have_no_gaps():
    folds = np.array([3, -1, 5, 0, 5], dtype=np.int32)
    assert folds_of_people(folds, np.array([0, 2, 4])).tolist() == [0, 1, 1]
