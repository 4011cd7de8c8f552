"""Designs of the front whose costs are bounds: simulated by ZigZag after the search, where it is installed."""

import json
import logging
from importlib.util import find_spec

import pytest

import cimbo
from cimbo.cli.front_table import front_table
from cimbo.session.bounds import BoundDesigns

STUDY = """
[network]
name = "vit-b"
accuracy = "none"

[hardware.genes]
rows = [64, 128]
buffer_mb = [0.125, 0.25]
array = ["charge_sram"]
cols = [256]
macros_per_pe = [1]
pes = [1]
columns_per_adc = [1]
adc_bits = [6]
planes = [{planes}]

[[objectives]]
name = "latency_ms"
goal = "min"
reference = 1000.0

[[objectives]]
name = "energy_uj"
goal = "min"
reference = 100000.0

[search]
initial = 3
"""
needs_zigzag = pytest.mark.skipif(find_spec("zigzag") is None, reason="needs zigzag-dse")


def searched(folder, planes: int = 1, **settings):
    """The front of three designs, what ZigZag says of them, and whether some are bounds."""
    (folder / "study.toml").write_text(STUDY.format(planes=planes))
    with cimbo.open_session(folder / "study.toml", study=folder / "s.db") as session:
        front = session.optimize(3, **settings).front
        return front, session.study.zigzag_costs(), len(BoundDesigns(session).on_front())


@pytest.mark.skipif(find_spec("zigzag") is not None, reason="zigzag-dse is installed")
def test_without_zigzag_a_line_says_what_is_missing(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "cimbo"):
        front, costs, bounds = searched(tmp_path)
    assert bounds > 0
    assert costs == {}
    said = [line for line in caplog.messages if "are bounds" in line]
    assert len(said) == 1
    assert f"costs of {bounds} designs" in said[0]
    assert "cimbo[zigzag]" in said[0]
    assert all("zigzag" not in design.to_json() for design in front.designs)


def test_what_zigzag_says_stands_beside_the_evaluation(tmp_path):
    before = searched(tmp_path, simulates_bounds=False)[0].designs[0]
    with cimbo.open_session(tmp_path / "study.toml", study=tmp_path / "s.db") as session:
        session.study.record_zigzag_costs(before.key, {"latency_ms": 2.5, "energy_uj": 12.0})
        after = next(d for d in session.pareto().designs if d.key == before.key)
        assert after.metrics == before.metrics
        assert after.to_json()["zigzag"] == {"latency_ms": 2.5, "energy_uj": 12.0}
        assert session.show(before.key).to_json()["zigzag_latency_ms"] == 2.5
        row = front_table([after]).rows[0]
        assert (row["latency_ms"], row["zigzag_latency_ms"]) == (before.metrics["latency_ms"], 2.5)
        page = session.report(tmp_path / "r.html", following=0).read_text()
        assert "by ZigZag" in page
        explained = session.explain(before.key).to_json()
        assert explained["zigzag"]["latency_ms"] == 2.5
    assert json.loads(json.dumps(after.to_json()))["metrics"] == dict(before.metrics)


@needs_zigzag
def test_bounds_of_the_front_are_simulated_once(tmp_path):
    front, costs, bounds = searched(tmp_path)
    assert len(costs) == bounds > 0
    for design in front.designs:
        if design.key in costs:
            assert design.zigzag == costs[design.key]
            assert 0.2 < costs[design.key]["latency_ms"] / design.metrics["latency_ms"] < 2
    assert searched(tmp_path)[1] == costs


@needs_zigzag
def test_of_a_chip_beyond_zigzag_the_reason_is_kept(tmp_path):
    front, costs, bounds = searched(tmp_path, planes=2)
    assert len(costs) == bounds > 0
    assert all("one plane" in cost["reason"] for cost in costs.values())
    assert all("zigzag_reason" not in row for row in front_table(front.designs).rows)
