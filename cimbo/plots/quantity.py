"""Metrics as people read them: a name, a unit taken from it, and numbers of four digits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from cimbo.problem.objectives import name_and_unit


def unit(metric: str) -> str:
    """The unit at the end of a metric's name ("ms" of ``latency_ms``), "" where it carries none."""
    return re.sub(r"^u(?=[sJWm])", "µ", name_and_unit(metric)[1]).replace("m2", "m²")


def spoken(metric: str) -> str:
    """The name without its unit: "latency" of ``latency_ms``."""
    return re.sub(r"(?<=\w)_+(?=\w)", " ", name_and_unit(metric)[0])


def label(metric: str) -> str:
    """ "latency (ms)" of ``latency_ms``."""
    return f"{spoken(metric)} ({unit(metric)})" if unit(metric) else spoken(metric)


def number(value: float | None) -> str:
    """Four significant digits, thousands apart, a true minus sign; "–" for what is not there."""
    if value is None or math.isnan(value):
        return "–"
    size = abs(value)
    if math.isinf(size):
        written = "∞"
    elif size >= 1e7 or 0 < size < 1e-3:
        digits, _, power = f"{size:.3e}".partition("e")
        written = f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    elif size >= 1000:
        written = f"{size:,.0f}"
    else:
        written = f"{size:.4g}"
    return f"−{written}" if value < 0 else written


def aligned(values: Sequence[float | None]) -> list[str]:
    """A column of numbers with the same decimals: four digits of the largest, three of the smallest."""
    sizes = [abs(v) for v in values if v]
    if not sizes or max(sizes) > 1e4 * min(sizes) or not 1e-5 < max(sizes) < 1e7:
        return [number(v) for v in values]
    most, least = (math.floor(math.log10(size)) for size in (max(sizes), min(sizes)))
    decimals = max(3 - most, 2 - least, 0)
    return ["–" if v is None else f"{v:,.{decimals}f}".replace("-", "−") for v in values]


def rough(value: float) -> str:
    """Two significant digits: enough for an uncertainty."""
    return number(float(f"{value:.2g}"))


def amount(metric: str, value: float | None) -> str:
    """A number with its unit: "0.612 ms"."""
    name = unit(metric)
    return f"{number(value)}\u00a0{name}" if name and value is not None else number(value)
