"""Tables in text: columns aligned with spaces, and as many blocks of them as a terminal's width asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cimbo.session.text import columns as column_names

Row = Mapping[str, Any]
COLUMN_GAP = 2  # spaces between columns
MOST_ROWS_UNFOLDED = 60  # a table of so many rows is shown as it is


def as_table(rows: Sequence[Row], width: int | None = None) -> str:
    """Write rows as a table, numbers to the right.

    Args:
        rows: A mapping of column to value each; a value that is missing is a dash.
        width: Columns of the terminal. A wider table gets its headings in several lines, and what is still too wide
            is written in blocks, one below the other, that each begin with the first column. None: one line a row.

    Returns:
        The table without a newline at its end; "(none)" for no rows.
    """
    if not rows:
        return "(none)"
    names = column_names(rows)
    columns = [_Column.of(name, rows, fold=False) for name in names]
    blocks = _blocks(columns, width)
    if len(blocks) > 1:
        columns = [_Column.of(name, rows, fold=True) for name in names]
        blocks = _blocks(columns, width)
    return "\n\n".join(_block(block, width) for block in blocks)


def fold_alike(rows: Sequence[Row], name: str = "name") -> list[dict[str, Any]]:
    """Fold rows that differ in nothing but their name into one, where that saves many lines.

    Args:
        rows: The rows.
        name: The column that does not matter.

    Returns:
        The rows as they are, where they are few or hardly any are alike; else one of each, with a
        column ``alike`` that counts them, in the order of the first of each.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        others = {column: value for column, value in row.items() if column != name}
        numbers = repr(others)
        if numbers in found:
            found[numbers]["alike"] += 1
        else:
            found[numbers] = {name: row.get(name), "alike": 1, **others}
    if len(rows) <= MOST_ROWS_UNFOLDED or len(found) > len(rows) / 2:
        return [dict(row) for row in rows]
    return list(found.values())


class _Column:
    """One column as it is written.

    Attributes:
        heading: Its name, in one line or several.
        cells: A text a row.
        width: Of the widest line of them all.
        is_numeric: Whether all its values are numbers, or missing.
    """

    def __init__(self, heading: list[str], cells: list[str], *, is_numeric: bool) -> None:
        self.heading = heading
        self.cells = cells
        self.width = max(len(text) for text in [*heading, *cells])
        self.is_numeric = is_numeric

    @classmethod
    def of(cls, name: str, rows: Sequence[Row], *, fold: bool) -> _Column:
        """Make a column of rows.

        Args:
            name: Name of the column.
            rows: The rows; a value that is missing is a dash.
            fold: Whether its heading is broken into lines that are hardly wider than its cells.

        Returns:
            The column.
        """
        values = [row.get(name) for row in rows]
        cells = [cell_text(value) for value in values]
        if fold:
            heading = folded(name, max(map(len, cells)))
        else:
            heading = [name]
        return cls(heading, cells, is_numeric=all(_is_number(value) for value in values))

    def lines(self, heading_lines: int) -> list[str]:
        """Write the heading and the cells, all of one width.

        Args:
            heading_lines: Lines of the heading; those that it does not need are empty, above it.

        Returns:
            The lines, from the top.
        """
        above = [""] * (heading_lines - len(self.heading))
        texts = [*above, *self.heading, *self.cells]
        if self.is_numeric:
            return [text.rjust(self.width) for text in texts]
        return [text.ljust(self.width) for text in texts]


def folded(name: str, width: int) -> list[str]:
    """Break a name into lines, behind underscores.

    Args:
        name: The name.
        width: Columns that a line should have at most; a part that is wider has a line of its own.

    Returns:
        The lines.
    """
    lines = [""]
    for part in name.replace("_", "_\n").split("\n"):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _blocks(columns: list[_Column], width: int | None) -> list[list[_Column]]:
    """The columns cut into blocks that are no wider than ``width``; the first one stands in each."""
    first = columns[0]
    others = columns[1:]
    if width is None or not others:
        return [columns]
    blocks = [[first]]
    used = first.width
    for column in others:
        needed = COLUMN_GAP + column.width
        if used + needed > width and len(blocks[-1]) > 1:
            blocks.append([first])
            used = first.width
        blocks[-1].append(column)
        used += needed
    return blocks


def _block(columns: list[_Column], width: int | None) -> str:
    heading_lines = max(len(column.heading) for column in columns)
    written = [column.lines(heading_lines) for column in columns]
    lines = []
    for texts in zip(*written, strict=True):
        line = (" " * COLUMN_GAP).join(texts).rstrip()
        lines.append(shortened(line, width))
    return "\n".join(lines)


def shortened(line: str, width: int | None) -> str:
    """Cut a line that is too wide, with a sign that there is more.

    Args:
        line: The line.
        width: Columns of the terminal; None: the line stays as it is.

    Returns:
        The line, or its beginning.
    """
    if width is None or len(line) <= width:
        return line
    return line[: max(width - 1, 0)] + "…"


def cell_text(value: Any) -> str:
    """Write a value as a table shows it: four digits of a number, a dash for nothing.

    Args:
        value: Any value of a row; of a list and a mapping each element is written.

    Returns:
        The text.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {cell_text(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(cell_text, value))
    if isinstance(value, float):
        return _number_text(value)
    return str(value)


def _number_text(value: float) -> str:
    """Four digits of a number; all before the point of a large one."""
    if 1e5 <= abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value + 0.0:.4g}"  # no minus before a zero


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
