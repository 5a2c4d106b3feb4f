"""What users write: what counts as a number, and texts cut to a length that a message can hold. Light: the configuration imports it."""

from __future__ import annotations

import re

#: A decimal number, and nothing else: no thousands separators, no ``inf``, no ``0x10``, no ``1_000``. Possessive, so that no text, however long,
#: is gone through more than once.
NUMBER = re.compile(r"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+")
LONGEST = 80
#: An entry of a list: in backticks, or up to the next comma.
_ENTRY = re.compile(r"\s*(?:`([^`]+)`\s*(?=,|\Z)|([^,]*))(?:,|\Z)")


def is_number(text: str) -> bool:
    """Say whether a text is a decimal number (``-3``, ``.5``, ``1e-5``)."""
    return NUMBER.fullmatch(text) is not None


def shorten(value: object, longest: int = LONGEST) -> str:
    """Give a text of at most so many characters; what is cut from its end is marked by ``...``."""
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def plain(value: object, longest: int = LONGEST) -> str:
    """Return a text from a file of somebody else's for a terminal: shortened, its control characters (colours, line breaks) shown as ``?``."""
    return "".join(c if c.isprintable() else "?" for c in shorten(value, longest))


def split_names(text: str) -> list[str]:
    """Split a list of names at its commas, but for those in backticks: ``age,`height, cm` `` names two columns."""
    names = [(quoted or bare).strip() for quoted, bare in _ENTRY.findall(text)]
    return [name for name in names if name]


def unquoted(name: str) -> str:
    """Take off the backticks that a whole name stands in."""
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == "`" and "`" not in name[1:-1] else name
