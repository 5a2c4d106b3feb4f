"""Compiled code on disk is used only while the files that it was compiled from are the same.

Numba keeps what it compiled from a file for as long as that file is the same. A kernel that calls another one, in
another file of this library, holds the other's code as well, and would go on with it after an update that changes only
the other. So the files of the library that a file imports count as part of it.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

from deepnull_gwas.imports import files_imported_by

PACKAGE = Path(__file__).resolve().parent


@functools.cache
def _library() -> dict[str, str]:
    files = sorted(PACKAGE.rglob("*.py"))
    return {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in files}


@functools.cache
def digest_of_kernels(file: str) -> bytes:
    """Return a digest of the files with compiled code that a file of the library imports, directly or through others.

    Parameters
    ----------
    file
        Path of the file.
    """
    library, digest = _library(), hashlib.sha256()
    text = library.get(str(Path(file).resolve().relative_to(PACKAGE)), "")
    for name in files_imported_by(text, library):
        if "numba" in library[name]:
            digest.update(f"{name}\0{library[name]}\0".encode())
    return digest.digest()


def is_of_library(file: str) -> bool:
    """Return whether a file belongs to this library."""
    return PACKAGE in Path(file).resolve().parents


def watch_imports(numba: Any) -> None:
    """Make numba look at the imports of this library's files, too, before it takes compiled code from the disk.

    Other packages' code is looked for as before, and so is everything where numba no longer keeps its locators where it
    did (0.68).
    """
    caching = numba.core.caching
    known = getattr(getattr(caching, "CacheImpl", None), "_locator_classes", None)
    names = ("UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator")
    if known is None or any(getattr(known_class, "watches_imports", False) for known_class in known):
        return
    own = [_watching(getattr(caching, name)) for name in names if hasattr(caching, name)]
    caching.CacheImpl._locator_classes = [*own, *known]


def _watching(locator: type) -> type:
    """Return a locator for this library's files whose stamp holds their imports."""

    class Watching(locator):
        watches_imports = True

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            return super().from_function(py_func, py_file) if is_of_library(py_file) else None

        def get_source_stamp(self) -> tuple[Any, bytes]:
            return super().get_source_stamp(), digest_of_kernels(self._py_file)

    return Watching
