"""A schema: features in order and a target, and the border between people's values and encoded rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError, shortened
from predictors.schema.encoding import check_codes, codes, decoded_codes, encoded_columns
from predictors.schema.features import Array, Feature
from predictors.schema.inputs import frame_columns, is_dicts, is_frame

NUMBER_TYPES = "fiub"  # numpy's letters of floats, integers and booleans


@dataclass(frozen=True)
class Schema:
    """Features in order, and the target with its unit.

    Attributes:
        features: The features, which are the columns of a table of rows.
        target: Name of what is predicted.
        unit: Its unit.
        log: Whether the target is positive and modelled as its logarithm.
        closed: Whether a value that is not among a feature's levels is refused. An open schema, as ``infer`` makes it,
            interpolates between the levels of an ordinal, and takes an unknown level of a nominal for inactive.

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        object.__setattr__(self, "log", bool(self.log))  # numpy's booleans are no JSON
        if not self.names or len(set(self.names)) != len(self.names):
            wrong = "no features or a repeated name"
            raise PredictorError("schema", wrong, "name each feature once")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def owners(self) -> NDArray[np.intp]:
        """(k,) index of the feature that each encoded column belongs to."""
        widths = [feature.width for feature in self.features]
        return np.repeat(np.arange(len(widths)), widths)

    @cached_property
    def column_kinds(self) -> NDArray[np.str_]:
        """(k,) the kind of the feature that each encoded column belongs to."""
        kinds = [feature.kind for feature in self.features]
        return np.array(kinds)[self.owners]

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
            return self._from_columns(frame_columns(X))
        if is_dicts(X):
            return self._from_columns({name: [row.get(name) for row in X] for name in self.names})
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
        blocks = map(encoded_columns, self.features, table.T)
        return np.concatenate(list(blocks), axis=1)

    def decode(self, encoded: Array) -> Array:
        """Compute back the codes behind encoded rows; inverse of ``encode_table``.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n, d) codes; NaN where the gene is inactive, but 0 for an inactive numeric, which looks
            the same.
        """
        columns = []
        for j, feature in enumerate(self.features):
            block = encoded[:, self.owners == j]
            columns.append(decoded_codes(feature, block))
        return np.stack(columns, axis=1)

    def fingerprint(self) -> str:
        """Compute the sha256 of everything that ``to_dict`` says.

        Returns:
            64 hexadecimal digits.
        """
        described = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Describe the schema in types that JSON has.

        Returns:
            The features as dicts, the target, its unit, ``log`` and ``closed``.
        """
        return {
            "features": [feature.to_dict() for feature in self.features],
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
            return cls(
                features=tuple(Feature.from_dict(feature) for feature in data["features"]),
                target=str(data["target"]),
                unit=str(data["unit"]),
                log=bool(data["log"]),
                closed=bool(data["closed"]),
            )
        except (KeyError, TypeError) as error:
            wrong = f"is malformed ({error})"
            raise PredictorError("schema", wrong, "save the model again") from None

    def difference(self, other: Schema) -> str:
        """Say in words how another schema differs from this one, for refusing a file of another space.

        Args:
            other: The other schema; this one is what is expected.

        Returns:
            Up to four differences, and how many more there are; empty when nothing differs.
        """
        differences = []
        for field_name in ("target", "unit", "log"):
            expected = getattr(self, field_name)
            actual = getattr(other, field_name)
            if expected != actual:
                differences.append(f"{field_name} is {actual!r}, expected {expected!r}")
        differences += self._feature_differences(other)
        if not differences and self.names != other.names:
            differences.append("features are in another order")
        return shortened(differences)

    def _feature_differences(self, other: Schema) -> list[str]:
        """Say which features another schema lacks, which it has beside ours, and which differ; a phrase each."""
        differences = [f"lacks {name!r}" for name in self.names if name not in other.names]
        differences += [f"adds {name!r}" for name in other.names if name not in self.names]
        by_name = {feature.name: feature for feature in other.features}
        for feature in self.features:
            other_feature = by_name.get(feature.name, feature)
            if other_feature != feature:
                both = f"{_words(other_feature)}, expected {_words(feature)}"
                differences.append(f"{feature.name!r} is {both}")
        return differences

    def _from_columns(self, columns: Mapping[str, Any]) -> Array:
        """Turn columns by name into codes (n, d)."""
        self._check_columns(columns)
        coded = []
        for feature in self.features:
            coded.append(codes(feature, columns[feature.name], closed=self.closed))
        return np.stack(coded, axis=1)

    def _check_columns(self, columns: Mapping[str, Any]) -> None:
        """Refuse columns where that of a feature is missing."""
        for name in self.names:
            if name not in columns:
                needed = ", ".join(self.names)
                raise PredictorError("X", f"has no column {name!r}", f"the model needs {needed}")

    def _from_array(self, X: Any) -> Array:
        """Turn an (n, d) array of values into codes, or check one that holds codes."""
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != len(self.features):
            wrong = f"has shape {array.shape}, expected (n, {len(self.features)})"
            raise PredictorError("X", wrong, "pass one column a feature, in order")
        if array.dtype.kind not in NUMBER_TYPES:
            return self._from_columns(dict(zip(self.names, array.T, strict=True)))
        table = array.astype(np.float64)
        for feature, column in zip(self.features, table.T, strict=True):
            check_codes(feature, column, closed=self.closed)
        return table


def fingerprint(encoded: Array, y: Array) -> str:
    """Compute the sha256 of the data that a model was fitted to.

    Args:
        encoded: (n, k) encoded rows.
        y: (n,) measurements.

    Returns:
        64 hexadecimal digits.
    """
    data = np.ascontiguousarray(np.c_[encoded, y])
    return hashlib.sha256(data.tobytes()).hexdigest()


def _words(feature: Feature) -> str:
    if feature.values:
        return f"{feature.kind} {list(feature.values)}"
    return feature.kind
