"""Anytime curves with bands as one SVG picture that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from cimbo.benchmarking.runner import Band
from cimbo.plots.axes import Axis, axis, counts
from cimbo.plots.markup import Markup, tag
from cimbo.plots.svg import label, lines_above, picture, rule
from cimbo.plots.text_size import shortened, text_width, wrapped

WIDTH, HEIGHT, GAP = 300, 200, 34  # pixels of a panel, and below it
LEAST_LEFT, RIGHT = 56, 12  # pixels beside a panel: for the values of its ticks, to the next one
WORDS_BASELINE = -6.0  # of the lowest line above a panel, in pixels from its top
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
    "tpe-multivariate": Stroke("#2ca02c", "7 3"),
    "linas": Stroke("#ff7f0e"),
    "botorch": Stroke("#17becf"),
    "saasbo": Stroke("#17becf", "2 3"),
    "smac": Stroke("#8c564b"),
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
    values = []
    last = 1.0
    for band in panel.bands:
        last = max(last, float(band.at[-1]))
        values += [float(value) for value in (*band.low, *band.high)]
    return PanelAxes(
        x=counts("evaluations", int(last)),
        y=axis(panel.unit, values, zero=True),
        title=wrapped(panel.title, WIDTH, bold=True),
        unit=wrapped(panel.unit, WIDTH),
    )


def svg(panels: Sequence[Panel], columns: int = 2) -> str:
    """Draw the panels in rows, with a legend below.

    Args:
        panels: What is drawn, one at least.
        columns: Panels in a row.

    Returns:
        An SVG document.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    scales = [_axes(panel) for panel in panels]
    left = max(scale.left for scale in scales)
    top = max(scale.above for scale in scales)
    across = WIDTH + left + RIGHT
    down = HEIGHT + top + GAP
    strokes = _strokes(_methods(panels))
    drawn = []
    for i, (panel, scale) in enumerate(zip(panels, scales, strict=True)):
        corner = (left + across * (i % columns), top + down * (i // columns))
        place = f"translate({corner[0]:g} {corner[1]:g})"
        drawn.append(tag("g", _panel(panel, scale, strokes), transform=place))
    keys, legend_height = _legend(panels, strokes, (left, across * columns - RIGHT))
    legend = tag("g", *keys, transform=f"translate(0 {rows * down + 12:g})")
    height = rows * down + 20 + legend_height
    return picture(across * columns, height, *drawn, legend)


def _methods(panels: Sequence[Panel]) -> list[str]:
    """All methods, in the order in which they first appear."""
    methods: dict[str, None] = {}
    for panel in panels:
        for band in panel.bands:
            methods[band.method] = None
    return list(methods)


def _legend(
    panels: Sequence[Panel], strokes: Mapping[str, Stroke], ends: tuple[float, float]
) -> tuple[list[Markup], float]:
    """A key for each method and the words about the bands, between ``ends``; and their height in pixels."""
    left, width = ends
    names = {}
    for method in strokes:
        names[method] = shortened(method, width - left - KEY_STROKE)
    places = _key_places(names, ends)
    drawn = [_key(name, strokes[method], places[method]) for method, name in names.items()]
    below = max((line for _, line in places.values()), default=0) + KEY_HEIGHT
    notes = wrapped(_about_bands(panels), width - left)
    for i, line in enumerate(notes):
        drawn.append(label((left, below + KEY_HEIGHT * i), line, fill="#555"))
    return drawn, below + KEY_HEIGHT * len(notes)


def _about_bands(panels: Sequence[Panel]) -> str:
    """What the axis across counts, what is shaded, and where that is left out."""
    shaded = "band: least to most"
    if max(len(panel.bands) for panel in panels) > MAX_BANDS:
        if "cimbo" in _methods(panels):
            shaded += f" (of cimbo alone where there are more than {MAX_BANDS} methods)"
        else:
            shaded = f"no bands where there are more than {MAX_BANDS} methods"
    return f"line: median of the seeds; {shaded}; across: evaluations"


def _strokes(methods: Sequence[str]) -> dict[str, Stroke]:
    """A stroke for each method, none of them twice while there are enough."""
    others = cycle(OTHER_STROKES)
    strokes = {}
    for method in methods:
        own = METHOD_STROKES.get(method)
        strokes[method] = next(others) if own is None else own
    return strokes


def _key_places(
    names: Mapping[str, str], ends: tuple[float, float]
) -> dict[str, tuple[float, float]]:
    """Left and top of each method's key in pixels: as many in a line as there is room for between ``ends``."""
    found: dict[str, tuple[float, float]] = {}
    first, last = ends
    left, top = first, 0.0
    for method, name in names.items():
        taken = KEY_STROKE + text_width(name) + KEY_GAP
        if left > first and left + taken - KEY_GAP > last:
            left = first
            top += KEY_HEIGHT
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
    return tag("g", *_grid(x, y), *drawn, *_words(axes))


def _words(axes: PanelAxes) -> list[Markup]:
    """The title and the unit above a panel, written from the lowest line upwards."""
    unit = lines_above((0, WORDS_BASELINE), axes.unit, TITLE_LINE, fill="#555")
    above_unit = (0, WORDS_BASELINE - TITLE_LINE * len(axes.unit))
    return [*unit, *lines_above(above_unit, axes.title, TITLE_LINE, font_weight="bold")]


def _places(band: Band, values: Iterable[float], x: Axis, y: Axis) -> list[str]:
    """Pixels of a curve's points."""
    places = []
    for evaluations, value in zip(band.at, values, strict=True):
        across = WIDTH * x.at(evaluations) / 100
        down = HEIGHT * y.down(float(value)) / 100
        places.append(f"{across:.1f},{down:.1f}")
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
