"""qLogNEHVI over a finite pool, with the posterior drawn once.

BoTorch's acquisition asks its model for the joint posterior of baseline and candidates again and again, one greedy step
after another. Over a pool the answer never changes, so the joint samples of all points are drawn once, and BoTorch sees a
model whose inputs are indices into that table. This serves any surrogate that can draw joint samples, and is what makes a
greedy batch over hundreds of candidates cost a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
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

from cimbo.compat import disable_compiled_kernels
from cimbo.optimizer.counted_improvement import choose_counted
from cimbo.problem.nondominated_boxes import boxes

Array = NDArray[np.float64]
# With more objectives, improvements are computed exactly for each sample, without BoTorch's
# smoothing.
MAX_DECOMPOSED_OBJECTIVES = 3

disable_compiled_kernels(logei)


@dataclass(frozen=True)
class PosteriorSamples:
    """Joint posterior samples at n points: first the baseline, then the pool.

    Attributes:
        objectives: (s, n, m) samples of the objectives, to be maximised.
        violations: (s, n, c) samples of the constraints' violations, at most 0 where one is kept.
        baseline: How many of the points are evaluated or pending ones; the others are the pool.
    """

    objectives: Array
    violations: Array
    baseline: int


def choose(table: PosteriorSamples, reference: Array, q: int) -> list[int]:
    """Choose points of the pool that greedily maximise qLogNEHVI.

    With more than MAX_DECOMPOSED_OBJECTIVES objectives the improvement is counted sample by sample
    instead, without BoTorch's smoothing.

    Args:
        table: Joint samples at the evaluated or pending points and at those of the pool.
        reference: Scores above which volume counts, (m,).
        q: Number of points wanted.

    Returns:
        Positions in the pool, from 0, in the order of choice; fewer than ``q`` where the pool has
        no more.
    """
    objectives = np.asarray(table.objectives, float)
    reference = np.asarray(reference, float)
    if len(reference) == 1:
        # BoTorch needs two objectives. The second one is always 1 above its reference, so
        # the volume equals the gain in the first.
        objectives = np.concatenate([objectives, np.ones_like(objectives)], -1)
        reference = np.append(reference, 0.0)
    if len(reference) > MAX_DECOMPOSED_OBJECTIVES:
        feasible = np.asarray((table.violations <= 0).all(-1))
        return choose_counted(objectives, feasible, table.baseline, reference, q)
    acquisition = _acquisition(replace(table, objectives=objectives), reference)
    pool = _points(table.baseline, objectives.shape[1])
    with torch.no_grad():
        indices, _ = optimize_acqf_discrete(
            acquisition, q=min(q, len(pool)), choices=pool, max_batch_size=256, unique=True
        )
    return [int(index) - table.baseline for index in indices.flatten()]


def _points(start: int, end: int) -> Tensor:
    """(n, 1) indices from ``start`` up to ``end`` into the table of samples: the points that BoTorch sees."""
    return torch.arange(start, end, dtype=torch.double).unsqueeze(-1)


def _acquisition(table: PosteriorSamples, reference: Array) -> Any:
    """BoTorch's qLogNEHVI over the points of a table, for two or three objectives."""
    m = len(reference)
    acquisition_class = logei.qLogNoisyExpectedHypervolumeImprovement
    if m == 3:
        acquisition_class = SimultaneousBoxes
    # A sample's columns are the m objectives, then the violations
    constraints = [partial(_column, m + i) for i in range(table.violations.shape[-1])]
    values = torch.from_numpy(np.concatenate([table.objectives, table.violations], -1))
    return acquisition_class(
        model=FixedSampleModel(values),
        ref_point=torch.from_numpy(reference),
        X_baseline=_points(0, table.baseline),
        sampler=FixedSampler(torch.Size([len(values)])),
        objective=GenericMCMultiOutputObjective(lambda samples, X=None: samples[..., :m]),
        constraints=constraints or None,
        prune_baseline=False,
        cache_root=False,
    )


def _column(index: int, samples: Tensor) -> Tensor:
    return samples[..., index]


class SimultaneousBoxes(logei.qLogNoisyExpectedHypervolumeImprovement):  # type: ignore[misc]
    """qLogNEHVI that decomposes the non-dominated space of all samples at once.

    BoTorch decomposes sample by sample, and anew for every point, which takes most of the time with three objectives.
    """

    def _set_cell_bounds(self, num_new_points: int) -> None:
        """Set the corners of the boxes, as BoTorch calls it; an infeasible baseline point is put onto the reference."""
        values = self.model.posterior(self.X_baseline).rsample()
        feasible = compute_feasibility_indicator(self.constraints, values)
        front = torch.where(feasible[..., None], self.objective(values), self.ref_point)
        corners = boxes(front.numpy(), self.ref_point.numpy())
        self.cell_lower_bounds, self.cell_upper_bounds = map(torch.from_numpy, corners)


class FixedSamplePosterior(Posterior):  # type: ignore[misc]
    """A posterior whose samples (s, ..., q, m) have been drawn already."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @property
    def device(self) -> torch.device:
        """Where the samples are kept."""
        return self.values.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the samples."""
        return self.values.dtype

    def _extended_shape(self, sample_shape: torch.Size = torch.Size()) -> torch.Size:  # noqa: B008
        return sample_shape + self.values.shape[1:]

    def rsample(self, sample_shape: torch.Size | None = None) -> Tensor:
        """Return the samples that were drawn once.

        Args:
            sample_shape: Not looked at: there are as many samples as the table has.

        Returns:
            Samples, (s, ..., q, m).
        """
        return self.values


class FixedSampler(MCSampler):  # type: ignore[misc]
    """A sampler that returns the drawn samples: the same ones in every call, so that points can be compared."""

    def forward(self, posterior: Posterior) -> Tensor:
        """Return the samples of a posterior.

        Args:
            posterior: A ``FixedSamplePosterior``.

        Returns:
            Samples, (s, ..., q, m).
        """
        samples: Tensor = posterior.rsample()
        return samples

    def _update_base_samples(
        self,
        posterior: Posterior,
        base_sampler: MCSampler,
    ) -> None:
        """Nothing to update: the samples are the table's."""


class FixedSampleModel(Model):  # type: ignore[misc]
    """A model over indices (..., q, 1) into a table of samples (s, n, m)."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    @property
    def num_outputs(self) -> int:
        """Number of columns of the table, m."""
        return self.values.shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        """Empty: this is one model."""
        return torch.Size()

    def posterior(self, X: Tensor, *args: Any, **kwargs: Any) -> FixedSamplePosterior:
        """Look up the samples of some points.

        Args:
            X: Indices of the points in the table, (..., q, 1).
            *args: Not looked at; BoTorch may give more.
            **kwargs: Not looked at either.

        Returns:
            Their samples, (s, ..., q, m), as a posterior.
        """
        return FixedSamplePosterior(self.values[:, X.squeeze(-1).long()])
