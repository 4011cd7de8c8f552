"""A process that also sees what sums of products predict (:mod:`predictors.posynomial`), for logarithms of costs.

The members' predictions are one more linear part: where they agree, the process follows them beyond its data; by how much they
differ, it is unsure; what they leave, its other parts learn. A fold's rows are held out by a process over a member that did not
see them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from predictors import gp, posynomial
from predictors.core import Fitted, Rows, State, Task
from predictors.gp.inputs import KernelFeatures
from predictors.posynomial import FeatureLayout, Posynomials
from predictors.schema import Array, Schema

ENSEMBLE_SIZE = 8
HELD_OUT_FOLDS = 5
_MIN_FIT_ROWS = 8  # rows
# Smallest standard deviation of log y that is fitted. The data weigh up to (MIN_RELATIVE_RESIDUAL deviation)^-2 against the
# prior's 1; a weight beyond 1 / (double precision's 2e-16) drowns the prior in rounding, and the curvature becomes singular.
_MIN_LOG_DEVIATION = 1e-6


def fit(task: Task) -> Fitted:
    """Fit a process over an ensemble of posynomials.

    A target that is no logarithm, of very few rows, or constant but for rounding, gets the plain
    process.

    Args:
        task: The standardised rows. Its ``gp_fit`` is returned where the plain process is due.

    Returns:
        The process with its held-out predictions.

    Raises:
        numpy.linalg.LinAlgError: When the equations have no solution in floating point.
    """
    if not task.schema.log or len(task) < _MIN_FIT_ROWS or not _varies(task):
        return task.gp_fit or gp.fit(task)
    fitted = gp.fit(task, basis=_members)
    assert isinstance(fitted.core, gp.GaussianProcess)
    # The members have seen every row, so that the closed form's leave-one-out predictions, which
    # leave rows out of the process alone, would flatter this kind.
    return replace(fitted, held_out=_held_out(task, fitted.core.hyper))


def _varies(task: Task) -> bool:
    """Whether the target's standard deviation, in logarithms, is more than rounding."""
    return task.scale * float(task.y.std()) >= _MIN_LOG_DEVIATION


def _members(task: Task) -> Posynomials | None:
    """Fit an ensemble of which every member sees every row; None where the target, or an early part of it, is constant."""
    if not _varies(task):
        return None
    return posynomial.fit(task, np.ones((ENSEMBLE_SIZE, len(task))))


def _held_out(task: Task, hyper: gp.Hyper) -> Array:
    """(n,) predictions of the training rows, each by a process and a posynomial that did not see it."""
    # The hyper-parameters stay those that were learned on all rows
    folds = list(task.folds(HELD_OUT_FOLDS))
    members = _members_of_folds(task, [test for _, test in folds])
    predicted = np.empty(len(task))
    for fold, (train, test) in enumerate(folds):
        member = members.only(slice(fold, fold + 1))
        kernel_features = KernelFeatures.of(task.schema, task.encoded, member)
        process = gp.condition(kernel_features, hyper, task.part(train))
        predicted[test] = process.mean(task.encoded[test])
    return predicted


def _members_of_folds(task: Task, tests: list[Rows]) -> Posynomials:
    """Fit an ensemble with one posynomial for each fold, which does not see the fold's test rows."""
    seen = np.ones((len(tests), len(task)))
    for fold, test in enumerate(tests):
        seen[fold, test] = 0.0
    return posynomial.fit(task, seen)


def restore(schema: Schema, state: State) -> gp.GaussianProcess:
    """Build a process again from what ``GaussianProcess.state`` returned.

    Args:
        schema: The features of the process.
        state: Its arrays, and with posynomials the number ``unit``.

    Returns:
        The process, without posynomials where the state has none.

    Raises:
        PredictorError: When shapes do not belong together, or numbers are out of range.
        KeyError: When there are posynomials, and an array or the number ``unit`` is missing.
    """
    if "products" not in state.arrays:
        return gp.restore(schema, state)
    columns = len(schema.owners)
    shift = state.arrays["shift"][:columns]
    scale = state.arrays["scale"][:columns]
    layout = FeatureLayout(schema, shift, scale)
    basis = Posynomials(layout, state.arrays["products"], state.numbers["unit"])
    return gp.restore(schema, state, basis)
