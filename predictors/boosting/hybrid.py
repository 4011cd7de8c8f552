"""Linear mean, trees on its residual, Gaussian process on what is left.

The trees are trained on the out-of-fold residual of a ridge regression and enter with the weight that explains their
own out-of-fold predictions best, 0 when the process alone has the smaller held-out error. The process then sees the
target less the trees' *out-of-fold* share, so that its noise and intervals include the trees' true error; its linear
kernels are the linear mean, with the uncertainty of the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from predictors import gp
from predictors.boosting import boosted
from predictors.core import Fitted, State, Task, as_rows
from predictors.gp.inputs import KernelFeatures
from predictors.schema import Array, Schema
from predictors.storage import checks

_MIN_RIDGE_ROWS = 8  # rows, below which a fold is too small to choose a penalty
_RIDGE_PENALTIES = np.logspace(-4, 2, 13)


@dataclass(frozen=True)
class Hybrid:
    """The sum of boosted trees, times a weight, and a Gaussian process.

    Attributes:
        booster: The XGBoost booster.
        weight: What its predictions are multiplied by, from 0 to 1.
        process: The process on what the weighted trees leave of the target.
    """

    booster: Any
    weight: float
    process: gp.GaussianProcess

    @property
    def noise(self) -> float:
        """Variance of one measurement around the function, in standardised units."""
        return self.process.noise

    def _trees(self, encoded: Array) -> Array:
        """(...) what the weighted trees add to the mean at encoded rows (..., k)."""
        shape = encoded.shape[:-1]
        if not self.weight:
            return np.zeros(shape)
        predicted = boosted.outputs(self.booster, as_rows(encoded))
        return self.weight * predicted.reshape(shape)

    def mean(self, encoded: Array) -> Array:
        """Compute the sum of the process's mean and the weighted trees' prediction.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n,) in standardised units.
        """
        return self.process.mean(encoded) + self._trees(encoded)

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Compute mean and variance of the function; the trees add nothing to the variance.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            Mean and variance, each (n,), in standardised units.
        """
        mean, variance = self.process.mean_and_variance(encoded)
        return mean + self._trees(encoded), variance

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint normal distribution of the function; the trees add nothing to the covariance.

        Args:
            encoded: (..., q, k) encoded rows.

        Returns:
            Mean (..., q) and covariance (..., q, q), in standardised units.
        """
        mean, covariance = self.process.joint(encoded)
        return mean + self._trees(encoded), covariance

    def state(self) -> State:
        """Describe the hybrid as data.

        Returns:
            The trees' weight, the process's arrays, and the booster ``trees``.
        """
        return State(
            {"weight": self.weight},
            self.process.state().arrays,
            {"trees": boosted.dump(self.booster)},
        )


def restore(schema: Schema, state: State) -> Hybrid:
    """Build a hybrid again from what ``Hybrid.state`` returned.

    Args:
        schema: The features of the hybrid.
        state: The trees' weight, the process's arrays, and the booster.

    Returns:
        The hybrid.

    Raises:
        PredictorError: When ``Hybrid.state`` cannot have written it.
    """
    checks.boosters(state, ["trees"])
    weight = checks.number(state, "weight", 0.0, 1.0)
    booster = boosted.parse(state.boosters["trees"], len(schema.owners))
    return Hybrid(booster, weight, gp.restore(schema, state))


def extend(core: Hybrid, task: Task) -> Hybrid:
    """Condition the process on more rows; the trees stay as they are.

    The process is fitted to what trees that did not see a row leave there. For the first rows that is
    the out-of-fold residual, which is computed back from the process; the new rows have not been seen
    by the trees at all.

    Args:
        core: The hybrid.
        task: All rows, of which the first are those that the hybrid was fitted to.

    Returns:
        The hybrid of all rows.

    Raises:
        numpy.linalg.LinAlgError: As ``gp.condition``.
    """
    n_old = len(core.process.alpha)
    old_residual = gp.targets(core.process, task.noise_variance[:n_old])
    new_residual = task.y[n_old:] - core._trees(task.encoded[n_old:])
    residual = replace(task, y=np.concatenate([old_residual, new_residual]))
    return replace(core, process=gp.extend(core.process, residual))


def fit(task: Task) -> Fitted:
    """Fit linear mean, trees and process, as the module says.

    It fits two processes (one where ``task`` has a ``gp_fit``), five ridge regressions and six
    boosters.

    Args:
        task: The standardised rows.

    Returns:
        The hybrid with its held-out predictions. The trees' weight is 0 where the process alone has
        no larger held-out error.

    Raises:
        numpy.linalg.LinAlgError: As ``gp.condition``.
    """
    residual = task.y - _ridge_held_out(task)
    trees_held_out = _trees_held_out(task, residual)
    weight = _best_weight(residual, trees_held_out)
    explained_by_trees = weight * trees_held_out
    plain = task.gp_fit or gp.fit(task)
    assert isinstance(plain.core, gp.GaussianProcess)
    left_by_trees = replace(task, y=task.y - explained_by_trees)
    of_rest = gp.fit(left_by_trees, plain.core.hyper)
    assert isinstance(of_rest.core, gp.GaussianProcess)
    held_out = of_rest.held_out + explained_by_trees
    booster = boosted.train(task.encoded, residual, task.seed)
    if _squared_error(task, plain.held_out) <= _squared_error(task, held_out):
        return replace(plain, core=Hybrid(booster, 0.0, plain.core))
    forward = of_rest.forward
    if weight == 0.0:
        forward = plain.forward  # of the same targets: the same errors, perhaps computed already
    return Fitted(Hybrid(booster, weight, of_rest.core), held_out, forward)


def _trees_held_out(task: Task, residual: Array) -> Array:
    """(n,) out-of-fold predictions, by trees, of the residual (n,) that the linear mean leaves."""
    held_out = np.zeros(len(task))
    for train, test in task.folds():
        booster = boosted.train(task.encoded[train], residual[train], task.seed)
        held_out[test] = boosted.outputs(booster, task.encoded[test])
    return held_out


def _best_weight(residual: Array, predicted: Array) -> float:
    """The weight within [0, 1] that minimises |residual - weight * predicted|^2, both (n,)."""
    inner_product = float(residual @ predicted)
    squared_norm = float(predicted @ predicted)
    least_squares = inner_product / max(squared_norm, 1e-12)
    return min(max(least_squares, 0.0), 1.0)


def _squared_error(task: Task, held_out: Array) -> float:
    """Mean squared error of held-out predictions (n,) of the task's targets."""
    return float(np.mean((task.y - held_out) ** 2))


def _ridge_held_out(task: Task) -> Array:
    """(n,) out-of-fold predictions of a ridge regression, whose penalty each fold chooses by leave-one-out."""
    if len(task) < _MIN_RIDGE_ROWS:  # the linear mean is then 0
        return np.zeros(len(task))
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict

    features = KernelFeatures.of(task.schema, task.encoded)
    linear = features.inputs(task.encoded).linear
    ridge = RidgeCV(_RIDGE_PENALTIES)
    predicted = cross_val_predict(ridge, linear, task.y, cv=list(task.folds()))
    return np.asarray(predicted)
