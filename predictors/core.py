"""What every surrogate can do, and what fitting one yields. All in standardised target units, over encoded rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from predictors.schema import Array, Schema

Rows = NDArray[np.intp]
_FORWARD_CUTS = (0.5, 0.75, 1.0)
_NORMAL_QUANTILE_95 = 1.6448536269514722


class Core(Protocol):
    """A fitted surrogate: a joint Gaussian belief about the noise-free function."""

    @property
    def noise(self) -> float:
        """Variance of one measurement around the function."""

    def mean(self, encoded: Array) -> Array:
        """Mean (n,) at encoded rows (n, k), at a fraction of the cost of ``mean_and_variance`` where that is possible."""

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Mean (n,) and variance (n,) at encoded rows (n, k)."""

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Mean (..., q) and covariance (..., q, q) at encoded rows (..., q, k)."""

    def state(self) -> State:
        """Everything needed to build it again."""


@runtime_checkable
class ExtensibleCore(Protocol):
    """A surrogate of others that takes more rows by itself."""

    def extended(self, task: Task) -> Core:
        """The same surrogate told of all rows of ``task``, of which the first are its own."""
        ...


@dataclass(frozen=True)
class State:
    """A core as data: numbers, arrays (safetensors) and boosters (XGBoost JSON)."""

    numbers: Mapping[str, float]
    arrays: Mapping[str, Array]
    boosters: Mapping[str, bytes]


@dataclass(frozen=True)
class Task:
    """A standardised regression task: ``encoded`` (n, k), ``y`` (n,), given noise variances ``noise_variance`` (n,).

    ``gp_fit``: the plain process fitted to it, when there is one already. ``scale``: one unit of y in modelled units.
    """

    schema: Schema
    encoded: Array
    y: Array
    noise_variance: Array
    seed: int = 0
    gp_fit: Fitted | None = None
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.y)

    def folds(self, k: int = 5) -> Iterator[tuple[Rows, Rows]]:
        """(train, test) row numbers, shuffled by the seed."""
        return folds(len(self), k, self.seed)


@dataclass(frozen=True)
class Fitted:
    """A core with its held-out predictions of the training rows (n,); ``forward``, called for the kind that is chosen,
    gives its standardised errors on later rows when fitted to earlier ones."""

    core: Core
    held_out: Array
    forward: Callable[[], Array]


def folds(n: int, k: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """k shuffled (train, test) splits of n rows."""
    order = np.random.default_rng(seed).permutation(n)
    for test in np.array_split(order, min(k, n)):
        yield np.setdiff1d(order, test), np.sort(test)


def forward(n: int) -> Iterator[tuple[slice, slice]]:
    """(past, next) splits in the order the rows were met: half predicts the next quarter, three quarters the last."""
    cuts = [round(c * n) for c in _FORWARD_CUTS]
    for past, end in pairwise(cuts):
        if past >= 4 and end > past:
            yield slice(0, past), slice(past, end)


def calibrated_std_scale(z: Array, n: int, d: int) -> float:
    """Factor in [1, 3] on every standard deviation, from standardised errors ``z`` of forward splits of n rows.

    Two causes: point estimates of about d hyper-parameters from n rows understate the error by about sqrt(1 + d / n),
    and a search moves away from what it has seen, which only errors on later rows show. The factor is the root mean
    square of the first and of what makes 90 % intervals hold 90 % of ``z``, never less than the first.
    """
    least = 1.0 + d / n
    seen = (float(np.quantile(np.abs(z), 0.9)) / _NORMAL_QUANTILE_95) ** 2 if len(z) >= 8 else least
    return float(np.clip(np.sqrt(0.5 * (least + max(seen, least))), 1.0, 3.0))
