"""The range of each feature that a model was fitted to, and checks of rows against it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError, shortened
from predictors.schema import Array, Feature, Schema, is_dicts

#: A value is far away when it lies outside of the seen range by more than this many times the range.
FAR_RANGES = 1.0
#: A feature that no row lacked among at least this many is taken to be present in every row.
TELLING_ROWS = 20


class OutsideWarning(UserWarning):
    """A prediction is asked for far from what the model was fitted to.

    Examples:
        >>> import warnings
        >>> import predictors
        >>> rows = [{"width": w, "bits": b} for w in (16, 32, 64) for b in (4, 6, 8)]
        >>> model = predictors.fit(rows, [r["width"] * r["bits"] for r in rows], kind="gp", log=True)
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     _ = model.predict([{"width": 4096, "bits": 6}])
        >>> [warning.category.__name__ for warning in told]
        ['OutsideWarning']
    """


def seen_ranges(schema: Schema, table: Array) -> dict[str, list[float | bool]]:
    """Find the range of every feature in the rows that a model is fitted to.

    Args:
        schema: The features.
        table: (n, d) codes of the rows.

    Returns:
        By feature the least and the largest code, and whether it was missing in some row. A
        feature that was always missing has 0 and 0.
    """
    ranges: dict[str, list[float | bool]] = {}
    for feature, column in zip(schema.features, table.T, strict=True):
        present = column[~np.isnan(column)]
        low = high = 0.0
        if len(present):
            low = float(present.min())
            high = float(present.max())
        was_missing = bool(len(present) < len(column))
        ranges[feature.name] = [low, high, was_missing]
    return ranges


def check_rows(
    schema: Schema,
    metadata: Mapping[str, Any],
    X: Any,
    table: Array,
) -> None:
    """Refuse rows that lack what was always there, and warn of rows outside of what was seen.

    An ordinal's value beyond its levels is taken for the nearest of them, so that neither mean nor deviation is one of the
    value that was asked for; any other value is warned of where it is far away.

    Args:
        schema: The features.
        metadata: What a model knows of its fit: ``rows``, how many it was fitted to, and ``seen``,
            what `seen_ranges` found, which models of older bundles lack.
        X: The rows as they were passed.
        table: (n, d) codes of them.

    Raises:
        PredictorError: When rows are dicts and one lacks the key of a feature that no row of the fit
            lacked (a key may have the value None, which says that a gene is inactive); or when the
            schema was inferred, and a row has NaN where none of them had.
    """
    seen = metadata.get("seen")
    if not isinstance(seen, Mapping):
        seen = {}
    if is_dicts(X):
        enough_rows = metadata.get("rows", 0) >= TELLING_ROWS
        _check_keys(schema, seen if enough_rows else {}, X)
    if not schema.closed:
        _check_numbers(schema, seen, X, table)
    for feature, column in zip(schema.features, table.T, strict=True):
        seen_range = seen.get(feature.name)
        if feature.kind == "nominal" or not _is_seen_range(seen_range):
            continue
        problem = _beyond_levels(feature, column) or _far_values(seen_range, column)
        if problem is not None:
            # The stack level makes the warning point at the caller of Model.predict.
            warnings.warn(f"feature {feature.name!r}: {problem}", OutsideWarning, stacklevel=4)


def _check_keys(schema: Schema, seen: Mapping[str, Any], rows: Any) -> None:
    """Refuse the first row (a dict) that lacks the key of a feature which every row of the fit had.

    Args:
        schema: The features.
        seen: What ``seen_ranges`` found; empty where too few rows were seen to tell.
        rows: The rows, as dicts.

    Raises:
        PredictorError: On the first such row.
    """
    always = [feature.name for feature in schema.features if _was_always_there(feature, seen)]
    for number, row in enumerate(rows):
        lacking = [name for name in always if name not in row]
        if lacking:
            wrong = f"has no {shortened(lacking)}, of {len(schema.features)}"
            todo = "give every feature; None says that a gene is inactive"
            raise PredictorError(f"row {number}", wrong, todo)


def _was_always_there(feature: Feature, seen: Mapping[str, Any]) -> bool:
    """Whether every row of the fit had a feature, as far as that is known."""
    seen_range = seen.get(feature.name)
    if _is_seen_range(seen_range):
        _, _, was_missing = seen_range
        return not was_missing
    return feature.kind == "numeric"  # these are seldom genes, which may be inactive


def _check_numbers(schema: Schema, seen: Mapping[str, Any], X: Any, table: Array) -> None:
    """Refuse NaN in a feature that no row of the fit lacked; None in a dict says that a gene is inactive.

    Args:
        schema: The features.
        seen: What ``seen_ranges`` found.
        X: The rows as they were passed.
        table: (n, d) codes of them.

    Raises:
        PredictorError: On the first such row.
    """
    for feature, column in zip(schema.features, table.T, strict=True):
        seen_range = seen.get(feature.name)
        # A text that is none of a nominal's levels is warned of, and then has the code NaN too
        if feature.kind == "nominal" or not _is_seen_range(seen_range) or seen_range[2]:
            continue
        for number in np.flatnonzero(np.isnan(column)):
            if is_dicts(X) and X[number].get(feature.name) is None:
                continue
            wrong = f"holds NaN in {feature.name!r}, which no row had that the model was fitted to"
            raise PredictorError(f"row {number}", wrong, "give a number")


def _beyond_levels(feature: Feature, column: Array) -> str | None:
    """Say in words that values of an ordinal (n,) lie beyond its levels; None where none does."""
    if feature.kind != "ordinal":
        return None
    low = float(feature.values[0])
    high = float(feature.values[-1])
    with np.errstate(invalid="ignore"):
        beyond = (column < low) | (column > high)
    if not beyond.any():
        return None
    first_beyond = float(column[int(np.argmax(beyond))])
    nearest = low if first_beyond < low else high
    return (
        f"{first_beyond:.4g} lies beyond the {low:.4g} to {high:.4g} that the model was fitted to "
        f"({int(beyond.sum())} of {len(column)} rows): the prediction is that of {nearest:.4g}, and its "
        "interval does not hold; measure there, or make the feature numeric"
    )


def _far_values(seen_range: Sequence[float], column: Array) -> str | None:
    """Say in words that values of a column (n,) are far from the seen range; None where none is."""
    low = float(seen_range[0])
    high = float(seen_range[1])
    far = _is_far(column, low, high)
    if not far.any():
        return None
    first_far = float(column[int(np.argmax(far))])
    return (
        f"{first_far:.4g} is far from the {low:.4g} to {high:.4g} that the model was fitted to "
        f"({int(far.sum())} of {len(column)} rows): do not trust what it predicts there, nor its interval"
    )


def _is_far(column: Array, low: float, high: float) -> NDArray[np.bool_]:
    """(n,) whether each value is far from a seen range; NaN, an inactive gene, never is."""
    width = (high - low) or abs(high)  # where only one value was seen: its size
    allowed = FAR_RANGES * width
    with np.errstate(invalid="ignore"):
        return (column < low - allowed) | (column > high + allowed)


def unknown_levels(feature: Feature, values: list[Any]) -> None:
    """Warn that a nominal feature has values that an open schema does not know.

    Args:
        feature: The feature.
        values: Its unknown values.
    """
    shown = _joined(dict.fromkeys(values))
    wrong = f"{shown} is none of {_joined(feature.values)}; it counts as inactive"
    # The stack level makes the warning point at the caller of Model.predict.
    warnings.warn(f"feature {feature.name!r}: {wrong}", OutsideWarning, stacklevel=7)


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _is_seen_range(value: Any) -> TypeGuard[Sequence[float]]:
    """Whether a value is what ``seen_ranges`` gives for a feature; a bundle from elsewhere may hold anything."""
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return False
    return all(map(_is_finite, value))


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
