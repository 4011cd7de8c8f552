"""Designs in words, and texts into files."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput


def genes_text(design: Mapping[str, Any]) -> str:
    """A design in one cell: runs of numbered genes are folded, ``heads=4,3,2``."""
    runs: dict[str, list[str]] = {}
    for name, value in design.items():
        stem = name.split("_")[0] if name[-1].isdigit() else name
        runs.setdefault(stem, []).append(str(value))
    return " ".join(f"{stem}={','.join(values)}" for stem, values in runs.items())


def write_text(path: Path, text: str) -> None:
    """Write a file. Raises BadInput where that is impossible."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise BadInput(path, what, "choose another place") from None


def check_writable(path: Path) -> None:
    """Raises BadInput where `write_text` would, before anything costly is done for it."""
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        what = "cannot be written (no folder, or a read-only one)"
        raise BadInput(path, what, "choose another place")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV with a header; the columns of all rows, in order of first appearance."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names in all of ``rows``, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))
