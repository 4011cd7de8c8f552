"""Copies of layers in macros that nothing else needs, so that several input vectors are computed at once."""

from __future__ import annotations

import numpy as np

from cimbo.hardware.grid import Grid
from cimbo.hardware.rows import Floats
from cimbo.hardware.tiling import Tiling

# Halvings of the logarithm of a time: the result is within about 1e-4 of the best
BISECTION_STEPS = 18


def balanced_copies(tiling: Tiling, grid: Grid, capacity: Floats) -> Floats:
    """Copy layers so that the slowest stage is as fast as the tiles allow.

    Bisects for the time that every stage keeps: a stage that needs longer is copied. No stage is
    made faster than the macros together can work.

    Args:
        tiling: The tiles, columns of shape (rows,).
        grid: The rows of each pair.
        capacity: Tiles that there is room for, (rows,).

    Returns:
        Copies of each layer, at least 1, (rows,).
    """
    layers = tiling.layers
    static = ~layers.is_dynamic
    alone = layers.positions * tiling.vector_cycles * static
    together = grid.total(alone * tiling.tiles) / tiling.chip.macros
    longest = grid.rows(np.maximum.reduceat(alone, grid.starts))
    low, high = np.minimum(np.maximum(together, longest * 1e-4), longest), longest
    for _ in range(BISECTION_STEPS):
        middle = np.sqrt(low * high)
        wanted = _copies_within(tiling, alone, middle)
        fits = grid.total(wanted * tiling.tiles * static) <= capacity
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    return _copies_within(tiling, alone, high)


def _copies_within(tiling: Tiling, alone: Floats, most: Floats) -> Floats:
    """Copies of each layer that need no longer than ``most`` cycles."""
    vectors = np.maximum(np.floor(most / np.maximum(tiling.vector_cycles, 1)), 1)
    copies = np.ceil(tiling.layers.positions / vectors)
    return np.where(alone > 0, np.clip(copies, 1, tiling.layers.positions), 1)
