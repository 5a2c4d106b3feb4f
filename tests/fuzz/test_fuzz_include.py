"""Fuzzing of inclusion expressions: against the same logic written with Python's own values, and texts of any kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from fuzzing import attempt, cases
from hypothesis import given
from hypothesis import strategies as st

from deepnull_gwas.cohort import include

FRAME = pd.DataFrame(
    {"age": [30.0, 45.0, np.nan, -9.0, 1e5], "site": ["A", "B", None, "a b", "O'Hara"], "x y": [1.0, np.nan, 2.0, 2.0,
    0.5], "in": [0.0, 1.0, 0.0, 1.0, np.nan]}
)  # fmt: skip
ROWS = [{c: None if v is None or v != v else v for c, v in row.items()} for row in FRAME.to_dict("records")]
Truth = Callable[[dict], bool | None]
#: An expression: its text, what it says of a person, and how closely it binds (0 or, 1 and, 2 all else).
Planted = tuple[str, Truth, int]
_COMPARE = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def _of_number(column: str, operator: str, text: str) -> Planted:
    value = float(text)
    return (
        f"`{column}` {operator} {text}",
        lambda r: None if r[column] is None else _COMPARE[operator](r[column], value),
        2,
    )


def _of_text(operator: str, text: str) -> Planted:
    return f'site {operator} "{text}"', lambda r: None if r["site"] is None else _COMPARE[operator](r["site"], text), 2


def _of_missing(column: str, operator: str) -> Planted:
    return f"`{column}` {operator} missing", lambda r: (r[column] is None) == (operator == "=="), 2


def _of_list(values: list[str], negated: bool) -> Planted:
    listed = ", ".join(f'"{v}"' for v in values)
    return (
        f"site {'not ' if negated else ''}in [{listed}]",
        lambda r: None if r["site"] is None else (r["site"] in values) != negated,
        2,
    )


def _part(inner: Planted, level: int, always: bool) -> str:
    """Write a part of an expression: in parentheses where it binds less closely than what is around it."""
    return f"({inner[0]})" if always or inner[2] < level else inner[0]


def _not(inner: Planted, always: bool) -> Planted:
    return f"!{_part(inner, 2, always)}", lambda r: None if inner[1](r) is None else not inner[1](r), 2


def _and(left: Planted, right: Planted, word: str, always: bool) -> Planted:
    def truth(r: dict) -> bool | None:
        values = (left[1](r), right[1](r))
        return False if False in values else None if None in values else True

    return f"{_part(left, 1, always)} {word} {_part(right, 1, always)}", truth, 1


def _or(left: Planted, right: Planted, word: str, always: bool) -> Planted:
    def truth(r: dict) -> bool | None:
        values = (left[1](r), right[1](r))
        return True if True in values else None if None in values else False

    return f"{_part(left, 0, always)} {word} {_part(right, 0, always)}", truth, 0


_SITES = ["A", "B", "a b", "O'Hara"]
_LEAF = st.one_of(
    st.builds(_of_number, st.sampled_from(["age", "x y", "in"]), st.sampled_from(list(_COMPARE)), st.sampled_from(["30",
    "-9", "1e5", "45.0", ".5", "+2"])),
    st.builds(_of_text, st.sampled_from(["==", "!="]), st.sampled_from(_SITES)),
    st.builds(_of_missing, st.sampled_from(["age", "site", "x y"]), st.sampled_from(["==", "!="])),
    st.builds(_of_list, st.lists(st.sampled_from(_SITES), min_size=1, max_size=3), st.booleans()),
)  # fmt: skip
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.builds(_not, inner, st.booleans()),
        st.builds(_and, inner, inner, st.sampled_from(["&", "&&", "and", "AND"]), st.booleans()),
        st.builds(_or, inner, inner, st.sampled_from(["|", "||", "or"]), st.booleans()),
    ),
    max_leaves=10,
)


@cases(0.05)
@given(tree=_TREE)
def test_expressions_mean_what_they_say(tree):
    text, truth, _ = tree
    found = attempt("include", lambda: include.evaluate(text, FRAME.__getitem__))
    assert found is not None, f"refused: {text}"
    assert found.tolist() == [truth(r) is True for r in ROWS], text


_TOKENS = ["age", "site", "`x y`", "A", "==", "!=", "<", ">=", "=", "&", "|", "&&", "!", "not", "in", "and", "or",
"missing", "(", ")", "[", "]", ",", "30", "1e5", "'A'", '"', "`", ".", "__import__('os')", "age.__class__", "lambda:0",
"1e999", "{x}", "$(id)", ";", "é", "\n", "\0", "age)" * 30, "!" * 200, "(" * 200]  # fmt: skip


@cases(0.05)
@given(parts=st.lists(st.sampled_from(_TOKENS), max_size=12), space=st.sampled_from([" ", ""]))
def test_any_text_is_read_or_refused(parts, space):
    text = space.join(parts)
    found = attempt(
        "include, any", lambda: include.evaluate(text, lambda c: FRAME[c] if c in FRAME else FRAME["age"]), "include '"
    )
    assert found is None or len(found) == len(FRAME)
