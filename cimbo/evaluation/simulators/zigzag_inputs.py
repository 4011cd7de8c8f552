"""Inputs for ZigZag-IMC: a chip as its accelerator, and each layer as a convolution, because its Gemm fails on CiM arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cimbo.errors import BadInput
from cimbo.hardware.chip_columns import columns
from cimbo.hardware.circuit import Circuit
from cimbo.hardware.cost_model import one_circuit
from cimbo.workloads.layers import Layer, Workload

RESULT_BITS = 16  # of a sum, before it is written
MOST_RESULT_BITS = 8  # most bits of the results that a layer passes to the next one
PORT_KINDS = {"r": "read", "w": "write", "rw": "read_write"}
MOST_LEAST_BITS = 64  # of the narrowest access to a memory
DEFAULT_MAPPING = [
    {
        "name": "default",
        "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
        "spatial_mapping_hint": {"D1": ["K"], "D2": ["C", "FX", "FY"]},
    }
]
UNSUPPORTED_GENES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("planes", lambda value: value > 1, "models one plane of weights"),
    ("columns_per_adc", lambda value: value > 1, "has a converter for every column"),
    ("cell_bits", lambda value: value > 1, "has one bit a cell"),
    ("array", lambda value: value == "rram", "models SRAM arrays only"),
    ("columns_summed", lambda value: value > 1, "converts every column by itself"),
)


def inputs(
    workload: Workload, chip: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Write what ZigZag is given for a network on a chip.

    A layer of attention is one head of it.

    Args:
        workload: The network.
        chip: Genes of the chip.

    Returns:
        The accelerator; a workload mapping; and for each layer of the network, in order, a workload
        of that layer alone.

    Raises:
        BadInput: When ZigZag cannot express the chip.
    """
    full = checked_chip(chip)
    layers = [[described(layer, full)] for layer in workload.layers]
    return accelerator(full), DEFAULT_MAPPING, layers


