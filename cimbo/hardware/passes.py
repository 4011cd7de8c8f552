"""The passes of a layer: what each of them reads, loads and gives.

A pass fills the macros with the next tiles. The last row tile of a strip may lack rows, the last strip of a group columns.
Passes differ, and each waits for its own slowest resource, so costs are taken pass by pass: of the three kinds there are
for one group, or one by one where strips of several groups follow each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cimbo.hardware.rows import Bools, Floats, Indices, select
from cimbo.hardware.tiling import Tiling

LISTED_AT_ONCE = 100_000  # passes; long sequences on few macros have thousands each


@dataclass(frozen=True)
class Pass:
    """Passes of one kind, each column of shape (rows,), or one pass of each element of a list.

    Attributes:
        number: How many of them there are.
        rows: Weight rows in each.
        inputs: Share of all inputs that it reads.
        results: Share of all results that it completes.
        weights: Share of all weights that it holds.
    """

    number: Floats | int
    rows: Floats
    inputs: Floats
    results: Floats
    weights: Floats


@dataclass(frozen=True)
class ListedPasses:
    """Passes of some rows, one by one.

    Attributes:
        rows: Rows whose passes are listed, (listed rows,).
        row_of: For each pass the index into ``rows``, (passes,).
        each: The passes, columns of shape (passes,).
    """

    rows: Indices
    row_of: Indices
    each: Pass


@dataclass(frozen=True)
class PassInputs:
    """What the cost of a pass depends on besides the pass, each column of shape (rows,).

    Attributes:
        array_cycles: Cycles that the arrays compute in a pass.
        vector_cycles: Cycles of the vector unit for all results.
        new_input_bits: Bits of all inputs.
        output_bits: Bits of all results.
        sent_bits: Bits of all results and of the partial sums that cross the NoC.
        buffer_bw: Bits a cycle.
        noc_bw: Bits a cycle.
        transfer_cycles: Cycles in which all weights arrive.
        busiest_rows: Rows in use in the fullest macro.
        rows_written: Rows that a macro writes at once.
        row_write_cycles: Cycles that writing them takes.
        vector_overlap: Cycles by which a load begins before the pass before it ends.
        is_zigzag_counting: Whether the buffer reads and writes at once.
    """

    array_cycles: Floats
    vector_cycles: Floats
    new_input_bits: Floats
    output_bits: Floats
    sent_bits: Floats
    buffer_bw: Floats
    noc_bw: Floats
    transfer_cycles: Floats
    busiest_rows: Floats
    rows_written: Floats
    row_write_cycles: Floats
    vector_overlap: Floats
    is_zigzag_counting: Bools


PassCost = Callable[[PassInputs, Pass], Floats]


@dataclass(frozen=True)
class Passes:
    """All passes of every row.

    Attributes:
        kinds: The kinds of passes of every row: those with fewer completed strips, those with one more, the last.
        listed: Rows whose passes are counted one by one instead, in blocks.
        input_reads: How often the inputs are read, (rows,).
        round_trips: How often a partial sum waits in the buffer, on average, (rows,).
    """

    kinds: tuple[Pass, Pass, Pass]
    listed: tuple[ListedPasses, ...]
    input_reads: Floats
    round_trips: Floats

    def total(self, cost: PassCost, inputs: PassInputs) -> Floats:
        """Sum a cost over the passes of each row.

        Args:
            cost: Gives what one pass costs; called with inputs and passes of equal shape.
            inputs: What the cost depends on beside the pass, columns of shape (rows,).

        Returns:
            Sums, (rows,), in the unit of the cost.
        """
        fewer, more, last = (each.number * cost(inputs, each) for each in self.kinds)
        result: Floats = fewer + more + last
        for block in self.listed:
            own = select(inputs, block.rows[block.row_of])
            result[block.rows] = np.bincount(block.row_of, cost(own, block.each))
        return result


def passes(tiling: Tiling, macros: Floats, number: Floats, needs_list: Bools) -> Passes:
    """Lists the passes of each row.

    Args:
        tiling: The tiles, columns of shape (rows,).
        macros: Macros that take tiles, (rows,).
        number: Passes of each row, (rows,).
        needs_list: Rows whose passes are worth a list of their own, (rows,).

    Returns:
        The passes of every row.
    """
    kinds = _kinds(tiling, macros, number)
    trips = round_trips(tiling, macros, number)
    fewer, more, last = (each.number * each.inputs for each in kinds)
    input_reads: Floats = 0 + fewer + more + last
    several = (tiling.layers.groups > 1) & (tiling.column_tiles > 1) & (number > 1)
    listed = []
    for rows in _blocks(number, np.flatnonzero(several & needs_list)):
        block, cut = _one_by_one(tiling, (macros, number), rows)
        input_reads[rows] = np.bincount(block.row_of, block.each.inputs)
        all_cut = macros[rows] < tiling.row_tiles[rows]
        by_strip = 2 * np.bincount(block.row_of, cut)
        trips[rows] = np.where(all_cut, trips[rows], by_strip)
        listed.append(block)
    return Passes(kinds, tuple(listed), input_reads, trips)


def _blocks(number: Floats, rows: Indices) -> list[Indices]:
    """``rows`` in order, some LISTED_AT_ONCE passes in each block; none where there are no rows."""
    block = np.cumsum(number[rows]) // LISTED_AT_ONCE
    blocks = []
    for each in np.split(rows, np.flatnonzero(np.diff(block)) + 1):
        if each.size:
            blocks.append(each)
    return blocks


def _kinds(tiling: Tiling, macros: Floats, number: Floats) -> tuple[Pass, Pass, Pass]:
    """Full passes complete ``complete`` strips or one more, the last one those that are left."""
    full = number - 1
    complete = np.floor(macros / tiling.row_tiles)
    done = np.floor(full * macros / tiling.row_tiles)
    more = done - complete * full
    fewer = full - more
    rows = macros * tiling.tile_rows * tiling.packed - complete * tiling.short_rows
    rows_more = rows - tiling.short_rows
    rows_last = tiling.all_rows * tiling.column_tiles - fewer * rows - more * rows_more
    inputs = [np.minimum(held / tiling.all_rows, 1) for held in (rows, rows_more, rows_last)]
    strip = tiling.strip_width * tiling.packed / tiling.layers.groups
    # The ragged strip is all that the last pass holds, or one strip of it.
    alone = tiling.tiles - done * tiling.row_tiles <= tiling.row_tiles
    missing_width = tiling.strip_width - tiling.ragged_width
    missing = np.where(alone, rows_last, tiling.all_rows) * missing_width
    last = (rows_last * tiling.strip_width - missing) / tiling.all_rows
    a_row = (1 - last) / np.maximum(tiling.all_rows * tiling.column_tiles - rows_last, 1)
    return (
        Pass(fewer, rows, inputs[0], complete * strip, rows * a_row),
        Pass(more, rows_more, inputs[1], (complete + 1) * strip, rows_more * a_row),
        Pass(1, rows_last, inputs[2], 1 - done * strip, last),
    )


def round_trips(tiling: Tiling, macros: Floats, number: Floats) -> Floats:
    """Count how often a sum is put aside, on average.

    This happens in every pass that holds a part of a strip that other passes hold, too. Each is
    read once, by the next pass or by the vector unit. Passes end within a strip unless their number
    is a multiple of row tiles / gcd(row tiles, macros).

    Args:
        tiling: The tiles, columns of shape (rows,).
        macros: Macros that take tiles, (rows,).
        number: Passes of each row, (rows,).

    Returns:
        Times, on average over a row's sums, (rows,).
    """
    trips = np.zeros(tiling.tiles.shape)
    rows = np.flatnonzero((number > 1) & (tiling.row_tiles > 1))
    own, height, ends = macros[rows], tiling.row_tiles[rows], number[rows] - 1
    cut = ends - np.floor(ends * np.gcd(own.astype(int), height.astype(int)) / height)
    # The last pass ends a strip, the ragged one, that the pass before it begins.
    last = tiling.tiles[rows] - ends * own < height
    width = tiling.strip_width[rows]
    strips = (cut * width - last * (width - tiling.ragged_width[rows])) / tiling.layers.groups[rows]
    trips[rows] = np.where(own < height, 1 + cut * height / tiling.tiles[rows], 2 * strips)
    return trips


def _one_by_one(
    tiling: Tiling, at_work: tuple[Floats, Floats], rows: Indices
) -> tuple[ListedPasses, Floats]:
    """Every pass of the given rows, each from its first tile to the one after its last.

    Args:
        tiling: The tiles, columns of shape (all rows,).
        at_work: Macros and number of passes of each row, (all rows,).
        rows: The rows to list, (rows,).

    Returns:
        The passes, and the share of all results in the strip that each leaves to the next pass, (passes,).
    """
    number = at_work[1][rows].astype(int)
    row_of = np.repeat(np.arange(rows.size), number)
    at = rows[row_of]
    macros, height = at_work[0][at], tiling.row_tiles[at]
    span = _Span.of(tiling, at, _counted_up(number), macros)
    # Tiles read: of the group that the pass enters, of whole groups, of the one it leaves; or within one group.
    entered, left = np.minimum(span.group - span.into, height), np.minimum(span.out, height)
    across = entered + (span.groups - 1) * height + left
    read = np.where(span.groups > 0, across, np.minimum(span.end - span.first, height))
    short_read = np.where(
        span.groups > 0, span.groups + (span.out >= height), np.minimum(span.strips, 1)
    )
    # Tiles of ragged strips, the last of each group
    past, before = (np.maximum(each - span.group + height, 0) for each in (span.out, span.into))
    ragged = span.groups * height + past - before
    tile_rows, short = tiling.tile_rows[at], tiling.short_rows[at]
    all_rows, width = tiling.all_rows[at], tiling.strip_width[at]
    less = width - tiling.ragged_width[at]
    all_groups = tiling.layers.groups[at]
    held = (span.end - span.first) * tile_rows - span.strips * short
    each = Pass(
        number=1,
        rows=held,
        inputs=(read * tile_rows - short_read * short) / all_rows,
        results=(span.strips * width - span.groups * less) / all_groups,
        weights=(held * width - (ragged * tile_rows - span.groups * short) * less) / all_rows,
    )
    ends_within = np.floor(span.end / height) * height < span.end
    cut = ends_within * (width - (span.out > span.group - height) * less) / all_groups
    return ListedPasses(rows, row_of, each), cut


def _counted_up(number: Indices) -> Indices:
    """0, 1, ... of each row's ``number`` of passes, one row after the other."""
    before = np.cumsum(number) - number
    return np.arange(number.sum()) - np.repeat(before, number)


@dataclass(frozen=True)
class _Span:
    """The tiles of single passes, in the order of strips and groups; columns of shape (passes,).

    Attributes:
        group: Tiles of a group.
        first: The first tile.
        end: The tile after the last.
        groups: How many groups end in the pass.
        into: How far into its group the pass begins.
        out: How far into its group it ends.
        strips: How many strips end in the pass.
    """

    group: Floats
    first: Floats
    end: Floats
    groups: Floats
    into: Floats
    out: Floats
    strips: Floats

    @classmethod
    def of(cls, tiling: Tiling, at: Indices, index: Indices, macros: Floats) -> _Span:
        """Find the tiles of the ``index``-th passes of rows ``at``, each of as many tiles as there are ``macros``."""
        height = tiling.row_tiles[at]
        group = height * tiling.column_tiles[at]
        first = index * macros
        end = np.minimum(first + macros, tiling.tiles[at])
        before, after = np.floor(first / group), np.floor(end / group)
        return cls(
            group,
            first,
            end,
            groups=after - before,
            into=first - before * group,
            out=end - after * group,
            strips=np.floor(end / height) - np.floor(first / height),
        )
