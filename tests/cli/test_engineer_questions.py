"""What an engineer of a network asks: where weights are, one design as JSON, operators that nobody knows."""

import json
from pathlib import Path

import pytest

from cimbo.cli import run

CHIP = {
    "array": "digital_sram", "rows": 64, "cols": 64, "macros_per_pe": 2, "pes": 2, "columns_per_adc": 1,
    "buffer_mb": 0.25, "buffer_gb_s": 32, "dram_channels": 1, "planes": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "weights: loaded from DRAM again at each run"),
        (
            {"pes": 64, "macros_per_pe": 64},
            "weights: all of them fit and stay on the chip between runs",
        ),
    ],
)
def test_simulate_says_where_weights_are(capsys, more, told):
    chip = json.dumps(CHIP | more)
    assert run(["simulate", "--network", "fmnist-vit", "--hardware", chip]) == 0
    assert told in capsys.readouterr().err


def test_one_design_is_exported_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("one_design.py").write_text("def evaluate(d):\n    return {'latency_ms': 1 / d['rows']}\n")
    Path("study.toml").write_text(
        '[evaluator]\npython = "one_design:evaluate"\n[hardware.genes]\nrows = [16, 32]\n'
        '[[objectives]]\nname = "latency_ms"\ngoal = "min"\n'
    )
    words = ["optimize", "--config", "study.toml", "--study", "s.db", "--jobs", "1"]
    assert run([*words, "--budget", "2", "--format", "json"]) == 0
    (first,) = json.loads(capsys.readouterr().out)["pareto"]
    assert run(["export", first["key"], "--to", "json", "--study", "s.db"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert run(["export", first["key"], "--to", "json", "--study", "s.db", "-o", "one.json"]) == 0
    assert json.loads(Path("one.json").read_text()) == first


def test_a_search_warns_of_operators_that_are_not_known(tmp_path, monkeypatch, capsys):
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "W"], ["h"], name="mm"),
        onnx.helper.make_node("FancyGate", ["h"], ["y"], name="gate", domain="fancy"),
    ]
    tensor = onnx.helper.make_tensor_value_info
    weight = onnx.helper.make_tensor("W", 1, [64, 64], [0.0] * 4096)
    graph = onnx.helper.make_graph(
        nodes, "g", [tensor("x", 1, [1, 64])], [tensor("y", 1, [1, 64])], [weight]
    )
    onnx.save(onnx.helper.make_model(graph), "fancy.onnx")
    words = ["optimize", "--network", "fancy.onnx", "--study", "s.db", "--jobs", "1"]
    assert run([*words, "--budget", "2"]) == 0
    told = capsys.readouterr().err
    assert "operators not known" in told
    assert "FancyGate x1; the costs of this study are off by that" in told
