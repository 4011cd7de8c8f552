"""Layers of digital arrays in whole numbers: the same sums as in floating point, and the option that asks for them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo import BadInput
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.supernets.quantisation import input_range, quantise_weight
from cimbo.supernets.whole_products import WholeProduct, fit_whole_products

LARGEST_MINILM = {"depth": 6, **{f"heads_{i}": 12 for i in range(1, 7)}}
LARGEST_MINILM |= {f"mlp_{i}": 1536 for i in range(1, 7)}


@settings(deadline=None, max_examples=60)
@given(
    weight_bits=st.integers(2, 8),
    act_bits=st.integers(1, 8),
    signed=st.booleans(),
    shift=st.sampled_from([-3.0, 0.0, 0.4, 5.0]),
    seed=st.integers(0, 1000),
)
def test_sums_are_those_of_double_precision(weight_bits, act_bits, signed, shift, seed):
    torch.manual_seed(seed)
    x = torch.randn(40, 33) + shift
    weight = quantise_weight(torch.randn(17, 33), weight_bits)
    bias = torch.randn(17)
    inputs = input_range(x, act_bits, signed=signed)
    expected = inputs.quantise(x.double()) @ weight.double().t() + bias
    found = WholeProduct(weight, bias, inputs, weight_bits=weight_bits)(x)
    assert (found - expected).abs().max() < 2e-5 * (1 + expected.abs().max())


def test_operands_that_eight_bits_do_not_hold_stay_floating_point():
    assert fit_whole_products(8, 8)
    assert fit_whole_products(2, 1)
    assert not fit_whole_products(1, 8)  # a sign, which has no steps
    assert not fit_whole_products(9, 8)
    assert not fit_whole_products(8, 16)


def test_a_measurement_in_whole_numbers_is_that_of_floating_point():
    design = {**LARGEST_MINILM, "array": "digital_sram", "rows": 64}
    design |= {"weight_bits_1": 4, "act_bits_2": 5, "weight_bits_3": 1}
    right = []
    for products in ("float", "whole"):
        source = ShippedAccuracy("reviews-minilm", products=products)
        right.append(source.hits(design, images=100))
    assert (right[0] != right[1]).sum() <= 3  # last digits become steps of rounding


def test_analog_arrays_are_measured_as_ever():
    design = {"depth": 1, "heads_1": 4, "mlp_1": 384, "array": "charge_sram", "rows": 64}
    design |= {"adc_bits": 9}
    once, again = (
        ShippedAccuracy("reviews-minilm", products=products).hits(design, images=20)
        for products in ("float", "whole")
    )
    assert (once == again).all()


def test_another_form_is_refused_in_one_line():
    with pytest.raises(BadInput, match="use one of float, whole"):
        ShippedAccuracy("reviews-minilm", products="integer")
