"""Anytime curves with bands as one SVG picture that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cimbo.benchmarking.runner import Band
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, tag, text

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 200, 56, 34, 34  # pixels of a panel and around it
COLOURS = {
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
    width, height = across * columns, rows * down + 30
    picture = tag(
        "svg",
        tag("rect", width=width, height=height, fill="white"),
        *drawn,
        legend,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        font_family="sans-serif",
        font_size="11",
    )
    return picture + "\n"


def _panel(panel: Panel) -> Markup:
    x = counts("evaluations", int(max((b.at[-1] for b in panel.bands), default=1)))
    y = axis(panel.unit, [float(v) for b in panel.bands for v in b.high], zero=True)
    curves = [part for b in panel.bands for part in _curve(b, x, y)]
    title = tag("text", text(panel.title), x="0", y="-14", font_weight="bold")
    return tag(
        "g", title, tag("text", text(panel.unit), x="0", y="-2", fill="#555"), *_grid(x, y), *curves
    )


def _curve(band: Band, x: Axis, y: Axis) -> Iterable[Markup]:
    def points(values: Iterable[float]) -> list[str]:
        pairs = zip(band.at, values, strict=True)
        return [
            f"{WIDTH * x.at(a) / 100:.1f},{HEIGHT * y.down(float(v)) / 100:.1f}" for a, v in pairs
        ]

    colour = COLOURS.get(band.method, "#333")
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
    for value, label in y.ticks():
        at = f"{HEIGHT * y.down(value) / 100:.1f}"
        yield tag("line", x1="0", x2=str(WIDTH), y1=at, y2=at, stroke="#e4e4e4")
        yield tag("text", label, x="-5", y=at, dy="3.5", text_anchor="end")
    for value, label in x.ticks():
        yield tag(
            "text",
            label,
            x=f"{WIDTH * x.at(value) / 100:.1f}",
            y=str(HEIGHT + 15),
            text_anchor="middle",
        )
    yield tag("path", d=f"M0,0 V{HEIGHT} H{WIDTH}", fill="none", stroke="#555")


def _key(method: str, left: int) -> Markup:
    stroke = tag(
        "line",
        x1=str(left),
        x2=str(left + 18),
        y1="-4",
        y2="-4",
        stroke=COLOURS.get(method, "#333"),
        stroke_width="2.5",
    )
    return tag("g", stroke, tag("text", method, x=str(left + 23), y="0"))
