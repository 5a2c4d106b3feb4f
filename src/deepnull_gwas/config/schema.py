"""Schemas: their defaults put where a key is absent, and what does not fit them, in words for the user."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deepnull_gwas.config.values import show
from deepnull_gwas.errors import nearest
from deepnull_gwas.project import project_folder
from deepnull_gwas.text import is_number, shorten

SCHEMAS = project_folder() / "workflow" / "schemas"


def read_schema(path: Path) -> dict[str, Any]:
    """Read a schema from its file."""
    # the C loader is ten times faster where libyaml is there
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow a ``$ref`` into ``$defs``; keys next to it take precedence."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return {**_resolve(target, root), **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def _children(value: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    other = schema.get("additionalProperties")
    for key in value:
        if key in schema.get("properties", {}):
            yield key, schema["properties"][key]
        elif isinstance(other, dict):
            yield key, other


def coerce(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Turn text into numbers where those are meant: YAML 1.1 reads ``1e-15`` as text, and the word ``off`` as false."""
    schema = _resolve(schema, root)
    if isinstance(value, dict):
        for key, child in _children(value, schema):
            value[key] = coerce(value[key], child, root)
    elif schema.get("type") == "number" and isinstance(value, str) and is_number(value) and math.isfinite(float(value)):
        return float(value)
    elif "integer" in (schema.get("type") or ()) and isinstance(value, float) and value.is_integer():
        # 1.0 is a whole number to the schema, but to no loop
        return int(value)
    elif value is False and "off" in schema.get("enum", ()):
        return "off"
    return value


def fill(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Copy a value with the defaults of its schema put where a key is absent (jsonschema itself fills nothing)."""
    schema = _resolve(schema, root)
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for key, child in schema.get("properties", {}).items():
        child = _resolve(child, root)
        if key not in filled and "default" in child:
            filled[key] = copy.deepcopy(child["default"])
    for key, child in _children(filled, schema):
        filled[key] = fill(filled[key], child, root)
    return filled


def with_preset(qc: Mapping[str, Any], schema: dict[str, Any], over: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings of quality control: those given, and for the others those of the preset.

    Parameters
    ----------
    qc
        Settings of the whole config.
    over
        A cohort's own, which override them. Where a cohort has a preset of its own, the settings by which the whole
        config departs from its preset do not hold for the cohort.
    """
    own = dict(over or {})
    preset = own.get("preset", qc.get("preset"))
    given = {} if "preset" in own else dict(qc)
    return {**schema["$defs"]["qc"]["presets"].get(str(preset), {}), **given, **own, "preset": preset}


def violations(value: Any, schema: dict[str, Any], place: Callable[[list[str]], str]) -> Iterator[str]:
    """Yield a message for each thing that does not fit the schema; ``place`` names the place of a list of keys."""
    from jsonschema import Draft202012Validator

    for error in sorted(
        Draft202012Validator(schema).iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path]
    ):
        yield from _explain(error, [str(p) for p in error.absolute_path], place)


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys to values",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def _explain(error: Any, keys: list[str], place: Callable[[list[str]], str]) -> Iterator[str]:
    found, limit, path = error.instance, error.validator_value, place(keys)
    match error.validator:
        case "additionalProperties":
            allowed = list(error.schema.get("properties", {}))
            for key in found:
                if key not in allowed:
                    where = place([*keys, str(key)])
                    yield f"{where}: unknown key; allowed: {', '.join(allowed)}{nearest(key, allowed)}"
        case "required":
            for key in limit:
                if key not in found and error.message.startswith(repr(key)):
                    about = error.schema.get("properties", {}).get(key, {}).get("description", "")
                    yield f"{place([*keys, key])}: missing, and it is needed" + (f" ({about.strip()})" if about else "")
        case "enum":
            allowed = list(dict.fromkeys(str(v) for v in limit))
            yield f"{path}: found {show(found)}, allowed: {', '.join(allowed)}{nearest(str(found), allowed)}"
        case "type":
            kinds = " or ".join(_KINDS[k] for k in ([limit] if isinstance(limit, str) else limit))
            yield f"{path}: found {show(found)}, expected {kinds}"
        case "pattern":
            rule = "a name has letters, digits, '_' and '-' only and starts with a letter or digit"
            yield f"{path}: found {show(found)}; {rule}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            yield f"{path}: found {show(found)}, expected {_BOUNDS[error.validator]} {limit}"
        case "maxLength":
            yield f"{path}: found {show(found)} of {len(found)} characters, expected at most {limit}"
        case "minItems" | "minLength" | "minProperties":
            yield f"{path}: is empty, expected at least {limit} {'entry' if limit == 1 else 'entries'}"
        case _:
            yield f"{path}: {shorten(error.message, 300)}"
