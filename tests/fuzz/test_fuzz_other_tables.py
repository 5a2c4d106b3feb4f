"""Fuzzing of the smaller tables of the user: related pairs, loadings, folds."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pandas as pd
import pytest
from fuzzing import LOOKALIKES, MISSING, NUMBERS, attempt, cases, reading
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.cohort.projection import read_loadings
from deepnull_gwas.cohort.relatives import read_pairs
from deepnull_gwas.deepnull.fold_steps import read_fold_file

PEOPLE = ["1", "01", "1.0", "p1", "P1", "a'b", "é", "-9", "$(id)", "7_7"]
_CELLS = [c for c in (*NUMBERS, *LOOKALIKES) if not set(c) & set(' ,;\t"')]
cell = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(_CELLS))
# half of the tables hold nothing but numbers, so that readings are compared often, not only refusals
cells = st.sampled_from([st.sampled_from(NUMBERS), cell])


@st.composite
def forms(draw: st.DrawFn, header: list[str], rows: list[list[str]]) -> tuple[bytes, str | None, int]:
    """Write a table in some form with some damage: bytes, the damage, and its row."""
    separator = draw(st.sampled_from(["\t", " ", ","]))
    # one blank or another between columns
    blanks = draw(st.sampled_from(["", " "])) if separator == " " else ""
    lines = [blanks + separator.join(r) for r in [header, *rows]]
    damage = draw(
        st.sampled_from([None] * 8 + ["short", "long", "quote", "nul", "latin1", "twice a column", "empty", "cut gzip"])
    )
    at = draw(st.integers(1, len(rows)))
    match damage:
        case "short":
            lines[at] = separator.join(rows[at - 1][:-1])
        case "long":
            lines[at] += separator + "7"
        case "quote":
            lines[at] = blanks + '"' + lines[at].strip()
        case "nul" | "latin1":
            lines[at] += "~"
        case "twice a column":
            lines = [line + separator + (header[-1] if k == 0 else "1") for k, line in enumerate(lines)]
        case "empty":
            lines = []
    text = "\n".join(lines) + draw(st.sampled_from(["\n", ""]))
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))
    data = text.encode().replace(b"~", {"nul": b"\0", "latin1": b"\xe9"}.get(damage or "", b"~"))
    if damage == "cut gzip":
        data = gzip.compress(data, mtime=0)[:-2]
    elif draw(st.integers(0, 5)) == 0:
        data = gzip.compress(b"\xef\xbb\xbf" + data, mtime=0)
    return data, damage, at + 1


def named(damage: str | None, row: int) -> int | None:
    return row if damage in ("short", "long", "nul", "latin1") else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@st.composite
def pairs(draw: st.DrawFn):
    n = draw(st.integers(1, 5))
    ids = st.sampled_from([*PEOPLE, "stranger"])
    kinship = draw(cells)
    rows = [[draw(ids), draw(ids), draw(kinship)] for _ in range(n)]
    header = draw(
        st.sampled_from(
            [
                ["IID1", "IID2", "KINSHIP"],
                ["#IID1", "IID2", "KINSHIP"],
                ["ID1", "ID2", "Kinship"],
                ["iid_1", "iid_2", "kinship"],
            ]
        )
    )
    return rows, *draw(forms(header, rows))


@cases(0.06)
@given(planted=pairs())
def test_related_pairs(folder, planted):
    rows, data, damage, row = planted
    path = folder / "pairs.txt"
    path.write_bytes(data)
    people = pd.DataFrame({"sample_index": range(len(PEOPLE)), "fid": PEOPLE, "iid": PEOPLE})
    found = attempt("relatives", lambda: read_pairs(path, people), str(path), row=named(damage, row))
    values = [reading(r[2], MISSING) for r in rows]
    known = [i for i, r in enumerate(rows) if r[0] in PEOPLE and r[1] in PEOPLE and r[0] != r[1]]
    readable = known and not any(isinstance(v, str) for v in values)
    if found is None:
        assert damage is not None or not readable, f"refused: {data!r}"
        return
    assert damage is None and readable, f"accepted with '{damage}': {data!r}"
    meant = sorted(
        (*sorted(PEOPLE.index(c) for c in rows[i][:2]), math.inf if values[i] is None else values[i]) for i in known
    )
    got = found[["sample_index_1", "sample_index_2", "kinship"]].fillna({"kinship": math.inf})
    assert sorted(map(tuple, got.to_numpy().tolist())) == [tuple(map(float, m)) for m in meant]


@st.composite
def folds(draw: st.DrawFn):
    people = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=6, unique=True))
    fold = st.one_of(
        st.sampled_from(["0", "1", "2"]), st.sampled_from(["0", "1", "2"]), cell, st.sampled_from(["NA", "3"])
    )
    listed = people if draw(st.integers(0, 9)) else people[1:] or people
    rows = [[p, draw(fold)] for p in draw(st.permutations(listed))]
    header = draw(st.sampled_from([["IID", "fold"], ["#IID", "FOLD"], ["iid", "Fold"]]))
    return people, rows, *draw(forms(header, rows))


@cases(0.05)
@given(planted=folds())
def test_folds(folder, planted):
    people, rows, data, damage, row = planted
    path = folder / "folds.txt"
    path.write_bytes(data)
    frame = pd.DataFrame({"fid": people, "iid": people})
    found = attempt("folds", lambda: read_fold_file(path, frame, 3), str(path), row=named(damage, row))
    meant = {r[0]: reading(r[1]) for r in rows}
    readable = all(v in (0, 1, 2) for v in meant.values()) and set(people) <= set(meant)
    if found is None:
        assert damage is not None or not readable, f"refused: {data!r}"
        return
    assert damage is None and readable, f"accepted with '{damage}': {data!r}"
    assert found.tolist() == [meant[p] for p in people]


@st.composite
def loadings(draw: st.DrawFn):
    n = draw(st.integers(1, 5))
    loading = draw(cells)
    position, frequency = [
        st.sampled_from(["1", "500", "1e5", "12.0"]),
        st.sampled_from(["0.5", "0.25", "0", "1", "NA"]),
    ]
    if not draw(st.booleans()):
        position, frequency = st.one_of(position, cell), st.one_of(frequency, cell)
    rows = [
        [
            draw(st.sampled_from(["1", "chr2", "X", "23", "0", "odd"])),
            draw(position),
            "T", draw(st.sampled_from(["F", "NA", "true", "C"])),
            draw(frequency),
            draw(loading),
        ]
        for _ in range(n)
    ]  # fmt: skip
    header = ["chromosome", "position", "effect_allele", "other_allele", "effect_allele_frequency", "PC1"]
    return rows, *draw(forms(header, rows))


@cases(0.05)
@given(planted=loadings())
def test_loadings(folder, planted):
    rows, data, damage, row = planted
    path = folder / "loadings.txt"
    path.write_bytes(data)
    found = attempt("loadings", lambda: read_loadings(path), str(path), row=named(damage, row))
    meant = [[reading(c, MISSING) for c in (r[1], r[4], r[5])] for r in rows]
    readable = all(
        isinstance(p, float) and p.is_integer() and 0 <= p < 2**31 and (f is None or (isinstance(f,
        float) and 0 <= f <= 1)) and isinstance(u, float)
        for p, f, u in meant
    )  # fmt: skip
    if found is None:
        assert damage is not None or not readable, f"refused: {data!r}"
        return
    assert damage is None and readable, f"accepted with '{damage}': {data!r}"
    table, names, _ = found
    assert names == ["PC1"]
    values = table[["position", "effect_allele_frequency", "PC1"]].to_numpy(dtype=float)
    np.testing.assert_array_equal(values, np.array([[math.nan if v is None else v for v in m] for m in meant]))
    assert table["chromosome"].tolist() == [{"1": "1", "chr2": "2", "X": "X", "23": "X"}.get(r[0]) for r in rows]
    assert table[["effect_allele", "other_allele"]].to_numpy().tolist() == [r[2:4] for r in rows]
