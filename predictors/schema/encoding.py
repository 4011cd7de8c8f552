"""A feature's values as codes, and codes as columns of the encoded matrix.

A code is an ordinal's or a numeric's value, or a nominal's index among its levels; NaN where the gene is inactive.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np

from predictors.errors import PredictorError
from predictors.schema.features import Array, Feature

_UNKNOWN_LEVEL = -1.0


def codes(feature: Feature, column: Any, *, closed: bool) -> Array:
    """Turn a feature's values into codes.

    Args:
        feature: The feature.
        column: (n,) values; None or NaN where the gene is inactive.
        closed: Whether a value that is none of the levels is refused. Else an ordinal keeps it, and
            a nominal takes it for inactive, with a warning.

    Returns:
        (n,) codes; NaN where inactive.

    Raises:
        PredictorError: For text in a feature of numbers, infinite numbers, and unknown levels where
            ``closed``.
    """
    if feature.kind == "nominal":
        return _level_indices(feature, column, closed)
    numbers = _numbers(feature, column)
    check_codes(feature, numbers, closed=closed)
    return numbers


def _numbers(feature: Feature, column: Any) -> Array:
    """(n,) the values of a feature of numbers; NaN for None."""
    values = [math.nan if value is None else value for value in column]
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        where = f"feature {feature.name!r}"
        raise PredictorError(where, "holds text", "declare it as kind 'nominal'") from None


def _level_indices(feature: Feature, column: Any, closed: bool) -> Array:
    """(n,) the index of each value of a nominal; NaN where inactive, and for values of no level."""
    # Imported here, since it needs this package's classes.
    from predictors.domain import unknown_levels

    index_by_level = _index_by_level(feature)
    indices = np.array([_index_of(value, index_by_level) for value in column])
    unknown = np.flatnonzero(indices == _UNKNOWN_LEVEL)
    if not len(unknown):
        return indices
    if closed:
        _refuse(feature, column[unknown[0]])
    unknown_levels(feature, [column[i] for i in unknown])
    indices[unknown] = np.nan
    return indices


def _index_by_level(feature: Feature) -> dict[Any, float]:
    """A nominal's levels to their indices, and None to NaN."""
    index: dict[Any, float] = {level: float(i) for i, level in enumerate(feature.values)}
    index[None] = math.nan
    return index


def _index_of(value: Any, index: dict[Any, float]) -> float:
    """The index of a value; NaN where it is missing, ``_UNKNOWN_LEVEL`` where it is none of the levels."""
    if value != value:  # NaN, as a data frame has for what is missing
        return index.get(value, math.nan)
    return index.get(value, _UNKNOWN_LEVEL)


def check_codes(feature: Feature, column: Array, *, closed: bool) -> None:
    """Refuse codes that a feature does not have.

    Args:
        feature: The feature.
        column: (n,) codes.
        closed: Whether a code that is of none of the levels is refused.

    Raises:
        PredictorError: For infinite numbers, and for unknown levels where ``closed``.
    """
    if np.isinf(column).any():
        _refuse(feature, "inf")
    if not closed or feature.kind == "numeric":
        return
    unknown = ~(np.isnan(column) | np.isin(column, _level_codes(feature)))
    if unknown.any():
        _refuse(feature, column[int(np.argmax(unknown))])


def _level_codes(feature: Feature) -> Array:
    """(levels,) the codes that a feature's levels have."""
    if feature.kind == "nominal":
        return np.arange(len(feature.values), dtype=np.float64)
    return np.asarray(feature.values, dtype=np.float64)


def _refuse(feature: Feature, value: Any) -> NoReturn:
    allowed = ", ".join(map(str, feature.values)) or "finite numbers"
    where = f"feature {feature.name!r}"
    raise PredictorError(where, f"value {value} is not allowed", f"allowed: {allowed}")


def encoded_columns(feature: Feature, column: Array) -> Array:
    """Encode a feature's codes.

    Args:
        feature: The feature.
        column: (n,) codes.

    Returns:
        (n, width) its columns of the encoded matrix; 0 where inactive.
    """
    if feature.kind == "numeric":
        return np.nan_to_num(column)[:, None]
    if feature.kind == "nominal":
        indices = np.arange(len(feature.values))
        return np.asarray(column[:, None] == indices, dtype=np.float64)
    levels = _level_codes(feature)
    # A value between two levels of an ordinal gets a rank between theirs
    rank = np.interp(column, levels, _ranks(len(levels)))
    return np.where(np.isnan(column), 0.0, rank)[:, None]


def decoded_codes(feature: Feature, block: Array) -> Array:
    """Compute back a feature's codes; inverse of ``encoded_columns``.

    Args:
        feature: The feature.
        block: (n, width) its columns of the encoded matrix.

    Returns:
        (n,) codes; NaN where inactive, but 0 for an inactive numeric, which looks the same.
    """
    if feature.kind == "numeric":
        return block[:, 0]
    if feature.kind == "nominal":
        value = block.argmax(axis=1).astype(np.float64)
    else:
        levels = _level_codes(feature)
        value = np.interp(block[:, 0], _ranks(len(levels)), levels)
    active = block.max(axis=1) > 0
    return np.where(active, value, np.nan)


def _ranks(n_levels: int) -> Array:
    """(levels,) ranks in (0, 1]."""
    return np.arange(1.0, n_levels + 1.0) / n_levels
