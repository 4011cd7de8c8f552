"""Shares of ones: what a file says of which layers, and what they save."""

import json
from dataclasses import replace

import pytest

from cimbo.errors import BadInput
from cimbo.hardware import simulate, simulate_batch
from cimbo.hardware.chip import BASELINE_CHIP
from cimbo.workloads import network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.layers import Workload, linear
from cimbo.workloads.sparsity import at_shares, read_shares, shares_to_json

DIGITAL = BASELINE_CHIP | {"array": "digital_sram", "columns_per_adc": 1, "rows_active": 4}
LAYERS = Workload("two", (linear("a", 64, (256, 64)), linear("b.ffn", 64, (64, 64))))


def at(shares):
    """The two layers with shares of ones."""
    return at_shares(LAYERS, read_shares(shares))


def test_later_patterns_take_precedence(tmp_path):
    file = tmp_path / "shares.toml"
    file.write_text('["*"]\ninputs = 0.3\nweights = 0.4\n["*.ffn"]\ninputs = 0.1\n')
    shares = read_shares(str(file))
    a, b = at_shares(LAYERS, shares).layers
    assert (a.input_ones, a.weight_ones) == (0.3, 0.4)
    assert (b.input_ones, b.weight_ones) == (0.1, 0.4)
    other = tmp_path / "shares.json"
    other.write_text(json.dumps(shares_to_json(shares)))
    assert read_shares(str(other)) == shares


def test_random_bits_cost_what_the_usual_activity_does():
    usual, random = simulate(LAYERS, DIGITAL), simulate(at({"*": {"inputs": 0.5}}), DIGITAL)
    assert random["energy_uj"] == pytest.approx(usual["energy_uj"], rel=1e-12)
    assert random["latency_ms"] == usual["latency_ms"]


def test_adders_follow_both_shares():
    usual = simulate(LAYERS, DIGITAL)["energy_parts_uj"]
    fewer = simulate(at({"*": {"inputs": 0.25, "weights": 0.2}}), DIGITAL)["energy_parts_uj"]
    assert fewer["adders"] == pytest.approx(usual["adders"] * 0.25 * 0.2 / 0.25)
    assert fewer["array"] < usual["array"]  # of which word lines switch all the same
    assert fewer["buffer"] == usual["buffer"]


def test_half_the_ones_are_half_the_activity_of_the_chip():
    """A share by layer and the chip's own activity are one law."""
    fewer = simulate(at({"*": {"inputs": 0.25}}), DIGITAL)
    chip = simulate(LAYERS, DIGITAL | {"activity": 0.125})
    assert fewer["energy_uj"] == pytest.approx(chip["energy_uj"], rel=1e-12)


def test_cycles_fall_only_where_the_chip_skips_zeros():
    few = at({"*": {"inputs": 0.1}})
    usual, sparse = simulate(LAYERS, DIGITAL), simulate(few, DIGITAL)
    skips = simulate(few, DIGITAL | {"zero_skipping": 1})
    assert sparse["latency_ms"] == usual["latency_ms"]
    array_bound = [layer for layer in usual["layers"] if layer["bound"] == "compute"]
    assert array_bound
    steps_left = 1 - 0.9**4
    for before, after in zip(usual["layers"], skips["layers"], strict=True):
        if before["bound"] == after["bound"] == "compute":
            assert after["cycles"] == pytest.approx(steps_left * before["cycles"], rel=0.02)
    assert simulate(LAYERS, DIGITAL | {"zero_skipping": 1})["latency_ms"] == usual["latency_ms"]


def test_a_batch_of_chips_is_as_one():
    few = at({"a": {"inputs": 0.1}})
    chips = [DIGITAL, DIGITAL | {"zero_skipping": 1}]
    found = simulate_batch([few, few], chips)
    for index, chip in enumerate(chips):
        one = simulate(few, chip)
        assert found["energy_uj"][index] == pytest.approx(one["energy_uj"], rel=1e-12)


def test_a_family_with_shares():
    family = network("fmnist-vit")
    asked = with_settings(family, InferenceSettings(2, activity={"block_1.*": {"inputs": 0.2}}))
    layers = asked.workload(asked.largest()).layers
    inside = [layer for layer in layers if layer.name.startswith("block_1.")]
    assert inside
    assert all(layer.input_ones == 0.2 for layer in inside)
    assert not any(layer.input_ones for layer in layers if layer not in inside)
    plain = family.workload(family.largest()).batched(2)
    assert [replace(layer, input_ones=0.0) for layer in layers] == list(plain.layers)


def test_settings_are_what_they_were_written_as():
    settings = InferenceSettings(activity={"*": {"inputs": 0.2}})
    assert InferenceSettings(**settings.to_json()) == settings


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({"*": {"inputs": 0}}, "give a share above 0, at most 1"),
        ({"*": {"inputs": "half"}}, "give a share above 0, at most 1"),
        ({"*": {"bits": 0.5}}, "give inputs and weights"),
        ({"*": 0.5}, "give inputs and weights"),
    ],
)
def test_what_is_no_share_is_named(shares, told):
    with pytest.raises(BadInput, match=told):
        read_shares(shares)


def test_ones_of_stored_integers(tmp_path):
    pytest.importorskip("onnx")
    from onnx import TensorProto
    from onnx_graphs import Node, Stored, graph, number, save

    from cimbo.workloads.onnx import from_onnx

    nodes = [Node("DequantizeLinear", ["w", "s"], ["d"]), Node("MatMul", ["x", "d"], ["y"])]
    held = [1] * 64 + [-1] * 64  # one bit of eight, and all of them
    stored = {"w": Stored((16, 8), held, TensorProto.INT8), "s": number(0.1)}
    file = save(tmp_path, graph(nodes, {"x": [1, 10, 16]}, stored))
    (layer,) = from_onnx(file, read_weights=True).layers
    assert layer.weight_ones == (1 + 8) / 16
    (unread,) = from_onnx(file).layers
    assert unread == replace(layer, weight_ones=0.0)


def test_measured_shares_are_of_the_network_s_layers():
    family = network("fmnist-mobilenet")
    asked = with_settings(family, InferenceSettings(activity="measured"))
    layers = asked.workload(asked.largest()).layers
    assert all(layer.input_ones and layer.weight_ones for layer in layers if not layer.dynamic)
    with pytest.raises(BadInput, match="not measured"):
        with_settings(network("vit-b"), InferenceSettings(activity="measured"))
