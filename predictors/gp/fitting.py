"""A process fitted to rows: hyper-parameters, posterior, and how well it foretells rows that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from predictors.core import Fitted, Task, forward_errors
from predictors.gp.hyperparameters import Hyper
from predictors.gp.inputs import KernelFeatures
from predictors.gp.likelihood import learn
from predictors.gp.process import GaussianProcess, condition
from predictors.posynomial import Posynomials
from predictors.schema import Array

FORWARD_STEPS = 25
#: Called with the rows that a process is fitted to; gives the posynomials whose predictions are the columns of one more linear
#: part, or None for no such part.
Basis = Callable[[Task], Posynomials | None]


def fit(
    task: Task,
    start: Hyper | None = None,
    basis: Basis | None = None,
) -> Fitted:
    """Fit a process: hyper-parameters, posterior, and leave-one-out predictions in closed form.

    Args:
        task: The standardised rows.
        start: Where the search for hyper-parameters starts; at fixed values when None.
        basis: From a task to one more linear part; none when None.

    Returns:
        The process with its held-out predictions (Rasmussen & Williams, 2006, eq. 5.12).

    Raises:
        numpy.linalg.LinAlgError: As ``condition``, or when the basis has no solution.
    """
    kernel_features = _kernel_features(task, basis)
    hyper = learn(kernel_features, task, start)
    core = condition(kernel_features, hyper, task)
    # Leave-one-out means: y_i - alpha_i / (K^-1)_ii. whiten is L^-1 of K = L L', hence the sums of
    # its squared columns are the diagonal of K^-1.
    precision = (core.whiten**2).sum(0)
    leave_one_out = task.y - core.alpha / precision
    errors = partial(_later_errors, task, basis)
    return Fitted(core, leave_one_out, partial(forward_errors, len(task), errors))


def _kernel_features(task: Task, basis: Basis | None) -> KernelFeatures:
    """The map from encoded rows to kernel inputs, with the basis fitted to the task's rows."""
    posynomials = None
    if basis is not None:
        posynomials = basis(task)
    return KernelFeatures.of(task.schema, task.encoded, posynomials)


@dataclass(frozen=True)
class _Past:
    """Earlier rows as a task of their own, standardised by their own mean and deviation.

    Attributes:
        task: The rows, with targets (y - location) / scale.
        location: Mean of their targets, in the units of the whole task.
        scale: Standard deviation of their targets; 1 where they are all equal.
    """

    task: Task
    location: float
    scale: float

    @classmethod
    def of(cls, task: Task, rows: slice) -> _Past:
        past = task.part(rows)
        location = float(past.y.mean())
        scale = float(past.y.std()) or 1.0
        return cls(past.standardised(location, scale), location, scale)

    def fitted(self, basis: Basis | None) -> GaussianProcess:
        """A process fitted to these rows alone."""
        kernel_features = _kernel_features(self.task, basis)
        hyper = learn(kernel_features, self.task, steps=FORWARD_STEPS)
        return condition(kernel_features, hyper, self.task)


def _later_errors(
    task: Task,
    basis: Basis | None,
    earlier: slice,
    later: slice,
) -> Array:
    """(later rows,) errors of a process fitted to the earlier rows alone, over their predicted deviations."""
    past = _Past.of(task, earlier)
    process = past.fitted(basis)
    future = task.part(later).standardised(past.location, past.scale)
    mean, variance = process.mean_and_variance(future.encoded)
    of_measurement = variance + process.noise + future.noise_variance
    return (future.y - mean) / np.sqrt(of_measurement)
