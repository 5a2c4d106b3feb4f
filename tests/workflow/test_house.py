"""The house style that no linter knows: how long files, functions and lists of parameters may be, and how docstrings
open.

Each list of exceptions holds what is still to be brought into style.
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

FILES_TOO_LONG: set[str] = set()
FUNCTIONS_TOO_LONG: set[str] = {
    "scores/steps.py:score_study",
}
TOO_MANY_PARAMETERS: set[str] = {
    "scores/steps.py:_scores",
    "scores/steps.py:score_study",
}
LINES_TOO_LONG: set[str] = set()
ODD_OPENINGS: set[str] = set()
TRAITS_COMPARED: set[str] = set()


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


def same(found: set[str], excepted: set[str], what: str) -> None:
    assert not found - excepted, f"{what}: {sorted(found - excepted)}"


def test_no_file_is_too_long():
    found = {name for name, text in sources() if len(text.splitlines()) > LONGEST_FILE}
    same(found, FILES_TOO_LONG, f"more than {LONGEST_FILE} lines")


def test_no_rule_file_is_too_long():
    long = [p.name for p in (ROOT / "workflow/rules").glob("*.smk") if len(p.read_text().splitlines()) > 200]
    assert not long, f"more than 200 lines: {long}"


def test_no_function_is_too_long():
    found = {name for _, name, node in functions() if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION}
    same(found, FUNCTIONS_TOO_LONG, f"more than {LONGEST_FUNCTION} lines")


def test_no_function_has_too_many_parameters():
    found = set()
    for _, name, node in functions():
        taken = [
            a for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")
        ]
        if len(taken) > MOST_PARAMETERS and not is_kernel(node):
            found.add(name)
    same(found, TOO_MANY_PARAMETERS, f"more than {MOST_PARAMETERS} parameters")


def test_no_line_is_too_long():
    found = {name for name, text in sources() if any(len(line) > LONGEST_LINE for line in text.splitlines())}
    same(found, LINES_TOO_LONG, f"lines of more than {LONGEST_LINE} characters")


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
    same(found, ODD_OPENINGS, "docstrings that open with Give, Say or Tell")


def test_no_module_compares_the_name_of_a_trait():
    """What follows from a trait is asked of it (:mod:`deepnull_gwas.traits`)."""
    compared = re.compile(r'[!=]= ?"(binary|quantitative)"|"(binary|quantitative)" ?[!=]=')
    same({name for name, text in sources() if compared.search(text)}, TRAITS_COMPARED, "compare the name of a trait")
