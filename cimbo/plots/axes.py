"""From values to places on a plot, in percent of its width or height, so that a plot fits any screen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cimbo.plots.quantity import number

_LARGEST_PLACED = 1e100  # beyond it, sums of floats overflow
_SMALLEST_PLACED = 1e-100  # below it, quotients of floats vanish
AXIS_PADDING = 0.05
MOST_LINEAR_TICKS = 12


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale from ``low`` to ``high`` (both in natural units) under a ``label``."""

    label: str
    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Find the place of a value on the axis.

        Args:
            value: In natural units.

        Returns:
            Percent of the way from low to high, kept within 0 and 100.
        """
        low, high = self._position(self.low), self._position(self.high)
        percent = 100 * (self._position(value) - low) / (high - low)
        return round(min(max(percent, 0.0), 100.0), 2)

    def _position(self, value: float) -> float:
        """A value, or its logarithm where the scale is logarithmic."""
        if self.log:
            return _logarithm(value)
        return _bounded(value)

    def down(self, value: float) -> float:
        """Find the place of a value measured from the top, as SVG counts.

        Args:
            value: In natural units.

        Returns:
            Percent of the way from high to low, kept within 0 and 100.
        """
        return round(100 - self.at(value), 2)

    def beyond(self, value: float) -> int:
        """Tell whether a value lies beyond the axis.

        Args:
            value: In natural units.

        Returns:
            1 for a value above the axis, -1 for one below, 0 for one on it.
        """
        return int(value > self.high) - int(value < self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """List places worth a label, with the label."""
        if self.log:
            return _log_ticks(self.low, self.high)
        return _linear_ticks(self.low, self.high)


def axis(label: str, values: Iterable[float], *, zero: bool = False) -> Axis:
    """Make an axis around values.

    It is logarithmic where they are positive and span more than a factor of ten.

    Args:
        label: What stands beside the axis.
        values: What it has to show; values that are not finite are ignored.
        zero: Keeps it linear, with 0 on it.

    Returns:
        An axis with some room at its ends; 0 to about 1 for no value at all.
    """
    finite = [_bounded(value) for value in values if math.isfinite(value)]
    if not finite:
        finite = [0.0, 1.0]
    low, high = min(finite), max(finite)
    if zero:
        return _axis_with_zero(label, low, high)
    if low > _SMALLEST_PLACED and high > 10 * low:
        room = (high / low) ** AXIS_PADDING
        return Axis(label, low / room, high * room, log=True)
    span = high - low
    if span <= max(1e-9 * max(abs(low), abs(high)), _SMALLEST_PLACED):  # one value, or all the same
        span = abs(low) if abs(low) > _SMALLEST_PLACED else 1.0
    return Axis(label, low - AXIS_PADDING * span, high + AXIS_PADDING * span)


def _logarithm(value: float) -> float:
    return math.log10(max(value, _SMALLEST_PLACED))


def _bounded(value: float) -> float:
    return min(max(value, -_LARGEST_PLACED), _LARGEST_PLACED)


def _axis_with_zero(label: str, low: float, high: float) -> Axis:
    """A linear axis from ``low`` to ``high`` and 0, with some room at the ends that are not 0."""
    top = high * (1 + AXIS_PADDING) if high > 0 else 0.0
    bottom = low * (1 + AXIS_PADDING) if low < 0 else 0.0
    return Axis(label, bottom, top if top > bottom else 1.0)


def counts(label: str, n: int) -> Axis:
    """Make the axis of evaluation numbers.

    Args:
        label: What stands beside the axis.
        n: The last number.

    Returns:
        A linear axis from 0 to ``n``, to 1 at least.
    """
    return Axis(label, 0.0, float(max(n, 1)))


def _linear_ticks(low: float, high: float) -> list[tuple[float, str]]:
    step = _linear_step(low, high)
    first = math.ceil(low / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    plain = step >= 1e-4 and max(abs(low), abs(high)) < 1e6
    ticks = []
    for i in range(MOST_LINEAR_TICKS):
        value = (first + i) * step
        if value > high * (1 + 1e-12) + 1e-9 * step:
            continue
        name = number(value)
        if plain:
            name = f"{value:,.{decimals}f}".replace("-", "−")
        ticks.append((value, name))
    return ticks


def _linear_step(low: float, high: float) -> float:
    """One, two or five times a power of ten, so that there are about five steps."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    for multiple in (1, 2, 5):
        if multiple * power >= rough * 0.999:
            return multiple * power
    return 10 * power


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = max(1, len(decades) // 6)
    values = []
    for decade in decades:
        if decade % every == 0:
            for multiple in _multiples(math.log10(high / low)):
                values.append(multiple * 10.0**decade)
    return [(value, number(value)) for value in values if low <= value <= high]


def _multiples(n_decades: float) -> tuple[int, ...]:
    """The multiples of powers of ten that have room on an axis of so many decades."""
    if n_decades < 1.9:
        return (1, 2, 5)
    if n_decades < 3:
        return (1, 3)
    return (1,)
