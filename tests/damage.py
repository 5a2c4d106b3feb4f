"""Damage to the bytes of a file, for the fuzzing of binary formats."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

#: Lengths and numbers that people do not write, and that programs trip over.
EXTREMES = [0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 16, 1 << 24, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Cut, stretch, exchange or make up bytes."""
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    match draw(st.sampled_from(["byte", "number", "cut", "drop", "insert", "swap", "short number"])):
        case "byte":
            return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        case "number":
            at = at & ~3 if draw(st.booleans()) else at
            return data[:at] + struct.pack("<I", draw(st.sampled_from(EXTREMES))) + data[at + 4 :]
        case "short number":
            return data[:at] + struct.pack("<H", draw(st.sampled_from(EXTREMES)) & 0xFFFF) + data[at + 2 :]
        case "cut":
            return data[:at]
        case "drop":
            return data[:at] + data[at + draw(st.integers(1, 9)) :]
        case "insert":
            return data[:at] + draw(st.binary(min_size=1, max_size=9)) + data[at:]
        case _:
            other = draw(st.integers(0, max(len(data) - 1, 0)))
            low, high = sorted((at, other))
            return data[:low] + data[high:] + data[low:high]
