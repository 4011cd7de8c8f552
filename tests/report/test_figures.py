"""Figures of the report's matplotlib side: every series is there, and no words lie over one another or outside the file."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cimbo import BadInput, Choice, Objective, SearchSpace, Study
from cimbo.problem.objectives import candidate
from cimbo.report import facts, figures

pytest.importorskip("matplotlib")

LONG = "a search whose name says the method, its settings, the seed, the day and the machine it was run on"
SPACE = SearchSpace(architecture=[Choice("depth", list(range(60)))], hardware=[])
VALUES = {
    "plain": lambda i: (70 + i / 3, 4.0 / (i + 1)),
    "negative": lambda i: (-1e6 + 2e5 * i, -3.0 - i),
    "huge": lambda i: (1e30 * (i + 1), 1e22 / (i + 1)),
}


def searched(
    n: int, value: str = "plain", *, names: Sequence[str] = ("score", "latency_ms")
) -> Study:
    first, second = names
    study = Study.open(None, SPACE, [Objective(first, "max"), Objective(second, "min")])
    for i in range(n):
        good, cost = VALUES[value](i)
        metrics = {first: good, second: cost * (1 if i % 2 else 1.7)}
        said = {k: (v, 0.1 * abs(v)) for k, v in metrics.items()}
        study.tell(candidate(SPACE, {"depth": i}, predicted=said if n > 1 else None), metrics)
    return study


def drawn(what: str, known: facts.Facts, path: Path) -> Any:
    """The figure that was written, laid out as it was written."""
    from matplotlib import figure as module

    kept = []
    original = module.Figure.savefig

    def savefig(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        kept.append(self)
        self.set_dpi(300)
        self.canvas.draw()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Figure, "savefig", savefig)
        figures.write(path, what, known)
    return kept[0]


def word_boxes(figure: Any) -> dict[str, Any]:
    """Where each text lies, in pixels."""
    from matplotlib.text import Text

    axes = figure.axes[0]
    shown = [axes.xaxis.label, axes.yaxis.label, *axes.texts]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if low <= tick.get_loc() <= high:
                shown.append(tick.label1)
        shown.append(axis.get_offset_text())
    for legend in (*figure.legends, *filter(None, [axes.get_legend()])):
        shown += legend.get_texts()
    boxes = {}
    for i, words in enumerate(shown):
        assert isinstance(words, Text)
        if words.get_text().strip() and words.get_visible():
            boxes[f"{i} {words.get_text()}"] = words.get_window_extent()
    return boxes


def assert_apart(boxes: Mapping[str, Any]) -> None:
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 1, f"{one!r} lies over {other!r}"


def legend_of(figure: Any) -> list[str]:
    return [
        t.get_text().replace("\n", " ") for legend in figure.legends for t in legend.get_texts()
    ]


@pytest.mark.parametrize("count", [1, 5, 10])
@pytest.mark.parametrize("name", ["short", LONG])
def test_every_curve_of_the_hypervolume_is_drawn_and_named(
    tmp_path: Path, count: int, name: str
) -> None:
    curves = {f"{name} {i}": np.linspace(0, 1 + i, 40).tolist() for i in range(count)}
    known = facts.gather(searched(40), baselines=curves)
    figure = drawn("hypervolume", known, tmp_path / "f.png")
    names = ["this search", *curves]
    assert legend_of(figure) == names
    lines = [line for line in figure.axes[0].lines if line.get_label() in names]
    looks = {(line.get_color(), str(line._dash_pattern)) for line in lines}
    assert len(lines) == len(looks) == count + 1
    assert_apart(word_boxes(figure))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("what", ["front", "hypervolume", "calibration"])
@pytest.mark.parametrize("names", [("score", "latency_ms"), (f"{LONG} b".replace(" ", "_"), LONG)])
def test_no_words_lie_over_others(
    tmp_path: Path, what: str, value: str, names: Sequence[str]
) -> None:
    if value == "negative":
        names = (names[0], "slack_ns")  # a latency below 0 is a failed evaluation
    known = facts.gather(searched(30, value, names=names))
    assert_apart(word_boxes(drawn(what, known, tmp_path / "f.png")))


@pytest.mark.parametrize("what", ["front", "hypervolume"])
def test_one_evaluation_is_a_point_that_can_be_seen(tmp_path: Path, what: str) -> None:
    figure = drawn(what, facts.gather(searched(1)), tmp_path / "f.png")
    marked = [line for line in figure.axes[0].lines if line.get_marker() not in (None, "None", "")]
    assert any(len(line.get_xdata()) == 1 for line in marked)
    assert_apart(word_boxes(figure))


def test_the_file_holds_all_words(tmp_path: Path) -> None:
    """Nothing is cut: the file is as large as what is drawn."""
    curves = {f"{LONG} {i}": [1.0, 2.0] for i in range(10)}
    figure = drawn("hypervolume", facts.gather(searched(3), baselines=curves), tmp_path / "f.png")
    box = figure.get_tightbbox()
    with np.errstate(all="ignore"):
        import matplotlib.image

        height, width = matplotlib.image.imread(tmp_path / "f.png").shape[:2]
    assert width / 300 == pytest.approx(box.width, abs=0.3)
    assert height / 300 == pytest.approx(box.height, abs=0.3)
    assert width / 300 < 4.2  # inches: it fits a column


def three_objectives() -> Study:
    objectives = [
        Objective("score", "max"),
        Objective("latency_ms", "min"),
        Objective("energy_uj", "min"),
    ]
    study = Study.open(None, SPACE, objectives)
    for i in range(12):
        metrics = {"score": 70.0 + i, "latency_ms": 4.0 - i / 6, "energy_uj": 3.0 + i % 5}
        study.tell({"depth": i}, {**metrics, "area_mm2": 2.0 + i})
    return study


def test_a_third_objective_is_the_colour_and_axes_are_chosen(tmp_path):
    """Before, the third of three objectives was in no picture."""
    study = three_objectives()
    with_colour = drawn("front", facts.gather(study), tmp_path / "a.svg")
    assert [axes.get_ylabel() for axes in with_colour.axes][1].startswith("energy")
    chosen = tmp_path / "b.svg"
    figures.write(chosen, "front", facts.gather(study), figures.FrontAxes("area_mm2", "energy_uj"))
    text = chosen.read_text()
    assert "area" in text
    assert "score" in text  # the first objective that is on neither axis
    with pytest.raises(BadInput, match="--x area: is measured of no design"):
        figures.write(chosen, "front", facts.gather(study), figures.FrontAxes("area"))
    with pytest.raises(BadInput, match="is the metric upwards too"):
        figures.write(chosen, "front", facts.gather(study), figures.FrontAxes("score", "score"))
