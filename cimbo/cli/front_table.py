"""The front as people read it: a column for what varies between its designs, one line for what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cimbo.cli.tables import as_table, cell_text
from cimbo.session.design import Design
from cimbo.session.text import columns as column_names
from cimbo.session.text import folded_genes

ZIGZAG_REASON = "zigzag_reason"  # too long for a column; `cimbo show` has it
SHORT_KEY = 8  # letters of a key on a terminal; commands take any beginning that is unique


@dataclass(frozen=True)
class FrontTable:
    """What is printed of a front.

    Attributes:
        rows: A row a design: its key, its metrics, and the genes in which the designs differ.
        shared: Genes that are the same in every design, by name.
    """

    rows: tuple[Mapping[str, Any], ...]
    shared: Mapping[str, Any]

    def text(self, width: int | None = None) -> str:
        """Write the table, and below it what all designs have in common.

        Args:
            width: Columns of the terminal, which no block of the table exceeds and for which keys
                are shortened. None: one line a row, and whole keys.

        Returns:
            The text without a newline at its end.
        """
        rows = list(self.rows)
        if width is not None:
            rows = _with_short_keys(self.rows)
        table = as_table(rows, width)
        if not self.shared:
            return table
        return table + "\n\n" + "\n".join(self._shared_lines(width))

    def _shared_lines(self, width: int | None) -> list[str]:
        """The common genes, as many a line as fit."""
        lines = ["in every design:"]
        for name, value in self.shared.items():
            word = f" {name} {cell_text(value)}"
            if width is not None and len(lines[-1]) + len(word) + 1 > width:
                lines.append(" ")
            is_first = lines[-1].endswith((":", " "))
            if not is_first:
                lines[-1] += ","
            lines[-1] += word
        return lines


def front_table(designs: Sequence[Design]) -> FrontTable:
    """Sort the genes of designs into those that vary and those that are the same everywhere.

    Numbered genes (``heads_1``, ``heads_2``, ...) are one column. A front of one design has nothing
    that varies: all its genes are listed below.

    Args:
        designs: The designs of a front.

    Returns:
        What is printed of them.
    """
    genes = [folded_genes({**design.architecture, **design.hardware}) for design in designs]
    shared = _shared(genes)
    varying = [name for name in column_names(genes) if name not in shared]
    rows = []
    for design, values in zip(designs, genes, strict=True):
        rows.append(_measured(design) | {name: values.get(name) for name in varying})
    return FrontTable(tuple(rows), shared)


def _measured(design: Design) -> dict[str, Any]:
    """The columns of a design that are no genes."""
    row = design.measured_columns()
    for name, value in design.zigzag_columns().items():
        if name != ZIGZAG_REASON:
            row[name] = value
    return row


def _with_short_keys(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows with as much of each key as tells them apart, and commands accept."""
    length = SHORT_KEY
    while len({row["key"][:length] for row in rows}) < len(rows):
        length += 1
    return [{**row, "key": row["key"][:length]} for row in rows]


def _shared(designs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all ``designs`` have, with the same value."""
    if not designs:
        return {}
    shared = {}
    for name, value in designs[0].items():
        if all(name in design and design[name] == value for design in designs):
            shared[name] = value
    return shared
