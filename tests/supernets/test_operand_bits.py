"""Bits of a stage's operands in measured accuracies, on every kind of array."""

import pytest
import torch

from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.hardware import BASELINE_CHIP
from cimbo.hardware.array_description import describe_array
from cimbo.supernets.array_instance import ArrayInstance, arrays
from cimbo.supernets.die import Die
from cimbo.supernets.rounded_attention import RoundedAttention
from cimbo.workloads import network
from cimbo.workloads.precision import OperandBits

DIGITAL = {"array": "digital_sram", "rows": 128}
STAGES = {"fmnist-vit": 6, "fmnist-mobilenet": 3}


def at_bits(name: str, weight_bits: int, act_bits: int) -> dict[str, int]:
    """The largest network with these bits in every stage."""
    design = dict(network(name).largest())
    for stage in range(1, STAGES[name] + 1):
        design |= {f"weight_bits_{stage}": weight_bits, f"act_bits_{stage}": act_bits}
    return design


@pytest.mark.parametrize("name", STAGES)
def test_eight_bits_are_within_a_fifth_of_a_point_of_float(name):
    source = ShippedAccuracy(name)
    float_accuracy = source.measure(network(name).largest())
    assert source.measure(at_bits(name, 8, 8) | DIGITAL) == pytest.approx(float_accuracy, abs=0.2)


@pytest.mark.parametrize("name", STAGES)
def test_one_bit_is_chance(name):
    """Ten classes: 10 % and a few points. Where stages alone have one bit, the first and last layer keep eight."""
    source = ShippedAccuracy(name)
    of_chip = dict(network(name).largest()) | DIGITAL | {"weight_bits": 1, "act_bits": 1}
    assert source.measure(of_chip, images=1000) < 15
    assert source.measure(at_bits(name, 1, 1) | DIGITAL, images=1000) < 30


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("fmnist-vit", "charge_sram"),
        ("fmnist-vit", "current_sram"),
        ("fmnist-vit", "rram"),
        ("fmnist-vit", "digital_sram"),
        ("fmnist-mobilenet", "charge_sram"),
    ],
)
def test_bits_of_the_chip_said_at_every_stage_change_nothing(name, array):
    source, chip = ShippedAccuracy(name), BASELINE_CHIP | {"array": array}
    plain = source.measure({**network(name).largest(), **chip}, images=100)
    for bits in (8, 12):  # more than the chip has is rounded to what it has
        assert source.measure(at_bits(name, bits, bits) | chip, images=100) == plain


@pytest.mark.parametrize(
    ("array", "exact"),
    [("charge_sram", False), ("charge_sram", True), ("digital_sram", True)],
)
def test_a_stage_of_one_bit_costs_accuracy(array, exact):
    """The second stage of a network without a way around it; the others have eight bits."""
    source, design = (
        ShippedAccuracy("fmnist-mobilenet"),
        dict(network("fmnist-mobilenet").smallest()),
    )
    chip = {"array": array, "rows": 64, "adc_bits": 8}
    whole = source.measure(design | chip, images=48, exact=exact)
    few = design | {"weight_bits_2": 1, "act_bits_2": 1}
    assert source.measure(few | chip, images=48, exact=exact) < whole - 20


def test_operands_without_a_chip_are_rounded():
    source = ShippedAccuracy("fmnist-vit")
    design = at_bits("fmnist-vit", 2, 2)
    assert source.measure(design, images=200) == source.measure(design | DIGITAL, images=200)


def test_arrays_have_as_many_slices_as_the_stage_has_bits():
    chip = arrays(BASELINE_CHIP | {"array": "charge_sram"}, 0, ideal=False)
    die = Die(chip)
    weight = torch.randn(1, 4, 16)
    assert die.product(weight, common=False).cells.shape[-1] == 8
    few = die.at(OperandBits(weight_bits=5, act_bits=3))
    assert few.product(weight, common=False).cells.shape[-1] == 5
    assert few.chip.array.input_steps == 3
    assert die.chip.array.weight_bits == 8  # as it was


def test_rounded_attention_nears_attention_as_bits_grow():
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(8, 49, 16, generator=draw) for _ in range(3))
    exact = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    errors = []
    for bits in (2, 4, 6, 8):
        found = RoundedAttention(bits)(query.clone(), key.clone(), value.clone())
        errors.append(float((found - exact).std() / exact.std()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.03
    assert errors[0] > 0.2


def test_a_die_is_one_chip():
    """Stages share the random sequences of their die."""
    die = Die(ArrayInstance(describe_array(BASELINE_CHIP)))
    few = die.at(OperandBits(4, 4))
    first = few.sample(1000).tolist()
    assert die.sample(1000).tolist() != first
