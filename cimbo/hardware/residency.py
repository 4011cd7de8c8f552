"""Which weights stay on a chip between inferences, and what the room that they leave is used for.

A *row* is one distinct layer shape of one (network, chip) pair; arrays of shape (rows,) have one
element for each. A *tile* is a part of a layer's weights that fills one macro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.duplication import balanced_copies
from cimbo.hardware.grid import Grid
from cimbo.hardware.pipeline_words import DUPLICATION_GOALS
from cimbo.hardware.rows import Bools, Floats, Indices
from cimbo.hardware.tiling import Tiling


@dataclass(frozen=True)
class Residency:
    """Which layers' weights can stay on the chip, each column of shape (rows,).

    Attributes:
        fits: Whether all static weights of the row's network fit its chip at once.
        is_kept: Whether the row is scheduled anew, because its weights stay or those of its whole
            network do; elsewhere it runs as with weights that are reloaded at each inference.
        share: A row stands for several equal layers. Fraction of them whose weights stay; below 1
            only where there is room for some of them, not for all.
        copies: Copies of the layer's weights on the chip, itself included.
        free_macros: Macros left for attention's operands.
    """

    fits: Bools
    is_kept: Bools
    share: Floats
    copies: Floats
    free_macros: Floats


def capacity(tiling: Tiling, grid: Grid) -> Residency:
    """Find which networks fit their chips as a whole, and what the spare tiles hold.

    With attention in the network, half of the spare tiles are left to its operands. The others hold
    copies of layers, as the chip's gene ``duplication`` says.

    Args:
        tiling: The tiles, columns of shape (rows,).
        grid: Which rows belong to which pair.

    Returns:
        Columns of shape (rows,).
    """
    static = ~tiling.layers.is_dynamic
    spare = tiling.chip.capacity_tiles - grid.total(static * tiling.tiles)
    for_copies = spare
    if tiling.has_dynamic:
        has_attention = grid.total(tiling.layers.is_dynamic) > 0
        for_copies = np.where(has_attention, np.floor(spare / 2), spare)
    copies = _copies(tiling, grid, np.maximum(for_copies, 0))
    free_macros = np.minimum(tiling.chip.macros, np.maximum(spare - for_copies, 0))
    fits = spare >= 0
    if tiling.layers.copies.any():
        # Copies that a user asked for must fit, too.
        needed = grid.total(np.where(static, copies - 1, 0) * tiling.tiles)
        is_given = tiling.chip.duplication == DUPLICATION_GOALS.index("given")
        fits &= ~is_given | (needed <= for_copies)
    return Residency(fits, fits, np.ones(fits.shape), copies, free_macros)


def _copies(tiling: Tiling, grid: Grid, spare_tiles: Floats) -> Floats:
    """Copies of each layer, itself included, by the goal that its chip has for copies, (rows,).

    For the least summed time sum(positions / copies) with sum(copies * tiles) given, a Lagrange
    multiplier makes copies proportional to sqrt(positions / tiles), so the tiles of a layer's
    copies are proportional to sqrt(positions * tiles).

    Returns:
        Copies, at least 1, (rows,).
    """
    static = ~tiling.layers.is_dynamic
    weight = np.sqrt(tiling.layers.positions * tiling.tiles) * static
    if tiling.layers.steps.any():
        weight = weight * (tiling.layers.side_by_side > 1)  # else copies have nothing to share
    fraction = weight / np.maximum(grid.total(weight), 1e-300)
    copies = 1 + np.floor(spare_tiles * fraction / tiling.tiles)
    goal = tiling.chip.duplication
    if not goal.any():  # all chips have the first goal, "latency"
        return copies
    copies = np.where(goal == DUPLICATION_GOALS.index("none"), 1.0, copies)
    given = np.where(static, np.maximum(tiling.layers.copies, 1), 1.0)
    copies = np.where(goal == DUPLICATION_GOALS.index("given"), given, copies)
    room = grid.total(static * tiling.tiles) + spare_tiles
    balanced = balanced_copies(tiling, grid, room)
    return np.where(goal == DUPLICATION_GOALS.index("bottleneck"), balanced, copies)


def partly(tiling: Tiling, network: Indices) -> Residency:
    """Find which layers' weights can stay while the rest of their network is loaded in turn.

    Loading pays off least for a layer with few input vectors, so those with fewest stay. One weight
    context (plane) of every macro is left for the layers that are loaded.

    Args:
        tiling: The tiles, columns of shape (rows,).
        network: Index of the pair that each row belongs to, ascending, (rows,).

    Returns:
        Columns of shape (rows,).
    """
    share = _share_kept(tiling, network)
    kept = share > 0
    ones = np.ones(kept.shape)
    return Residency(np.zeros_like(kept), kept, share, ones, tiling.chip.macros)


def _share_kept(tiling: Tiling, network: Indices) -> Floats:
    """Fraction of each row's equal layers whose weights stay, 0 to 1, (rows,).

    Within each pair, layers stay in order of rising positions while there is room for their tiles
    in all planes of the chip but one.

    Returns:
        Fractions, (rows,).
    """
    layers, chip = tiling.layers, tiling.chip
    share = np.zeros(network.shape)
    room = chip.capacity_tiles - chip.macros
    rows = np.flatnonzero((room > 0) & ~layers.is_dynamic)
    if not rows.size:
        return share
    pair, count = network[rows], layers.count[rows]
    layer_tiles = tiling.tiles[rows]
    row_tiles = layer_tiles * count
    # The last key sorts first. Ties are broken by what does not depend on the order of the rows.
    ties = (layers.vector_ops[rows], tiling.input_bits[rows], tiling.weight_bits[rows], layer_tiles)
    order = np.lexsort((*ties, layers.positions[rows], pair))
    sorted_tiles = row_tiles[order]
    # Tiles of the rows that come before each row, of all pairs, ...
    before = np.cumsum(sorted_tiles) - sorted_tiles
    # ... less those of the pairs that come before its pair, so of its own pair alone.
    pair_start = np.flatnonzero(np.diff(pair[order], prepend=-1))
    pair_lengths = np.diff(np.append(pair_start, order.size))
    before_in_pair = before - np.repeat(before[pair_start], pair_lengths)
    left = np.zeros(rows.shape)
    left[order] = room[rows[order]] - before_in_pair
    share[rows] = np.clip(np.floor(left / layer_tiles), 0, count) / count
    return share
