"""The passes of a layer: what each of them reads, loads and gives.

A pass fills the macros with the next tiles. The last row tile of a strip may lack rows, the last strip of a group columns.
Passes differ, and each waits for its own slowest resource, so costs are taken pass by pass: of the three kinds there are
for one group, or listed where strips of several groups follow each other (:mod:`cimbo.hardware.single_passes`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cimbo.hardware.rows import Bools, Floats, Indices, select
from cimbo.hardware.single_passes import ListedPasses, Pass, list_passes
from cimbo.hardware.tiling import Tiling

LISTED_AT_ONCE = 100_000  # passes; long sequences on few macros have thousands each


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
        listed: Rows whose passes are listed instead, in blocks.
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
        for block in self.listed:  # the sums of these rows are replaced
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
        block = list_passes(tiling, macros, number, rows)
        input_reads[rows] = np.bincount(block.row_of, block.each.inputs)
        all_cut = macros[rows] < tiling.row_tiles[rows]
        by_strip = 2 * np.bincount(block.row_of, block.cut)
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
    # The last pass holds the ragged strip alone, or it among others.
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
