"""Surrogates of other people: a function that fits, an object that predicts a mean and a deviation.

All that is asked of one is ``fit(X, y)`` to an object whose ``predict(X)`` has ``mean`` and ``std``, each (n,). What a
search needs beyond that is added here. *Noise* is the held-out error that the predicted variance leaves over. *Joint*
distributions: predictions of two rows are taken to err alike by exp(-r^2 / 2), r their distance in units of the median
distance of training rows; without any correlation the best of many candidates would be an outlier of independent draws.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from predictors.core import Fitted, State, Task, as_rows, forward_errors
from predictors.errors import PredictorError
from predictors.kinds import ENTRY_POINT_GROUP
from predictors.schema import Array

FitFunction = Callable[[Array, Array], Any]
# Noise is at least this share of the held-out error, even if the deviations explain all of it
_MIN_NOISE_SHARE = 0.05
_MIN_NOISE = 1e-6
_MIN_VARIANCE = 1e-12
_MAX_DISTANCE_ROWS = 300


@dataclass(frozen=True)
class ExternalModel:
    """What a plug-in fitted, as a core.

    Attributes:
        name: The kind's name, for messages.
        fit_function: The plug-in's function that fits rows.
        fitted: The object that it returned for the training rows.
        noise: Variance of one measurement around the function, in standardised units.
        lengthscale: Distance of encoded rows at which the correlation of errors has fallen to exp(-1/2).
    """

    name: str
    fit_function: FitFunction
    fitted: Any
    noise: float
    lengthscale: float

    def mean(self, encoded: Array) -> Array:
        """Compute the mean that the plug-in predicts.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n,) in standardised units.

        Raises:
            PredictorError: As ``predict``.
        """
        return self.mean_and_variance(encoded)[0]

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the mean and the variance that the plug-in predicts.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            Mean and variance, each (n,), in standardised units.

        Raises:
            PredictorError: As ``predict``.
        """
        mean, std = predict(self.name, self.fitted, encoded)
        return mean, std**2 + _MIN_VARIANCE

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Make a joint distribution of the plug-in's predictions, which it gives row by row.

        Errors are taken to be correlated by exp(-(distance / lengthscale)^2 / 2), as the module says.

        Args:
            encoded: (..., q, k) encoded rows.

        Returns:
            Mean (..., q) and covariance (..., q, q) in standardised units.

        Raises:
            PredictorError: As ``predict``.
        """
        shape = encoded.shape[:-1]
        mean, std = predict(self.name, self.fitted, as_rows(encoded))
        std = std.reshape(shape)
        squared_distances = _squared_distances(encoded)
        correlation = np.exp(-0.5 * squared_distances / self.lengthscale**2)
        covariance = correlation * std[..., :, None] * std[..., None, :]
        diagonal = range(shape[-1])
        covariance[..., diagonal, diagonal] += _MIN_VARIANCE
        return mean.reshape(shape), covariance

    def extended(self, task: Task) -> ExternalModel:
        """Fit the plug-in to more rows; noise and lengthscale stay.

        Args:
            task: All rows.

        Returns:
            A core of all rows.
        """
        return replace(self, fitted=_fitted(self.name, self.fit_function, task))

    def state(self) -> State:
        """Refuse: what a plug-in fitted could only be stored as code.

        Raises:
            PredictorError: Always.
        """
        raise cannot_store(self.name)


def cannot_store(name: str) -> PredictorError:
    """Make the refusal to save a model of a kind that is not cimbo's own.

    Its file could only be code.

    Args:
        name: The kind's name.

    Returns:
        The error, to be raised.
    """
    return PredictorError(
        f"kind {name!r}", "cannot be stored in a bundle", "save a model of kind gp, or fit again"
    )


def predict(name: str, fitted: Any, encoded: Array) -> tuple[Array, Array]:
    """Predict rows with what a plug-in fitted, and check the prediction.

    Args:
        name: The kind's name, for messages.
        fitted: What the plug-in's fit function returned.
        encoded: (n, k) encoded rows; it is given a copy.

    Returns:
        Mean and standard deviation, each (n,), in standardised units.

    Raises:
        PredictorError: When their shapes are wrong, or a number is not finite or a deviation
            negative.
    """
    prediction = _called(name, "predict", fitted.predict, encoded.copy())
    mean = np.asarray(prediction.mean, dtype=np.float64)
    std = np.asarray(prediction.std, dtype=np.float64)
    wrong = _what_is_wrong(mean, std, (len(encoded),))
    if wrong is not None:
        raise PredictorError(f"kind {name!r}", wrong, _remedy(name))
    return mean, std


def _what_is_wrong(
    mean: Array,
    std: Array,
    expected: tuple[int, ...],
) -> str | None:
    """What is wrong with a prediction, in words; None where nothing is."""
    if mean.shape != expected or std.shape != expected:
        return f"predicts shapes {mean.shape} and {std.shape}, expected {expected}"
    if not np.isfinite(mean).all() or not np.isfinite(std).all() or (std < 0).any():
        return "predicts numbers that are not finite, or a negative deviation"
    return None


def fit(name: str, fit_function: FitFunction, task: Task) -> Fitted:
    """Fit a plug-in to every row, and once for each fold to learn its held-out error.

    A plug-in says nothing of the noise of measurements. It is taken to be the mean square of the
    held-out errors, less the variance that the plug-in itself predicts, but never quite 0.

    Args:
        name: The kind's name, for messages.
        fit_function: From encoded rows (n, k) and standardised targets (n,) to what the plug-in
            fitted.
        task: The standardised rows.

    Returns:
        The model of all rows, its predictions of each row by a fit without the row's fold, and a
        function that computes the errors of forward splits when it is called.

    Raises:
        PredictorError: When the task has noise variances, which a plug-in cannot be told; or when
            a prediction has a wrong shape, a number that is not finite or a negative deviation.
    """
    if task.noise_variance.any():
        wrong = "cannot be told the noise of measurements"
        raise PredictorError(f"kind {name!r}", wrong, "leave noise out")
    held_out, variance = _held_out(name, fit_function, task)
    square_error = float(np.mean((task.y - held_out) ** 2))
    unexplained = square_error - float(variance.mean())
    noise = max(unexplained, _MIN_NOISE_SHARE * square_error, _MIN_NOISE)
    fitted = _fitted(name, fit_function, task)
    core = ExternalModel(
        name,
        fit_function,
        fitted,
        noise,
        median_distance(task.encoded),
    )
    errors = partial(_later_errors, core, task)
    return Fitted(core, held_out, partial(forward_errors, len(task), errors))


def _fitted(name: str, fit_function: FitFunction, task: Task) -> Any:
    """What a plug-in fits to a task; it is given copies, which it may change."""
    return _called(name, "fit", fit_function, task.encoded.copy(), task.y.copy())


def _called(name: str, what: str, function: Callable[..., Any], *arguments: Array) -> Any:
    """Call a function of a plug-in; whatever it raises becomes a PredictorError that names the line.

    Args:
        name: The kind's name, for messages.
        what: What the function is called, for messages.
        function: The function.
        *arguments: Its arguments.

    Returns:
        What the function returns.

    Raises:
        PredictorError: When the function raises anything.
    """
    try:
        return function(*arguments)
    except PredictorError:
        raise
    except (Exception, SystemExit) as error:  # of somebody else's code, which may raise anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        wrong = f"{what} raised {type(error).__name__}: {error} ({place})"
        raise PredictorError(f"kind {name!r}", wrong, _remedy(name)) from error


def _remedy(name: str) -> str:
    """What to do about a kind that does not work: only an installed one has a name that can be checked."""
    if any(point.name == name for point in entry_points(group=ENTRY_POINT_GROUP)):
        return f"check it with cimbo doctor {name}"
    return "correct that function"


def _held_out(
    name: str,
    fit_function: FitFunction,
    task: Task,
) -> tuple[Array, Array]:
    """Mean and variance of each row, each (n,), as a fit to the other folds predicts them."""
    held_out = np.empty(len(task))
    variance = np.empty(len(task))
    for train, test in task.folds():
        fold = _fitted(name, fit_function, task.part(train))
        mean, std = predict(name, fold, task.encoded[test])
        held_out[test] = mean
        variance[test] = std**2
    return held_out, variance


def _later_errors(
    core: ExternalModel,
    task: Task,
    earlier: slice,
    later: slice,
) -> Array:
    """(later rows,) errors of a fit to the earlier rows alone, over their predicted deviations."""
    fitted = _fitted(core.name, core.fit_function, task.part(earlier))
    mean, std = predict(core.name, fitted, task.encoded[later])
    error = task.y[later] - mean
    return error / np.sqrt(std**2 + core.noise)


def median_distance(encoded: Array) -> float:
    """Compute the median distance of different rows.

    Args:
        encoded: (n, k) encoded rows, of which only the first 300 count.

    Returns:
        The distance; 1 where no two rows differ.
    """
    squares = _squared_distances(encoded[:_MAX_DISTANCE_ROWS])
    positive = squares[squares > 1e-12]
    if len(positive):
        return float(np.sqrt(np.median(positive)))
    return 1.0


def _squared_distances(rows: Array) -> Array:
    """(..., n, n) squared distances between rows (..., n, k)."""
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b; rounding may leave a little less than 0
    norms = (rows**2).sum(-1)
    products = rows @ np.swapaxes(rows, -1, -2)
    squares = norms[..., :, None] + norms[..., None, :] - 2.0 * products
    return np.asarray(np.maximum(squares, 0.0))
