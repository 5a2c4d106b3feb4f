"""Expressions that say whom a study includes, such as ``age >= 40 & site in [A, B] | !(bmi == missing)``.

A grammar of our own, read by a tokeniser and recursive descent; nothing is evaluated as code::

    any        = all { ("|" | "or") all }
    all        = not { ("&" | "and") not }
    not        = ("!" | "not") not | "(" any ")" | comparison
    comparison = column ("==" | "!=" | "<" | "<=" | ">" | ">=") value
               | column ("==" | "!=") "missing"
               | column ["not"] "in" "[" value { "," value } "]"
    column     = word | `any text`
    value      = number | word | "text" | 'text'

Logic has three values, as in SQL: a comparison with a missing value is unknown, so is its negation, and people for whom
the whole is unknown are not included.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepnull_gwas.errors import InputError, nearest, some
from deepnull_gwas.text import shorten

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+(?![\w.]))
      | (?P<word>\w++(?:[.\-]\w++)*+)
      | (?P<column>`[^`]+`)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<op>==|!=|<=|>=|<|>)
      | (?P<and>&&?)
      | (?P<or>\|\|?)
      | (?P<not>!)
      | (?P<punctuation>[()\[\],])""",
    re.VERBOSE,
)
#: Parentheses and negations in one another, at most.
MOST_LEVELS = 50
_KEYWORDS = {"and", "or", "not", "in", "missing"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int  # 1-based


@dataclass(frozen=True)
class Value:
    """A literal: its text, and its number if it is one (quoted text never is)."""

    text: str
    number: float | None


@dataclass(frozen=True)
class Comparison:
    """One comparison of a column with literals; ``operator`` is ``== != < <= > >= in missing``."""

    column: str
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Not:
    """Negation."""

    inner: Node


@dataclass(frozen=True)
class Junction:
    """All (``&``) or any (``|``) of the parts."""

    operator: str
    parts: tuple[Node, ...]


Node = Comparison | Not | Junction


def _tokenise(text: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            rest = text[position]
            hint = "; a column whose name has such signs in it goes in backticks, as in `body mass` > 30"
            hint = "; compare with '=='" if rest == "=" else "; close the quotes" if rest in "\"'`" else hint
            raise InputError(
                f"include '{shorten(text, 200)}': at character {position + 1}: '{rest}' is not understood{hint}"
            )
        kind = str(found.lastgroup)
        if kind != "space":
            word = found.group()
            if kind == "word" and word.lower() in _KEYWORDS:
                kind = word.lower()
            tokens.append(_Token(kind, word, position + 1))
        position = found.end()
    tokens.append(_Token("end", "the end", len(text) + 1))
    return tokens


class _Parser:
    def __init__(self, text: str):
        self.text, self.whole = shorten(text, 200), text
        self.tokens = _tokenise(text)
        self.next = 0
        self.level = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def fail(self, expected: str, hint: str = "") -> InputError:
        found = self.token
        what = "the end" if found.kind == "end" else f"'{shorten(found.text)}'"
        return InputError(
            f"include '{self.text}': at character {found.position}: expected {expected}, found {what}{hint}"
        )

    def odd_name(self) -> str:
        """Return a hint how to write a name with more in it than letters, digits, _, . and -, or a leading digit."""
        start = self.token.position - 1
        end = next(
            (t.position - 1 for t in self.tokens[self.next :] if t.kind in ("op", "in", "not", "and", "or", "end")),
            start,
        )
        name = self.whole[start:end].strip()
        if self.token.kind not in ("number", "text", "in", "missing") or not name:
            return ""
        return (
            "; a column whose name begins with a digit or has blanks or signs in it goes in backticks: "
            f"`{shorten(name.strip(chr(34) + chr(39)))}`"
        )

    def take(self) -> _Token:
        token = self.token
        self.next += 1
        return token

    def accept(self, kind: str, text: str | None = None) -> bool:
        if self.token.kind == kind and (text is None or self.token.text == text):
            self.next += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept("punctuation", text):
            raise self.fail(f"'{text}'")

    def parse(self) -> Node:
        tree = self.junction("or", "|", lambda: self.junction("and", "&", self.negation))
        if self.token.kind != "end":
            raise self.fail("'&', '|' or the end")
        return tree

    def junction(self, kind: str, operator: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self.accept(kind):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(operator, tuple(parts))

    def negation(self) -> Node:
        self.level += 1
        if self.level > MOST_LEVELS:
            raise InputError(
                f"include '{self.text}': at character {self.token.position}: more than {MOST_LEVELS} parentheses or "
                "negations in one another"
            )
        if self.accept("not"):
            node: Node = Not(self.negation())
        elif self.accept("punctuation", "("):
            node = self.junction("or", "|", lambda: self.junction("and", "&", self.negation))
            self.expect(")")
        else:
            node = self.comparison()
        self.level -= 1
        return node

    def comparison(self) -> Node:
        if self.token.kind not in ("word", "column"):
            raise self.fail("a column, '!' or '('", self.odd_name())
        column = self.take().text.strip("`")
        negated = self.accept("not")
        if self.accept("in"):
            self.expect("[")
            values = [self.value()]
            while self.accept("punctuation", ","):
                values.append(self.value())
            self.expect("]")
            found = Comparison(column, "in", tuple(values))
            return Not(found) if negated else found
        if negated:
            raise self.fail("'in'")
        if self.token.kind != "op":
            hint = ""
            if self.token.kind in ("word", "number", "punctuation"):
                hint = "; a column whose name has blanks or signs in it goes in backticks, as in `body mass` > 30"
            raise self.fail("a comparison (== != < <= > >= in)", hint)
        operator = self.take().text
        if self.token.kind == "missing":
            if operator not in ("==", "!="):
                raise InputError(
                    f"include '{self.text}': at character {self.token.position}: 'missing' can only be compared by == "
                    "or !="
                )
            self.take()
            found = Comparison(column, "missing", ())
            return Not(found) if operator == "!=" else found
        return Comparison(column, operator, (self.value(),))

    def value(self) -> Value:
        token = self.token
        if token.kind == "number":
            self.take()
            if not math.isfinite(float(token.text)):
                raise InputError(
                    f"include '{self.text}': at character {token.position}: the number '{shorten(token.text)}' is too "
                    "large"
                )
            return Value(token.text, float(token.text))
        if token.kind == "word":
            self.take()
            return Value(token.text, None)
        if token.kind == "text":
            self.take()
            return Value(token.text[1:-1], None)
        raise self.fail("a value (a number, a word or quoted text)")


def parse(text: str) -> Node:
    """Read an expression.

    Raises
    ------
    InputError
        Naming the position, what was expected there and what was found.
    """
    return _Parser(text).parse()


def columns(node: Node) -> list[str]:
    """List the columns that an expression names, in order, each once.

    Examples
    --------
    >>> columns(parse("age > 45 and site == 'north'"))
    ['age', 'site']
    """
    if isinstance(node, Comparison):
        return [node.column]
    inner = [node.inner] if isinstance(node, Not) else node.parts
    return list(dict.fromkeys(c for part in inner for c in columns(part)))


def evaluate(text: str, column: Callable[[str], pd.Series]) -> np.ndarray:
    """Return who is included.

    Parameters
    ----------
    text
        The expression.
    column
        Returns a column (float64 with NaN, or text with None) by name; raises KeyError for one that does not exist.

    Returns
    -------
    bool array, one entry per person; unknown counts as not included.

    Raises
    ------
    InputError
        When the expression cannot be read, names a column that is not there, or compares a column with a value of
        another kind.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"age": [40, 50, None], "site": ["north", "north", "south"]})
    >>> evaluate("age > 45 or site == 'south'", table.__getitem__).tolist()
    [False, True, True]
    """
    return _evaluate(parse(text), column, text)[0]


def _evaluate(node: Node, column: Callable[[str], pd.Series], text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (true, false) arrays; where both are False the answer is unknown."""
    if isinstance(node, Not):
        true, false = _evaluate(node.inner, column, text)
        return false, true
    if isinstance(node, Junction):
        true, false = _evaluate(node.parts[0], column, text)
        for part in node.parts[1:]:
            other_true, other_false = _evaluate(part, column, text)
            if node.operator == "&":
                true, false = true & other_true, false | other_false
            else:
                true, false = true | other_true, false & other_false
        return true, false
    return _compare(node, column(node.column), text)


def _compare(node: Comparison, series: pd.Series, text: str) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    text = shorten(text, 200)
    missing = series.isna().to_numpy()
    if node.operator == "missing":
        return missing, ~missing
    numeric = series.dtype.kind in "biuf"
    if numeric:
        if wrong := [v.text for v in node.values if v.number is None]:
            raise InputError(
                f"include '{text}': column '{node.column}' holds numbers and cannot be compared with "
                f"'{shorten(wrong[0])}'"
            )
        literals = [v.number for v in node.values]
        values = series.to_numpy(dtype=np.float64)
    else:
        if node.operator in ("<", "<=", ">", ">="):
            examples = some(repr(v) for v in series.dropna().unique()[:3])
            raise InputError(
                f"include '{text}': column '{node.column}' holds text ({examples}) and has no order; use ==, != or in"
            )
        literals = [v.text for v in node.values]
        present = series.dropna().unique()
        if unknown := [v for v in literals if v not in set(present)]:
            raise InputError(
                f"include '{text}': no person has '{shorten(unknown[0])}' in column '{node.column}' (it holds "
                f"{some(sorted(present), 8)}){nearest(unknown[0], present)}"
            )
        values = series.to_numpy(dtype=object)
    if node.operator == "in":
        result = np.isin(values, literals) if numeric else series.isin(literals).to_numpy()
    else:
        compare = {
            "==": np.equal,
            "!=": np.not_equal,
            "<": np.less,
            "<=": np.less_equal,
            ">": np.greater,
            ">=": np.greater_equal,
        }
        result = compare[node.operator](values, literals[0]).astype(bool)
    return result & ~missing, ~result & ~missing
