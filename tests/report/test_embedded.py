"""The data inside a page: the study's own, escaped, with what surrogates and trees say."""

import json
import re
from typing import Any

import numpy as np
import pytest
from searched_study import HOSTILE, OBJECTIVES, SPACE, report, searched, without_scripts

from cimbo.analysis.gene_importance import importance
from cimbo.analysis.surrogate_views import views
from cimbo.optimizer.surrogates import Inputs
from cimbo.problem.preferences import knees


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def test_the_data_of_a_page_are_the_studys_and_cannot_leave_their_element() -> None:
    study = searched(60)
    key = study.pareto()[0].key
    page = report(study, extra_rows={key: {HOSTILE: HOSTILE}})
    data = data_of(page)
    records = study.evaluations()
    assert [gene["name"] for gene in data["genes"]] == list(SPACE.names)
    for i, record in enumerate(records):
        for metric in data["metrics"]:
            value = record.metrics.get(metric["name"])
            assert metric["values"][i] == (
                None if value is None else pytest.approx(value, rel=1e-5)
            )
        for gene in data["genes"]:
            letter = gene["index"][i]
            level = data["letters"].find(letter)
            assert (gene["values"][level] if level >= 0 else None) == (
                str(record.params[gene["name"]]) if gene["name"] in record.params else None
            )
    place = [r.key for r in records].index(key)
    assert data["notes"][str(place)] == [[HOSTILE, HOSTILE]]
    assert HOSTILE in data["genes"][-1]["values"]
    written = page[page.index('id="study">') :]
    assert not re.search(r"[<>&]", written[len('id="study">') : written.index("</script>")])


def test_knees_are_marked_as_the_front_has_them() -> None:
    study = searched(120)
    data = data_of(report(study))
    front = list(study.pareto())
    expected = [front[i].key for i in knees(study.problem, [r.metrics for r in front])]
    assert expected
    assert [data["key"][row] for row in data["knees"]] == expected
    assert without_scripts(report(study)).count("> knee<") == len(expected)


def test_what_surrogates_and_trees_say_is_drawn() -> None:
    study = searched(80)
    done = [r for r in study.evaluations() if r.status == "done"]
    found = [importance(SPACE, o, done) for o in OBJECTIVES[:2]]
    surrogates = study.surrogates()
    design = study.pareto()[0].params
    around = views(SPACE, surrogates, [design], ["rows", "adc_bits", "dram_bw"])
    page = report(study, importances=[i for i in found if i], around=around)
    assert page.count('class="swarms"') == 2
    said = data_of(page)["around"]
    row = said["rows"][0]
    assert data_of(page)["key"][row] == study.pareto()[0].key
    own = SPACE.rows([design])[0][SPACE.column["rows"]]
    curve = said["designs"][0]["curves"]["accuracy"]["rows"]
    expected = surrogates["accuracy"].mean(Inputs(SPACE, SPACE.rows([design])))[0]
    assert curve[0][own] == pytest.approx(expected, rel=1e-5)
    assert all(low <= mean <= high for mean, low, high in zip(*curve, strict=True))
    surface = said["designs"][0]["surfaces"]["latency_ms"][0]
    assert (surface["across"], surface["down"]) == ("rows", "adc_bits")
    assert np.array(surface["mean"]).shape == (4, 3)


def test_shap_values_sum_to_predictions_and_find_the_gene() -> None:
    study = searched(120, seed=2)
    done = [r for r in study.evaluations() if r.status == "done"]
    found = importance(SPACE, OBJECTIVES[1], done)
    assert found
    assert found.log
    strongest = [found.names[i] for i in found.order[:3]]
    assert set(strongest) & {"dram_bw", "rows"}
    assert 0.3 < found.explained <= 1.0
    assert importance(SPACE, OBJECTIVES[1], done[:5]) is None


def test_a_lite_page_is_small() -> None:
    study = searched(200, 3)
    assert len(report(study, lite=True)) < len(report(study)) < 400_000
