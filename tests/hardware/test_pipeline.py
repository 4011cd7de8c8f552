"""Layers side by side: against a simulator of events, and cases worked out by hand."""

import random

import numpy as np
import pytest
from bits_per_cycle import in_gb_s
from pipeline_simulator import Machine

from cimbo.hardware import BASELINE_CHIP, chip_choices, simulate, simulate_batch
from cimbo.workloads import network
from cimbo.workloads.layers import Layer, Workload, linear

# Macros of 64 x 64 one-bit cells, 8 weights of 8 bits a row; an input enters whole and every column has its converter: a vector
# takes a cycle. Links and vector unit are too wide to matter.
CHIP = {
    "rows": 64,
    "cols": 64,
    "macros_per_pe": 1,
    "pes": 8,
    "adc_bits": 6,
    "columns_per_adc": 1,
    "dac_bits": 8,
    "buffer_mb": 1,
    "buffer_bw": 1e9,
    "dram_bw": 64,
    "planes": 1,
    "noc_bw": 1e9,
    "vector_lanes": 1e9,
    "execution": "pipelined",
    "duplication": "none",
}


def plain(name: str, px: int, reduction: int = 64, columns: int = 8, **more) -> Layer:
    sizes = {"inputs": px * reduction, "outputs": px * columns}
    return Layer(name, "linear", px, reduction, columns, **(sizes | more))


def run(*layers: Layer, **change) -> dict:
    return simulate(Workload("w", layers), in_gb_s(CHIP | change))


def cycles(result: dict) -> float:
    return round(result["interval_ms"] * 1e6 / result["clock_ns"], 6)


def test_the_slowest_stage_sets_the_pace():
    # Three tiles on 8 macros: 100, 300 and 50 cycles side by side: a result every 300, each 450 after it began.
    found = run(plain("a", 100), plain("b", 300), plain("c", 50))
    assert cycles(found) == 300
    assert found["cycles"] == pytest.approx(450)
    assert found["pipeline"]["bottleneck"] == "b"
    assert found["pipeline"]["bound"] == "compute"
    assert found["inferences_per_s"] == pytest.approx(1e3 / found["interval_ms"])


def test_copies_go_to_the_slowest_stage():
    # 8 tiles for stages of 100, 300 and 50: with 75 cycles each they need 2 + 4 + 1 = 7 copies; with fewer than 75,
    # 2 + 5 + 1 = 8 as far as 60, and then 50 needs no second copy, but 100 / 2 = 50: 300 / 5 = 60.
    found = run(plain("a", 100), plain("b", 300), plain("c", 50), duplication="bottleneck")
    assert cycles(found) == 60
    assert found["pipeline"]["copies"] == [2, 5, 1]


def test_stages_that_share_macros_take_turns():
    # Three tiles in the planes of two macros: dealt 300, 100, 50: the first macro has 300 and 50.
    found = run(plain("a", 100), plain("b", 300), plain("c", 50), pes=2, planes=2)
    assert cycles(found) == 350


def test_one_vector_unit_serves_all_stages():
    # 1,000 operations in each of two stages, 4 a cycle: 500 cycles, more than 100 of either.
    found = run(plain("a", 100, vector_ops=1000), plain("b", 100, vector_ops=1000), vector_lanes=4)
    assert cycles(found) == 500
    assert found["pipeline"]["bound"] == "vector"


def test_what_waits_between_stages_and_finds_no_room_goes_to_the_dram():
    # 100 x 64 inputs and 100 x 8 results of each of two stages: 115,200 bit in two buffers each; 1/128 MB holds 65,536.
    # The other 49,664 bit cross the DRAM, 64 a cycle: 776 cycles.
    found = run(plain("a", 100), plain("b", 100), buffer_mb=1 / 128)
    assert cycles(found) == 776
    assert found["dram_bytes"] == 49_664 / 8
    assert found["pipeline"]["bound"] == "DRAM"


