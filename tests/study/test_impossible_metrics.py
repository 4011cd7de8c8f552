"""Answers that no evaluation can give: amounts below zero, metrics with a gene's name, texts; and the time that one took."""

from __future__ import annotations

import json
import sys

import pytest

from cimbo import Choice, Objective, Study
from cimbo.cli import run
from cimbo.problem.units import is_amount, name_and_unit

SPACE = [Choice("depth", [1, 2, 3, 4]), Choice("tiles", [16, 64])]
DESIGN = {"depth": 2, "tiles": 64}
GOOD = {"latency_ms": 1.0, "energy_uj": 2.0, "snr_db": -3.0}


def told(metrics):
    with Study.open(None, SPACE, [Objective("latency_ms", "min")]) as study:
        return study.tell(DESIGN, metrics)


@pytest.mark.parametrize(
    "name",
    ["latency_ms", "energy_uj", "e_pj", "area_mm2", "leakage_mw", "t_us", "buffer_kib", "f_ghz"],
)
def test_an_amount_below_zero_is_a_failed_evaluation(name):
    record = told({**GOOD, name: -2.0})
    assert record.status == "failed"
    assert record.reason == f"{name} is -2: such an amount is never negative"
    assert told({**GOOD, name: 0.0}).status == "done"


@pytest.mark.parametrize("name", ["slack_ns", "energy_saving_uj", "offset_mv", "bias_v", "loss"])
def test_what_may_be_negative_is_kept(name):
    assert told({**GOOD, name: -2.0}).metrics[name] == -2.0


def test_a_gene_that_is_printed_again_is_no_metric():
    record = told({**GOOD, "tiles": 64})
    assert record.status == "done"
    assert record.metrics == GOOD


def test_a_metric_of_a_genes_name_with_another_value_is_refused():
    record = told({**GOOD, "tiles": 7})
    assert record.status == "failed"
    assert record.reason == "tiles is a gene, and a metric too: rename the metric"


UNITS = [
    ("peak_current_a", "peak_current", "A"),
    ("ripple_mv", "ripple", "mV"),
    ("snr_db", "snr", "dB"),
    ("hot_spot_c", "hot_spot", "°C"),
    ("hot_spot_k", "hot_spot", "K"),
    ("gbuf_kib", "gbuf", "KiB"),
    ("noc_gb_s", "noc", "GB/s"),
    ("f_mhz", "f", "MHz"),
    ("data", "data", ""),
    ("edp_per_area", "edp_per_area", ""),
]


@pytest.mark.parametrize(("metric", "name", "unit"), UNITS)
def test_units_are_read_from_names(metric, name, unit):
    assert name_and_unit(metric) == (name or metric, unit)


def test_differences_are_no_amounts():
    assert is_amount("latency_ms")
    assert not is_amount("latency_change_ms")
    assert not is_amount("ms")


PROGRAM = """
import json, sys, time
design = json.load(sys.stdin)["design"]
time.sleep(0.3)
print(json.dumps({"latency_ms": 1.0 * design["depth"], "edp": 3.0, "version": "3.2", **MORE}))
"""
STUDY = """
[evaluator]
command = [PYTHON, "program.py"]
[architecture.genes]
depth = [1, 2, 3, 4]
[hardware.genes]
tiles = [16, 64]
[[objectives]]
name = "latency_ms"
goal = "min"
[[objectives]]
name = "edp"
goal = "min"
"""


def searched(folder, more, budget="2"):
    (folder / "program.py").write_text(PROGRAM.replace("MORE", repr(more)), encoding="utf-8")
    (folder / "study.toml").write_text(STUDY.replace("PYTHON", json.dumps(sys.executable)))
    words = ["--config", "study.toml", "--study", "s.db", "--jobs", "1", "--budget", budget]
    return run(["optimize", *words])


def test_a_text_in_place_of_a_number_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert searched(tmp_path, {"edp": "3e3 uJ"}) == 2
    said = capsys.readouterr().err
    assert "edp is the text '3e3 uJ', not a number; print it as a JSON number" in said


def test_a_program_with_a_genes_name_among_its_metrics_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert searched(tmp_path, {"tiles": 7}) == 2
    said = capsys.readouterr().err
    assert "metrics.tiles: what evaluates returns tiles, which is a gene" in said


def test_the_evaluation_that_is_tried_first_is_stored_with_its_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert searched(tmp_path, {}) == 0
    with Study.open("s.db", readonly=True) as study:
        for record in study.evaluations():
            assert 0.3 < record.seconds < 10


def test_a_network_that_is_no_family_is_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from cimbo.workloads import network\nNET = network('fmnist-vit')\n"
    (tmp_path / "my_nets.py").write_text(text, encoding="utf-8")
    assert run(["doctor", "my_nets:NET"]) == 0
    assert "network: " in capsys.readouterr().out


def test_the_errors_of_silicon_need_no_number(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert searched(tmp_path, {}) == 0
    # The chips of this study are its own: the option is understood, and refused for that
    assert run(["robust", "--silicon", "--study", "s.db", "--draws", "5"]) == 2
    assert "--silicon: has no effect here" in capsys.readouterr().err
    assert run(["robust", "--silicon", "x", "--study", "s.db"]) == 2
    assert "'x' is not a valid float" in capsys.readouterr().err
