"""SHA-256 checksums of files, kept so that each file is read once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deepnull_gwas.logs import Progress
from deepnull_gwas.tables import read_json, write_json


def sha256(path: str | Path, told: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 checksum of a file, as ``sha256sum`` prints it; ``told`` hears the bytes of each block."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            if told is not None:
                told(len(block))
    return digest.hexdigest()


class Checksums:
    """Checksums that are computed once: kept in a file, and valid while a path's size and time of change stay the same.

    Parameters
    ----------
    cache
        The file; one that is not there or not readable counts as empty.
    """

    def __init__(self, cache: str | Path):
        self.path = Path(cache)
        try:
            kept = read_json(self.path)
        except (OSError, ValueError):
            kept = {}
        self._kept: dict[str, dict[str, Any]] = kept if isinstance(kept, dict) else {}
        self._seen: dict[str, dict[str, Any]] = {}

    def of(self, paths: Sequence[str], base: str | Path = ".") -> list[dict[str, Any]]:
        """Return path, bytes and sha256 of files whose paths refer to ``base``, in their order."""
        state = {p: Path(base, p).stat() for p in paths}
        known = {
            p: entry
            for p in paths
            if (entry := self._kept.get(os.path.abspath(Path(base, p))))
            and (entry.get("bytes"), entry.get("mtime_ns")) == (state[p].st_size, state[p].st_mtime_ns)
        }
        left = [p for p in paths if p not in known]
        progress = Progress(sum(state[p].st_size for p in left), "bytes to check")
        found = []
        for p in paths:
            entry = known.get(p) or {
                "bytes": state[p].st_size,
                "mtime_ns": state[p].st_mtime_ns,
                "sha256": sha256(Path(base, p), progress.add),
            }
            self._seen[os.path.abspath(Path(base, p))] = entry
            found.append({"path": p, "bytes": entry["bytes"], "sha256": entry["sha256"]})
        return found

    def keep(self) -> None:
        """Write what was asked for since the start; what was not is forgotten."""
        write_json(dict(sorted(self._seen.items())), self.path)
