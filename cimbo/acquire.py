"""qLogNEHVI over a finite pool, with the posterior drawn once.

BoTorch's acquisition asks its model for the joint posterior of baseline and candidates again and again, one greedy step
after another. Over a pool the answer never changes, so the joint samples of all points are drawn once, and BoTorch sees a
model whose inputs are indices into that table. This serves any surrogate that can draw joint samples, and is what makes a
greedy batch over hundreds of candidates cost a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.models.model import Model
from botorch.optim import optimize_acqf_discrete
from botorch.posteriors import Posterior
from botorch.sampling.base import MCSampler
from botorch.utils.objective import compute_feasibility_indicator
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

# BoTorch would compile a C++ kernel on the first construction: a minute's wait and a compiler to gain nothing on pools.
logei._load_attempted = True


@dataclass(frozen=True)
class Table:
    """Joint samples of ``objectives`` (s, n, m), to be maximised, and of constraint ``violations`` (s, n, c), at n points.

    The first ``baseline`` points are evaluated or pending ones, the others the pool.
    """

    objectives: Array
    violations: Array
    baseline: int


def choose(table: Table, reference: Array, q: int) -> list[int]:
    """Positions in the pool (from 0) of the ``q`` points that greedily maximise qLogNEHVI above ``reference`` (m,)."""
    objectives, reference = np.asarray(table.objectives, float), np.asarray(reference, float)
    if len(reference) == 1:  # BoTorch asks for two: of a second one that is 1 above its reference, the volume is the gain
        objectives, reference = np.concatenate([objectives, np.ones_like(objectives)], -1), np.append(reference, 0.0)
    m, c = len(reference), table.violations.shape[-1]
    values = torch.from_numpy(np.concatenate([objectives, table.violations], -1))
    pool = torch.arange(table.baseline, values.shape[1], dtype=torch.double).unsqueeze(-1)
    acquisition = _Boxed(
        model=_Drawn(values),
        ref_point=torch.from_numpy(reference),
        X_baseline=torch.arange(table.baseline, dtype=torch.double).unsqueeze(-1),
        sampler=_Replay(torch.Size([len(values)])),
        objective=GenericMCMultiOutputObjective(lambda y, X=None: y[..., :m]),
        constraints=[lambda y, i=i: y[..., m + i] for i in range(c)] or None,
        prune_baseline=False,
        cache_root=False,
    )
    with torch.no_grad():
        best, _ = optimize_acqf_discrete(
            acquisition, q=min(q, len(pool)), choices=pool, max_batch_size=256, unique=True
        )
    return [int(i) - table.baseline for i in best.flatten()]


class _Boxed(logei.qLogNoisyExpectedHypervolumeImprovement):
    """Of three objectives all samples' boxes at once; of more, BoTorch's decompositions are told of a point that was chosen.

    BoTorch itself would decompose each sample anew for every point of a batch, one after another.
    """

    def _set_cell_bounds(self, num_new_points: int) -> None:
        m = len(self.ref_point)
        if m == 2 or (m > 3 and self.partitioning is None):
            super()._set_cell_bounds(num_new_points)
            return
        points = self.X_baseline if m == 3 else self.X_baseline[-num_new_points:]
        values = self.model.posterior(points).rsample()
        front, feasible = self.objective(values), compute_feasibility_indicator(self.constraints, values)
        if m == 3:
            kept = torch.where(feasible[..., None], front, self.ref_point)
            corners = boxes(kept.numpy(), self.ref_point.numpy())
            self.cell_lower_bounds, self.cell_upper_bounds = map(torch.from_numpy, corners)
            return
        self.partitioning.update([y[ok] for y, ok in zip(front, feasible, strict=True)])
        self.cell_lower_bounds, self.cell_upper_bounds = self.partitioning.get_hypercell_bounds()


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
    above = order[:, :, None] < np.arange(front.shape[1] + 1)  # (s, k, slab): nothing is above the first slab
    bottom = _padded(np.maximum.accumulate(np.where(above, y, reference[1]), axis=1), first=reference[1])
    steps = above & (y > bottom[:, :-1])
    right = _padded(np.minimum.accumulate(np.where(steps, x, np.inf), axis=1), first=np.inf)
    left = _padded(np.broadcast_to(x, steps.shape), last=reference[0])
    strips = _padded(steps, last=True)
    goes_on = strips[..., 1:] & strips[..., :-1] & (right[..., 1:] == right[..., :-1]) & (bottom[..., 1:] == bottom[..., :-1])
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


class _DrawnPosterior(Posterior):
    """The samples (s, ..., q, m) of the asked points."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @property
    def device(self) -> torch.device:
        return self.values.device

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    def _extended_shape(self, sample_shape: torch.Size = torch.Size()) -> torch.Size:  # noqa: B008
        return sample_shape + self.values.shape[1:]

    def rsample(self, sample_shape: torch.Size | None = None) -> Tensor:
        return self.values


class _Replay(MCSampler):
    """Hands out the drawn samples: the same for every call, as common random numbers are."""

    def forward(self, posterior: Posterior) -> Tensor:
        return posterior.rsample()

    def _update_base_samples(self, posterior: Posterior, base_sampler: MCSampler) -> None:
        """Nothing to update: the samples are the table's."""


class _Drawn(Model):
    """A model over indices (..., q, 1) into a table of samples (s, n, m)."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    @property
    def num_outputs(self) -> int:
        return self.values.shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size()

    def posterior(self, X: Tensor, *args: Any, **kwargs: Any) -> _DrawnPosterior:
        return _DrawnPosterior(self.values[:, X.squeeze(-1).long()])
