"""Gradient-boosted trees: an ensemble over folds whose spread, with the held-out error, is the uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from predictors.boosting import trees
from predictors.core import Fitted, State, Task, as_rows, forward_errors
from predictors.schema import Array, Schema
from predictors.storage import checks

ENSEMBLE_SIZE = 8
BOOSTING_ROUNDS = 80
# Added to each row's noise variance, so that the weight of a row without noise is finite
UNEXPLAINED_VARIANCE = 0.05
LEAST_NOISE_SHARE = 0.05  # noise is at least this share of the held-out squared error
LEAST_NOISE = 1e-6
LEAST_SQUARED_ERROR = 1e-12
_XGBOOST_SETTINGS: dict[str, Any] = {
    "max_depth": 4,
    "eta": 0.1,
    "subsample": 0.9,
    "colsample_bytree": 0.6,
    "min_child_weight": 2,
    "lambda": 1.0,
    "base_score": 0.0,
    "nthread": 1,
    "verbosity": 0,
    "tree_method": "hist",
    "max_bin": 64,
}


def train(
    encoded: Array,
    y: Array,
    seed: int,
    weight: Array | None = None,
) -> Any:
    """Train one booster.

    Args:
        encoded: (n, k) encoded rows.
        y: (n,) standardised targets.
        seed: Seed of the rows and columns that each tree is shown.
        weight: (n,) weight of each row; all equal when None.

    Returns:
        The XGBoost booster, of ``BOOSTING_ROUNDS`` trees.
    """
    import xgboost

    data = xgboost.DMatrix(encoded, y, weight=weight, nthread=1)
    return xgboost.train(_XGBOOST_SETTINGS | {"seed": seed}, data, BOOSTING_ROUNDS)


def outputs(booster: Any, encoded: Array) -> Array:
    """Predict rows with one booster.

    Args:
        booster: As ``train`` returns it.
        encoded: (n, k) encoded rows.

    Returns:
        (n,) predictions in standardised units.
    """
    return np.asarray(booster.inplace_predict(encoded), dtype=np.float64)


def dump(booster: Any) -> bytes:
    """Write a booster as XGBoost's JSON.

    The binary format is not used: mutated files of it crashed the loader, those of JSON did not.

    Args:
        booster: As ``train`` returns it.

    Returns:
        The bytes that ``parse`` reads.
    """
    return bytes(booster.save_raw("json"))


def parse(data: bytes, n_features: int) -> Any:
    """Read a booster that ``dump`` wrote.

    Args:
        data: XGBoost's JSON.
        n_features: How many encoded columns the booster must have been trained on.

    Returns:
        The XGBoost booster.

    Raises:
        PredictorError: When the booster is not one that ``train`` could have made.
    """
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(trees.checked(data, n_features)))
    return booster


@dataclass(frozen=True)
class Boosted:
    """An ensemble of K boosters ("members"), each trained on all rows but those of one fold.

    The members' mean is the prediction. Their covariance is the delete-a-group jackknife's, (K - 1) / K times the sum
    of squared deviations (Shao & Wu, 1989), since members that share most rows differ less than refits would.

    Attributes:
        members: The XGBoost boosters.
        noise: Variance of one measurement, in standardised units: what of the held-out squared error the members'
            variance does not explain.
    """

    members: tuple[Any, ...]
    noise: float

    def each(self, encoded: Array) -> Array:
        """Predict rows with every member.

        Args:
            encoded: (..., k) encoded rows.

        Returns:
            (members, ...) predictions in standardised units.
        """
        rows = as_rows(encoded)
        predicted = np.stack([outputs(member, rows) for member in self.members])
        return predicted.reshape(len(self.members), *encoded.shape[:-1])

    def mean(self, encoded: Array) -> Array:
        """Average the members' predictions.

        Args:
            encoded: (..., k) encoded rows.

        Returns:
            (...) means in standardised units.
        """
        return np.asarray(self.each(encoded).mean(0))

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the members' mean, and the jackknife's variance.

        Args:
            encoded: (..., k) encoded rows.

        Returns:
            Mean and variance, each (...), in standardised units; the variance is at least 1e-12.
        """
        mean, deviation = _jackknife(self.each(encoded))
        return mean, (deviation**2).sum(0) + 1e-12

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the members' mean, and the jackknife's covariance.

        Args:
            encoded: (..., q, k) encoded rows.

        Returns:
            Mean (..., q), and covariance (..., q, q) of a rank below the number of members.
        """
        mean, deviation = _jackknife(self.each(encoded))
        return mean, np.einsum("m...i,m...j->...ij", deviation, deviation, optimize=True)

    def state(self) -> State:
        """Describe the ensemble as data.

        Returns:
            The noise, and the boosters ``member0``, ``member1``, ... as XGBoost's JSON.
        """
        boosters = {}
        for number, member in enumerate(self.members):
            boosters[_member_name(number)] = dump(member)
        return State({"noise": self.noise}, {}, boosters)


def _jackknife(predictions: Array) -> tuple[Array, Array]:
    """Mean (...) over the predictions of K members (K, ...), and their deviations (K, ...) times sqrt((K - 1) / K).

    The squares of these deviations sum to the jackknife's variance.

    Args:
        predictions: (K, ...), of every member.

    Returns:
        Mean (...), and scaled deviations (K, ...).
    """
    n_members = len(predictions)
    mean = predictions.mean(0)
    return mean, (predictions - mean) * np.sqrt((n_members - 1) / n_members)


def _member_name(number: int) -> str:
    return f"member{number}"


def restore(schema: Schema, state: State) -> Boosted:
    """Build an ensemble again from what ``Boosted.state`` returned.

    Args:
        schema: The features that the members were trained on.
        state: The noise and the boosters.

    Returns:
        The ensemble.

    Raises:
        PredictorError: When ``Boosted.state`` cannot have written it.
    """
    # An ensemble of one has no spread: a state that holds one or none lacks boosters
    n_members = max(len(state.boosters), 2)
    names = [_member_name(number) for number in range(n_members)]
    checks.boosters(state, names)
    noise = checks.number(state, "noise", 0.0)
    columns = len(schema.owners)
    members = tuple(parse(state.boosters[name], columns) for name in names)
    return Boosted(members, noise)


def fit(task: Task) -> Fitted:
    """Fit an ensemble with one member a fold.

    Args:
        task: The standardised rows; known noise variances lower their weights.

    Returns:
        The ensemble; each row's held-out prediction is that of the member that did not see it.
    """
    weight = 1.0 / (UNEXPLAINED_VARIANCE + task.noise_variance)
    held_out = np.empty(len(task))
    members = []
    for seen, test in task.folds(ENSEMBLE_SIZE):
        member = train(task.encoded[seen], task.y[seen], task.seed, weight[seen])
        held_out[test] = outputs(member, task.encoded[test])
        members.append(member)
    squared_error = float(np.mean((task.y - held_out) ** 2))
    core = _with_noise(Boosted(tuple(members), noise=0.0), task, squared_error)
    errors = partial(_later_errors, task, squared_error)
    return Fitted(core, held_out, partial(forward_errors, len(task), errors))


def _with_noise(ensemble: Boosted, task: Task, squared_error: float) -> Boosted:
    """Set the noise to the mean held-out ``squared_error`` less the members' mean variance, but above a floor."""
    _, variance = ensemble.mean_and_variance(task.encoded)
    unexplained = squared_error - float(variance.mean())
    noise = max(unexplained, LEAST_NOISE_SHARE * squared_error, LEAST_NOISE)
    return replace(ensemble, noise=noise)


def _later_errors(
    task: Task,
    squared_error: float,
    earlier: slice,
    later: slice,
) -> Array:
    """(later rows,) errors of one booster trained on the earlier rows, over the root of the held-out ``squared_error``."""
    booster = train(task.encoded[earlier], task.y[earlier], task.seed)
    predicted = outputs(booster, task.encoded[later])
    deviation = np.sqrt(max(squared_error, LEAST_SQUARED_ERROR))
    return np.asarray((task.y[later] - predicted) / deviation)