def at_layer_bits(layer: Layer, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Make the chip that ZigZag is given for one layer: with the layer's bits, at the chip's clock.

    ZigZag knows only the operand bits of a whole chip. So a layer with fewer bits is run on a copy
    of the chip that has these bits. By itself such a copy might have another cycle time, although
    the layer runs on the same silicon; ``cycle_factor`` corrects that.

    Args:
        layer: The layer. Its bits are used where they are fewer than the chip's; 0 stands for the
            chip's.
        chip: All properties of the chip.

    Returns:
        The same properties, but for ``act_bits``, ``weight_bits`` and ``cycle_factor``.
    """
    own_chip = dict(chip)
    stated = {"act_bits": layer.activation_bits, "weight_bits": layer.weight_bits}
    for name, bits in stated.items():
        own_chip[name] = min(bits or chip[name], chip[name])
    stretched = float(one_circuit(chip).clock_ns[0] / one_circuit(own_chip).clock_ns[0])
    return {**own_chip, "cycle_factor": chip["cycle_factor"] * stretched}


def checked_chip(chip: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a chip, if ZigZag can express it.

    Args:
        chip: Genes of the chip; those left out have their defaults.

    Returns:
        All its properties.

    Raises:
        BadInput: ZigZag cannot express it; the gene is named.
    """
    full = {name: values[0] for name, values in columns(chip).items()}
    _check(full)
    return full


def _check(chip: Mapping[str, Any]) -> None:
    """Refuse a chip that ZigZag cannot express. Raises BadInput, naming the gene."""
    if chip["rows_active"] < chip["rows"]:
        what = f"is {chip['rows_active']:g}, but ZigZag switches on all rows at once"
        raise BadInput("chip.rows_active", what, "leave it out, or use simulator cimbo")
    check_weight_bits(chip)
    for gene, beyond, what in UNSUPPORTED_GENES:
        if beyond(chip[gene]):
            todo = "fix the gene, or use simulator cimbo"
            raise BadInput(f"chip.{gene}", f"is {chip[gene]}, but ZigZag {what}", todo)


def check_weight_bits(chip: Mapping[str, Any]) -> None:
    """Check that ZigZag knows weights of so many bits.

    Args:
        chip: All properties of the chip.

    Raises:
        BadInput: They are no power of two.
    """
    bits = int(chip["weight_bits"])
    if bits & (bits - 1):
        what = f"is {bits}, but ZigZag knows powers of two only"
        raise BadInput("chip.weight_bits", what, "use simulator cimbo")


def described(layer: Layer, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a layer as a convolution; a linear layer has its tokens as rows of the image.

    Args:
        layer: The layer. Of a dynamic one it is one group, such as a head of attention.
        chip: All properties of the chip, whose bits count.

    Returns:
        The layer as ZigZag's files have it.
    """
    sizes = _loop_sizes(layer)
    group = "[g]" if "G" in sizes else ""
    written_bits = min(layer.output_bits or chip["act_bits"], MOST_RESULT_BITS)
    return {
        "id": 0,
        "name": "layer",
        "operator_type": "Conv",
        "equation": f"O[b]{group}[k][oy][ox]+=W{group}[k][c][fy][fx]*I[b]{group}[c][iy][ix]",
        "dimension_relations": [f"ix={layer.stride}*ox+1*fx", f"iy={layer.stride}*oy+1*fy"],
        "loop_dims": list(sizes),
        "loop_sizes": list(sizes.values()),
        "operand_source": {"W": 0},  # its own constant, so that it is the stationary one
        "operand_precision": {
            "W": int(chip["weight_bits"]),
            "I": int(chip["act_bits"]),
            "O": RESULT_BITS,
            "O_final": int(written_bits),
        },
    }


def _loop_sizes(layer: Layer) -> dict[str, int]:
    """Sizes of the loops of a convolution, by their names in ZigZag."""
    sizes = {}
    if layer.groups > 1 and not layer.dynamic:
        sizes["G"] = layer.groups
    kernel = layer.kernel
    return {
        **sizes,
        "B": 1,
        "K": layer.columns,
        "C": layer.reduction // kernel**2,
        "OY": layer.px // layer.width,
        "OX": layer.width,
        "FY": kernel,
        "FX": kernel,
    }


def accelerator(chip: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a chip for ZigZag.

    Macros (D3) have rows (D2) and weight columns (D1); there are a buffer and a DRAM.

    Args:
        chip: All properties of the chip.

    Returns:
        The accelerator as ZigZag's files have it; bandwidths in bits a cycle of the arrays.
    """
    part = one_circuit(chip)
    dimensions = ["D1", "D2"]
    if int(part.macros[0]) > 1:
        dimensions.append("D3")
    return {
        "name": "cimbo",
        "memories": {
            "cells": _cells(part, int(chip["weight_bits"])),
            **_registers(),
            "buffer": _buffer(part, dimensions),
            "dram": _dram(part, dimensions),
        },
        "operational_array": _array(part, chip, dimensions),
    }


def _cells(part: Circuit, bits: int) -> dict[str, Any]:
    """The cells of one weight."""
    return {
        "size": bits,
        "r_cost": 0,
        "w_cost": float(part.energies["write_energy"][0]) * bits,
        "area": 0,
        "latency": 0,
        "operands": ["I2"],
        "ports": [_port("rw", bits, ["I2, fh", "I2, tl"])],
        "served_dimensions": [],
    }


def _buffer(part: Circuit, dimensions: list[str]) -> dict[str, Any]:
    """The buffer of inputs and outputs."""
    rate = _bits_a_cycle(part.per_cycle.buffer_bw)
    return {
        "size": int(part.per_cycle.buffer_bits[0]),
        "r_cost": float(part.energies["read_energy"][0]) * rate,
        "w_cost": float(part.energies["store_energy"][0]) * rate,
        "area": 0,
        "latency": 1,
        "operands": ["I1", "O"],
        "served_dimensions": dimensions,
        "ports": [
            _port("r", rate, ["I1, tl", "O, tl", "O, th"]),
            _port("w", rate, ["I1, fh", "O, fh", "O, fl"]),
        ],
    }


def _dram(part: Circuit, dimensions: list[str]) -> dict[str, Any]:
    """The memory off the chip, which holds everything."""
    rate = _bits_a_cycle(part.per_cycle.dram_bw)
    inputs_and_weights = ["I1, fh", "I1, tl", "I2, fh", "I2, tl"]
    outputs = ["O, fh", "O, tl", "O, fl", "O, th"]
    return {
        "size": 10**10,
        "r_cost": float(part.energies["dram_energy"][0]) * rate,
        "w_cost": float(part.energies["dram_energy"][0]) * rate,
        "area": 0,
        "latency": 1,
        "operands": ["I1", "I2", "O"],
        "served_dimensions": dimensions,
        "ports": [_port("rw", rate, [*inputs_and_weights, *outputs])],
    }


def _bits_a_cycle(bandwidth: Any) -> int:
    """A bandwidth in whole bits a cycle of the arrays, as ZigZag knows only one clock and whole numbers."""
    return max(1, round(float(bandwidth[0])))


def _array(part: Circuit, chip: Mapping[str, Any], dimensions: list[str]) -> dict[str, Any]:
    """The arrays, and how they multiply."""
    sizes = [int(part.per_cycle.weight_columns[0]), int(chip["rows"]), int(part.macros[0])]
    array = {
        "is_imc": True,
        "imc_type": "digital",
        "input_precision": [int(chip["act_bits"]), int(chip["weight_bits"])],
        "bit_serial_precision": int(chip["dac_bits"]),
        "dimensions": dimensions,
        "sizes": sizes[: len(dimensions)],
    }
    if chip["array"] != "digital_sram":
        array["imc_type"] = "analog"
        array["adc_resolution"] = int(chip["adc_bits"])
    return array


def _registers() -> dict[str, Any]:
    """The registers at the edges of the arrays, as in ZigZag's own examples."""
    register = {"r_cost": 0.021, "w_cost": 0.021, "area": 0, "latency": 1}
    return {
        "inputs": {
            "size": 8,
            **register,
            "operands": ["I1"],
            "ports": [_port("r", 8, ["I1, tl"]), _port("w", 8, ["I1, fh"])],
            "served_dimensions": ["D1"],
        },
        "outputs": {
            "size": 16,
            **register,
            "operands": ["O"],
            "served_dimensions": ["D2"],
            "ports": [
                _port("r", 16, ["O, tl"], 1),
                _port("r", 16, ["O, th"], 2),
                _port("w", 16, ["O, fh"], 1),
                _port("w", 16, ["O, fl"], 2),
            ],
        },
    }


def _port(kind: str, bits: int, uses: list[str], number: int = 1) -> dict[str, Any]:
    """Describe a port of a memory for ZigZag.

    Args:
        kind: "r", "w" or "rw".
        bits: Bits a cycle.
        uses: Operands that pass it and their directions, as ZigZag writes them.
        number: Number of the port among those of its kind.

    Returns:
        The port as ZigZag's files have it.
    """
    return {
        "name": f"{kind}_port_{number}",
        "type": PORT_KINDS[kind],
        "bandwidth_min": min(bits, MOST_LEAST_BITS),
        "bandwidth_max": bits,
        "allocation": uses,
    }
