"""Metrics as people read them: a name, a unit taken from it, and numbers of four digits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from cimbo.problem.units import name_and_unit


def unit(metric: str) -> str:
    """Read the unit at the end of a metric's name.

    Args:
        metric: A metric, such as ``latency_ms``.

    Returns:
        The unit as people write it ("ms", "µJ", "mm²"); "" where the name carries none.
    """
    written = re.sub(r"^u(?=[sJWmAV])", "µ", name_and_unit(metric)[1])
    return written.replace("m2", "m²").replace("ohm", "Ω")


def spoken(metric: str) -> str:
    """Read a metric's name without its unit: "latency" of ``latency_ms``.

    Args:
        metric: A metric.

    Returns:
        The name, with spaces for underscores.
    """
    return re.sub(r"(?<=\w)_+(?=\w)", " ", name_and_unit(metric)[0])


def label(metric: str) -> str:
    """Write a metric for a label: "latency (ms)" of ``latency_ms``.

    Args:
        metric: A metric.

    Returns:
        Its name, and its unit in parentheses where it carries one.
    """
    if unit(metric):
        return f"{spoken(metric)} ({unit(metric)})"
    return spoken(metric)


def number(value: float | None) -> str:
    """Write a number for people to read.

    Args:
        value: The number; None where there is none.

    Returns:
        Four significant digits, thousands apart, a true minus sign; "–" for None and for NaN.
    """
    if value is None or math.isnan(value):
        return "–"
    if value < 0:
        return f"−{_digits(-value)}"
    return _digits(value)


def _digits(size: float) -> str:
    """A number that is not negative, with four significant digits."""
    if math.isinf(size):
        return "∞"
    if size >= 1e7 or 0 < size < 1e-3:
        digits, _, power = f"{size:.3e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    if size >= 1000:
        return f"{size:,.0f}"
    return f"{size:.4g}"


def aligned(values: Sequence[float | None]) -> list[str]:
    """Write a column of numbers with the same decimals.

    Args:
        values: The numbers; None where there is none.

    Returns:
        Four digits of the largest and three of the smallest. As `number` writes each where
        they span more than four decades, or are all very large or small.
    """
    sizes = [abs(v) for v in values if v]
    if not sizes or max(sizes) > 1e4 * min(sizes) or not 1e-5 < max(sizes) < 1e7:
        return [number(v) for v in values]
    most = math.floor(math.log10(max(sizes)))
    least = math.floor(math.log10(min(sizes)))
    decimals = max(3 - most, 2 - least, 0)
    return [_with_decimals(value, decimals) for value in values]


def _with_decimals(value: float | None, decimals: int) -> str:
    if value is None:
        return "–"
    return f"{value:,.{decimals}f}".replace("-", "−")


def rough(value: float) -> str:
    """Write two significant digits: enough for an uncertainty.

    Args:
        value: The number.

    Returns:
        The rounded number, as `number` writes it.
    """
    return number(float(f"{value:.2g}"))


def amount(metric: str, value: float | None) -> str:
    """Write a number with its unit: "0.612 ms".

    Args:
        metric: A metric, whose name carries the unit.
        value: The number; None where there is none.

    Returns:
        Number and unit with a hard space between; the number alone without a unit.
    """
    name = unit(metric)
    if name and value is not None:
        return f"{number(value)}\u00a0{name}"
    return number(value)
