"""Clock, area, and energy of single events of a chip, from its genes and the constants: no network involved.

Formulas of the arrays (gates a bit of adder, converter laws, energy of an activation) follow ZigZag-IMC's published
model (zigzag-dse 3.9.1); the clock is that of a pipeline, conversion | digital stage, whichever is slower.
"""

from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from cimbo.hardware.technology import constant, converter_scale, scale

Columns = dict[str, Any]
AREA_PARTS = (
    "cells",
    "adc",
    "dac",
    "multipliers",
    "adders",
    "accumulators",
    "buffer",
    "noc",
    "vector",
    "dram_interface",
)
_RRAM_SCALE = float(
    scale("area", np.array([22.0]))[0]
)  # its cell is known at 22 nm, all else at 28
_FJ, _MM2 = 1e-3, 1e-6  # fF V^2 -> pJ, um2 -> mm2


def circuit(table: Columns) -> SimpleNamespace:
    """Everything the performance model needs of each chip, as arrays of shape (n,).

    Times in ns, energies in pJ an event, areas in mm2 (``area_mm2`` and ``area_parts``), leakage in mW.
    """
    chip = SimpleNamespace(**table)
    chip.area_scale, chip.energy_scale = scale("area", chip.node_nm), scale("energy", chip.node_nm)
    _geometry(chip)
    _gates(chip)
    _clock(chip)
    _areas(chip)
    _energies(chip)
    return chip


def _geometry(chip: SimpleNamespace) -> None:
    chip.digital, chip.rram = chip.array == "digital_sram", chip.array == "rram"
    chip.macros = chip.macros_per_pe * chip.pes
    chip.cells_per_weight = np.ceil(chip.weight_bits / chip.cell_bits)
    chip.weight_columns = np.floor(chip.cols / chip.cells_per_weight)
    chip.pulses = np.ceil(chip.act_bits / chip.dac_bits)
    chip.share = np.minimum(chip.columns_per_adc, chip.cols)
    chip.buffer_bits = chip.buffer_mb * 2**23
    chip.buffer_area, chip.read_energy, chip.store_energy = _buffer_laws(chip.buffer_mb)
    chip.peak_macs = (
        chip.macros * chip.rows * chip.weight_columns / (chip.pulses * chip.share)
        + chip.vector_lanes
    )
    # Several planes multiply the cells but not the logic; a plane is written while another one computes.
    chip.capacity_tiles = chip.macros * chip.planes


def _gates(chip: SimpleNamespace) -> None:
    """Widths of the digital stage: one-bit adders a logical column, in the tree over rows and in the shift-add."""
    depth = np.ceil(np.log2(chip.rows))
    chip.tree_depth = depth
    tree_bits = chip.weight_bits + depth
    chip.tree_adders = np.where(
        chip.digital,
        chip.dac_bits * (chip.rows * (chip.weight_bits + 1) - (chip.weight_bits + depth + 1)),
        0,
    )
    inputs = np.where(chip.digital, chip.dac_bits, chip.cells_per_weight)
    width = np.where(chip.digital, tree_bits, chip.adc_bits)
    chip.shift_inputs, chip.shift_width = inputs, width
    chip.shift_adders = np.where(
        inputs > 1, width * (inputs - 1) + inputs * (np.log2(inputs) - 0.5), 0
    )
    own = np.where(chip.digital, depth, chip.adc_bits)
    serial = chip.pulses > 1
    chip.accumulator_bits = np.where(serial, chip.act_bits + own + chip.weight_bits, 0)


