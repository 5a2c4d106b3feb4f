"""Every key, option, reason and status that there is, is documented."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from deepnull_gwas.association.codes import METHODS, REASONS
from deepnull_gwas.cohort.kinship import classify

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "src/deepnull_gwas"
sys.path.insert(0, str(ROOT / "scripts/docs"))

import reference_pages  # noqa: E402


@cache
def trees() -> dict[Path, ast.Module]:
    """Parse every module of the library, once."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(LIBRARY.rglob("*.py"))}


def first_column(heading: str) -> set[str]:
    """Return the words in the first column of the tables of a section of the page on statuses."""
    text = (ROOT / "docs/reference/statuses.md").read_text(encoding="utf-8")
    section = next(part for part in text.split("\n## ") if part.startswith(heading))
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    # the heads of the tables name their columns
    heads = [
        line.split("|")[1] for line, next_ in zip(section.splitlines(), section.splitlines()[1:]) if "---" in next_
    ]
    return set(re.findall(r"`([^`]+)`", " ".join(rows))) - set(re.findall(r"`([^`]+)`", " ".join(heads)))


def keys(schema: dict, root: dict, prefix: str = "") -> Iterator[str]:
    """Yield the paths of all keys of a schema."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    for name, child in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from keys(child, root, f"{prefix}{name}.")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys(schema["additionalProperties"], root, f"{prefix}<name>.")


def schema(name: str) -> dict:
    return yaml.safe_load((ROOT / f"workflow/schemas/{name}.schema.yaml").read_text())


def test_every_key_of_the_configuration_is_documented():
    page = reference_pages.config_page()
    root = schema("config")
    paths = {k for k in keys(root, root) if not re.match(r"cohorts\.<name>\.(qc|structure)\.", k)}
    assert len(paths) > 100
    assert not {k for k in paths if f"#### `{k}`" not in page and f"## `{k}`" not in page}
    by_hand = (ROOT / "config/README.md").read_text(encoding="utf-8")
    assert not {k for k in paths if f"`{k.rsplit('.', 1)[-1]}`" not in by_hand and f"{k}:" not in by_hand} - {"cohorts"}


def test_every_column_of_the_sheet_is_documented():
    page, by_hand = reference_pages.sheet_page(), (ROOT / "config/README.md").read_text(encoding="utf-8")
    for name in schema("studies")["properties"]:
        assert f"#### `{name}`" in page and f"`{name}`" in by_hand


@pytest.mark.parametrize("name", sorted(reference_pages.commands()))
def test_every_option_of_a_command_is_documented(name):
    page = reference_pages.cli_page()
    section = next(part for part in page.split("\n## ") if part.startswith(f"`{name}`"))
    for action in reference_pages.commands()[name]._actions:
        if not isinstance(action, argparse._HelpAction):
            assert action.help, action.dest
            for word in action.option_strings or [str(action.metavar or action.dest)]:
                assert f"`{word}" in section or f", {word}" in section, word


def commands_shown() -> Iterator[tuple[str, list[str]]]:
    """Yield the calls of the command line in the code blocks of all pages: page, arguments."""
    for page in [*ROOT.glob("*.md"), ROOT / "config/README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"^ *```(?:sh|bash)\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].rpartition("/")[2] == "deepnull-gwas":
                    # up to what is the shell's
                    shell = next((k for k, word in enumerate(words) if word in (">", ">>", "|", "&&", ";")), None)
                    yield str(page.relative_to(ROOT)), words[1:shell]


def test_commands_of_all_pages_are_what_the_command_line_takes():
    shown = [(page, words) for page, words in commands_shown() if words != ["--help"]]
    assert len(shown) > 20
    wrong = []
    for page, words in shown:
        try:
            reference_pages.parser().parse_args([w for w in words if w != "--help"])
        except SystemExit:
            wrong.append((page, " ".join(words)))
    assert not wrong


def test_every_reason_and_method_is_documented():
    assert first_column("A variant that was not tested") == set(REASONS) - {""}
    assert first_column("A variant that was tested") == set(METHODS) - {""}


def calls(name: str, folder: str) -> Iterator[ast.Call]:
    """Yield the calls of a function or method of this name in a folder of the library."""
    for tree in (tree for path, tree in trees().items() if path.parent == LIBRARY / folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] == name:
                yield node


def test_every_filter_is_documented():
    steps = {
        call.args[0].value
        for name in ("apply", "require")
        for call in calls(name, "cohort")
        if call.args and isinstance(call.args[0], ast.Constant)
    }
    assert len(steps) > 10
    assert first_column("A variant or person removed") == steps


def test_every_stage_and_status_is_documented():
    stages = {node.value.value for _, node in assigned("STAGE")}
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "StudyFailure":
                stage = node.args[0]
                stages |= {stage.value} if isinstance(stage, ast.Constant) else set()
    assert first_column("A study and arm") == stages | {"ok", "failed"}


def assigned(name: str) -> Iterator[tuple[Path, ast.Assign]]:
    """Yield where a module of the library assigns text to a name."""
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                yield path, node


def test_every_relation_is_documented():
    found = set(classify([0.5, 0.25, 0.25, 0.12, 0.06, 0.01], [0.0, 0.0, 0.02, 0.05, 0.06, 0.08], 0.08))
    assert len(found) == 6 and first_column("Relatives") == found | {"first_degree"}
