"""Folds and parts: even, whole families, by names only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepnull_cases import folds_of, study_files
from deepnull_gwas.deepnull.crossfit import parts_of
from deepnull_gwas.deepnull.fold_steps import _join, assign_study_folds, read_fold_file
from deepnull_gwas.deepnull.folds import assign_folds, default_folds, derive_seed, roles
from deepnull_gwas.deepnull.parts import Parts
from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import read_parquet


def test_folds_are_even_and_depend_on_names_only():
    names = [f"p{i}" for i in range(1003)]
    fold = assign_folds(names, 5, 7)
    assert np.ptp(np.bincount(fold)) <= 1
    order = np.random.default_rng(1).permutation(1003)
    np.testing.assert_array_equal(assign_folds([names[i] for i in order], 5, 7), fold[order])
    assert (assign_folds(names, 5, 8) != fold).any()


def test_families_stay_together_and_cases_are_spread():
    rng = np.random.default_rng(2)
    groups = [f"f{i}" for i in rng.integers(0, 400, 1000)]
    case = (rng.random(1000) < 0.05).astype(int)
    fold = assign_folds([f"p{i}" for i in range(1000)], 5, 3, groups, case)
    assert pd.DataFrame({"g": groups, "f": fold}).groupby("g")["f"].nunique().max() == 1
    cases = np.bincount(fold[case == 1], minlength=5)
    assert np.ptp(cases) <= 2


def test_roles_part_everybody():
    fold = folds_of(100)
    for evaluated in range(5):
        train, validation, evaluation = roles(fold, evaluated, 5)
        np.testing.assert_array_equal(train.astype(int) + validation + evaluation, 1)
        assert set(fold[validation]) == {(evaluated - 1) % 5}


def test_seed_depends_on_names():
    assert derive_seed(1, "a", 2) != derive_seed(1, "a", 3)
    assert derive_seed(1, "a", 2) == derive_seed(1, "a", 2) < 2**63


def test_parts_are_whole_folds():
    fold = folds_of(200)
    for evaluated in range(5):
        part, others = parts_of(fold, evaluated, 5), fold[fold != evaluated]
        assert set(part) == set(range(4))
        assert pd.DataFrame({"p": part, "f": others}).groupby("f")["p"].nunique().max() == 1
    assert set(parts_of(folds_of(300, 3), 1, 3)) == {0, 1}
    ten = parts_of(folds_of(300, 10), 4, 10)
    assert set(ten) == set(range(5))


def test_parts_hold_out_what_a_model_must_not_have_seen():
    case = (np.random.default_rng(1).random(403) < 0.1).astype(float)
    for count in (2, 3, 4, 5):
        parts = Parts.of(np.arange(403) % count, case)
        assert parts.count == count
        for j in range(count):
            assert not (parts.trains[:, j] & parts.stops[:, j]).any()
            assert not (parts.trains | parts.stops)[parts.part == j, j].any()
            # all others but the few who stop it
            assert parts.stops[:, j].sum() <= 0.25 * (parts.part != j).sum() + 1
            for who in (parts.trains, parts.stops):
                assert 0 < case[who[:, j]].sum() < who[:, j].sum()


def test_folds_of_the_users_own(tmp_path):
    people = pd.DataFrame({"fid": ["0", "0", "f"], "iid": ["a", "b", "c"]})
    path = tmp_path / "folds.tsv"
    path.write_text("#IID\tfold\nc\t2\na\t0\nb\t1\nother\t1\n")
    assert read_fold_file(path, people, 3).tolist() == [0, 1, 2]
    path.write_text("FID,IID,fold\nf,c,2\n0,a,0\n0,b,1\n")
    assert read_fold_file(path, people, 3).tolist() == [0, 1, 2]
    for text, words in (
        ("IID\tpart\na\t0\n", "no column 'fold'"),
        ("IID\tfold\na\t0\nb\t3\nc\t1\n", "row 3: fold '3', expected a whole number from 0 to 2"),
        ("IID\tfold\na\t0\nb\t1\n", "1 of 3 people analysed have no fold \\(c\\)"),
        ("IID\tfold\na\t0\na\t1\n", "a is there more than once"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_fold_file(path, people, 3)


def test_number_of_folds_where_none_is_set(tmp_path):
    y = np.zeros(1999)
    assert default_folds(y, "quantitative") == 10
    assert default_folds(np.zeros(2000), "quantitative") == default_folds(np.zeros(90), "quantitative") == 5
    assert default_folds(y, "quantitative", original=True) == 5
    y[:49] = 1
    assert default_folds(y, "binary") == 5
    y[:50] = 1
    assert default_folds(y, "binary") == 10
    study_files(tmp_path, n=120)
    files = [tmp_path / f for f in ("samples.parquet", "study.json")]
    assign_study_folds(*files, None, 1, tmp_path / "f")
    assert read_parquet(tmp_path / "f")["fold"].max() == 9
    # a table of the user's own says it itself
    (tmp_path / "own").write_text("IID\tfold\n" + "".join(f"p{i}\t{i % 4}\n" for i in range(120)))
    assign_study_folds(*files, None, 1, tmp_path / "f", fold_file=tmp_path / "own")
    assert read_parquet(tmp_path / "f")["fold"].max() == 3
    (tmp_path / "own").write_text("IID\tfold\n" + "".join(f"p{i}\t{i % 2}\n" for i in range(120)))
    with pytest.raises(InputError, match="folds 0, 1, expected three or more"):
        assign_study_folds(*files, None, 1, tmp_path / "f", fold_file=tmp_path / "own")


def test_families_found_by_kinship_join_those_of_the_fid():
    groups = np.array(["a", "a", "b", "c", "d", "e"], dtype=object)
    families = pd.DataFrame({"sample_index": [10, 11, 12, 13, 14], "family": [1, 2, 1, 3, 3]})
    joined = _join(groups, families, pd.Series([10, 11, 12, 13, 14, 15]))
    # a and b share family 1, c and d family 3; e is in no family
    assert joined[0] == joined[1] == joined[2]
    assert joined[3] == joined[4]
    assert len(set(joined)) == 3
