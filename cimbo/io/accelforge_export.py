"""A chip of ours in AccelForge's terms: memories, arrays and networks of its own kinds, with our energies, areas and rates.

Nothing of it needs AccelForge's component models, so its mapper runs wherever its Python package does. Unlike the macros that
the package brings, DRAM, buffer and NoC are there, and so is the loading of weights. The vector unit is left out, and groups
are products of their own. A layer's latency is its slowest component's there: loads overlap with computing, as on a chip of
several planes.
"""

import json
from collections.abc import Mapping
from typing import Any

from cimbo.hardware.circuit import Circuit
from cimbo.hardware.cost_model import one_circuit
from cimbo.workloads.layers import Layer

_PJ, _NS, _MM2, _MW = 1e-12, 1e-9, 1e-6, 1e-3


def architecture(chip: Mapping[str, Any], resident: bool) -> str:
    """Write a chip as AccelForge's ``arch``.

    Args:
        chip: Genes of one chip.
        resident: Whether weights are in the arrays before an inference begins.

    Returns:
        YAML, in J, s, m2 and W.

    Raises:
        BadInput: Where ``chip`` is no chip, or several.
    """
    part = one_circuit(chip)
    columns = _at(part.per_cycle.weight_columns)
    nodes = [
        ("Memory", _dram(part, resident)),
        ("Memory", _buffer(part)),
        ("Toll", _noc(part)),
        ("Container", _container("Macro", _at(part.macros))),
        ("Toll", _converters(part)),
        ("Toll", _drivers(part)),
        ("Container", _container("Column", columns, may_reuse="input")),
        ("Container", _container("Row", _at(part.table.rows), reuse="output")),
        ("Memory", _cells(part)),
        ("Compute", _products(part)),
    ]
    lines = [f"  - !{kind} {json.dumps(node)}" for kind, node in nodes]
    return "\n".join(["arch:", "  nodes:", *lines, ""])


def product(layer: Layer, bits: tuple[int, int]) -> str:
    """Write one group of a layer as AccelForge's ``workload``.

    Args:
        layer: The layer.
        bits: Of its activations, and of its weights; both operands of a dynamic layer are
            activations.

    Returns:
        YAML.
    """
    activation, weight = bits
    if layer.dynamic:
        weight = activation
    sizes = {"M": layer.px, "K": layer.reduction, "N": layer.columns}
    tensors = [
        {"name": "input", "projection": ["m", "k"], "bits_per_value": activation},
        {"name": "weight", "projection": ["k", "n"], "bits_per_value": weight},
        {"name": "output", "projection": ["m", "n"], "bits_per_value": activation, "output": True},
    ]
    einsums = [{"name": "Product", "tensor_accesses": tensors}]
    workload = {"rank_sizes": sizes, "einsums": einsums}
    return json.dumps({"workload": workload}, indent=1) + "\n"


def _at(values: Any) -> Any:
    """The figure of the one chip of a column."""
    return values[0].item()


def _mm2(part: Circuit, *names: str) -> float:
    return float(sum(part.area_parts[name][0] for name in names))


def _pj(part: Circuit, name: str) -> float:
    return float(part.energies[name][0])


def _container(name: str, fanout: float, **reuse: str) -> dict[str, Any]:
    """So many equal parts side by side."""
    spatial = {"name": name.lower(), "fanout": int(fanout), **reuse}
    return {"name": name, "spatial": [spatial]}


def _per_second(part: Circuit, bits_per_cycle: Any) -> float:
    """Bits that pass in a second, of those that pass in a cycle."""
    rate: float = _at(bits_per_cycle) / (_at(part.clock_ns) * _NS)
    return rate


def _action(
    name: str, picojoules: float, per_second: float | str = "inf", **size: Any
) -> dict[str, Any]:
    return {"name": name, "energy": picojoules * _PJ, "throughput": per_second, **size}


