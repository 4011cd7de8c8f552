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
        seed: Of the scrambling.

    Returns:
        (n, d) canonical rows that keep the constraints, all different; fewer when no more are found
        in a space too large to list.
    """
    found: dict[bytes, Rows] = {}
    for drawn in _sobol_draws(space, n, seed):
        for row in space.put_right(drawn):
            found.setdefault(row.tobytes(), row)
        if len(found) >= n:
            return _first(found, n)
    if space.is_listable:
        for row in listed_rows(space, n):
            found.setdefault(row.tobytes(), row)
    return _first(found, n)


def _sobol_draws(space: SearchSpace, n: int, seed: int) -> Iterator[Rows]:
    """Stretches of the sequence as canonical rows; each is of a power of 2, as Sobol sequences want it."""
    from scipy.stats import qmc

    sampler = qmc.Sobol(len(space.choices), scramble=True, rng=np.random.default_rng(seed))
    n_points = 1 << max(n - 1, 1).bit_length()
    for _ in range(MAX_SOBOL_DRAWS):
        scaled = sampler.random(n_points) * space.cardinalities
        yield space.canonical_rows(np.minimum(scaled, space.cardinalities - 1))


def _first(rows: dict[bytes, Rows], n: int) -> Rows:
    return np.stack(list(rows.values())[:n])
