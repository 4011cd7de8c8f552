"""The closed form against the event-by-event simulator on 500 random small layers and chips."""

import math
import random

import pytest
from event_simulator import Machine

from cimbo.hardware import simulate
from cimbo.workload import Layer, Workload


def draw(seed: int) -> tuple[Layer, dict]:
    rng = random.Random(seed)
    px = rng.randint(500, 700)  # filling the pipeline takes a few vectors
    if rng.random() < 0.25:
        kernel = rng.choice([3, 5])
        layer = ("depthwise", px, kernel * kernel, 1, rng.randint(2, 16), kernel)
    else:
        layer = ("linear", px, rng.randint(4, 70), rng.randint(2, 32), 1, 1)
    kind, px, reduction, columns, groups, kernel = layer
    outputs = px * columns * groups
    ops = rng.choice([0, 1, 2, 5]) * outputs
    chip = {
        "rows": rng.choice([16, 32, 64]), "cols": rng.choice([32, 64, 128]), "macros_per_pe": rng.choice([1, 2]),
        "pes": rng.choice([1, 2, 2]), "adc_bits": 6, "columns_per_adc": rng.choice([1, 2, 4]), "planes": 1,
        "buffer_mb": 8, "buffer_bw": rng.choice([64, 256, 1024]), "dram_bw": rng.choice([16, 64, 256]),
        "dac_bits": rng.choice([1, 2, 8]), "noc_bw": rng.choice([128, 1024]), "vector_lanes": rng.choice([4, 16, 256]),
        "packing": rng.choice([0, 1]),
    }  # fmt: skip
    return Layer("l", kind, px, reduction, columns, groups, vector_ops=ops, kernel=kernel,
                 inputs=px * reduction * groups // kernel**2, outputs=outputs), chip  # fmt: skip


def event_cycles(layer: Layer, chip: dict, resident: bool) -> float:
    logical = chip["cols"] // 8
    machine = chip | {
        "logical_columns": logical, "weight_bits": 8, "act_bits": 8, "share": chip["columns_per_adc"],
        "macros": chip["macros_per_pe"] * chip["pes"], "write_cycles": 1,
    }  # fmt: skip
    return Machine(machine, layer).run(resident)


def shapes(layer: Layer, chip: dict) -> tuple[int, int, int]:
    """Tiles, macros, and groups a tile."""
    logical = chip["cols"] // 8
    packed = max(1, min(chip["rows"] // layer.reduction, logical // layer.columns, layer.groups)) if chip["packing"] else 1
    column_tiles = math.ceil(layer.columns / logical) * math.ceil(layer.groups / packed)
    return math.ceil(layer.reduction / chip["rows"]) * column_tiles, chip["macros_per_pe"] * chip["pes"], packed


def even(layer: Layer, chip: dict) -> bool:
    """Whether all passes are alike, so that every resource has the same share of its work in each of them."""
    tiles, macros, packed = shapes(layer, chip)
    full_columns = layer.columns % (chip["cols"] // 8) == 0 or layer.columns <= chip["cols"] // 8
    row_tiles = math.ceil(layer.reduction / chip["rows"])
    aligned = macros % row_tiles == 0 or row_tiles % macros == 0
    full_rows = layer.reduction % chip["rows"] == 0 or row_tiles <= macros
    full_passes = tiles <= macros or (tiles % macros == 0 and aligned)
    return full_columns and full_rows and full_passes and layer.groups % packed == 0


def drawn(wanted: bool, count: int, seed: int) -> list[tuple[Layer, dict]]:
    found = []
    while len(found) < count:
        layer, chip = draw(seed)
        seed += 1
        if even(layer, chip) == wanted:
            found.append((layer, chip))
    return found


def error(layer: Layer, chip: dict) -> float:
    ours = simulate(Workload("w", (layer,)), chip)
    return ours["cycles"] / event_cycles(layer, chip, ours["resident"]) - 1


@pytest.mark.parametrize("part", range(5))
def test_closed_form_within_two_percent_on_500_layers(part):
    errors = [error(layer, chip) for layer, chip in drawn(True, 100, 100_000 * part)]
    assert max(map(abs, errors)) <= 0.02


def test_ragged_passes_are_close_too():
    """Where a last pass holds less than the others the closed form spreads work evenly; it stays within a quarter."""
    errors = [error(layer, chip) for layer, chip in drawn(False, 60, 7_000_000)]
    assert max(map(abs, errors)) <= 0.25
    assert sorted(map(abs, errors))[len(errors) * 3 // 4] <= 0.02
