"""Which weights stay on a chip between inferences, and what the room that is left is for."""

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
        is_kept: Whether the row runs otherwise than with reloaded weights: its weights stay, or those of its whole network
            do.
        share: Share of the row's layers, which are alike, that run so; 1 but where only some of them fit.
        copies: Copies of the layer that the spare tiles hold, itself included.
        free_macros: Macros left for attention's operands.
    """

    fits: Bools
    is_kept: Bools
    share: Floats
    copies: Floats
    free_macros: Floats


def capacity(tiling: Tiling, grid: Grid) -> Residency:
    """Finds which networks fit their chips at once, and what the tiles left over are for.

    Spare tiles go to copies of layers in proportion to sqrt(positions * tiles), which minimises the summed time
    positions / copies, or as the chip's ``duplication`` says; with attention, half of them hold its operands.

    Args:
        tiling: The tiles, columns of shape (rows,).
        grid: The rows of each pair.

    Returns:
        Columns of shape (rows,).
    """
    static, total = ~tiling.layers.is_dynamic, grid.total
    left = tiling.chip.capacity_tiles - total(static * tiling.tiles)
    for_copies = left
    if tiling.has_dynamic:
        has_attention = total(tiling.layers.is_dynamic) > 0
        for_copies = np.where(has_attention, np.floor(left / 2), left)
    weight = np.sqrt(tiling.layers.positions * tiling.tiles) * static
    share = weight / np.maximum(total(weight), 1e-300)
    copies = 1 + np.floor(np.maximum(for_copies, 0) * share / tiling.tiles)
    kind = tiling.chip.duplication
    if kind.any():
        room = tiling.chip.capacity_tiles - left + np.maximum(for_copies, 0)
        copies = np.where(kind == DUPLICATION_GOALS.index("none"), 1.0, copies)
        is_given = kind == DUPLICATION_GOALS.index("given")
        given = np.maximum(tiling.layers.copies, 1)
        copies = np.where(is_given, np.where(static, given, 1.0), copies)
        by_stage = kind == DUPLICATION_GOALS.index("bottleneck")
        copies = np.where(by_stage, balanced_copies(tiling, grid, room), copies)
    free = np.minimum(tiling.chip.macros, np.maximum(left - for_copies, 0))
    fits = left >= 0
    if tiling.layers.copies.any():
        needed = np.where(static, copies - 1, 0) * tiling.tiles
        fits &= (kind != DUPLICATION_GOALS.index("given")) | (total(needed) <= for_copies)
    return Residency(fits, fits, np.ones(fits.shape), copies, free)


def partly(tiling: Tiling, network: Indices) -> Residency:
    """Finds which layers can stay while the rest of their network is loaded in turn.

    In order of how few input vectors share a load of their weights, as long as one plane of every macro is left for loads.

    Args:
        tiling: The tiles, columns of shape (rows,).
        network: Number of the network, in order, of each row, (rows,).

    Returns:
        Columns of shape (rows,).
    """
    share = _share_kept(tiling, network)
    kept = share > 0
    ones = np.ones(kept.shape)
    return Residency(np.zeros_like(kept), kept, share, ones, tiling.chip.macros)


def _share_kept(tiling: Tiling, network: Indices) -> Floats:
    """Share of each row's layers that are kept.

    Those of fewest positions come first, as long as their tiles fit all planes of their chip but one.

    Returns:
        (n,) shares, 0 to 1.
    """
    layers, chip = tiling.layers, tiling.chip
    share = np.zeros(network.shape)
    room = chip.capacity_tiles - chip.macros
    rows = np.flatnonzero((room > 0) & ~layers.is_dynamic)
    if not rows.size:
        return share
    network, count = network[rows], layers.count[rows]
    each = tiling.tiles[rows]
    tiles = each * count
    ties = (layers.vector_ops[rows], tiling.input_bits[rows], tiling.weight_bits[rows], each)
    order = np.lexsort((*ties, layers.positions[rows], network))
    running = np.cumsum(tiles[order])
    first = np.flatnonzero(np.diff(network[order], prepend=-1))
    before = np.repeat(running[first] - tiles[order][first], np.diff(np.append(first, order.size)))
    left = np.zeros(rows.shape)
    left[order] = room[rows[order]] - (running - before - tiles[order])
    share[rows] = np.clip(np.floor(left / each), 0, count) / count
    return share
