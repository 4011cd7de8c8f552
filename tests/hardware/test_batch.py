"""Several inferences at once: one rule for every kind of layer, and rates that follow from it."""

import pytest
from bits_per_cycle import in_gb_s

from cimbo.hardware import BASELINE_CHIP, simulate, simulate_batch
from cimbo.workloads import network
from cimbo.workloads.layers import Workload, attention, conv, linear

CHIP = in_gb_s(
    {
        "rows": 64,
        "cols": 64,
        "macros_per_pe": 1,
        "pes": 1,
        "adc_bits": 6,
        "columns_per_adc": 1,
        "dac_bits": 8,
        "buffer_mb": 1,
        "buffer_bw": 4096,
        "dram_bw": 64,
        "planes": 1,
        "noc_bw": 1e9,
        "vector_lanes": 1e9,
    }
)
LAYERS = [conv("c", 10, (64, 8)), linear("l", 100, (64, 8))]


@pytest.mark.parametrize("layer", LAYERS, ids=["convolution", "linear"])
def test_four_inferences_on_resident_weights_take_four_times_as_long(layer):
    # One tile, resident: 100 vectors of one cycle each, 400 of four inferences, whatever the kind of the layer.
    one = simulate(Workload("w", (layer,)), CHIP)
    four = simulate(Workload("w", (layer,)).batched(4), CHIP)
    assert one["cycles"] == pytest.approx(100)
    assert four["cycles"] == pytest.approx(400)
    assert four["inferences_per_s"] == pytest.approx(4e3 / four["latency_ms"])
    assert four["inferences_per_s"] == pytest.approx(one["inferences_per_s"])


def test_a_batch_shares_the_load_of_weights():
    # 128 x 8 weights on one macro of 64 rows: 128 cycles of load a run, and 2 passes x 100 vectors an inference.
    layer = linear("l", 100, (128, 8))
    one = simulate(Workload("w", (layer,)), CHIP)
    eight = simulate(Workload("w", (layer,)).batched(8), CHIP)
    assert one["cycles"] == pytest.approx(128 + 200)
    assert eight["cycles"] == pytest.approx(128 + 8 * 200)
    assert one["dram_bytes"] == eight["dram_bytes"] == 128 * 8
    assert eight["energy_per_inference_uj"] < one["energy_per_inference_uj"]


def test_attention_of_a_batch_has_its_own_operands():
    scores, context = (layer.batched(3) for layer in attention("a", 10, 2, 16))
    assert (scores.px, scores.groups, scores.macs) == (10, 6, 3 * 2 * 10 * 10 * 16)
    assert (context.px, context.groups, context.inputs) == (10, 6, 3 * 2 * 10 * 10)


@pytest.mark.parametrize("name", ["fmnist-vit", "fmnist-mobilenet"])
def test_many_at_once_are_each_alone(name):
    family = network(name)
    workloads = [family.workload(family.largest()).batched(batch) for batch in (1, 2, 16)]
    together = simulate_batch(workloads, BASELINE_CHIP)
    for index, workload in enumerate(workloads):
        alone = simulate(workload, BASELINE_CHIP)
        for metric in ("inferences_per_s", "energy_per_inference_uj", "dram_bytes"):
            assert together[metric][index] == pytest.approx(alone[metric], rel=1e-9)


def test_a_chip_counted_as_zigzag_counts_changes_none_beside_it():
    family = network("fmnist-vit")
    workload = family.workload(family.largest())
    analog = {**CHIP, "array": "charge_sram", "planes": 8, "pes": 64, "vector_lanes": 4}
    as_zigzag = {**analog, "zigzag_counting": 1}
    together = simulate_batch(workload, [analog, as_zigzag])
    for index, chip in enumerate((analog, as_zigzag)):
        alone = simulate(workload, chip)
        for metric in ("cycles", "energy_uj", "dram_bytes"):
            assert together[metric][index] == pytest.approx(alone[metric], rel=1e-9)
    assert together["cycles"][0] != pytest.approx(together["cycles"][1])
