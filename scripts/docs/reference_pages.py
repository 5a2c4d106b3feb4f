"""Pages of reference that follow from the code: the configuration from its schemas, the command line from its parsers.

Each key and each option has a heading of its own, so that it can be found, linked to, and read on a telephone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from deepnull_gwas.cli import parser
from deepnull_gwas.config.schema import SCHEMAS, read_schema

Schema = Mapping[str, Any]

CONFIG_HEAD = """\
# Keys of the configuration

Every key of `config.yaml`, from its schema (`workflow/schemas/config.schema.yaml`), which is also what a configuration
is checked against. [Configuration, explained](../configuration.md) has the same keys in context, and examples.

A section that is left out has the defaults. An unknown key is an error.
"""
SHEET_HEAD = """\
# Columns of the studies sheet

Every column of `studies.tsv`, from its schema (`workflow/schemas/studies.schema.yaml`). One row is one phenotype
analysed in one cohort. Lists are separated by commas. An empty cell means the default.
[Configuration, explained](../configuration.md#the-studies-sheet) has an example.
"""
CLI_HEAD = """\
# Command line

Every command and option of `deepnull-gwas`, as `--help` has them.
"""


def config_page() -> str:
    """Return the page of all keys of the configuration."""
    root = read_schema(SCHEMAS / "config.schema.yaml")
    sections, top = [], []
    for name, schema in root["properties"].items():
        schema = _resolved(schema, root)
        (sections if "properties" in schema or name == "cohorts" else top).append((name, schema))
    parts = [CONFIG_HEAD, "## At the top\n"]
    parts += [entry for name, schema in top for entry in _entries(name, schema, root, "studies" in name)]
    for name, schema in sections:
        if name == "cohorts":
            parts.append(f"## `cohorts`\n\n{schema['description']}\n")
            parts += _keys("cohorts.<name>", _resolved(schema["additionalProperties"], root), root)
            continue
        parts.append(f"## `{name}`\n\n{schema.get('description', '')}\n")
        if "presets" in schema:
            parts.append(_presets(schema["presets"]))
        parts += _keys(name, schema, root)
    return "\n".join(parts)


def sheet_page() -> str:
    """Return the page of all columns of the studies sheet."""
    root = read_schema(SCHEMAS / "studies.schema.yaml")
    return "\n".join([SHEET_HEAD, *_keys("", root, root)])


def cli_page() -> str:
    """Return the page of all commands and their options."""
    parts = [CLI_HEAD]
    for name, command in commands().items():
        usage = command.format_usage().removeprefix("usage: ").rstrip()
        parts.append(f"## `{name}`\n\n```text\n{usage}\n```\n\n{_prose(command.description or '')}\n")
        parts += [_option(command, action) for action in command._actions if action.dest != "help"]
    return "\n".join(parts)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    (subparsers,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(subparsers.choices)


def _option(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the entry of an option or argument."""
    metavar = action.metavar or (action.dest.upper() if action.option_strings and action.nargs != 0 else "")
    name = ", ".join(action.option_strings) or str(metavar or action.dest)
    value = f" {metavar}" if action.option_strings and metavar else ""
    about = command._get_formatter()._expand_help(action) if action.help else ""
    allowed = ""
    if action.choices is not None:
        allowed = f"\n\nOne of {', '.join(f'`{choice}`' for choice in action.choices)}."
    needed = " Needed." if action.required and action.option_strings else ""
    return f"#### `{name}{value}`\n\n{_sentence(_escaped(about))}{needed}{allowed}\n"


def _prose(description: str) -> str:
    """Return the description of a command: indented lines are commands, the others text."""
    parts: list[tuple[bool, list[str]]] = []
    for block in description.strip().split("\n\n"):
        lines = block.split("\n")
        is_code = all(line.startswith("  ") for line in lines)
        parts.append((is_code, lines))
    shown = []
    for is_code, lines in parts:
        if is_code:
            shown.append("```sh\n" + "\n".join(line.removeprefix("  ") for line in lines) + "\n```")
        else:
            shown.append(_escaped(" ".join(lines)))
    return "\n\n".join(shown)


def _resolved(schema: Schema, root: Schema) -> dict[str, Any]:
    """Follow a ``$ref`` into ``$defs``; keys next to it take precedence."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return {**_resolved(target, root), **{k: v for k, v in schema.items() if k != "$ref"}}
    return dict(schema)


def _keys(prefix: str, schema: Schema, root: Schema) -> list[str]:
    """Return the entries of all keys of a section."""
    needed = schema.get("required", [])
    return [
        entry
        for name, child in schema.get("properties", {}).items()
        for entry in _entries(f"{prefix}.{name}" if prefix else name, _resolved(child, root), root, name in needed)
    ]


#: Sections that a cohort may have of its own: their keys are listed once.
_REPEATED = ("cohorts.<name>.qc", "cohorts.<name>.structure")


def _entries(path: str, schema: Schema, root: Schema, needed: bool) -> Iterator[str]:
    """Yield the entry of a key, and those of the keys in it."""
    inner = path not in _REPEATED and ("properties" in schema or isinstance(schema.get("additionalProperties"), dict))
    facts = [_kind(schema)] if not inner else ["a section"]
    if needed:
        facts.append("needed")
    elif not inner and "default" in schema:
        facts.append(f"default {_code(schema['default'])}")
    about = schema.get("description", "")
    if path in _REPEATED:
        facts, about = ["a section"], f"Single keys of the section `{path.rsplit('.', 1)[1]}` below, for this cohort."
    yield f"#### `{path}`\n\n*{'; '.join(facts)}.* {_sentence(_escaped(about))}\n"
    if inner:
        yield from _keys(path, schema, root)
        other = schema.get("additionalProperties")
        if isinstance(other, dict):
            yield from _keys(f"{path}.<name>", _resolved(other, root), root)


_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "a section",
    "null": "`null`",
}


def _kind(schema: Schema) -> str:
    """Return in words what values a key takes."""
    if "enum" in schema:
        return " or ".join(_code(value) for value in schema["enum"])
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = " or ".join(_WORDS[kind] for kind in kinds)
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    bounds = [f"at least {low:g}"] if low is not None else [f"above {above:g}"] if above is not None else []
    bounds += [f"at most {high:,}"] if high is not None else [f"below {below:g}"] if below is not None else []
    items = schema.get("items", {})
    if "enum" in items and len(items["enum"]) < 10:
        words += " of " + ", ".join(_code(value) for value in items["enum"])
    return ", ".join([words, *bounds])


def _presets(presets: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of the presets of quality control."""
    names = list(presets)
    rows = [f"| key | {' | '.join(f'`{n}`' for n in names)} |", f"| --- |{' --- |' * len(names)}"]
    for key in presets[names[0]]:
        rows.append(f"| `{key}` | {' | '.join(_code(presets[n][key]) for n in names)} |")
    return "What the keys are where they are not given, by `preset`:\n\n" + "\n".join(rows) + "\n"


def _code(value: Any) -> str:
    """Return a value as it is written in YAML."""
    if value is None or isinstance(value, bool | list | dict):
        return f"`{json.dumps(value)}`"
    return f"`{value}`"


def _escaped(text: str) -> str:
    """Return text in which angle brackets are shown, unless they are in code."""
    parts = text.split("`")
    return "`".join(part if k % 2 else part.replace("<", "&lt;").replace("*", "\\*") for k, part in enumerate(parts))


def _sentence(text: str) -> str:
    """Return text that begins with a capital letter, and ends with a full stop."""
    text = text.strip()
    if text and text[0].islower() and not text.startswith(("plink", "regenie")):
        text = text[0].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?")) else text + "."
