"""The expressions that say whom a study includes."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.cohort import include
from deepnull_gwas.errors import InputError

FRAME = pd.DataFrame(
    {
        "age": [30.0, 45.0, np.nan, 60.0],
        "sex": [1.0, 2.0, 2.0, 1.0],
        "site": ["A", "B", None, "a b"],
        "my column": [1.0, 2.0, 3.0, -1e3],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age >= 45", [0, 1, 0, 1]),
        ("age < 45.5 & sex == 2", [0, 1, 0, 0]),
        ("age<45|sex==2", [1, 1, 1, 0]),
        # & binds more closely than |
        ("sex == 1 & age > 50 | site == B", [0, 1, 0, 1]),
        ("sex == 1 & (age > 50 | site == B)", [0, 0, 0, 1]),
        ("site in [A, B]", [1, 1, 0, 0]),
        ("site not in [A]", [0, 1, 0, 1]),
        ("age in [30, 60]", [1, 0, 0, 1]),
        ('site == "a b"', [0, 0, 0, 1]),
        ("`my column` == -1e3", [0, 0, 0, 1]),
        ("age == missing", [0, 0, 1, 0]),
        ("!(age == missing)", [1, 1, 0, 1]),
        ("site != missing and not sex == 2", [1, 0, 0, 1]),
        # unknown stays unknown under negation, and 'unknown or true' is true
        ("!(age > 50)", [1, 1, 0, 0]),
        ("age > 50 | sex == 2", [0, 1, 1, 1]),
        ("!(age > 50 & sex == 1)", [1, 1, 1, 0]),
        ("site != A", [0, 1, 0, 1]),
    ],
)
def test_evaluate(text, expected):
    assert include.evaluate(text, FRAME.__getitem__).tolist() == [bool(e) for e in expected]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("age >> 4", "at character 6: expected a value (a number, a word or quoted text), found '>'"),
        ("age = 4", "at character 5: '=' is not understood; compare with '=='"),
        ("(age > 4", "at character 9: expected ')', found the end"),
        ("age > 4 sex", "at character 9: expected '&', '|' or the end, found 'sex'"),
        ("site in A", "expected '[', found 'A'"),
        ("age", "expected a comparison"),
        ("", "expected a column"),
        ("age < missing", "can only be compared by == or !="),
        ("__import__('os')", "expected a comparison (== != < <= > >= in), found '('"),
        ('site == "A', "close the quotes"),
    ],
)
def test_errors_name_the_position(text, part):
    with pytest.raises(InputError) as error:
        include.parse(text)
    assert part in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("age == old", "column 'age' holds numbers and cannot be compared with 'old'"),
        ("site > A", "column 'site' holds text"),
        ("site == Bb", "no person has 'Bb' in column 'site' (it holds A, B, a b); did you mean 'B'?"),
    ],
)
def test_values_must_fit_the_column(text, part):
    with pytest.raises(InputError) as error:
        include.evaluate(text, FRAME.__getitem__)
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("21001-0.0 > 20", "goes in backticks: `21001-0.0`"),
        ("age > 3 & 31-0.0 == 1", "goes in backticks: `31-0.0`"),
        ("'body mass' > 3", "goes in backticks: `body mass`"),
        ("body mass > 30", "goes in backticks, as in `body mass` > 30"),
        ("height, cm > 30", "goes in backticks, as in"),
        ("bmi (kg) > 30", "goes in backticks, as in"),
        ("a/b > 30", "'/' is not understood; a column whose name has such signs in it goes in backticks"),
    ],
)
def test_backticks_are_hinted_at(text, hint):
    with pytest.raises(InputError) as error:
        include.parse(text)
    assert hint in str(error.value)


def test_columns_in_order_and_once():
    assert include.columns(include.parse("b == 1 & (a == 2 | !(b == 3)) & `c d` in [1]")) == ["b", "a", "c d"]


_LEAVES = st.sampled_from(["age > 40", "sex == 1", "site in [A, B]", "age == missing"])
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds("!({})".format, inner),
        st.builds("({}) & ({})".format, inner, inner),
        st.builds("({}) | ({})".format, inner, inner),
    ),
    max_leaves=8,
)


@given(_TREES)
def test_nobody_is_both_in_and_out(text):
    inside = include.evaluate(text, FRAME.__getitem__)
    outside = include.evaluate(f"!({text})", FRAME.__getitem__)
    assert not (inside & outside).any()
    known = FRAME["age"].notna() & FRAME["site"].notna()
    assert (inside | outside)[known].all()


@given(st.text(alphabet="abc &|!()[],=<>\"'`1.", max_size=20))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(InputError):
        include.parse(text)
