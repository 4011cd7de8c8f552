"""What a bundle may hold: shapes, ranges and sizes of everything a model is built from.

Whoever writes a whole bundle also writes its digests, so that its content is checked as if it came from anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from predictors.core import State
from predictors.errors import PredictorError
from predictors.gp.inputs import shared
from predictors.posynomial import FeatureLayout, parameter_count
from predictors.schema import Array, Schema

MAX_TABLE_ENTRIES = 20_000_000  # largest table that a schema may need: 160 MB
MAX_BOOSTERS = 32
MAX_BOOSTER_BYTES = 32 * 2**20  # all boosters of a file together
MAX_LOG_HYPERPARAMETER = 30.0  # the search for them stays within -11 and 7
MAX_ENSEMBLE_SIZE = 64
MAX_POSYNOMIAL_PARAMETER = 1e3


def schema_size(schema: Schema) -> None:
    """Refuse a schema whose tables would not fit into memory.

    Args:
        schema: The schema of a bundle.

    Raises:
        PredictorError: With what there are too many of.
    """
    for what, entries in _table_entries(schema).items():
        if entries > MAX_TABLE_ENTRIES:
            raise PredictorError("schema", f"has too many {what}", "fit on fewer")


def _table_entries(schema: Schema) -> dict[str, int]:
    """How many entries the largest tables of a schema would have, by what there would be too many of."""
    n_features = len(schema.features)
    levels = [len(feature.values) for feature in schema.features]
    levels_of_groups = [levels[group[0]] for group in shared(schema)]
    return {
        "features": n_features**2,
        "groups": len(schema.owners) * len(levels_of_groups),
        "levels of groups": sum(levels) * sum(levels_of_groups),
        "levels": n_features * (sum(levels) + max(levels)),
    }


def metadata(values: Any) -> dict[str, Any]:
    """Check the metadata that a bundle holds of a model's fit.

    Args:
        values: Where they are there, ``rows`` is a count, ``error`` a finite number, ``data`` a
            fingerprint. Other keys are not looked at.

    Returns:
        A copy of it.

    Raises:
        PredictorError: When one of the three is of another type, negative or not finite.
        TypeError: When ``values`` is no dict.
    """
    if not isinstance(values, dict):
        raise TypeError("metadata")
    rows = values.get("rows", 0)
    if type(rows) is not int or rows < 0:
        _refuse("a number of rows that is none")
    error = values.get("error", 0.0)
    if type(error) not in (int, float) or not np.isfinite(error):
        _refuse("an error that is no finite number")
    if not isinstance(values.get("data", ""), str):
        _refuse("a fingerprint that is no text")
    return dict(values)


def process_state(schema: Schema, state: State) -> None:
    """Check the arrays of a Gaussian process, with or without posynomials.

    Args:
        schema: The features of the process.
        state: Its arrays, and with posynomials the number ``unit``.

    Raises:
        PredictorError: For shapes that do not belong together, and for numbers that are out of
            range.
    """
    arrays = state.arrays
    columns = len(schema.owners)
    columns_and_totals = columns + len(shared(schema))
    n_rows = len(_array(arrays, "alpha", 1))
    _check_shape(arrays, "shift", (columns_and_totals,))
    _check_shape(arrays, "scale", (columns_and_totals,))
    _check_shape(arrays, "encoded", (n_rows, columns))
    _check_shape(arrays, "whiten", (n_rows, n_rows))
    _check_range("theta", _array(arrays, "theta", 1), MAX_LOG_HYPERPARAMETER)
    if n_rows == 0 or (arrays["scale"] <= 0).any():
        _refuse("no rows, or a scale that is not positive")
    if "products" in arrays:
        _check_posynomials(schema, state)


def hyperparameter_count(theta: Array, expected: int) -> None:
    """Refuse a process with another number of hyper-parameters than its features have.

    Args:
        theta: The packed log hyper-parameters.
        expected: How many there must be.

    Raises:
        PredictorError: When there are more or fewer.
    """
    if theta.shape != (expected,):
        _refuse(f"{len(theta)} hyper-parameters instead of {expected}")


def boosters(state: State, names: list[str]) -> None:
    """Check the names and sizes of a model's boosters.

    What is in them is checked by :mod:`predictors.boosting.trees`.

    Args:
        state: Holds the boosters.
        names: What they must be called, in order.

    Raises:
        PredictorError: For other names, or too many boosters or bytes.
    """
    if list(state.boosters) != names or len(names) > MAX_BOOSTERS:
        _refuse("other boosters than its kind has")
    if sum(len(data) for data in state.boosters.values()) > MAX_BOOSTER_BYTES:
        _refuse("boosters that are too large")


def number(
    state: State,
    name: str,
    least: float,
    most: float = np.inf,
) -> float:
    """Check a number of a core's state.

    Args:
        state: Holds the numbers.
        name: Which of them.
        least: The smallest that is allowed.
        most: The largest that is allowed.

    Returns:
        The number.

    Raises:
        PredictorError: When it is missing or outside.
    """
    value = state.numbers.get(name, np.nan)
    if not least <= value <= most:
        _refuse(f"a {name} out of range")
    return value


def _check_posynomials(schema: Schema, state: State) -> None:
    """Refuse an ensemble of posynomials with a wrong shape, or numbers out of range."""
    theta = _array(state.arrays, "products", 2)
    number(state, "unit", np.finfo(float).tiny)
    members, parameters = theta.shape
    columns = len(schema.owners)
    layout = FeatureLayout(schema, np.zeros(columns), np.ones(columns))
    if not 1 <= members <= MAX_ENSEMBLE_SIZE or parameters != parameter_count(layout):
        _refuse(f"products of shape {theta.shape}")
    _check_range("products", theta, MAX_POSYNOMIAL_PARAMETER)


def _array(arrays: Mapping[str, Array], name: str, dimensions: int) -> Array:
    """Look up an array by name; refuse one that is missing, not finite, or of other dimensions or type."""
    array = arrays.get(name)
    if array is None or array.ndim != dimensions or array.dtype != np.float64:
        _refuse(f"no array {name} of {dimensions} dimensions")
    if not np.isfinite(array).all():
        _refuse(f"an array {name} that is not finite")
    return array


def _check_shape(
    arrays: Mapping[str, Array],
    name: str,
    expected: tuple[int, ...],
) -> None:
    """Refuse an array of another shape than the expected one."""
    shape = _array(arrays, name, len(expected)).shape
    if shape != expected:
        _refuse(f"an array {name} of shape {shape} instead of {expected}")


def _check_range(name: str, values: Array, most: float) -> None:
    """Refuse an array of which a number is larger than ``most`` or less than -``most``."""
    if (np.abs(values) > most).any():
        _refuse(f"an array {name} out of range")


def _refuse(what: str) -> NoReturn:
    """Refuse the model, which holds ``what``."""
    raise PredictorError("model", f"holds {what}", "save the model again")
