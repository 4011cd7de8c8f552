"""What a front of three objectives does not dominate, cut into disjoint boxes.

Every objective is maximised; call them x, y and z. The cut is made in three steps:

1. Points are sorted by z, the highest first. Between the z of one point and that of the next lies a *slab*. The points at and
   above its top reach into it: slab i is dominated, in x and y, by the first i points. Slab 0 lies above all points, the last
   one ends at the reference.
2. In x and y, the points that reach into a slab make a staircase that falls to the right. What they do not dominate of the
   slab lies above the staircase, and is cut into one *strip* a step: from the x of the step's point to that of the next step
   on the right, and from the height of the staircase between them, its bottom, upwards without end.
3. Most strips are the same in the next slab. A box is a run of equal strips through neighbouring slabs.

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
    """Cuts the space above a reference that a front of three objectives does not dominate into boxes.

    Args:
        front: (s, k, 3) s samples of the front's k points, every objective to be maximised.
        reference: (3,) reference point.

    Returns:
        Lower and upper corners of disjoint boxes, each (s, c, 3); an upper corner may be infinite. c is
        the greatest number of boxes that any sample has; a sample with fewer ends with empty boxes.
    """
    front = np.maximum(front, reference)
    by_height = np.argsort(-front[..., 2:], axis=1)
    front = np.take_along_axis(front, by_height, 1)
    strips = _Strips.of(front, reference)
    starts, ends = strips.runs()
    # Top and bottom in z of each slab, the same for all strips: (s, 1, slab). A box reaches from the
    # floor of the slab where its run ends up to the ceiling of the slab where it starts.
    ceiling = _padded(front[..., 2], first=np.inf)[:, None]
    floor = _padded(front[..., 2], last=reference[2])[:, None]
    lower = _corners(ends, strips.left, strips.bottom, floor)
    upper = _corners(starts, strips.right, np.inf, ceiling)
    return lower, upper


@dataclass(frozen=True)
class _Strips:
    """The strips of each slab; all fields are (samples, strips, slabs).

    There is one strip for each point, by falling x, and a last one that begins at the reference.

    Attributes:
        left: x at which the strip begins.
        right: x at which it ends.
        bottom: y above which it lies.
        there: Whether the strip is a step of the slab's staircase; else its other fields mean nothing. The last one always is.
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
        # by_x holds positions by z, and the first i points reach into slab i: (s, k, slab)
        reaches_in = by_x[:, :, None] < slabs
        bottom = _bottoms(y, reaches_in, reference[1])
        steps = reaches_in & (y > bottom[:, :-1])
        # The x of the next step on the right is the least x among the steps before a strip
        next_step_x = np.minimum.accumulate(np.where(steps, x, np.inf), axis=1)
        return cls(
            left=_padded(np.broadcast_to(x, steps.shape), last=reference[0]),
            right=_padded(next_step_x, first=np.inf),
            bottom=bottom,
            there=_padded(steps, last=True),
        )

    def runs(self) -> tuple[Mask, Mask]:
        """(s, strip, slab) each: whether a run of equal strips starts in a slab, and whether one ends there."""
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
    """Compute the height of the staircase right of each strip's left end.

    That is the largest y of the points further right that reach into the slab; the first strip has
    none, and lies on the reference.

    Args:
        y: (s, k, 1) of the points, by falling x.
        reaches_in: (s, k, slab) whether a point reaches into a slab.
        reference_y: y of the reference.

    Returns:
        (s, k + 1, slab) heights in y.
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
    """Gather the coordinates of chosen strips, sample by sample.

    Args:
        chosen: (s, strip, slab) which strips give a corner.
        x: Their x, of a shape that broadcasts to that of ``chosen``; so have y and z.
        y: Their y.
        z: Their z.

    Returns:
        (s, c, 3) corners; c is the greatest number of any sample, and zeros fill up the others.
    """
    n_chosen = chosen.sum((1, 2))
    is_filled = np.arange(n_chosen.max()) < n_chosen[:, None]
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
    """(s, k + 1, ...) ``values`` (s, k, ...) with ``first`` put before them, or ``last`` after them."""
    constant: Any = last
    before_and_after = (0, 1)
    if first is not None:
        constant = first
        before_and_after = (1, 0)
    other_axes = ((0, 0),) * (values.ndim - 2)
    return np.pad(values, ((0, 0), before_and_after, *other_axes), constant_values=constant)
