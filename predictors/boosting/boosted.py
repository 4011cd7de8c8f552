"""Gradient-boosted trees: an ensemble over folds whose spread, with the held-out error, is the uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from predictors.boosting import trees
from predictors.core import Fitted, State, Task, forward
from predictors.schema import Array, Schema
from predictors.storage import checks

ENSEMBLE_SIZE = 8
BOOSTING_ROUNDS = 80
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


def train(encoded: Array, y: Array, seed: int, weight: Array | None = None) -> Any:
    """Train one booster.

    Args:
        encoded: (n, k) encoded rows.
        y: (n,) standardised targets.
        seed: Of the rows and columns that each tree is shown.
        weight: (n,) weight of each row; all equal when None.

    Returns:
        The XGBoost booster, of ``BOOSTING_ROUNDS`` trees.
    """
    import xgboost

    data = xgboost.DMatrix(encoded, y, weight=weight, nthread=1)
    return xgboost.train(_XGBOOST_SETTINGS | {"seed": seed}, data, BOOSTING_ROUNDS)


def outputs(booster: Any, encoded: Array) -> Array:
    """Predict by one booster.

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
    """``members``: boosters that each left out one fold. ``noise``: the held-out error that their spread leaves over.

    The members' mean is the prediction. Their covariance is the delete-a-group jackknife's, (K - 1) / K times the sum
    of squared deviations (Shao & Wu, 1989), since members that share most rows differ less than refits would.
    """

    members: tuple[Any, ...]
    noise: float

    def each(self, encoded: Array) -> Array:
        """Predict by every member.

        Args:
            encoded: (..., k) encoded rows.

        Returns:
            (members, ...) predictions in standardised units.
        """
        flat = encoded.reshape(-1, encoded.shape[-1])
        return np.stack([outputs(m, flat).reshape(encoded.shape[:-1]) for m in self.members])

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
        return State(
            {"noise": self.noise}, {}, {f"member{i}": dump(m) for i, m in enumerate(self.members)}
        )


def _jackknife(each: Array) -> tuple[Array, Array]:
    """Mean over members (axis 0), and deviations whose squares sum to the jackknife's variance."""
    mean = each.mean(0)
    return mean, (each - mean) * np.sqrt((len(each) - 1) / len(each))


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
    names = [f"member{i}" for i in range(max(len(state.boosters), 2))]
    checks.boosters(state, names)
    noise = checks.number(state, "noise", 0.0)
    members = tuple(parse(state.boosters[name], len(schema.owners)) for name in names)
    return Boosted(members, noise)


def fit(task: Task) -> Fitted:
    """Fit an ensemble with one member a fold.

    Args:
        task: The standardised rows; known noise variances lower their weights.

    Returns:
        The ensemble; each row's held-out prediction is that of the member that did not see it.
    """
    weight = 1.0 / (0.05 + task.noise_variance)
    held_out, members = np.empty(len(task)), []
    for rows, test in task.folds(ENSEMBLE_SIZE):
        members.append(train(task.encoded[rows], task.y[rows], task.seed, weight[rows]))
        held_out[test] = outputs(members[-1], task.encoded[test])
    error = float(np.mean((task.y - held_out) ** 2))
    spread = float(Boosted(tuple(members), 0.0).mean_and_variance(task.encoded)[1].mean())
    core = Boosted(tuple(members), max(error - spread, 0.05 * error, 1e-6))
    return Fitted(core, held_out, partial(_forward_z, task, error))


def _forward_z(task: Task, error: float) -> Array:
    """Errors of later rows under one booster of earlier rows, in units of the held-out error."""
    found = [np.zeros(0)]
    for past, rest in forward(len(task)):
        later = outputs(train(task.encoded[past], task.y[past], task.seed), task.encoded[rest])
        found.append((task.y[rest] - later) / np.sqrt(max(error, 1e-12)))
    return np.concatenate(found)
