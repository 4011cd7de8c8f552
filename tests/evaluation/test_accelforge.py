"""AccelForge as a simulator: what is missing is said first and in one line; the rest with its mapper replaced."""

import subprocess
import sys

import pytest

from cimbo.errors import BadInput
from cimbo.evaluation.simulators import accelforge, simulator
from cimbo.evaluation.simulators.accelforge import AccelForge, lacking, variables
from cimbo.hardware import BASELINE_CHIP
from cimbo.hardware.chip_columns import columns
from cimbo.workloads.layers import Workload, attention, conv, linear

ONE = BASELINE_CHIP | {"planes": 1, "columns_per_adc": 1, "macros_per_pe": 1, "pes": 1}
WORKLOAD = Workload(
    "w", (linear("a", 197, (768, 768)), linear("b", 197, (768, 768)), *attention("x", 49, 3, 16))
)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python is new enough")
def test_old_python_is_said_with_all_else_that_is_missing():
    with pytest.raises(BadInput, match=r"Python 3\.11 is older than 3\.12") as told:
        simulator("accelforge")
    assert "\n" not in str(told.value)
    assert "use Python 3.12 or newer; pip install 'cimbo[accelforge]'" in str(told.value)


def test_every_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(accelforge, "find_spec", lambda name: None)
    names = "accelforge, hwcomponents, hwcomponents_adc, hwcomponents_neurosim"
    assert (f"no package {names}", "pip install 'cimbo[accelforge]'") in lacking()


def test_program_that_the_loader_refuses(tmp_path):
    """And the commands that build it, run for real on sources of our own."""
    package = tmp_path / "neuro sim"
    sources, program = (
        package / "DNN_NeuroSim_V1.3/Inference_pytorch/NeuroSIM",
        package / "NeuroSim/main",
    )
    for folder in (sources, program.parent, package / "drop_in"):
        folder.mkdir(parents=True)
    (sources / "makefile").write_text("all:\n\tcp main.cpp main\nclean:\n\ttouch main.cpp\n")
    (package / "drop_in/main.cpp").write_text("#!/bin/sh\necho usage >&2\nexit 1\n")
    (package / "drop_in/main.cpp").chmod(0o755)
    assert "main does not start (No such file or directory)" in accelforge._trouble(program)[0].what
    program.write_text(
        '#!/bin/sh\necho "main: libc.so.6: version \\`GLIBC_2.38\' not found (required by main)" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    (trouble,) = accelforge._trouble(program)
    assert "needs GLIBC_2.38" in trouble.what
    subprocess.run(["sh", "-c", trouble.todo.split(": ", 1)[1]], check=True, capture_output=True)
    assert accelforge._trouble(program) == []


@pytest.fixture
def ready(monkeypatch):
    """An AccelForge whose mapper answers 2 J and 3 s, and what it was asked."""
    asked: list[tuple] = []
    monkeypatch.setattr(accelforge, "lacking", list)
    monkeypatch.setattr(accelforge, "_run", lambda *given: asked.append(given) or (2.0, 3.0))
    return AccelForge(), asked


def test_unique_layers_are_mapped_once(ready):
    ours, asked = ready
    result = ours.simulate(WORKLOAD, ONE)
    assert [given[0] for given in asked] == [
        {"M": 197, "K": 768, "N": 768},
        {"M": 49, "K": 16, "N": 49},
        {"M": 49, "K": 49, "N": 16},
    ]
    assert result["latency_ms"] == pytest.approx(
        (3 + 3 + 3 * 3 + 3 * 3) * 1e3
    )  # three heads one after another
    assert result["energy_uj"] == pytest.approx((2 + 2 + 3 * 2 + 3 * 2) * 1e6)
    assert result["area_mm2"] > 0
    ours.simulate(WORKLOAD, ONE)
    assert len(asked) == 3
    ours.simulate(WORKLOAD, ONE | {"adc_bits": 8})
    assert len(asked) == 6


def test_groups_share_the_macros(ready):
    """Three heads on 8 macros: 2 each at once. On 2 macros: one each, in two turns. 40 groups on 8: five turns of one each."""
    ours, asked = ready
    heads = Workload("w", attention("x", 49, 3, 16)[:1])
    assert ours.simulate(heads, ONE | {"pes": 8})["latency_ms"] == pytest.approx(3e3)
    assert ours.simulate(heads, ONE | {"macros_per_pe": 2})["latency_ms"] == pytest.approx(2 * 3e3)
    depthwise = Workload("w", (conv("d", 14, (40, 40), 3, groups=40),))
    assert ours.simulate(depthwise, ONE | {"macros_per_pe": 2, "pes": 4})[
        "latency_ms"
    ] == pytest.approx(5 * 3e3)
    assert [given[1] for given in asked] == [(128, 128, 2), (128, 128, 1), (128, 128, 1)]


def test_refuses_digital_cells(ready):
    with pytest.raises(BadInput, match="digital_sram, but AccelForge's macro has analog cells"):
        ready[0].simulate(WORKLOAD, ONE | {"array": "digital_sram"})


def test_variables_are_in_its_units():
    chip = {
        name: values[0] for name, values in columns(ONE | {"node_nm": 22, "dac_bits": 2}).items()
    }
    found = variables(chip, 10.0)
    assert found["tech_node"] == pytest.approx(22e-9)
    assert found["cycle_period"] == pytest.approx(1e-8)
    assert (found["adc_resolution"], found["voltage_dac_resolution"], found["n_adc_per_bank"]) == (
        6,
        2,
        128,
    )
    shared = variables(chip | {"columns_per_adc": 4, "planes": 16}, 10.0)
    assert shared["cycle_period"] == pytest.approx(4e-8)
    assert (shared["n_adc_per_bank"], shared["cim_unit_depth_cells"]) == (32, 16)


@pytest.mark.skipif(bool(lacking()), reason="needs AccelForge and its programs")
@pytest.mark.parametrize(
    ("change", "cycles"),
    [
        ({}, 10 * 2 * 2 * 8),
        ({"pes": 4}, 10 * 8),
        ({"columns_per_adc": 8, "dac_bits": 2}, 10 * 2 * 2 * 4 * 8),
    ],
)
def test_layers_for_real(change, cycles, tmp_path, monkeypatch):
    """Vectors x tiles of 128 rows x 16 weights x pulses x columns a converter, on one macro; four macros take all tiles."""
    monkeypatch.chdir(tmp_path)
    result = simulator("accelforge").simulate(
        Workload("w", (linear("a", 10, (256, 32)),)), ONE | change
    )
    assert result["cycles"] == pytest.approx(cycles, rel=1e-6)
    assert result["energy_uj"] > 0
    assert not list(tmp_path.iterdir())