def _dram(part: Circuit, resident: bool) -> dict[str, Any]:
    rate = _per_second(part, part.per_cycle.dram_bw)
    tensors = {"may_keep": "input | output"}
    if not resident:
        tensors = {"keep": "weight", **tensors}
    return {
        "name": "DRAM",
        "size": "inf",
        "area": _mm2(part, "dram_interface") * _MM2,
        "leak_power": 0,
        "tensors": tensors,
        "actions": [_action(name, _pj(part, "dram_energy"), rate) for name in ("read", "write")],
    }


def _buffer(part: Circuit) -> dict[str, Any]:
    """Of the rest of the chip, which has no place of its own here, area and leakage are the buffer's."""
    rate = _per_second(part, part.per_cycle.buffer_bw)
    return {
        "name": "Buffer",
        "size": int(_at(part.per_cycle.buffer_bits)),
        "leak_power": _at(part.leakage_mw) * _MW,
        "area": _mm2(part, "buffer", "noc", "vector", "clock", "control") * _MM2,
        "tensors": {"keep": "input | output"},
        "actions": [
            _action("read", _pj(part, "read_energy"), rate),
            _action("write", _pj(part, "store_energy"), rate),
        ],
    }


def _noc(part: Circuit) -> dict[str, Any]:
    rate = _per_second(part, part.per_cycle.noc_bw)
    return {
        "name": "NoC",
        "area": 0,
        "leak_power": 0,
        "tensors": {"keep": "input | output"},
        "direction": "up_and_down",
        "actions": [_action("read", _pj(part, "noc_energy"), rate)],
    }


def _converters(part: Circuit) -> dict[str, Any]:
    """Make the node of what follows the columns: converters or adder trees, and accumulators.

    Args:
        part: The chip.

    Returns:
        The node, in J and m2. Its energy is that of one sum that passes, over all pulses in which an
        input enters; its area is of one macro.
    """
    slices = _at(part.macro.geometry.slices)
    conversions_pj = slices * (_pj(part, "conversion_energy") + _pj(part, "bitline_energy"))
    tree_pj = _pj(part, "adder_energy") * _at(part.macro.tree_adders)
    adders_pj = tree_pj + _pj(part, "shift_energy") + _pj(part, "accumulator_energy")
    energy_pj = _at(part.per_cycle.pulses) * (conversions_pj + adders_pj)
    area = _mm2(part, "adc", "adders", "accumulators", "partial_sums", "columns")
    return {
        "name": "Converters",
        "area": area / _at(part.macros) * _MM2,
        "leak_power": 0,
        "tensors": {"keep": "output"},
        "direction": "up",
        "actions": [_action("read", energy_pj, values_per_action={"All": 1})],
    }


def _drivers(part: Circuit) -> dict[str, Any]:
    """What one input of a row costs over all pulses; what an array costs as a whole is shared by its rows."""
    shared = _pj(part, "array_energy") / _at(part.table.rows)
    row = _pj(part, "drive_energy") + _pj(part, "row_energy") + shared
    energy = _at(part.per_cycle.pulses) * row
    return {
        "name": "Drivers",
        "area": _mm2(part, "dac", "drivers") / _at(part.macros) * _MM2,
        "leak_power": 0,
        "tensors": {"keep": "input"},
        "direction": "down",
        "actions": [_action("read", energy, values_per_action={"All": 1})],
    }


def _cells(part: Circuit) -> dict[str, Any]:
    """The planes of one weight."""
    weights = _at(part.macros) * _at(part.table.rows) * _at(part.per_cycle.weight_columns)
    return {
        "name": "Cells",
        "size": int(_at(part.table.planes * part.table.weight_bits)),
        "leak_power": 0,
        "area": _mm2(part, "cells", "multipliers") / weights * _MM2,
        "tensors": {"keep": "weight", "force_memory_hierarchy_order": False},
        "actions": [_action("read", 0), _action("write", _pj(part, "write_energy"))],
    }


def _products(part: Circuit) -> dict[str, Any]:
    sizes = part.per_cycle
    period = _at(sizes.pulses * sizes.share * part.clock_ns) * _NS
    return {
        "name": "Products",
        "area": 0,
        "leak_power": 0,
        "actions": [_action("compute", 0, 1 / period)],
    }
