"""Anytime curves with bands as one SVG picture that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from cimbo.benchmarking.runner import Band
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, tag
from cimbo.plots.svg import label, picture, rule
from cimbo.plots.text_size import shortened, text_width, wrapped

WIDTH, HEIGHT, GAP = 300, 200, 34  # pixels of a panel, and below it
LEAST_LEFT, RIGHT = (
    56,
    12,
)  # pixels beside a panel: for the values of its ticks, and to the next one
TITLE_LINE = 15  # pixels of a line of a panel's title
TICK_GAP = 5  # pixels between a tick's value and the panel
KEY_HEIGHT = 16  # pixels of a line of the legend
KEY_STROKE, KEY_GAP = 23, 18  # pixels before a key's name, and after it
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
OTHER_COLOURS = ("#333333", "#7f3f98", "#006d5b", "#a0522d", "#4b6cb7")
OTHER_DASHES = ("", "7 3", "2 3", "9 3 2 3")
#: For methods that have no stroke of their own, in turn
OTHER_STROKES = [Stroke(colour, dash) for dash in OTHER_DASHES for colour in OTHER_COLOURS]


@dataclass(frozen=True)
class Panel:
    """One problem: its title, what the hypervolume is measured in, and a band a method."""

    title: str
    unit: str
    bands: Sequence[Band]


@dataclass(frozen=True)
class PanelAxes:
    """The scales of a panel, and its words in lines that fit above it."""

    x: Axis
    y: Axis
    title: Sequence[str]
    unit: Sequence[str]

    @property
    def above(self) -> int:
        """Pixels that the words take above the panel."""
        return TITLE_LINE * (len(self.title) + len(self.unit)) + 4

    @property
    def left(self) -> float:
        """Pixels that the values of the ticks take beside the panel."""
        widest = max((text_width(name) for _, name in self.y.ticks()), default=0.0)
        return max(LEAST_LEFT, widest + 2 * TICK_GAP)


def _axes(panel: Panel) -> PanelAxes:
    x = counts("evaluations", int(max((b.at[-1] for b in panel.bands), default=1)))
    values = []
    for b in panel.bands:
        for v in (*b.low, *b.high):
            values.append(float(v))
    y = axis(panel.unit, values, zero=True)
    title, unit = wrapped(panel.title, WIDTH, bold=True), wrapped(panel.unit, WIDTH)
    return PanelAxes(x, y, title, unit)


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
    scales = [_axes(p) for p in panels]
    left, top = max(a.left for a in scales), max(a.above for a in scales)
    across, down = WIDTH + left + RIGHT, HEIGHT + top + GAP
    methods = list(dict.fromkeys(b.method for p in panels for b in p.bands))
    strokes = _strokes(methods)
    drawn = []
    for i, (panel, scale) in enumerate(zip(panels, scales, strict=True)):
        corner = (left + across * (i % columns), top + down * (i // columns))
        place = f"translate({corner[0]:g} {corner[1]:g})"
        drawn.append(tag("g", _panel(panel, scale, strokes), transform=place))
    width = across * columns - RIGHT
    names = {m: shortened(m, width - left - KEY_STROKE) for m in methods}
    places = _key_places(names, (left, width))
    keys = [_key(names[m], strokes[m], places[m]) for m in methods]
    below = max((line for _, line in places.values()), default=0) + KEY_HEIGHT
    notes = wrapped(_about_bands(panels), width - left)
    for i, line in enumerate(notes):
        keys.append(label((left, below + KEY_HEIGHT * i), line, fill="#555"))
    legend = tag("g", *keys, transform=f"translate(0 {rows * down + 12:g})")
    height = rows * down + 20 + below + KEY_HEIGHT * len(notes)
    return picture(across * columns, height, *drawn, legend)


def _about_bands(panels: Sequence[Panel]) -> str:
    """What is shaded, and where it is left out."""
    if max(len(p.bands) for p in panels) <= MAX_BANDS:
        return "line: median of the seeds; band: least to most"
    if any(b.method == "cimbo" for p in panels for b in p.bands):
        kept = f"cimbo's only where there are more than {MAX_BANDS} methods"
    else:
        kept = f"left out where there are more than {MAX_BANDS} methods"
    return f"line: median of the seeds; band: least to most, {kept}"


def _strokes(methods: Sequence[str]) -> dict[str, Stroke]:
    """A stroke for each method, none of them twice while there are enough."""
    others = cycle(OTHER_STROKES)
    return {m: METHOD_STROKES[m] if m in METHOD_STROKES else next(others) for m in methods}


def _key_places(
    names: Mapping[str, str], ends: tuple[float, float]
) -> dict[str, tuple[float, float]]:
    """Left and top of each method's key in pixels: as many in a line as there is room for between ``ends``."""
    found: dict[str, tuple[float, float]] = {}
    left, top = ends[0], 0.0
    for method, name in names.items():
        taken = KEY_STROKE + text_width(name) + KEY_GAP
        if left > ends[0] and left + taken - KEY_GAP > ends[1]:
            left, top = ends[0], top + KEY_HEIGHT
        found[method] = (left, top)
        left += taken
    return found


