"""What every surrogate can do, and what fitting one yields. All in standardised target units, over encoded rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from predictors.schema import Array, Schema

Rows = NDArray[np.intp]
_FORWARD_CUTS = (
    0.5,
    0.75,
    1.0,
)  # shares of the rows at which they are cut into earlier and later ones
_NORMAL_QUANTILE_95 = 1.6448536269514722  # 90 % of a normal lie within so many deviations
_MIN_TELLING_ERRORS = 8  # with fewer errors their quantile says nothing
_MAX_STD_SCALE = 3.0


class Core(Protocol):
    """A fitted surrogate: a joint Gaussian belief about the noise-free function."""

    @property
    def noise(self) -> float:
        """Variance of one measurement around the function."""

    def mean(self, encoded: Array) -> Array:
        """Compute the mean of the noise-free function.

        It costs a fraction of ``mean_and_variance`` where the surrogate allows that.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n,) in standardised target units.
        """

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Compute mean and variance of the noise-free function, row by row.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            Mean and variance, each (n,), in standardised target units. The noise is not in the
            variance.
        """

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint Gaussian belief about the noise-free function at rows.

        Args:
            encoded: (..., q, k) encoded rows; each batch is a belief of its own.

        Returns:
            Mean (..., q) and covariance (..., q, q), which may be singular, in standardised target
            units.
        """

    def state(self) -> State:
        """Describe the surrogate as data.

        Returns:
            Everything needed to build it again.

        Raises:
            PredictorError: When it is of a kind that can only be stored as code.
        """


@runtime_checkable
class ExtensibleCore(Protocol):
    """A surrogate of somebody else's that brings its own way of taking in more rows."""

    def extended(self, task: Task) -> Core:
        """Make the same surrogate for more rows.

        Args:
            task: All rows, of which the first are its own, in the units that it was fitted in.

        Returns:
            The same surrogate of all rows; the old one stays as it is.
        """
        ...


@dataclass(frozen=True)
class State:
    """A core as data: numbers, arrays (safetensors) and boosters (XGBoost JSON)."""

    numbers: Mapping[str, float]
    arrays: Mapping[str, Array]
    boosters: Mapping[str, bytes]


@dataclass(frozen=True)
class Task:
    """A standardised regression task.

    Attributes:
        schema: The features that the rows are encoded by.
        encoded: (n, k) encoded rows.
        y: (n,) standardised targets.
        noise_variance: (n,) given noise variances, in standardised units; 0 where not known.
        seed: Seed of everything random in a fit.
        gp_fit: The plain Gaussian process fitted to this task, where there is one already.
        scale: How many modelled units (those of the measurements, or of their logarithm) one unit of y is.
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
        """Split the rows, shuffled by the task's seed.

        Args:
            k: How many folds; a fold a row where there are fewer rows.

        Returns:
            For each fold the row numbers to train on, and to test on, each in ascending order.
        """
        return folds(len(self), k, self.seed)

    def part(self, rows: Any) -> Task:
        """Choose rows, as a task of their own.

        Args:
            rows: Row numbers, or anything else that indexes the first axis.

        Returns:
            The task of these rows, to which no process is fitted yet.
        """
        return replace(
            self,
            encoded=self.encoded[rows],
            y=self.y[rows],
            noise_variance=self.noise_variance[rows],
            gp_fit=None,
        )

    def standardised(self, location: float, scale: float) -> Task:
        """Shift and scale the targets.

        Args:
            location: What is taken off every target.
            scale: What targets are divided by then.

        Returns:
            The task in the new units.
        """
        return replace(
            self,
            y=(self.y - location) / scale,
            noise_variance=self.noise_variance / scale**2,
            scale=self.scale * scale,
        )


@dataclass(frozen=True)
class Fitted:
    """A core with its held-out predictions of the training rows.

    Attributes:
        core: The core, fitted to all rows.
        held_out: (n,) what cores that did not see a row predict there, standardised.
        forward: Computes the standardised errors that cores fitted to earlier rows make on later ones. It takes time, and
            is called only for the kind that is chosen.
    """

    core: Core
    held_out: Array
    forward: Callable[[], Array]


def folds(n: int, k: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Split rows at random into training and test rows; each row is tested once.

    Args:
        n: How many rows there are.
        k: How many folds; n where there are fewer rows.
        seed: Seed of the random order in which rows are put into folds.

    Yields:
        Row numbers to train on, and to test on, each in ascending order.
    """
    order = np.random.default_rng(seed).permutation(n)
    for test in np.array_split(order, min(k, n)):
        yield np.setdiff1d(order, test), np.sort(test)


def forward(n: int) -> Iterator[tuple[slice, slice]]:
    """Split rows in the order in which they were met into earlier and later ones.

    The first half predicts the next quarter, the first three quarters the last. A split with fewer
    than four earlier rows, or without later ones, is left out.

    Args:
        n: How many rows there are.

    Yields:
        The earlier rows, and the later ones that they are to predict.
    """
    for cut, end in pairwise(round(share * n) for share in _FORWARD_CUTS):
        if cut >= 4 and end > cut:
            yield slice(0, cut), slice(cut, end)


def forward_errors(n: int, errors: Callable[[slice, slice], Array]) -> Array:
    """Collect the errors that surrogates make on rows that were met after their training rows.

    Args:
        n: How many rows there are.
        errors: Called with each split of `forward`, as ``errors(earlier, later)``. It fits a
            surrogate to the earlier rows alone and returns its standardised errors on the later
            ones.

    Returns:
        The errors of all splits, one after another; empty where there is no split.
    """
    collected = [np.zeros(0)]
    for earlier, later in forward(n):
        collected.append(errors(earlier, later))
    return np.concatenate(collected)


def as_rows(encoded: Array) -> Array:
    """Flatten all but the last dimension.

    Args:
        encoded: (..., k) encoded rows.

    Returns:
        (n, k) the same rows.
    """
    return encoded.reshape(-1, encoded.shape[-1])


def column_scales(columns: Array) -> Array:
    """Compute the numbers that columns are divided by to be standardised.

    Args:
        columns: (n, k) numbers.

    Returns:
        (k,) standard deviations; 1 for a column that is constant but for rounding.
    """
    deviation = columns.std(axis=0)
    rounding = 1e-12 * (1 + np.abs(columns).max(axis=0))
    return np.where(deviation > rounding, deviation, 1.0)


def calibrated_std_scale(z: Array, n: int, d: int) -> float:
    """Compute the factor by which every predicted standard deviation is multiplied.

    Predictions are too sure for two reasons. Point estimates of about d hyper-parameters from n rows
    understate the error by a factor of about sqrt(1 + d / n). And a search moves away from what it has
    seen, which only errors on later rows show: the factor f that makes 90 % intervals hold 90 % of
    ``z``. The result is the root mean square of the first factor and of f, or the first where f is
    smaller.

    Args:
        z: Standardised errors on the later rows of forward splits; with fewer than eight only the
            first cause counts.
        n: How many rows the surrogate is fitted to.
        d: How many features it has.

    Returns:
        The factor, within [1, 3].
    """
    # Squares of the two factors
    of_estimates = 1.0 + d / n
    of_later_rows = of_estimates
    if len(z) >= _MIN_TELLING_ERRORS:
        quantile_90 = float(np.quantile(np.abs(z), 0.9))
        of_later_rows = (quantile_90 / _NORMAL_QUANTILE_95) ** 2
    mean_square = 0.5 * (of_estimates + max(of_later_rows, of_estimates))
    return float(np.clip(np.sqrt(mean_square), 1.0, _MAX_STD_SCALE))
