"""How the weights of layers lie on macros: tiles, what each of them holds, and the traffic that follows.

A tile is what one macro holds at once. Groups that fit together share a tile, block-diagonally. Tiles lie column strip by
column strip, group by group: a strip is a group's row tiles of the same columns, whose sums make its results.

A *row* of an array is one distinct layer shape of one (network, chip) pair; arrays of shape (rows,) have one element for each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cimbo.hardware.kv_cache import CacheTraffic, cache_traffic
from cimbo.hardware.precision import Precision, precision
from cimbo.hardware.rows import Bools, ChipRows, Floats, LayerRows


@dataclass(frozen=True)
class Tiling:
    """Tiles of each (layer shape, chip) pair, each column of shape (rows,).

    Attributes:
        layers: Shapes of the layers.
        chip: What their chips are.
        precision: Operands as the layers have them on these chips.
        row_tiles: Tiles on top of each other in a group.
        column_tiles: Tiles side by side in a group.
        tile_rows: Word lines in use in a tile, but for the last of a strip.
        packed: Groups that share a tile.
        tiles: Tiles of the layer.
        short_rows: Word lines that the last tile of a strip lacks.
        busiest_rows: Word lines in use in the fullest macro.
        row_steps: Steps in which those are switched on, ``rows_active`` at a time.
        all_rows: Weight rows (elements of an input vector) over all groups.
        strip_width: Fraction of a group's outputs in a column strip.
        ragged_width: The same for its last strip.
        weight_bits: Bits of the stationary operand of the layer, all elements together.
        input_bits: Bits of its inputs, counted once.
        output_bits: Bits of its outputs.
        new_input_bits: Bits of inputs that enter when windows' overlaps are kept.
        working_set_bits: Bits of activations that the layer touches.
        chunks: Parts into which inputs are cut where they do not fit the buffer.
        spills: Whether they do not.
        cache: What moves between the arrays and the cache of keys and values; None where no network has one.
        has_dynamic: Whether any row is a product of attention.
        has_zigzag_counting: Whether any row is counted as ZigZag does.
        has_digital: Whether any row's chip is digital.
    """

    layers: LayerRows
    chip: ChipRows
    precision: Precision
    row_tiles: Floats
    column_tiles: Floats
    tile_rows: Floats
    packed: Floats
    tiles: Floats
    short_rows: Floats
    busiest_rows: Floats
    row_steps: Floats
    all_rows: Floats
    strip_width: Floats
    ragged_width: Floats
    weight_bits: Floats
    input_bits: Floats
    output_bits: Floats
    new_input_bits: Floats
    working_set_bits: Floats
    chunks: Floats
    spills: Bools
    cache: CacheTraffic | None
    has_dynamic: bool
    has_zigzag_counting: bool
    has_digital: bool

    @property
    def vector_cycles(self) -> Floats:
        """Cycles that one input vector keeps its macros busy for, (rows,)."""
        cycles: Floats = self.precision.input_steps * self.chip.share * self.row_steps
        return cycles


def tile(layers: LayerRows, chip: ChipRows) -> Tiling:
    """Lay the weights of each row's layer out on its chip's macros.

    Args:
        layers: Shapes, columns of shape (rows,).
        chip: Chips, columns of shape (rows,).

    Returns:
        The tiling, columns of shape (rows,).
    """
    row_tiles, tile_rows = _row_tiles(layers, chip)
    operands = precision(layers, chip)
    weight_columns = operands.weight_columns
    column_tiles = np.ceil(layers.outputs_each / weight_columns)
    # Groups that fit a macro block-diagonally: each takes rows and columns of its own.
    fitting_groups = np.minimum(
        np.floor(chip.rows / layers.reduction),
        np.floor(weight_columns / layers.outputs_each),
    )
    packed = np.where(chip.packing > 0, np.clip(fitting_groups, 1, layers.groups), 1)
    strip_width = np.minimum(weight_columns / layers.outputs_each, 1)
    has_dynamic = bool(layers.is_dynamic.any())
    has_zigzag_counting = bool(chip.zigzag_counting.any())
    weights = layers.reduction * layers.outputs_each * layers.groups
    weight_bits = weights * operands.weight_bits
    input_bits = layers.inputs * operands.act_bits
    output_bits = layers.outputs * operands.output_bits
    new_inputs = layers.new_inputs
    if has_zigzag_counting:  # windows are read whole each time
        new_inputs = np.where(chip.zigzag_counting > 0, layers.reduction, new_inputs)
    working_set = input_bits + output_bits + layers.is_dynamic * weight_bits
    cache = None
    if layers.cache_size.any():
        cache = cache_traffic(layers, chip, operands.weight_bits)
        working_set = working_set - cache.streamed_bits
        chip = replace(chip, buffer_bits=chip.buffer_bits - cache.buffer_bits)
    chunks = np.maximum(np.ceil(working_set / chip.buffer_bits), 1)
    return Tiling(
        layers=layers,
        chip=chip,
        precision=operands,
        row_tiles=row_tiles,
        column_tiles=column_tiles,
        tile_rows=tile_rows,
        packed=packed,
        tiles=row_tiles * column_tiles * np.ceil(layers.groups / packed),
        short_rows=row_tiles * tile_rows - layers.reduction,
        busiest_rows=tile_rows * packed,
        row_steps=np.ceil(tile_rows * packed / chip.rows_active),
        all_rows=layers.reduction * layers.groups,
        strip_width=strip_width,
        ragged_width=1 - (column_tiles - 1) * strip_width,
        weight_bits=weight_bits,
        input_bits=input_bits,
        output_bits=output_bits,
        new_input_bits=layers.positions * new_inputs * layers.groups * operands.act_bits,
        working_set_bits=working_set,
        chunks=chunks,
        spills=chunks > 1,
        cache=cache,
        has_dynamic=has_dynamic,
        has_zigzag_counting=has_zigzag_counting,
        has_digital=bool(chip.is_digital.any()),
    )


def _row_tiles(layers: LayerRows, chip: ChipRows) -> tuple[Floats, Floats]:
    """Cut the weight rows of each layer into tiles.

    Returns:
        Tiles on top of each other, and weight rows in each of them, (rows,) each.
    """
    row_tiles = np.ceil(layers.reduction / chip.rows)
    tile_rows = np.minimum(chip.rows, layers.reduction)
    # Convolutions that need several tiles, on chips whose macros hold whole sides of a kernel.
    is_by_kernel = (layers.kernel > 1) & (row_tiles > 1) & (chip.whole_kernels > 0)
    chosen = np.flatnonzero(is_by_kernel)
    chosen = chosen[layers.reduction[chosen] % layers.kernel[chosen] ** 2 == 0]
    if not chosen.size:
        return row_tiles, tile_rows
    # Few (rows, reduction, kernel) differ, so each is computed once; packed into one integer, they
    # sort much faster than as triples.
    rows = chip.rows[chosen].astype(int)
    reduction = layers.reduction[chosen].astype(int)
    kernel = layers.kernel[chosen].astype(int)
    packed_triples = (rows << 44) | (reduction << 12) | kernel
    _, first, index = np.unique(packed_triples, return_index=True, return_inverse=True)
    tiles = []
    for row in first:
        tiles.append(whole_kernel_tiles(int(rows[row]), int(reduction[row]), int(kernel[row])))
    row_tiles[chosen] = np.array(tiles)[index]
    even = layers.reduction[chosen] / row_tiles[chosen]
    whole = np.ceil(even)
    # Usually the last tile lacks the few rows that are missing. If more are missing than it has,
    # several tiles are short: then all count as if they held an even, perhaps broken, number.
    missing = whole * row_tiles[chosen] - layers.reduction[chosen]
    tile_rows[chosen] = np.where(missing > whole, even, whole)
    return row_tiles, tile_rows


@lru_cache(maxsize=4096)
def whole_kernel_tiles(rows: int, reduction: int, kernel: int) -> int:
    """Count the row tiles of a convolution if each macro holds an even share of channels and window.

    A macro then takes c channels x p positions of the window, where c divides the number of
    channels (or ``rows``, if there are more channels) and p is a product of divisors of the two
    sides of the window. So every macro is fed by one regular walk over channels and window, as
    mappers of loop nests (ZigZag, Timeloop) have it. Of the pairs (c, p) that fit, the one that
    uses most rows is taken, as ZigZag does: 96 of 128 rows with 64 channels of 3 x 3.

    Cycles over ZigZag's for layers of ResNet-50 on 128 rows and 2 MiB of buffer: 1.000 for 7 x 7
    with 3 channels and for 3 x 3 with 64 channels (0.667 and 0.836 if windows are cut anywhere).

    Args:
        rows: Word lines of a macro.
        reduction: Channels x kernel x kernel.
        kernel: Side of the window.

    Returns:
        Number of tiles on top of each other.
    """
    channels = reduction // kernel**2
    window_parts = set()
    for height in _divisors(kernel):
        for width in _divisors(kernel):
            window_parts.add(height * width)
    fitting = []
    for channel_part in _divisors(min(channels, rows)):
        for window_part in window_parts:
            if channel_part * window_part <= rows:
                fitting.append((channel_part * window_part, channel_part, window_part))
    # Most rows first; of equal ones the most channels.
    _, best_channels, best_window = max(fitting)
    return -(-channels // best_channels) * (kernel**2 // best_window)


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
