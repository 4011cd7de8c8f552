"""A greedy batch by hypervolume improvement that is counted, for four objectives and more.

With that many, decomposing each sample's front into boxes is nearly all of a proposal's time. What one point adds to a front is
the volume that it dominates alone: its own box less what the front covers of it, and the front clipped to that box is small
(While et al. 2012, "A fast way of calculating exact hypervolumes"). So each sample's improvement is exact, and a batch takes
milliseconds to tenths of a second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.pareto import hypervolume, non_dominated

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
N_PER_LOOK = 8  # points whose bound is counted anew at a time


def choose_counted(
    objectives: Array, feasible: Mask, baseline: int, reference: Array, q: int
) -> list[int]:
    """Choose a batch from a pool.

    Args:
        objectives: (s, n, m) joint samples, to be maximised; the first ``baseline`` points are evaluated or pending.
        feasible: (s, n) whether a sample keeps every constraint.
        baseline: How many points are no candidates.
        reference: (m,) above which volume counts.
        q: Size of the batch.

    Returns:
        Positions in the pool, from 0: each adds most to the mean hypervolume beside those before it. Where nothing adds,
        the next in the pool's order.
    """
    fronts = []
    for sample, ok in zip(objectives[:, :baseline], feasible[:, :baseline], strict=True):
        fronts.append(_above(sample[ok], reference))
    pool, allowed = objectives[:, baseline:], feasible[:, baseline:]
    bound = np.full(pool.shape[1], np.inf)
    chosen: list[int] = []
    for _ in range(min(q, pool.shape[1])):
        best = _best(pool, allowed, fronts, reference, bound)
        chosen.append(best)
        bound[best] = -np.inf
        for i, front in enumerate(fronts):
            if allowed[i, best]:
                fronts[i] = _above(np.vstack([front, pool[i, best]]), reference)
    return chosen


def _above(points: Array, reference: Array) -> Array:
    """The non-dominated of the points (k, m) that lie above the reference."""
    inside = points[(points > reference).all(1)]
    if len(inside):
        return inside[non_dominated(inside)]
    return inside


def _best(pool: Array, allowed: Mask, fronts: list[Array], reference: Array, bound: Array) -> int:
    """The point of largest gain. ``bound`` (p,) is lowered to what is counted: gains only fall while points are chosen."""
    stale = np.isfinite(bound) | (bound > 0)
    while True:
        order = np.argsort(-bound, kind="stable")
        if not stale[order[0]]:
            return int(order[0])
        for i in order[:N_PER_LOOK]:
            if stale[i]:
                bound[i] = _gain(pool[:, i], allowed[:, i], fronts, reference)
                stale[i] = False


def _gain(point: Array, allowed: Mask, fronts: list[Array], reference: Array) -> float:
    """Mean over the samples of what a point (s, m) adds to each one's front."""
    total = 0.0
    for value, ok, front in zip(point, allowed, fronts, strict=True):
        if not ok or (value <= reference).any():
            continue
        if (front >= value).all(1).any():
            continue
        own = float(np.prod(value - reference))
        total += own - hypervolume(np.minimum(front, value), reference)
    return total / len(fronts)
