"""Which designs of a front to look at first: its knees, and what comes nearest to what somebody asks for.

Everything here sees scores to be maximised, costs as logarithms, each stretched to [0, 1] over the front.
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
MIN_FRONT = 5  # designs of which a front has knees
NEIGHBOURS_PER_OBJECTIVE = 2
# A knee lies at least this share as far beyond the plane through the front's ends as the furthest one.
LEAST_BULGE = 0.5
# Of the sum beside the largest shortfall, so that ties are broken (Wierzbicki 1980)
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
    """Scores to be maximised, those of a positive cost as logarithms."""
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
    """Find the knees of a front: designs from where every objective gets dear.

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.

    Returns:
        At most three positions in ``front``, the sharpest first; none for fewer than five designs
        that are better than the references. A knee lies further beyond
        the plane through the best of each objective than its neighbours (Das 1999, "On characterizing the knee of the
        Pareto curve").
    """
    worth_having = _better_than_references(problem, front)
    if len(worth_having) < MIN_FRONT or len(problem.objectives) < 2:
        return []
    scores = unit_scores(problem, [front[i] for i in worth_having])
    bulge = scores.sum(1) - 1.0  # in units of the plane's distance, as all ends are 0 and 1
    neighbours = _nearest(scores, NEIGHBOURS_PER_OBJECTIVE * scores.shape[1])
    found = []
    for i in np.argsort(-bulge, kind="stable"):
        if bulge[i] <= 0 or bulge[i] < LEAST_BULGE * bulge.max():
            break
        if (bulge[i] >= bulge[neighbours[i]]).all():
            found.append(worth_having[i])
    return found[:MAX_KNEES]


def _better_than_references(problem: Problem, front: Sequence[Metrics]) -> list[int]:
    """Positions of the designs that are better than every reference; nobody wants a knee among the others."""
    found = []
    for i, metrics in enumerate(front):
        is_better = True
        for o in problem.objectives:
            if o.reference is not None and o.sign * (metrics[o.name] - o.reference) <= 0:
                is_better = False
        if is_better:
            found.append(i)
    return found


def _nearest(scores: Array, n: int) -> NDArray[np.intp]:
    """(designs, at most n) the designs with the nearest scores to each one's (designs, objectives)."""
    squares = ((scores[:, None] - scores[None]) ** 2).sum(2)
    by_distance = np.argsort(squares, axis=1, kind="stable")
    return by_distance[:, 1 : n + 1]  # each is nearest to itself


def by_weights(
    problem: Problem, front: Sequence[Metrics], weights: Mapping[str, float]
) -> list[int]:
    """Order a front by how much each objective matters.

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.
        weights: Objective -> how much falling short of its best matters; 0 where it is not named.

    Returns:
        Positions in ``front``, the least weighted shortfall first.

    Raises:
        BadInput: A name is no objective, a weight negative, or all are 0.
    """
    checked = _checked_weights(problem, weights)
    if not front:
        return []
    shortfall = (1.0 - unit_scores(problem, front)) * checked
    regret = shortfall.max(1) + SUM_WEIGHT * shortfall.sum(1)
    return [int(i) for i in np.argsort(regret, kind="stable")]


def by_target(problem: Problem, front: Sequence[Metrics], target: Mapping[str, float]) -> list[int]:
    """Order a front by how well each design does what somebody would like to have.

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.
        target: Objective -> the value that is wished for, reachable or not. What is not named does not count.

    Returns:
        Positions in ``front``, first the design whose worst lack of the target is least, in shares of the front's
        spans (the achievement function of Wierzbicki 1980).

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
    wished = dict(front[0]) | dict(target)
    lacks = []
    for objective in problem.objectives:
        if objective.name in target:
            lacks.append(_lacks(objective, [design[objective.name] for design in (*front, wished)]))
    lack = np.stack(lacks, 1)
    regret = lack.max(1) + SUM_WEIGHT * lack.sum(1)
    return [int(i) for i in np.argsort(regret, kind="stable")]


def _lacks(objective: Objective, values: Sequence[float]) -> Array:
    """(designs,) what each but the last lacks of the last value, in shares of the span of the others; costs as logarithms."""
    scaled = _on_its_scale(objective, objective.sign * np.array(values, float))
    return np.asarray((scaled[-1] - scaled[:-1]) / _span(scaled[:-1]))


def _checked_weights(problem: Problem, weights: Mapping[str, float]) -> Array:
    """(m,) the weight of each objective; BadInput for wrong ones, and where all are 0."""
    names = [objective.name for objective in problem.objectives]
    for name, weight in weights.items():
        check_known(name, names, f"weight of {name}", "is of no objective")
        if finite(weight) is None or weight < 0:
            raise BadInput(f"weight of {name}", f"is {weight}", "give a number of at least 0")
    listed = np.array([float(weights.get(name, 0.0)) for name in names])
    if not listed.any():
        raise BadInput("weights", "are all 0", f"give one of {', '.join(names)} a weight")
    return listed
