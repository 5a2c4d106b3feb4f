"""What the headers of a PLINK fileset say. Without numpy: the workflow reads this each time that it is parsed."""

from __future__ import annotations

from pathlib import Path

MAGIC = b"\x6c\x1b"
HEADER_BYTES = 3


def count_lines(path: str | Path) -> int:
    """Count the lines of a text file; a last line without its newline counts, empty lines at the end do not."""
    count, last = 0, b"\n"
    blank_tail = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            count += block.count(b"\n")
            last = block[-1:]
            stripped = block.rstrip(b"\r\n")
            tail = block[len(stripped) :].count(b"\n")
            blank_tail = tail if stripped else blank_tail + tail
    if last != b"\n":
        return count + 1
    return count - max(blank_tail - 1, 0)
