"""What must hold for every network on every chip, as properties over the whole space and all families."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo.hardware import BASELINE_CHIP, area_mm2, chip_choices, features, simulate, simulate_batch
from cimbo.hardware.array_description import CELL_FAMILIES, describe_array, holds_attention
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.cost_model import one_circuit
from cimbo.hardware.macro import macro_circuit
from cimbo.hardware.technology import constant
from cimbo.workloads import known, network
from cimbo.workloads.layers import Workload, attention, conv, linear

CHIPS = st.fixed_dictionaries(
    {choice.name: st.sampled_from(choice.values) for choice in chip_choices(extended=True)}
    | {"schedule": st.just("latency")}
)
CHECK = settings(max_examples=40, deadline=None)
SLACK = 1 + 1e-9
FAMILIES = [
    name for name in known() if network(name).workload(network(name).largest()).loop is None
]


@st.composite
def workloads(draw):
    """A random sub-network of any family that generates no tokens."""
    family, rng = (
        network(draw(st.sampled_from(FAMILIES))),
        random.Random(draw(st.integers(0, 2**32))),
    )
    genes: dict = {}
    for choice in family.choices():
        if all(genes.get(parent) in values for parent, values in choice.active_if.items()):
            genes[choice.name] = rng.choice(choice.values)
    return family.workload(genes)


def cycles(workload, *chips) -> np.ndarray:
    return simulate_batch(workload, list(chips))["cycles"]


@pytest.mark.parametrize(
    "gene", ["buffer_gb_s", "dram_channels", "noc_gb_s", "vector_lanes", "buffer_mb"]
)
@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_twice_of_it_is_never_slower(gene, workload, chip):
    before, after = cycles(workload, chip, chip | {gene: 2 * chip[gene]})
    assert after <= before * SLACK


@pytest.mark.parametrize("gene", ["pes", "macros_per_pe"])
@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_four_times_the_macros_are_never_slower(gene, workload, chip):
    before, after = cycles(workload, chip, chip | {gene: 4 * chip[gene]})
    assert after <= before * SLACK


@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_half_the_sharing_is_never_slower(workload, chip):
    # Of a digital array: narrow columns stack converters, and what those stand further away slows an analog one.
    digital = chip | {"array": "digital_sram"}
    shared = cycles(workload, *(digital | {"columns_per_adc": columns} for columns in (8, 4, 2, 1)))
    assert (shared[1:] <= shared[:-1] * SLACK).all()


@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_more_planes_are_never_slower(workload, chip):
    # At the same cycle: longer input lines make it longer.
    digital = chip | {"array": "digital_sram"}
    chips = [digital | {"planes": planes} for planes in (1, 4, 16)]
    clocks = [float(one_circuit(each).clock_ns[0]) for each in chips]
    for each, clock_ns in zip(chips, clocks, strict=True):
        each["cycle_factor"] = clocks[0] / clock_ns
    one, four, many = cycles(workload, *chips)
    assert many <= four * SLACK
    assert four <= one * SLACK


@CHECK
@given(chip=CHIPS)
def test_one_adc_bit_more_never_costs_less(chip):
    """Area, energy of a conversion and cycle. Of a network's energy it need not hold: slower arrays may keep more weights."""
    circuits = [one_circuit(chip | {"adc_bits": bits}) for bits in range(1, 11)]
    for values in (
        [float(each.area_mm2[0]) for each in circuits],
        [float(each.energies["conversion_energy"][0]) for each in circuits],
        [float(each.clock_ns[0]) for each in circuits],
    ):
        assert (np.diff(values) >= -1e-12).all()


@CHECK
@given(chip=CHIPS)
def test_more_columns_take_longer(chip):
    """Word lines of arrays, and input lines between trees, are as long as there are columns."""
    few = chip | {"columns_per_adc": 4}  # which 64 columns have, too, whatever the bits of a weight
    macro = macro_circuit(chip_table([few | {"cols": cols} for cols in (64, 128, 512)]))
    assert (np.diff(macro.cycle_ns) > 0).all()


@CHECK
@given(chip=CHIPS)
def test_larger_cells_make_no_macro_smaller(chip):
    """Nor faster, but by what a whole row of converters less saves, a tenth of a column's load."""
    chips = [chip | {"cell_transistors": each} for each in range(6, 64, 2)]
    macro = macro_circuit(chip_table(chips))
    areas = np.sum(list(macro.areas.values()), axis=0)
    assert (np.diff(areas) >= -1e-9).all()
    assert (macro.cycle_ns >= 0.9 * np.maximum.accumulate(macro.cycle_ns)).all()


