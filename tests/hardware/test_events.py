"""The closed form against the event-by-event simulator on 500 random small layers and chips of every kind."""

import math
import random
from dataclasses import replace

import pytest
from bits_per_cycle import in_gb_s
from event_simulator import Machine

from cimbo.hardware import simulate
from cimbo.hardware.cost_model import one_circuit
from cimbo.workloads.layers import Layer, Workload

WRITE_NS = {"charge_sram": 1, "digital_sram": 1, "rram": 1000}


def draw_layer(rng: random.Random) -> Layer:
    """Any kind. The law leaves out how long a pass's first vectors take to come through, so there are hundreds of them."""
    px, kind = (
        rng.randint(500, 800),
        rng.choice(["linear", "linear", "conv", "depthwise", "grouped", "attention"]),
    )
    kernel = rng.choice([3, 5]) if kind in ("conv", "depthwise") else 1
    groups = {
        "depthwise": rng.randint(2, 40),
        "grouped": rng.randint(2, 5),
        "attention": rng.randint(2, 6),
    }.get(kind, 1)
    reduction = (
        kernel**2 * (rng.randint(1, 12) if kind == "conv" else 1)
        if kernel > 1
        else rng.randint(4, 200)
    )
    columns = 1 if kind == "depthwise" else rng.randint(2, 60)
    outputs = px * columns * groups
    return Layer(
        "l",
        "conv" if kind == "grouped" else kind,
        px,
        reduction,
        columns,
        groups,
        dynamic=kind == "attention",
        kernel=kernel,
        vector_ops=rng.choice([0, 1, 2, 5]) * outputs,
        inputs=px * reduction * groups // kernel**2,
        outputs=outputs,
    )


def draw(seed: int) -> tuple[Layer, dict]:
    rng = random.Random(seed)
    layer = draw_layer(rng)
    chip = {
        "rows": rng.choice([16, 32, 64, 128]),
        "cols": rng.choice([32, 64, 128]),
        "macros_per_pe": rng.choice([1, 2]),
        "pes": rng.choice([1, 2, 3, 4]),
        "adc_bits": 6,
        "columns_per_adc": rng.choice([1, 2, 4, 8]),
        "planes": rng.choice([1, 1, 4, 16]),
        "buffer_mb": 64,
        "buffer_bw": rng.choice([64, 256, 1024]),
        "dram_bw": rng.choice([16, 64, 256]),
        "dac_bits": rng.choice([1, 2, 4, 8]),
        "noc_bw": rng.choice([128, 512, 1024]),
        "vector_lanes": rng.choice([1, 2] if layer.dynamic else [4, 16, 256]),
        "packing": rng.choice([0, 1]),
        "array": rng.choice(["charge_sram", "digital_sram"] + ["rram"] * (not layer.dynamic)),
    }
    if layer.dynamic:
        chip["array"] = "digital_sram"  # attention is never computed on other arrays
    return layer, chip


def of_few_bits(layer: Layer, chip: dict, seed: int) -> tuple[Layer, dict]:
    """The layer at bits of its own, on a chip whose digital arrays have narrow trees."""
    rng = random.Random(seed)
    act_bits = rng.choice([1, 2, 3, 4, 5, 6, 7, 8])
    weight_bits = act_bits if layer.dynamic else rng.choice([1, 2, 3, 4, 5, 6, 7, 8])
    bits = {"weight_bits": weight_bits, "activation_bits": act_bits}
    own = replace(layer, **bits, output_bits=rng.choice([0, 4, 8]))
    return own, chip | {"tree_bits": rng.choice([0, 2, 4])}


def columns_of_weight(layer: Layer, chip: dict) -> int:
    """Of a chip of one bit a cell: as many as bits, digital arrays whole trees."""
    bits = layer.weight_bits or 8
    tree = chip.get("tree_bits", 0) or 8
    return tree * math.ceil(bits / tree) if chip["array"] == "digital_sram" else bits


def event_cycles(layer: Layer, chip: dict, ours: dict) -> float:
    macros = chip["macros_per_pe"] * chip["pes"]
    if (
        ours["resident"] and layer.dynamic
    ):  # half of the tiles left are kept for copies of layers with weights
        macros = min(macros, macros * chip["planes"] - macros * chip["planes"] // 2)
    machine = chip | {
        "logical_columns": chip["cols"] // columns_of_weight(layer, chip),
        "weight_bits": layer.weight_bits or 8,
        "act_bits": layer.activation_bits or 8,
        "output_bits": layer.output_bits or layer.activation_bits or 8,
        "share": float(one_circuit(in_gb_s(chip)).macro.geometry.share[0]),
        "macros": macros,
        "write_cycles": math.ceil(WRITE_NS[chip["array"]] / ours["clock_ns"]),
    }
    return Machine(machine, layer).run(ours["resident"])


def error(layer: Layer, chip: dict) -> float:
    ours = simulate(Workload("w", (layer,)), in_gb_s(chip))
    return ours["cycles"] / event_cycles(layer, chip, ours) - 1


@pytest.mark.parametrize("part", range(5))
def test_closed_form_within_two_percent_on_500_layers(part):
    errors = [error(*draw(100_000 * part + seed)) for seed in range(100)]
    assert max(map(abs, errors)) <= 0.02


@pytest.mark.parametrize("part", range(2))
def test_layers_of_few_bits_within_two_percent(part):
    """A layer of few bits passes fewer columns, in fewer steps, with fewer bits over buffer, NoC and DRAM."""
    errors = []
    for seed in range(100):
        layer, chip = of_few_bits(*draw(100_000 * (7 + part) + seed), seed)
        errors.append(error(layer, chip))
    assert max(map(abs, errors)) <= 0.02
