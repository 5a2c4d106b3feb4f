"""The files of the library that a piece of code computes with, read from import statements (no module is imported)."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

_PACKAGE = "deepnull_gwas"
# `from deepnull_gwas.folder.module import a, b`, also over several lines, at any depth of indentation
_FROM = re.compile(rf"^[ \t]*from {_PACKAGE}((?:\.\w+)*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(rf"^[ \t]*import {_PACKAGE}((?:\.\w+)*)", re.MULTILINE)


def imported_files(text: str, library: Mapping[str, str]) -> set[str]:
    """Return the library files that a text names in its own import statements, with the ``__init__`` files on the way.

    Parameters
    ----------
    text
        Python source.
    library
        File name below ``src/deepnull_gwas`` -> source.

    Raises
    ------
    KeyError
        When an import names a module that ``library`` does not have.
    """
    files: set[str] = set()
    for parts, names in _statements(text):
        files |= _files_of(parts, library)
        # what a package is asked for may be a module of it
        for name in names:
            if "/".join([*parts, name]) + ".py" in library or "/".join([*parts, name, "__init__.py"]) in library:
                files |= _files_of((*parts, name), library)
    return files


@functools.lru_cache(maxsize=1024)
def _statements(text: str) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Return the modules of the library that a text imports, by their dotted parts, and the names it takes from each.

    Most files are asked about many times, as each step of the workflow is a start of its own.
    """
    found = [(tuple(match[1].split(".")[1:]), ()) for match in _IMPORT.finditer(text)]
    for match in _FROM.finditer(text):
        names = re.findall(r"(\w+)(?:\s+as\s+\w+)?\s*(?:,|$|\)|#)", match[2], re.MULTILINE)
        found.append((tuple(match[1].split(".")[1:]), tuple(names)))
    return tuple(found)


def _files_of(parts: tuple[str, ...], library: Mapping[str, str]) -> set[str]:
    """Return the files that importing a module by its dotted parts runs."""
    files = {"/".join([*parts[:depth], "__init__.py"]) for depth in range(len(parts))}
    module, package = "/".join(parts) + ".py", "/".join([*parts, "__init__.py"])
    files.add(module if parts and module in library else package)
    if missing := sorted(files - set(library)):
        raise KeyError(f"{'.'.join([_PACKAGE, *parts])} is imported, but the library has no {missing[0]}")
    return files


def files_imported_by(text: str, library: Mapping[str, str]) -> list[str]:
    """Return every library file that a text imports, directly or through other files of the library, sorted.

    Parameters and errors as :func:`imported_files`. Imports inside functions count: a file may be left out of the first
    import for speed, and computes all the same.
    """
    found: set[str] = set()
    waiting = [text]
    while waiting:
        new = imported_files(waiting.pop(), library) - found
        found |= new
        waiting += [library[name] for name in new]
    return sorted(found)
