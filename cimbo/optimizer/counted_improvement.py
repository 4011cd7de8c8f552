"""A greedy batch by hypervolume improvement that is counted, for four objectives and more.

With that many, decomposing each sample's front into boxes is nearly all of a proposal's time. What one point adds to a front is
the volume that it dominates alone: its own box less what the front covers of it, and the front clipped to that box is small
(While et al. 2012, "A fast way of calculating exact hypervolumes"). So each sample's improvement is exact, and a batch takes
milliseconds to tenths of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.pareto import hypervolume, non_dominated

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
N_PER_LOOK = 8  # points whose bound is counted anew at a time


def choose_counted(
    objectives: Array,
    feasible: Mask,
    baseline: int,
    reference: Array,
    q: int,
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
    pool = _Pool(objectives[:, baseline:], feasible[:, baseline:], reference)
    bound = np.full(len(pool), np.inf)
    chosen: list[int] = []
    for _ in range(min(q, len(pool))):
        best = pool.best(fronts, bound)
        chosen.append(best)
        bound[best] = -np.inf
        fronts = pool.fronts_with(best, fronts)
    return chosen


def _above(points: Array, reference: Array) -> Array:
    """The non-dominated of the points (k, m) that lie above the reference."""
    inside = points[(points > reference).all(1)]
    if len(inside):
        return inside[non_dominated(inside)]
    return inside


@dataclass(frozen=True)
class _Pool:
    """Samples (s, p, m) at the candidates, which of them are ``feasible`` (s, p), and the reference (m,)."""

    samples: Array
    feasible: Mask
    reference: Array

    def __len__(self) -> int:
        return int(self.samples.shape[1])

    def best(self, fronts: list[Array], bound: Array) -> int:
        """The candidate of largest gain beside each sample's front.

        ``bound`` (p,) is what gains were before, infinite at first: they only fall while points are chosen. It is lowered to
        what is counted, for the candidates at the top alone.

        Returns:
            Its position in the pool.
        """
        is_stale = bound > -np.inf
        while True:
            order = np.argsort(-bound, kind="stable")
            if not is_stale[order[0]]:
                return int(order[0])
            for i in order[:N_PER_LOOK]:
                if is_stale[i]:
                    bound[i] = self._gain(i, fronts)
                    is_stale[i] = False

    def fronts_with(self, candidate: int, fronts: list[Array]) -> list[Array]:
        """Each sample's front with a candidate, where the candidate is feasible."""
        found = []
        for sample, ok, front in zip(self.samples, self.feasible, fronts, strict=True):
            if ok[candidate]:
                joined = np.vstack([front, sample[candidate]])
                front = _above(joined, self.reference)
            found.append(front)
        return found

    def _gain(self, candidate: int, fronts: list[Array]) -> float:
        """Mean over the samples of what a candidate adds to each one's front."""
        total = 0.0
        for sample, ok, front in zip(self.samples, self.feasible, fronts, strict=True):
            if ok[candidate]:
                total += self._added(sample[candidate], front)
        return total / len(fronts)

    def _added(self, point: Array, front: Array) -> float:
        """The volume that a point (m,) dominates alone: its box less what a front covers of it."""
        if (point <= self.reference).any() or (front >= point).all(1).any():
            return 0.0
        box = float(np.prod(point - self.reference))
        covered = hypervolume(np.minimum(front, point), self.reference)
        return box - covered
