"""Non-domination, sorting into fronts, exact hypervolume and what is left of it.

Every objective is maximised here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Up to so many points all pairs are compared, which takes n^2 bytes and no other package; beyond,
# moocore sorts them in O(n log n) (Kung et al. 1975, "On finding the maxima of a set of vectors").
MAX_PAIRWISE_POINTS = 512
# Slices are exact to the digit and quick for so many points of three objectives; beyond, and for
# more objectives, moocore's dimension sweep and WFG (Guerreiro et al. 2021, "The hypervolume
# indicator").
MAX_SLICED_POINTS = 128


def dominated_by(points: Array, others: Array) -> Mask:
    """Compares each point with each of some others.

    A point is dominated by another where it is nowhere better and somewhere worse.

    Args:
        points: (n, m) points, every objective to be maximised.
        others: (k, m) points they are compared with.

    Returns:
        (n, k) True where point i is dominated by other j.
    """
    at_least = np.ones((len(points), len(others)), bool)
    better = np.zeros_like(at_least)
    for column, other in zip(points.T, others.T, strict=True):
        at_least &= column[:, None] <= other
        better |= column[:, None] < other
    return at_least & better


def non_dominated(points: Array) -> Mask:
    """Marks the points that no other point dominates.

    Args:
        points: (n, m) points, every objective to be maximised.

    Returns:
        (n,) True for those that stay; of equal points all do.
    """
    if len(points) > MAX_PAIRWISE_POINTS:
        return _sorted_non_dominated(points)
    dominated: Mask = np.asarray(dominated_by(points, points).any(1))
    return ~dominated


def _sorted_non_dominated(points: Array) -> Mask:
    import moocore  # here, so that what compares nothing starts without it

    if points.shape[1] == 1:
        return np.asarray(points[:, 0] == points[:, 0].max())
    return np.asarray(moocore.is_nondominated(points, maximise=True, keep_weakly=True), bool)


def ranks(points: Array, enough: int | None = None) -> NDArray[np.intp]:
    """Sorts points into fronts.

    Args:
        points: (n, m) points, every objective to be maximised.
        enough: Stop after the front with which so many points have a rank; None: rank all.

    Returns:
        (n,) front of each point: 0 for the non-dominated, 1 for those non-dominated without them,
        and so on. Points that were not ranked have n.
    """
    n = len(points)
    wanted = n if enough is None else min(enough, n)
    rank = np.full(n, n, np.intp)
    is_best = _peeler(points)
    left = np.arange(n)
    level = 0
    while n - len(left) < wanted:
        best = is_best(left)
        rank[left[best]] = level
        left = left[~best]
        level += 1
    return rank


def _peeler(points: Array) -> Callable[[NDArray[np.intp]], Mask]:
    """Tells which of a subset of ``points``, given by index, no other of the subset dominates."""
    if len(points) > MAX_PAIRWISE_POINTS:
        return lambda left: non_dominated(points[left])
    pairs = dominated_by(points, points)  # once for all fronts
    return lambda left: np.asarray(~pairs[np.ix_(left, left)].any(1))


def crowding(points: Array) -> Array:
    """Computes the crowding distance of Deb et al. (2002) of points within one front.

    Args:
        points: (n, m) points, n at least 1.

    Returns:
        (n,) sum over the objectives of the gap between a point's two neighbours, as a part of the
        objective's range; infinite for the first and last point of an objective.
    """
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if spread > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    return distance


def hypervolume(points: Array, reference: Array) -> float:
    """Computes exactly the volume that points dominate above a reference point.

    Args:
        points: (n, m) points, every objective to be maximised.
        reference: (m,) reference point, in the same units and directions.

    Returns:
        The volume, in the product of the objectives' units; 0 when no point is above the reference
        in every objective.
    """
    inside = points[(points > reference).all(1)]
    if not len(inside):
        return 0.0
    front = np.unique(inside[non_dominated(inside)], axis=0)
    objectives = points.shape[1]
    if objectives <= 2 or (objectives == 3 and len(front) <= MAX_SLICED_POINTS):
        return _volume(front - reference)
    import moocore

    return float(moocore.hypervolume(front, ref=reference, maximise=True))


class GrowingFront:
    """The non-dominated of points that arrive one after another, and their hypervolume above ``reference`` (m,).

    The hypervolume is counted anew only when the front has changed, so it is the same to the digit
    as `hypervolume` of all.
    """

    def __init__(self, reference: Array) -> None:
        self._reference = reference
        self._front = np.zeros((0, len(reference)))
        self.hypervolume = 0.0

    def add(self, points: Array) -> float:
        """Takes in points.

        Args:
            points: (n, m) points, every objective to be maximised; n may be 0.

        Returns:
            The hypervolume of all points so far.
        """
        fresh = points[~self._dominated(points)]
        if len(fresh):
            joined = np.concatenate([self._front, fresh])
            self._front = np.unique(joined[non_dominated(joined)], axis=0)
            self.hypervolume = hypervolume(self._front, self._reference)
        return self.hypervolume

    def _dominated(self, points: Array) -> Mask:
        """(n,) mask of the points that the front dominates or holds already."""
        if len(points) * len(self._front) > MAX_PAIRWISE_POINTS**2:
            return np.zeros(len(points), bool)  # they are sorted together with the front instead
        known = (points[:, None] == self._front[None]).all(2)
        return np.asarray(dominated_by(points, self._front).any(1) | known.any(1))


def _volume(points: Array) -> float:
    """Volume of 1 to 3 objectives dominated above the origin, by slices along the last of them."""
    if points.shape[1] == 1:
        return float(points.max())
    order = np.argsort(-points[:, -1], kind="stable")
    points = points[order]
    if points.shape[1] == 2:
        widths = np.maximum.accumulate(points[:, 0])
        return float((widths * (points[:, 1] - np.append(points[1:, 1], 0.0))).sum())
    heights = points[:, -1] - np.append(points[1:, -1], 0.0)
    volume = 0.0
    for i in np.flatnonzero(heights):
        below = points[: i + 1, :-1]
        volume += heights[i] * _volume(below[non_dominated(below)])
    return float(volume)


def boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """Cuts all that a front of three objectives does not dominate into disjoint boxes.

    Only what lies above the reference counts. From one point's third objective down to the next
    one's there is a slab, and in it a strip for each step of the staircase of the points above,
    named after the point at its left edge. A strip that the next slab leaves as it is goes on: a
    box is a run of slabs.

    Args:
        front: (s, k, 3) s samples of the front's k points, every objective to be maximised.
        reference: (3,) reference point.

    Returns:
        Lower and upper corners, each (s, c, 3); an upper corner may be infinite. c is the greatest
        number of boxes that any sample has; a sample with fewer ends with empty boxes.
    """
    front = np.maximum(front, reference)
    front = np.take_along_axis(front, np.argsort(-front[..., 2:], axis=1), 1)
    strips = _Strips.of(front, reference)
    goes_on = strips.goes_on()
    starts, ends = strips.there.copy(), strips.there.copy()
    starts[..., 1:] &= ~goes_on
    ends[..., :-1] &= ~goes_on
    # Of each slab: from the third objective of one point down to that of the next
    ceiling = np.broadcast_to(_padded(front[..., 2], first=np.inf)[:, None], starts.shape)
    floor = np.broadcast_to(_padded(front[..., 2], last=reference[2])[:, None], starts.shape)
    count = starts.sum((1, 2))
    there = np.arange(count.max()) < count[:, None]
    lower = np.zeros((*there.shape, 3))
    upper = np.zeros((*there.shape, 3))
    lower[there] = np.stack([strips.left[ends], strips.bottom[ends], floor[ends]], -1)
    no_top = np.full(count.sum(), np.inf)
    upper[there] = np.stack([strips.right[starts], no_top, ceiling[starts]], -1)
    return lower, upper


@dataclass(frozen=True)
class _Strips:
    """The strips of each slab, arrays (s, strip, slab): one right of each point's first objective, by the point's name.

    A strip lies between ``left`` and ``right`` in the first objective, and above ``bottom`` in the second; only those that are
    ``there`` are steps of the slab's staircase.
    """

    left: Array
    right: Array
    bottom: Array
    there: Mask

    @classmethod
    def of(cls, front: Array, reference: Array) -> _Strips:
        """Cut the slabs under points (s, k, 3) that are sorted by the third objective, the largest first."""
        order = np.argsort(-front[..., 0], axis=1)
        x = np.take_along_axis(front[..., 0], order, 1)[:, :, None]
        y = np.take_along_axis(front[..., 1], order, 1)[:, :, None]
        # (s, k, slab) whether a point reaches into a slab; nothing is above the first one.
        above = order[:, :, None] < np.arange(front.shape[1] + 1)
        highest = np.maximum.accumulate(np.where(above, y, reference[1]), axis=1)
        bottom = _padded(highest, first=reference[1])
        steps = above & (y > bottom[:, :-1])
        nearest = np.minimum.accumulate(np.where(steps, x, np.inf), axis=1)
        return cls(
            left=_padded(np.broadcast_to(x, steps.shape), last=reference[0]),
            right=_padded(nearest, first=np.inf),
            bottom=bottom,
            there=_padded(steps, last=True),
        )

    def goes_on(self) -> Mask:
        """(s, strip, slab - 1) whether a strip is in the next slab as it is in this one."""
        in_both = self.there[..., 1:] & self.there[..., :-1]
        same_right = self.right[..., 1:] == self.right[..., :-1]
        same_bottom = self.bottom[..., 1:] == self.bottom[..., :-1]
        return np.asarray(in_both & same_right & same_bottom)


def _padded(values: Any, *, first: float | None = None, last: float | None = None) -> Any:
    """(s, k + 1, ...) with one more before or after ``values`` (s, k, ...)."""
    more: Any = last if first is None else first
    ends = (int(first is not None), int(last is not None))
    return np.pad(values, ((0, 0), ends, *((0, 0),) * (values.ndim - 2)), constant_values=more)
