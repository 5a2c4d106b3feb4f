"""Data as scripts: a page that is opened from the disk may load a `<script>`, where `fetch()` is refused."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.results.ssf import significant
from deepnull_gwas.tables import atomic_path

#: What a data file calls; defined in app/core.js.
FUNCTION = "deepnullSite.put"
#: Digits of the numbers that are shown on a pointer's touch.
DIGITS = 4


def script_text(key: str, value: Any) -> str:
    """Return a script that hands a value to the app under a key: ASCII only, and without `<`, whatever the names are.

    Examples
    --------
    >>> script_text("a/b", {"name": "<script>é", "p": float("nan")})
    'deepnullSite.put("a/b",{"name":"\\\\u003cscript>\\\\u00e9","p":null});\\n'
    """
    try:
        text = _json([key, value])
    except ValueError:
        # a number outside an array that is not finite
        text = _json([key, plain(value)])
    return f"{FUNCTION}({text[1:-1]});\n".replace("<", "\\u003c")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False, default=_numbers)


def _numbers(value: Any) -> Any:
    """Return what JSON does not know, arrays and numbers of numpy, as it does; None for what is not finite."""
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError(f"no JSON of {type(value).__name__}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        value = np.where(np.isfinite(value), value.astype(object), None)
    return value.tolist()


def write_script(key: str, value: Any, path: str | Path) -> None:
    """Write :func:`script_text`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(script_text(key, value), encoding="ascii")


def written_length(text: str) -> int:
    """Return how many characters a text takes in a script.

    Examples
    --------
    >>> written_length("a"), written_length("<ä")
    (1, 12)
    """
    return len(json.dumps(text)) - 2 + 5 * text.count("<")


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: arrays as lists, numbers that are not finite as null.

    Examples
    --------
    >>> plain({"a": np.array([1.0, np.nan, 0.5])})
    {'a': [1.0, None, 0.5]}
    """
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def short(values: Any, digits: int = DIGITS) -> np.ndarray:
    """Return numbers rounded to some significant digits, whose shortest text is short."""
    return significant(np.asarray(values, dtype=np.float64), digits)


def packed(values: np.ndarray) -> str:
    """Return the bytes of an array, little-endian, as base64: a fifth of the time and room of a list of numbers.

    Examples
    --------
    >>> packed(np.array([1, 256], dtype=np.uint16))
    'AQAAAQ=='
    """
    return base64.b64encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()
