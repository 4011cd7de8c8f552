"""A picture of one design on its chip: time of each layer by what bounds it, and energy by part. One SVG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def picture(explained: Mapping[str, Any]) -> str:
    """Draw what a design costs: the time of each layer by what bounds it, and energy by part.

    Args:
        explained: What ``hardware.explain`` said of the design.

    Returns:
        One SVG file as text. Times are in µs where the latency is below 0.1 ms, else in ms.
    """
    layers, total = explained["layers"], explained["latency_ms"]
    if total < _SHORT_MS:
        metric, factor = "latency_us", 1e3
    else:
        metric, factor = "latency_ms", 1.0
    times = []
    for layer in layers:
        times.append(
            (
                layer["name"],
                factor * layer["latency_ms"],
                BOUND_COLOURS.get(layer["bound"], "#98a2ac"),
            )
        )
    parts = []
    for name, value in explained["energy_by_part_uj"].items():
        if value > 0:
            parts.append((name, value, "#2258c9"))
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
    names = [shortened(name, MOST_LEFT) for name, _, _ in bars]
    values = [amount(metric, value) for _, value, _ in bars]
    left = 20 + max(map(text_width, names), default=0.0)
    room = WIDTH - left - 2 * VALUE_GAP - max(map(text_width, values), default=0.0)
    longest = max((value for _, value, _ in bars), default=1.0) or 1.0
    drawn = [svg.label((12, top - 10), title, font_weight="bold", font_size=14)]
    for i, (name, written, (_, value, colour)) in enumerate(zip(names, values, bars, strict=True)):
        y = top + i * ROW
        drawn.append(svg.label((left - 8, y + 13), name, text_anchor="end"))
        drawn.append(svg.box((left, y + 3), (value / longest * room, ROW - 6), colour))
        end = (left + value / longest * room + VALUE_GAP, y + 13)
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
