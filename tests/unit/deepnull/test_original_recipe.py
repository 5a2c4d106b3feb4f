"""The recipe of the original DeepNull."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deepnull_cases import all_steps, study_files
from deepnull_gwas.deepnull.fold_steps import assign_study_folds
from deepnull_gwas.deepnull.folds import original_folds, roles
from deepnull_gwas.deepnull.steps import load_model
from deepnull_gwas.errors import StudyFailure
from deepnull_gwas.tables import read_parquet


def test_the_original_recipe(tmp_path, monkeypatch):
    from deepnull_gwas.deepnull import original

    monkeypatch.setattr(original.fit_original, "__defaults__", ("cpu", 3))
    for binary in (False, True):
        folder = tmp_path / str(binary)
        folder.mkdir()
        frame = study_files(folder, binary=binary)
        metrics, prediction = all_steps(folder, {"folds": 3, "use_pcs": True, "recipe": "original"})
        assert metrics["status"] == "ok"
        assert metrics["model"] == "original"
        rows = prediction["fold"] == 1
        logits = load_model(folder / "models.npz", 1).predict(
            frame.loc[rows.to_numpy(), [f"cov_{c}" for c in "abcde"]].to_numpy()
        )
        # its covariate is the probability
        expected = 1 / (1 + np.exp(-logits)) if binary else logits
        np.testing.assert_allclose(prediction.loc[rows, "deepnull_covariate"], expected, rtol=1e-6)


def test_the_original_recipe_raises_where_the_original_goes_wrong():
    from deepnull_gwas.deepnull.original import fit_original, pearson

    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 1500))
    # batches of 1,024 and 476, averaged without regard to their size
    expected = (np.corrcoef(a[:1024], b[:1024])[0, 1] + np.corrcoef(a[1024:], b[1024:])[0, 1]) / 2
    assert pearson(a, b) == pytest.approx(expected)
    with pytest.raises(StudyFailure, match="leave one in the last batch"):
        pearson(a[:1025], b[:1025])
    with pytest.raises(StudyFailure, match="constant"):
        pearson(np.zeros(100), b[:100])
    x = rng.normal(size=(3075, 2))
    with pytest.raises(StudyFailure, match="leave one in the last batch"):
        fit_original(x, x[:, 0], roles(np.repeat([0, 1, 2], 1025), 1, 3), ["a", "b"], "quantitative", 1, epochs=1)


def test_folds_of_the_original():
    """IDs sorted, shuffled by Python's generator, dealt out; whole numbers sort as numbers, as pandas reads them."""
    import random

    for ids, key in ((["b", "a10", "a9", "c", "10", "9"], str), (["12", "3", "100", "21", "7"], int)):
        order = sorted(ids, key=key)
        random.seed(318753108)
        random.shuffle(order)
        dealt = {name: i % 3 for i, name in enumerate(order)}
        assert original_folds(ids, 3, 318753108).tolist() == [dealt[name] for name in ids]


def test_steps_of_the_original_recipe_deal_its_folds(tmp_path):
    frame = study_files(tmp_path, n=60)
    assign_study_folds(
        *(tmp_path / f for f in ("samples.parquet", "study.json")), None, 5, tmp_path / "f", original=True
    )
    np.testing.assert_array_equal(read_parquet(tmp_path / "f")["fold"], original_folds(list(frame["iid"]), 5, 5))


def test_batches_of_the_original():
    from deepnull_gwas.deepnull.original import batches, buffered_order

    class Draws:
        """A generator whose draws are known."""

        def integers(self, low, high, size):
            return np.array([1, 1, 0, 2])[:size]

        def permutation(self, values):
            return np.asarray(values)[::-1]

    # a buffer of 3: person 1 is drawn and 3 takes the place, 3 is drawn (4), 0 (5), 2 (6); 5, 4, 6 are left
    assert buffered_order(7, Draws(), 3).tolist() == [1, 3, 0, 2, 6, 4, 5]
    rng = np.random.default_rng(1)
    for n in (5, 1024, 12_000):
        assert sorted(buffered_order(n, rng)) == list(range(n))
    # nobody is drawn before they are in the buffer
    assert (buffered_order(30_000, rng)[:15_000] < 25_000).all()
    few = list(itertools.islice(batches(300, rng), 3))
    assert [len(b) for b in few] == [1024] * 3
    together = np.concatenate(few)
    for i in range(10):
        # passes one after the other, everybody once in each, in new orders
        assert sorted(together[i * 300 : (i + 1) * 300]) == list(range(300))
    assert (together[:300] != together[300:600]).any()
