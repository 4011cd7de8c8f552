"""What a front of three objectives does not dominate, cut into disjoint boxes.

Every objective is maximised; call them x, y and z. The cut is made in three steps:

1. Points are sorted by z, the highest first. From the z of one point down to that of the next there is a *slab*, into which
   the same points reach: those that were sorted before it. The first slab lies above all points, the last one ends at the
   reference.
2. In x and y, the points that reach into a slab make a staircase that falls to the right. What they do not dominate of the
   slab lies above the staircase, and is cut into one *strip* a step: it reaches from the x of the step's point to that of the
   next step on the right, and from the height of the staircase between them, its bottom, upwards without end.
3. Most strips are in the next slab as they are in this one. A box is such a run of a strip through slabs.

Arrays of strips are (samples, strips, slabs). A strip has the position that its point has by x, the largest first, so that a
run is a stretch along the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """Cuts all that a front of three objectives does not dominate into disjoint boxes.

    Only what lies above the reference counts.

    Args:
        front: (s, k, 3) s samples of the front's k points, every objective to be maximised.
        reference: (3,) reference point.

    Returns:
        Lower and upper corners, each (s, c, 3); an upper corner may be infinite. c is the greatest
        number of boxes that any sample has; a sample with fewer ends with empty boxes.
    """
    front = np.maximum(front, reference)
    by_height = np.argsort(-front[..., 2:], axis=1)
    front = np.take_along_axis(front, by_height, 1)
    strips = _Strips.of(front, reference)
    starts, ends = strips.runs()
    # Of each slab, the same for all strips: (s, 1, slab)
    ceiling = _padded(front[..., 2], first=np.inf)[:, None]
    floor = _padded(front[..., 2], last=reference[2])[:, None]
    lower = _corners(ends, strips.left, strips.bottom, floor)
    upper = _corners(starts, strips.right, np.inf, ceiling)
    return lower, upper


@dataclass(frozen=True)
class _Strips:
    """The strips of each slab: from ``left`` to ``right`` in x, and above ``bottom`` in y, arrays (s, strip, slab).

    Only those that are ``there`` are steps of the slab's staircase. The last strip begins at the reference and is always
    there.
    """

    left: Array
    right: Array
    bottom: Array
    there: Mask

    @classmethod
    def of(cls, front: Array, reference: Array) -> _Strips:
        """Cut the slabs under points (s, k, 3) that are sorted by z, the highest first."""
        by_x = np.argsort(-front[..., 0], axis=1)
        x = np.take_along_axis(front[..., 0], by_x, 1)[:, :, None]
        y = np.take_along_axis(front[..., 1], by_x, 1)[:, :, None]
        slabs = np.arange(front.shape[1] + 1)
        reaches_in = by_x[:, :, None] < slabs  # (s, k, slab); no point reaches into slab 0
        bottom = _bottoms(y, reaches_in, reference[1])
        steps = reaches_in & (y > bottom[:, :-1])
        nearest_step = np.minimum.accumulate(np.where(steps, x, np.inf), axis=1)
        return cls(
            left=_padded(np.broadcast_to(x, steps.shape), last=reference[0]),
            right=_padded(nearest_step, first=np.inf),
            bottom=bottom,
            there=_padded(steps, last=True),
        )

    def runs(self) -> tuple[Mask, Mask]:
        """(s, strip, slab) where each run of a strip through slabs starts, and where it ends."""
        goes_on = self._goes_on()
        starts = self.there.copy()
        starts[..., 1:] &= ~goes_on
        ends = self.there.copy()
        ends[..., :-1] &= ~goes_on
        return starts, ends

    def _goes_on(self) -> Mask:
        """(s, strip, slab - 1) whether a strip is in the next slab as it is in this one."""
        in_both = self.there[..., 1:] & self.there[..., :-1]
        same_right = self.right[..., 1:] == self.right[..., :-1]
        same_bottom = self.bottom[..., 1:] == self.bottom[..., :-1]
        return np.asarray(in_both & same_right & same_bottom)


def _bottoms(y: Array, reaches_in: Mask, reference_y: float) -> Array:
    """(s, strip, slab) the height of the staircase right of each strip's left end.

    That is the largest y of the points further right that reach into the slab; the first strip has none, and lies on the
    reference.

    Returns:
        (s, strip, slab) heights in y.
    """
    of_points = np.where(reaches_in, y, reference_y)
    highest = np.maximum.accumulate(of_points, axis=1)
    bottoms: Array = _padded(highest, first=reference_y)
    return bottoms


def _corners(
    chosen: Mask,
    x: Any,
    y: Any,
    z: Any,
) -> Array:
    """(s, c, 3) the coordinates of the chosen strips of each sample, which may have fewer than c: zeros fill up."""
    count = chosen.sum((1, 2))
    is_filled = np.arange(count.max()) < count[:, None]
    corners = np.zeros((*is_filled.shape, 3))
    for axis, coordinate in enumerate((x, y, z)):
        of_strips = np.broadcast_to(coordinate, chosen.shape)
        corners[is_filled, axis] = of_strips[chosen]
    return corners


def _padded(
    values: Any,
    *,
    first: float | None = None,
    last: float | None = None,
) -> Any:
    """(s, k + 1, ...) with one more before or after ``values`` (s, k, ...)."""
    more: Any = last
    ends = (0, 1)
    if first is not None:
        more = first
        ends = (1, 0)
    other_axes = ((0, 0),) * (values.ndim - 2)
    return np.pad(values, ((0, 0), ends, *other_axes), constant_values=more)
