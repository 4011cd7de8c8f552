"""Figures for notebooks: the study's own numbers, whatever its names; the same as the report's."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("plotly")
sys.path.insert(0, str(Path(__file__).parent.parent / "report"))

from searched_study import HOSTILE, OBJECTIVES, SPACE, searched, told

import cimbo.plots
from cimbo import BadInput
from cimbo.analysis.chip_view import ChipView, LayerView
from cimbo.problem.preferences import knees

VIEW = ChipView(
    (
        LayerView("conv", "compute", 0.5, 2.0, 3.0, 1e6),
        LayerView("fc", "DRAM", 0.25, 1.0, 0.5, 0.0),
        LayerView("norm", "vector", 0.1, 0.1, None, 0.0),
    ),
    peak_tops=4.0,
    dram_gb_s=8.0,
    energy_by_part_uj={"adc": 2.0, "weight_write": 1.1},
    area_by_part_mm2={"adc": 0.5, "dram_interface": 1.5},
)


def traces(figure) -> dict:
    """By the first word of their names; the figure can be written as strict JSON."""
    json.loads(figure.to_json())
    return {(trace.name or "").split(" (")[0]: trace for trace in figure.data}


def test_the_front_is_the_studys_with_its_knees():
    study = searched(120)
    drawn = traces(cimbo.plots.front(study))
    front = list(study.pareto())
    assert list(drawn["front"].y) == [r.metrics["accuracy"] for r in front]
    assert list(drawn["front"].x) == [r.metrics["latency_ms"] for r in front]
    expected = [front[i] for i in knees(study.problem, [r.metrics for r in front])]
    assert list(drawn["knee"].x) == [r.metrics["latency_ms"] for r in expected]
    counted = sum(len(drawn[kind].x) for kind in ("front", "dominated", "infeasible"))
    assert counted == sum(r.status == "done" for r in study.evaluations())
    assert cimbo.plots.front(study).layout.xaxis.type == "log"


def test_any_metrics_are_axes_and_a_third_makes_it_a_picture_in_space():
    study = searched(60, 3)
    figure = cimbo.plots.front(study, x="area_mm2", y="energy_uj", z="accuracy")
    assert figure.data[0].type == "scatter3d"
    assert figure.layout.scene.zaxis.title.text == "accuracy"
    with pytest.raises(BadInput, match="latency_ms"):
        cimbo.plots.front(study, x="latency_m")
    assert len(cimbo.plots.front(searched(30, 1)).data) >= 2


def test_no_name_is_read_as_markup():
    texts = cimbo.plots.front(searched(60)).data[0].text
    assert any("script" in text for text in texts)
    assert not any("<script" in text or "<img" in text for text in texts)


def test_curves_end_at_the_hypervolumes():
    study, other = searched(80), searched(80, seed=5)
    drawn = traces(cimbo.plots.hypervolume(study, {"another": other}))
    assert drawn["this study"].y[-1] == pytest.approx(study.hypervolume())
    assert drawn["another"].y[-1] == pytest.approx(other.hypervolume())
    assert drawn["its random designs alone"].y[-1] <= drawn["this study"].y[-1]


def test_threads_have_every_objective_and_gene_that_varies():
    figure = cimbo.plots.parallel(searched(60, 3))
    axes = {axis.label: axis for axis in figure.data[0].dimensions}
    assert {"accuracy", "latency (ms)", "energy (µJ)", "rows", f"gene {HOSTILE}"} <= set(axes)
    assert "off" in axes["width_3"].ticktext
    front = cimbo.plots.parallel(searched(60, 3), front_only=True)
    assert len(front.data[0].dimensions[0].values) == len(searched(60, 3).pareto())


def test_predictions_distribution_and_timeline():
    study = searched(80)
    found = cimbo.plots.predictions(study, "latency_ms").data[0]
    later = [r for r in study.evaluations() if r.status == "done" and r.extra.get("predicted")]
    assert list(found.x) == [r.metrics["latency_ms"] for r in later]
    # An amount is predicted by its logarithm: the upper bar is the longer one
    deviation = np.sqrt(np.log1p(0.02**2))
    median = found.y[0] * np.exp(-(deviation**2) / 2)
    ends = median * np.exp(np.array([-1.645, 1.645]) * deviation)
    assert found.y[0] - found.error_y.arrayminus[0] == pytest.approx(ends[0], rel=1e-3)
    assert found.y[0] + found.error_y.array[0] == pytest.approx(ends[1], rel=1e-3)
    for curve in cimbo.plots.distribution(study, "latency_ms").data:
        assert curve.y[-1] == pytest.approx(100)
        assert list(curve.x) == sorted(curve.x, reverse=True)  # from the worst to the best
    done, _failed = cimbo.plots.timeline(study).data
    assert sum(done.y) == pytest.approx(sum(r.seconds for r in study.evaluations()))
    with pytest.raises(BadInput, match="objective"):
        cimbo.plots.distribution(study, "area")


def test_models_say_what_they_predict():
    study = searched(80)
    bars = cimbo.plots.gene_importances(study).data
    assert len(bars) == 2
    assert all(sum(bar.x) == pytest.approx(1.0) for bar in bars)
    curves = traces(cimbo.plots.slices(study, "latency_ms"))
    rows = curves["rows"].y
    assert rows[0] > rows[-1]  # larger arrays are faster
    surface = cimbo.plots.contour(study, "rows", "dram_bw").data[0]
    assert np.array(surface.z).shape == (5, 3)
    with pytest.raises(BadInput, match="not active"):
        cimbo.plots.contour(study, "rows", "nothing")
    with pytest.raises(BadInput, match="no surrogate"):
        cimbo.plots.slices(study, "latency")


def test_a_chip():
    drawn = traces(cimbo.plots.roofline(VIEW))
    assert drawn["compute"].x[0] == pytest.approx(3e12 * 0.5e-3 / 1e6)
    assert drawn["DRAM"].x[0] == pytest.approx(max(drawn["roofs of DRAM and arrays"].x))
    assert "vector" not in drawn  # it multiplies nothing
    ridge, peak = drawn["roofs of DRAM and arrays"].x[1], drawn["roofs of DRAM and arrays"].y[1]
    assert ridge * VIEW.dram_gb_s / 1e3 == pytest.approx(peak)
    energy, area = cimbo.plots.parts(VIEW).data
    assert sum(energy.x) == pytest.approx(100)
    assert area.text == ("0.5 mm²", "1.5 mm²")


def test_an_empty_study_is_drawn_or_refused_in_a_line():
    study = told(OBJECTIVES[:2])
    assert len(cimbo.plots.front(study).data) == 0
    cimbo.plots.hypervolume(study)
    cimbo.plots.parallel(study)
    for figure in (cimbo.plots.slices, cimbo.plots.gene_importances, cimbo.plots.predictions):
        with pytest.raises(BadInput):
            figure(study)
    assert SPACE.names
