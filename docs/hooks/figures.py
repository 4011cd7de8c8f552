"""Figures of ``benchmarks/*.json`` and constants of the code in the text of a page: no page holds a copy that grows old.

``{{ supernets.json/fmnist-vit/random/median | .1f }}`` is replaced by the number at that path of the file, in the format of
Python's ``format``. Steps of the path are keys, or positions in a list. ``{{ code predictors/schema.py:NAME | d }}`` is a
module's constant, which is read and not run. ``<!-- table: NAME -->`` is replaced by a table that a function of TABLES makes.
"""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
FIGURE = re.compile(r"\{\{ *([\w./-]+?\.json)/([^|{}]*?) *\| *([^{}]*?) *\}\}")
CONSTANT = re.compile(r"\{\{ *code ([\w/]+\.py):(\w+)((?:/\d+)*) *\| *([^{}]*?) *\}\}")
TABLE = re.compile(r"<!-- table: ([\w-]+) -->")


class FigureError(ValueError):
    """A page asks for a figure or a table that is not there."""


@cache
def _benchmark(name: str) -> Any:
    return json.loads((BENCHMARKS / name).read_text(encoding="utf-8"))


def figure(name: str, path: str) -> Any:
    """Look up a value of a benchmark.

    Args:
        name: File below ``benchmarks``.
        path: Keys and positions, with slashes between them.

    Returns:
        The value.

    Raises:
        FigureError: Where there is none, naming the step that led nowhere.
    """
    found = _benchmark(name)
    for step in path.split("/"):
        try:
            found = found[int(step)] if isinstance(found, list) else found[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise FigureError(f"benchmarks/{name} has no {path}: stopped at {step!r}") from None
    return found


@cache
def _constants(file: str) -> dict[str, Any]:
    """Module constants of a file that are plain numbers, or lists, tuples and arrays of them."""
    found: dict[str, Any] = {}
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign) or not isinstance(
            node.targets[0], ast.Name | ast.Tuple
        ):
            continue
        value: ast.expr = node.value
        if isinstance(value, ast.Call) and len(value.args) == 1:  # np.array([...])
            value = value.args[0]
        try:
            read = ast.literal_eval(value)
        except ValueError:
            continue
        target = node.targets[0]
        if isinstance(target, ast.Name):
            found[target.id] = read
        elif isinstance(read, tuple):
            names = [each.id for each in target.elts if isinstance(each, ast.Name)]
            found |= dict(zip(names, read, strict=True))
    return found


def constant(file: str, name: str, path: str) -> Any:
    """Look up a constant of the code.

    Args:
        file: A module, from the root of the repository.
        name: Name of the constant.
        path: Positions in it, each after a slash; empty for the constant itself.

    Returns:
        The value.

    Raises:
        FigureError: Where there is no such constant.
    """
    try:
        found = _constants(file)[name]
        for step in path.split("/")[1:]:
            found = found[int(step)]
    except (KeyError, IndexError, TypeError, OSError):
        raise FigureError(f"{file} has no {name}{path}") from None
    return found


def filled(text: str) -> str:
    """Put the figures and the tables that a page asks for into its text.

    Args:
        text: Markdown of the page.

    Returns:
        The text with them.

    Raises:
        FigureError: Where a figure or a table is missing.
    """
    from tables import TABLES

    def one_figure(match: re.Match[str]) -> str:
        name, path, style = match.groups()
        value = figure(name, path)
        try:
            return format(value, style)
        except (TypeError, ValueError):
            raise FigureError(f"benchmarks/{name}: {path} is {value!r}, not {style}") from None

    def one_constant(match: re.Match[str]) -> str:
        file, name, path, style = match.groups()
        return format(constant(file, name, path), style)

    def one_table(match: re.Match[str]) -> str:
        if match[1] not in TABLES:
            raise FigureError(f"there is no table {match[1]}")
        return TABLES[match[1]]()

    return TABLE.sub(one_table, CONSTANT.sub(one_constant, FIGURE.sub(one_figure, text)))
