"""Chips as input: every mistake is named; and the constants file is complete."""

import tomllib

import numpy as np
import pytest

from cimbo._data import path
from cimbo.errors import BadInput
from cimbo.hardware import (
    BASELINE_CHIP,
    BASELINE_VIT_B,
    DEFAULT_GENES,
    area_mm2,
    chip_choices,
    explain,
    range_reason,
    simulate,
    simulate_batch,
)
from cimbo.hardware.chip_columns import columns
from cimbo.hardware.chip_ranges import CORE_GENES, EXTENDED_GENES, RANGE_REASONS
from cimbo.hardware.technology import check, constant, scale
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network
from cimbo.workloads.layers import Workload, linear

WORKLOAD = Workload("w", (linear("a", 4, (8, 8)),))


def test_core_space_has_its_published_size():
    core = {choice.name: choice for choice in chip_choices()}
    assert len(core) == 11
    shared = {name: len(c.values) for name, c in core.items() if name not in ("array", "adc_bits")}
    space = SearchSpace((), core.values())
    assert space.size == np.prod(list(shared.values())) * (
        10 + 1
    )  # digital arrays have no converters
    assert space.size == 158_466_000
    extended = {choice.name: choice for choice in chip_choices(extended=True)}
    assert extended["adc_bits"].active_if == {"array": ("charge_sram", "current_sram", "rram")}
    searched = [name for name in extended if name not in core and DEFAULT_GENES[name]]
    assert all(DEFAULT_GENES[name] in extended[name].values for name in searched)


def test_every_reason_why_a_range_ends_is_of_a_gene_and_an_end():
    genes = CORE_GENES | EXTENDED_GENES
    assert {gene for gene, _ in RANGE_REASONS} <= set(genes)
    assert range_reason("pes", "smallest", 1) == "there is nothing below one"
    assert range_reason("pes", "smallest", 4) is None  # a study that begins there may go below
    assert range_reason("buffer_gb_s", "largest", 512) is None
    assert range_reason("depth", "largest", 12) is None


@pytest.mark.parametrize("chip", [BASELINE_CHIP, BASELINE_VIT_B])
def test_baselines_lie_in_the_space(chip):
    full = DEFAULT_GENES | chip
    assert all(full[choice.name] in choice.values for choice in chip_choices())


def test_the_largest_small_network_does_not_fit_the_baseline_for_free():
    family = network("fmnist-vit")
    assert not simulate(family.workload(family.largest()), BASELINE_CHIP)["resident"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": -64}, "chip 0.rows: is -64; give a whole positive number"),
        ({"rows": 0}, "chip 0.rows: is 0"),
        ({"cols": 12.5}, "chip 0.cols: is 12.5"),
        ({"buffer_mb": float("nan")}, "chip 0.buffer_mb: is nan"),
        ({"rows": "many"}, "chip.rows: is 'many'; give a number"),
        ({"row": 64}, "chip.row: is no gene of a chip; did you mean rows?"),
        ({"rows": True}, "chip.rows: is True; give a number"),
        ({"rows": "128"}, "chip.rows: is '128'; give a number"),
        ({"array": "flash"}, "chip 0.array: flash is unknown; use one of charge_sram"),
        ({"cols": 4}, "chip 0.cols: 4.0 cannot hold one weight"),
        ({"supply_v": 0.2}, "chip 0.supply_v: 0.2 is too near the threshold"),
        (
            {"buffer_bw": 512},
            "chip.buffer_bw: is a gene of an earlier release; say buffer_gb_s, in GB/s",
        ),
        ({"dram": "flash"}, "chip 0.dram: flash is unknown; use one of lpddr4"),
        ({"adc_bits": 0}, "chip 0.adc_bits: 0.0 is no converter"),
        (
            {"adc_bits": 60},
            "chip 0.adc_bits: 60.0 is beyond any converter of an array; give at most 16",
        ),
        ({"node_nm": 3}, "chip 0.node_nm: 3.0 is a node we have no figures of; give 7 to 65"),
    ],
)
def test_bad_chips_are_named(change, message):
    with pytest.raises(BadInput) as error:
        simulate(WORKLOAD, BASELINE_CHIP | change)
    assert message in str(error.value)


def test_missing_genes_are_named():
    chip = {name: value for name, value in BASELINE_CHIP.items() if name != "dram_channels"}
    with pytest.raises(BadInput, match=r"chip.dram_channels: is missing"):
        simulate(WORKLOAD, chip)
    with pytest.raises(BadInput, match=r"chip 1.dram_channels: is missing"):
        simulate_batch(WORKLOAD, [BASELINE_CHIP, chip])


def test_batches_that_do_not_match():
    with pytest.raises(BadInput, match="2 for 3 chips"):
        simulate_batch([WORKLOAD] * 2, [BASELINE_CHIP] * 3)
    with pytest.raises(BadInput, match="the list is empty"):
        simulate_batch([], [BASELINE_CHIP])
    with pytest.raises(BadInput, match="the list is empty"):
        simulate_batch(WORKLOAD, [])
    with pytest.raises(BadInput, match="describes 2 chips"):
        simulate(WORKLOAD, BASELINE_CHIP | {"rows": [64, 128]})


def test_columns_and_lists_are_one_thing():
    chips = [BASELINE_CHIP, BASELINE_CHIP | {"rows": 64, "array": "rram"}]
    as_columns = {
        name: [chip.get(name, DEFAULT_GENES.get(name)) for chip in chips] for name in chips[1]
    }
    assert area_mm2(chips) == pytest.approx(area_mm2(as_columns))
    assert columns(chips)["dac_bits"].tolist() == [1, 1]


def test_every_constant_has_value_unit_node_and_source():
    entries = tomllib.loads(path("constants.toml").read_text(encoding="utf-8"))
    values = check(entries)
    assert len(values) > 100
    assert all(entry["source"] for names in entries.values() for entry in names.values())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"value": 1, "unit": "furlong", "node_nm": 28, "status": "assumed", "source": "x"},
            "a.b: unit 'furlong' is unknown",
        ),
        (
            {"value": 1, "unit": "V", "node_nm": 28, "status": "guessed", "source": "x"},
            "a.b: status 'guessed' is unknown",
        ),
        ({"value": 1, "unit": "V", "node_nm": 28, "status": "assumed"}, "a.b: has no source"),
    ],
)
def test_bad_constants_are_named(entry, message):
    with pytest.raises(BadInput, match=message):
        check({"a": {"b": entry}})


def test_scaling_is_one_at_28_nm_and_follows_the_table():
    assert scale("area", np.array([28.0]))[0] == pytest.approx(1)
    assert scale("delay", constant("scaling.nodes")) == pytest.approx(constant("scaling.delay"))


def test_explain_adds_up():
    family = network("fmnist-mobilenet")
    told = explain(family.workload(family.smallest()), BASELINE_CHIP)
    assert sum(told["time_by_bound_ms"].values()) == pytest.approx(told["latency_ms"])
    assert sum(layer["time_share"] for layer in told["layers"]) == pytest.approx(1)
    assert sum(told["energy_by_part_uj"].values()) == pytest.approx(told["energy_uj"])
    genes = {knob["gene"] for knob in told["knobs"]}
    assert genes == {choice.name for choice in chip_choices(extended=True)}
    wider = next(
        knob
        for knob in told["knobs"]
        if knob["gene"] == "dram_channels" and knob["to"] > knob["from"]
    )
    assert wider["latency_ms"] <= 1 < wider["area_mm2"]
