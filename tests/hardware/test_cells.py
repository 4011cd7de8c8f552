"""Cells as data: every shipped file, what a chip takes from its cell, and a user's own."""

import tomllib

import pytest

from cimbo._data import path
from cimbo.errors import BadInput
from cimbo.hardware import DEFAULT_GENES, simulate
from cimbo.hardware.array_description import describe_array
from cimbo.hardware.cells import CELL_WORDS, OWN_CELL, cell
from cimbo.hardware.chip import BASELINE_CHIP
from cimbo.hardware.technology import constant
from cimbo.workloads import network

SHIPPED = [word for word in CELL_WORDS if word != OWN_CELL]
OWN_FIGURES = """
name = "tiny"
family = "rram"

[area]
value = 0.05
unit = "um2"
node_nm = 22
status = "measured"
source = "our chip"
"""
FIGURE = """
[{name}]
value = {value}
unit = "{unit}"
node_nm = 28
status = "assumed"
source = "a guess"
"""


def own_file(folder, **changed):
    """A user's cell; figures may be changed, or left out by None."""
    figures = {
        "read": (5.0, "fF/cell"),
        "write_energy": (2.0, "pJ/bit"),
        "write_time": (50.0, "ns"),
        "leakage": (0.0, "pW/bit"),
        "retention": (1e8, "s"),
        "levels": (2, "1"),
    }
    text = OWN_FIGURES
    for name, figure in (figures | changed).items():
        if figure is not None:
            text += FIGURE.format(name=name, value=figure[0], unit=figure[1])
    file = folder / "tiny.toml"
    file.write_text(text)
    return str(file)


def costs(**chip):
    """Of the smallest shipped network on the usual chip."""
    family = network("fmnist-mobilenet")
    return simulate(family.workload(family.smallest()), BASELINE_CHIP | chip)


@pytest.mark.parametrize("word", SHIPPED)
def test_shipped_cells_are_whole(word):
    values = tomllib.loads(path(f"cells/{word}.toml").read_text())
    figures = {name: entry for name, entry in values.items() if isinstance(entry, dict)}
    assert all("constant" in entry or entry["source"] for entry in figures.values())
    found = cell(word)
    array = {"array": found.family, "cell": word}
    assert costs(**array)["latency_ms"] > 0
    assert found.figures["area"] * 28e-3**2 < 0.4  # um2


@pytest.mark.parametrize(("family", "same"), [("current_sram", "sram_8t"), ("rram", "rram")])
def test_a_family_s_own_cell_is_the_one_of_its_file(family, same):
    own, named = costs(array=family), costs(array=family, cell=same)
    for metric in ("latency_ms", "energy_uj", "area_mm2", "leakage_mw"):
        assert named[metric] == pytest.approx(own[metric], rel=1e-9)


def test_a_cell_of_another_family_or_of_fewer_levels_is_refused():
    with pytest.raises(BadInput, match='pcm belongs to arrays rram; say array = "rram"'):
        costs(cell="pcm")
    with pytest.raises(BadInput, match="2 are more than mram tells apart"):
        costs(array="rram", cell="mram", cell_bits=2)
    with pytest.raises(BadInput, match="pmc is unknown"):
        costs(array="rram", cell="pmc")


def test_memory_that_forgets_is_rewritten():
    still, forgets = (
        costs(array="current_sram", cell="sram_8t"),
        costs(array="current_sram", cell="edram"),
    )
    bits = 2 * 16 * 128 * 128 * 4
    refresh_mw = bits * 0.05e-12 / 1e-4 * 1e3
    leak_mw = bits * constant("sram_cell.leakage") * 1e-9
    assert forgets["leakage_mw"] - still["leakage_mw"] == pytest.approx(refresh_mw - leak_mw)


def test_a_user_s_own_cell(tmp_path):
    file = own_file(tmp_path)
    mine = costs(array="rram", cell=file)
    macros = 2 * 16 * 128 * 128
    planes = (4 + 3) * constant("cell.transistor_area") * 28e-3**2
    expected = macros * (0.05 * (28 / 22) ** 2 + planes) * 1e-6
    assert mine["area_parts_mm2"]["cells"] == pytest.approx(expected)
    (tmp_path / "other").mkdir()
    hungrier = own_file(tmp_path / "other", read=(10.0, "fF/cell"))
    assert costs(array="rram", cell=hungrier)["energy_uj"] > mine["energy_uj"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"read": None}, "read, is missing"),
        ({"levels": (1, "1")}, "levels, is 1; give at least 2"),
        ({"speed": (1, "ns")}, "speed, is unknown"),
        ({"read": (1, "pJ/bit")}, "unit 'pJ/bit' is another quantity's; use fF/cell"),
        ({"read": (-1, "fF/cell")}, "has -1; give numbers of 0 or more"),
    ],
)
def test_a_wrong_file_is_named(changed, told, tmp_path):
    with pytest.raises(BadInput) as caught:
        costs(array="rram", cell=own_file(tmp_path, **changed))
    assert all(part in str(caught.value) for part in told.split(", "))


def test_accuracy_sees_the_spread_of_the_cell(tmp_path):
    chip = {**DEFAULT_GENES, **BASELINE_CHIP, "array": "rram"}
    usual = describe_array(chip).cell_levels
    named = describe_array(chip | {"cell": "pcm"}).cell_levels
    assert named != usual
    assert named[-1].deviation == 0.04
    silent = own_file(tmp_path)  # says no spread: as the family's own
    assert describe_array(chip | {"cell": silent}).cell_levels == usual
