"""Checks a description of a study against the types of its tables.

Every fault becomes one line with its place, as "network.batch", and what to do; for a misspelt key
that is the nearest one. In all functions ``expected`` is the type that msgspec knows of a place, and
``place`` the keys down to it, joined by dots.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from cimbo.config.tables import StudyTable
from cimbo.errors import BadInput, SeveralFaults, choose_from
from cimbo.problem.scalars import shown

NUMBER_TYPES = (inspect.IntType, inspect.FloatType)
PYTHON_TYPES: dict[type[inspect.Type], tuple[type, ...]] = {
    inspect.StructType: (Mapping,),
    inspect.DictType: (Mapping,),
    inspect.ListType: (list, tuple),
    inspect.BoolType: (bool,),
    inspect.IntType: (int,),
    inspect.FloatType: (int, float),
    inspect.StrType: (str,),
}
TYPES_IN_WORDS = {
    inspect.BoolType: "true or false",
    inspect.IntType: "an integer",
    inspect.FloatType: "a number",
    inspect.StrType: "a text",
    inspect.ListType: "a list",
    inspect.DictType: "a table",
    inspect.StructType: "a table",
}


def checked(name: str, data: Mapping[str, Any]) -> StudyTable:
    """Read a description as a study.

    Args:
        name: The file or preset it comes from, for messages.
        data: What stands there.

    Returns:
        The description with its types.

    Raises:
        BadInput: When anything is wrong; it names every place, one line a fault.
    """
    faults = [_named(name, fault) for fault in _faults(_study_type(), data, "")]
    if len(faults) > 1:
        raise SeveralFaults(faults)
    if faults:
        raise faults[0]
    return msgspec.convert(data, StudyTable)


def _named(name: str, fault: BadInput) -> BadInput:
    """Put the name of the file or preset before the place of a fault."""
    where = ", ".join(filter(None, (name, fault.where)))
    return BadInput(where, fault.what, fault.todo)


@cache
def _study_type() -> inspect.Type:
    """The type of a whole study, as msgspec describes it."""
    return inspect.type_info(StudyTable)


def _faults(expected: inspect.Type, value: Any, place: str) -> Iterator[BadInput]:
    """Find every fault of a value and of what is inside it."""
    expected = _alternative_for(expected, value)
    if isinstance(value, float) and not math.isfinite(value):
        yield BadInput(place, f"is {value}", "give a finite number")
    elif isinstance(expected, inspect.StructType):
        yield from _table_faults(expected, value, place)
    elif isinstance(expected, inspect.DictType):
        yield from _mapping_faults(expected, value, place)
    elif isinstance(expected, inspect.ListType):
        yield from _list_faults(expected, value, place)
    elif isinstance(expected, inspect.AnyType):
        yield from _not_finite(value, place)
    else:
        yield from _scalar_faults(expected, value, place)


def _alternative_for(expected: inspect.Type, value: Any) -> inspect.Type:
    """Choose the alternative of a union that a value is meant to be of.

    Args:
        expected: A type; where it is a union, alternatives for None are left out.
        value: The value.

    Returns:
        ``expected`` itself where it is no union; else the alternative that the value is of, or the union
        where it is of none.
    """
    if isinstance(expected, inspect.Metadata):
        expected = expected.type
    if not isinstance(expected, inspect.UnionType):
        return expected
    alternatives = [each for each in expected.types if not isinstance(each, inspect.NoneType)]
    for alternative in alternatives:
        if _is_of(alternative, value):
            return alternative
    if len(alternatives) == 1:
        return alternatives[0]
    return inspect.UnionType(tuple(alternatives))


def _is_of(expected: inspect.Type, value: Any) -> bool:
    """Whether a value is of a type; True also for types that PYTHON_TYPES does not list."""
    if isinstance(value, bool) and isinstance(expected, NUMBER_TYPES):
        return False  # though Python counts true and false among the integers
    return isinstance(value, PYTHON_TYPES.get(type(expected), (object,)))


def _table_faults(table: inspect.StructType, value: Any, place: str) -> Iterator[BadInput]:
    """Find every fault of a table: unknown keys, missing ones, and the faults of its values."""
    if not isinstance(value, Mapping):
        yield _wrong_type(table, value, place)
        return
    fields = {field.encode_name: field for field in table.fields}
    for key, inner in value.items():
        where = _joined(place, str(key))
        if key in fields:
            yield from _faults(fields[key].type, inner, where)
        else:
            yield BadInput(where, "is no key of a study", _nearest_key(key, fields))
    yield from _missing_keys(fields.values(), value, place)


def _missing_keys(
    fields: Iterable[inspect.Field], value: Mapping[str, Any], place: str
) -> Iterator[BadInput]:
    """A fault for every key that the table needs and does not have."""
    for field in fields:
        key = field.encode_name
        if field.required and key not in value:
            todo = "add it; cimbo init shows a complete study"
            yield BadInput(_joined(place, key), "is missing", todo)


def _nearest_key(key: object, fields: Mapping[str, Any]) -> str:
    """What to do about an unknown key: the nearest key of its table, or the tables that have a key of this name."""
    if get_close_matches(str(key), fields, 1):
        return choose_from(key, sorted(fields))
    elsewhere = [f"[{table}]" for table, keys in _keys_of_tables().items() if key in keys]
    if elsewhere:
        return f"it stands in {' or '.join(elsewhere)}"
    return choose_from(key, sorted(fields))


@cache
def _keys_of_tables() -> dict[str, frozenset[str]]:
    """Table of a study to the keys that it may have."""
    study = _study_type()
    assert isinstance(study, inspect.StructType)
    keys_of_tables = {}
    for field in study.fields:
        for part in _parts(field.type):
            if isinstance(part, inspect.StructType):
                keys_of_tables[field.encode_name] = frozenset(f.encode_name for f in part.fields)
    return keys_of_tables


def _parts(expected: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a type is made of: alternatives of unions and entries of lists, at any depth; else itself."""
    if isinstance(expected, inspect.Metadata):
        yield from _parts(expected.type)
    elif isinstance(expected, inspect.UnionType):
        for each in expected.types:
            yield from _parts(each)
    elif isinstance(expected, inspect.ListType):
        yield from _parts(expected.item_type)
    else:
        yield expected


