"""Which rows belong to which (network, chip) pair, and sums over a pair's rows.

A *row* is one distinct layer shape of one pair. A layer that occurs several times in its network is
one row with a ``count``. The rows of a pair stand together, so sums over a pair are sums over a run
of consecutive rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cimbo.hardware.rows import Bools, Floats, LayerRows, select

ScalarT = TypeVar("ScalarT", np.float64, np.bool_)

ROWS_IN_FLIGHT = 6_000  # some hundred columns of them stay in a core's caches


class Grid:
    """The rows of some (network, chip) pairs.

    Attributes:
        lengths: Rows of each pair, (pairs,).
        starts: Index of the first row of each pair, (pairs,).
        network: Index of the pair that each row belongs to, (rows,).
        layers: Shapes of the layers, columns of shape (rows,).
    """

    def __init__(self, shapes: Sequence[Floats], pairs: int) -> None:
        """Lay out the rows of all pairs one after the other.

        Args:
            shapes: Layer shapes of networks as ``Workload.unique`` gives them, (columns, shapes)
                each: those of one network that all pairs share, or one array for each pair.
            pairs: Number of pairs.
        """
        lengths = np.array([array.shape[1] for array in shapes])
        self.lengths = np.broadcast_to(lengths, (pairs,))
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.network = np.repeat(np.arange(pairs), self.lengths)
        if len(shapes) == 1:
            columns = np.tile(shapes[0], pairs)
        else:
            columns = np.concatenate(shapes, axis=1)
        self.layers = LayerRows.from_columns(columns)

    def some(self, pairs: Bools) -> Grid:
        """Take the rows of some of the pairs; these pairs are numbered anew, from 0.

        Args:
            pairs: True for each pair to take, (pairs,).

        Returns:
            A grid of those pairs alone.
        """
        chosen = object.__new__(Grid)  # filled below instead of by __init__
        chosen.lengths = self.lengths[pairs]
        chosen.starts = np.concatenate([[0], np.cumsum(chosen.lengths)[:-1]])
        chosen.network = np.repeat(np.arange(chosen.lengths.size), chosen.lengths)
        chosen.layers = select(self.layers, pairs[self.network])
        return chosen

    def sums(self, values: Floats | Bools) -> Floats:
        """Sum over the rows of each pair, each row as often as its layer occurs.

        Args:
            values: Of a single layer of each row, (..., rows).

        Returns:
            Sums, (..., pairs).
        """
        total: Floats = np.add.reduceat(values * self.layers.count, self.starts, axis=-1)
        return total

    def rows(self, values: NDArray[ScalarT]) -> NDArray[ScalarT]:
        """Repeat what is known of each pair for each of its rows.

        Args:
            values: Of each pair, (..., pairs).

        Returns:
            The same values, (..., rows).
        """
        return np.repeat(values, self.lengths, axis=-1)

    def total(self, values: Floats | Bools) -> Floats:
        """Give each row the sum over its pair, as ``sums`` counts it.

        Args:
            values: Of a single layer of each row, (..., rows).

        Returns:
            Sums, the same for all rows of a pair, (..., rows).
        """
        return self.rows(self.sums(values))


def spans(shapes: Sequence[Floats], size: int) -> Iterator[slice]:
    """Cut a batch into chunks of consecutive pairs.

    A chunk has at most ROWS_IN_FLIGHT rows, but always one pair or more.

    Args:
        shapes: Layer shapes of networks as ``Workload.unique`` gives them, (columns, shapes) each:
            those of one network that all pairs share, or one array for each pair.
        size: Number of pairs.

    Yields:
        The pairs of each chunk, as a slice.
    """
    lengths = np.broadcast_to([columns.shape[1] for columns in shapes], (size,))
    rows_until = np.cumsum(lengths)  # rows of all pairs up to and with each pair
    start = 0
    while start < size:
        rows_before = rows_until[start - 1] if start else 0
        fitting = np.searchsorted(rows_until, rows_before + ROWS_IN_FLIGHT, side="right")
        stop = max(int(fitting), start + 1)
        yield slice(start, stop)
        start = stop
