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
LEAST_SHARE_ABOVE = (
    0.1  # of a pool; with fewer points above the reference, scalarised values tell more
)
#: positions in the pool that count as chosen, positions asked about -> improvement of each of these beyond the chosen ones
Gain = Callable[[list[int], Index], Array]


def screen(
    base: Array, pool: Array, feasible: Mask, reference: Array, *, rounds: int, each: int
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


def _first_look(base: Array, pool: Array, feasible: Mask, reference: Array) -> tuple[Gain, Array]:
    """How gains are estimated, and the gain (p,) of each point of the pool while none is chosen."""
    everything = np.arange(pool.shape[1])
    if len(reference) == 2:
        gain = _staircase(base, pool, feasible, reference)
        bound = gain([], everything)
        if (bound > 0).mean() >= LEAST_SHARE_ABOVE:
            return gain, bound
    gain = _scalarised(base, pool, feasible, reference)
    return gain, gain([], everything)


def _best(gain: Callable[[Index], Array], bound: Array, n: int) -> list[int]:
    """The ``n`` positions of largest gain, in order; fewer where no more have a finite ``bound`` (p,).

    Gains only fall while points are chosen, so that an earlier one is a bound, lowered here: most need no other look.
    """
    stale = bound > 0
    while True:
        order = np.argsort(-bound, kind="stable")
        if not stale[order[:n]].any():
            return [int(i) for i in order[:n] if bound[i] >= 0]
        some = order[: 4 * n]
        some = some[stale[some]]
        bound[some] = gain(some)
        stale[some] = False


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
        kept[among[~dominated_by(sample, sample).any(1)]] = True
    return kept


def _on_staircase(points: Array) -> Mask:
    """(s, n) whether each of ``points`` (s, n, 2) is non-dominated within its sample (of equal points, one)."""
    order = np.lexsort((-points[..., 1], -points[..., 0]), axis=1)
    height = np.take_along_axis(points[..., 1], order, 1)
    shifted = np.pad(height[:, :-1], ((0, 0), (1, 0)), constant_values=-np.inf)
    before = np.maximum.accumulate(shifted, axis=1)
    on = np.zeros(points.shape[:2], bool)
    np.put_along_axis(on, order, height > before, 1)
    return on


@dataclass(frozen=True)
class _Staircase:
    """The strips under each sample's front of two objectives.

    Each lies between ``left`` and ``right``, above ``bottom``, arrays of (samples, strips).
    Whatever a new point covers of a strip above its bottom is what the point adds there.
    """

    left: Array
    right: Array
    bottom: Array

    @classmethod
    def of(cls, known: Array, reference: Array) -> _Staircase:
        """Build the staircases of samples (s, k, 2) of the known points."""
        above = np.maximum(known, reference)
        order = np.argsort(-above[..., 0], axis=1)
        x = np.take_along_axis(above[..., 0], order, 1)
        y = np.take_along_axis(above[..., 1], order, 1)
        highest = np.maximum.accumulate(y, axis=1)  # of a point and all that lie right of it
        return cls(
            left=np.pad(x, ((0, 0), (0, 1)), constant_values=reference[0]),
            right=np.pad(x, ((0, 0), (1, 0)), constant_values=np.inf),
            bottom=np.pad(highest, ((0, 0), (1, 0)), constant_values=reference[1]),
        )

    def added(self, new: Array) -> Array:
        """(s, p) the area that each of the points ``new`` (s, p, 2) adds by itself."""
        width = np.minimum(new[..., :1], self.right[:, None]) - self.left[:, None]
        height = new[..., 1:] - self.bottom[:, None]
        np.maximum(width, 0, out=width)
        np.maximum(height, 0, out=height)
        return np.asarray(np.einsum("spk,spk->sp", width, height))


def _staircase(base: Array, pool: Array, feasible: Mask, reference: Array) -> Gain:
    """Exact for two objectives: the area that a point adds to what ``base`` dominates above ``reference``."""

    def gain(chosen: list[int], asked: Index) -> Array:
        """Count the mean area that each asked position adds to ``base`` and the chosen, (asked,)."""
        of_chosen = np.where(feasible[:, chosen, None], pool[:, chosen], reference)
        known = np.concatenate([base, of_chosen], 1)
        area = _Staircase.of(known, reference).added(pool[:, asked])
        return np.asarray((area * feasible[:, asked]).mean(0))

    return gain


def _scalarised(base: Array, pool: Array, feasible: Mask, reference: Array) -> Gain:
    """Estimated in any dimension.

    Hypervolume is a mean over random directions of the best scalarised point (Zhang and Golovin 2020, "Random hypervolume
    scalarizations", lemma 5); its improvement is the mean of the improvements of the scalarised values.
    """
    m, known = len(reference), base.shape[1]
    directions = np.abs(np.random.default_rng(0).standard_normal((N_DIRECTIONS, m)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if known > 1:
        spread = np.maximum(np.ptp(base.mean(0), axis=0), 1e-9)
    else:
        spread = np.ones(m)
    value = np.stack([((pool - reference) / (spread * d)).min(-1) for d in directions])
    if known:
        start = np.stack([((base - reference) / (spread * d)).min(-1).max(1) for d in directions])
    else:
        start = np.full(value.shape[:2], value.min())

    def gain(chosen: list[int], asked: Index) -> Array:
        """Estimate what each asked position adds to ``base`` and the chosen ones, (asked,)."""
        best = start
        for i in chosen:
            best = np.where(feasible[:, i], np.maximum(best, value[..., i]), best)
        new = value[..., asked]
        more = np.maximum(new, 0) ** m - np.maximum(best, 0)[..., None] ** m
        # Below the reference nothing counts; there the distance to it decides.
        more = np.where(best[..., None] < 0, new - best[..., None] + more, more)
        return np.asarray((np.maximum(more, 0) * feasible[:, asked]).mean((0, 1)))

    return gain
