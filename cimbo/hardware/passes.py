"""The passes of a layer: what each of them reads, loads and gives.

A layer whose weights do not fit the macros at once takes several passes: each fills the macros with the next tiles and runs
all input vectors through them. Tiles stand in *strips*: the row tiles of the same columns, whose partial sums make up one
result. The last row tile of a strip may lack rows, the last strip of a group may lack columns ("ragged").

Passes differ, and each waits for its own slowest resource, so costs are taken pass by pass: of the three kinds there are
for one group, or listed where strips of several groups follow each other (:mod:`cimbo.hardware.single_passes`).

A *row* of an array is one distinct layer shape of one (network, chip) pair.
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
        busiest_rows: Word lines in use in the fullest macro.
        rows_written: Word lines that a macro writes at once.
        row_write_cycles: Cycles that writing these takes.
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
        kinds: The three kinds of passes of every row: those that complete the fewest strips, those
            that complete one strip more, and the last pass.
        listed: Passes that are listed one by one, which replace ``kinds`` for their rows; in blocks.
        input_reads: How often all inputs are read, (rows,).
        round_trips: How often a partial sum is put into the buffer and read again, on average, (rows,).
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
        fewer, more, last = (kind.number * cost(inputs, kind) for kind in self.kinds)
        result: Floats = fewer + more + last
        for block in self.listed:  # the sums of these rows are replaced
            inputs_of_passes = select(inputs, block.rows[block.row_of])
            costs_of_passes = cost(inputs_of_passes, block.each)
            result[block.rows] = np.bincount(block.row_of, costs_of_passes)
        return result


def passes(tiling: Tiling, macros: Floats, number: Floats, needs_list: Bools) -> Passes:
    """Work out the passes of each row.

    Args:
        tiling: The tiles, columns of shape (rows,).
        macros: Macros that take tiles, (rows,).
        number: Passes of each row, (rows,).
        needs_list: True for rows that are worth listing pass by pass if they have several groups,
            (rows,).

    Returns:
        The passes of every row.
    """
    kinds = _kinds(tiling, macros, number)
    trips = round_trips(tiling, macros, number)
    fewer, more, last = (kind.number * kind.inputs for kind in kinds)
    input_reads: Floats = 0 + fewer + more + last
    # The three kinds are exact unless strips of several groups follow one another.
    is_mixed = (tiling.layers.groups > 1) & (tiling.column_tiles > 1) & (number > 1)
    listed = []
    for rows in _blocks(number, np.flatnonzero(is_mixed & needs_list)):
        block = list_passes(tiling, macros, number, rows)
        input_reads[rows] = np.bincount(block.row_of, block.each.inputs)
        # Where a strip is longer than a pass, every strip is cut, and the average stands. Elsewhere
        # a strip is cut once at most: its sums are put aside by two passes.
        is_every_strip_cut = macros[rows] < tiling.row_tiles[rows]
        trips_by_strip = 2 * np.bincount(block.row_of, block.cut)
        trips[rows] = np.where(is_every_strip_cut, trips[rows], trips_by_strip)
        listed.append(block)
    return Passes(kinds, tuple(listed), input_reads, trips)


def _blocks(number: Floats, rows: Indices) -> list[Indices]:
    """Cut ``rows`` into consecutive blocks of about LISTED_AT_ONCE passes, to bound the memory."""
    block_of_row = np.cumsum(number[rows]) // LISTED_AT_ONCE
    blocks = []
    for block in np.split(rows, np.flatnonzero(np.diff(block_of_row)) + 1):
        if block.size:  # np.split gives one empty block where there are no rows
            blocks.append(block)
    return blocks


def _kinds(tiling: Tiling, macros: Floats, number: Floats) -> tuple[Pass, Pass, Pass]:
    """The three kinds of passes of each row: with fewer completed strips, with one more, the last.

    All passes but the last are full: they hold as many tiles as there are macros. So each completes
    floor(macros / row tiles) strips, or one more.

    Args:
        tiling: The tiles, columns of shape (rows,).
        macros: Macros that take tiles, (rows,).
        number: Passes of each row, (rows,).

    Returns:
        The kinds, columns of shape (rows,).
    """
    full_passes = number - 1
    complete = np.floor(macros / tiling.row_tiles)  # strips that a pass completes at least
    strips_before_last = np.floor(full_passes * macros / tiling.row_tiles)
    more = strips_before_last - complete * full_passes  # passes that complete one strip more
    fewer = full_passes - more
    # Weight rows in a pass of each kind; every completed strip has one tile that lacks rows.
    rows = macros * tiling.tile_rows * tiling.packed - complete * tiling.short_rows
    rows_more = rows - tiling.short_rows
    rows_last = tiling.all_rows * tiling.column_tiles - fewer * rows - more * rows_more
    inputs = [np.minimum(held / tiling.all_rows, 1) for held in (rows, rows_more, rows_last)]
    # Share of all results that one strip computes.
    strip = tiling.strip_width * tiling.packed / tiling.layers.groups
    # The last pass holds the ragged strip alone, or it among others.
    is_ragged_alone = tiling.tiles - strips_before_last * tiling.row_tiles <= tiling.row_tiles
    missing_width = tiling.strip_width - tiling.ragged_width
    missing = np.where(is_ragged_alone, rows_last, tiling.all_rows) * missing_width
    # Share of all weights in the last pass; the others share the rest by their rows.
    weights_last = (rows_last * tiling.strip_width - missing) / tiling.all_rows
    other_rows = np.maximum(tiling.all_rows * tiling.column_tiles - rows_last, 1)
    weights_a_row = (1 - weights_last) / other_rows
    return (
        Pass(fewer, rows, inputs[0], complete * strip, rows * weights_a_row),
        Pass(more, rows_more, inputs[1], (complete + 1) * strip, rows_more * weights_a_row),
        Pass(1, rows_last, inputs[2], 1 - strips_before_last * strip, weights_last),
    )


def round_trips(tiling: Tiling, macros: Floats, number: Floats) -> Floats:
    """Count how often a partial sum is put into the buffer and read again, on average.

    A pass puts the sums of a strip aside if it holds only a part of the strip. They are read once,
    by the next pass or by the vector unit. The i-th pass ends at tile i * macros, so it ends within
    a strip unless i is a multiple of row tiles / gcd(row tiles, macros).

    Args:
        tiling: The tiles, columns of shape (rows,).
        macros: Macros that take tiles, (rows,).
        number: Passes of each row, (rows,).

    Returns:
        Times, on average over a row's sums, (rows,).
    """
    trips = np.zeros(tiling.tiles.shape)
    # Elsewhere a strip is always held by one pass.
    rows = np.flatnonzero((number > 1) & (tiling.row_tiles > 1))
    pass_tiles, height = macros[rows], tiling.row_tiles[rows]
    boundaries = number[rows] - 1  # ends of passes but the last
    common = np.gcd(pass_tiles.astype(int), height.astype(int))
    cuts = boundaries - np.floor(boundaries * common / height)  # those within a strip
    # Whether the last cut goes through the ragged strip, which has fewer results.
    cuts_ragged = tiling.tiles[rows] - boundaries * pass_tiles < height
    width = tiling.strip_width[rows]
    cut_width = cuts * width - cuts_ragged * (width - tiling.ragged_width[rows])
    cut_results = cut_width / tiling.layers.groups[rows]
    # A strip longer than a pass is put aside once and once more at each cut; a shorter one by both
    # of the passes that hold a part of it.
    longer_than_pass = 1 + cuts * height / tiling.tiles[rows]
    trips[rows] = np.where(pass_tiles < height, longer_than_pass, 2 * cut_results)
    return trips
