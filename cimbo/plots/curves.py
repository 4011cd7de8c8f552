"""Anytime curves with bands as one SVG picture that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cimbo.benchmarking.runner import Band
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, tag
from cimbo.plots.svg import label, picture, rule

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 200, 56, 34, 34  # pixels of a panel and around it
METHOD_COLOURS = {
    "cimbo": "#c8102e",
    "random": "#8a8a8a",
    "nsga2": "#1f77b4",
    "tpe": "#2ca02c",
    "gp-sampler": "#9467bd",
    "linas": "#ff7f0e",
    "botorch": "#17becf",
}


@dataclass(frozen=True)
class Panel:
    """One problem: its title, what the hypervolume is measured in, and a band a method."""

    title: str
    unit: str
    bands: Sequence[Band]


def svg(panels: Sequence[Panel], columns: int = 2) -> str:
    """The panels in rows of ``columns``, with a legend below."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    across, down = WIDTH + LEFT + 12, HEIGHT + TOP + GAP
    methods = list(dict.fromkeys(b.method for p in panels for b in p.bands))
    drawn = [
        tag(
            "g",
            _panel(p),
            transform=f"translate({LEFT + across * (i % columns)} {TOP + down * (i // columns)})",
        )
        for i, p in enumerate(panels)
    ]
    keys = [_key(m, LEFT + 110 * (i % (across * columns // 110))) for i, m in enumerate(methods)]
    legend = tag("g", *keys, transform=f"translate(0 {rows * down + 12})")
    return picture(across * columns, rows * down + 30, *drawn, legend)


def _panel(panel: Panel) -> Markup:
    x = counts("evaluations", int(max((b.at[-1] for b in panel.bands), default=1)))
    y = axis(panel.unit, [float(v) for b in panel.bands for v in b.high], zero=True)
    curves = [part for b in panel.bands for part in _curve(b, x, y)]
    title = label((0, -14), panel.title, font_weight="bold")
    unit = label((0, -2), panel.unit, fill="#555")
    return tag("g", title, unit, *_grid(x, y), *curves)


def _curve(band: Band, x: Axis, y: Axis) -> Iterable[Markup]:
    def points(values: Iterable[float]) -> list[str]:
        pairs = zip(band.at, values, strict=True)
        return [
            f"{WIDTH * x.at(a) / 100:.1f},{HEIGHT * y.down(float(v)) / 100:.1f}" for a, v in pairs
        ]

    colour = METHOD_COLOURS.get(band.method, "#333")
    yield tag(
        "path",
        d=f"M{' L'.join(points(band.high) + points(band.low)[::-1])}Z",
        fill=colour,
        fill_opacity="0.12",
    )
    yield tag(
        "path",
        d=f"M{' L'.join(points(band.median))}",
        fill="none",
        stroke=colour,
        stroke_width="1.8",
    )


def _grid(x: Axis, y: Axis) -> Iterable[Markup]:
    for value, name in y.ticks():
        at = HEIGHT * y.down(value) / 100
        yield rule((0, at), (WIDTH, at), "#e4e4e4")
        yield label((-5, at + 3.5), name, text_anchor="end")
    for value, name in x.ticks():
        yield label((WIDTH * x.at(value) / 100, HEIGHT + 15), name, text_anchor="middle")
    yield tag("path", d=f"M0,0 V{HEIGHT} H{WIDTH}", fill="none", stroke="#555")


def _key(method: str, left: int) -> Markup:
    colour = METHOD_COLOURS.get(method, "#333")
    stroke = rule((left, -4), (left + 18, -4), colour, stroke_width="2.5")
    return tag("g", stroke, label((left + 23, 0), method))
