"""Figures of ``benchmarks/*.json`` and constants of the code in the text of a page: no page holds a copy that grows old.

A page has the figure, and after it in a comment where it comes from and how it is written. So it reads as it stands, and
whoever changes a benchmark has all figures written anew by ``python docs/hooks/write_pages.py``:

``17.3<!-- supernets.json/fmnist-vit/random/median as .1f -->`` is the number at that path of the file, in the format of
Python's ``format``. Steps of the path are keys, or positions in a list. ``8<!-- code predictors/schema.py:NAME as d -->`` is
a module's constant, which is read and not run. Between ``<!-- table: NAME -->`` and ``<!-- end of table -->`` stands what a
function of TABLES makes. In a new sentence the figure itself may be left out, and the end of the table.
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
NUMBER = r"(?:(?<![\w\d])[-+])?[\d,]*\.?\d+(?:e[-+]?\d+)?%?"
WORD = r"\w[\w.-]*(?=<!-- [^>]* as s -->)"  # of the format s
FIGURE = re.compile(
    rf"({NUMBER}|{WORD}|)<!-- (?:([\w./-]+?\.json)/(.+?)|code ([\w/]+\.py):(\w+)((?:/\d+)*)) as (\S+) -->"
)
TABLE = re.compile(
    r"<!-- table: ([\w-]+) -->\n(?:(?:(?!<!-- table: ).)*?<!-- end of table -->\n)?", re.DOTALL
)
END_OF_TABLE = "<!-- end of table -->\n"


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


def written(text: str) -> str:
    """Write the figures and the tables of a page anew, and leave the comments that say where they come from.

    Args:
        text: Markdown of the page.

    Returns:
        The text with today's figures.

    Raises:
        FigureError: Where a figure or a table is missing.
    """

    def one_figure(match: re.Match[str]) -> str:
        comment = match[0].removeprefix(match[1])
        return _figure_of(match) + comment

    def one_table(match: re.Match[str]) -> str:
        table = _table_of(match).strip()
        spaced = f"\n{table}\n\n" if table else ""
        return f"<!-- table: {match[1]} -->\n{spaced}{END_OF_TABLE}"

    return TABLE.sub(one_table, FIGURE.sub(one_figure, text))


def filled(text: str) -> str:
    """Write the figures and the tables of a page anew, for the site: without the comments.

    Args:
        text: Markdown of the page.

    Returns:
        The text with today's figures.

    Raises:
        FigureError: Where a figure or a table is missing.
    """

    def one_table(match: re.Match[str]) -> str:
        return f"{_table_of(match).strip()}\n\n"  # the line after a table would become a row of it

    return TABLE.sub(one_table, FIGURE.sub(_figure_of, text))


def _figure_of(match: re.Match[str]) -> str:
    """What a match of FIGURE stands for."""
    _, benchmark, path, file, name, positions, style = match.groups()
    if benchmark is None:
        return format(constant(file, name, positions), style)
    value = figure(benchmark, path)
    try:
        return format(value, style)
    except (TypeError, ValueError):
        raise FigureError(f"benchmarks/{benchmark}: {path} is {value!r}, not {style}") from None


def _table_of(match: re.Match[str]) -> str:
    """What a match of TABLE stands for."""
    from tables import TABLES

    if match[1] not in TABLES:
        raise FigureError(f"there is no table {match[1]}")
    return TABLES[match[1]]()