def _clock(chip: SimpleNamespace) -> None:
    nand, xor = constant("logic.nand_delay"), constant("logic.xor_delay")
    to_sum, to_carry, ripple = 2 * xor, xor + 2 * nand, 2 * nand
    tree = (
        (chip.tree_depth - 1) * to_sum
        + to_carry
        + (chip.weight_bits + chip.tree_depth - 2) * ripple
    )
    chip.shifted_bits = np.where(chip.shift_inputs > 1, chip.shift_inputs, 0) + chip.shift_width
    levels = np.floor(np.log2(chip.shift_inputs))
    shift = np.where(
        chip.shift_inputs > 1,
        (levels - 1) * to_sum + to_carry + (chip.shift_inputs - 1) * ripple,
        0,
    )
    longer = np.maximum(chip.accumulator_bits - chip.shifted_bits - 1, 0)
    accumulate = np.where(chip.accumulator_bits > 0, to_carry + longer * ripple, 0)
    chip.digital_ns = nand + np.where(chip.digital, tree, 0) + shift + accumulate
    conversion = chip.adc_bits * (constant("adc.delay_row") * chip.rows + constant("adc.delay_bit"))
    chip.conversion_ns = np.where(chip.digital, 0, conversion)
    speed = scale("delay", chip.node_nm) * slowdown(chip.supply_v)
    chip.clock_ns = np.maximum(chip.digital_ns, chip.conversion_ns) * speed
    write = np.where(chip.rram, constant("rram_cell.write_time"), constant("sram_cell.write_time"))
    chip.row_write_cycles = np.ceil(write / chip.clock_ns)


def slowdown(supply: Any) -> Any:
    """Delay against the nominal supply by the alpha-power law, t ~ V / (V - Vt)^alpha (Sakurai and Newton, 1990)."""
    threshold, alpha, nominal = (
        constant(f"logic.{name}") for name in ("threshold", "alpha", "supply")
    )
    return supply / nominal * ((nominal - threshold) / (supply - threshold)) ** alpha


def _areas(chip: SimpleNamespace) -> None:
    nand, xor, flipflop = (constant(f"logic.{gate}_area") for gate in ("nand", "xor", "flipflop"))
    adder = 3 * nand + 2 * xor
    cells = chip.macros * chip.rows * chip.cols
    analog = ~chip.digital
    # A two-bit SRAM cell is two cells, each with its gate; RRAM stores both bits in one device.
    cell = np.where(
        chip.rram,
        constant("rram_cell.area") / _RRAM_SCALE,
        constant("sram_cell.area") * chip.cell_bits,
    )
    logical = chip.macros * np.ceil(chip.weight_columns / chip.share)
    converters = chip.macros * np.ceil(chip.cols / chip.share)
    adc = (
        10 ** (constant("adc.area_slope") * chip.adc_bits + constant("adc.area_offset"))
        * 2**chip.adc_bits
    )
    dac = np.where(chip.dac_bits > 1, constant("dac.area") * chip.dac_bits, 0)
    multipliers = np.where(
        chip.rram, 0, nand * np.where(chip.digital, chip.dac_bits, 1) * chip.cell_bits
    )
    router = constant("noc.router_area") * chip.noc_bw
    parts = {
        "cells": cells * chip.planes * cell,
        "adc": np.where(analog, adc * converters, 0),
        "dac": np.where(analog, dac * chip.macros * chip.rows, 0),
        "multipliers": multipliers * cells,
        "adders": adder * (chip.tree_adders + chip.shift_adders) * logical,
        "accumulators": (adder + flipflop) * chip.accumulator_bits * logical,
        "buffer": chip.buffer_area / _MM2 + constant("buffer.port_area") * chip.buffer_bw,
        "noc": router * chip.pes,
        "vector": constant("vector.lane_area") * chip.vector_lanes,
    }
    converters_scale = converter_scale(chip.node_nm, "area")
    node = {name: converters_scale if name in ("adc", "dac") else chip.area_scale for name in parts}
    # What leaks as gates do, in um2 at 28 nm.
    chip.logic_area = sum(parts[name] for name in parts if name not in ("cells", "buffer"))
    chip.area_parts = {name: area * node[name] * _MM2 for name, area in parts.items()}
    chip.area_parts["dram_interface"] = constant("dram.interface_area") * chip.dram_bw
    chip.area_mm2 = sum(chip.area_parts.values())


@cache
def _log_buffer() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.log(constant("buffer.kilobytes"))
    y = np.log(
        [constant(f"buffer.{quantity}") for quantity in ("area", "read_energy", "write_energy")]
    )
    return x, y, np.diff(y) / np.diff(x)


