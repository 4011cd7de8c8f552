"""The page on study.toml, written from the JSON schema that every study is checked against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).resolve().parents[2] / "cimbo" / "config" / "presets" / "study.schema.json"

HEAD = """# study.toml, key by key

This page is written from the JSON schema that every study.toml is checked against. `cimbo init`
puts it beside the file, for your editor. [The reference](reference.md#configuration) explains how the tables work together.
"""


def page() -> str:
    """Write the page.

    Returns:
        Markdown, with a section for each table of a study.toml.
    """
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    definitions = schema["$defs"]
    study = definitions["StudyTable"]
    parts = [HEAD, "## At the top\n", _summary(study)]
    tables = {}
    plain = []
    for key, value in study["properties"].items():
        target = _target(value)
        if target is None:
            plain.append((key, value))
        else:
            tables[key] = target
    parts.append(_rows(plain, study))
    for key, (name, is_list) in tables.items():
        table = definitions[name]
        heading = f"[[{key}]]" if is_list else f"[{key}]"
        parts += [f"## `{heading}`\n", _summary(table), _rows(table["properties"].items(), table)]
    gene = definitions["GeneTable"]
    parts += ["## A gene as a table\n", _summary(gene), _rows(gene["properties"].items(), gene)]
    return "\n".join(parts)


def _target(value: dict[str, Any]) -> tuple[str, bool] | None:
    """The table that a key of the top holds, and whether it is a list of such tables; None where it holds none."""
    options = [value, *value.get("anyOf", [])]
    for option in options:
        if "$ref" in option:
            return option["$ref"].rpartition("/")[2], False
        if "$ref" in option.get("items", {}):
            return option["items"]["$ref"].rpartition("/")[2], True
    return None


def _summary(table: dict[str, Any]) -> str:
    return str(table.get("description", "")).split("\n\n")[0] + "\n"


def _rows(properties: Any, table: dict[str, Any]) -> str:
    required = table.get("required", [])
    rows = ["| key | may be | if left out | means |", "|---|---|---|---|"]
    for key, value in properties:
        usual = "needed" if key in required else _shown(value.get("default"))
        means = _cell(value.get("description", ""))
        rows.append(f"| `{key}` | {_kind(value)} | {usual} | {means} |")
    return "\n".join(rows) + "\n"


def _shown(default: Any) -> str:
    if default is None or default == {} or default == []:
        return ""
    return f"`{json.dumps(default)}`"


def _kind(value: dict[str, Any]) -> str:
    """What a value may be, in words."""
    if "anyOf" in value:
        kinds = [_kind(option) for option in value["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in value:
        return ", ".join(f"`{json.dumps(word)}`" for word in value["enum"])
    if "$ref" in value:
        return "a gene's table" if value["$ref"].endswith("GeneTable") else "a table"
    kind = value.get("type")
    if kind == "array":
        inside = _kind(value.get("items", {}))
        return f"list of {inside}" if inside else "list"
    if kind == "object":
        inside = value.get("additionalProperties")
        return f"table, each {_kind(inside)}" if isinstance(inside, dict) and inside else "table"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "boolean"}
    return names.get(str(kind), "anything") + _limits(value)


def _limits(value: dict[str, Any]) -> str:
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
    }
    said = [f"{words[key]} {value[key]:g}" for key in words if key in value]
    return f" ({', '.join(said)})" if said else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
