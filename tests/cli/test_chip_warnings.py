"""What `simulate` warns of beside the costs, and the sentences about them."""

import pytest

from cimbo.hardware import BASELINE_CHIP
from cimbo.hardware.cells import cell
from cimbo.session import simulation

NETWORK = simulation.workload("fmnist-vit")
RESISTIVE_FAMILY = BASELINE_CHIP | {"array": "rram", "planes": 1, "pes": 4}


def warned(chip: dict) -> str:
    return "\n".join(simulation.simulate(NETWORK, chip).warnings)


def test_a_chip_of_middle_size_has_no_warning():
    assert not warned(BASELINE_CHIP)


def test_heat_is_warned_of():
    found = simulation.simulate(NETWORK, BASELINE_CHIP | {"energy_factor": 1000})
    assert found.costs["figures_of_merit"]["w_per_mm2"] > 0.5
    assert any("W/mm2 need more than air" in line for line in found.warnings)


@pytest.mark.parametrize("name", ["rram", "pcm", "fefet", "mram"])
def test_cells_that_are_written_again_and_again_wear_out(name):
    lines = warned(RESISTIVE_FAMILY | {"cell": name})
    assert "unvalidated" in lines
    assert (
        f"the {cell(name).figures['endurance']:.0e} writes that {name} is assumed to endure last"
        in lines
    )


def test_cells_that_keep_their_weights_do_not_wear_out():
    lines = warned(RESISTIVE_FAMILY | {"pes": 64, "macros_per_pe": 8, "planes": 8})
    assert "unvalidated" in lines
    assert "endures" not in lines


def test_power_is_told_with_what_it_may_be():
    (line,) = simulation.simulate(NETWORK, BASELINE_CHIP).merits_told()
    for name in ("power_w", "w_per_mm2", "tops_per_w", "tops_per_mm2"):
        assert f"{name} " in line
    assert line.count(" to ") == 4


def test_bounds_are_told_where_the_schedule_is_bound():
    chip = BASELINE_CHIP | {"rows": 16, "macros_per_pe": 2, "pes": 1, "buffer_mb": 1 / 64}
    found = simulation.simulate(NETWORK, chip)
    assert found.costs["is_bound"]
    (line,) = found.bounds_told()
    assert "latency_ms" in line
    assert f"{found.costs['energy_uj_low']:.5g} to {found.costs['energy_uj']:.5g}" in line
    assert not simulation.simulate(NETWORK, BASELINE_CHIP).bounds_told()
