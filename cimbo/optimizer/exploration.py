"""Designs that no model chose: the first ones of a search, and those at random where surrogates do not predict yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer import evolution, surrogates
from cimbo.optimizer.search_state import Search, State
from cimbo.problem.objectives import Candidate, candidate_of_row
from cimbo.problem.space import Rows

SOBOL_DRAWS = (
    64,
    256,
    1024,
    4096,
    16384,
)  # how many designs of the sequence are read, tried in turn
ENUMERABLE_SIZE = 4096  # a space of at most so many designs can be enumerated


def sobol_candidates(
    search: Search,
    state: State,
    n: int,
    seed: int,
) -> list[Candidate]:
    """Take the next ``n`` unseen designs of the study's Sobol sequence, feasible ones first.

    Feasible are designs that keep the constraints which can be computed without an evaluation. More and
    more of the sequence is read until it holds enough of them.

    Args:
        search: Problem, surrogates and limits.
        state: The log.
        n: How many designs.
        seed: Seed of the sequence.

    Returns:
        At most ``n`` candidates, in the order of the sequence but for infeasible ones, which come last.
    """
    space = search.problem.space
    for n_drawn in SOBOL_DRAWS:
        unseen = unseen_rows(search, state, search.pin(space.sobol_rows(n_drawn, seed)))
        unseen = _without_known(search, unseen, n)
        feasible = _keeps_analytic(search, unseen)
        if feasible.sum() >= n or n_drawn >= space.size:
            break
    feasible_first = np.argsort(~feasible, kind="stable")[:n]
    return [candidate_of_row(space, row, origin="sobol") for row in unseen[feasible_first]]


def _without_known(search: Search, rows: Rows, n: int) -> Rows:
    """Rows (m, d) without those that another study has measured, which priors were learned from; all where few are left."""
    if search.measured_elsewhere is None:
        return rows
    known = {row.tobytes() for row in search.measured_elsewhere}
    others = rows[[row.tobytes() not in known for row in rows]]
    return others if len(others) >= n else rows


def random_exploration(
    search: Search,
    state: State,
    n: int,
    rng: np.random.Generator,
) -> Rows:
    """Draw unseen designs at random, first those that keep the constraints that can be computed.

    Args:
        search: Problem, surrogates and limits.
        state: The log.
        n: How many are wanted.
        rng: Where the random numbers come from.

    Returns:
        Up to ``n`` rows, (n, d).
    """
    space = search.problem.space
    if n < 1:
        return space.rows([])
    unseen = unseen_rows(search, state, search.pin(space.random_rows(64 * n, rng)))
    # A small space that is nearly used up is enumerated: a long Sobol sequence meets all of it
    if len(unseen) < n and space.size <= ENUMERABLE_SIZE:
        unseen = unseen_rows(search, state, search.pin(space.sobol_rows(ENUMERABLE_SIZE)))
    feasible = _keeps_analytic(search, unseen)
    feasible_first = np.argsort(~feasible, kind="stable")[:n]
    return unseen[feasible_first]


def unseen_rows(search: Search, state: State, rows: Rows) -> Rows:
    """Keep the designs that may still be proposed.

    Args:
        search: Problem, surrogates and limits.
        state: The log.
        rows: Designs, (n, d).

    Returns:
        The distinct ones that the space allows, neither evaluated, under way nor left out.
    """
    distinct = evolution.unique(rows)
    if search.problem.space.constraints:
        distinct = distinct[search.problem.space.allowed_rows(distinct)]
    seen = {row.tobytes() for row in state.seen}
    if state.left_out is not None:
        seen |= {row.tobytes() for row in state.left_out}
    is_new = [row.tobytes() not in seen for row in distinct]
    return distinct[is_new]


def _keeps_analytic(search: Search, rows: Rows) -> NDArray[np.bool_]:
    """(n,) whether each design keeps the constraints on metrics that can be computed without an evaluation."""
    kept = np.ones(len(rows), bool)
    if not len(rows):
        return kept
    for constraint in search.problem.constraints:
        compute = search.factory.analytic.get(constraint.metric)
        if compute is not None:
            values = surrogates.of_rows(compute, search.problem.space, rows)
            kept &= constraint.violation(np.asarray(values, float)) <= 0
    return kept
