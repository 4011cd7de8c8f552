"""Rows drawn from a space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cimbo.problem.gene_columns import Rows
from cimbo.problem.listing import listed_rows

if TYPE_CHECKING:
    from cimbo.problem.space import SearchSpace

MAX_SOBOL_DRAWS = 64


def sobol_rows(space: SearchSpace, n: int, seed: int) -> Rows:
    """Draws different rows from a scrambled Sobol sequence.

    Args:
        space: The space.
        n: How many, at most as many as there are.
        seed: Seed of the scrambling.

    Returns:
        (n, d) canonical rows that keep the constraints, all different; fewer when no more are found
        in a space too large to list.
    """
    distinct: dict[bytes, Rows] = {}  # in the order in which they were drawn
    for drawn in _sobol_draws(space, n, seed):
        for row in space.put_right(drawn):
            distinct.setdefault(row.tobytes(), row)
        if len(distinct) >= n:
            return _first(distinct, n)
    # The sequence did not meet enough of a small space: its designs are listed
    if space.is_listable:
        for row in listed_rows(space, n):
            distinct.setdefault(row.tobytes(), row)
    return _first(distinct, n)


def _sobol_draws(space: SearchSpace, n: int, seed: int) -> Iterator[Rows]:
    """Read the sequence piece by piece, as canonical rows (points, d); at most ``MAX_SOBOL_DRAWS`` pieces.

    A piece has a power of 2 of points, at least ``n``: only such pieces of a Sobol sequence are balanced.

    Args:
        space: The space.
        n: How many points a piece has at least.
        seed: Seed of the scrambling.

    Yields:
        (points, d) canonical rows, perhaps repeated and perhaps not allowed.
    """
    from scipy.stats import qmc

    sampler = qmc.Sobol(len(space.choices), scramble=True, rng=np.random.default_rng(seed))
    n_points = 1 << max(n - 1, 1).bit_length()
    for _ in range(MAX_SOBOL_DRAWS):
        # Points of the unit cube to indices of values; a point may be at 1 by rounding
        scaled = sampler.random(n_points) * space.cardinalities
        yield space.canonical_rows(np.minimum(scaled, space.cardinalities - 1))


def _first(rows: dict[bytes, Rows], n: int) -> Rows:
    return np.stack(list(rows.values())[:n])