@CHECK
@given(chip=CHIPS, summed=st.sampled_from([1, 2, 4]))
def test_summing_more_columns_costs_area_time_or_charge_of_each_sum(chip, summed):
    analog = chip | {"array": "charge_sram", "cell_bits": 1}
    one, more = (one_circuit(analog | {"columns_summed": each}).macro for each in (summed, 8))
    assert more.conversion_ns[0] > one.conversion_ns[0]
    assert more.energies["conversion_energy"][0] > one.energies["conversion_energy"][0]
    assert more.areas["columns"][0] > one.areas["columns"][0]


@CHECK
@given(chip=CHIPS)
def test_dram_comes_in_whole_channels_and_whole_stacks(chip):
    def interface(dram: str, channels: float) -> float:
        part = one_circuit(chip | {"dram": dram, "dram_channels": channels})
        return float(part.area_parts["dram_interface"][0])

    assert interface("lpddr4x", 0.1) == interface("lpddr4x", 1)
    assert interface("hbm3", 1) > 5 * interface("lpddr4x", 1)
    assert interface("hbm3", 16) - interface("hbm3", 1) == pytest.approx(
        15 * constant("dram_hbm3.controller_area")
    )
    assert interface("hbm3", 17) > interface("hbm3", 16) + constant("dram_hbm3.interface_area")


@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_a_single_evaluation_is_consistent(workload, chip):
    result = simulate(workload, chip)
    parts = result["energy_parts_uj"]
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(result["energy_uj"], rel=1e-9)
    by_layer = sum(sum(layer["energy_uj"].values()) for layer in result["layers"])
    assert by_layer == pytest.approx(result["energy_uj"], rel=1e-9)
    assert sum(layer["cycles"] for layer in result["layers"]) == pytest.approx(
        result["cycles"], rel=1e-9
    )
    assert min(result["area_parts_mm2"].values()) >= 0
    assert sum(result["area_parts_mm2"].values()) == pytest.approx(result["area_mm2"], rel=1e-9)
    assert result["latency_ms"] == pytest.approx(
        result["cycles"] * result["clock_ns"] * 1e-6, rel=1e-12
    )
    assert 0 < result["utilisation"] <= 1
    assert all(0 < layer["utilisation"] <= 1 for layer in result["layers"])
    assert result["is_bound"] == bool(result["warnings"])


@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_never_faster_than_any_single_resource(workload, chip):
    result = simulate(workload, chip)
    peak = result["peak_tops"] * 1e3 / 2 * result["clock_ns"]  # MACs a cycle
    assert result["cycles"] * SLACK >= workload.macs / peak
    sizes = one_circuit(chip).per_cycle
    lanes, dram_bw, buffer_bw = (
        float(each[0]) for each in (sizes.vector_lanes, sizes.dram_bw, sizes.buffer_bw)
    )
    vector_ops = sum(layer.vector_ops for layer in workload.layers)
    assert result["cycles"] * SLACK >= vector_ops / lanes
    moved = [8 * (layer.inputs + layer.outputs) for layer in workload.layers if not layer.dynamic]
    spilled = sum(bits for bits in moved if bits > chip["buffer_mb"] * 2**23)
    assert result["cycles"] * SLACK >= spilled / dram_bw
    if not result["resident"]:
        # Some layers' weights may stay, in all planes of a macro but one.
        weights = 8 * sum(layer.stationary for layer in workload.layers if not layer.dynamic)
        cells = chip["rows"] * chip["cols"] * chip["cell_bits"] * (chip["planes"] - 1)
        kept = cells * chip["pes"] * chip["macros_per_pe"]
        assert result["cycles"] * SLACK >= (weights - kept) / min(dram_bw, buffer_bw)


@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_resident_weights_cause_no_dram_traffic(workload, chip):
    result = simulate(
        workload,
        chip
        | {"buffer_mb": 64, "pes": 64, "macros_per_pe": 8, "planes": 32768, "schedule": "energy"},
    )
    assert result["resident"]
    assert result["energy_parts_uj"]["dram"] == 0


