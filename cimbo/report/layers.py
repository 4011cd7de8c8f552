"""The layers of one design: what bounds each, and its share of time and energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount


def section(layers: Sequence[Mapping[str, Any]]) -> Markup:
    """Tabulate the layers of one design, folded.

    Args:
        layers: Each layer's name, bound, latency_ms and energy_uj by part.

    Returns:
        A row a layer; the bars compare its time with the slowest layer's and its energy with the
        hungriest's. Nothing for no layers.
    """
    if not layers:
        return Markup()
    energies = [sum(layer["energy_uj"].values()) for layer in layers]
    slowest, hungriest = max(layer["latency_ms"] for layer in layers), max(energies)
    head = tag(
        "tr", *(tag("th", name, scope="col") for name in ("layer", "bound by", "time", "energy"))
    )
    rows = []
    for layer, energy in zip(layers, energies, strict=True):
        rows.append(
            tag(
                "tr",
                tag("td", layer["name"]),
                tag("td", layer["bound"]),
                _bar("latency_ms", layer["latency_ms"], slowest),
                _bar("energy_uj", energy, hungriest),
            )
        )
    counted = f"{len(layers)} layers: what bounds them, time and energy"
    return tag("details", tag("summary", counted), tag("table", head, join(rows)), class_="layers")


def _bar(metric: str, value: float, largest: float) -> Markup:
    width = f"{100 * value / largest if largest else 0:.0f}%"
    return tag("td", tag("svg", tag("rect", width=width, height="100%")), amount(metric, value))
