"""What a model has seen of each feature, and rows that it should not be asked about."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from predictors.errors import PredictorError
from predictors.schema import Array, Feature, Schema

#: A value is far away when it is beyond what was seen by more than so many times the seen range.
FAR_RANGES = 1.0
#: A gene that was active in so many rows is taken to be always active.
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
    found: dict[str, list[float | bool]] = {}
    for j, feature in enumerate(schema.features):
        column = table[:, j]
        present = column[~np.isnan(column)]
        if len(present):
            ends = [float(present.min()), float(present.max())]
        else:
            ends = [0.0, 0.0]
        found[feature.name] = [*ends, bool(len(present) < len(column))]
    return found


def check_rows(schema: Schema, metadata: Mapping[str, Any], X: Any, table: Array) -> None:
    """Refuse rows that lack what was always there, and warn of rows far from what was seen.

    Args:
        schema: The features.
        metadata: What a model knows of its fit: ``rows``, how many it was fitted to, and ``seen``,
            what `seen_ranges` found, which models of older bundles lack.
        X: The rows as they were passed.
        table: (n, d) codes of them.

    Raises:
        PredictorError: Rows are dicts, and one of them has no such key as a feature that every row
            had which the model was fitted to. A key with None says that a gene is inactive.
    """
    seen = metadata.get("seen")
    known = seen if isinstance(seen, Mapping) else {}
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], Mapping):
        _check_keys(schema, known if metadata.get("rows", 0) >= TELLING_ROWS else {}, X)
    for j, feature in enumerate(schema.features):
        far = _far(feature, known.get(feature.name), table[:, j])
        if far is not None:
            warnings.warn(f"feature {feature.name!r}: {far}", OutsideWarning, stacklevel=4)


def _check_keys(schema: Schema, seen: Mapping[str, Any], rows: Any) -> None:
    always = []
    for feature in schema.features:
        entry = seen.get(feature.name)
        if _is_entry(entry):
            is_always_there = not entry[2]
        else:  # numeric features are seldom genes, which may be inactive
            is_always_there = feature.kind == "numeric"
        if is_always_there:
            always.append(feature.name)
    for number, row in enumerate(rows):
        lacking = [name for name in always if name not in row]
        if lacking:
            what = f"has no {', '.join(lacking[:4])}"
            if len(lacking) > 4:
                what += f" and {len(lacking) - 4} more"
            todo = "give every feature; None says that a gene is inactive"
            raise PredictorError(f"row {number}", f"{what}, of {len(schema.features)}", todo)


def _far(feature: Feature, entry: Any, column: Array) -> str | None:
    """What is wrong with a column of values, in words; None where nothing is."""
    if feature.kind == "nominal" or not _is_entry(entry):
        return None
    low, high = float(entry[0]), float(entry[1])
    reach = FAR_RANGES * (high - low)
    if reach == 0:
        reach = FAR_RANGES * abs(high)
    with np.errstate(invalid="ignore"):
        far = (column < low - reach) | (column > high + reach)
    if not far.any():
        return None
    value = float(column[int(np.argmax(far))])
    return (
        f"{value:.4g} is far from the {low:.4g} to {high:.4g} that the model was fitted to "
        f"({int(far.sum())} of {len(column)} rows): do not trust what it predicts there"
    )


def unknown_levels(feature: Feature, values: list[Any]) -> None:
    """Warn that a nominal feature has values that an open schema does not know.

    Args:
        feature: The feature.
        values: Its unknown values.
    """
    shown = ", ".join(map(str, dict.fromkeys(values)))
    known = ", ".join(map(str, feature.values))
    message = f"feature {feature.name!r}: {shown} is none of {known}; it counts as inactive"
    warnings.warn(message, OutsideWarning, stacklevel=6)


def _is_entry(entry: Any) -> TypeGuard[Sequence[float]]:
    if not isinstance(entry, (list, tuple)) or len(entry) != 3:
        return False
    return all(isinstance(v, (int, float)) and math.isfinite(v) for v in entry)
