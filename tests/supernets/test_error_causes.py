"""Causes of errors switched off one by one, in all layers or in one."""

from dataclasses import replace

import pytest
import torch

from cimbo import BadInput
from cimbo.evaluation.accuracy.error_losses import error_losses
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy, examples, supernetwork
from cimbo.evaluation.joint import JointEvaluator
from cimbo.hardware.array_description import describe_array
from cimbo.supernets.array_instance import ArrayInstance
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.supernets.error_causes import (
    EVERYTHING,
    STEPS_AND_RANGE,
    WITHOUT_CAUSE,
    SwitchedOff,
    TrialDie,
    UnroundedMVM,
    causes_of,
)
from cimbo.supernets.measurement import deployed
from cimbo.workloads import network

ANALOG = {"array": "charge_sram", "adc_bits": 4, "rows": 128}
SMALLEST = network("fmnist-vit").smallest()


def test_an_array_has_the_causes_that_change_it():
    described = describe_array(ANALOG)
    assert causes_of(described) == tuple(WITHOUT_CAUSE)
    whole = replace(described, cell_levels=(), cell_noise=0.0)
    assert causes_of(whole) == ("noise", "offset and non-linearity", STEPS_AND_RANGE)
    assert causes_of(describe_array({"array": "digital_sram", "rows": 64})) == ()


def test_unrounded_readings_leave_the_rounding_of_operands_alone():
    torch.manual_seed(0)
    array = replace(
        describe_array(ANALOG), noise_lsb=0.0, inl_lsb=0.0, offset_lsb=0.0, sum_noise=0.0
    )
    weight, inputs = torch.randn(1, 8, 200), torch.randn(1, 50, 200)
    found = {}
    for kind in (UnroundedMVM, BitAccurateMVM):
        product = kind(array, weight, torch.Generator().manual_seed(0), shared_range=False)
        product.calibrate(inputs)
        rounded = product.range.quantise(inputs) @ product.weight.mT
        found[kind] = (product(inputs) - rounded).std() / rounded.std()
    assert found[UnroundedMVM] < 1e-4
    assert found[BitAccurateMVM] > 0.05


def test_a_die_with_everything_off_computes_in_float():
    chip = ArrayInstance(describe_array(ANALOG), seed=1)
    images, calibration = (
        examples("fmnist-vit", "validation")[0][:8],
        examples("fmnist-vit", "calibration")[0][:16],
    )
    net = supernetwork("fmnist-vit")
    with torch.inference_mode():
        plain = deployed(net, SMALLEST, calibration)(images)
        off = TrialDie(chip, 0, SwitchedOff(EVERYTHING))
        torch.testing.assert_close(
            deployed(net, SMALLEST, calibration, off)(images), plain, atol=1e-3, rtol=1e-3
        )
        erring = deployed(net, SMALLEST, calibration, TrialDie(chip, 0, None))(images)
    assert (erring - plain).abs().max() > 0.1


def test_layers_keep_their_errors_where_another_is_switched_off():
    array = replace(describe_array({**ANALOG, "array": "rram"}), noise_lsb=0.0)
    chip, weight = ArrayInstance(array, seed=3), torch.randn(1, 4, 30)
    held = []
    for off in (None, SwitchedOff("cells", layer=0), SwitchedOff(EVERYTHING, layer=0)):
        die = TrialDie(chip, 0, off)
        first, second = (die.product(weight, common=False) for _ in range(2))
        held.append(second.weight)
        assert not torch.equal(first.weight, second.weight)
    assert torch.equal(held[0], held[1])
    assert torch.equal(held[0], held[2])


def test_what_a_design_loses_is_told_by_cause_and_by_layer():
    workload = network("fmnist-vit").workload(SMALLEST)
    layers = [layer.name for layer in workload.layers if not layer.dynamic]
    found = error_losses(
        ShippedAccuracy("fmnist-vit"), SMALLEST | ANALOG | {"adc_bits": 5}, workload, images=40
    )
    assert found.images == 40
    by_cause = {loss.cause: loss for loss in found.losses if loss.layer == "all"}
    assert list(by_cause) == ["operand bits", *WITHOUT_CAUSE]
    by_layer = [loss.layer for loss in found.losses if loss.cause == EVERYTHING]
    assert sorted(by_layer) == sorted(layers)
    assert found.in_float > found.as_described + 10
    assert max(loss.points for loss in by_cause.values()) > 0
    assert abs(by_cause["operand bits"].points) <= 5
    worst = [loss for loss in found.losses if loss.layer != "all" and loss.cause != EVERYTHING]
    assert len(worst) == 3 * len(WITHOUT_CAUSE)


def test_digital_arrays_lose_by_the_bits_of_their_operands_alone():
    few = SMALLEST | {"array": "digital_sram", "rows": 64, "weight_bits": 1, "act_bits": 1}
    workload = network("fmnist-vit").workload(SMALLEST)
    found = error_losses(ShippedAccuracy("fmnist-vit"), few, workload, images=40)
    assert found.losses[0].cause == "operand bits"
    assert found.losses[0].points == found.in_float - found.as_described > 20
    assert {loss.cause for loss in found.losses[1:]} == {EVERYTHING}


def test_an_accuracy_that_knows_no_causes_says_so():
    with pytest.raises(BadInput, match="knows no causes of errors"):
        JointEvaluator("vit-b", "none").error_losses({})
