"""What users write: what counts as a number, and texts cut to a length that a message can hold. Light: the configuration imports it."""

from __future__ import annotations

import re

#: A decimal number, and nothing else: no thousands separators, no ``inf``, no ``0x10``, no ``1_000``. Possessive, so that no text, however long,
#: is gone through more than once.
NUMBER = re.compile(r"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+")
LONGEST = 80


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
