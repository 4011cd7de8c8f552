"""AccelForge as a simulator: what is missing is said first and in one line; the rest with its mapper replaced."""

import sys

import pytest

from cimbo.errors import BadInput
from cimbo.evaluators import accelforge
from cimbo.evaluators.accelforge import AccelForge, missing, variables
from cimbo.evaluators.simulators import simulator
from cimbo.hardware import BASELINE
from cimbo.hardware.space import columns
from cimbo.workload import Workload, attention, linear

ONE = BASELINE | {"planes": 1, "columns_per_adc": 1, "macros_per_pe": 1, "pes": 1}
WORKLOAD = Workload("w", (linear("a", 197, (768, 768)), linear("b", 197, (768, 768)), *attention("x", 49, 3, 16)))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python is new enough")
def test_old_python_is_said_with_all_else_that_is_missing():
    with pytest.raises(BadInput, match=r"Python 3\.11 is older than 3\.12") as told:
        simulator("accelforge")
    assert "\n" not in str(told.value)
    assert "pip install accelforge" in str(told.value)


@pytest.mark.skipif(not missing(), reason="AccelForge is complete here")
def test_every_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(accelforge, "find_spec", lambda name: None)
    assert any("accelforge, hwcomponents, hwcomponents_adc, hwcomponents_neurosim" in line for line in missing())


def test_program_that_the_loader_refuses(tmp_path):
    folder = tmp_path / "NeuroSim"
    folder.mkdir()
    program = folder / "main"
    assert accelforge._trouble(program) == ["program main of NeuroSim does not start (No such file or directory)"]
    program.write_text(
        '#!/bin/sh\necho "main: libc.so.6: version \\`GLIBC_2.38\' not found (required by main)" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    assert accelforge._trouble(program) == ["program main of NeuroSim needs GLIBC_2.38"]
    program.write_text("#!/bin/sh\necho usage >&2\nexit 1\n")
    assert accelforge._trouble(program) == []


@pytest.fixture
def ready(monkeypatch):
    """An AccelForge whose mapper answers 2 J and 3 s, and what it was asked."""
    asked: list[tuple] = []
    monkeypatch.setattr(accelforge, "missing", list)
    monkeypatch.setattr(accelforge, "_run", lambda *given: asked.append(given) or (2.0, 3.0))
    return AccelForge(), asked


def test_unique_layers_are_mapped_once(ready):
    ours, asked = ready
    result = ours.simulate(WORKLOAD, ONE)
    assert [given[0] for given in asked] == [
        {"M": 197, "K": 768, "N": 768}, {"M": 49, "K": 16, "N": 49}, {"M": 49, "K": 49, "N": 16},
    ]  # fmt: skip
    assert result["latency_ms"] == pytest.approx((3 + 3 + 3 * 3 + 3 * 3) * 1e3)  # three heads one after another
    assert result["energy_uj"] == pytest.approx((2 + 2 + 3 * 2 + 3 * 2) * 1e6)
    assert result["area_mm2"] > 0
    ours.simulate(WORKLOAD, ONE)
    assert len(asked) == 3
    ours.simulate(WORKLOAD, ONE | {"adc_bits": 8})
    assert len(asked) == 6


@pytest.mark.parametrize(
    "change", [{"pes": 4}, {"macros_per_pe": 2}, {"planes": 4}, {"columns_per_adc": 4}, {"array": "digital_sram"}]
)
def test_refuses_what_one_macro_is_not(ready, change):
    with pytest.raises(BadInput, match="but AccelForge has"):
        ready[0].simulate(WORKLOAD, ONE | change)


def test_variables_are_in_its_units():
    chip = {name: values[0] for name, values in columns(ONE | {"node_nm": 22, "dac_bits": 2}).items()}
    found = variables(chip, 10.0)
    assert found["tech_node"] == pytest.approx(22e-9)
    assert found["cycle_period"] == pytest.approx(1e-8)
    assert (found["adc_resolution"], found["voltage_dac_resolution"], found["n_adc_per_bank"]) == (6, 2, 128)


@pytest.mark.skipif(bool(missing()), reason="needs AccelForge and its programs")
def test_a_layer_for_real():
    result = simulator("accelforge").simulate(Workload("w", (linear("a", 8, (64, 16)),)), ONE)
    assert result["latency_ms"] > 0
    assert result["energy_uj"] > 0
