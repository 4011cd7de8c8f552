"""Rows and measurements as people give them, checked and encoded for a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from predictors.errors import PredictorError
from predictors.schema import Array, Schema, infer
from predictors.schema.inputs import columns_of, is_frame


@dataclass(frozen=True)
class Measurements:
    """Rows and measurements of a fit, checked and encoded.

    Attributes:
        schema: The features and the target.
        table: (n, d) codes of the rows.
        encoded: (n, k) encoded rows.
        y: (n,) measurements, in their own units.
        noise_variance: (n,) given noise variances, in modelled units squared; 0 where not known.
        seed: Seed of everything random in a fit.
    """

    schema: Schema
    table: Array
    encoded: Array
    y: Array
    noise_variance: Array
    seed: int

    @property
    def modelled(self) -> Array:
        """(n,) targets in modelled units: y, or log y."""
        if self.schema.log:
            return np.log(self.y)
        return self.y

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any,
        schema: Schema,
        *,
        noise: Any,
        seed: int,
    ) -> Measurements:
        """Check rows and measurements, and encode them.

        Args:
            X: n rows, as for ``fit``.
            y: (n,) measurements.
            schema: The features and the target.
            noise: Standard deviations in units of y, one for all or (n,); None when not known.
            seed: Seed of everything random in a fit.

        Returns:
            The measurements.

        Raises:
            PredictorError: As ``fit``.
        """
        target = targets(y)
        if schema.log and (target <= 0).any():
            row = int(np.argmax(target <= 0))
            raise PredictorError("y", f"row {row} is not positive", "use log=False")
        table = schema.table(X)
        if len(table) != len(target):
            wrong = f"has {len(target)} values for {len(table)} rows"
            raise PredictorError("y", wrong, "pass one measurement a row")
        encoded = schema.encode_table(table)
        variances = _variances(noise, target, schema.log)
        return cls(schema, table, encoded, target, variances, seed)


def targets(y: Any) -> Array:
    """Turn measurements into an array, and check them.

    Args:
        y: What was passed for them.

    Returns:
        (n,) at least two finite numbers.

    Raises:
        PredictorError: When they are fewer, of another shape, no numbers or not finite.
    """
    try:
        target = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        wrong = "holds something that is not a number"
        raise PredictorError("y", wrong, "pass n numbers") from None
    if target.ndim != 1 or len(target) < 2:
        wrong = f"has shape {target.shape}, expected (n,), n >= 2"
        raise PredictorError("y", wrong, "pass one measurement a row")
    finite = np.isfinite(target)
    if not finite.all():
        row = int(np.argmin(finite))
        wrong = f"row {row} is {target[row]}"
        raise PredictorError("y", wrong, "drop failed evaluations before fitting")
    return target


def settled_schema(
    X: Any,
    y: Array,
    schema: Schema | None,
    log: bool | None,
) -> Schema:
    """Infer a schema where there is none, and settle whether the target is logarithmic.

    Args:
        X: n rows, as for ``fit``.
        y: (n,) measurements.
        schema: The features and the target; inferred from ``X`` when None.
        log: Whether log y is modelled; None as for ``fit``.

    Returns:
        The schema.

    Raises:
        PredictorError: As ``predictors.infer``, and for NaN in dicts or an array whose schema is inferred.
    """
    if schema is None:
        _check_numbers(X)
        if log is None:
            log = _spans_decade(y)
        return infer(X, log=log)
    if log is None:
        return schema
    return replace(schema, log=log)


def _check_numbers(X: Any) -> None:
    """Refuse NaN where no schema says which genes may be inactive; in a data frame it means a missing value.

    Raises:
        PredictorError: On the first row that has it.
    """
    if is_frame(X):
        return
    for name, column in columns_of(X).items():
        for number, value in enumerate(column):
            if value is not None and value != value:
                todo = (
                    "leave the row out; if NaN is an inactive gene, pass schema=predictors.infer(X)"
                )
                raise PredictorError("X", f"row {number} holds NaN in {name!r}", todo)


def _spans_decade(y: Array) -> bool:
    """Whether all of y is positive, and its largest at least ten times its smallest."""
    if len(y) == 0 or y.min() <= 0:
        return False
    return bool(y.max() >= 10 * y.min())


def _variances(noise: Any, y: Array, log: bool) -> Array:
    """(n,) variances of the measurements in modelled units, from standard deviations in units of y; 0 when None."""
    if noise is None:
        return np.zeros(len(y))
    deviation = _checked_deviations(noise, y)
    if log:
        deviation = deviation / y  # of log y, to first order
    return deviation**2


def _checked_deviations(noise: Any, y: Array) -> Array:
    """``noise`` as (n,) standard deviations in units of y; refuse negative and infinite ones."""
    deviation = np.broadcast_to(np.asarray(noise, dtype=np.float64), y.shape)
    if not np.isfinite(deviation).all() or (deviation < 0).any():
        wrong = "is negative or not finite"
        raise PredictorError("noise", wrong, "pass standard deviations in units of y")
    return deviation
