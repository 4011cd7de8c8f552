"""Countable events of a schedule; a chip's energies an event turn them into energy (:mod:`cimbo.hardware.cost_model`).

A *row* is one distinct layer shape of one (network, chip) pair; arrays of shape (rows,) have one element for each.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from cimbo.hardware.rows import Floats, Indices, select
from cimbo.hardware.schedule_table import Schedule
from cimbo.hardware.tiling import Tiling


@dataclass(frozen=True)
class Events:
    """How often each thing happens, each column of shape (rows,) or, summed over networks, (pairs,).

    Attributes:
        conversions: Columns' sums converted, or added up by trees.
        drives: Inputs driven onto a word line.
        cells_switched: Drives whose cells switch beyond the chip's ``activity``; below 0 where fewer do.
        activations: Array operations of a macro.
        full_adders: One-bit adders of trees with two live operands.
        half_adders: The same with one live operand.
        shifts: Sums of a weight column put together from their parts, in units of a weight of the chip's own bits.
        accumulated: Sums of a weight column accumulated, in units of accumulators of the chip's own bits.
        summed: Sums of a macro added to those of another.
        written: Bits written into cells.
        macs: Multiply-accumulates of the vector unit.
        ops: Other operations of the vector unit.
        read: Bits read from the buffer.
        stored: Bits written to the buffer.
        moved: Bits over the NoC.
        dram: Bits over the DRAM's channels.
        edram: Bits to and from the embedded DRAM.
    """

    conversions: Floats
    drives: Floats
    cells_switched: Floats
    activations: Floats
    full_adders: Floats
    half_adders: Floats
    shifts: Floats
    accumulated: Floats
    summed: Floats
    written: Floats
    macs: Floats
    ops: Floats
    read: Floats
    stored: Floats
    moved: Floats
    dram: Floats
    edram: Floats

    def stacked(self) -> Floats:
        """Stack all columns in the order of the fields.

        Returns:
            Counts, (fields, rows).
        """
        return np.stack([getattr(self, field.name) for field in fields(self)])


EVENT_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Events))


def count_events(tiling: Tiling, plan: Schedule) -> Events:
    """Count the events of each row.

    Args:
        tiling: The tiles, columns of shape (rows,).
        plan: The schedule of each row.

    Returns:
        Counts, columns of shape (rows,).
    """
    layers, operands = tiling.layers, tiling.precision
    on_array = ~plan.on_unit
    # Input steps of all vectors, weight-column results of these steps, and the sums of macros that
    # each result consists of.
    vector_steps = layers.positions * operands.input_steps * layers.groups * on_array
    results = vector_steps * layers.outputs_each
    sums = results * tiling.row_tiles * tiling.row_steps
    full, half = np.zeros_like(sums), np.zeros_like(sums)
    if tiling.has_digital:
        full, half = _tree_events(tiling, vector_steps)
    spilled_out = tiling.spills * tiling.output_bits
    partial_sums = plan.partial_sum_bits * on_array
    drives = vector_steps * layers.reduction * tiling.column_tiles
    busy = operands.activity_share
    loaded = plan.loaded_bits * plan.loads
    from_dram = loaded * ~layers.is_dynamic  # attention's operand comes from the chip itself
    return Events(
        conversions=sums * operands.slices,
        drives=drives,
        cells_switched=drives * (busy - 1),
        activations=layers.positions
        * operands.input_steps
        * tiling.tiles
        * tiling.row_steps
        * on_array,
        full_adders=full * busy,
        half_adders=half * busy,
        shifts=sums * operands.shift_share * busy,
        accumulated=sums * operands.accumulator_share * busy,
        summed=results / operands.input_steps * (tiling.row_tiles - 1) * busy,
        written=loaded * plan.copies,
        macs=layers.macs * ~on_array,
        ops=layers.vector_ops,
        read=plan.read_bits + loaded + partial_sums + spilled_out,
        stored=tiling.output_bits
        + from_dram
        + partial_sums
        + plan.io_bits
        + plan.edram_bits
        - spilled_out,
        moved=plan.moved_bits + loaded,
        dram=from_dram + plan.io_bits,
        edram=plan.edram_bits,
    )


def _tree_events(tiling: Tiling, vector_steps: Floats) -> tuple[Floats, Floats]:
    """Count one-bit adders of digital arrays that see two live operands, or one.

    The rows of a weight column are added up in groups of ``rows_active``, each by one pass through
    the tree; the last group may have fewer rows, so not all inputs of the tree are live.

    Args:
        tiling: The tiles, columns of shape (rows,).
        vector_steps: Input steps of all vectors, (rows,).

    Returns:
        Adders of two live operands, and of one, (rows,) each; 0 for arrays that are not digital.
    """
    full, half = np.zeros_like(vector_steps), np.zeros_like(vector_steps)
    digital = np.flatnonzero(tiling.chip.is_digital)
    layers, chip = select(tiling.layers, digital), select(tiling.chip, digital)
    held_bits = tiling.precision.held_bits[digital]
    trees_per_weight = np.ceil(held_bits / chip.tree_bits)
    whole_groups = np.floor(layers.reduction / chip.rows_active)
    rest = layers.reduction - whole_groups * chip.rows_active
    depth = np.ceil(np.log2(chip.rows_active)).astype(int)
    starts, adders = tree_adders_by_live_inputs(int(depth.max(initial=0)))
    of_whole_group = adders[:, starts[depth] + chip.rows_active.astype(int)]
    of_rest = adders[:, starts[depth] + rest.astype(int)]
    counts = whole_groups * of_whole_group + of_rest
    trees = vector_steps[digital] * layers.outputs_each * chip.dac_bits * trees_per_weight
    # Adders of level l are as wide as what the tree adds up, and l bits more.
    width = held_bits / trees_per_weight
    full[digital] = trees * (width * counts[0] + counts[1])
    half[digital] = trees * (width * counts[2] + counts[3])
    return full, half


@lru_cache(maxsize=16)
def tree_adders_by_live_inputs(deepest: int) -> tuple[Indices, Floats]:
    """Tabulate, for adder trees of all depths, how many adders see two live operands or only one.

    Level l joins nodes in pairs. With m live inputs, ceil(m / 2^l) nodes of the level carry data: each full pair is one live
    adder, an odd one out passes through a half-live one (zigzag-dse's classes).

    Args:
        deepest: Levels of the deepest tree.

    Returns:
        First, the index of the entry of each depth's tree without live inputs, (deepest + 1,): the
        entry of depth d and m live inputs (0 to 2^d) is ``starts[d] + m``.
        Second, four counts for each entry, (4, entries): live adders, the sum of their levels,
        half-live adders, the sum of their levels.
    """
    starts, entries = [], []
    for depth in range(deepest + 1):
        # A tree of depth d has 2^d + 1 entries, so it begins behind those of all smaller trees.
        starts.append(sum(2**smaller + 1 for smaller in range(depth)))
        live = np.arange(2**depth + 1)
        counts = np.zeros((4, live.size))
        for level in range(depth):
            nodes = -(-live // 2**level)  # rounded up
            pairs, odd = nodes // 2, nodes % 2
            counts += np.stack([pairs, level * pairs, odd, level * odd])
        entries.append(counts)
    return np.array(starts), np.concatenate(entries, axis=1)
