"""Which FIDs name a family."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.cohort.families import names_of_families
from deepnull_gwas.deepnull.fold_steps import family_groups
from deepnull_gwas.deepnull.folds import assign_folds
from deepnull_gwas.tables import write_parquet


def sizes(groups) -> list[int]:
    return sorted(np.unique(groups, return_counts=True)[1].tolist(), reverse=True)


@pytest.mark.parametrize(
    ("fid", "expected"),
    [
        (["0"] * 30, [1] * 30),
        ([""] * 30, [1] * 30),
        (["all"] * 30, [1] * 30),
        ([f"f{i // 4}" for i in range(40)], [4] * 10),
        # a large pedigree among many people
        (["big"] * 40 + [f"p{i}" for i in range(500)], [40] + [1] * 500),
        # populations, beside families in one of them
        (["CEU"] * 100 + ["TSI"] * 100 + [f"f{i // 2}" for i in range(20)], [2] * 10 + [1] * 200),
        (["CEU"] * 20 + ["TSI"] * 20 + ["FIN"] * 20, [1] * 60),
        # sites of 60 people, each a small share of all
        ([f"site{i // 60}" for i in range(1200)], [1] * 1200),
    ],
)
def test_who_is_a_family(fid, expected, caplog):
    with caplog.at_level(logging.WARNING):
        groups = names_of_families(fid, [f"i{i}" for i in range(len(fid))])
    assert sizes(groups) == expected
    lost = len(set(fid)) > 1 and sizes(groups) != sizes(fid)
    assert ("too many people for a family" in caplog.text) == lost


def test_a_population_is_said_and_dealt_out(caplog):
    fid = np.repeat(["CEU", "FIN", "GBR"], 100)
    people = pd.DataFrame({"sample_index": np.arange(300), "fid": fid, "iid": [f"i{i}" for i in range(300)]})
    with caplog.at_level(logging.WARNING):
        groups = family_groups(people)
    assert "3 FIDs have too many people for a family (CEU: 100 people, FIN: 100 people, GBR: 100 people)" in caplog.text
    assert "relatives among them may come into different folds" in caplog.text
    fold = assign_folds(people["iid"], 5, 1, groups)
    for name in ("CEU", "FIN", "GBR"):
        assert len(np.unique(fold[fid == name])) == 5
    assert np.bincount(fold).tolist() == [60] * 5


def test_kinship_holds_relatives_of_a_population_together(tmp_path, caplog):
    people = pd.DataFrame(
        {"sample_index": np.arange(60), "fid": np.repeat(["CEU", "TSI"], 30), "iid": [f"i{i}" for i in range(60)]}
    )
    families = pd.DataFrame({"sample_index": np.arange(60), "family": np.arange(60)})
    families.loc[[3, 40], "family"] = 0
    write_parquet(families, tmp_path / "families.parquet")
    with caplog.at_level(logging.WARNING):
        groups = family_groups(people, tmp_path / "families.parquet")
    assert "kinship tells who is related" in caplog.text
    assert groups[0] == groups[3] == groups[40]
    assert sizes(groups) == [3] + [1] * 57
