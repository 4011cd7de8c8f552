"""Agreement with ZigZag-IMC and AccelForge on recorded points; those of the shared folder are skipped where it is absent."""

import json
import math
import re
from pathlib import Path

import pytest
from accelforge_macros import macro_cycles
from zigzag_layers import gemm, network_layers, zigzag_chip

from cimbo.hardware import simulate
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.elements import tree_adders
from cimbo.hardware.events import tree_adders_by_live_inputs
from cimbo.hardware.macro import macro_circuit
from cimbo.hardware.tiling import whole_kernel_tiles
from cimbo.workloads.layers import Workload

GOLDEN = Path(__file__).resolve().parents[3] / "shared/golden"
POINTS = (
    json.loads((GOLDEN / "reference_points.json").read_text())["points"] if GOLDEN.exists() else []
)
RESNET50 = json.loads(
    Path(__file__).with_name("zigzag_resnet50.json").read_text()
)  # by benchmarks/record_zigzag.py
NETWORKS = RESNET50 + (
    json.loads((GOLDEN / "zigzag_networks.json").read_text()) if GOLDEN.exists() else []
)
ZIGZAG = [point for point in POINTS if point["tool"].startswith("zigzag") and "loop_dims" in point]
ACCELFORGE = [point for point in POINTS if point["tool"].startswith("accelforge") and point["M"]]
needs_points = pytest.mark.skipif(not GOLDEN.exists(), reason="needs the shared golden points")


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: f"{n['net']}-{n['hw']}")
@pytest.mark.parametrize(
    ("counting", "within"), [(0, 0.05), (1, 0.005)], ids=["by the law", "as ZigZag counts"]
)
def test_network_cycles(network, counting, within):
    chip = zigzag_chip(network["hw_overrides"]) | {"zigzag_counting": counting}
    ours = simulate(Workload(network["net"], tuple(network_layers(network))), chip)
    assert ours["cycles"] == pytest.approx(network["cycles"], rel=within)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: f"{n['net']}-{n['hw']}")
def test_no_layer_of_a_network_is_slower_than_the_reference(network):
    for layer, entry in zip(
        network_layers(network, repeat=False), network["per_unique_layer"], strict=True
    ):
        ours = simulate(Workload("w", (layer,)), zigzag_chip(network["hw_overrides"]))
        assert ours["cycles"] <= 1.02 * entry["cycles"], entry


@needs_points
def test_convolution_as_mapped_in_whole_kernels():
    """64 channels of 3 x 3 on 128 rows with a buffer that holds them: cycles are ZigZag's to one in a thousand."""
    point = next(point for point in ZIGZAG if point["id"] == "zz/conv_rn18_56_64_64_k3/aimc_gb2M")
    layer = gemm(point["layer"], dict(zip(point["loop_dims"], point["loop_sizes"], strict=True)))
    chip = zigzag_chip(point["hw_overrides"])
    assert simulate(Workload("w", (layer,)), chip)["cycles"] == pytest.approx(
        point["cycles"], rel=1e-3
    )
    assert (
        simulate(Workload("w", (layer,)), chip | {"whole_kernels": 0})["cycles"]
        < 0.9 * point["cycles"]
    )


@pytest.mark.parametrize(
    ("reduction", "kernel", "tiles"),
    [
        (64 * 9, 3, 6),
        (128 * 9, 3, 9),
        (256 * 9, 3, 18),
        (3 * 49, 7, 3),
        (3 * 256, 16, 6),
        (40 * 25, 5, 8),
        (8, 1, 1),
    ],
)
def test_row_tiles_of_whole_kernels(reduction, kernel, tiles):
    """On 128 rows: 96, 128, 128 and 49 of them; 16 x 8; 5 channels of 5 x 5."""
    assert whole_kernel_tiles(128, reduction, kernel) == tiles


@pytest.mark.parametrize("point", ZIGZAG, ids=lambda p: p["id"])
def test_the_reference_lies_between_our_schedules(point):
    """With ZigZag's small buffers partial sums do not fit: its mapping search ends between our two schedules.

    The high one is any schedule that exists, so where it exceeds the reference by much the search found a better one.
    """
    layer = gemm(point["layer"], dict(zip(point["loop_dims"], point["loop_sizes"], strict=True)))
    ours = simulate(Workload("w", (layer,)), zigzag_chip(point["hw_overrides"]))
    low = ours["latency_ms_low"] / ours["latency_ms"] * ours["cycles"]
    assert low <= 1.02 * point["cycles"]
    assert ours["is_bound"] or ours["cycles"] <= 1.02 * point["cycles"]


