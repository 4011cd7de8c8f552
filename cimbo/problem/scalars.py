"""Numbers as users have them: of Python, numpy, torch, pandas, decimal. Imports none of these libraries."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from cimbo.errors import BadInput

SHOWN_CHARACTERS = 60  # how much of a refused value a message shows


def shown(value: object) -> str:
    """Writes a value for a message of one line.

    Args:
        value: Anything, also what cannot be printed.

    Returns:
        Its repr, cut to SHOWN_CHARACTERS characters; of an integer of many digits the number of its
        bits, and of what cannot be printed its type.
    """
    if isinstance(value, int) and abs(value) > 10**SHOWN_CHARACTERS:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    # Of a user's own class, or of a list that holds an integer of 5,000 digits
    except Exception as error:
        return f"a {type(value).__name__} ({type(error).__name__})"
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return text[: SHOWN_CHARACTERS - 3] + "..."


def plain(value: object) -> object:
    """Turns a scalar of numpy, torch or pandas, or an array of one element, into Python's own.

    Args:
        value: Anything.

    Returns:
        The scalar; ``value`` itself where it is nothing of that kind, or holds several.
    """
    item: Callable[[], object] | None = getattr(value, "item", None)
    if not callable(item):
        return value
    try:
        return item()
    except (TypeError, ValueError, RuntimeError):  # an array of several
        return value


def number(value: object) -> float | None:
    """Reads ``value`` as a float.

    Args:
        value: int, float, Decimal, Fraction, a numpy or torch scalar, an array of one.

    Returns:
        The number, which may be NaN or infinite; None for text, None, complex numbers, collections of several, and
        integers beyond the range of a float.
    """
    value = plain(value)
    if value is None or isinstance(value, str | bytes | bytearray | complex):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except Exception:  # a user's own class may raise anything
        return None


def finite(value: object) -> float | None:
    """Reads a value as `number` does, and refuses NaN and infinities.

    Args:
        value: Anything.

    Returns:
        The finite number; None where it is none.
    """
    read = number(value)
    if read is not None and math.isfinite(read):
        return read
    return None


def is_absent(value: object) -> bool:
    """Tells whether a value stands for no value in a table.

    Args:
        value: Anything.

    Returns:
        True for None, NaN, and pandas' NA and NaT.
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and bool(value != value)


def integer(
    where: str,
    value: object,
    least: int | None = None,
    most: int | None = None,
) -> int:
    """Reads a value as an integer within bounds.

    Args:
        where: What the value is of, for the error.
        value: An integer of Python or numpy, or an array of one.
        least: The smallest it may be; None: no bound.
        most: The greatest it may be; None: no bound.

    Returns:
        The integer, as Python's own.

    Raises:
        BadInput: For a bool, a float, text, or an integer out of range; it names ``where``.
    """
    whole = _index(plain(value))
    if whole is None:
        raise BadInput(where, f"{shown(value)} is no integer", _remedy(least, most))
    is_too_small = least is not None and whole < least
    is_too_large = most is not None and whole > most
    if is_too_small or is_too_large:
        raise BadInput(where, f"{shown(whole)} is out of range", _remedy(least, most))
    return whole


def _index(value: object) -> int | None:
    """An integer of any kind as Python's own; None for bools, floats and anything else."""
    if isinstance(value, bool | float) or not hasattr(value, "__index__"):
        return None
    try:
        return operator.index(value)
    except Exception:  # an array of several, or a user's own class
        return None


def _remedy(least: int | None, most: int | None) -> str:
    """Say which integers are allowed, for a message."""
    bounds = []
    if least is not None:
        bounds.append(f"at least {least}")
    if most is not None:
        bounds.append(f"at most {most}")
    if bounds:
        return f"give an integer of {' and '.join(bounds)}"
    return "give an integer"


def finite_json(value: object) -> Any:
    """Replaces NaN and infinities, which JSON cannot hold, by None.

    Args:
        value: Numbers, texts, lists, tuples and tables of these.

    Returns:
        The same with None in the place of NaN and infinities, and lists in that of tuples.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: finite_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(inner) for inner in value]
    return value
