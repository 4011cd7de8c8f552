"""A process fitted to rows: hyper-parameters, posterior, and how well it foretells rows that it has not seen."""

from __future__ import annotations

import math
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
#: rows that a process is fitted to -> columns of one more linear part, or None for no such part
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
    precision = (core.whiten**2).sum(0)
    left_out = task.y - core.alpha / precision
    errors = partial(_later_errors, task, basis)
    return Fitted(core, left_out, partial(forward_errors, len(task), errors))


def _kernel_features(task: Task, basis: Basis | None) -> KernelFeatures:
    further = None
    if basis is not None:
        further = basis(task)
    return KernelFeatures.of(task.schema, task.encoded, further)


@dataclass(frozen=True)
class _Past:
    """Earlier rows as a task of their own, standardised anew by ``location`` and ``scale``."""

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
    rows: slice,
    rest: slice,
) -> Array:
    """Standardised errors of later rows under a process that was fitted to earlier rows alone."""
    past = _Past.of(task, rows)
    process = past.fitted(basis)
    later = task.part(rest).standardised(past.location, past.scale)
    mean, variance = process.mean_and_variance(later.encoded)
    total = variance + math.exp(process.hyper.noise) + later.noise_variance
    return (later.y - mean) / np.sqrt(total)
