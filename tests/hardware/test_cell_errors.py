"""Cells by level and age, a user's table of them, and which fields of an array's description both cost and accuracy see."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP, DEFAULT_GENES, simulate
from cimbo.hardware.array_description import ARRAY_GENES, ArrayDescription, describe_array
from cimbo.hardware.cell_errors import ArrayConditions, random_sum_noise, rram_levels
from cimbo.workloads import network


@pytest.mark.parametrize(
    ("seconds", "percent"),
    [(1.0, (0.9, 5.7, 4.2, 2.8)), (86400.0, (1.8, 9.9, 8.9, 6.6))],
)
def test_rram_spreads_as_measured(seconds: float, percent: tuple[float, ...]):
    """In % of full scale at 0, 1/3, 2/3 and 1 of it (Wan et al., Nature 608 (2022), as fitted in aihwkit)."""
    found = {round(level.level, 3): 100 * level.deviation for level in rram_levels(seconds)}
    for level, expected in zip((0.0, 0.333, 0.667, 1.0), percent, strict=True):
        assert found[level] == pytest.approx(expected, abs=0.12)


def test_an_hour_lies_between_a_second_and_a_day_and_a_month_beyond():
    each = [rram_levels(seconds) for seconds in (1.0, 3600.0, 86400.0, 2.592e6)]
    for levels in zip(*each, strict=True):
        second, hour, day, _ = (level.deviation for level in levels)
        assert second <= hour <= day
    middle = [levels[4].deviation for levels in each]
    assert middle == sorted(middle)


def test_thermal_noise_of_charge_by_hand():
    """kT/C of 128 capacitors of 1.89 fF at 300 K is .131 mV; one cell of 128 moves the column by .9 V / 128 = 7.03 mV."""
    assert random_sum_noise("charge_sram", 128, 1) == pytest.approx(0.131 / 7.03, rel=0.01)


TABLES = [
    ("", "has other columns; begin it with level,mean,deviation"),
    ("level,mean\n0,0\n", "has other columns; begin it with level,mean,deviation"),
    ("level,mean,deviation\n0,0,0\n", "has 1 levels; give at least two, from 0 to 1"),
    ("level,mean,deviation\n0,0,x\n1,1,0\n", "line 2: is no level, mean and deviation"),
    ("level,mean,deviation\n0,0\n1,1,0\n", "line 2: is no level, mean and deviation"),
    ("level,mean,deviation\n0,0,0\n0,1,0\n", "line 3: goes back"),
    ("level,mean,deviation\n0,0,0\n2,1,0\n", "line 3: is out of range"),
    ("level,mean,deviation\n0,0,nan\n1,1,0\n", "line 2: has a number that is not finite"),
]


@pytest.mark.parametrize(("text", "what"), TABLES)
def test_bad_tables_are_told_in_one_line(tmp_path: Path, text: str, what: str):
    file = tmp_path / "cells.csv"
    file.write_text(text)
    with pytest.raises(BadInput, match=re.escape(what)):
        ArrayConditions(noise_table=str(file))


def test_a_table_takes_the_place_of_our_figures(tmp_path: Path):
    file = tmp_path / "cells.csv"
    file.write_text("level,mean,deviation\n0,0.01,0.02\n1,0.9,0.1\n")
    found = describe_array(BASELINE_CHIP, ArrayConditions(noise_table=str(file))).cell_levels
    assert [(c.level, c.mean, c.deviation) for c in found] == [(0, 0.01, 0.02), (1, 0.9, 0.1)]


@pytest.mark.parametrize(
    ("conditions", "what"),
    [
        ({"age": "1 year"}, "network.options.age: is '1 year'"),
        ({"stuck_cells": 2}, "network.options.stuck_cells: is 2"),
        ({"noise_lsb": -1}, "network.options.noise_lsb: is -1"),
        ({"noise_table": "none.csv"}, "none.csv: cannot be read"),
    ],
)
def test_bad_conditions_are_told_in_one_line(conditions: dict, what: str):
    with pytest.raises(BadInput, match=re.escape(what)):
        ArrayConditions(**conditions)


# ---- one description under cost and accuracy ------------------------------------------------------------------------

OTHER_VALUES = {
    "array": "rram",
    "cell": "pcm",
    "rows": 64,
    "rows_active": 32,
    "adc_bits": 4,
    "dac_bits": 2,
    "cell_bits": 2,
    "weight_bits": 4,
    "act_bits": 4,
    "encoding": "differential",
    "signed_inputs": 1,
    "adc_range": "fixed",
}
HARMLESS_TO_COST = {
    "signed_inputs": "the readings of the highest input step are subtracted rather than added, by the same adders",
}
CONDITIONS_ALONE = {
    "noise_lsb": "what a converter of so many bits errs by is given; its size and energy follow from its bits",
    "inl_lsb": "likewise",
    "offset_lsb": "likewise",
    "cell_noise": "cells are as they are made; nothing that was built makes them better",
    "cell_levels": "likewise, at an age that is a condition and no part of the chip",
    "stuck_cells": "likewise",
    "sum_noise": "follows from the family, rows_active and cell_bits, each of which is charged",
}


def costs(chip: dict) -> tuple[float, ...]:
    family = network("fmnist-vit")
    found = simulate(family.workload(family.largest()), chip)
    return tuple(found[name] for name in ("latency_ms", "energy_uj", "area_mm2"))


def before_changing(gene: str) -> dict:
    """A chip whose gene may take its other value: a cell belongs to a family."""
    return BASELINE_CHIP | ({"array": "rram"} if gene == "cell" else {})


@pytest.mark.parametrize("gene", ARRAY_GENES)
def test_every_gene_of_an_array_changes_cost_or_is_listed(gene: str):
    chip = before_changing(gene)
    changed = chip | {gene: OTHER_VALUES[gene]}
    assert describe_array(changed) != describe_array(chip)
    assert (costs(changed) == costs(chip)) == (gene in HARMLESS_TO_COST)


def test_bipolar_drivers_are_charged():
    differential = BASELINE_CHIP | {"encoding": "differential"}
    assert costs(differential | {"signed_inputs": 1}) != costs(differential)


def test_every_field_of_a_description_comes_from_a_gene_or_is_a_condition():
    of_genes = set()
    for gene, value in OTHER_VALUES.items():
        chip = before_changing(gene)
        before, after = describe_array(chip), describe_array(chip | {gene: value})
        of_genes |= {
            f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)
        }
    known = of_genes | set(CONDITIONS_ALONE)
    assert known == {f.name for f in fields(ArrayDescription)}


def test_genes_that_no_description_holds_leave_accuracy_alone():
    for gene, value in DEFAULT_GENES.items():
        if gene in ARRAY_GENES or isinstance(value, str):
            continue
        assert describe_array(BASELINE_CHIP | {gene: value}) == replace(
            describe_array(BASELINE_CHIP)
        )
