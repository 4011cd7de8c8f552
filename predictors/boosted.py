"""Gradient-boosted trees: a bootstrap ensemble whose spread, with the out-of-bag error, is the uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from predictors.core import Fitted, State, Task, forward
from predictors.schema import Array

MEMBERS = 8
ROUNDS = 80
_SETTINGS: dict[str, Any] = {
    "max_depth": 4, "eta": 0.1, "subsample": 0.9, "colsample_bytree": 0.6, "min_child_weight": 2, "lambda": 1.0,
    "base_score": 0.0, "nthread": 1, "verbosity": 0, "tree_method": "hist", "max_bin": 64,
}  # fmt: skip


def train(encoded: Array, y: Array, seed: int, weight: Array | None = None) -> Any:
    """One booster for encoded rows (n, k) and standardised targets (n,)."""
    import xgboost

    data = xgboost.DMatrix(encoded, y, weight=weight, nthread=1)
    return xgboost.train(_SETTINGS | {"seed": seed}, data, ROUNDS)


def outputs(booster: Any, encoded: Array) -> Array:
    """A booster's predictions, (n, k) -> (n,)."""
    return np.asarray(booster.inplace_predict(encoded), dtype=np.float64)


def dump(booster: Any) -> bytes:
    """XGBoost JSON. (Its binary format crashed the loader on mutated files; JSON did not.)"""
    return bytes(booster.save_raw("json"))


def parse(data: bytes) -> Any:
    """Inverse of ``dump``."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    return booster


@dataclass(frozen=True)
class Boosted:
    """``members``: boosters trained on bootstrap samples. ``noise``: out-of-bag error the members do not explain."""

    members: tuple[Any, ...]
    noise: float

    def each(self, encoded: Array) -> Array:
        """Every member's prediction, (..., k) -> (members, ...)."""
        flat = encoded.reshape(-1, encoded.shape[-1])
        return np.stack([outputs(m, flat).reshape(encoded.shape[:-1]) for m in self.members])

    def moments(self, encoded: Array) -> tuple[Array, Array]:
        each = self.each(encoded)
        return each.mean(0), each.var(0, ddof=1) + 1e-12

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Mean, and the members' empirical covariance (of rank members - 1)."""
        each = self.each(encoded)
        deviation = (each - each.mean(0)) / np.sqrt(len(each) - 1)
        return each.mean(0), np.einsum("m...i,m...j->...ij", deviation, deviation, optimize=True)

    def state(self) -> State:
        return State({"noise": self.noise}, {}, {f"member{i}": dump(m) for i, m in enumerate(self.members)})


def restore(_: Any, state: State) -> Boosted:
    """Inverse of ``Boosted.state``."""
    members = tuple(parse(state.boosters[f"member{i}"]) for i in range(len(state.boosters)))
    return Boosted(members, state.numbers["noise"])


def fit(task: Task) -> Fitted:
    """Members on bootstrap samples; each row is predicted out of bag by the members that did not see it."""
    rng = np.random.default_rng(task.seed)
    n = len(task)
    weight = 1.0 / (0.05 + task.known)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=MEMBERS)
    counts[0] = counts[0] if n > 2 else 1
    members = tuple(train(task.encoded, task.y, task.seed + i, c * weight) for i, c in enumerate(counts))
    each = np.stack([outputs(m, task.encoded) for m in members])
    unseen = counts == 0
    votes = unseen.sum(0)
    held_out = np.where(votes > 0, (each * unseen).sum(0) / np.maximum(votes, 1), each.mean(0))
    error = float(np.mean((task.y - held_out)[votes > 0] ** 2)) if votes.any() else 1.0
    spread = float(each.var(0, ddof=1).mean())
    core = Boosted(members, max(error - spread, 0.05 * error, 1e-6))
    return Fitted(core, held_out, partial(_forward_z, task, error))


def _forward_z(task: Task, error: float) -> Array:
    found = [np.zeros(0)]
    for past, rest in forward(len(task)):
        later = outputs(train(task.encoded[past], task.y[past], task.seed), task.encoded[rest])
        found.append((task.y[rest] - later) / np.sqrt(error))
    return np.concatenate(found)
