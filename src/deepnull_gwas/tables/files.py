"""Files that the workflow makes: written atomically, set aside where damaged; JSON and .npz."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.errors import InputError


def _full(folder: Path) -> bool:
    """Return whether the disk of a folder has less room than any buffer that a library may hold back."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < 1 << 20


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path`` that becomes ``path`` when the block succeeds, else vanishes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # libraries in C do not always say why they could not write (htslib: "Error flushing")
        if error.errno is None and _full(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def set_aside(path: str | Path, error: BaseException) -> InputError:
    """Rename a damaged file that the workflow had made, so that the next run makes it again; return the error."""
    path = Path(path)
    # another job may have found the same, and moved it first
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, _aside(path))
    return InputError(
        f"{path}: damaged ({error}), by a full disk or a copy cut short, say; it was renamed {_aside(path).name}. "
        "Run snakemake again: it makes this file and what depends on it again, and nothing else"
    )


@contextlib.contextmanager
def own_file(path: str | Path, *damage: type[BaseException]) -> Iterator[None]:
    """Read a file that the workflow made.

    Parameters
    ----------
    path
        The file.
    damage
        The exceptions by which a reader tells that a file is not whole.

    Raises
    ------
    InputError
        When the file is damaged: it is set aside, see :func:`set_aside`. Or when another job has just set it aside.
    """
    path = Path(path)
    try:
        yield
    except FileNotFoundError as error:
        if not _aside(path).exists():
            raise
        raise InputError(
            f"{path}: another job found it damaged and renamed it {_aside(path).name}. "
            "Run snakemake again: it makes this file and what depends on it again, and nothing else"
        ) from error
    except damage as error:
        raise set_aside(path, error) from error


def _plain(value: Any) -> Any:
    """Return a value with numpy's types as JSON's; a number that is not finite becomes null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(value: Any, path: str | Path) -> None:
    """Write JSON, atomically; NaN and infinities become null."""
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_json(path: str | Path) -> Any:
    """Read JSON that the workflow made; a damaged file is set aside, see :func:`set_aside`."""
    with own_file(path, ValueError):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def write_npz(path: str | Path, **arrays: np.ndarray) -> None:
    """Write arrays as .npz, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Read arrays from .npz, never pickled ones; a damaged file is set aside, see :func:`set_aside`."""
    damage = ValueError, EOFError, zipfile.BadZipFile, zlib.error
    with own_file(path, *damage), open(path, "rb") as file, np.load(file, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}