def _mapping_faults(expected: inspect.DictType, value: Any, place: str) -> Iterator[BadInput]:
    """Find every fault of a table that may have any keys."""
    if not isinstance(value, Mapping):
        yield _wrong_type(expected, value, place)
        return
    for key, inner in value.items():
        yield from _faults(expected.value_type, inner, _joined(place, str(key)))


def _list_faults(expected: inspect.ListType, value: Any, place: str) -> Iterator[BadInput]:
    """Find every fault of a list and of its entries."""
    if not isinstance(value, list | tuple):
        yield _wrong_type(expected, value, place)
        return
    if len(value) < (expected.min_length or 0):
        yield BadInput(place, "is empty", "add at least one entry")
    for i, inner in enumerate(value):
        yield from _faults(expected.item_type, inner, _joined(place, _entry_name(inner, i)))


def _entry_name(entry: Any, index: int) -> str:
    """What an entry of a list is called in a place: its name or metric where it has one, else its number."""
    if isinstance(entry, Mapping):
        for key in ("name", "metric"):
            if isinstance(entry.get(key), str):
                return str(entry[key])
    return str(index)


def _scalar_faults(expected: inspect.Type, value: Any, place: str) -> Iterator[BadInput]:
    """Find the fault of a value that is no table and no list: a wrong type, an unknown word, or a number out of bounds."""
    if isinstance(expected, inspect.LiteralType):
        if value not in expected.values:
            todo = choose_from(value, expected.values)
            yield BadInput(place, f"is {shown(value)}", todo)
        return
    if isinstance(expected, inspect.UnionType) or not _is_of(expected, value):
        yield _wrong_type(expected, value, place)
        return
    if isinstance(expected, inspect.IntType | inspect.FloatType):
        yield from _bound_faults(expected, value, place)


def _bound_faults(
    expected: inspect.IntType | inspect.FloatType, value: float, place: str
) -> Iterator[BadInput]:
    """A fault for a number that is too small or too large."""
    if expected.ge is not None and value < expected.ge:
        yield BadInput(place, f"is {shown(value)}", f"it must be at least {expected.ge}")
    if expected.gt is not None and value <= expected.gt:
        yield BadInput(place, f"is {shown(value)}", f"it must be above {expected.gt}")
    if expected.lt is not None and value >= expected.lt:
        yield BadInput(place, f"is {shown(value)}", f"it must be below {expected.lt}")


def _wrong_type(expected: inspect.Type, value: Any, place: str) -> BadInput:
    """The fault of a value of another type than the expected one, or ones."""
    if isinstance(expected, inspect.UnionType):
        alternatives = expected.types
    else:
        alternatives = (expected,)
    words = dict.fromkeys(TYPES_IN_WORDS.get(type(each), "another value") for each in alternatives)
    return BadInput(place, f"is {shown(value)}", f"it must be {' or '.join(words)}")


def _not_finite(value: Any, place: str) -> Iterator[BadInput]:
    """A fault for every number inside ``value`` that is not finite."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, _joined(place, str(key)))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _not_finite(inner, _joined(place, str(i)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield BadInput(place, f"is {value}", "give a finite number")


def _joined(*parts: str) -> str:
    """A place from its keys; empty ones are left out."""
    return ".".join(filter(None, parts))
