"""A picture of one design on its chip: time of each layer by what bounds it, and energy by part. One SVG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cimbo.plots import svg
from cimbo.plots.markup import Markup, join
from cimbo.plots.quantity import amount

WIDTH, LEFT, ROW = 860, 190, 18
_SHORT_MS = 0.1  # below it times are written in µs
BOUND_COLOURS = {
    "compute": "#2258c9",
    "weight load": "#b8651b",
    "DRAM": "#c23b3b",
    "buffer": "#2b8a63",
    "NoC": "#7c4bc4",
    "vector": "#5d6873",
}


def picture(explained: Mapping[str, Any]) -> str:
    """Draw what a design costs: the time of each layer by what bounds it, and energy by part.

    Args:
        explained: What ``hardware.explain`` said of the design.

    Returns:
        One SVG file as text. Times are in µs where the latency is below 0.1 ms, else in ms.
    """
    layers, total = explained["layers"], explained["latency_ms"]
    metric, factor = ("latency_us", 1e3) if total < _SHORT_MS else ("latency_ms", 1.0)
    times = [
        (layer["name"], factor * layer["latency_ms"], BOUND_COLOURS.get(layer["bound"], "#98a2ac"))
        for layer in layers
    ]
    parts = [
        (name, value, "#2258c9")
        for name, value in explained["energy_by_part_uj"].items()
        if value > 0
    ]
    legend = _legend([b for b in BOUND_COLOURS if any(layer["bound"] == b for layer in layers)])
    first = _bars(f"Time by layer, {amount(metric, factor * total)} in all", metric, times, 60)
    second_top = 60 + (len(times) + 4) * ROW
    second = _bars(
        f"Energy by part, {amount('energy_uj', explained['energy_uj'])} in all",
        "energy_uj",
        parts,
        second_top,
    )
    height = second_top + (len(parts) + 2) * ROW
    return svg.picture(WIDTH, height, legend, first, second)


def _bars(title: str, metric: str, bars: Sequence[tuple[str, float, str]], top: int) -> Markup:
    longest = max((value for _, value, _ in bars), default=1.0) or 1.0
    scale = (WIDTH - LEFT - 110) / longest
    drawn = [svg.label((12, top - 10), title, font_weight="bold", font_size=14)]
    for i, (name, value, colour) in enumerate(bars):
        y = top + i * ROW
        drawn.append(svg.label((LEFT - 8, y + 13), name, text_anchor="end"))
        drawn.append(svg.box((LEFT, y + 3), (value * scale, ROW - 6), colour))
        end = (LEFT + value * scale + 6, y + 13)
        drawn.append(svg.label(end, amount(metric, value), fill="#5d6873"))
    return join(drawn)


def _legend(bounds: Sequence[str]) -> Markup:
    marks = []
    for i, bound in enumerate(bounds):
        marks.append(svg.box((12 + 120 * i, 10), (12, 12), BOUND_COLOURS[bound]))
        marks.append(svg.label((30 + 120 * i, 20), bound))
    return join(marks)
