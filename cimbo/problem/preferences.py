"""Which designs of a front to look at first: its knees, and what comes nearest to what somebody asks for.

Everything here sees scores to be maximised, costs as logarithms, each stretched to [0, 1] over the front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput, choose_from
from cimbo.problem.objectives import Metrics, Problem
from cimbo.problem.scalars import finite

Array = NDArray[np.float64]
MAX_KNEES = 3
MIN_FRONT = 5  # designs of which a front has knees
NEIGHBOURS_PER_OBJECTIVE = 2
# A knee lies at least this share as far beyond the plane through the front's ends as the furthest one.
LEAST_BULGE = 0.5
SUM_WEIGHT = (
    0.05  # of the sum beside the largest shortfall, so that ties are broken (Wierzbicki 1980)
)


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
    scores = problem.scores(front)
    columns = []
    for o, column in zip(problem.objectives, scores.T, strict=True):
        if o.goal == "min" and (column < 0).all():
            values = -np.log(-column)
        else:
            values = column
        span = np.ptp(values)
        columns.append((values - values.min()) / (span if span > 0 else 1.0))
    return np.stack(columns, 1)


def knees(problem: Problem, front: Sequence[Metrics]) -> list[int]:
    """Find the knees of a front: designs from where every objective gets dear.

    Args:
        problem: Its objectives.
        front: Metrics of non-dominated designs.

    Returns:
        At most three positions in ``front``, the sharpest first; none for fewer than five designs. A knee lies further beyond
        the plane through the best of each objective than its neighbours (Das 1999, "On characterizing the knee of the
        Pareto curve").
    """
    if len(front) < MIN_FRONT or len(problem.objectives) < 2:
        return []
    scores = unit_scores(problem, front)
    bulge = scores.sum(1) - 1.0  # in units of the plane's distance, as all ends are 0 and 1
    gaps = ((scores[:, None] - scores[None]) ** 2).sum(2)
    count = min(NEIGHBOURS_PER_OBJECTIVE * scores.shape[1], len(front) - 1)
    found = []
    for i in np.argsort(-bulge, kind="stable"):
        near = np.argsort(gaps[i], kind="stable")[1 : count + 1]
        if bulge[i] <= 0 or bulge[i] < LEAST_BULGE * bulge.max():
            break
        if (bulge[i] >= bulge[near]).all():
            found.append(int(i))
    return found[:MAX_KNEES]


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
    names = [o.name for o in problem.objectives]
    for name, weight in weights.items():
        if name not in names:
            raise BadInput(f"weight of {name}", "is of no objective", choose_from(name, names))
        if finite(weight) is None or weight < 0:
            raise BadInput(f"weight of {name}", f"is {weight}", "give a number of at least 0")
    column = np.array([float(weights.get(name, 0.0)) for name in names])
    if not column.any():
        raise BadInput("weights", "are all 0", f"give one of {', '.join(names)} a weight")
    if front:
        shortfall = (1.0 - unit_scores(problem, front)) * column
    else:
        shortfall = np.zeros((0, 1))
    regret = shortfall.max(1) + SUM_WEIGHT * shortfall.sum(1)
    return [int(i) for i in np.argsort(regret, kind="stable")]
