"""Anytime curves with bands as one SVG picture that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from cimbo.benchmarking.runner import Band
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, tag
from cimbo.plots.svg import label, picture, rule

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 200, 56, 34, 34  # pixels of a panel and around it
KEY_HEIGHT = 16  # pixels of a line of the legend
KEY_STROKE, KEY_GAP = 23, 18  # pixels before a key's name, and after it
LETTER_WIDTH = 6.4  # pixels of a letter of a legend, on the wide side
#: Beyond so many methods bands would hide curves: only cimbo's is drawn
MAX_BANDS = 5


@dataclass(frozen=True)
class Stroke:
    """How a method's curve is drawn; ``dash`` as SVG has it, none when empty."""

    colour: str
    dash: str = ""


METHOD_STROKES = {
    "cimbo": Stroke("#c8102e"),
    "cimbo-exact": Stroke("#c8102e", "7 3"),
    "random": Stroke("#8a8a8a"),
    "nsga2": Stroke("#1f77b4"),
    "moead": Stroke("#1f77b4", "7 3"),
    "tpe": Stroke("#2ca02c"),
    "gp-sampler": Stroke("#9467bd"),
    "auto-sampler": Stroke("#2ca02c", "7 3"),
    "linas": Stroke("#ff7f0e"),
    "botorch": Stroke("#17becf"),
    "smac": Stroke("#8c564b"),
    "hebo": Stroke("#e377c2"),
    "baybe": Stroke("#bcbd22"),
    "ax": Stroke("#17becf", "7 3"),
}
#: For methods that have no stroke of their own, in turn
OTHER_STROKES = (
    Stroke("#333333"),
    Stroke("#333333", "7 3"),
    Stroke("#333333", "2 3"),
    Stroke("#7f3f98", "2 3"),
    Stroke("#006d5b", "2 3"),
)


@dataclass(frozen=True)
class Panel:
    """One problem: its title, what the hypervolume is measured in, and a band a method."""

    title: str
    unit: str
    bands: Sequence[Band]


def svg(panels: Sequence[Panel], columns: int = 2) -> str:
    """Draws the panels in rows, with a legend below.

    Args:
        panels: What is drawn, one at least.
        columns: Panels in a row.

    Returns:
        An SVG document.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    across, down = WIDTH + LEFT + 12, HEIGHT + TOP + GAP
    methods = list(dict.fromkeys(b.method for p in panels for b in p.bands))
    strokes = _strokes(methods)
    drawn = [
        tag(
            "g",
            _panel(p, strokes),
            transform=f"translate({LEFT + across * (i % columns)} {TOP + down * (i // columns)})",
        )
        for i, p in enumerate(panels)
    ]
    places = _key_places(methods, across * columns - 12)
    keys = [_key(m, strokes[m], places[m]) for m in methods]
    legend = tag("g", *keys, transform=f"translate(0 {rows * down + 12})")
    below = max((top for _, top in places.values()), default=0)
    return picture(across * columns, rows * down + 30 + below, *drawn, legend)


def _strokes(methods: Sequence[str]) -> dict[str, Stroke]:
    """A stroke for each method, none of them twice while there are enough."""
    others = cycle(OTHER_STROKES)
    return {m: METHOD_STROKES[m] if m in METHOD_STROKES else next(others) for m in methods}


def _key_places(methods: Sequence[str], width: int) -> dict[str, tuple[int, int]]:
    """Left and top of each key in pixels: as many in a line as ``width`` has room for."""
    found = {}
    left, top = LEFT, 0
    for method in methods:
        taken = round(KEY_STROKE + LETTER_WIDTH * len(method) + KEY_GAP)
        if left > LEFT and left + taken - KEY_GAP > width:
            left, top = LEFT, top + KEY_HEIGHT
        found[method] = (left, top)
        left += taken
    return found


def _panel(panel: Panel, strokes: Mapping[str, Stroke]) -> Markup:
    x = counts("evaluations", int(max((b.at[-1] for b in panel.bands), default=1)))
    y = axis(panel.unit, [float(v) for b in panel.bands for v in b.high], zero=True)
    curves: list[Markup] = []
    for band in panel.bands:
        if len(panel.bands) <= MAX_BANDS or band.method == "cimbo":
            curves.append(_area(band, strokes[band.method], x, y))
    for band in reversed(panel.bands):  # the first one lies on top
        curves.append(_line(band, strokes[band.method], x, y))
    title = label((0, -14), panel.title, font_weight="bold")
    unit = label((0, -2), panel.unit, fill="#555")
    return tag("g", title, unit, *_grid(x, y), *curves)


def _places(band: Band, values: Iterable[float], x: Axis, y: Axis) -> list[str]:
    """Pixels of a curve's points."""
    pairs = zip(band.at, values, strict=True)
    return [f"{WIDTH * x.at(a) / 100:.1f},{HEIGHT * y.down(float(v)) / 100:.1f}" for a, v in pairs]


def _area(band: Band, stroke: Stroke, x: Axis, y: Axis) -> Markup:
    """From the least to the largest of a method's seeds."""
    around = _places(band, band.high, x, y) + _places(band, band.low, x, y)[::-1]
    return tag("path", d=f"M{' L'.join(around)}Z", fill=stroke.colour, fill_opacity="0.12")


def _line(band: Band, stroke: Stroke, x: Axis, y: Axis) -> Markup:
    """The median of a method's seeds."""
    path = f"M{' L'.join(_places(band, band.median, x, y))}"
    style = {"fill": "none", "stroke": stroke.colour, "stroke_width": "1.8"}
    if stroke.dash:
        style["stroke_dasharray"] = stroke.dash
    return tag("path", d=path, **style)


def _grid(x: Axis, y: Axis) -> Iterable[Markup]:
    for value, name in y.ticks():
        at = HEIGHT * y.down(value) / 100
        yield rule((0, at), (WIDTH, at), "#e4e4e4")
        yield label((-5, at + 3.5), name, text_anchor="end")
    for value, name in x.ticks():
        yield label((WIDTH * x.at(value) / 100, HEIGHT + 15), name, text_anchor="middle")
    yield tag("path", d=f"M0,0 V{HEIGHT} H{WIDTH}", fill="none", stroke="#555")


def _key(method: str, stroke: Stroke, place: tuple[int, int]) -> Markup:
    left, top = place
    style = {"stroke_width": "2.5"}
    if stroke.dash:
        style["stroke_dasharray"] = stroke.dash
    mark = rule((left, top - 4), (left + 18, top - 4), stroke.colour, **style)
    return tag("g", mark, label((left + KEY_STROKE, top), method))
