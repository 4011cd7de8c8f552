"""Which designs of a front to look at first: its knees, and the ones nearest to what somebody asks for.

All of it works on scores to be maximised, costs as logarithms, each objective stretched to [0, 1] over the front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput, check_known
from cimbo.problem.objectives import Metrics, Objective, Problem
from cimbo.problem.scalars import finite

Array = NDArray[np.float64]
MAX_KNEES = 3
MIN_FRONT = 5  # a smaller front has no knees
NEIGHBOURS_PER_OBJECTIVE = 2
# Least distance of a knee from the plane through the front's ends, as a share of the largest distance.
LEAST_BULGE = 0.5
# Regret is the largest shortfall plus this share of the sum of all, which breaks ties (Wierzbicki 1980).
SUM_WEIGHT = 0.05


def unit_scores(problem: Problem, front: Sequence[Metrics]) -> Array:
    """Scores the designs of a front in [0, 1]; costs are compared as logarithms.

    A cost is an objective to be minimised that is positive in all designs.

    Args:
        problem: Its objectives.
        front: Metrics of n designs, at least one, with every objective in each.

    Returns:
        (n, m) scores: 1 for the best of each objective, 0 for the worst; 0 where all are equal.

    Raises:
        KeyError: When a design lacks an objective.
    """
    columns = []
    for objective, score in zip(problem.objectives, problem.scores(front).T, strict=True):
        scaled = _on_its_scale(objective, score)
        columns.append((scaled - scaled.min()) / _span(scaled))
    return np.stack(columns, 1)


def _on_its_scale(objective: Objective, score: Array) -> Array:
    """Scores (n,) as they are compared: minus the logarithm of the value for a cost that is positive in all designs."""
    if objective.goal == "min" and (score < 0).all():
        return np.asarray(-np.log(-score))
    return score


def _span(score: Array) -> float:
    """The distance between the best and the worst; 1 where all are equal."""
    span = float(np.ptp(score))
    if span > 0:
        return span
    return 1.0


def knees(problem: Problem, front: Sequence[Metrics]) -> list[int]:
    """Find the knees of a front: designs beyond which a little more of one objective costs much of another.

    Knees bulge furthest beyond the plane through the best of each objective: further than their
    neighbours do (Das 1999, "On characterizing the knee of the Pareto curve").

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.

    Returns:
        At most three positions in ``front``, the sharpest knee first; none for fewer than five designs
        that are better than the references.
    """
    candidates = _better_than_references(problem, front)
    if len(candidates) < MIN_FRONT or len(problem.objectives) < 2:
        return []
    scores = unit_scores(problem, [front[i] for i in candidates])
    # The plane through the ends (1, 0, ...), (0, 1, ...) is where scores sum to 1; by how much the sum
    # is larger is proportional to the distance from it
    bulge = scores.sum(1) - 1.0
    neighbours = _nearest(scores, NEIGHBOURS_PER_OBJECTIVE * scores.shape[1])
    positions = []
    for i in np.argsort(-bulge, kind="stable"):
        if bulge[i] <= 0 or bulge[i] < LEAST_BULGE * bulge.max():
            break
        if (bulge[i] >= bulge[neighbours[i]]).all():
            positions.append(candidates[i])
    return positions[:MAX_KNEES]


def _better_than_references(problem: Problem, front: Sequence[Metrics]) -> list[int]:
    """Positions of the designs that are better than the reference of every objective that has one."""
    positions = []
    for i, metrics in enumerate(front):
        is_better = True
        for o in problem.objectives:
            if o.reference is not None and o.sign * (metrics[o.name] - o.reference) <= 0:
                is_better = False
        if is_better:
            positions.append(i)
    return positions


def _nearest(scores: Array, n: int) -> NDArray[np.intp]:
    """(designs, at most n) numbers of the designs whose scores (designs, objectives) are nearest to each design's."""
    squares = ((scores[:, None] - scores[None]) ** 2).sum(2)
    by_distance = np.argsort(squares, axis=1, kind="stable")
    return by_distance[:, 1 : n + 1]  # each is nearest to itself


