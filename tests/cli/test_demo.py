"""The recorded search: labelled as such, consistent with the chip model of today, and a study every command works on."""

import csv
import json

import pytest

from cimbo import Study, _data
from cimbo.cli import run
from cimbo.config.study_config import preset
from cimbo.report import facts
from cimbo.session.demo import DEMO_PRESET


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert run(["demo", "--study", str(folder / "demo.db"), "--format", "json"]) == 0
    return folder


def test_the_first_front_is_there_and_says_that_it_was_recorded(tmp_path, capsys):
    assert run(["demo", "--study", str(tmp_path / "d.db"), "--format", "json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert len(answer["pareto"]) >= 5
    assert "RECORDED: accuracies were measured earlier" in said.err
    assert run(["status", "--study", str(tmp_path / "d.db")]) == 0
    assert "RECORDED" in capsys.readouterr().out
    assert run(["report", "--study", str(tmp_path / "d.db"), "-o", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "<h1>Recorded: " in page
    assert (
        '<span class="word">cimbo</span> <span class="word">demo</span>' in page
    )  # the command, under Provenance


def test_every_recorded_accuracy_is_replayed_and_every_cost_is_today_s(shown):
    evaluator = preset(DEMO_PRESET).evaluator()
    for which, file in (("search", "demo.db"), ("random", "demo-random.db")):
        with _data.path(f"demo/{which}.csv").open(newline="") as table:
            recorded = {row["key"]: float(row["accuracy"]) for row in csv.DictReader(table)}
        with Study.open(shown / file, readonly=True) as study:
            records = study.evaluations()
            assert {r.key: r.metrics["accuracy"] for r in records} == recorded
            costs = evaluator.costs([r.params for r in records])
            assert [r.metrics["latency_ms"] for r in records] == pytest.approx(
                list(costs["latency_ms"]), rel=1e-12
            )


def test_the_search_beat_random_designs_after_equally_many(shown):
    curves = []
    for file in ("demo.db", "demo-random.db"):
        with Study.open(shown / file, readonly=True) as study:
            curves.append(facts.volumes(facts.gather(study)))
    ours, random = curves
    assert len(ours) >= len(random) > 20
    # The first ten designs are the same, in the order in which workers were done with them: sums differ in their last bit.
    assert ours[9] == pytest.approx(random[9], rel=1e-12)
    assert ours[len(random) - 1] > random[-1]


def test_nothing_is_overwritten(shown, capsys):
    before = (shown / "demo.db").read_bytes()
    assert run(["demo", "--study", str(shown / "demo.db")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (shown / "demo.db").read_bytes() == before


def test_what_was_recorded_can_be_measured_again():
    """One design, really measured: the shipped weights and this code still give the recorded accuracy, to sampling noise."""
    with _data.path("demo/search.csv").open(newline="") as table:
        row = max(csv.DictReader(table), key=lambda r: float(r["accuracy"]))
    from cimbo.study import records_table

    config = preset(DEMO_PRESET)
    rows = records_table.read(_data.path("demo/search.csv"), config.problem.space)
    params = next(c.params for c, _, _ in rows if c.key == row["key"])
    assert config.evaluator()(params)["accuracy"] == pytest.approx(float(row["accuracy"]), abs=0.5)


def test_absolute_costs_say_how_far_they_may_be_off(shown, capsys):
    file = str(shown / "demo.db")
    with Study.open(file, readonly=True) as study:
        record = study.pareto()[0]
    for command in ("show", "explain"):
        assert run([command, record.key, "--study", file, "--format", "json"]) == 0
        bars = json.loads(capsys.readouterr().out)["error_bars"]
        assert set(bars) == {"latency_ms", "energy_uj", "area_mm2"}
        for metric, (low, high) in bars.items():
            assert low < record.metrics[metric] < high
    assert run(["show", record.key, "--study", file]) == 0
    assert "latency_ms may be" in capsys.readouterr().out
    page = shown / "bars.html"
    assert run(["report", "--study", file, "--next", "0", "--lite", "-o", str(page)]) == 0
    assert "by published chips" in page.read_text(encoding="utf-8")


def test_doctor_looks_at_the_ends_of_a_study_s_ranges(shown, capsys):
    file = str(shown / "demo.db")
    assert run(["doctor", "--study", file, "--format", "json"]) == 0
    lines = json.loads(capsys.readouterr().out)
    about = [line for line in lines if line["check"].startswith(("range of ", "front"))]
    assert run(["pareto", "--study", file, "--format", "json"]) == 0
    ends = json.loads(capsys.readouterr().out).get("genes_at_an_end", [])
    expected = [f"range of {gene['gene']}" for gene in ends] or ["front"]
    assert [line["check"] for line in about] == expected
