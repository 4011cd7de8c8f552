"""Pictures in files: whole SVG documents that say what they are given, names escaped."""

from xml.etree import ElementTree

import numpy as np
import pytest

from cimbo.benchmarking.runner import Band
from cimbo.plots import curves
from cimbo.plots.importances import heat_map
from cimbo.plots.svg import box, label, picture

SVG = "{http://www.w3.org/2000/svg}"


def words(document: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(document).iter(f"{SVG}text")]


def test_a_heat_map_names_every_feature_and_column_and_orders_by_what_matters_most():
    shares = {
        "accuracy <%>": {"depth": 0.7, "rows": 0.1, "adc & dac": 0.2},
        "latency": {"depth": 0.05, "rows": 0.95},
    }
    found = words(heat_map(shares))
    assert {"accuracy <%>", "latency", "adc & dac", "95.0%", "0.0%"} <= set(found)
    assert found[:3] == ["rows", "depth", "adc & dac"]


@pytest.mark.parametrize("count", [1, 5])
def test_curves_are_drawn_one_a_method_with_its_name_below(count: int):
    at = [10, 20, 40]
    bands = [
        Band(f"method-{i}", at, *(np.array([1.0, 2.0, 3.0]) + i + d for d in (0.0, -0.5, 0.5)))
        for i in range(count)
    ]
    document = curves.svg([curves.Panel("a <problem>", "share", bands)])
    assert set(words(document)) >= {"a <problem>", "share", *(b.method for b in bands)}
    paths = list(ElementTree.fromstring(document).iter(f"{SVG}path"))
    assert len(paths) == 2 * count + 1  # band and median of each, and the axes


def test_the_keys_of_thirteen_methods_do_not_lie_over_one_another():
    names = [*curves.METHOD_STROKES, "a method of one's own"]
    ends = np.array([1.0, 2.0])
    bands = [Band(name, ends, ends, ends, ends) for name in names]
    document = ElementTree.fromstring(curves.svg([curves.Panel("p", "share", bands)]))
    width = float(document.get("width", "0").removesuffix("px"))
    keys = [e for e in document.iter(f"{SVG}text") if e.text in names]
    assert [key.text for key in keys] == names
    taken: dict[str, float] = {}
    for key in keys:
        left, line = float(key.get("x", "0")), key.get("y", "")
        assert left >= taken.get(line, 0.0)
        taken[line] = left + 6.0 * len(key.text or "")
        assert taken[line] <= width
    strokes = {(s.colour, s.dash) for s in curves.METHOD_STROKES.values()}
    assert len(strokes) == len(curves.METHOD_STROKES)


def test_a_picture_escapes_what_it_is_given():
    drawn = picture(10, 10, box((0, 0), (5, 5), "#000000"), label((1, 1), "<script>"), title="<t>")
    root = ElementTree.fromstring(drawn)
    assert words(drawn) == ["<script>"]
    assert root.find(f"{SVG}title").text == "<t>"
