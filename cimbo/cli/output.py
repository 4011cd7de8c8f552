"""stdout is data: the same rows as an aligned table, as JSON or as CSV."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cimbo.cli.messages import talk
from cimbo.cli.tables import as_table
from cimbo.errors import printable
from cimbo.problem.scalars import finite_json
from cimbo.session.text import as_csv

format_option = click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="Format of the output.",
)


def emit(style: str, rows: Sequence[Mapping[str, Any]], document: Any) -> None:
    """Print a document as JSON, or rows as a table or CSV.

    Args:
        style: "json", "csv" or "table".
        rows: Rows, each a value by column.
        document: What JSON shows; numbers in it that are not finite become null.
    """
    if style == "json":
        show(as_json(document) + "\n")
    elif style == "csv":
        show(as_csv(rows))
    else:
        show(as_table(rows, terminal_width()) + "\n")


def as_json(document: Any) -> str:
    """Write a document as JSON.

    Args:
        document: What is written; numbers in it that are not finite become null.

    Returns:
        The text, indented.
    """
    return json.dumps(finite_json(document), indent=2, ensure_ascii=False)


def show(text: str) -> None:
    """Print to stdout; a name out of a file cannot give orders to the terminal.

    Args:
        text: What to print, as it is: no newline is added.
    """
    click.echo("\n".join(map(printable, text.split("\n"))), nl=False)


def say(text: str) -> None:
    """Tell something on stderr; a name out of a file cannot give orders to the terminal.

    Args:
        text: What to tell; a newline is added.
    """
    talk().tell(text)


def terminal_width() -> int | None:
    """Measure the terminal that stdout is.

    Returns:
        Its columns; None where it is none, so that lines may be of any length.
    """
    if sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None
