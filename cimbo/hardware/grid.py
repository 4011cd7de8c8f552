"""Which rows belong to which (network, chip) pair, and sums over a pair's rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cimbo.hardware.rows import Bools, Floats, LayerRows, select

ScalarT = TypeVar("ScalarT", np.float64, np.bool_)

ROWS_IN_FLIGHT = 6_000  # some hundred columns of them stay in a core's caches


class Grid:
    """The rows of some pairs: which pair each belongs to, and sums over a pair's rows, each shape by its count."""

    def __init__(self, shapes: Sequence[Floats], pairs: int) -> None:
        """Lays out the rows of ``pairs`` pairs.

        Args:
            shapes: Columns of ``Workload.unique``, (columns, shapes) each: one for all pairs, or one for each.
            pairs: Number of pairs.
        """
        lengths = np.array([array.shape[1] for array in shapes])
        self.lengths = np.broadcast_to(lengths, (pairs,))
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.network = np.repeat(np.arange(pairs), self.lengths)
        if len(shapes) == 1:
            stacked = shapes[0]
        else:
            stacked = np.concatenate(shapes, axis=1)
        self.layers = LayerRows.from_columns(
            np.tile(stacked, pairs) if len(shapes) == 1 else stacked
        )

    def some(self, pairs: Bools) -> Grid:
        """Take the rows of some of the pairs; these pairs are numbered anew, from 0.

        Args:
            pairs: True for each pair to take, (pairs,).

        Returns:
            A grid of those pairs alone.
        """
        chosen = object.__new__(Grid)
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
        shapes: Columns of ``Workload.unique``, (columns, shapes) each: one for all pairs, or one
            for each.
        size: Number of pairs.

    Yields:
        The pairs of each chunk, as a slice.
    """
    ends = np.cumsum(np.broadcast_to([each.shape[1] for each in shapes], (size,)))
    start = 0
    while start < size:
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + ROWS_IN_FLIGHT, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
