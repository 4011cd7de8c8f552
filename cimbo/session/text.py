"""Designs in words, and texts into files."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput

SECONDS_AN_HOUR = 3600
TRAILING_NUMBERS = re.compile(r"(_\d+)+$")


def folded_genes(design: Mapping[str, Any]) -> dict[str, Any]:
    """Fold runs of numbered genes into one: ``heads_1``, ``heads_2`` become ``heads``, "4,3".

    Only the numbers at the end go: ``wide_1_2`` is of the run ``wide``, and ``wide_a_1`` of ``wide_a``.

    Args:
        design: The design, by gene.

    Returns:
        Values by gene or by run. A numbered gene that is the only one of its run, and every gene
        without a number, keeps its own value.
    """
    runs: dict[str, list[Any]] = {}
    for name, value in design.items():
        stem = TRAILING_NUMBERS.sub("", name) or name
        runs.setdefault(stem, []).append(value)
    folded = {}
    for stem, values in runs.items():
        if len(values) == 1:
            folded[stem] = values[0]
        else:
            folded[stem] = ",".join(map(str, values))
    return folded


def genes_text(design: Mapping[str, Any]) -> str:
    """Write a design in one cell: ``heads=4,3,2 rows=128``.

    Args:
        design: The design, by gene.

    Returns:
        The text, runs of numbered genes folded.
    """
    return " ".join(f"{name}={value}" for name, value in folded_genes(design).items())


def write_text(path: Path, text: str) -> None:
    """Write a text into a file, in UTF-8.

    Args:
        path: The file.
        text: The text.

    Raises:
        BadInput: The file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise BadInput(path, what, "choose another place") from None


def check_writable(path: Path) -> None:
    """Check that a file can be written, before anything costly is done for it.

    Args:
        path: The file, which need not exist.

    Raises:
        BadInput: It is read-only, or its folder is or does not exist.
    """
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        what = "cannot be written (no folder, or a read-only one)"
        raise BadInput(path, what, "choose another place")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as CSV with a header.

    Args:
        rows: Rows, each a value by column; a column that a row lacks stays empty.

    Returns:
        The text, with the columns of all rows in order of first appearance.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, columns(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """List the columns of rows.

    Args:
        rows: Rows, each a value by column.

    Returns:
        Names in any of the rows, in order of first appearance.
    """
    return list(dict.fromkeys(name for row in rows for name in row))


def duration(seconds: float) -> str:
    """Write a time in the unit that a reader takes in at once.

    Args:
        seconds: The time.

    Returns:
        Hours from an hour and a half, minutes from 90 seconds, else seconds; with the unit.
    """
    if seconds >= 1.5 * SECONDS_AN_HOUR:
        return f"{seconds / SECONDS_AN_HOUR:.1f} h"
    if seconds >= 90:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s"