@CHECK
@given(workload=workloads(), chip=CHIPS, seed=st.integers(0, 2**16))
def test_order_of_layers_does_not_matter(workload, chip, seed):
    layers = list(workload.layers)
    random.Random(seed).shuffle(layers)
    shuffled = Workload(workload.name, tuple(layers))
    ours, theirs = (simulate_batch(each, chip) for each in (workload, shuffled))
    for name in ("cycles", "energy_uj"):
        assert ours[name][0] == pytest.approx(theirs[name][0], rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(pairs=st.lists(st.tuples(workloads(), CHIPS), min_size=1, max_size=8))
def test_a_batch_equals_a_loop(pairs):
    batch = simulate_batch([workload for workload, _ in pairs], [chip for _, chip in pairs])
    for index, (workload, chip) in enumerate(pairs):
        single = simulate(workload, chip)
        for name in (
            "latency_ms",
            "energy_uj",
            "area_mm2",
            "cycles",
            "clock_ns",
            "utilisation",
            "leakage_mw",
        ):
            assert batch[name][index] == pytest.approx(single[name], rel=1e-9), name
        assert batch["resident"][index] == single["resident"]
        assert batch["is_bound"][index] == single["is_bound"]
        for part, value in single["energy_parts_uj"].items():
            assert batch[f"energy_uj.{part}"][index] == pytest.approx(value, rel=1e-9)


def test_a_large_batch_is_chunked_and_equal():
    """Far more rows than one chunk holds, columns given as arrays, one network for all."""
    workload = network("vit-b").workload(network("vit-b").smallest())
    rng = np.random.default_rng(0)
    table = {choice.name: rng.choice(choice.values, 4000) for choice in chip_choices()}
    batch = simulate_batch(workload, table)
    for index in (0, 1777, 3999):
        chip = {name: values[index] for name, values in table.items()}
        assert batch["energy_uj"][index] == pytest.approx(
            simulate(workload, chip)["energy_uj"], rel=1e-9
        )
    assert batch["area_mm2"] == pytest.approx(area_mm2(table))


def test_passes_listed_in_blocks_are_the_same_passes(monkeypatch):
    """Long sequences on few macros: hundreds of passes for each of many chips, whose lists are worked off in blocks."""
    rng = np.random.default_rng(0)
    table = {choice.name: rng.choice(choice.values, 200) for choice in chip_choices()} | {
        "vector_lanes": np.full(200, 16)
    }
    workload = Workload("long", (linear("l", 1024, (768, 768)), *attention("a", 1024, 12, 64)))
    whole = simulate_batch(workload, table)
    monkeypatch.setattr("cimbo.hardware.passes.LISTED_AT_ONCE", 50)
    blocks = simulate_batch(workload, table)
    for name, values in whole.items():
        assert (values == blocks[name]).all(), name


@CHECK
@given(workload=workloads(), chip=CHIPS)
def test_features_are_finite_and_tell_what_fits(workload, chip):
    found = features(workload, chip)
    assert all(np.isfinite(value).all() and value.shape == (1,) for value in found.values())
    assert found["fits"][0] >= simulate_batch(workload, chip)["resident"][0]


@pytest.mark.parametrize("family", CELL_FAMILIES)
def test_attention_is_computed_in_arrays_only_where_the_accuracy_needs_no_errors_of_it(family):
    scores, context = attention("a", 49, 4, 16)
    workload = Workload("w", (linear("l", 49, (64, 64)), scores, context))
    chip = BASELINE_CHIP | {
        "array": family,
        "vector_lanes": 4,
    }  # a unit much slower than the arrays
    parts = simulate(workload, chip)["layers"][1]["energy_uj"]
    in_arrays = holds_attention(describe_array(chip).is_digital)
    assert in_arrays == (family == "digital_sram")
    assert (parts["weight_write"] > 0) == (parts["array"] > 0) == in_arrays
    assert parts["vector"] > 0


def test_newer_nodes_are_smaller_faster_and_thriftier():
    workload = Workload("w", (conv("c", 28, (16, 32), 3),))
    batch = simulate_batch(
        workload, [BASELINE_CHIP | {"node_nm": node} for node in (65, 28, 22, 7)]
    )
    for name in ("area_mm2", "clock_ns", "energy_uj"):
        assert (np.diff(batch[name]) < 0).all()


def test_no_pass_holds_less_than_nothing():
    """Sixteen rows and kernels of three: the short tiles of a strip are several, and lack more than one has."""
    layer = conv("c", 28, (136, 136), kernel=3)
    workload = Workload("one", (layer,))
    for rows in (16, 32, 64):
        chip = BASELINE_CHIP | {
            "array": "charge_sram",
            "rows": rows,
            "cols": 32,
            "macros_per_pe": 1,
        }
        chip |= {"pes": 1, "planes": 1, "buffer_mb": 0.015625, "schedule": "latency"}
        found = cycles(workload, *(chip | {"dram_channels": channels} for channels in (1, 2, 4)))
        assert (np.diff(found) <= found[:-1] * (SLACK - 1)).all()
