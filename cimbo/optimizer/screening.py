"""Screening: the points of a pool whose expected hypervolume improvement is largest by a cheap estimate.

Only these reach the acquisition: qLogNEHVI over hundreds of points costs more than all the rest of a proposal, and most points
of a pool are hopeless. With two
objectives the improvement of a single point is counted exactly, strip by strip under the staircase of each sample's front; with
more it is estimated from random scalarisations. The choice itself is BoTorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.pareto import dominated_by

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
N_DIRECTIONS = 32
# If a smaller share of the pool has a gain, points are ranked by scalarised values, which tell
# more then.
LEAST_SHARE_ABOVE = 0.1
LEAST_SPREAD = 1e-9
#: Called with the positions in the pool that count as chosen, and the positions whose gain is wanted; gives the expected
#: hypervolume improvement of each of the latter beyond the front and the chosen ones.
Gain = Callable[[list[int], Index], Array]


def screen(
    base: Array,
    pool: Array,
    feasible: Mask,
    reference: Array,
    *,
    rounds: int,
    each: int,
) -> list[int]:
    """List the points of a pool with the largest expected hypervolume improvement.

    Each round takes the points of largest expected hypervolume improvement. Its best one counts as
    chosen in the next round, so that the list serves a batch.

    Args:
        base: Samples of the front so far, (s, k, m), to be maximised.
        pool: Samples at the points of the pool, (s, p, m).
        feasible: Whether a sample keeps every constraint, (s, p).
        reference: Scores above which volume counts, (m,).
        rounds: Number of rounds.
        each: Points that a round takes.

    Returns:
        Positions in the pool, from 0, none twice, in the order of rounds; at most ``rounds`` times
        ``each``.
    """
    gain, upper_bound = _gains(base, pool, feasible, reference)
    listed: list[int] = []
    chosen: list[int] = []
    for _ in range(rounds):
        best = _best(partial(gain, chosen), upper_bound, each)
        upper_bound[best] = -np.inf  # listed once
        listed += best
        chosen += best[:1]
    return listed


def _gains(
    base: Array,
    pool: Array,
    feasible: Mask,
    reference: Array,
) -> tuple[Gain, Array]:
    """Choose how gains are computed, and compute them for the whole pool.

    Args:
        base: (s, k, m) samples of the front so far.
        pool: (s, p, m) samples at the points of the pool.
        feasible: (s, p) whether a sample keeps every constraint.
        reference: (m,) scores above which volume counts.

    Returns:
        The function that computes gains: exact areas with two objectives, unless hardly any point has
        one; else estimates. And (p,) the gain of each point while none is chosen.
    """
    all_positions = np.arange(pool.shape[1])
    if len(reference) == 2:
        exact = _AreaGain(base, pool, feasible, reference)
        areas = exact([], all_positions)
        if (areas > 0).mean() >= LEAST_SHARE_ABOVE:
            return exact, areas
    estimate = _ScalarisedGain.of(base, pool, feasible, reference)
    return estimate, estimate([], all_positions)


def _best(gain: Callable[[Index], Array], upper_bound: Array, n: int) -> list[int]:
    """Find the points of largest gain without computing the gain of all of them.

    Gains only fall while points are chosen, so that the gain of an earlier round is an upper bound. The points with the largest
    bounds are computed anew, which lowers their bounds, until the first ``n`` are all of this round ("lazy greedy").

    Args:
        gain: Computes the gains of positions in this round.
        upper_bound: (p,) bound on the gain of each point of the pool; negative for points that are
            listed already. It is lowered to the gains that are computed.
        n: How many points are wanted.

    Returns:
        Positions, that of the largest gain first; fewer than ``n`` where no more are left.
    """
    is_stale = upper_bound > 0  # computed in an earlier round; a gain of 0 cannot fall
    while True:
        order = np.argsort(-upper_bound, kind="stable")
        best = order[:n]
        if not is_stale[best].any():
            return [int(position) for position in best if upper_bound[position] >= 0]
        top = order[: 4 * n]
        recomputed = top[is_stale[top]]
        upper_bound[recomputed] = gain(recomputed)
        is_stale[recomputed] = False


def prune_baseline(scores: Array, feasible: Mask) -> Mask:
    """Find the points that are on the front of any sample.

    Args:
        scores: Samples at the points, (s, n, m), to be maximised.
        feasible: Whether each point keeps the constraints, (n,).

    Returns:
        True for feasible points that no other feasible one dominates in at least one sample, (n,).
    """
    candidates = np.flatnonzero(feasible)
    on_a_front = np.zeros(scores.shape[1], bool)
    if scores.shape[-1] == 2 and len(candidates):
        on_a_front[candidates] = _on_staircase(scores[:, candidates]).any(0)
        return on_a_front
    for sample in scores[:, candidates]:
        is_dominated = dominated_by(sample, sample).any(1)
        on_a_front[candidates[~is_dominated]] = True
    return on_a_front


def _on_staircase(points: Array) -> Mask:
    """Find the points of two objectives, x and y, that are non-dominated within their sample.

    Gone through from the right (large x) to the left, these are the points that are higher (larger y)
    than all before them. Of equal points only one is.

    Args:
        points: (s, n, 2) points of each sample, to be maximised.

    Returns:
        (s, n) True for non-dominated points.
    """
    x, y = points[..., 0], points[..., 1]
    from_right = np.lexsort((-y, -x), axis=1)
    height = np.take_along_axis(y, from_right, 1)
    highest_before = np.full_like(height, -np.inf)
    highest_before[:, 1:] = np.maximum.accumulate(height, axis=1)[:, :-1]
    is_on = np.zeros(points.shape[:2], bool)
    np.put_along_axis(is_on, from_right, height > highest_before, 1)
    return is_on


@dataclass(frozen=True)
class _Staircase:
    """For two objectives x and y: the area above each sample's front and the reference, cut into vertical strips.

    The points of a front make a staircase that falls to the right. Between the x of two neighbours lies a
    strip, which begins at the height of the staircase there and has no top. The area that a new point
    (x, y) adds is the area left of x and below y within the strips.

    Attributes:
        left: (samples, strips) x at which a strip begins; strips are counted from right to left.
        right: (samples, strips) x at which it ends.
        bottom: (samples, strips) y at which it begins.
    """

    left: Array
    right: Array
    bottom: Array

    @classmethod
    def of(cls, known: Array, reference: Array) -> _Staircase:
        """Build the staircases of known points (s, k, 2) above a reference (2,)."""
        above = np.maximum(known, reference)  # what lies below the reference is moved onto it
        from_right = np.argsort(-above[..., 0], axis=1)
        x = np.take_along_axis(above[..., 0], from_right, 1)
        y = np.take_along_axis(above[..., 1], from_right, 1)
        # Left of a point the staircase is as high as the highest of this point and all
        # points to its right.
        height = np.maximum.accumulate(y, axis=1)
        # One strip more than points: the last one reaches from the leftmost point to the reference
        return cls(
            left=np.pad(x, ((0, 0), (0, 1)), constant_values=reference[0]),
            right=np.pad(x, ((0, 0), (1, 0)), constant_values=np.inf),
            bottom=np.pad(height, ((0, 0), (1, 0)), constant_values=reference[1]),
        )

    def added(self, new: Array) -> Array:
        """(s, p) the area that each of the points ``new`` (s, p, 2) adds by itself."""
        right_end = np.minimum(new[..., :1], self.right[:, None])
        width = right_end - self.left[:, None]
        height = new[..., 1:] - self.bottom[:, None]
        np.maximum(width, 0, out=width)  # a strip that lies right of the point
        np.maximum(height, 0, out=height)  # or begins above it adds nothing
        return np.asarray(np.einsum("spk,spk->sp", width, height))


@dataclass(frozen=True)
class _AreaGain:
    """The exact gain for two objectives: the area that a point adds to what the front dominates.

    Attributes:
        base: (s, k, 2) samples of the front so far, to be maximised.
        pool: (s, p, 2) samples at the points of the pool.
        feasible: (s, p) whether a sample keeps every constraint.
        reference: (2,) scores above which area counts.
    """

    base: Array
    pool: Array
    feasible: Mask
    reference: Array

    def __call__(self, chosen: list[int], positions: Index) -> Array:
        """(positions,) mean over samples of the area that each position adds to the front and the chosen points."""
        is_feasible = self.feasible[:, chosen, None]
        # Where a chosen point is infeasible it dominates nothing: it is put onto the reference
        of_chosen = np.where(is_feasible, self.pool[:, chosen], self.reference)
        known = np.concatenate([self.base, of_chosen], 1)
        area = _Staircase.of(known, self.reference).added(self.pool[:, positions])
        return np.asarray((area * self.feasible[:, positions]).mean(0))


@dataclass(frozen=True)
class _ScalarisedGain:
    """An estimate of the gain for any number of objectives m, from random scalarisations.

    A point above the reference, divided by a direction (a positive unit vector), has the scalarised value min over its entries.
    Hypervolume is proportional to the mean over random directions of the largest scalarised value to the power m (Zhang and
    Golovin 2020, "Random hypervolume scalarizations", lemma 5), and its improvement to the mean of the improvements.

    Attributes:
        value: (directions, s, p) scalarised values of the pool, less than 0 where a point is below the reference.
        best_so_far: (directions, s) the largest scalarised value of the front so far.
        feasible: (s, p) whether a sample keeps every constraint.
        dimension: How many objectives there are.
    """

    value: Array
    best_so_far: Array
    feasible: Mask
    dimension: int

    @classmethod
    def of(
        cls,
        base: Array,
        pool: Array,
        feasible: Mask,
        reference: Array,
    ) -> _ScalarisedGain:
        """Scalarise samples of the front so far (s, k, m) and of the pool (s, p, m)."""
        dimension = len(reference)
        n_known = base.shape[1]
        # Objectives are compared in units of the front's extent
        extent = np.ones(dimension)
        if n_known > 1:
            extent = np.maximum(np.ptp(base.mean(0), axis=0), LEAST_SPREAD)
        scales = extent * _directions(dimension)
        value = _scalarised(pool - reference, scales)
        if n_known:
            best_so_far = _scalarised(base - reference, scales).max(2)
        else:
            best_so_far = np.full(value.shape[:2], value.min())
        return cls(value, best_so_far, feasible, dimension)

    def __call__(self, chosen: list[int], positions: Index) -> Array:
        """(positions,) estimated gain of each position beyond the front so far and the chosen points."""
        best = self._best_with(chosen)[..., None]
        new = self.value[..., positions]
        # What the largest value to the power m gains, for each direction, sample and position
        volume = np.maximum(new, 0) ** self.dimension - np.maximum(best, 0) ** self.dimension
        # Where nothing is above the reference yet, points also gain by coming nearer to it
        gain = np.where(best < 0, new - best + volume, volume)
        return np.asarray((np.maximum(gain, 0) * self.feasible[:, positions]).mean((0, 1)))

    def _best_with(self, chosen: list[int]) -> Array:
        """(directions, s) the largest scalarised value of the front so far and the feasible chosen points."""
        best = self.best_so_far
        for position in chosen:
            with_point = np.maximum(best, self.value[..., position])
            best = np.where(self.feasible[:, position], with_point, best)
        return best


def _directions(m: int) -> Array:
    """(directions, m) unit vectors with positive entries, always the same ones."""
    directions = np.abs(np.random.default_rng(0).standard_normal((N_DIRECTIONS, m)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions


def _scalarised(above: Array, scales: Array) -> Array:
    """(directions, s, n) least entry of each point ``above`` the reference (s, n, m), over ``scales`` (directions, m)."""
    return np.stack([(above / scale).min(-1) for scale in scales])
