"""Checks what a study.toml says against the types of its tables, one line a fault, with its place and the nearest word."""

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
        BadInput: Naming each place that is wrong, one line a fault.
    """
    faults = [_named(name, fault) for fault in _faults(_study_type(), data, "")]
    if len(faults) > 1:
        raise SeveralFaults(faults)
    if faults:
        raise faults[0]
    return msgspec.convert(data, StudyTable)


def _named(name: str, fault: BadInput) -> BadInput:
    """The fault with the name of the file or preset before its place."""
    where = ", ".join(filter(None, (name, fault.where)))
    return BadInput(where, fault.what, fault.todo)


@cache
def _study_type() -> inspect.Type:
    return inspect.type_info(StudyTable)


def _faults(kind: inspect.Type, value: Any, place: str) -> Iterator[BadInput]:
    """Every fault of ``value``, which stands at ``place`` and has to be of ``kind``."""
    kind = _meant(kind, value)
    if isinstance(value, float) and not math.isfinite(value):
        yield BadInput(place, f"is {value}", "give a finite number")
    elif isinstance(kind, inspect.StructType):
        yield from _table_faults(kind, value, place)
    elif isinstance(kind, inspect.DictType):
        yield from _mapping_faults(kind, value, place)
    elif isinstance(kind, inspect.ListType):
        yield from _list_faults(kind, value, place)
    elif isinstance(kind, inspect.AnyType):
        yield from _not_finite(value, place)
    else:
        yield from _scalar_faults(kind, value, place)


def _meant(kind: inspect.Type, value: Any) -> inspect.Type:
    """``kind`` itself; of several alternatives the one that ``value`` is of, or else all that are no null."""
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if not isinstance(kind, inspect.UnionType):
        return kind
    kinds = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
    for each in kinds:
        if _is_of(each, value):
            return each
    if len(kinds) == 1:
        return kinds[0]
    return inspect.UnionType(tuple(kinds))


def _is_of(kind: inspect.Type, value: Any) -> bool:
    """Whether a value is of a kind; it is of every kind that PYTHON_TYPES does not list."""
    if isinstance(value, bool) and isinstance(kind, NUMBER_TYPES):
        return False  # though Python counts true and false among the integers
    return isinstance(value, PYTHON_TYPES.get(type(kind), (object,)))


def _table_faults(table: inspect.StructType, value: Any, place: str) -> Iterator[BadInput]:
    if not isinstance(value, Mapping):
        yield _wrong_kind(table, value, place)
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
    """The nearest key of this table; where none is near and the key belongs to another table, that one."""
    if get_close_matches(str(key), fields, 1):
        return choose_from(key, sorted(fields))
    elsewhere = [f"[{table}]" for table, keys in _keys_of_tables().items() if key in keys]
    if elsewhere:
        return f"it stands in {' or '.join(elsewhere)}"
    return choose_from(key, sorted(fields))


@cache
def _keys_of_tables() -> dict[str, frozenset[str]]:
    """The keys of every table of a study, by the table's name."""
    study = _study_type()
    assert isinstance(study, inspect.StructType)
    found = {}
    for field in study.fields:
        for kind in _parts(field.type):
            if isinstance(kind, inspect.StructType):
                found[field.encode_name] = frozenset(f.encode_name for f in kind.fields)
    return found


def _parts(kind: inspect.Type) -> Iterator[inspect.Type]:
    """Each side of a union and the entries of a list, of whatever depth; of another type itself."""
    if isinstance(kind, inspect.Metadata):
        yield from _parts(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _parts(each)
    elif isinstance(kind, inspect.ListType):
        yield from _parts(kind.item_type)
    else:
        yield kind


def _mapping_faults(kind: inspect.DictType, value: Any, place: str) -> Iterator[BadInput]:
    if not isinstance(value, Mapping):
        yield _wrong_kind(kind, value, place)
        return
    for key, inner in value.items():
        yield from _faults(kind.value_type, inner, _joined(place, str(key)))


def _list_faults(kind: inspect.ListType, value: Any, place: str) -> Iterator[BadInput]:
    if not isinstance(value, list | tuple):
        yield _wrong_kind(kind, value, place)
        return
    if len(value) < (kind.min_length or 0):
        yield BadInput(place, "is empty", "add at least one entry")
    for i, inner in enumerate(value):
        yield from _faults(kind.item_type, inner, _joined(place, _entry_name(inner, i)))


def _entry_name(entry: Any, index: int) -> str:
    """An entry of a list by its name rather than its number."""
    if isinstance(entry, Mapping):
        for key in ("name", "metric"):
            if isinstance(entry.get(key), str):
                return str(entry[key])
    return str(index)


def _scalar_faults(kind: inspect.Type, value: Any, place: str) -> Iterator[BadInput]:
    if isinstance(kind, inspect.LiteralType):
        if value not in kind.values:
            todo = choose_from(value, kind.values)
            yield BadInput(place, f"is {shown(value)}", todo)
        return
    if isinstance(kind, inspect.UnionType) or not _is_of(kind, value):
        yield _wrong_kind(kind, value, place)
        return
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        yield from _bound_faults(kind, value, place)


def _bound_faults(
    kind: inspect.IntType | inspect.FloatType, value: float, place: str
) -> Iterator[BadInput]:
    """A fault for a number that is too small."""
    if kind.ge is not None and value < kind.ge:
        yield BadInput(place, f"is {shown(value)}", f"it must be at least {kind.ge}")
    if kind.gt is not None and value <= kind.gt:
        yield BadInput(place, f"is {shown(value)}", f"it must be above {kind.gt}")


def _wrong_kind(kind: inspect.Type, value: Any, place: str) -> BadInput:
    if isinstance(kind, inspect.UnionType):
        kinds = kind.types
    else:
        kinds = (kind,)
    words = dict.fromkeys(TYPES_IN_WORDS.get(type(each), "another value") for each in kinds)
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
    return ".".join(filter(None, parts))
