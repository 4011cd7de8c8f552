"""A chip of ours in AccelForge's terms: memories, arrays and networks of its own kinds, with our energies, areas and rates.

Nothing of it needs AccelForge's component models, so its mapper runs wherever its Python package does. Unlike the macros that
the package brings, DRAM, buffer and NoC are there, and so is the loading of weights. The vector unit is left out, and groups
are products of their own. A layer's latency is its slowest component's there: loads overlap with computing, as on a chip of
several planes.
"""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from cimbo.hardware.chip import columns
from cimbo.hardware.macro import circuit
from cimbo.workloads.layers import Layer

_PJ, _NS, _MM2, _MW = 1e-12, 1e-9, 1e-6, 1e-3


def architecture(chip: Mapping[str, Any], resident: bool) -> str:
    """YAML of AccelForge's ``arch``, in J, s, m2 and W; ``resident``: weights are in the arrays before an inference begins."""
    part = _one(chip)
    nodes = [
        ("Memory", _dram(part, resident)),
        ("Memory", _buffer(part)),
        ("Toll", _noc(part)),
        ("Container", {"name": "Macro", "spatial": [_spatial("macro", part.macros)]}),
        ("Toll", _converters(part)),
        ("Toll", _drivers(part)),
        (
            "Container",
            {
                "name": "Column",
                "spatial": [_spatial("column", part.weight_columns, may_reuse="input")],
            },
        ),
        ("Container", {"name": "Row", "spatial": [_spatial("row", part.rows, reuse="output")]}),
        ("Memory", _cells(part)),
        ("Compute", _products(part)),
    ]
    lines = [f"  - !{kind} {json.dumps(node)}" for kind, node in nodes]
    return "\n".join(["arch:", "  nodes:", *lines, ""])


def product(layer: Layer, bits: tuple[int, int]) -> str:
    """YAML of AccelForge's ``workload``: one group of a layer, ``bits`` of its activations and weights."""
    activation, weight = bits
    sizes = {"M": layer.px, "K": layer.reduction, "N": layer.columns}
    tensors = [
        {"name": "input", "projection": ["m", "k"], "bits_per_value": activation},
        {
            "name": "weight",
            "projection": ["k", "n"],
            "bits_per_value": activation if layer.dynamic else weight,
        },
        {"name": "output", "projection": ["m", "n"], "bits_per_value": activation, "output": True},
    ]
    einsums = [{"name": "Product", "tensor_accesses": tensors}]
    return json.dumps({"workload": {"rank_sizes": sizes, "einsums": einsums}}, indent=1) + "\n"


def _one(chip: Mapping[str, Any]) -> SimpleNamespace:
    part = circuit(columns(chip))
    areas = {name: float(value[0]) for name, value in part.area_parts.items()}
    single = {
        name: value[0].item()
        for name, value in vars(part).items()
        if getattr(value, "shape", None) == (1,) and value.dtype != object  # words stay aside
    }
    return SimpleNamespace(**single | {"areas": areas})


def _spatial(name: str, fanout: float, **reuse: str) -> dict[str, Any]:
    return {"name": name, "fanout": int(fanout), **reuse}


def _action(
    name: str, picojoules: float, per_second: float | str = "inf", **size: Any
) -> dict[str, Any]:
    return {"name": name, "energy": picojoules * _PJ, "throughput": per_second, **size}


def _dram(part: SimpleNamespace, resident: bool) -> dict[str, Any]:
    rate = part.dram_bw / (part.clock_ns * _NS)  # bits a second
    return {
        "name": "DRAM",
        "size": "inf",
        "area": part.areas["dram_interface"] * _MM2,
        "leak_power": 0,
        "tensors": {"may_keep": "input | output"}
        if resident
        else {"keep": "weight", "may_keep": "input | output"},
        "actions": [_action(name, part.dram_energy, rate) for name in ("read", "write")],
    }


def _buffer(part: SimpleNamespace) -> dict[str, Any]:
    """Of the rest of the chip, which has no place of its own here, area and leakage are the buffer's."""
    rate = part.buffer_bw / (part.clock_ns * _NS)
    return {
        "name": "Buffer",
        "size": int(part.buffer_bits),
        "leak_power": part.leakage_mw * _MW,
        "area": (part.areas["buffer"] + part.areas["noc"] + part.areas["vector"]) * _MM2,
        "tensors": {"keep": "input | output"},
        "actions": [
            _action("read", part.read_energy, rate),
            _action("write", part.store_energy, rate),
        ],
    }


def _noc(part: SimpleNamespace) -> dict[str, Any]:
    rate = part.noc_bw / (part.clock_ns * _NS)
    return {
        "name": "NoC",
        "area": 0,
        "leak_power": 0,
        "tensors": {"keep": "input | output"},
        "direction": "up_and_down",
        "actions": [_action("read", part.noc_energy, rate)],
    }


def _converters(part: SimpleNamespace) -> dict[str, Any]:
    """What one sum of a column costs over all pulses: conversions or adders, shift-add, accumulator."""
    bits = part.cells_per_weight * (part.conversion_energy + part.bitline_energy)
    adders = part.adder_energy * part.tree_adders + part.shift_energy + part.accumulator_energy
    own = ("adc", "adders", "accumulators")
    return {
        "name": "Converters",
        "area": sum(part.areas[name] for name in own) / part.macros * _MM2,
        "leak_power": 0,
        "tensors": {"keep": "output"},
        "direction": "up",
        "actions": [_action("read", part.pulses * (bits + adders), values_per_action={"All": 1})],
    }


def _drivers(part: SimpleNamespace) -> dict[str, Any]:
    """What one input of a row costs over all pulses; what an array costs as a whole is shared by its rows."""
    energy = part.pulses * (part.drive_energy + part.row_energy + part.array_energy / part.rows)
    return {
        "name": "Drivers",
        "area": part.areas["dac"] / part.macros * _MM2,
        "leak_power": 0,
        "tensors": {"keep": "input"},
        "direction": "down",
        "actions": [_action("read", energy, values_per_action={"All": 1})],
    }


def _cells(part: SimpleNamespace) -> dict[str, Any]:
    """The planes of one weight."""
    weights = part.macros * part.rows * part.weight_columns
    return {
        "name": "Cells",
        "size": int(part.planes * part.weight_bits),
        "leak_power": 0,
        "area": (part.areas["cells"] + part.areas["multipliers"]) / weights * _MM2,
        "tensors": {"keep": "weight", "force_memory_hierarchy_order": False},
        "actions": [_action("read", 0), _action("write", part.write_energy)],
    }


def _products(part: SimpleNamespace) -> dict[str, Any]:
    period = part.pulses * part.share * part.clock_ns * _NS
    return {
        "name": "Products",
        "area": 0,
        "leak_power": 0,
        "actions": [_action("compute", 0, 1 / period)],
    }