def test_leakage_is_of_the_interval():
    pipelined, alone = (
        run(plain("a", 100), plain("b", 100), execution=how, dram_bw=1e-3)
        for how in ("pipelined", "layer_by_layer")
    )
    assert cycles(alone) == alone["cycles"] == pytest.approx(200)
    leaked = [each["energy_parts_uj"]["leakage"] for each in (pipelined, alone)]
    assert leaked[0] == pytest.approx(leaked[1] / 2)
    for result in (pipelined, alone):
        every = sum(sum(layer["energy_uj"].values()) for layer in result["layers"])
        assert every == pytest.approx(result["energy_uj"], rel=1e-9)


def test_weights_that_do_not_fit_are_run_layer_by_layer():
    found = run(plain("a", 100, columns=80), pes=4)
    assert not found["resident"]
    assert "pipeline" not in found
    assert found["interval_ms"] == found["latency_ms"]


def draw(seed: int) -> tuple[list[Layer], dict]:
    """A network of up to five layers and a chip that holds it."""
    rng = random.Random(seed)
    chip = CHIP | {
        "macros_per_pe": rng.choice([1, 2, 4]),
        "pes": rng.choice([8, 16, 32]),
        "planes": rng.choice([2, 4, 8]),
        "columns_per_adc": rng.choice([1, 2, 4]),
        "dac_bits": rng.choice([1, 2, 4, 8]),
        "buffer_bw": rng.choice([256, 1024, 4096]),
        "noc_bw": rng.choice([256, 1024, 4096]),
        "vector_lanes": rng.choice([4, 16, 64]),
        "duplication": rng.choice(["latency", "bottleneck", "none"]),
        "buffer_mb": 8,
    }
    layers = []
    for number in range(rng.randint(2, 5)):
        px, kind = rng.randint(60, 150), rng.choice(["linear", "conv", "depthwise"])
        kernel = 1 if kind == "linear" else 3
        groups = rng.randint(2, 20) if kind == "depthwise" else 1
        reduction = kernel**2 * (rng.randint(1, 12) if kind == "conv" else 1)
        if kind == "linear":
            reduction = rng.randint(8, 190)
        columns = 1 if kind == "depthwise" else rng.randint(2, 20)
        outputs = px * columns * groups
        sizes = {"inputs": px * reduction * groups // kernel**2, "outputs": outputs}
        work = rng.choice([0, 1, 2, 5]) * outputs
        layers.append(
            Layer(
                f"l{number}",
                kind,
                px,
                reduction,
                columns,
                groups,
                kernel=kernel,
                vector_ops=work,
                **sizes,
            )
        )
    return layers, chip


def drawn(seed: int) -> tuple[float, Machine, Machine]:
    """Our interval in cycles, and two machines at that pace."""
    layers, chip = draw(seed)
    ours = simulate(Workload("w", tuple(layers)), in_gb_s(chip))
    machine = chip | {
        "logical_columns": 8,
        "macros": chip["pes"] * chip["macros_per_pe"],
        "act_bits": 8,
        "share": chip["columns_per_adc"],
        "packing": 1,
    }
    assert ours["resident"], seed
    copies = [int(each) for each in ours["pipeline"]["copies"]]
    pace = ours["pipeline"]["interval_cycles"]
    interval = ours["interval_ms"] * 1e6 / ours["clock_ns"]
    return interval, Machine(machine, layers, copies, pace), Machine(machine, layers, copies, pace)


@pytest.mark.parametrize("part", range(4))
def test_sustained_as_events_are_on_200_networks(part):
    for seed in range(1000 * part, 1000 * part + 50):
        ours, alone, fed = drawn(seed)
        # No controller sustains a shorter interval than the busiest server needs: ours is that, so it is never too long.
        assert ours == pytest.approx(alone.busiest_cycles(), rel=1e-9), seed
        # And it is never too short by more than 3 %: one controller gets late results that often, for as long as it is fed.
        assert fed.interval() / ours == pytest.approx(1, abs=0.03), seed


def test_copies_are_as_many_as_are_given():
    # 8 tiles: 2 + 4 + 1 copies of stages of 100, 300 and 50 cycles: 75 cycles.
    layers = [plain("a", 100, copies=2), plain("b", 300, copies=4), plain("c", 50)]
    found = run(*layers, duplication="given")
    assert found["pipeline"]["copies"] == [2, 4, 1]
    assert cycles(found) == 75
    assert run(*layers, duplication="none")["pipeline"]["copies"] == [1, 1, 1]
    alone = run(*layers, duplication="given", execution="layer_by_layer")
    assert alone["resident"]
    assert alone["cycles"] == pytest.approx(50 + 75 + 50)


def test_copies_that_do_not_fit_are_not_kept():
    layers = [plain("a", 100, copies=2), plain("b", 300, copies=6), plain("c", 50)]
    assert not run(*layers, duplication="given")["resident"]
    assert run(*layers, duplication="none")["resident"]


def test_copies_that_do_not_divide_the_vectors_are_counted_one_by_one():
    # 9 vectors on 4 copies: 3, 2, 2 and 2; of b 7 on 2: 4 and 3. Four macros, longest first: 4, 3, 3, 2 and 2, 2: the first
    # has 4 + 2.
    layers = [plain("a", 9, copies=4), plain("b", 7, copies=2)]
    found = run(*layers, duplication="given", pes=4, planes=2)
    assert cycles(found) == 6


def test_a_batch_of_pipelines_equals_a_loop():
    rng = np.random.default_rng(0)
    family = network("fmnist-mobilenet")
    workload = family.workload(family.smallest())
    size = 60
    table = {choice.name: rng.choice(choice.values, size) for choice in chip_choices()}
    words = {
        "execution": ["pipelined", "layer_by_layer"],
        "duplication": ["none", "bottleneck", "latency", "given"],
    }
    table |= {name: rng.choice(values, size) for name, values in words.items()}
    together = simulate_batch(workload, table)
    assert (together["interval_ms"] <= together["latency_ms"] * (1 + 1e-12)).all()
    for index in range(size):
        alone = simulate(workload, {name: values[index].item() for name, values in table.items()})
        for metric in ("inferences_per_s", "energy_uj", "latency_ms", "dram_bytes"):
            assert together[metric][index] == pytest.approx(alone[metric], rel=1e-9), metric


def test_side_by_side_is_never_slower_at_the_same_copies():
    workload = Workload("w", (linear("a", 64, (128, 64)), linear("b", 32, (64, 64))))
    chip = BASELINE_CHIP | {"planes": 16}
    both = [
        simulate(workload, chip | {"execution": how, "schedule": "energy"})
        for how in ("pipelined", "layer_by_layer")
    ]
    assert both[0]["inferences_per_s"] >= both[1]["inferences_per_s"]


@pytest.mark.parametrize("buffer_mb", [1 / 64, 1 / 16, 1])
@pytest.mark.parametrize("array", ["charge_sram", "digital_sram"])
def test_layers_own_what_their_pipeline_spills(array, buffer_mb):
    family = network("fmnist-vit")
    chip = BASELINE_CHIP | {"planes": 32, "execution": "pipelined"}
    chip |= {"array": array, "buffer_mb": buffer_mb}
    result = simulate(family.workload(family.largest()), chip)
    if buffer_mb < 1 / 4:
        assert result["dram_bytes"] > 0
    for part, whole in result["energy_parts_uj"].items():
        layers = sum(layer["energy_uj"][part] for layer in result["layers"])
        assert layers == pytest.approx(whole, rel=1e-9, abs=1e-15), part
    if not result["is_bound"]:
        assert result["energy_uj_low"] == result["energy_uj"]
        assert result["latency_ms_low"] == result["latency_ms"]