def _panel(panel: Panel, axes: PanelAxes, strokes: Mapping[str, Stroke]) -> Markup:
    x, y = axes.x, axes.y
    drawn: list[Markup] = []
    for band in panel.bands:
        if len(panel.bands) <= MAX_BANDS or band.method == "cimbo":
            drawn.append(_area(band, strokes[band.method], x, y))
    for band in reversed(panel.bands):  # the first one lies on top
        drawn.append(_line(band, strokes[band.method], x, y))
    baseline = -6.0
    for line in reversed(axes.unit):
        drawn.append(label((0, baseline), line, fill="#555"))
        baseline -= TITLE_LINE
    for line in reversed(axes.title):
        drawn.append(label((0, baseline), line, font_weight="bold"))
        baseline -= TITLE_LINE
    return tag("g", *_grid(x, y), *drawn)


def _places(band: Band, values: Iterable[float], x: Axis, y: Axis) -> list[str]:
    """Pixels of a curve's points."""
    pairs = zip(band.at, values, strict=True)
    places = []
    for a, v in pairs:
        places.append(f"{WIDTH * x.at(a) / 100:.1f},{HEIGHT * y.down(float(v)) / 100:.1f}")
    return places


def _area(band: Band, stroke: Stroke, x: Axis, y: Axis) -> Markup:
    """From the least to the largest of a method's seeds."""
    around = _places(band, band.high, x, y) + _places(band, band.low, x, y)[::-1]
    return tag("path", d=f"M{' L'.join(around)}Z", fill=stroke.colour, fill_opacity="0.12")


def _line(band: Band, stroke: Stroke, x: Axis, y: Axis) -> Markup:
    """The median of a method's seeds; a dot where it is one point."""
    if len(band.at) == 1:
        across, down = _places(band, band.median, x, y)[0].split(",")
        return tag("circle", cx=across, cy=down, r="3", fill=stroke.colour)
    path = f"M{' L'.join(_places(band, band.median, x, y))}"
    style = {"fill": "none", "stroke": stroke.colour, "stroke_width": "1.8"}
    if stroke.dash:
        style["stroke_dasharray"] = stroke.dash
    return tag("path", d=path, **style)


def _grid(x: Axis, y: Axis) -> Iterable[Markup]:
    for value, name in y.ticks():
        at = HEIGHT * y.down(value) / 100
        yield rule((0, at), (WIDTH, at), "#e4e4e4")
        yield label((-TICK_GAP, at + 3.5), name, text_anchor="end")
    for value, name in x.ticks():
        yield label((WIDTH * x.at(value) / 100, HEIGHT + 15), name, text_anchor="middle")
    yield tag("path", d=f"M0,0 V{HEIGHT} H{WIDTH}", fill="none", stroke="#555")


def _key(name: str, stroke: Stroke, place: tuple[float, float]) -> Markup:
    left, top = place
    style = {"stroke_width": "2.5"}
    if stroke.dash:
        style["stroke_dasharray"] = stroke.dash
    mark = rule((left, top - 4), (left + 18, top - 4), stroke.colour, **style)
    return tag("g", mark, label((left + KEY_STROKE, top), name))
