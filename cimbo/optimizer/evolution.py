"""Candidates for the acquisition: a small evolutionary search over what the surrogates predict.

Rows are canonical integer rows of the joint space (see :mod:`cimbo.problem.space`). Nothing here is ever evaluated for real;
the search is only asked where in a space of 10^20 designs it is worth computing the acquisition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.pareto import crowding, ranks
from cimbo.problem.space import INACTIVE_INDEX, Rows, SearchSpace

#: rows (n, d) -> scores (n, m) to be maximised, violations (n,), 0 where every constraint is predicted to hold
Score = Callable[[Rows], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Effort:
    """Size of the search."""

    population: int = 100
    generations: int = 20


def search(
    space: SearchSpace,
    score: Score,
    seeds: Rows,
    *,
    rng: np.random.Generator,
    effort: Effort,
    pin: Callable[[Rows], Rows],
) -> Rows:
    """Search by NSGA-II for rows with good scores.

    It starts from the seeds and from ``effort.population`` random rows.

    Args:
        space: The space of the rows.
        score: Gives scores (n, m), to be maximised, and violations (n,) of rows.
        seeds: Canonical rows to start from, (k, d).
        rng: Source of randomness.
        effort: Size of the search.
        pin: Maps rows to rows that respect the fixed genes.

    Returns:
        The last population, (p, d), the best first: by feasibility, front and crowding.
    """
    start = np.concatenate([seeds, space.random_rows(effort.population, rng)])
    rows = _permitted(space, unique(pin(start)))
    values, violation = score(rows)
    best = survivors(values, violation, len(rows))
    rows, values, violation = rows[best], values[best], violation[best]
    for _ in range(effort.generations):
        parents = rng.integers(0, len(rows), size=(2, effort.population)).min(
            0
        )  # tournaments: the best come first
        children = pin(vary(space, rows[parents], rows[rng.permutation(parents)], rng))
        children = _permitted(space, children)
        rows_all = unique(np.concatenate([rows, children]))
        fresh = rows_all[len(rows) :]
        if len(fresh):
            new_values, new_violation = score(fresh)
            rows, values = rows_all, np.concatenate([values, new_values])
            violation = np.concatenate([violation, new_violation])
        kept = survivors(values, violation, effort.population)
        rows, values, violation = rows[kept], values[kept], violation[kept]
    return rows


def _permitted(space: SearchSpace, rows: Rows) -> Rows:
    """Rows that keep the constraints between genes; all of them where none does."""
    if not space.constraints:
        return rows
    allowed = space.allowed_rows(rows)
    return rows[allowed] if allowed.any() else rows


def unique(rows: Rows) -> Rows:
    """Drop repetitions; the first of equal rows stays in its place.

    Args:
        rows: Rows, (n, d).

    Returns:
        The different rows, (k, d).
    """
    first = {row.tobytes(): i for i, row in reversed(list(enumerate(rows)))}
    return rows[np.sort(np.array(list(first.values()), np.intp))]


def survivors(
    values: NDArray[np.float64], violation: NDArray[np.float64], n: int
) -> NDArray[np.intp]:
    """Choose the best points.

    Feasible ones come first, by front and crowding; then infeasible ones, by violation.

    Args:
        values: Scores, to be maximised, (k, m).
        violation: How far each point breaks constraints, (k,); feasible ones have at most 0.
        n: Number of points wanted.

    Returns:
        Indices of the points, the best first; fewer than ``n`` where there are no more.
    """
    feasible = np.flatnonzero(violation <= 0)
    infeasible = np.flatnonzero(violation > 0)
    kept: list[NDArray[np.intp]] = []
    if len(feasible):
        rank = ranks(values[feasible], n)
        distance = np.zeros(len(feasible))
        for level in np.unique(rank[rank < len(rank)]):
            front = rank == level
            distance[front] = crowding(values[feasible][front])
        kept.append(feasible[np.lexsort((-distance, rank))])
    kept.append(infeasible[np.argsort(violation[infeasible], kind="stable")])
    return np.concatenate(kept)[:n]


def vary(space: SearchSpace, first: Rows, second: Rows, rng: np.random.Generator) -> Rows:
    """Breed children: uniform crossover of two parents, then mutation.

    Args:
        space: The space of the rows.
        first: First parents, (n, d).
        second: Second parents, (n, d).
        rng: Source of randomness.

    Returns:
        Canonical rows of the children, (n, d).
    """
    mixed = np.where(rng.random(first.shape) < 0.5, first, second)
    # A gene inactive in the parent that was taken may be active in the child: take the other parent's value then.
    mixed = np.where(mixed == INACTIVE_INDEX, np.maximum(first, second), mixed)
    return mutate(space, mixed, rng)


def mutate(space: SearchSpace, rows: Rows, rng: np.random.Generator) -> Rows:
    """Change one to a few genes of each row.

    Ordered genes mostly move by a step, unordered ones take any value.

    Args:
        space: The space of the rows.
        rows: Rows, (n, d).
        rng: Source of randomness.

    Returns:
        Canonical rows, (n, d).
    """
    n, d = rows.shape
    rate = rng.choice([1.0, 2.0, 4.0], size=(n, 1)) / d
    hit = rng.random((n, d)) < rate
    hit[np.arange(n), rng.integers(0, d, n)] = True
    step = rows + rng.choice([-1, 1], size=(n, d))
    anywhere = rng.integers(0, space.cardinalities, size=(n, d))
    step_it = (
        space.ordered & (rng.random((n, d)) < 0.7) & (step >= 0) & (step < space.cardinalities)
    )
    return space.canonical_rows(np.where(hit, np.where(step_it, step, anywhere), rows))
