"""What a predictor's columns are: names, kinds, levels, the target's unit; and the encoding that follows from them.

People's values stay outside. ``Schema.encode`` is the only border: it maps rows to a numeric matrix that depends on the
schema alone (never on training data), so models of one schema share their input and can be put into one optimiser.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError

Array = NDArray[np.float64]
FEATURE_KINDS = ("ordinal", "nominal", "numeric")


@dataclass(frozen=True)
class Feature:
    """One column. ``values``: levels of an ordinal (numbers, any order) or a nominal (text, numbers or booleans).

    ``group``: what layers have in common, such as "width" for the ordinals width0, width1, ...; features of one group and
    as many levels are also learned from in total, which needs fewer measurements than what each of them contributes.

    Examples:
        >>> import predictors
        >>> predictors.Feature("rows", "ordinal", (64, 128, 256)).width  # columns, once encoded
        1
    """

    name: str
    kind: str
    values: tuple[Any, ...] = ()
    group: str = ""

    def __post_init__(self) -> None:
        where = f"feature {self.name!r}"
        if self.kind not in FEATURE_KINDS:
            raise PredictorError(
                where, f"kind {self.kind!r} is unknown", f"use one of {', '.join(FEATURE_KINDS)}"
            )
        values = tuple(v.item() if isinstance(v, np.generic) else v for v in self.values)
        if self.kind == "ordinal":
            if not all(_is_number(v) for v in values):
                raise PredictorError(
                    where, "ordinal values must be finite numbers", "use kind 'nominal' for text"
                )
            values = tuple(sorted(values))
        if self.kind == "numeric":
            values = ()
        elif not values or len(set(values)) != len(values):
            raise PredictorError(where, "values are empty or repeated", "list each level once")
        object.__setattr__(self, "values", values)

    @property
    def width(self) -> int:
        """Columns it takes in the encoded matrix."""
        if self.kind == "nominal":
            return len(self.values)
        return 1

    def to_dict(self) -> dict[str, Any]:
        """Describe the feature in types that JSON has.

        Returns:
            Name, kind and values; the group only where there is one.
        """
        group = {"group": self.group} if self.group else {}
        return {"name": self.name, "kind": self.kind, "values": list(self.values)} | group

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Feature:
        """Build a feature again from what ``to_dict`` returned.

        Args:
            data: Name, kind and values, perhaps a group.

        Returns:
            The feature.

        Raises:
            KeyError: When a field is missing.
            TypeError: When a field is of the wrong type.
            PredictorError: When the kind is unknown, or the values do not suit it.
        """
        return cls(
            str(data["name"]), str(data["kind"]), tuple(data["values"]), str(data.get("group", ""))
        )


@dataclass(frozen=True)
class Schema:
    """Features in order, and the target with its unit.

    ``log``: the target is positive and modelled as its logarithm. ``closed``: a value that is not among a feature's
    levels is refused; inferred schemas are open and interpolate between levels (ordinal) or ignore it (nominal).

    Examples:
        >>> import predictors
        >>> depth = predictors.Feature("depth", "ordinal", (2, 4, 8))
        >>> array = predictors.Feature("array", "nominal", ("charge_sram", "digital_sram"))
        >>> schema = predictors.Schema((depth, array), target="latency_ms", unit="ms", log=True)
        >>> schema.encode([{"depth": 4, "array": "digital_sram"}]).shape  # one column, and one for each value
        (1, 3)
    """

    features: tuple[Feature, ...]
    target: str = "y"
    unit: str = ""
    log: bool = False
    closed: bool = True
    _column: dict[str, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        object.__setattr__(self, "log", bool(self.log))  # numpy's booleans are no JSON
        names = [f.name for f in self.features]
        if not names or len(set(names)) != len(names):
            raise PredictorError(
                "schema", "no features or a repeated name", "name each feature once"
            )
        object.__setattr__(self, "_column", {name: i for i, name in enumerate(names)})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(f.name for f in self.features)

    @cached_property
    def owners(self) -> NDArray[np.intp]:
        """(k,) index of the feature that each encoded column belongs to."""
        return np.repeat(np.arange(len(self.features)), [f.width for f in self.features])

    def table(self, X: Any) -> Array:
        """Turn rows into codes: an ordinal's or numeric's value, a nominal's index.

        Args:
            X: List of dicts (a missing key or None: inactive), a data frame (by column name), an
                (n, d) object array of values, or an (n, d) float array that already holds codes.

        Returns:
            (n, d) codes; NaN where the gene is inactive.

        Raises:
            PredictorError: On missing columns, another number of columns, infinite numbers and text
                in a feature of numbers; where the schema is closed also on unknown levels.
        """
        if isinstance(X, Mapping):
            raise PredictorError("X", "is one dict", "pass a list of dicts")
        if is_frame(X):
            return self._from_columns(_frame(X))
        if isinstance(X, (list, tuple)) and X and isinstance(X[0], Mapping):
            return self._from_columns(
                {f.name: [row.get(f.name) for row in X] for f in self.features}
            )
        return self._from_array(X)

    def encode(self, X: Any) -> Array:
        """Turn rows into a numeric matrix.

        Ordinals become ranks in (0, 1], nominals one-hot columns, numerics stay as they are.
        An inactive gene is 0 in all its columns: below every level, as a block that is not there.

        Args:
            X: n rows, as ``table`` takes them.

        Returns:
            (n, k) encoded rows.

        Raises:
            PredictorError: As ``table``.
        """
        return self.encode_table(self.table(X))

    def encode_table(self, table: Array) -> Array:
        """Encode codes that ``table`` returned.

        Args:
            table: (n, d) codes.

        Returns:
            (n, k) encoded rows, as ``encode`` returns them.
        """
        blocks = [_encode(f, table[:, j]) for j, f in enumerate(self.features)]
        return np.concatenate(blocks, axis=1)

    def decode(self, encoded: Array) -> Array:
        """Compute back the codes behind encoded rows; inverse of ``encode_table``.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n, d) codes; NaN where the gene is inactive, but 0 for an inactive numeric, which looks
            the same.
        """
        edges = np.cumsum([0] + [f.width for f in self.features])
        columns = []
        for j, f in enumerate(self.features):
            columns.append(_decode(f, encoded[:, edges[j] : edges[j + 1]]))
        return np.stack(columns, axis=1)

    def fingerprint(self) -> str:
        """Compute the sha256 of everything that ``to_dict`` says.

        Returns:
            64 hexadecimal digits.
        """
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Describe the schema in types that JSON has.

        Returns:
            The features as dicts, the target, its unit, ``log`` and ``closed``.
        """
        features = [f.to_dict() for f in self.features]
        return {
            "features": features,
            "target": self.target,
            "unit": self.unit,
            "log": self.log,
            "closed": self.closed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        """Build a schema again from what ``to_dict`` returned.

        Args:
            data: Features, target, unit, ``log`` and ``closed``.

        Returns:
            The schema.

        Raises:
            PredictorError: When a field is missing or of the wrong type, or a feature is wrong.
        """
        try:
            features = tuple(Feature.from_dict(f) for f in data["features"])
            text = (str(data["target"]), str(data["unit"]))
            return cls(features, *text, log=bool(data["log"]), closed=bool(data["closed"]))
        except (KeyError, TypeError) as error:
            raise PredictorError(
                "schema", f"is malformed ({error})", "save the model again"
            ) from None

    def difference(self, other: Schema) -> str:
        """Say in words what differs in another schema, for refusing a file of another space.

        Args:
            other: The schema that is compared with this one, which is what is expected.

        Returns:
            Up to four differences, and how many more there are; empty when nothing differs.
        """
        mine, theirs = {f.name: f for f in self.features}, {f.name: f for f in other.features}
        found = []
        for what in ("target", "unit", "log"):
            if getattr(self, what) != getattr(other, what):
                found.append(
                    f"{what} is {getattr(other, what)!r}, expected {getattr(self, what)!r}"
                )
        found += [f"lacks {n!r}" for n in mine if n not in theirs] + [
            f"adds {n!r}" for n in theirs if n not in mine
        ]
        for name in mine.keys() & theirs.keys():
            if mine[name] != theirs[name]:
                found.append(f"{name!r} is {_words(theirs[name])}, expected {_words(mine[name])}")
        if not found and self.names != other.names:
            found.append("features are in another order")
        return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")

    def _from_columns(self, columns: Mapping[str, Any]) -> Array:
        """Turn columns by name into codes (n, d)."""
        missing = [f.name for f in self.features if f.name not in columns]
        if missing:
            raise PredictorError(
                "X", f"has no column {missing[0]!r}", f"the model needs {', '.join(self.names)}"
            )
        return np.stack([self._codes(f, columns[f.name]) for f in self.features], axis=1)

    def _from_array(self, X: Any) -> Array:
        """Turn an (n, d) array of values into codes, or check one that holds codes."""
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != len(self.features):
            wrong = f"has shape {array.shape}, expected (n, {len(self.features)})"
            raise PredictorError("X", wrong, "pass one column a feature, in order")
        if array.dtype.kind not in "fiub":
            return self._from_columns({f.name: array[:, j] for j, f in enumerate(self.features)})
        table = array.astype(np.float64)
        for j, f in enumerate(self.features):
            if f.kind == "nominal":
                levels = np.arange(len(f.values), dtype=np.float64)
            else:
                levels = np.asarray(f.values, dtype=np.float64)
            self._check(f, table[:, j], levels)
        return table

    def _codes(self, feature: Feature, column: Any) -> Array:
        """Turn a column of values into codes (n,); NaN where inactive."""
        if feature.kind == "nominal":
            index: dict[Any, float] = {v: float(i) for i, v in enumerate(feature.values)}
            index.update({None: math.nan})
            codes = np.array([index.get(v, math.nan if v != v else -1.0) for v in column])
            if self.closed and (codes == -1.0).any():
                self._refuse(feature, column[int(np.argmax(codes == -1.0))])
            if (codes == -1.0).any():
                # Imported here: it needs this module's classes.
                from predictors.domain import unknown_levels

                strange = [v for v, code in zip(column, codes, strict=True) if code == -1.0]
                unknown_levels(feature, strange)
            return np.where(codes == -1.0, np.nan, codes)
        try:
            numbers = np.array([math.nan if v is None else v for v in column], dtype=np.float64)
        except (TypeError, ValueError):
            raise PredictorError(
                f"feature {feature.name!r}", "holds text", "declare it as kind 'nominal'"
            ) from None
        self._check(feature, numbers, np.asarray(feature.values, dtype=float))
        return numbers

    def _check(self, feature: Feature, column: Array, levels: Array) -> None:
        """Refuse infinite numbers, and in a closed schema numbers that are no level."""
        if np.isinf(column).any():
            self._refuse(feature, "inf")
        if not self.closed or feature.kind == "numeric":
            return
        bad = ~(np.isnan(column) | np.isin(column, levels))
        if bad.any():
            self._refuse(feature, column[int(np.argmax(bad))])

    def _refuse(self, feature: Feature, value: Any) -> None:
        """Raise the PredictorError for a value that a feature does not have."""
        allowed = ", ".join(map(str, feature.values)) or "finite numbers"
        raise PredictorError(
            f"feature {feature.name!r}", f"value {value} is not allowed", f"allowed: {allowed}"
        )


def fingerprint(encoded: Array, y: Array) -> str:
    """Compute the sha256 of the data that a model was fitted to.

    Args:
        encoded: (n, k) encoded rows.
        y: (n,) measurements.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(np.ascontiguousarray(np.c_[encoded, y]).tobytes()).hexdigest()


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
    columns = _columns(X)
    if not columns:
        raise PredictorError("X", "is empty", "pass at least one row and one column")
    return Schema(tuple(_guess(n, c) for n, c in columns.items()), target, log=log, closed=False)


def is_frame(X: Any) -> bool:
    """Tell whether something is a data frame: columns by name, each convertible to an array.

    Args:
        X: Anything.

    Returns:
        True where it has ``columns`` and ``to_numpy``.
    """
    return hasattr(X, "columns") and hasattr(X, "to_numpy")


def _frame(X: Any) -> dict[str, Any]:
    """Columns of a data frame by name, with None for what is missing."""
    columns = {str(c): X[c].to_numpy() for c in X.columns}
    frame = {}
    for n, c in columns.items():
        if c.dtype == object:
            frame[n] = [v if _present(v) else None for v in c]
        else:
            frame[n] = c
    return frame


def _present(value: Any) -> bool:
    """False for None, NaN and pandas' NA, which refuses to be compared."""
    try:
        return value is not None and bool(value == value)
    except TypeError:
        return False


def _columns(X: Any) -> dict[str, list[Any]]:
    """Columns of any input by name, before there is a schema."""
    if is_frame(X):
        return {name: list(column) for name, column in _frame(X).items()}
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], Mapping):
        names = dict.fromkeys(str(name) for row in X for name in row)
        return {name: [row.get(name) for row in X] for name in names}
    array = np.asarray(X)
    if array.ndim != 2:
        raise PredictorError(
            "X", f"has shape {array.shape}, expected (n, d)", "pass a two-dimensional array"
        )
    return {f"x{j}": list(array[:, j]) for j in range(array.shape[1])}


