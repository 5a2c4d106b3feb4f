"""The files that a script imports are read from its text; here against Python's parser and what really gets loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from deepnull_gwas.imports import files_imported_by, imported_files

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "deepnull_gwas"
LIBRARY = {str(p.relative_to(SOURCE)): p.read_text() for p in sorted(SOURCE.rglob("*.py"))}
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))


def parsed(text: str) -> set[str]:
    """Do as imported_files, by Python's parser."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("deepnull_gwas"):
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names if alias.name.startswith("deepnull_gwas"))
    files = set()
    for name in names:
        parts = name.split(".")[1:]
        files.update("/".join([*parts[:i], "__init__.py"]) for i in range(len(parts)))
        files.update(f for f in ("/".join(parts) + ".py", "/".join([*parts, "__init__.py"])) if f in LIBRARY)
    return files & set(LIBRARY)


@pytest.mark.parametrize("path", [*SCRIPTS, *sorted(SOURCE.rglob("*.py"))], ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_imports_are_those_that_python_sees(path):
    text = path.read_text()
    assert imported_files(text, LIBRARY) == parsed(text)


def test_files_imported_by_are_those_that_get_loaded():
    """Whatever the library has loaded after the imports of a script's library function was among the files that it
    imports.
    """
    for module in ("association.chunk", "deepnull.steps", "results.status", "scores.steps"):
        code = f"import sys, deepnull_gwas.{module}; print(*[m for m in sys.modules if m.startswith('deepnull_gwas')])"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        imported = set(files_imported_by(f"import deepnull_gwas.{module}\n", LIBRARY))
        for name in loaded:
            path = "/".join(name.split(".")[1:])
            assert {f"{path}.py", f"{path}/__init__.py".removeprefix("/")} & imported, f"{module}: {name}"


def test_imports_in_functions_over_lines_and_of_modules_count():
    library = {
        "__init__.py": "",
        "a/__init__.py": "",
        "a/b.py": "from deepnull_gwas.c import x\n",
        "c.py": "",
        "d.py": "",
    }
    text = "def f():\n    from deepnull_gwas.a import (\n        b,  # why\n    )\n"
    assert imported_files(text, library) == {"__init__.py", "a/__init__.py", "a/b.py"}
    assert files_imported_by(text, library) == ["__init__.py", "a/__init__.py", "a/b.py", "c.py"]
    assert files_imported_by("from deepnull_gwas import d\n", library) == ["__init__.py", "d.py"]
    with pytest.raises(KeyError, match=r"deepnull_gwas\.a\.x is imported, but the library has no a/x"):
        imported_files("import deepnull_gwas.a.x\n", {"__init__.py": "", "a/__init__.py": ""})
