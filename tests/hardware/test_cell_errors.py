"""Cells by level and age, a user's table of them, and which fields of an array's description both cost and accuracy see."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP, DEFAULT_GENES, simulate
from cimbo.hardware.array_description import (
    ARRAY_GENES,
    WEIGHT_ENCODINGS,
    ArrayDescription,
    describe_array,
)
from cimbo.hardware.cell_errors import ArrayConditions, random_sum_noise, rram_levels
from cimbo.hardware.chip_ranges import CORE_GENES
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.geometry import array_geometry
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
        ({"inl_lsb": float("nan")}, "network.options.inl_lsb: is nan"),
        ({"offset_lsb": "much"}, "network.options.offset_lsb: is 'much'"),
        ({"noise_table": 3}, "network.options.noise_table: is 3; give the name of a CSV file"),
        ({"noise_table": "none.csv"}, "none.csv: cannot be read"),
    ],
)
def test_bad_conditions_are_told_in_one_line(conditions: dict, what: str):
    with pytest.raises(BadInput, match=re.escape(what)):
        ArrayConditions(**conditions)


def test_errors_of_converters_that_are_stated_take_the_place_of_the_constants():
    stated = ArrayConditions(noise_lsb=0.1, inl_lsb=0.2, offset_lsb=0)
    found = describe_array(BASELINE_CHIP, stated)
    assert (found.noise_lsb, found.inl_lsb, found.offset_lsb) == (0.1, 0.2, 0.0)
    usual = describe_array(BASELINE_CHIP)
    assert (usual.noise_lsb, usual.inl_lsb, usual.offset_lsb) == (0.3, 0.5, 0.25)


# ---- one description under cost and accuracy ------------------------------------------------------------------------

OTHER_VALUES = {
    "array": "rram",
    "cell": "pcm",
    "rows": 64,
    "rows_active": 32,
    "adc_bits": 4,
    "dac_bits": 2,
    "cell_bits": 2,
    "columns_summed": 4,
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


OTHER_VALUES_OF_THE_CHIP = {
    "cols": 64,
    "macros_per_pe": 4,
    "pes": 8,
    "columns_per_adc": 8,
    "buffer_mb": 1 / 16,
    "buffer_gb_s": 16,
    "dram_channels": 2,
    "planes": 2,
    "noc_gb_s": 4,
    "vector_lanes": 32,
    "clock_ghz": 0.25,
    "dram": "hbm2",
    "tree_bits": 4,
    "node_nm": 65,
    "supply_v": 1.0,
    "activity": 0.4,
    "zero_skipping": 1,
    "packing": 0,
    "rows_written": 8,
    "whole_kernels": 0,
    "zigzag_counting": 1,
    "converter": "flash",
    "kv_cache": "edram",
    "kv_bits": 4,
    "edram_mb": 16,
    "edram_gb_s": 256,
    "execution": "pipelined",
    "duplication": "bottleneck",
    "schedule": "latency",
    "area_factor": 1.1,
    "cycle_factor": 1.1,
    "energy_factor": 1.1,
    "leakage_factor": 1.1,
    "cell_transistors": 12,
}
WHERE_IT_IS_COMPUTED = (
    "how many arrays there are, and which of them holds a weight, changes no product"
)
WHEN_IT_IS_COMPUTED = "the order and the speed of the same products change none of them"
HOW_IT_IS_BUILT = "converters' errors are stated in their own steps, cells' as shares of a cell, whatever they are built in"
WHAT_IS_MOVED = "digital bits arrive as they were sent"
HARMLESS_TO_ACCURACY = {
    "cols": WHERE_IT_IS_COMPUTED,
    "macros_per_pe": WHERE_IT_IS_COMPUTED,
    "pes": WHERE_IT_IS_COMPUTED,
    "planes": WHERE_IT_IS_COMPUTED,
    "packing": "rows of other groups get no input: the rows of a sum are counted as all active ones either way",
    "whole_kernels": "windows that are cut elsewhere have as many rows a sum",
    "columns_per_adc": "a converter that several columns share reads one after the other; offsets are drawn a column",
    "tree_bits": "adder trees add without error",
    "rows_written": WHEN_IT_IS_COMPUTED,
    "execution": WHEN_IT_IS_COMPUTED,
    "duplication": WHEN_IT_IS_COMPUTED,
    "schedule": WHEN_IT_IS_COMPUTED,
    "zigzag_counting": "it would put attention on analog arrays; an accuracy behind these is refused",
    "clock_ghz": WHEN_IT_IS_COMPUTED,
    "vector_lanes": WHEN_IT_IS_COMPUTED,
    "zero_skipping": "a sum of nothing is left out rather than read: what is measured, reading it, can only be worse",
    "activity": "shares of ones as the cost assumes them; the accuracy has the bits themselves",
    "node_nm": HOW_IT_IS_BUILT,
    "supply_v": HOW_IT_IS_BUILT,
    "converter": HOW_IT_IS_BUILT,
    "cell_transistors": HOW_IT_IS_BUILT,
    "buffer_mb": WHAT_IS_MOVED,
    "buffer_gb_s": WHAT_IS_MOVED,
    "noc_gb_s": WHAT_IS_MOVED,
    "dram": WHAT_IS_MOVED,
    "dram_channels": WHAT_IS_MOVED,
    "kv_cache": WHAT_IS_MOVED,
    "edram_mb": WHAT_IS_MOVED,
    "edram_gb_s": WHAT_IS_MOVED,
    "kv_bits": "only decoders have a cache, and their perplexity is looked up at the bits it was measured at",
    "area_factor": "what the cost model may be off by",
    "cycle_factor": "what the cost model may be off by",
    "energy_factor": "what the cost model may be off by",
    "leakage_factor": "what the cost model may be off by",
}
"""Why genes that change what a chip costs may leave the accuracy alone."""


def test_every_gene_of_a_chip_is_seen_by_the_accuracy_or_listed_with_a_reason():
    """A new gene has to be put into one of the two lists."""
    assert not HARMLESS_TO_ACCURACY.keys() & set(ARRAY_GENES)
    listed = HARMLESS_TO_ACCURACY.keys() | set(ARRAY_GENES)
    assert listed == CORE_GENES.keys() | DEFAULT_GENES.keys()


@pytest.mark.parametrize("gene", HARMLESS_TO_ACCURACY)
def test_genes_that_no_description_holds_leave_accuracy_alone(gene: str):
    full = DEFAULT_GENES | BASELINE_CHIP
    value = OTHER_VALUES_OF_THE_CHIP[gene]
    assert value != full[gene]
    assert describe_array(full | {gene: value}) == describe_array(full)


@given(columns=st.sampled_from([1, 2, 3, 4, 8, 16]), bits=st.integers(1, 8), cell=st.integers(1, 4))
def test_cost_and_accuracy_count_the_same_columns_and_readings(columns: int, bits: int, cell: int):
    genes = {"columns_summed": columns, "weight_bits": bits, "cell_bits": cell}
    for encoding in WEIGHT_ENCODINGS:
        chip = BASELINE_CHIP | genes | {"encoding": encoding}
        array, counted = describe_array(chip), array_geometry(chip_table([chip]))
        assert counted.slices[0] == array.slices
        assert counted.cells_per_weight[0] == array.cells_per_weight
