"""Pictures in files hold whatever they are given: no words over others, none cut at the edge, no series left out."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo.benchmarking.runner import Band
from cimbo.plots import curves
from cimbo.plots.importances import heat_map
from cimbo.plots.text_size import shortened, text_width, wrapped
from cimbo.report import breakdown

SVG = "{http://www.w3.org/2000/svg}"
LONG = "a name that says the method, its settings, the seed, the day and the machine it was run on, and more"


@dataclass(frozen=True)
class Words:
    """A line of a picture and the box that it takes, in pixels."""

    text: str
    left: float
    right: float
    baseline: float
    size: float

    def overlaps(self, other: "Words") -> bool:
        """Whether two lines lie over one another by more than a pixel."""
        across = min(self.right, other.right) - max(self.left, other.left)
        top = max(self.baseline - 0.75 * self.size, other.baseline - 0.75 * other.size)
        bottom = min(self.baseline + 0.2 * self.size, other.baseline + 0.2 * other.size)
        return across > 1 and bottom - top > 1


def words_of(element: ElementTree.Element, at: tuple[float, float] = (0.0, 0.0)) -> Iterator[Words]:
    moved = re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", element.get("transform", ""))
    if moved:
        at = (at[0] + float(moved[1]), at[1] + float(moved[2]))
    if element.tag == f"{SVG}text" and element.text:
        size = float(element.get("font-size", 12))
        wide = text_width(element.text, size, bold=element.get("font-weight") == "bold")
        anchor = {"start": 0.0, "middle": 0.5, "end": 1.0}[element.get("text-anchor", "start")]
        left = at[0] + float(element.get("x", 0)) - anchor * wide
        yield Words(element.text, left, left + wide, at[1] + float(element.get("y", 0)), size)
    for child in element:
        yield from words_of(child, at)


def assert_holds(document: str) -> list[str]:
    """Nothing lies over something else or outside the picture; returns all words."""
    root = ElementTree.fromstring(document)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    found = list(words_of(root))
    for line in found:
        assert line.left >= 0, line
        assert line.right <= width, line
        assert 0.75 * line.size <= line.baseline <= height, line
    for one, other in itertools.combinations(found, 2):
        assert not one.overlaps(other), (one, other)
    return [line.text for line in found]


def band(name: str, values: list[float]) -> Band:
    middle = np.array(values)
    reach = 0.2 * np.abs(middle)
    return Band(
        name, [10 * (i + 1) for i in range(len(values))], middle, middle - reach, middle + reach
    )


VALUES = {
    "plain": [0.1, 0.5, 0.9],
    "negative": [-8.0, -3.5, -0.25],
    "huge": [1e-30, 4.4e99, 9e99],
    "millions": [-123456.0, 234567.0, 999999.0],
    "one point": [0.5],
    "all the same": [0.0, 0.0, 0.0],
}


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("count", [1, 5, 10])
@pytest.mark.parametrize("name", ["m", LONG])
@pytest.mark.parametrize("panels", [1, 3])
def test_curves(values: str, count: int, name: str, panels: int) -> None:
    bands = [band(f"{i} {name}", VALUES[values]) for i in range(count)]
    document = curves.svg([curves.Panel(f"{name} title", f"{name} unit", bands)] * panels)
    found = assert_holds(document)
    for i in range(count):
        assert sum(text.startswith(f"{i} ") for text in found) == 1  # its key
    drawn = ElementTree.fromstring(document)
    keys = [s for s in drawn.iter(f"{SVG}line") if s.get("stroke-width") == "2.5"]
    assert len({(s.get("stroke"), s.get("stroke-dasharray")) for s in keys}) == count
    lines = len([p for p in drawn.iter(f"{SVG}path") if p.get("stroke-width")])
    assert lines + len(list(drawn.iter(f"{SVG}circle"))) == count * panels
    assert any("median of the seeds" in text for text in found) or name == LONG


def test_negative_curves_are_not_flattened() -> None:
    document = curves.svg([curves.Panel("p", "share", [band("a", VALUES["negative"])])])
    heights = {
        point.split(",")[1]
        for path in ElementTree.fromstring(document).iter(f"{SVG}path")
        if path.get("stroke-width")
        for point in path.get("d", "").removeprefix("M").split(" L")
    }
    assert len(heights) == 3


@pytest.mark.parametrize("columns", [1, 5, 10])
@pytest.mark.parametrize("name", ["gene", LONG, "W" * 90])
def test_heat_maps(columns: int, name: str) -> None:
    shares = {f"{i} {name}": {f"{j} {name}": 0.1 * j for j in range(8)} for i in range(columns)}
    found = assert_holds(heat_map(shares))
    assert sum("%" in text for text in found) == 8 * columns
    assert_holds(heat_map({"one": {"only": 0.0}}))


@pytest.mark.parametrize("layers", [1, 5, 60])
@pytest.mark.parametrize("name", ["fc", LONG])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_the_costs_of_a_design(layers: int, name: str, scale: float) -> None:
    bounds = list(breakdown.BOUND_COLOURS)
    rows = [
        {"name": f"{i} {name}", "latency_ms": scale * (i + 1), "bound": bounds[i % len(bounds)]}
        for i in range(layers)
    ]
    explained = {
        "layers": rows,
        "latency_ms": scale * sum(range(1, layers + 1)),
        "energy_uj": scale,
        "energy_by_part_uj": {"adc": 0.4 * scale, f"part {name}": 0.6 * scale},
    }
    found = assert_holds(breakdown.picture(explained))
    assert sum(bool(re.match(r"\d+ ", text)) and name[:2] in text for text in found) == layers
    assert set(bounds[:layers]) <= set(found)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=60))
def test_words_fit_when_they_are_wrapped_or_shortened(words: str) -> None:
    lines = wrapped(words, 60)
    assert all(text_width(line) <= 60 or len(line) == 1 for line in lines)
    assert "".join("".join(lines).split()) == "".join(words.split())
    cut = shortened(words, 60)
    assert text_width(cut) <= 60
    assert cut == words or cut.endswith("…")


def test_words_take_no_more_than_is_said_in_the_widest_common_font() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    for words in (
        LONG,
        LONG.upper(),
        "0123456789 −1.234e−5",
        "WWmm@%",
        "latency (ms) · log",
        "iiillljjj",
    ):
        for weight in ("normal", "bold"):
            font = FontProperties(family="DejaVu Sans", weight=weight)
            real = TextPath((0, 0), words, size=12, prop=font).get_extents().width
            assert real <= text_width(words, 12, bold=weight == "bold") * 1.03, (words, weight)
