"""Fuzzing of sample tables in Parquet: every type that pandas, polars or Arrow write."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import LOOKALIKES, MISSING, NUMBERS, WORDS, attempt, cases, column_reading, same
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.cohort.sample_table import read_sample_table

_FLOATS = [1.0, -9.0, 0.5, 1e300, math.nan, math.inf, -math.inf, None, 1001.0, 2.0**60]


def _numbers(values: list) -> list:
    """Return what numbers mean: themselves, or text throughout where one of them is infinite."""
    if any(v is not None and math.isinf(v) for v in values):
        return [None if v is None or math.isnan(v) else pa.scalar(v).cast(pa.string()).as_py() for v in values]
    return [None if v is None or math.isnan(v) else v for v in values]


@st.composite
def columns(draw: st.DrawFn, n: int) -> tuple[pa.Array, list | None]:
    """Return a column, and what it means (None: nothing that a phenotype could be)."""

    def some_of(values: list) -> list:
        return draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))

    kind = draw(
        st.sampled_from(
            [
                "float",
                "int",
                "bool",
                "text",
                "large",
                "view",
                "dictionary",
                "decimal",
                "date",
                "null",
                "list",
                "struct",
                "binary",
                "duration",
                "half",
            ]
        )
    )
    match kind:
        case "float":
            values = some_of(_FLOATS)
            return pa.array(values, pa.float64()), _numbers(values)
        case "half":
            values = some_of([1.0, 0.5, None])
            return pa.array([None if v is None else np.float16(v) for v in values], pa.float16()), _numbers(values)
        case "int":
            values = some_of([0, 1, -9, 2**31, None])
            return pa.array(
                values, draw(st.sampled_from([pa.int64(), pa.uint64()])) if -9 not in values else pa.int64()
            ), values
        case "bool":
            values = some_of([True, False, None])
            return pa.array(values, pa.bool_()), [None if v is None else float(v) for v in values]
        case "text" | "large" | "view" | "dictionary":
            values = some_of([*NUMBERS, *WORDS, *LOOKALIKES[:20], None, "NA"])
            array = pa.array(
                values, pa.large_string() if kind == "large" else pa.string_view() if kind == "view" else pa.string()
            )
            array = array.dictionary_encode() if kind == "dictionary" else array
            return array, column_reading(["" if v is None else v for v in values], MISSING)
        case "decimal":
            values = some_of([decimal.Decimal("1.50"), decimal.Decimal("-2.25"), None])
            return pa.array(values, pa.decimal128(10, 2)), [None if v is None else float(v) for v in values]
        case "date":
            values = some_of([datetime.date(2020, 1, 2), None])
            return pa.array(values, pa.date32()), [None if v is None else "2020-01-02" for v in values]
        case "null":
            return pa.nulls(n), [None] * n
        case "list":
            return pa.array([[1]] * n), None
        case "struct":
            return pa.array([{"a": 1}] * n), None
        case "binary":
            return pa.array([b"\xff"] * n), None
        case _:
            return pa.array([datetime.timedelta(1)] * n), None


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, list[str] | None, dict]:
    """Return a table, its people's IDs (None: it has none that could be), and what its columns mean."""
    n = draw(st.integers(1, 6))
    numbers = list(range(1, n + 1))
    ids = draw(
        st.sampled_from(
            [
                (pa.array([f"0{i}" for i in numbers]), [f"0{i}" for i in numbers]),
                (pa.array(numbers), [str(i) for i in numbers]),
                (pa.array([float(i) for i in numbers]), [str(i) for i in numbers]),
                (pa.array([*[float(i) for i in numbers[1:]], math.nan]), None),
                (
                    pa.array([*[float(i) for i in numbers[1:]], math.inf]),
                    [*([str(i) for i in numbers[1:]] if n == 1 else [f"{i}" for i in numbers[1:]]), "inf"],
                ),
                (pa.array([*numbers[1:], None], pa.int64()), None),
                (pa.array([[1]] * n), None),
            ]
        )
    )
    names = draw(
        st.lists(
            st.sampled_from(["a", "b", "x y", "line\nbreak", "tab\t", "<script>", "é"]),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    drawn = {name: draw(columns(n)) for name in names}
    readable = (
        ids[1] is not None
        and all(m is not None for _, m in drawn.values())
        and not {"line\nbreak", "tab\t"} & set(names)
    )
    table = pa.table([ids[0], *[a for a, _ in drawn.values()]], names=["IID", *names])
    return table, ids[1] if readable else None, {name: meaning for name, (_, meaning) in drawn.items()}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("parquet") / "t.parquet"


@cases(0.05)
@given(planted=tables())
def test_sample_tables_in_parquet(path, planted):
    table, ids, meanings = planted
    pq.write_table(table, path)
    found = attempt("parquet table", lambda: read_sample_table(path, missing_values=MISSING), str(path))
    assert (found is None) == (ids is None), f"{'refused' if found is None else 'accepted'}: {table}"
    if found is None:
        return
    assert [k.removesuffix(".0") for k in found.keys] == ids
    for name, meaning in meanings.items():
        assert same(found.columns[name], meaning), (name, meaning, found.columns[name].tolist())


@cases(0.02)
@given(
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), min_size=1, max_size=4), cut=st.floats(0.2, 1.0)
)
def test_damaged_parquet(path, flips, cut):
    table = pa.table({"IID": ["a", "b", "c"], "age": [1.0, 2.0, 3.0], "site": ["x", "y", "x"]})
    pq.write_table(table, path, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    for place, mask in flips:
        data[int(place * len(data))] ^= mask
    path.write_bytes(bytes(data[: int(cut * len(data))]))
    attempt("damaged parquet", lambda: read_sample_table(path, missing_values=MISSING), str(path))