def _buffer_laws(megabytes: np.ndarray) -> np.ndarray:
    """Area (mm2), read and write energy (pJ a bit) of buffers at 28 nm, shape (3, n).

    Piecewise linear in logarithms between the sizes of the constants file, the end slopes kept beyond its ends.
    """
    x, y, slope = _log_buffer()
    at = np.log(megabytes * 1024)
    index = np.minimum(np.maximum(np.searchsorted(x, at) - 1, 0), slope.shape[1] - 1)
    return np.exp(y[:, index] + slope[:, index] * (at - x[index]))


def _energies(chip: SimpleNamespace) -> None:
    volts2 = chip.supply_v**2 * chip.energy_scale * _FJ
    converter_volts2 = chip.supply_v**2 * converter_scale(chip.node_nm, "energy") * _FJ
    relative = chip.energy_scale * (chip.supply_v / constant("logic.supply")) ** 2
    nand, xor = constant("logic.nand_capacitance"), constant("logic.xor_capacitance")
    flipflop, bitline = (
        constant("logic.flipflop_capacitance"),
        constant("logic.bitline_capacitance"),
    )
    switched = volts2 * chip.activity
    chip.adder_energy, chip.half_adder_energy = (3 * nand + 2 * xor) * switched, 2 * xor * switched
    bits = chip.adc_bits
    converted = constant("adc.energy_linear") * bits + constant("adc.energy_exponential") * 4**bits
    chip.conversion_energy = np.where(chip.digital, 0, converted * converter_volts2)
    driver = np.where(chip.dac_bits > 1, constant("dac.energy") * chip.dac_bits, 0)
    chip.drive_energy = np.where(chip.digital, 0, driver * converter_volts2)
    # A driven row switches the multipliers of all columns; in a digital array all rows' gates see the bit lines.
    device = constant("rram_cell.read_energy") * chip.activity * relative * _FJ
    gate = np.where(chip.rram, device, 0.5 * nand * switched * chip.cell_bits)
    chip.row_energy = np.where(chip.digital, 0, gate * chip.cols)
    chip.array_energy = np.where(chip.digital, gate * chip.dac_bits * chip.rows * chip.cols, 0)
    chip.bitline_energy = np.where(
        chip.digital | chip.rram, 0, bitline * switched * chip.rows * chip.cell_bits
    )
    adder = (3 * nand + 2 * xor) * switched
    chip.shift_energy = adder * chip.shift_adders
    chip.accumulator_energy = (adder + flipflop * switched) * chip.accumulator_bits
    write = np.where(
        chip.rram, constant("rram_cell.write_energy"), constant("sram_cell.write_energy")
    )
    chip.write_energy = write * relative
    chip.read_energy, chip.store_energy = chip.read_energy * relative, chip.store_energy * relative
    distance_mm = (
        2 / 3 * np.sqrt(chip.area_mm2)
    )  # mean Manhattan distance of two points on a square
    chip.noc_energy = constant("noc.energy") * relative * distance_mm
    chip.op_energy, chip.mac_energy = (
        constant("vector.op_energy") * relative,
        constant("vector.mac_energy") * relative,
    )
    chip.dram_energy = np.full_like(relative, constant("dram.energy"))
    _leakage(chip, relative)


def _leakage(chip: SimpleNamespace, relative: np.ndarray) -> None:
    bits = np.where(chip.rram, 0, chip.capacity_tiles * chip.rows * chip.cols * chip.cell_bits)
    milliwatts = (
        constant("logic.leakage") * chip.logic_area * 1e-6
        + constant("sram_cell.leakage") * bits * 1e-9
        + constant("buffer.leakage") * chip.buffer_mb * 1e-3
    )
    chip.leakage_mw = milliwatts * relative


@lru_cache(maxsize=256)
def tree_activity(rows: int, weight_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """One-bit adders of a tree over ``rows`` inputs that see two live operands, and only one, by live inputs 0..rows.

    Level l joins nodes in pairs by adders weight_bits + l wide. With m live inputs, ceil(m / 2^l) nodes of the level
    carry data: each full pair is one live adder, an odd one out passes through a half-live one (zigzag-dse's classes).
    """
    live = np.arange(rows + 1)
    full, half = np.zeros(rows + 1), np.zeros(rows + 1)
    for level in range(int(np.ceil(np.log2(rows)))):
        nodes = -(-live // 2**level)
        full += nodes // 2 * (weight_bits + level)
        half += nodes % 2 * (weight_bits + level)
    return full, half
