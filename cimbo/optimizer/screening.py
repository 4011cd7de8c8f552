"""Whom the acquisition gets to see: the points of a pool whose expected hypervolume improvement is largest by a cheap estimate.

qLogNEHVI over hundreds of points costs more than all the rest of a proposal, and most points of a pool are hopeless. With two
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
#: positions in the pool that count as chosen, positions asked about -> improvement of each of these beyond the chosen ones
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
    """List the points of a pool that are worth a closer look.

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
    gain, bound = _first_look(base, pool, feasible, reference)
    listed: list[int] = []
    chosen: list[int] = []
    for _ in range(rounds):
        new = _best(partial(gain, chosen), bound, each)
        bound[new] = -np.inf
        listed += new
        chosen += new[:1]
    return listed


def _first_look(
    base: Array,
    pool: Array,
    feasible: Mask,
    reference: Array,
) -> tuple[Gain, Array]:
    """How gains are estimated, and the gain (p,) of each point of the pool while none is chosen."""
    everything = np.arange(pool.shape[1])
    if len(reference) == 2:
        exact = _AreaGain(base, pool, feasible, reference)
        bound = exact([], everything)
        if (bound > 0).mean() >= LEAST_SHARE_ABOVE:
            return exact, bound
    estimate = _ScalarisedGain.of(base, pool, feasible, reference)
    return estimate, estimate([], everything)


def _best(gain: Callable[[Index], Array], bound: Array, n: int) -> list[int]:
    """The ``n`` positions of largest gain, in order; fewer where no more have a ``bound`` (p,) of at least 0.

    Gains only fall while points are chosen, so that the gain of an earlier round is a bound. Only the points at the top are
    counted anew, and their bounds lowered, until the first ``n`` are all of this round: most of the pool needs no other look.

    Returns:
        At most ``n`` positions.
    """
    is_stale = bound > 0
    while True:
        order = np.argsort(-bound, kind="stable")
        first = order[:n]
        if not is_stale[first].any():
            return [int(position) for position in first if bound[position] >= 0]
        top = order[: 4 * n]
        recounted = top[is_stale[top]]
        bound[recounted] = gain(recounted)
        is_stale[recounted] = False


def prune_baseline(scores: Array, feasible: Mask) -> Mask:
    """Find the points that are on the front of any sample.

    Args:
        scores: Samples at the points, (s, n, m), to be maximised.
        feasible: Whether each point keeps the constraints, (n,).

    Returns:
        True for feasible points that no other feasible one dominates in at least one sample, (n,).
    """
    among = np.flatnonzero(feasible)
    kept = np.zeros(scores.shape[1], bool)
    if scores.shape[-1] == 2 and len(among):
        kept[among] = _on_staircase(scores[:, among]).any(0)
        return kept
    for sample in scores[:, among]:
        is_dominated = dominated_by(sample, sample).any(1)
        kept[among[~is_dominated]] = True
    return kept


def _on_staircase(points: Array) -> Mask:
    """(s, n) whether each of ``points`` (s, n, 2) is non-dominated within its sample (of equal points, one).

    From the right to the left, a point is on the staircase where it is higher than all before it.

    Returns:
        (s, n) True for those on it.
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
    """What each sample's front of two objectives, x and y, leaves above the reference, in strips.

    The points of a front make a staircase that falls to the right. A strip lies between the x of one point, ``left``, and that
    of the next one on its right, ``right``; it begins at the height of the staircase there, ``bottom``, and has no top. All
    are arrays (samples, strips), from right to left. What a new point adds is what lies in the strips to its left and below.
    """

    left: Array
    right: Array
    bottom: Array

    @classmethod
    def of(cls, known: Array, reference: Array) -> _Staircase:
        """Build the staircases of samples (s, k, 2) of the known points; those below the reference count as on it."""
        above = np.maximum(known, reference)
        from_right = np.argsort(-above[..., 0], axis=1)
        x = np.take_along_axis(above[..., 0], from_right, 1)
        y = np.take_along_axis(above[..., 1], from_right, 1)
        # Left of a point the staircase is as high as the highest of this point and all
        # points to its right.
        height = np.maximum.accumulate(y, axis=1)
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
    """Exact for two objectives: the area that a point adds to what ``base`` dominates above ``reference``."""

    base: Array
    pool: Array
    feasible: Mask
    reference: Array

    def __call__(self, chosen: list[int], asked: Index) -> Array:
        """(asked,) the mean area that each asked position adds to ``base`` and the chosen ones."""
        is_feasible = self.feasible[:, chosen, None]
        of_chosen = np.where(is_feasible, self.pool[:, chosen], self.reference)
        known = np.concatenate([self.base, of_chosen], 1)
        area = _Staircase.of(known, self.reference).added(self.pool[:, asked])
        return np.asarray((area * self.feasible[:, asked]).mean(0))


@dataclass(frozen=True)
class _ScalarisedGain:
    """Estimated in any dimension: the mean over random directions of how much better the best scalarised value gets.

    Hypervolume is a mean over random directions of the best scalarised point to the power of the dimension (Zhang and Golovin
    2020, "Random hypervolume scalarizations", lemma 5); its improvement is the mean of the improvements.

    Attributes:
        value: (directions, s, p) scalarised values of the pool, less than 0 where a point is below the reference.
        start: (directions, s) the best of the front so far.
        feasible: (s, p) whether a sample keeps every constraint.
        dimension: How many objectives there are.
    """

    value: Array
    start: Array
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
        m = len(reference)
        n_known = base.shape[1]
        spread = np.ones(m)
        if n_known > 1:
            spread = np.maximum(np.ptp(base.mean(0), axis=0), LEAST_SPREAD)
        scales = spread * _directions(m)
        value = _scalarised(pool - reference, scales)
        if n_known:
            start = _scalarised(base - reference, scales).max(2)
        else:
            start = np.full(value.shape[:2], value.min())
        return cls(value, start, feasible, m)

    def __call__(self, chosen: list[int], asked: Index) -> Array:
        """(asked,) what each asked position is estimated to add to the front so far and the chosen ones."""
        best = self._best_with(chosen)[..., None]
        new = self.value[..., asked]
        volume = np.maximum(new, 0) ** self.dimension - np.maximum(best, 0) ** self.dimension
        # A point below the reference gains nothing; such points are ranked by their
        # distance to it.
        more = np.where(best < 0, new - best + volume, volume)
        return np.asarray((np.maximum(more, 0) * self.feasible[:, asked]).mean((0, 1)))

    def _best_with(self, chosen: list[int]) -> Array:
        """(directions, s) the best scalarised value of the front so far and the feasible chosen ones."""
        best = self.start
        for i in chosen:
            is_better = np.maximum(best, self.value[..., i])
            best = np.where(self.feasible[:, i], is_better, best)
        return best


def _directions(m: int) -> Array:
    """(directions, m) unit vectors with positive entries, always the same ones."""
    directions = np.abs(np.random.default_rng(0).standard_normal((N_DIRECTIONS, m)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions


def _scalarised(above: Array, scales: Array) -> Array:
    """(directions, s, n) the scalarised values of points (s, n, m), given less the reference."""
    return np.stack([(above / scale).min(-1) for scale in scales])
