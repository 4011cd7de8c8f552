"""What a study file holds beside its numbers, read as what it must be: a file may come from anywhere.

Metadata that are not of the form in which they were written make the file damaged. What stands in ``extra`` of a row
is free JSON, so that there a value of another form is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cimbo.errors import BadInput
from cimbo.storage import Record, Store

Check = Callable[[Any], bool]
GENE_TYPES = {str, int, float, bool}  # of a value of a gene, as JSON gives it


def read(store: Store, name: str, check: Check) -> Any:
    """Return the metadata under ``name``, None where there are none.

    Raises:
        BadInput: When ``check`` does not hold for them.
    """
    value = store.meta(name)
    if value is not None:
        demand(store, name, value, check)
    return value


def records(store: Store, after: int = 0) -> list[Record]:
    """Return the evaluations with a number above ``after``; BadInput where a gene is no word or number."""
    found = store.records(after=after)
    for record in found:
        if not set(map(type, record.params.values())) <= GENE_TYPES:
            where = f"{store.path}, evaluation {record.number}"
            raise BadInput(where, "is damaged", "restore the file from a copy")
    return found


def demand(store: Store, name: str, value: Any, check: Check) -> None:
    """Raise BadInput, naming the study and ``name``, unless ``check`` holds for ``value``."""
    if not check(value):
        raise BadInput(f"{store.path}, {name}", "is damaged", "restore the file from a copy")


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer beyond the range of a float
        return False


def is_text(value: Any) -> bool:
    """Whether it is a string."""
    return isinstance(value, str)


def list_of(check: Check) -> Check:
    """The check of a list whose entries all pass ``check``."""
    return lambda value: isinstance(value, list) and all(check(entry) for entry in value)


def mapping_of(check: Check) -> Check:
    """The check of a mapping whose values all pass ``check``."""
    return lambda value: isinstance(value, dict) and all(check(v) for v in value.values())


def is_mapping(value: Any) -> bool:
    """Whether it is a mapping."""
    return isinstance(value, dict)


def is_bit_accurate_difference(value: Any) -> bool:
    """Whether it says by how many points an accuracy differs, and on how many images."""
    return mapping_of(is_number)(value) and "points" in value


def is_planned_design(value: Any) -> bool:
    """Whether it is an entry of the written plan."""
    if not isinstance(value, dict):
        return False
    guesses = value.get("predicted")
    return (
        isinstance(value.get("params"), dict)
        and isinstance(value.get("origin"), str)
        and isinstance(value.get("extra"), dict)
        and (guesses is None or mapping_of(_is_prediction)(guesses))
    )


def predictions(record: Record) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation by metric, as they were predicted before the evaluation."""
    guesses = record.extra.get("predicted")
    if not isinstance(guesses, dict):
        return {}
    return {metric: (v[0], v[1]) for metric, v in guesses.items() if _is_prediction(v)}


def position(record: Record) -> float:
    """Return the place of a record in the order of the search; of one that does not say it, its number's."""
    found: Any = record.extra.get("position")
    if is_number(found):
        return float(found)
    return record.number - 1.0


def _is_prediction(value: Any) -> bool:
    return list_of(is_number)(value) and len(value) == 2