def checked_weights(problem: Problem, weights: Mapping[str, float]) -> Array:
    """Check how much each objective matters.

    Args:
        problem: Its objectives.
        weights: Objective to weight; 0 for objectives that are not named.

    Returns:
        (m,) the weight of each objective.

    Raises:
        BadInput: A name is no objective, a weight negative or not finite, or all are 0.
    """
    names = [objective.name for objective in problem.objectives]
    for name, weight in weights.items():
        check_known(name, names, f"weight of {name}", "is of no objective")
        if finite(weight) is None or weight < 0:
            raise BadInput(f"weight of {name}", f"is {weight}", "give a number of at least 0")
    listed = np.array([float(weights.get(name, 0.0)) for name in names])
    if not listed.any():
        raise BadInput("weights", "are all 0", f"give one of {', '.join(names)} a weight")
    return listed


def by_weights(
    problem: Problem, front: Sequence[Metrics], weights: Mapping[str, float]
) -> list[int]:
    """Order a front by regret: the largest weighted shortfall from the best of each objective.

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.
        weights: Objective to weight of falling short of its best; 0 for objectives that are not named.

    Returns:
        Positions in ``front``, that of the least regret first.

    Raises:
        BadInput: A name is no objective, a weight negative, or all are 0.
    """
    weight_of_objective = checked_weights(problem, weights)
    if not front:
        return []
    shortfall = (1.0 - unit_scores(problem, front)) * weight_of_objective
    return _by_regret(shortfall)


def preferred_point(
    problem: Problem, front: Sequence[Metrics], weights: Mapping[str, float]
) -> dict[str, float]:
    """Find the place on a front that weights prefer.

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.
        weights: Objective to weight, as for `by_weights`.

    Returns:
        The first design of `by_weights`: each objective with a weight above 0 to its value. Empty for
        an empty front.

    Raises:
        BadInput: As `by_weights`.
    """
    order = by_weights(problem, front, weights)
    if not order:
        return {}
    preferred = front[order[0]]
    return {name: preferred[name] for name, weight in weights.items() if weight > 0}


def by_target(problem: Problem, front: Sequence[Metrics], target: Mapping[str, float]) -> list[int]:
    """Order a front by how near each design comes to values that somebody would like to have.

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.
        target: Objective to the value that is wished for, reachable or not. Objectives that are not named do not count.

    Returns:
        Positions in ``front``. With one objective in ``target`` the design whose value is nearest to it
        comes first. With several that of the least regret: the largest shortfall from the target, in
        shares of the front's span (the achievement function of Wierzbicki 1980).

    Raises:
        BadInput: A name is no objective, or a value is no finite number.
    """
    names = [objective.name for objective in problem.objectives]
    for name, value in target.items():
        check_known(name, names, f"target {name}", "is no objective")
        if finite(value) is None:
            raise BadInput(f"target {name}", f"is {value}", "give a finite number")
    if not front:
        return []
    shortfalls = []
    for objective in problem.objectives:
        if objective.name in target:
            values = [design[objective.name] for design in front]
            shortfalls.append(_shortfall(objective, values, target[objective.name]))
    if len(shortfalls) == 1:
        return _by_regret(np.abs(np.stack(shortfalls, 1)))
    return _by_regret(np.stack(shortfalls, 1))


def _by_regret(shortfall: Array) -> list[int]:
    """Order designs by regret, the least first, from their shortfalls in each objective (designs, objectives)."""
    regret = shortfall.max(1) + SUM_WEIGHT * shortfall.sum(1)
    return [int(i) for i in np.argsort(regret, kind="stable")]


def _shortfall(objective: Objective, values: Sequence[float], wished: float) -> Array:
    """(designs,) by how much values fall short of what is wished, in shares of their span; costs as logarithms."""
    with_wished = np.array([*values, wished], float)
    scaled = _on_its_scale(objective, objective.sign * with_wished)
    of_designs = scaled[:-1]
    return np.asarray((scaled[-1] - of_designs) / _span(of_designs))
