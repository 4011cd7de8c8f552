"""The lines of a CSV file of evaluations; dicts in its cells, as JSON or as Python prints them, are taken apart."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput


@dataclass(frozen=True)
class Line:
    """One evaluation as a file holds it.

    Attributes:
        number: Of its line, or of the trial.
        cells: What stands there, by column.
    """

    number: int
    cells: dict[str, Any]


def lines(file: Path) -> Iterator[Line]:
    """Read the lines of a CSV file.

    Args:
        file: The file, with a header.

    Yields:
        Each line after the header, numbered from 2.

    Raises:
        BadInput: Where the file cannot be read, or a line has another number of cells than the
            header.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            for cells in reader:
                where = f"{file}, line {reader.line_num}"
                if None in cells or None in cells.values():
                    what = "has another number of cells than the header"
                    raise BadInput(where, what, "correct that line")
                yield Line(reader.line_num, _taken_apart(where, cells))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(file, f"cannot be read ({reason})", "give a CSV file") from None


def _taken_apart(where: str, cells: Mapping[str, str]) -> dict[str, Any]:
    """The cells of a line; a dict in one of them stands for a cell for each of its entries."""
    found: dict[str, Any] = {}
    for column, text in cells.items():
        if text.lstrip().startswith("{"):
            found |= _entries(f"{where}, {column}", text)
        else:
            found[column] = text.strip()
    return found


def _entries(where: str, text: str) -> dict[str, Any]:
    """The entries of a dict that are no null. Raises BadInput where the text is no dict."""
    for parse in (json.loads, ast.literal_eval):
        value = _parsed(parse, text)
        if isinstance(value, dict):
            return {name: entry for name, entry in value.items() if entry is not None}
    todo = 'write JSON, such as {"depth": [2, 3], "resolution": 224}'
    raise BadInput(where, "is no dict of genes", todo)


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    """What a parser makes of a text; None where it cannot read it."""
    try:
        return parse(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
