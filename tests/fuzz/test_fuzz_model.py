"""Fuzzing of saved models: bytes changed or cut off give a refusal, or the same predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fuzzing import attempt, cases
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.deepnull.predict import Ask, Files, apply_model, predict_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(1)
    age = rng.uniform(40, 70, 120).round(2)
    frame = pd.DataFrame(
        {"IID": [f"p{i}" for i in range(120)], "y": (age > 55) + rng.normal(size=120).round(3), "age": age}
    )
    frame.to_csv(folder / "p.tsv", sep="\t", index=False)
    frame.assign(IID=frame["IID"] + "x").drop(columns="y").to_csv(folder / "new.tsv", sep="\t", index=False)
    predict_table(
        Files(folder / "p.tsv", folder / "o.tsv", model=folder / "m.npz"),
        Ask(["y"], ["quantitative"], ["age"], folds=3, model="trees"),
    )
    apply_model(Files(folder / "new.tsv", folder / "right.tsv"), folder / "m.npz")
    return folder


@cases(0.03)
@given(
    flips=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(1, 255)), max_size=3),
    cut=st.floats(0, 1),
    cuts=st.booleans(),
)
def test_damaged_models(folder, flips, cut, cuts):
    data = bytearray((folder / "m.npz").read_bytes())
    for place, mask in flips:
        data[int(place * len(data))] ^= mask
    path = folder / "damaged.npz"
    path.write_bytes(bytes(data[: int(cut * len(data))] if cuts else data))
    found = attempt("model", lambda: apply_model(Files(folder / "new.tsv", folder / "n.tsv"), path), str(path))
    if found is not None:
        assert (folder / "n.tsv").read_bytes() == (folder / "right.tsv").read_bytes()
