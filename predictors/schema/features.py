"""One column of a schema: its name, its kind and its levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError

Array = NDArray[np.float64]
FEATURE_KINDS = ("ordinal", "nominal", "numeric")


@dataclass(frozen=True)
class Feature:
    """One column. ``values``: levels of an ordinal (numbers, any order) or a nominal (text, numbers or booleans).

    Booleans of an ordinal are the numbers 0 and 1, so that a switch has an order as any gene of numbers has.

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
        if self.kind not in FEATURE_KINDS:
            known = ", ".join(FEATURE_KINDS)
            self._refuse(f"kind {self.kind!r} is unknown", f"use one of {known}")
        object.__setattr__(self, "values", self._checked_values())

    def _checked_values(self) -> tuple[Any, ...]:
        """The levels as numbers, text and booleans of Python; those of an ordinal in ascending order."""
        if self.kind == "numeric":
            return ()
        values = tuple(plain_value(value) for value in self.values)
        if self.kind == "ordinal":
            values = self._ascending_numbers(values)
        if not values or len(set(values)) != len(values):
            self._refuse("values are empty or repeated", "list each level once")
        return values

    def _ascending_numbers(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The levels of an ordinal in ascending order, booleans as 0 and 1."""
        numbers = []
        for value in values:
            if not _is_number(value):
                self._refuse("ordinal values must be finite numbers", "use kind 'nominal' for text")
            if isinstance(value, bool):
                numbers.append(int(value))
            else:
                numbers.append(value)
        return tuple(sorted(numbers))

    def _refuse(self, wrong: str, todo: str) -> None:
        raise PredictorError(f"feature {self.name!r}", wrong, todo)

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
        described = {"name": self.name, "kind": self.kind, "values": list(self.values)}
        if self.group:
            described["group"] = self.group
        return described

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
            name=str(data["name"]),
            kind=str(data["kind"]),
            values=tuple(data["values"]),
            group=str(data.get("group", "")),
        )


def plain_value(value: Any) -> Any:
    """Turn a number of numpy into one of Python.

    Args:
        value: Anything.

    Returns:
        The same value, no longer of a type of numpy's.
    """
    if isinstance(value, np.generic):
        return value.item()
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
