"""The house style that no linter knows: how long files, functions and lists of parameters may be, and how docstrings
open.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "src/deepnull_gwas"
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_LINE, MOST_PARAMETERS = 400, 100, 120, 8
#: How no docstring opens: they say what is returned, or what is done.
OPENINGS = re.compile(r"\s*(Give|Gives|Say|Says|Tell|Tells)\b")


def sources() -> Iterator[tuple[str, str]]:
    """Yield name and text of every file of the library, the rules and the scripts; names of the library's refer to its
    folder.
    """
    for path in sorted(LIBRARY.rglob("*.py")):
        yield str(path.relative_to(LIBRARY)), path.read_text(encoding="utf-8")
    for path in [
        ROOT / "Snakefile",
        *sorted((ROOT / "workflow").rglob("*.smk")),
        *sorted((ROOT / "workflow").rglob("*.py")),
    ]:
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def is_kernel(node: ast.FunctionDef) -> bool:
    """Return whether numba compiles a function:
    kernels take plain arrays and numbers, which no object can hold for them.
    """
    return any("njit" in ast.unparse(decorator) for decorator in node.decorator_list)


def functions() -> Iterator[tuple[str, str, ast.FunctionDef]]:
    """Yield file, ``file:name`` and node of every function, methods and inner ones among them."""
    for name, text in sources():
        if name.endswith(".py"):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    yield name, f"{name}:{node.name}", node


def none(found: set[str], what: str) -> None:
    assert not found, f"{what}: {sorted(found)}"


def test_no_file_is_too_long():
    found = {name for name, text in sources() if len(text.splitlines()) > LONGEST_FILE}
    none(found, f"more than {LONGEST_FILE} lines")


def test_no_rule_file_is_too_long():
    long = [p.name for p in (ROOT / "workflow/rules").glob("*.smk") if len(p.read_text().splitlines()) > 200]
    assert not long, f"more than 200 lines: {long}"


def test_no_function_is_too_long():
    found = {name for _, name, node in functions() if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION}
    none(found, f"more than {LONGEST_FUNCTION} lines")


def test_no_function_has_too_many_parameters():
    found = set()
    for _, name, node in functions():
        taken = [
            a for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")
        ]
        if len(taken) > MOST_PARAMETERS and not is_kernel(node):
            found.add(name)
    none(found, f"more than {MOST_PARAMETERS} parameters")


def test_no_line_is_too_long():
    found = {name for name, text in sources() if any(len(line) > LONGEST_LINE for line in text.splitlines())}
    none(found, f"lines of more than {LONGEST_LINE} characters")


def test_docstrings_open_with_what_is_returned_or_done():
    found = set()
    for name, text in sources():
        if name.endswith(".py"):
            nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Module)]
            docstrings = [ast.get_docstring(node) or "" for node in nodes]
        else:
            docstrings = re.findall(r'"""(.*?)"""', text, flags=re.S)
        if any(OPENINGS.match(docstring) for docstring in docstrings):
            found.add(name)
    none(found, "docstrings that open with Give, Say or Tell")


def test_no_module_compares_the_name_of_a_trait():
    """What follows from a trait is asked of it (:mod:`deepnull_gwas.traits`)."""
    compared = re.compile(r'[!=]= ?"(binary|quantitative)"|"(binary|quantitative)" ?[!=]=')
    none({name for name, text in sources() if compared.search(text)}, "compare the name of a trait")
