"""What users write: numbers, lists of names, and texts short enough for a message. Light imports only."""

from __future__ import annotations

import re

#: A decimal number, and nothing else: no thousands separators, no ``inf``, no ``0x10``, no ``1_000``. Possessive, so
#: that no text, however long, is gone through more than once.
NUMBER = re.compile(r"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+")
LONGEST = 80
#: An entry of a list: in backticks, or up to the next comma.
_ENTRY = re.compile(r"\s*(?:`([^`]+)`\s*(?=,|\Z)|([^,]*))(?:,|\Z)")


def is_number(text: str) -> bool:
    """Return whether a text is a decimal number (``-3``, ``.5``, ``1e-5``).

    Examples
    --------
    >>> [is_number(text) for text in ("-3", ".5", "1e-5", "1,000", "nan")]
    [True, True, True, False, False]
    """
    return NUMBER.fullmatch(text) is not None


def shorten(value: object, longest: int = LONGEST) -> str:
    """Return a text of at most ``longest`` characters; what is cut from its end is marked by ``...``.

    Examples
    --------
    >>> shorten("a very long name of a phenotype", 12)
    'a very lo...'
    """
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def plain(value: object, longest: int = LONGEST) -> str:
    """Return a text from somebody else's file for a terminal: shortened, control characters shown as ``?``."""
    return "".join(c if c.isprintable() else "?" for c in shorten(value, longest))


def split_names(text: str) -> list[str]:
    """Split a list of names at its commas, but for those in backticks: ``age,`height, cm` `` names two columns.

    Examples
    --------
    >>> split_names("age,`height, cm`,sex")
    ['age', 'height, cm', 'sex']
    """
    names = [(quoted or bare).strip() for quoted, bare in _ENTRY.findall(text)]
    return [name for name in names if name]


def unquoted(name: str) -> str:
    """Return a name without the backticks around it."""
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == "`" and "`" not in name[1:-1] else name
