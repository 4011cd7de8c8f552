"""Why a row that somebody tells is refused, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from cimbo.errors import BadInput


def not_told(metric: str, told: Iterable[str]) -> BadInput:
    """Make the refusal of a row without a metric.

    Args:
        metric: The metric.
        told: What the row has.

    Returns:
        The error, not raised; it names the nearest metric that was told.
    """
    near = get_close_matches(metric, told, 1)
    todo = "give it, or say why the design failed"
    if near:
        todo = f"did you mean it by {near[0]}? {todo}"
    return BadInput(metric, "is not told", todo)


def unknown_key(key: str | None, known: Iterable[str]) -> BadInput:
    """Make the refusal of a key that nobody asked for.

    Args:
        key: The key.
        known: All keys that may be told.

    Returns:
        The error, not raised; it names the nearest key.
    """
    near = get_close_matches(str(key), known, 1)
    todo = "give the key of a design that cimbo ask printed, or its params"
    if near:
        todo = f"did you mean {near[0]}? {todo}"
    return BadInput(f"key {key}", "was never asked for", todo)


def only_one(key: str, known: Iterable[str]) -> str:
    """Find the design that is handed out whose key starts so.

    Args:
        key: The key, which may be shortened.
        known: The keys of what is handed out.

    Returns:
        The whole key.

    Raises:
        BadInput: No key starts so, or several do.
    """
    found = [name for name in known if name.startswith(key)]
    if len(found) != 1:
        what = f"is that of {len(found)} designs that are handed out"
        raise BadInput(f"KEY {key}", what, "cimbo status lists them")
    return found[0]
