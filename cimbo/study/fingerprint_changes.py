"""What differs between two fingerprints of what evaluates, as lines that a user reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cimbo.evaluation.declared_files import FILES
from cimbo.evaluation.fingerprint import CODE

# By part, the entry that holds a digest of a function's file with its comments. It says nothing more where the part tells the
# code, and is kept because earlier releases told nothing else.
WHOLE_FILES = {"network": "accuracy_file", "evaluator": "file"}
# By part, the entry that names the function. Of another function the code is another one in any case.
FUNCTION_NAMES = {"network": "accuracy", "evaluator": "python"}


def differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    """List what differs between two fingerprints.

    Args:
        before: The earlier fingerprint, or a part of it.
        now: The later one, or the same part of it.
        where: The names that lead to the part, with dots between them; "" for the whole.

    Yields:
        A line for each difference, such as ``hardware.fixed.node_nm was 22, is 65``.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*before, *now)):
            place = ".".join(filter(None, (where, name)))
            yield from differences(before.get(name), now.get(name), place)
    elif before != now:
        yield f"{where} was {_shown(before)}, is {_shown(now)}"


def identity(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a fingerprint another one: all but the comments of a function's file.

    Args:
        fingerprint: The fingerprint, by part.

    Returns:
        The fingerprint; of a part that tells the code, without the digest of the whole file.
    """
    kept = dict(fingerprint)
    for name, entry in WHOLE_FILES.items():
        if CODE in _part(fingerprint, name):
            kept = _without(kept, name, entry)
    return kept


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say what differs between two fingerprints, files first and by their names.

    What only one of them could tell does not count: earlier releases told no code, and files may be
    declared later.

    Args:
        before: The earlier fingerprint.
        now: The later one.

    Returns:
        A line for each difference; none where both measure the same.
    """
    before, now = _comparable(before, now)
    found: list[str] = []
    for entry in (FILES, CODE):
        for name in dict.fromkeys((*before, *now)):
            files = (_part(each, name).get(entry, {}) for each in (before, now))
            found += _changed_files(*files)
            before, now = (_without(each, name, entry) for each in (before, now))
    return [*found, *differences(before, now)]


def _comparable(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Two fingerprints, in each part with the code or the files only where both tell them."""
    for name in before:
        for entry in (CODE, FILES):
            if (entry in _part(before, name)) != (entry in _part(now, name)):
                before, now = (_without(each, name, entry) for each in (before, now))
    before, now = identity(before), identity(now)
    for name, entry in FUNCTION_NAMES.items():
        if _part(before, name).get(entry) != _part(now, name).get(entry):
            before, now = (_without(each, name, CODE) for each in (before, now))
    return before, now


def _part(fingerprint: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a fingerprint; empty where it has none of that name."""
    part = fingerprint.get(name)
    if isinstance(part, Mapping):
        return part
    return {}


def _without(fingerprint: Mapping[str, Any], name: str, entry: str) -> dict[str, Any]:
    """A fingerprint without one entry of a part."""
    kept = dict(fingerprint)
    if entry in _part(fingerprint, name):
        kept[name] = {key: value for key, value in fingerprint[name].items() if key != entry}
    return kept


def _changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """A line for every file whose digest is another one, or that only one side has."""
    for name in dict.fromkeys((*before, *now)):
        if name not in now:
            yield f"the file {name} is not read any more"
        elif name not in before:
            yield f"the file {name} is read now"
        elif before[name] != now[name]:
            yield f"the file {name} has changed"


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    return f"{value!r:.60}"
