"""A picture of one design on its chip: time of each layer by what bounds it, and energy by part. One SVG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cimbo.plots import svg
from cimbo.plots.markup import Markup, join
from cimbo.plots.quantity import amount
from cimbo.plots.text_size import shortened, text_width

WIDTH, ROW = 860, 18  # pixels of the picture, and of a bar with its gap
MOST_LEFT = 320  # pixels for the names of layers; longer ones are cut with an ellipsis
VALUE_GAP = 6  # pixels between a bar and what it stands for
_SHORT_MS = 0.1  # below it times are written in µs
BOUND_COLOURS = {
    "compute": "#2258c9",
    "weight load": "#b8651b",
    "DRAM": "#c23b3b",
    "buffer": "#2b8a63",
    "NoC": "#7c4bc4",
    "vector": "#5d6873",
}


OTHER_COLOUR = "#98a2ac"  # of a layer that something else bounds
PART_COLOUR = "#2258c9"
FIRST_TOP = 60  # pixels above the first bar


@dataclass(frozen=True)
class _Bar:
    """A bar with its name."""

    name: str
    value: float
    colour: str


def picture(explained: Mapping[str, Any]) -> str:
    """Draw what a design costs: the time of each layer by what bounds it, and energy by part.

    Args:
        explained: What ``hardware.explain`` said of the design.

    Returns:
        One SVG file as text. Times are in µs where the latency is below 0.1 ms, else in ms.
    """
    layers = explained["layers"]
    metric, factor = "latency_ms", 1.0
    if explained["latency_ms"] < _SHORT_MS:
        metric, factor = "latency_us", 1e3
    times = []
    for layer in layers:
        colour = BOUND_COLOURS.get(layer["bound"], OTHER_COLOUR)
        times.append(_Bar(layer["name"], factor * layer["latency_ms"], colour))
    parts = []
    for name, value in explained["energy_by_part_uj"].items():
        if value > 0:
            parts.append(_Bar(name, value, PART_COLOUR))
    total = amount(metric, factor * explained["latency_ms"])
    first = _bars(f"Time by layer, {total} in all", metric, times, FIRST_TOP)
    second_top = FIRST_TOP + (len(times) + 4) * ROW
    total = amount("energy_uj", explained["energy_uj"])
    second = _bars(f"Energy by part, {total} in all", "energy_uj", parts, second_top)
    height = second_top + (len(parts) + 2) * ROW
    bounds = {layer["bound"] for layer in layers}
    legend = _legend([bound for bound in BOUND_COLOURS if bound in bounds])
    return svg.picture(WIDTH, height, legend, first, second)


def _bars(title: str, metric: str, bars: Sequence[_Bar], top: int) -> Markup:
    """Bars below one another, with names before and values behind them."""
    names = [shortened(bar.name, MOST_LEFT) for bar in bars]
    values = [amount(metric, bar.value) for bar in bars]
    left = 20 + max(map(text_width, names), default=0.0)
    room = WIDTH - left - 2 * VALUE_GAP - max(map(text_width, values), default=0.0)
    longest = max((bar.value for bar in bars), default=1.0) or 1.0
    drawn = [svg.label((12, top - 10), title, font_weight="bold", font_size=14)]
    for i, (name, written, bar) in enumerate(zip(names, values, bars, strict=True)):
        y = top + i * ROW
        length = bar.value / longest * room
        drawn.append(svg.label((left - 8, y + 13), name, text_anchor="end"))
        drawn.append(svg.box((left, y + 3), (length, ROW - 6), bar.colour))
        end = (left + length + VALUE_GAP, y + 13)
        drawn.append(svg.label(end, written, fill="#5d6873"))
    return join(drawn)


def _legend(bounds: Sequence[str]) -> Markup:
    marks = []
    left = 12.0
    for bound in bounds:
        marks.append(svg.box((left, 10), (12, 12), BOUND_COLOURS[bound]))
        marks.append(svg.label((left + 18, 20), bound))
        left += 18 + text_width(bound) + 24
    return join(marks)
