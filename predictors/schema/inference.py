"""A schema guessed from rows."""

from __future__ import annotations

from typing import Any

from predictors.errors import PredictorError
from predictors.schema.features import Feature, plain_value
from predictors.schema.inputs import columns_of
from predictors.schema.schema import Schema

MAX_LEVELS = 12
MAX_INTEGER_LEVELS = 32


def infer(X: Any, target: str = "y", log: bool = False) -> Schema:
    """Guess an open schema from rows.

    Text and booleans are nominal, few distinct numbers ordinal, others numeric. "Few": at most 12
    distinct numbers, or 32 when all are integers, and at most half of the rows (so that a handful
    of measured quantities is not taken for levels).

    Args:
        X: List of dicts, a data frame, or an (n, d) array, whose features are called x0, x1, ...
        target: Name of what is predicted.
        log: Whether the target is positive and modelled as its logarithm.

    Returns:
        The schema.

    Raises:
        PredictorError: When there is no row or no column, or an array is not two-dimensional.

    Examples:
        >>> import predictors
        >>> schema = predictors.infer([{"depth": 2, "array": "rram"}, {"depth": 4, "array": "digital"}])
        >>> [(feature.name, feature.kind) for feature in schema.features]
        [('depth', 'ordinal'), ('array', 'nominal')]
    """
    columns = columns_of(X)
    if not columns:
        raise PredictorError("X", "is empty", "pass at least one row and one column")
    features = tuple(_guess(name, column) for name, column in columns.items())
    return Schema(features, target, log=log, closed=False)


def _guess(name: str, column: list[Any]) -> Feature:
    """Guess a feature from a column, by the rule of ``infer``."""
    present = _present_values(column)
    levels = set(present)
    if any(isinstance(value, (str, bool)) for value in present):
        return Feature(name, "nominal", tuple(sorted(levels, key=str)))
    if 0 < len(levels) <= _most_levels(levels, len(column)):
        return Feature(name, "ordinal", tuple(levels))
    return Feature(name, "numeric")


def _present_values(column: list[Any]) -> list[Any]:
    """The values of a column that are neither None nor NaN."""
    present = []
    for value in map(plain_value, column):
        if value is not None and value == value:
            present.append(value)
    return present


def _most_levels(levels: set[Any], n_rows: int) -> int:
    """How many distinct numbers a column of ``n_rows`` may have and still be taken for an ordinal."""
    most = MAX_LEVELS
    if all(float(value).is_integer() for value in levels):
        most = MAX_INTEGER_LEVELS
    return min(most, max(2, n_rows // 2))
