"""Non-domination, sorting into fronts, exact hypervolume and what is left of it. Every objective is maximised here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def dominated_by(points: Array, others: Array) -> Mask:
    """(n, k): whether point i (n, m) is dominated by other j (k, m): nowhere better, somewhere worse."""
    at_least = np.ones((len(points), len(others)), bool)
    better = np.zeros_like(at_least)
    for column, other in zip(points.T, others.T, strict=True):
        at_least &= column[:, None] <= other
        better |= column[:, None] < other
    return at_least & better


def non_dominated(points: Array) -> Mask:
    """(n,) mask of the points (n, m) that no other dominates; of equal points all stay."""
    dominated: Mask = np.asarray(dominated_by(points, points).any(1))
    return ~dominated


def ranks(points: Array, enough: int | None = None) -> NDArray[np.intp]:
    """(n,) front of each point (n, m): 0 for the non-dominated, 1 for those non-dominated without them, and so on.

    Once ``enough`` points have theirs, the others' is n.
    """
    dominated = dominated_by(points, points)
    rank, level = np.full(len(points), len(points), np.intp), 0
    left = np.arange(len(points))
    while len(points) - len(left) < (len(points) if enough is None else min(enough, len(points))):
        beaten = dominated[np.ix_(left, left)].any(1)
        rank[left[~beaten]] = level
        left, level = left[beaten], level + 1
    return rank


def crowding(points: Array) -> Array:
    """(n,) crowding distance (Deb et al. 2002) of points (n, m) within one front; infinite at the ends."""
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if spread > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    return distance


def hypervolume(points: Array, reference: Array) -> float:
    """Volume that points (n, m) dominate above ``reference`` (m,), exact; 0 when none is above it everywhere."""
    inside = points[(points > reference).all(1)]
    if not len(inside):
        return 0.0
    return _volume(np.unique(inside[non_dominated(inside)], axis=0) - reference)


def _volume(points: Array) -> float:
    """Volume dominated above the origin; slices along the last objective (m - 1 dimensional volumes of the slices)."""
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
    """Lower and upper corners (s, c, 3) of disjoint boxes of all that nothing of ``front`` (s, k, 3) dominates.

    Above ``reference`` (3,); c is the most that any sample has, the others' last boxes are empty. From one point's third
    objective down to the next one's there is a slab, and in it a strip for each step of the staircase of the points above,
    named after the point at its left edge. A strip that the next slab leaves as it is goes on: a box is a run of slabs.
    """
    front = np.maximum(front, reference)
    front = np.take_along_axis(front, np.argsort(-front[..., 2:], axis=1), 1)
    order = np.argsort(-front[..., 0], axis=1)
    x, y = (np.take_along_axis(front[..., i], order, 1)[:, :, None] for i in range(2))
    above = order[:, :, None] < np.arange(
        front.shape[1] + 1
    )  # (s, k, slab): nothing is above the first slab
    bottom = _padded(
        np.maximum.accumulate(np.where(above, y, reference[1]), axis=1), first=reference[1]
    )
    steps = above & (y > bottom[:, :-1])
    right = _padded(np.minimum.accumulate(np.where(steps, x, np.inf), axis=1), first=np.inf)
    left = _padded(np.broadcast_to(x, steps.shape), last=reference[0])
    strips = _padded(steps, last=True)
    goes_on = (
        strips[..., 1:]
        & strips[..., :-1]
        & (right[..., 1:] == right[..., :-1])
        & (bottom[..., 1:] == bottom[..., :-1])
    )
    starts, ends = strips.copy(), strips.copy()
    starts[..., 1:] &= ~goes_on
    ends[..., :-1] &= ~goes_on
    floor, ceiling = _padded(front[..., 2], last=reference[2]), _padded(front[..., 2], first=np.inf)
    floor, ceiling = (np.broadcast_to(z[:, None], strips.shape) for z in (floor, ceiling))
    count = starts.sum((1, 2))
    there = np.arange(count.max()) < count[:, None]
    lower, upper = np.zeros((*there.shape, 3)), np.zeros((*there.shape, 3))
    lower[there] = np.stack([left[ends], bottom[ends], floor[ends]], -1)
    upper[there] = np.stack([right[starts], np.full(count.sum(), np.inf), ceiling[starts]], -1)
    return lower, upper


def _padded(values: Any, *, first: float | None = None, last: float | None = None) -> Any:
    """(s, k + 1, ...) with one more before or after ``values`` (s, k, ...)."""
    more: Any = last if first is None else first
    ends = (int(first is not None), int(last is not None))
    return np.pad(values, ((0, 0), ends, *((0, 0),) * (values.ndim - 2)), constant_values=more)
