"""Error bars hold the values they belong to, and figures of merit are rates of the costs beside them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo.hardware import BASELINE_CHIP, chip_choices, error_bars, figures_of_merit, simulate
from cimbo.hardware.error_bars import merit_bars, spread_of
from cimbo.hardware.pipeline_words import EXECUTION_MODES
from cimbo.workloads import network

FAMILY = network("fmnist-vit")
NETWORK = FAMILY.workload(FAMILY.largest())
CHIPS = st.fixed_dictionaries(
    {choice.name: st.sampled_from(choice.values) for choice in chip_choices(extended=True)}
    | {
        "schedule": st.sampled_from(["latency", "energy", "edp"]),
        "execution": st.sampled_from(EXECUTION_MODES),
    }
)
CHECK = settings(max_examples=60, deadline=None)
# Scheduled anew at each cycle, this chip keeps other weights, and is faster at both ends than as modelled.
RESCHEDULED = {
    "array": "charge_sram",
    "rows": 512,
    "cols": 128,
    "macros_per_pe": 32,
    "pes": 1,
    "adc_bits": 9,
    "columns_per_adc": 16,
    "buffer_mb": 0.0625,
    "buffer_gb_s": 128,
    "dram_channels": 1,
    "planes": 8,
    "dac_bits": 2,
    "noc_gb_s": 512,
    "vector_lanes": 256,
    "cell_bits": 2,
    "rows_active": 64,
    "clock_ghz": 1.0,
    "node_nm": 7,
    "supply_v": 0.7,
}


def assert_within(bars, values) -> None:
    for name, (low, high) in bars.items():
        assert low <= values[name] * (1 + 1e-12), name
        assert values[name] <= high * (1 + 1e-12), name


@CHECK
@given(chip=CHIPS)
def test_every_value_lies_within_its_own_bar(chip):
    assert_within(error_bars(NETWORK, chip), simulate(NETWORK, chip))
    assert_within(merit_bars(NETWORK, chip), figures_of_merit(NETWORK, chip).to_json())


def test_a_bar_is_of_the_schedule_that_its_value_is_of():
    value = simulate(NETWORK, RESCHEDULED)["latency_ms"]
    low, high = error_bars(NETWORK, RESCHEDULED)["latency_ms"]
    spread = spread_of("charge_sram").cycle
    assert value / spread * (1 - 1e-9) <= low < value < high <= value * spread * (1 + 1e-9)
    assert high / low > 5  # bound by its arrays nearly everywhere


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("execution", EXECUTION_MODES)
def test_power_is_energy_times_rate(execution, batch):
    many = network("fmnist-vit")
    workload = many.workload(many.largest()).with_batch(batch)
    chip = BASELINE_CHIP | {"planes": 32, "execution": execution}
    cost, figures = simulate(workload, chip), figures_of_merit(workload, chip)
    rate = cost["inferences_per_s"]
    assert figures.power_w == pytest.approx(cost["energy_per_inference_uj"] * rate * 1e-6)
    assert figures.w_per_mm2 == pytest.approx(figures.power_w / cost["area_mm2"])
    assert figures.tops == pytest.approx(2e-12 * workload.macs / batch * rate)
    needed = cost["dram_bytes"] / batch * rate * 1e-9
    assert math.isclose(figures.dram_gb_s_needed, needed, rel_tol=1e-9, abs_tol=1e-12)


def test_the_cycle_moves_the_energy_of_a_chip_that_leaks():
    value = simulate(NETWORK, RESCHEDULED)["energy_uj"]
    low, high = error_bars(NETWORK, RESCHEDULED)["energy_uj"]
    by_energy = simulate(NETWORK, RESCHEDULED | {"energy_factor": spread_of("charge_sram").energy})
    assert high > by_energy["energy_uj"] > value > low
