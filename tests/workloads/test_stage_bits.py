"""Bits of stages as genes of any family."""

import math

import pytest

from cimbo.errors import BadInput
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network
from cimbo.workloads.layers import Workload, linear
from cimbo.workloads.precision import (
    AS_THE_CHIP,
    MixedPrecision,
    OperandBits,
    at_stage_bits,
    precision_features,
)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("fmnist-vit", 6),
        ("fmnist-mobilenet", 3),
        ("vit-b", 12),
        ("bert-base", 12),
        ("ofa-mobilenetv3", 5),
        ("ofa-resnet50", 4),
    ],
)
def test_every_family_has_two_genes_a_stage(name, stages):
    family = MixedPrecision(network(name))
    plain = network(name).choices()
    added = [choice.name for choice in family.choices()][len(plain) :]
    expected = [f"{g}_{s}" for s in range(1, stages + 1) for g in ("weight_bits", "act_bits")]
    assert added == expected
    layers = family.workload(family.largest()).layers
    assert {layer.weight_bits for layer in layers} <= {0, 8}


def test_bits_of_a_block_that_is_not_there_make_no_difference():
    family = MixedPrecision(network("fmnist-vit"))
    space = SearchSpace(family.choices())
    shallow = family.smallest()
    assert "weight_bits_3" not in shallow
    other = shallow | {"weight_bits_3": 8, "act_bits_3": 5}
    rows = space.rows([shallow, other])
    assert (rows[0] == rows[1]).all()


def test_layers_get_the_bits_of_their_stage_and_write_those_of_the_next():
    family = MixedPrecision(network("fmnist-vit"))
    design = family.smallest() | {"weight_bits_1": 5, "act_bits_1": 6}
    layers = {layer.name: layer for layer in family.workload(design).layers}
    stem, qkv = layers["stem_2"], layers["block_1.qkv"]
    assert (stem.weight_bits, stem.activation_bits, stem.output_bits) == (0, 0, 6)
    assert (qkv.weight_bits, qkv.activation_bits, qkv.output_bits) == (5, 6, 6)
    scores = layers["block_1.attention.scores"]
    assert (scores.weight_bits, scores.activation_bits) == (6, 6)
    assert layers["block_1.ffn_out"].output_bits == 4  # the second block has the fewest bits
    assert layers["block_2.ffn_out"].output_bits == AS_THE_CHIP  # the head has the chip's


def test_stages_that_say_nothing_have_the_bits_of_the_chip():
    family = MixedPrecision(network("fmnist-mobilenet"))
    plain = family.family.workload(family.family.largest())
    said = family.workload(family.family.largest())
    assert [layer.macs for layer in said.layers] == [layer.macs for layer in plain.layers]
    assert {layer.weight_bits for layer in said.layers} == {0}


def test_a_value_that_is_not_listed_is_refused():
    family = MixedPrecision(network("fmnist-vit"))
    with pytest.raises(BadInput, match="weight_bits_1"):
        family.workload(family.smallest() | {"weight_bits_1": 7})


class Flat:
    """A family without stages."""

    name = "flat"

    def choices(self):
        return []

    def largest(self):
        return {}

    smallest = largest

    def workload(self, subnet):
        return Workload("flat", (linear("a", 10, (8, 8)),))


def test_a_family_without_stages_is_refused():
    with pytest.raises(BadInput, match="no stages or blocks"):
        MixedPrecision(Flat())


def test_features_of_precision_by_hand():
    layers = (linear("stage_1.a", 10, (8, 16), bias=False), linear("head", 1, (16, 4), bias=False))
    plain = Workload("w", layers)
    at_four = at_stage_bits(plain, {1: OperandBits(4, 2)})
    found, whole = precision_features(at_four), precision_features(plain)
    macs = 10 * 8 * 16, 16 * 4
    ratio = (macs[0] * 4 * 2 + macs[1] * 64) / (sum(macs) * 64)
    assert found["log_bit_macs"] - whole["log_bit_macs"] == pytest.approx(math.log(ratio))
    bits = (8 * 16 * 4 + 64 * 8) / ((8 * 16 + 64) * 8)
    assert found["log_parameter_bits"] - whole["log_parameter_bits"] == pytest.approx(
        math.log(bits)
    )
    noise = (macs[0] * (4.0**-4 + 4.0**-2) + macs[1] * 2 * 4.0**-8) / sum(macs)
    assert found["log_rounding"] == pytest.approx(math.log(noise))
