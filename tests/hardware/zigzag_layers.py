"""Recorded ZigZag chips and layers in our terms; the tests and benchmarks/agreement.py share it."""

from bits_per_cycle import in_gb_s

from cimbo.workloads.layers import Layer


def zigzag_chip(overrides: dict) -> dict:
    """The chip of ZigZag's aimc.yaml and dimc.yaml: one macro of 128 x 128 8-bit weights, no NoC, no vector unit.

    Its arrays are written all rows at once, its groups never share a macro, nothing is scaled by activity, and reads and loads
    are counted in its way.
    """
    analog = overrides["base"] == "aimc"
    rows, logical = overrides.get("rows", 128), overrides.get("cols", 128)
    chip = {
        "rows": rows,
        "cols": 8 * logical,
        "macros_per_pe": 1,
        "pes": 1,
        "adc_bits": overrides.get("adc", 8),
        "columns_per_adc": 1,
        "planes": 1,
        "buffer_mb": overrides.get("gb_bits", 262144) / 2**23,
        "buffer_bw": overrides.get("gb_bw", 512),
        "dram_bw": overrides.get("dram_bw", 64),
        "dac_bits": overrides.get("dac", 2 if analog else 1),
        "array": "charge_sram" if analog else "digital_sram",
        "noc_bw": 1e9,
        "vector_lanes": 1e9,
        "packing": 0,
        "rows_written": rows,
        "activity": 1,
        "zigzag_counting": 1,
    }
    return in_gb_s(chip)


def gemm(name: str, size: dict) -> Layer:
    """A ZigZag layer (loop sizes) as ours; attention's products are plain layers there."""
    kernel, groups = size.get("FX", 1), size.get("G", 1)
    px = size.get("OY", 1) * size.get("OX", 1)
    inputs = px * size["C"] * groups  # stride 1, borders aside
    return Layer(
        name,
        "conv",
        px,
        size["C"] * kernel * size.get("FY", 1),
        size["K"],
        groups,
        inputs=inputs,
        outputs=px * size["K"] * groups,
        kernel=kernel,
        stride=size.get("S", 1),
    )


def network_layers(recorded: dict, repeat: bool = True) -> list[Layer]:
    """Layers of a recorded network, each as often as it occurs or once."""
    layers = []
    for index, entry in enumerate(recorded["per_unique_layer"]):
        depthwise = entry["kind"] == "dwconv"
        size = {
            "K": 1 if depthwise else entry["k"],
            "C": 1 if depthwise else entry["c"],
            "OY": entry["oy"],
            "OX": entry["ox"],
            "FX": entry["f"],
            "FY": entry["f"],
            "S": entry["s"],
            "G": entry["g"] if depthwise else 1,
        }
        layers += [gemm(f"{index}", size)] * (entry["count"] if repeat else 1)
    return layers
