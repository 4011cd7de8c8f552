"""Copies of a layer's weights in spare macros, each of which takes a part of the input vectors.

Arrays of shape (rows,) have one element for each distinct layer shape of each (network, chip) pair.
"""

from __future__ import annotations

import numpy as np

from cimbo.hardware.grid import Grid
from cimbo.hardware.rows import Floats
from cimbo.hardware.tiling import Tiling

# Each step halves the ratio of the interval's ends on a logarithmic scale. The ends are at most a
# factor of 1e4 apart, so what is left after all steps is 1e4 ** 2**-18, some 1 + 4e-5.
BISECTION_STEPS = 18


def balanced_copies(tiling: Tiling, grid: Grid, capacity: Floats) -> Floats:
    """Copy layers so that the slowest stage of each pipeline is as fast as the tiles allow.

    For each pair, bisects for the least time limit that all stages can keep: every layer gets the
    copies that it needs to keep the limit, and a limit is possible if the tiles of all copies fit
    the chip.

    Args:
        tiling: The tiles, columns of shape (rows,).
        grid: Which rows belong to which pair.
        capacity: Tiles of weights that the row's chip has room for, (rows,).

    Returns:
        Copies of each layer, itself included, so at least 1, (rows,).
    """
    layers = tiling.layers
    static = ~layers.is_dynamic
    single_copy_cycles = layers.positions * tiling.vector_cycles * static
    # Even with perfect balance all macros together need this long.
    balanced_cycles = grid.total(single_copy_cycles * tiling.tiles) / tiling.chip.macros
    slowest_cycles = grid.rows(np.maximum.reduceat(single_copy_cycles, grid.starts))
    lower_limit = np.maximum(balanced_cycles, slowest_cycles * 1e-4)
    low, high = np.minimum(lower_limit, slowest_cycles), slowest_cycles
    for _ in range(BISECTION_STEPS):
        middle = np.sqrt(low * high)
        copies = _copies_within(tiling, single_copy_cycles, middle)
        fits = grid.total(copies * tiling.tiles * static) <= capacity
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    return _copies_within(tiling, single_copy_cycles, high)


def _copies_within(tiling: Tiling, single_copy_cycles: Floats, limit: Floats) -> Floats:
    """Least copies of each layer with which it takes no more than ``limit`` cycles, (rows,).

    A layer of no cycles (one of attention, whose operand is not stored) has one copy.

    Returns:
        Copies, at least 1, (rows,).
    """
    vector_cycles = np.maximum(tiling.vector_cycles, 1) * np.maximum(tiling.layers.steps, 1)
    vectors_each = np.maximum(np.floor(limit / vector_cycles), 1)
    together = tiling.layers.side_by_side
    copies = np.ceil(together / vectors_each)
    return np.where(single_copy_cycles > 0, np.clip(copies, 1, together), 1)
