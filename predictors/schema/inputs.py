"""The forms in which rows may come: dicts, data frames and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from predictors.errors import PredictorError


def is_frame(X: Any) -> bool:
    """Tell whether something is a data frame: columns by name, each convertible to an array.

    Args:
        X: Anything.

    Returns:
        True where it has ``columns`` and ``to_numpy``.
    """
    return hasattr(X, "columns") and hasattr(X, "to_numpy")


def is_dicts(X: Any) -> bool:
    """Tell whether something is a list of dicts.

    Args:
        X: Anything.

    Returns:
        True for a list or tuple that begins with a mapping.
    """
    return isinstance(X, (list, tuple)) and bool(X) and isinstance(X[0], Mapping)


def frame_columns(X: Any) -> dict[str, Any]:
    """Read the columns of a data frame.

    Args:
        X: A data frame.

    Returns:
        Columns by name, with None for what is missing in those that are not numbers.
    """
    columns = {}
    for name in X.columns:
        columns[str(name)] = _values(X[name].to_numpy())
    return columns


def _values(column: Any) -> Any:
    """A column of numbers as it is; of another, None for what is missing."""
    if column.dtype != object:
        return column
    return [value if _is_present(value) else None for value in column]


def _is_present(value: Any) -> bool:
    """False for None, NaN and pandas' NA, which refuses to be compared."""
    try:
        return value is not None and bool(value == value)
    except TypeError:
        return False


def columns_of(X: Any) -> dict[str, list[Any]]:
    """Read the columns of rows before there is a schema.

    Args:
        X: List of dicts, a data frame, or an (n, d) array, whose columns are called x0, x1, ...

    Returns:
        Columns by name.

    Raises:
        PredictorError: When an array is not two-dimensional.
    """
    if is_frame(X):
        return {name: list(column) for name, column in frame_columns(X).items()}
    if is_dicts(X):
        names = dict.fromkeys(str(name) for row in X for name in row)
        return {name: [row.get(name) for row in X] for name in names}
    array = np.asarray(X)
    if array.ndim != 2:
        wrong = f"has shape {array.shape}, expected (n, d)"
        raise PredictorError("X", wrong, "pass a two-dimensional array")
    return {f"x{j}": list(array[:, j]) for j in range(array.shape[1])}
