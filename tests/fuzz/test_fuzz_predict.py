"""Fuzzing of the tables of `deepnull-gwas predict`: what was planted, or a refusal that names file and row."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
from fuzzing import LOOKALIKES, NUMBERS, attempt, cases, reading
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.deepnull.people_table import numbers, read_people_table
from deepnull_gwas.deepnull.predict import MISSING

_CELLS = [c for c in (*NUMBERS, *LOOKALIKES) if not set(c) & set(' ,\t"')]
cell = st.one_of(st.sampled_from(NUMBERS), st.sampled_from([*NUMBERS, "NA", "."]), st.sampled_from(_CELLS))


@st.composite
def tables(draw: st.DrawFn):
    n = draw(st.integers(1, 6))
    ids = draw(
        st.lists(
            st.sampled_from(["1", "01", "1.0", "p1", "P1", "a'b", "é", "-9", "$(id)", "x" * 300]),
            min_size=n,
            max_size=n,
            unique=True,
        )
    )
    values = draw(st.lists(cell, min_size=n, max_size=n))
    separator = draw(st.sampled_from(["\t", ",", " "]))
    header = draw(st.sampled_from([["FID", "IID", "y"], ["#FID", "IID", "y"]]))
    rows = [["0", i, v] for i, v in zip(ids, values)]
    if draw(st.booleans()):
        header, rows = ["IID", "y"], [r[1:] for r in rows]
    lines = [separator.join(r) for r in [header, *rows]]
    damage = draw(
        st.sampled_from(
            [None] * 8
            + [
                "short",
                "long",
                "nul",
                "latin1",
                "twice",
                "twice a column",
                "no header",
                "empty",
                "cut gzip",
                "bad gzip",
            ]
        )
    )
    at = draw(st.integers(1, n))
    match damage:
        case "short":
            lines[at] = separator.join(rows[at - 1][:-1])
        case "long":
            lines[at] += separator + "7"
        case "nul" | "latin1":
            lines[at] += "~"
        case "twice":
            lines.append(lines[at])
        case "twice a column":
            lines = [line + separator + ("y" if k == 0 else "1") for k, line in enumerate(lines)]
        case "no header":
            del lines[0]
        case "empty":
            lines = []
    text = "\n".join(lines) + draw(st.sampled_from(["\n", "", "\n\n"]))
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))
    data = text.encode().replace(b"~", {"nul": b"\0", "latin1": b"\xe9"}.get(damage or "", b"~"))
    if damage == "cut gzip":
        data = gzip.compress(data, mtime=0)[:-2]
    elif damage == "bad gzip":
        data = bytearray(gzip.compress(data * 3, mtime=0))
        data[12] ^= 0x55
    elif draw(st.integers(0, 5)) == 0:
        data = gzip.compress(b"\xef\xbb\xbf" + data, mtime=0)
    return ids, values, bytes(data), damage, at + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@cases(0.06)
@given(planted=tables())
def test_tables_of_predict(folder, planted):
    ids, values, data, damage, row = planted
    path = folder / "p.txt"
    path.write_bytes(data)

    def read() -> tuple[list[str], np.ndarray]:
        table = read_people_table(path)
        return [p.split(" ")[-1] for p in table.people], numbers(table, "y", MISSING, "a target holds numbers")

    found = attempt("predict", read, str(path), row=row if damage in ("short", "long", "nul", "latin1") else None)
    meant = [reading(v, MISSING) for v in values]
    readable = not any(isinstance(v, str) for v in meant)
    if found is None:
        assert damage is not None or not readable, f"refused: {data!r}"
        return
    assert damage is None and readable, f"accepted with '{damage}': {data!r}"
    assert found[0] == ids
    np.testing.assert_array_equal(found[1], [math.nan if v is None else v for v in meant])
