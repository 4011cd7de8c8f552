"""stdout is data: the same rows as an aligned table, as JSON or as CSV."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cimbo.errors import printable
from cimbo.session.text import as_csv
from cimbo.session.text import columns as column_names

format_option = click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How to print.",
)


def emit(style: str, rows: Sequence[Mapping[str, Any]], document: Any) -> None:
    """Print ``document`` as JSON, or ``rows`` as a table or CSV."""
    if style == "json":
        show(json.dumps(_finite(document), indent=2, ensure_ascii=False) + "\n")
    elif style == "csv":
        show(as_csv(rows))
    else:
        show(_fitted(as_table(rows)) + "\n")


def show(text: str) -> None:
    """Print to stdout; a name out of a file cannot give orders to the terminal."""
    click.echo("\n".join(map(printable, text.split("\n"))), nl=False)


def say(text: str) -> None:
    """Tell something on stderr; a name out of a file cannot give orders to the terminal there either."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=True)


def _fitted(table: str) -> str:
    """On a terminal, lines cut to its width, which is said; a wrapped table cannot be read."""
    width = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or max(map(len, table.split("\n"))) <= width:
        return table
    say(f"cut to {width} columns; --format csv or json, or a pipe, has all")
    return "\n".join(
        line if len(line) <= width else line[: width - 1] + "…" for line in table.split("\n")
    )


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns aligned with spaces, numbers to the right."""
    if not rows:
        return "(none)"
    columns = column_names(rows)
    cells = [[_cell(row.get(c)) for c in columns] for row in rows]
    numeric = [all(_is_number(row.get(c)) for row in rows) for c in columns]
    widths = [max(len(c), *(len(line[i]) for line in cells)) for i, c in enumerate(columns)]

    def line(texts: Sequence[str]) -> str:
        padded = (
            t.rjust(w) if right else t.ljust(w)
            for t, w, right in zip(texts, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(columns), *map(line, cells)])


def _cell(value: Any) -> str:
    if isinstance(value, bool | None):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, float):
        return (
            f"{value:.0f}" if 1e5 <= abs(value) < 1e15 else f"{value + 0.0:.4g}"
        )  # no minus before a zero
    return str(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _finite(value: Any) -> Any:
    """NaN and infinities as null: they are no JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value
