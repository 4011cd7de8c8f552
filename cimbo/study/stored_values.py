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
GENE_TYPES = {str, int, float, bool}  # types that a gene's value can have in JSON


def read(store: Store, name: str, check: Check) -> Any:
    """Return the metadata under a name, if they have the form that they should have.

    Args:
        store: The study file.
        name: Their name in the file.
        check: Whether a value has that form.

    Returns:
        The value, as JSON gives it; None where there is none.

    Raises:
        BadInput: When ``check`` does not hold for them.
    """
    value = store.meta(name)
    if value is not None:
        demand(store, name, value, check)
    return value


def records(store: Store, after: int = 0) -> list[Record]:
    """Return the evaluations with a number above ``after``.

    Args:
        store: The study file.
        after: A number of an evaluation; 0 for all of them.

    Returns:
        The evaluations in order of number.

    Raises:
        BadInput: A row is damaged, such as one with a gene that is neither text nor a number.
    """
    found = store.records(after=after)
    for record in found:
        if not set(map(type, record.params.values())) <= GENE_TYPES:
            where = f"{store.path}, evaluation {record.number}"
            raise BadInput(where, "is damaged", "restore the file from a copy")
    return found


def demand(store: Store, name: str, value: Any, check: Check) -> None:
    """Refuse a value that does not have the form it should have.

    Args:
        store: The study file, for the error.
        name: The name of the value in the file, for the error.
        value: JSON from the file.
        check: Whether a value has that form.

    Raises:
        BadInput: ``check`` does not hold for ``value``.
    """
    if not check(value):
        raise BadInput(f"{store.path}, {name}", "is damaged", "restore the file from a copy")


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number.

    Args:
        value: JSON from a study file.

    Returns:
        Whether it is one. True and False are none, nor is an integer beyond the range of a float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer beyond the range of a float
        return False


def is_text(value: Any) -> bool:
    """Tell whether a value is a string.

    Args:
        value: JSON from a study file.

    Returns:
        Whether it is one.
    """
    return isinstance(value, str)


def list_of(check: Check) -> Check:
    """Make the check of a list whose entries all pass ``check``.

    Args:
        check: The check of one entry.

    Returns:
        A check that an empty list passes too.
    """
    return lambda value: isinstance(value, list) and all(check(entry) for entry in value)


def mapping_of(check: Check) -> Check:
    """Make the check of a mapping whose values all pass ``check``.

    Args:
        check: The check of one value.

    Returns:
        A check that an empty mapping passes too.
    """
    return lambda value: isinstance(value, dict) and all(check(v) for v in value.values())


def is_mapping(value: Any) -> bool:
    """Tell whether a value is a mapping.

    Args:
        value: JSON from a study file.

    Returns:
        Whether it is one.
    """
    return isinstance(value, dict)


def is_bit_accurate_difference(value: Any) -> bool:
    """Tell whether a value is an entry that `StudyLog.record_bit_accurate` wrote.

    Args:
        value: JSON from a study file.

    Returns:
        Whether it holds numbers only, ``points`` and ``images`` among them.
    """
    return mapping_of(is_number)(value) and {"points", "images"} <= value.keys()


def is_simulated_cost(value: Any) -> bool:
    """Tell whether a value is an entry that `StudyLog.record_zigzag_costs` wrote.

    Args:
        value: JSON from a study file.

    Returns:
        Whether it holds costs, or the reason why there are none.
    """
    if not isinstance(value, dict):
        return False
    if "reason" in value:
        return is_text(value["reason"])
    return {"latency_ms", "energy_uj"} <= value.keys() and mapping_of(is_number)(value)


def is_planned_design(value: Any) -> bool:
    """Tell whether a value is an entry of the written plan.

    Args:
        value: JSON from a study file.

    Returns:
        Whether it has the form that `Planner.plan` writes.
    """
    if not isinstance(value, dict):
        return False
    guesses = value.get("predicted")
    if guesses is not None and not mapping_of(_is_prediction)(guesses):
        return False
    mappings = (value.get("params"), value.get("extra"))
    return is_text(value.get("origin")) and all(map(is_mapping, mappings))


def predictions(record: Record) -> dict[str, tuple[float, float]]:
    """Return what was predicted of a design before its evaluation.

    Args:
        record: An evaluation.

    Returns:
        Mean and standard deviation by metric, in the unit of the metric. What has another form is
        left out.
    """
    guesses = record.extra.get("predicted")
    if not isinstance(guesses, dict):
        return {}
    predictions = {}
    for metric, v in guesses.items():
        if _is_prediction(v):
            predictions[metric] = (v[0], v[1])
    return predictions


def position(record: Record) -> float:
    """Return the place of a record in the order of the search.

    Args:
        record: An evaluation.

    Returns:
        The place, counted from 0; that of its number where the record does not say it.
    """
    found: Any = record.extra.get("position")
    if is_number(found):
        return float(found)
    return record.number - 1.0


def _is_prediction(value: Any) -> bool:
    return list_of(is_number)(value) and len(value) == 2
