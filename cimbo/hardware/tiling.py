"""The passes of a layer: what each of them reads, loads and gives.

Tiles lie strip by strip, group by group. A strip is a group's row tiles of the same columns, whose sums make its results; the
last row tile may lack rows, the last strip of a group columns. A pass fills the macros with the next tiles. Passes differ,
and each waits for its own slowest resource, so costs are taken pass by pass: of the three kinds there are for one group,
or one by one where strips of several groups follow each other.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

Rows = SimpleNamespace
LISTED_AT_ONCE = 100_000  # passes; long sequences on few macros have thousands each


class Pass(NamedTuple):
    """Passes of one kind: how many, weight rows in each, and what share of all inputs, results and weights is its own."""

    number: Any
    rows: np.ndarray
    inputs: np.ndarray
    results: np.ndarray
    weights: np.ndarray


Cost = Callable[[Any, Any, Pass], np.ndarray]


class Passes(NamedTuple):
    """The kinds of passes of every row; ``single``: blocks of rows whose passes are listed one by one, which of them each
    belongs to, and those passes."""

    kinds: tuple[Pass, Pass, Pass]
    single: list[tuple[np.ndarray, np.ndarray, Pass]]

    def total(self, cost: Cost, r: Rows, s: Rows) -> np.ndarray:
        """Sum of ``cost`` over the passes of each row."""
        fewer, more, last = (each.number * cost(r, s, each) for each in self.kinds)
        result = fewer + more + last
        for rows, of, each in self.single:
            result[rows] = np.bincount(
                of, cost(_Gathered(r, rows[of]), _Gathered(s, rows[of]), each)
            )
        return result


class _Gathered:
    """Columns of some rows, fetched when they are asked for."""

    def __init__(self, rows: Rows, where: np.ndarray) -> None:
        self._rows, self._where = rows, where

    def __getattr__(self, name: str) -> Any:
        values = getattr(self._rows, name)
        return values[self._where] if isinstance(values, np.ndarray) else values


def passes(r: Rows, s: Rows) -> Passes:
    """Passes of each row on ``s.macros``, ``s.passes`` of them. Sets ``s.streams``, how often its inputs are read, and
    ``s.turns``, how often its sums wait in the buffer.

    Rows that the arrays could not compute as fast as the vector unit does need no list.
    """
    kinds = _kinds(r, s)
    s.turns = _turns(r, s)
    s.streams = sum(each.number * each.inputs for each in kinds)
    listed = (r.groups > 1) & (r.column_tiles > 1) & (s.passes > 1)
    rows = np.flatnonzero(listed & (s.compute <= r.unit_cycles) if r.any_dynamic else listed)
    return Passes(kinds, [_listed(r, s, block) for block in _blocks(s, rows)])


def _blocks(s: Rows, rows: np.ndarray) -> list[np.ndarray]:
    """``rows`` in order, some LISTED_AT_ONCE passes in each block; none where there are no rows."""
    block = np.cumsum(s.passes[rows]) // LISTED_AT_ONCE
    return [each for each in np.split(rows, np.flatnonzero(np.diff(block)) + 1) if each.size]


def _listed(r: Rows, s: Rows, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, Pass]:
    of, each, cut = _one_by_one(r, s, rows)
    s.streams[rows] = np.bincount(of, each.inputs)
    s.turns[rows] = np.where(
        s.macros[rows] < r.row_tiles[rows], s.turns[rows], 2 * np.bincount(of, cut)
    )
    return rows, of, each


def _kinds(r: Rows, s: Rows) -> tuple[Pass, Pass, Pass]:
    """Full passes complete ``complete`` strips or one more, the last one those that are left."""
    full = s.passes - 1
    complete, done = np.floor(s.macros / r.row_tiles), np.floor(full * s.macros / r.row_tiles)
    more = done - complete * full
    fewer = full - more
    rows = s.macros * r.tile_rows * r.packed - complete * r.short
    rows_more = rows - r.short
    rows_last = r.all_rows * r.column_tiles - fewer * rows - more * rows_more
    inputs = [np.minimum(held / r.all_rows, 1) for held in (rows, rows_more, rows_last)]
    strip = r.strip_width * r.packed / r.groups
    # The narrow strip is all that the last pass holds, or one strip of it.
    alone = r.tiles - done * r.row_tiles <= r.row_tiles
    missing = np.where(alone, rows_last, r.all_rows) * (r.strip_width - r.narrow_width)
    last = (rows_last * r.strip_width - missing) / r.all_rows
    a_row = (1 - last) / np.maximum(r.all_rows * r.column_tiles - rows_last, 1)
    return (
        Pass(fewer, rows, inputs[0], complete * strip, rows * a_row),
        Pass(more, rows_more, inputs[1], (complete + 1) * strip, rows_more * a_row),
        Pass(1, rows_last, inputs[2], 1 - done * strip, last),
    )


def _turns(r: Rows, s: Rows) -> np.ndarray:
    """How often a sum is put aside, on average: in every pass that holds a part of a strip that others hold, too.

    Each is read once, by the next pass or by the vector unit. Passes end within a strip unless their number is a multiple of
    row tiles / gcd(row tiles, macros).
    """
    turns = np.zeros(r.tiles.shape)
    rows = np.flatnonzero((s.passes > 1) & (r.row_tiles > 1))
    macros, height, ends = s.macros[rows], r.row_tiles[rows], s.passes[rows] - 1
    cut = ends - np.floor(ends * np.gcd(macros.astype(int), height.astype(int)) / height)
    last = (
        r.tiles[rows] - ends * macros < height
    )  # the last pass ends a strip, the narrow one, that the pass before it begins
    strips = (
        cut * r.strip_width[rows] - last * (r.strip_width[rows] - r.narrow_width[rows])
    ) / r.groups[rows]
    turns[rows] = np.where(macros < height, 1 + cut * height / r.tiles[rows], 2 * strips)
    return turns


def _one_by_one(r: Rows, s: Rows, rows: np.ndarray) -> tuple[np.ndarray, Pass, np.ndarray]:
    """Every pass of the given rows, each from its first tile to the one after its last: the row it belongs to, the pass, and
    the share of all results in the strip that it leaves to the next pass.
    """
    number = s.passes[rows].astype(int)
    of = np.repeat(np.arange(rows.size), number)
    index = np.arange(of.size) - np.repeat(np.cumsum(number) - number, number)
    at = rows[of]
    height, macros, tile_rows, short = r.row_tiles[at], s.macros[at], r.tile_rows[at], r.short[at]
    group = height * r.column_tiles[at]
    first = index * macros
    end = np.minimum(first + macros, r.tiles[at])
    before, after = np.floor(first / group), np.floor(end / group)
    groups, into, out = after - before, first - before * group, end - after * group
    strips = np.floor(end / height) - np.floor(first / height)
    # Tiles read: of the group that the pass enters, of whole groups, of the one it leaves; or within one group.
    across = np.minimum(group - into, height) + (groups - 1) * height + np.minimum(out, height)
    read = np.where(groups > 0, across, np.minimum(end - first, height))
    short_read = np.where(groups > 0, groups + (out >= height), np.minimum(strips, 1))
    narrow = (
        groups * height + np.maximum(out - group + height, 0) - np.maximum(into - group + height, 0)
    )
    all_rows, width, less = (
        r.all_rows[at],
        r.strip_width[at],
        r.strip_width[at] - r.narrow_width[at],
    )
    held = (end - first) * tile_rows - strips * short
    each = Pass(
        1,
        held,
        (read * tile_rows - short_read * short) / all_rows,
        (strips * width - groups * less) / r.groups[at],
        (held * width - (narrow * tile_rows - groups * short) * less) / all_rows,
    )
    cut = (
        (np.floor(end / height) * height < end)
        * (width - (out > group - height) * less)
        / r.groups[at]
    )
    return of, each, cut
