"""Layers at work side by side: each on macros of its own, one inference behind the other.

Where all weights stay on the chip, layers are stages of a pipeline: while one works on an inference, the layer before it works
on the next. Between two results pass as many cycles as the busiest resource needs for one inference: the fullest macro, or
what all stages share - macros for attention's operands, buffer, network, vector unit, DRAM.

Tiles are dealt to macros in the order of how long an inference keeps them busy, longest first, so that the first macro is the
fullest. Activations between stages are buffered twice, one being written while the other is read; what the buffer cannot hold
goes to the DRAM and back.
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
        tile_busy: Cycles that one of its tiles is busy for, of each row, (rows,).
    """

    interval: Floats
    busy: Floats
    dram_bits: Floats
    tile_busy: Floats


def pipeline(tiling: Tiling, run: Schedule, grid: Grid) -> Pipeline:
    """Finds how often pipelines give a result where every layer's weights stay.

    Args:
        tiling: The tiles, columns of shape (rows,).
        run: The schedule of each layer alone, with its copies.
        grid: The rows of each pair.

    Returns:
        Of every pair; what it says is true where weights fit.
    """
    layers = tiling.layers
    vectors = np.ceil(layers.positions / run.copies)
    tile_busy = vectors * tiling.vector_cycles * ~layers.is_dynamic
    on_arrays = layers.is_dynamic & ~run.on_unit
    held = tiling.input_bits + tiling.output_bits
    if tiling.has_dynamic:
        operand = tiling.weight_bits if tiling.cache is None else 0
        held = held + layers.is_dynamic * operand
    excess = np.maximum(grid.sums(held) - tiling.chip.buffer_bits[grid.starts], 0)
    dram_bits = np.maximum(grid.sums(run.io_bits), excess)
    busy = np.stack(
        [
            _fullest_macro(tiling, run.copies, grid),
            grid.sums(on_arrays * run.cycles),
            grid.sums(run.buffer),
            grid.sums(run.noc),
            grid.sums(run.vector),
            dram_bits / tiling.chip.dram_bw[grid.starts],
        ]
    )
    return Pipeline(np.max(busy, axis=0), busy, dram_bits, tile_busy)


def _fullest_macro(tiling: Tiling, copies: Floats, grid: Grid) -> Floats:
    """Cycles that the first macro computes for one inference when tiles are dealt longest first, (pairs,).

    Where the vectors of a layer are no multiple of its copies, the first copies have one vector more than the others.

    Returns:
        (pairs,) cycles.
    """
    layers = tiling.layers
    static = ~layers.is_dynamic
    vectors = np.floor(layers.positions / copies)
    longer = layers.positions - vectors * copies
    tiles = tiling.tiles * layers.count * static
    number = np.concatenate([tiles * longer, tiles * (copies - longer)])
    busy = np.concatenate([vectors + 1, vectors]) * np.tile(tiling.vector_cycles * static, 2)
    pair = np.tile(grid.network, 2)
    order = np.lexsort((-busy, pair))
    starts = 2 * grid.starts
    in_order = number[order]
    dealt = np.cumsum(in_order)
    before = np.repeat(dealt[starts] - in_order[starts], 2 * grid.lengths)
    macros = np.tile(tiling.chip.macros, 2)[order]
    end = np.ceil((dealt - before) / macros)
    start = np.ceil((dealt - before - in_order) / macros)
    load: Floats = np.add.reduceat((end - start) * busy[order], starts)
    return load


def busy_stages(tiling: Tiling, run: Schedule, found: Pipeline, pair: int) -> tuple[str, Floats]:
    """Find what the interval of a pair waits for, and how long each layer's stage keeps that busy.

    Args:
        tiling: The tiles of the pair's rows, columns of shape (rows,).
        run: The schedule of each of these rows.
        found: The pipelines, of this pair and perhaps others; ``tile_busy`` is of the rows in
            ``tiling``.
        pair: Position of the pair in ``found``.

    Returns:
        The busiest resource, one of ``STAGE_BOUNDS``, and cycles of the arrays for which each row
        keeps it busy, (rows,).
    """
    bound = STAGE_BOUNDS[int(np.argmax(found.busy[:, pair]))]
    on_arrays = tiling.layers.is_dynamic & ~run.on_unit
    cycles = {
        "compute": found.tile_busy,
        "attention arrays": on_arrays * run.cycles,
        "buffer": run.buffer,
        "NoC": run.noc,
        "vector": run.vector,
        "DRAM": (tiling.input_bits + tiling.output_bits) / tiling.chip.dram_bw,
    }
    return bound, cycles[bound]
