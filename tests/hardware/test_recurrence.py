"""Steps of a recurrence follow one another, however many macros there are: counted by hand."""

from dataclasses import replace

import pytest

from cimbo import hardware
from cimbo.workloads.layer import Layer
from cimbo.workloads.workload import Workload

STEPS, HIDDEN = 256, 64
# 8 bits of an input, each converted by converters that 8 columns share: 64 cycles a vector. Three gates of 64 units make 192
# columns of 8-bit weights: 6 tiles of 256 columns, 64 rows of which are in use.
VECTOR_CYCLES = 64
TILES = 6
CHIP = {
    "array": "charge_sram",
    "rows": 256,
    "cols": 256,
    "macros_per_pe": 1,
    "pes": 8,
    "adc_bits": 8,
    "columns_per_adc": 8,
    "buffer_mb": 2,
    "buffer_gb_s": 64,
    "dram_channels": 1,
    "planes": 4,
}


def product(name: str, batch: int, steps: int) -> Layer:
    vectors = STEPS * batch
    moved = vectors * HIDDEN
    return Layer(
        name, "linear", vectors, HIDDEN, 3 * HIDDEN, inputs=moved, outputs=moved, steps=steps
    )


def gru(batch: int = 1, steps: int = STEPS) -> Workload:
    layers = (product("gru.input", batch, 0), product("gru.recurrent", batch, steps))
    return Workload("gru", layers, batch=batch)


def cycles(chip: dict, batch: int = 1, steps: int = STEPS) -> dict[str, float]:
    found = hardware.simulate(gru(batch, steps), CHIP | chip)
    return {layer["name"]: layer["cycles"] for layer in found["layers"]}


@pytest.mark.parametrize("pes", [8, 64, 256])
def test_more_macros_do_not_split_the_steps(pes):
    found = cycles({"pes": pes})
    assert found["gru.recurrent"] == STEPS * VECTOR_CYCLES
    copies = min(pes // TILES, STEPS)
    assert found["gru.input"] >= -(-STEPS // copies) * VECTOR_CYCLES
    if pes > 8:
        assert found["gru.input"] < found["gru.recurrent"] / 4


def test_a_batch_shares_copies_within_each_step():
    one, four = cycles({"pes": 256}, 1), cycles({"pes": 256}, 4)
    assert four["gru.recurrent"] == one["gru.recurrent"] == STEPS * VECTOR_CYCLES
    single = cycles({"pes": 8}, 4)  # room for one copy
    assert single["gru.recurrent"] == 4 * STEPS * VECTOR_CYCLES


@pytest.mark.parametrize("duplication", ["latency", "bottleneck"])
def test_a_pipeline_waits_for_the_recurrence(duplication):
    chip = CHIP | {"pes": 256, "execution": "pipelined", "duplication": duplication}
    found = hardware.simulate(gru(), chip)["pipeline"]
    of_inputs = STEPS * VECTOR_CYCLES / 32  # whose copies may share a macro with the recurrence
    assert STEPS * VECTOR_CYCLES <= found["interval_cycles"] <= STEPS * VECTOR_CYCLES + of_inputs
    assert found["bottleneck"] == "gru.recurrent"


def test_weights_that_do_not_fit_are_loaded_in_every_step():
    chip = {"pes": 1, "planes": 1}
    once = hardware.simulate(gru(steps=0), CHIP | chip)
    again = hardware.simulate(gru(), CHIP | chip)
    assert again["energy_uj"] > 3 * once["energy_uj"]
    assert again["cycles"] > once["cycles"]


def test_what_does_not_recur_is_as_before():
    plain = hardware.simulate(gru(steps=0), CHIP)
    one = hardware.simulate(gru(steps=1), CHIP)
    assert plain["cycles"] == one["cycles"]
    assert plain["energy_uj"] == one["energy_uj"]


def test_the_batch_of_a_recurrent_layer_keeps_its_steps():
    layer = product("gru.recurrent", 1, STEPS)
    assert layer.batched(3) == replace(product("gru.recurrent", 3, STEPS), inputs=3 * layer.inputs)
