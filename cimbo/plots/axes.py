"""From values to places on a plot, in percent of its width or height, so that a plot fits any screen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cimbo.plots.quantity import number

_LARGEST, _SMALLEST = 1e100, 1e-100  # beyond these, sums and quotients of floats overflow or vanish
AXIS_PADDING = 0.05


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale from ``low`` to ``high`` (both in natural units) under a ``label``."""

    label: str
    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Finds the place of a value on the axis.

        Args:
            value: In natural units.

        Returns:
            Percent of the way from low to high, kept within 0 and 100.
        """
        if self.log:
            value, low, high = (math.log10(max(v, _SMALLEST)) for v in (value, self.low, self.high))
        else:
            value, low, high = min(max(value, -_LARGEST), _LARGEST), self.low, self.high
        return round(min(max(100 * (value - low) / (high - low), 0.0), 100.0), 2)

    def down(self, value: float) -> float:
        """Finds the place of a value measured from the top, as SVG counts.

        Args:
            value: In natural units.

        Returns:
            Percent of the way from high to low, kept within 0 and 100.
        """
        return round(100 - self.at(value), 2)

    def beyond(self, value: float) -> int:
        """Says whether a value lies beyond the axis.

        Args:
            value: In natural units.

        Returns:
            1 for a value above the axis, -1 for one below, 0 for one on it.
        """
        return int(value > self.high) - int(value < self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Places worth a label, with the label."""
        if self.log:
            return _log_ticks(self.low, self.high)
        return _linear_ticks(self.low, self.high)


def axis(label: str, values: Iterable[float], *, zero: bool = False) -> Axis:
    """Makes an axis around values.

    It is logarithmic where they are positive and span more than a factor of ten.

    Args:
        label: What stands beside the axis.
        values: What it has to show; values that are not finite are ignored.
        zero: Keeps it linear, with 0 on it.

    Returns:
        An axis with some room at its ends; 0 to about 1 for no value at all.
    """
    finite = []
    for v in values:
        if math.isfinite(v):
            finite.append(min(max(v, -_LARGEST), _LARGEST))
    if finite:
        low, high = min(finite), max(finite)
    else:
        low, high = 0.0, 1.0
    if zero:
        top = high * (1 + AXIS_PADDING) if high > 0 else 0.0
        bottom = low * (1 + AXIS_PADDING) if low < 0 else 0.0
        return Axis(label, bottom, top if top > bottom else 1.0)
    if low > _SMALLEST and high > 10 * low:
        room = (high / low) ** AXIS_PADDING
        return Axis(label, low / room, high * room, log=True)
    span = high - low
    if span <= max(1e-9 * max(abs(low), abs(high)), _SMALLEST):  # one value, or all the same
        span = abs(low) if abs(low) > _SMALLEST else 1.0
    return Axis(label, low - AXIS_PADDING * span, high + AXIS_PADDING * span)


def counts(label: str, n: int) -> Axis:
    """Makes the axis of evaluation numbers.

    Args:
        label: What stands beside the axis.
        n: The last number.

    Returns:
        A linear axis from 0 to ``n``, to 1 at least.
    """
    return Axis(label, 0.0, float(max(n, 1)))


def _linear_ticks(low: float, high: float) -> list[tuple[float, str]]:
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    values = []
    for i in range(12):
        if (first + i) * step <= high * (1 + 1e-12) + 1e-9 * step:
            values.append((first + i) * step)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    plain = step >= 1e-4 and max(abs(low), abs(high)) < 1e6
    linear_ticks = []
    for v in values:
        linear_ticks.append((v, f"{v:,.{decimals}f}".replace("-", "−") if plain else number(v)))
    return linear_ticks


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = math.log10(high / low)
    if wide < 1.9:
        steps = [1, 2, 5]
    elif wide < 3:
        steps = [1, 3]
    else:
        steps = [1]
    every = max(1, len(decades) // 6)
    values = []
    for d in decades:
        if d % every == 0:
            for m in steps:
                values.append(m * 10.0**d)
    return [(v, number(v)) for v in values if low <= v <= high]
