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

# How many genes of a row are changed on average, besides the one that always changes: one of these
# three, drawn for each row.
MEAN_MUTATIONS = (1.0, 2.0, 4.0)
STEP_PROBABILITY = 0.7  # that an ordered gene moves by a step
#: From canonical rows (n, d) to scores (n, m), to be maximised, and violations (n,), 0 where every constraint should hold.
Score = Callable[[Rows], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Effort:
    """Size of the search: how many rows a population has, and how many generations there are."""

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
    population = _Population.scored(rows, score).survivors(len(rows))
    for _ in range(effort.generations):
        children = pin(_bred(space, population.rows, effort.population, rng))
        with_children = population.joined(_permitted(space, children), score)
        population = with_children.survivors(effort.population)
    return population.rows


@dataclass(frozen=True)
class _Population:
    """Distinct rows with their scores.

    Attributes:
        rows: (n, d) canonical rows.
        values: (n, m) scores, to be maximised.
        violation: (n,) how far each row breaks constraints; 0 where it breaks none.
    """

    rows: Rows
    values: NDArray[np.float64]
    violation: NDArray[np.float64]

    @classmethod
    def scored(cls, rows: Rows, score: Score) -> _Population:
        """Score rows."""
        values, violation = score(rows)
        return cls(rows, values, violation)

    def joined(self, children: Rows, score: Score) -> _Population:
        """The population with those children (n, d) that are not in it yet; only these are scored."""
        joined = unique(np.concatenate([self.rows, children]))
        new_rows = joined[len(self.rows) :]  # ``unique`` leaves the population in front
        if not len(new_rows):
            return self
        added = _Population.scored(new_rows, score)
        return _Population(
            joined,
            np.concatenate([self.values, added.values]),
            np.concatenate([self.violation, added.violation]),
        )

    def survivors(self, n: int) -> _Population:
        """At most ``n`` of the population, the best first."""
        kept = survivors(self.values, self.violation, n)
        return _Population(self.rows[kept], self.values[kept], self.violation[kept])


def _bred(
    space: SearchSpace,
    rows: Rows,
    n: int,
    rng: np.random.Generator,
) -> Rows:
    """(n, d) children of parents from ``rows``, which are sorted: of two drawn at random the earlier one breeds."""
    winners = rng.integers(0, len(rows), size=(2, n)).min(0)
    mates = rng.permutation(winners)
    return vary(space, rows[winners], rows[mates], rng)


def _permitted(space: SearchSpace, rows: Rows) -> Rows:
    """The rows that keep the constraints between genes; all rows where none keeps them."""
    if not space.constraints:
        return rows
    allowed = space.allowed_rows(rows)
    if allowed.any():
        return rows[allowed]
    return rows


def unique(rows: Rows) -> Rows:
    """Drop repetitions; the first of equal rows stays in its place.

    Args:
        rows: Rows, (n, d).

    Returns:
        The different rows, (k, d).
    """
    first: dict[bytes, int] = {}
    for i, row in enumerate(rows):
        first.setdefault(row.tobytes(), i)
    return rows[list(first.values())]


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
    best = feasible[_by_front(values[feasible], n)]
    by_violation = np.argsort(violation[infeasible], kind="stable")
    return np.concatenate([best, infeasible[by_violation]])[:n]


def _by_front(values: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Order points (k, m) by front, within a front the least crowded first; only the first ``n`` need to be right."""
    if not len(values):
        return np.zeros(0, np.intp)
    rank = ranks(values, n)  # points beyond the first n may have the rank len(rank)
    distance = np.zeros(len(values))
    for level in np.unique(rank[rank < len(rank)]):
        front = rank == level
        distance[front] = crowding(values[front])
    return np.lexsort((-distance, rank))


def vary(
    space: SearchSpace,
    first: Rows,
    second: Rows,
    rng: np.random.Generator,
) -> Rows:
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
    # A gene that is inactive (index -1) in the parent it was taken from may be active in the child.
    # It gets the other parent's value, where the gene is active there.
    active_in_either = np.maximum(first, second)
    mixed = np.where(mixed == INACTIVE_INDEX, active_in_either, mixed)
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
    rate = rng.choice(MEAN_MUTATIONS, size=(n, 1)) / d
    is_mutated = rng.random((n, d)) < rate
    is_mutated[np.arange(n), rng.integers(0, d, n)] = True  # at least one gene of every row
    stepped = rows + rng.choice([-1, 1], size=(n, d))
    anywhere = rng.integers(0, space.cardinalities, size=(n, d))
    wants_step = space.ordered & (rng.random((n, d)) < STEP_PROBABILITY)
    can_step = (stepped >= 0) & (stepped < space.cardinalities)
    mutated = np.where(wants_step & can_step, stepped, anywhere)
    return space.canonical_rows(np.where(is_mutated, mutated, rows))