def _guess(name: str, column: list[Any]) -> Feature:
    """Guess a feature from a column, by the rule of ``infer``."""
    present = [v.item() if isinstance(v, np.generic) else v for v in column]
    present = [v for v in present if v is not None and v == v]
    if any(isinstance(v, (str, bool)) for v in present):
        return Feature(name, "nominal", tuple(sorted(set(present), key=str)))
    levels = set(present)
    whole = all(float(v).is_integer() for v in levels)
    few = 0 < len(levels) <= min(32 if whole else 12, max(2, len(column) // 2))
    if few:
        return Feature(name, "ordinal", tuple(levels))
    return Feature(name, "numeric")


def _encode(feature: Feature, column: Array) -> Array:
    """Encode a feature's codes (n,) as its columns (n, width)."""
    if feature.kind == "numeric":
        return np.nan_to_num(column)[:, None]
    if feature.kind == "nominal":
        return np.asarray(column[:, None] == np.arange(len(feature.values)), dtype=np.float64)
    levels = np.asarray(feature.values, dtype=np.float64)
    rank = np.interp(column, levels, np.arange(1.0, len(levels) + 1.0) / len(levels))
    return np.where(np.isnan(column), 0.0, rank)[:, None]


def _decode(feature: Feature, block: Array) -> Array:
    """Compute back a feature's codes (n,) from its columns (n, width)."""
    if feature.kind == "numeric":
        return block[:, 0]
    active = block.max(axis=1) > 0
    if feature.kind == "nominal":
        return np.where(active, block.argmax(axis=1).astype(np.float64), np.nan)
    levels = np.asarray(feature.values, dtype=np.float64)
    value = np.interp(block[:, 0], np.arange(1.0, len(levels) + 1.0) / len(levels), levels)
    return np.where(active, value, np.nan)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _words(feature: Feature) -> str:
    if feature.values:
        return f"{feature.kind} {list(feature.values)}"
    return feature.kind
