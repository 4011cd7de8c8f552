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
    """``weight`` x ``booster`` + ``process``."""

    booster: Any
    weight: float
    process: gp.GaussianProcess

    @property
    def noise(self) -> float:
        """Variance of one measurement around the function, in standardised units."""
        return self.process.noise

    def _trees(self, encoded: Array) -> Array:
        """The trees' share of the mean (...) at encoded rows (..., k)."""
        shape = encoded.shape[:-1]
        if not self.weight:
            return np.zeros(shape)
        predicted = boosted.outputs(self.booster, as_rows(encoded))
        return self.weight * predicted.reshape(shape)

    def mean(self, encoded: Array) -> Array:
        """Compute the sum of the process's mean and the trees' share.

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
        mean, var = self.process.mean_and_variance(encoded)
        return mean + self._trees(encoded), var

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint belief; the trees add nothing to the covariance.

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
    """Tell the process more rows; the trees stay.

    They did not see the new rows, so that their residual there is as honest as the out-of-fold one
    of the first rows.

    Args:
        core: The hybrid.
        task: All rows, of which the first are those that the hybrid was fitted to.

    Returns:
        The hybrid of all rows.

    Raises:
        numpy.linalg.LinAlgError: As ``gp.condition``.
    """
    old = len(core.process.alpha)
    first = gp.targets(core.process, task.noise_variance[:old])
    rest = task.y[old:] - core._trees(task.encoded[old:])
    residual = replace(task, y=np.concatenate([first, rest]))
    return replace(core, process=gp.extend(core.process, residual))


def fit(task: Task) -> Fitted:
    """Fit linear mean, trees and process, as the module says.

    Costs two processes (one where ``task`` has a ``gp_fit``), five ridge regressions and six
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
    share_of_trees = weight * trees_held_out
    plain = task.gp_fit or gp.fit(task)
    assert isinstance(plain.core, gp.GaussianProcess)
    rest = gp.fit(replace(task, y=task.y - share_of_trees), plain.core.hyper)
    assert isinstance(rest.core, gp.GaussianProcess)
    held_out = rest.held_out + share_of_trees
    booster = boosted.train(task.encoded, residual, task.seed)
    if _error(task, plain.held_out) <= _error(task, held_out):
        return replace(plain, core=Hybrid(booster, 0.0, plain.core))
    return Fitted(Hybrid(booster, weight, rest.core), held_out, rest.forward)


def _trees_held_out(task: Task, residual: Array) -> Array:
    """(n,) what trees of the other folds predict of the residual (n,) of the linear mean."""
    held_out = np.zeros(len(task))
    for train, test in task.folds():
        booster = boosted.train(task.encoded[train], residual[train], task.seed)
        held_out[test] = boosted.outputs(booster, task.encoded[test])
    return held_out


def _best_weight(residual: Array, predicted: Array) -> float:
    """The weight within [0, 1] at which predictions leave the least squares of the residual."""
    explained = float(residual @ predicted)
    size = float(predicted @ predicted)
    return min(max(explained / max(size, 1e-12), 0.0), 1.0)


def _error(task: Task, held_out: Array) -> float:
    return float(np.mean((task.y - held_out) ** 2))


def _ridge_held_out(task: Task) -> Array:
    """Out-of-fold predictions of a ridge regression, its penalty chosen within each fold by leave-one-out; (n,)."""
    if len(task) < _MIN_RIDGE_ROWS:
        return np.zeros(len(task))
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict

    features = KernelFeatures.of(task.schema, task.encoded)
    linear = features.inputs(task.encoded).linear
    ridge = RidgeCV(_RIDGE_PENALTIES)
    predicted = cross_val_predict(ridge, linear, task.y, cv=list(task.folds()))
    return np.asarray(predicted)
