"""Layers at work side by side: each on macros of its own, one inference behind the other.

Where all weights stay on the chip, layers are stages of a pipeline: while one works on an inference, the layer before it works
on the next. Between two results pass as many cycles as the busiest resource needs for one inference: the fullest macro, or
what all stages share - macros for attention's operands, buffer, network, vector unit, DRAM.

Tiles are dealt to macros in the order of how long an inference keeps them busy, longest first, so that the first macro is the
fullest. Activations between stages are buffered twice, one being written while the other is read; what the buffer cannot hold
goes to the DRAM and back.

A *row* is one distinct layer shape of one (network, chip) pair; arrays of shape (rows,) have one element for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.grid import Grid
from cimbo.hardware.rows import Floats
from cimbo.hardware.schedule_table import Schedule
from cimbo.hardware.tiling import Tiling

STAGE_BOUNDS = ("compute", "attention arrays", "buffer", "NoC", "vector", "DRAM")


@dataclass(frozen=True)
class Pipeline:
    """Pipelines of some pairs, each column of shape (pairs,) unless said otherwise.

    Attributes:
        interval: Cycles of the arrays between two results.
        busy: Cycles that each resource (STAGE_BOUNDS) needs for one inference, (resources, pairs).
        dram_bits: Bits over the DRAM for one inference.
        tile_busy: Cycles for which one inference keeps each tile of a row busy, (rows,).
    """

    interval: Floats
    busy: Floats
    dram_bits: Floats
    tile_busy: Floats


def pipeline(tiling: Tiling, run: Schedule, grid: Grid) -> Pipeline:
    """Work out how often pipelines give a result, if every layer's weights stay on the chip.

    Args:
        tiling: The tiles, columns of shape (rows,).
        run: The schedule of each layer alone, with its copies.
        grid: Which rows belong to which pair.

    Returns:
        The pipeline of every pair; meaningful only for pairs whose weights fit the chip.
    """
    layers = tiling.layers
    vectors = layers.vectors_of_a_copy(run.copies)
    tile_busy = vectors * tiling.vector_cycles * ~layers.is_dynamic
    attention_on_arrays = layers.is_dynamic & ~run.on_unit
    # Activations of all stages are in the buffer at once. With a KV cache, attention's operand
    # streams from the cache instead.
    held_bits = tiling.input_bits + tiling.output_bits
    if tiling.has_dynamic and tiling.cache is None:
        held_bits = held_bits + layers.is_dynamic * tiling.weight_bits
    excess = np.maximum(grid.sums(held_bits) - tiling.chip.buffer_bits[grid.starts], 0)
    dram_bits = np.maximum(grid.sums(run.io_bits), excess)
    busy = np.stack(
        [
            _fullest_macro(tiling, run.copies, grid),
            grid.sums(attention_on_arrays * run.cycles),
            grid.sums(run.buffer),
            grid.sums(run.noc),
            grid.sums(run.vector),
            dram_bits / tiling.chip.dram_bw[grid.starts],
        ]
    )
    return Pipeline(np.max(busy, axis=0), busy, dram_bits, tile_busy)


def _fullest_macro(tiling: Tiling, copies: Floats, grid: Grid) -> Floats:
    """Cycles that the fullest macro computes for one inference, (pairs,).

    The tiles of a pair are sorted by how long they are busy and dealt to its macros in turn, so the
    first macro, which gets tiles 0, m, 2m, ... of m macros, is the fullest. A group of n tiles that
    are equally busy and stand behind k others gives it ceil((k + n) / m) - ceil(k / m) tiles.

    Where the vectors of a layer are no multiple of its copies, some copies have one vector more
    than the others: each row makes two groups of tiles. In a recurrence this is so in every step.

    Returns:
        Cycles of the arrays, (pairs,).
    """
    layers = tiling.layers
    static = ~layers.is_dynamic
    steps = np.where(copies > 1, np.maximum(layers.steps, 1), 1)
    together = np.where(steps > 1, layers.side_by_side, layers.positions)
    vectors = np.floor(together / copies)
    longer_copies = together - vectors * copies
    tiles = tiling.tiles * layers.count * static
    # From here on, two groups of tiles for each row, (2 * rows,).
    number = np.concatenate([tiles * longer_copies, tiles * (copies - longer_copies)])
    busy = np.concatenate([vectors + 1, vectors])
    busy = busy * np.tile(steps * tiling.vector_cycles * static, 2)
    pair = np.tile(grid.network, 2)
    order = np.lexsort((-busy, pair))  # by pair, then longest first
    starts = 2 * grid.starts
    sorted_number = number[order]
    # Tiles up to and with each group, of all pairs, less those of the pairs before its own.
    dealt = np.cumsum(sorted_number)
    earlier_pairs = np.repeat(dealt[starts] - sorted_number[starts], 2 * grid.lengths)
    dealt_in_pair = dealt - earlier_pairs
    macros = np.tile(tiling.chip.macros, 2)[order]
    with_group = np.ceil(dealt_in_pair / macros)
    without_group = np.ceil((dealt_in_pair - sorted_number) / macros)
    cycles: Floats = np.add.reduceat((with_group - without_group) * busy[order], starts)
    return cycles


def busy_stages(
    tiling: Tiling, run: Schedule, pipelines: Pipeline, pair: int
) -> tuple[str, Floats]:
    """Find the busiest resource of a pair's pipeline, and how long each layer keeps it busy.

    Args:
        tiling: The tiles of the pair's rows, columns of shape (rows,).
        run: The schedule of each of these rows.
        pipelines: The pipelines, of this pair and perhaps others; ``tile_busy`` is of the rows in
            ``tiling``.
        pair: Position of the pair in ``pipelines``.

    Returns:
        The busiest resource, one of ``STAGE_BOUNDS``, and cycles of the arrays for which each row
        keeps it busy, (rows,).
    """
    bound = STAGE_BOUNDS[int(np.argmax(pipelines.busy[:, pair]))]
    attention_on_arrays = tiling.layers.is_dynamic & ~run.on_unit
    cycles = {
        "compute": pipelines.tile_busy,
        "attention arrays": attention_on_arrays * run.cycles,
        "buffer": run.buffer,
        "NoC": run.noc,
        "vector": run.vector,
        "DRAM": (tiling.input_bits + tiling.output_bits) / tiling.chip.dram_bw,
    }
    return bound, cycles[bound]
