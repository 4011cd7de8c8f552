"""How the site's tables are written, and where their data stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table.

    Args:
        head: Titles of the columns.
        rows: Cells of each row, as many as titles.

    Returns:
        Markdown.
    """
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines)


def benchmark(name: str) -> Any:
    """Read what a benchmark wrote.

    Args:
        name: File below ``benchmarks``.

    Returns:
        Its JSON.
    """
    return json.loads((ROOT / "benchmarks" / name).read_text(encoding="utf-8"))