def mapped(point: dict) -> tuple[float, float]:
    """Rows and logical columns of the macro that ZigZag's spatial mapping uses (dimensions D1 and D2 of operand W)."""
    size = dict(zip(point["loop_dims"], point["loop_sizes"], strict=True))
    operand_w = re.search(r"W: (\[.*?\]\])", point["spatial_mapping"]).group(1)
    unrolled = [
        (name, float(factor)) for name, factor in re.findall(r"\((\w+), ([\d.]+)\)", operand_w)
    ]
    columns_used = math.prod(factor for name, factor in unrolled if name == "K")
    rows_used = math.prod(factor for name, factor in unrolled if name in ("C", "FX", "FY"))
    if (
        size["K"] % columns_used
    ):  # printed is the mean over passes, counted with the array's own dimension
        columns_used = 2 ** math.ceil(math.log2(columns_used))
    return rows_used, columns_used


ADDER_PJ = (
    (3 * 0.7 + 2 * 1.05) * 0.9**2 * 1e-3
)  # ZigZag's one-bit adder at 0.9 V: three NAND, two XOR
HALF_ADDER_PJ = 2 * 1.05 * 0.9**2 * 1e-3
FLIPFLOP_PJ = 2.1 * 0.9**2 * 1e-3


def tree_activity(inputs: int, bits: int, live: int) -> tuple[float, float]:
    """Live and half-live one-bit adders of a tree with some of its inputs live."""
    depth = math.ceil(math.log2(inputs))
    starts, adders = tree_adders_by_live_inputs(depth)
    counts = adders[:, starts[depth] + live]
    return bits * counts[0] + counts[1], bits * counts[2] + counts[3]


@pytest.mark.parametrize("point", ZIGZAG, ids=lambda p: p["id"])
def test_gates_are_counted_as_zigzag_counts_them(point):
    """Live adders of trees, shift-and-add and accumulators, at ZigZag's energy a gate, times the activations it counts."""
    table = chip_table(zigzag_chip(point["hw_overrides"]))
    geometry = macro_circuit(table).geometry
    rows, used = mapped(point)
    times = math.prod(point["loop_sizes"]) / (rows * used) * geometry.input_steps[0]
    full, half = tree_activity(int(table.rows[0]), 8, int(rows))
    tree = full * ADDER_PJ + half * HALF_ADDER_PJ
    pulses = geometry.input_steps[0] > 1
    ours = {
        "adders_regular": tree * used * table.dac_bits[0] * geometry.is_digital[0],
        "accumulators": (ADDER_PJ + FLIPFLOP_PJ) * geometry.accumulator_bits[0] * used * pulses,
    }
    for name, energy in ours.items():
        assert energy * times == pytest.approx(point["imc_breakdown_pJ"][name], rel=0.01), name


def test_a_tree_has_an_adder_for_each_pair_of_bits():
    """128 numbers of 8 bits: 64 adders of 8 bits, 32 of 9, ... one of 14: all of them live with 128 inputs."""
    by_level = sum(64 // 2**level * (8 + level) for level in range(7))
    assert tree_activity(128, 8, 128)[0] == by_level
    assert abs(tree_adders(128.0, 8.0) / by_level - 1) < 0.15  # which ends in the carries, too


def cycles(point: dict) -> float:
    return macro_cycles(point["arch"], (point["M"], point["K"], point["N"]))


@pytest.mark.parametrize("arch", sorted({point["arch"] for point in ACCELFORGE}))
def test_accelforge_latency_within_three_percent(arch):
    """Latency in cycles of the macro: the ratio of any two layers on one macro is free of its cycle time."""
    points = [point for point in ACCELFORGE if point["arch"] == arch]
    first = points[0]
    cycle_s = first["latency_s"] / cycles(first)
    for point in points[1:]:
        assert cycles(point) * cycle_s == pytest.approx(point["latency_s"], rel=0.03), point["id"]
