"""Layers at bits of their own: what they take of a chip built for more, on every kind of array."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP, area_mm2, simulate, simulate_batch
from cimbo.workloads import network
from cimbo.workloads.layers import Layer, Workload, attention, linear

ARRAYS = ("charge_sram", "current_sram", "digital_sram", "rram")
RAW_COSTS = ("latency_ms", "energy_uj", "area_mm2", "cycles")


def at(workload: Workload, weight_bits: int, act_bits: int) -> Workload:
    """Every layer at these bits; the stationary operand of attention is made of activations."""
    layers = [
        replace(
            layer,
            weight_bits=act_bits if layer.dynamic else weight_bits,
            activation_bits=act_bits,
        )
        for layer in workload.layers
    ]
    return replace(workload, layers=tuple(layers))


def largest(name: str) -> Workload:
    return network(name).workload(network(name).largest())


@pytest.mark.parametrize("name", ["fmnist-vit", "fmnist-mobilenet", "bert-base"])
@pytest.mark.parametrize("array", ARRAYS)
def test_bits_of_the_chip_written_at_every_layer_change_nothing(name, array):
    chip = BASELINE_CHIP | {"array": array}
    plain = simulate(largest(name), chip)
    for bits in ((8, 8), (32, 16)):  # what is wider than the chip's operands is rounded to those
        said = simulate(at(largest(name), *bits), chip)
        assert {m: said[m] for m in RAW_COSTS} == {m: plain[m] for m in RAW_COSTS}


@given(
    array=st.sampled_from(ARRAYS),
    tree=st.sampled_from([0, 1, 2, 4]),
    encoding=st.sampled_from(["twos_complement", "differential"]),
    bits=st.tuples(st.integers(1, 8), st.integers(1, 8)),
)
@settings(max_examples=60, deadline=None)
def test_fewer_bits_never_cost_more(array, tree, encoding, bits):
    """Energy at the schedule of least energy: nothing that a layer needs grows when its bits fall."""
    chip = BASELINE_CHIP | {"array": array, "tree_bits": tree, "encoding": encoding}
    chip |= {"schedule": "energy"}
    weight_bits, act_bits = bits
    network_ = largest("fmnist-mobilenet")
    pair = [at(network_, *each) for each in (bits, (min(8, weight_bits + 1), act_bits))]
    pair.append(at(network_, weight_bits, min(8, act_bits + 1)))
    energy = simulate_batch(pair, [chip] * 3)["energy_uj"]
    assert energy[0] <= energy[1] * (1 + 1e-9)
    assert energy[0] <= energy[2] * (1 + 1e-9)


def one_layer(**bits: int) -> Workload:
    """64 inputs to 16 outputs on 10 vectors: one tile of 128 x 128 cells at 8 bits."""
    layer = Layer("l", "linear", 10, 64, 16, inputs=640, outputs=160, **bits)
    return Workload("w", (layer,))


def test_analog_columns_and_steps_by_hand():
    """4-bit weights in cells of one bit: half of the slices; 2-bit inputs: a quarter of the steps."""
    chip = BASELINE_CHIP | {"schedule": "energy"}
    whole = simulate(one_layer(), chip)["energy_parts_uj"]
    half = simulate(one_layer(weight_bits=4), chip)["energy_parts_uj"]
    quarter = simulate(one_layer(activation_bits=2), chip)["energy_parts_uj"]
    assert half["adc"] == pytest.approx(whole["adc"] / 2)
    assert half["array"] == pytest.approx(whole["array"])  # the rows are driven all the same
    assert quarter["adc"] == pytest.approx(whole["adc"] / 4)
    assert quarter["array"] == pytest.approx(whole["array"] / 4)
    assert half["weight_write"] == pytest.approx(whole["weight_write"] / 2)
    # Width of what is accumulated: 6 bits of the converter, 8 of the input, 4 or 8 of the weight.
    assert half["accumulators"] == pytest.approx(whole["accumulators"] * 18 / 22)
    # Slices are weighed and added: width x (slices - 1) + slices x (log2 slices - .5), 6-bit converters.
    assert half["adders"] == pytest.approx(whole["adders"] * (6 * 3 + 4 * 1.5) / (6 * 7 + 8 * 2.5))


def test_digital_trees_by_hand():
    """64 of 128 rows live: levels of 32 to 1 adders, weight bits + level wide, and one that passes a sum on."""
    chip = BASELINE_CHIP | {"array": "digital_sram", "schedule": "energy"}
    whole = simulate(one_layer(), chip)["energy_parts_uj"]["adders"]
    half = simulate(one_layer(weight_bits=4), chip)["energy_parts_uj"]["adders"]

    def adders(bits: int) -> float:
        full = sum(2 ** (5 - level) * (bits + level) for level in range(6))
        return full + 0.5 * (bits + 6)

    assert half / whole == pytest.approx(adders(4) / adders(8))


def test_two_input_bits_a_step_are_weighed_once_a_tree_by_hand():
    """Two trees at half the steps, and an adder of 8 + log2(128) = 15 bits over both: 15 + 2 x .5 one-bit additions a sum."""
    chip = BASELINE_CHIP | {"array": "digital_sram", "rows": 128, "schedule": "energy"}
    one_bit = simulate(one_layer(), chip)["energy_parts_uj"]["adders"]
    two_bits = simulate(one_layer(), chip | {"dac_bits": 2})["energy_parts_uj"]["adders"]
    tree = sum(2 ** (5 - level) * (8 + level) for level in range(6)) + 0.5 * (8 + 6)
    assert two_bits / one_bit == pytest.approx(4 * (2 * tree + 16) / (8 * tree))


def test_trees_of_four_bits_are_joined_for_eight():
    """Two trees and an adder of 8 + log2(128) bits a weight; the chip is larger, and 4-bit weights need half of it."""
    chip = BASELINE_CHIP | {"array": "digital_sram", "schedule": "energy"}
    narrow = chip | {"tree_bits": 4}
    assert area_mm2([narrow])[0] > area_mm2([chip])[0]
    both = [simulate(one_layer(weight_bits=8), each)["energy_parts_uj"] for each in (chip, narrow)]
    assert both[1]["adders"] > both[0]["adders"]
    wide = Layer("l", "linear", 10, 64, 32, inputs=640, outputs=320, weight_bits=4)
    drives = [simulate(Workload("w", (wide,)), each)["energy_parts_uj"] for each in (chip, narrow)]
    assert drives[0]["array"] == pytest.approx(2 * drives[1]["array"])  # two tiles, or one


def test_results_are_written_at_the_bits_of_whoever_reads_them():
    chip = BASELINE_CHIP | {"schedule": "energy"}
    own = simulate(one_layer(activation_bits=4), chip)["energy_parts_uj"]
    more = simulate(one_layer(activation_bits=4, output_bits=8), chip)["energy_parts_uj"]
    assert more["buffer"] > own["buffer"]
    assert more["noc"] > own["noc"]
    assert more["adc"] == own["adc"]


def test_attention_holds_activations():
    """Keys of 4 bits take 4 columns of an array whose weights take 8."""
    scores, context = attention("a", 64, 2, 16)
    front = linear("q", 64, (32, 32))
    few = tuple(replace(x, activation_bits=4, weight_bits=4) for x in (scores, context))
    chip = BASELINE_CHIP | {"vector_lanes": 1, "schedule": "energy"}
    whole = simulate(Workload("w", (front, scores, context)), chip)["layers"]
    half = simulate(Workload("w", (front, *few)), chip)["layers"]
    # Twice as many copies of half the bits stand side by side.
    assert half[1]["energy_uj"]["weight_write"] <= whole[1]["energy_uj"]["weight_write"]
    assert half[1]["energy_uj"]["adc"] == pytest.approx(whole[1]["energy_uj"]["adc"] / 4)


@pytest.mark.parametrize("name", ["weight_bits", "activation_bits", "output_bits"])
def test_bits_that_are_none_are_refused(name):
    with pytest.raises(BadInput, match=name):
        one_layer(**{name: -1})
