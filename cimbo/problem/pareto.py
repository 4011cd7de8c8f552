"""Non-domination, sorting into fronts, crowding and exact hypervolume.

Every objective is maximised here.
"""

from __future__ import annotations

from collections.abc import Callable

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
    nowhere_better = np.ones((len(points), len(others)), bool)
    somewhere_worse = np.zeros_like(nowhere_better)
    for of_points, of_others in zip(points.T, others.T, strict=True):  # objective by objective
        nowhere_better &= of_points[:, None] <= of_others
        somewhere_worse |= of_points[:, None] < of_others
    return nowhere_better & somewhere_worse


def non_dominated(points: Array) -> Mask:
    """Marks the points that no other point dominates.

    Args:
        points: (n, m) points, every objective to be maximised.

    Returns:
        (n,) True for these; equal points do not dominate one another.
    """
    if len(points) > MAX_PAIRWISE_POINTS:
        return _sorted_non_dominated(points)
    dominated: Mask = np.asarray(dominated_by(points, points).any(1))
    return ~dominated


def _sorted_non_dominated(points: Array) -> Mask:
    """(n,) as `non_dominated`, by sorting: quicker for many points."""
    import moocore  # only here: it need not be loaded where fronts are small

    if points.shape[1] == 1:
        return np.asarray(points[:, 0] == points[:, 0].max())
    return np.asarray(moocore.is_nondominated(points, maximise=True, keep_weakly=True), bool)


def ranks(points: Array, enough: int | None = None) -> NDArray[np.intp]:
    """Sorts points into fronts: the non-dominated, those non-dominated without them, and so on.

    Args:
        points: (n, m) points, every objective to be maximised.
        enough: Stop after the front with which at least so many points have a rank; None: rank all.

    Returns:
        (n,) front of each point, 0 for the non-dominated; n for points that were not ranked.
    """
    n = len(points)
    wanted = n
    if enough is not None:
        wanted = min(enough, n)
    rank = np.full(n, n, np.intp)
    is_best = _front_finder(points)
    unranked = np.arange(n)
    front = 0
    while n - len(unranked) < wanted:
        best = is_best(unranked)
        rank[unranked[best]] = front
        unranked = unranked[~best]
        front += 1
    return rank


def _front_finder(points: Array) -> Callable[[NDArray[np.intp]], Mask]:
    """A function that takes indices of a subset of ``points`` and marks those that no other of the subset dominates."""
    if len(points) > MAX_PAIRWISE_POINTS:
        return lambda subset: non_dominated(points[subset])
    pairs = dominated_by(points, points)  # once for all fronts

    def non_dominated_of(subset: NDArray[np.intp]) -> Mask:
        dominated = np.asarray(pairs[np.ix_(subset, subset)].any(1))
        return ~dominated

    return non_dominated_of


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
        ascending = column[order]
        range_ = ascending[-1] - ascending[0]
        distance[order[[0, -1]]] = np.inf
        if range_ > 0:
            gaps = ascending[2:] - ascending[:-2]
            distance[order[1:-1]] += gaps / range_
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
    if _is_sliced(front):
        return _volume(front - reference)
    import moocore  # only here: it need not be loaded where fronts are small

    return float(moocore.hypervolume(front, ref=reference, maximise=True))


def improvements(points: Array, front: Array, reference: Array) -> Array:
    """Computes what each of some points, alone, would add to the hypervolume of a front.

    Args:
        points: (k, m) points, every objective to be maximised.
        front: (n, m) points that count already; n may be 0.
        reference: (m,) reference point, in the same units and directions.

    Returns:
        (k,) volumes, 0 for a point that a point of the front dominates or that is not above the
        reference.
    """
    above = front[(front > reference).all(1)]
    boxes = np.maximum(points - reference, 0.0)
    if len(reference) == 2:
        return _added_areas(boxes, above - reference)
    added = boxes.prod(1)  # of this the front has what of it lies in the box (While et al. 2012)
    for i in np.flatnonzero(added):
        added[i] -= hypervolume(np.minimum(above, points[i]), reference)
    return np.asarray(np.maximum(added, 0.0))


def _added_areas(points: Array, front: Array) -> Array:
    """(k,) areas that points (k, 2) add to a front (n, 2), all of them above the origin."""
    from_left = front[np.argsort(front[:, 0], kind="stable")]
    edges = np.concatenate([[0.0], from_left[:, 0], [np.inf]])
    # Between two edges the front is as high as the highest point right of them
    heights = np.append(np.maximum.accumulate(from_left[::-1, 1])[::-1], 0.0)
    widths = np.clip(points[:, :1] - edges[:-1], 0.0, edges[1:] - edges[:-1])
    above_front = np.maximum(points[:, 1:] - heights, 0.0)
    return np.asarray((widths * above_front).sum(1))


def _is_sliced(front: Array) -> bool:
    """Whether our own sum over slices computes the hypervolume of a front, and not moocore."""
    objectives = int(front.shape[1])
    if objectives == 3:
        return len(front) <= MAX_SLICED_POINTS
    return objectives < 3


class GrowingFront:
    """The front of points that arrive one after another, and its hypervolume above a reference (m,).

    The hypervolume is computed anew only when the front has changed, and equals `hypervolume` of all
    points to the digit.
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
        new_points = points[~self._dominated(points)]
        if len(new_points):
            joined = np.concatenate([self._front, new_points])
            self._front = np.unique(joined[non_dominated(joined)], axis=0)
            self.hypervolume = hypervolume(self._front, self._reference)
        return self.hypervolume

    def _dominated(self, points: Array) -> Mask:
        """(n,) whether the front dominates each point or holds it already."""
        # So many pairs are not compared: ``add`` sorts the points together with the front instead
        if len(points) * len(self._front) > MAX_PAIRWISE_POINTS**2:
            return np.zeros(len(points), bool)
        is_known = (points[:, None] == self._front[None]).all(2).any(1)
        is_dominated = dominated_by(points, self._front).any(1)
        return np.asarray(is_dominated | is_known)


def _volume(points: Array) -> float:
    """The volume that points (n, 1 to 3), all above the origin, dominate above it: a sum over slices in the last objective."""
    if points.shape[1] == 1:
        return float(points.max())
    descending = points[np.argsort(-points[:, -1], kind="stable")]
    # A slice reaches from one point's last objective down to the next one's, the last one to 0.
    tops = descending[:, -1]
    heights = tops - np.append(tops[1:], 0.0)
    # A slice is dominated by the points at and above its top: a width, or an area of two objectives
    if points.shape[1] == 2:
        widths = np.maximum.accumulate(descending[:, 0])
        return float((widths * heights).sum())
    volume = 0.0
    for i in np.flatnonzero(heights):
        reaching_in = descending[: i + 1, :-1]
        volume += heights[i] * _volume(reaching_in[non_dominated(reaching_in)])
    return float(volume)
