"""One macro: an array of cells with its drivers, converters or adders, registers and control.

The same laws serve a search and :mod:`cimbo.hardware.silicon_comparison` with published chips. Areas are in um2,
energies in pJ an event, times in ns; every array has shape (n,), one element a chip. Constants stand in data/constants.toml.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.chip_table import ChipTable
from cimbo.hardware.elements import (
    adc_area,
    adc_steps,
    adder_delay,
    line_delay,
    tree_adders,
    tree_delay,
    weighed_columns,
    weighing_units,
)
from cimbo.hardware.geometry import (
    DIFFERENTIAL_INDEX,
    WIDTH_OF_HEIGHT,
    ArrayGeometry,
    array_geometry,
    built_tree_bits,
)
from cimbo.hardware.macro_energy import event_energies
from cimbo.hardware.rows import Floats
from cimbo.hardware.technology import constant, node_power, scale, slowdown

# A column of SRAM settles twice: when it is precharged and when it is evaluated
SRAM_SETTLINGS = 2.0

MACRO_AREA_PARTS = (
    "cells",
    "adc",
    "dac",
    "multipliers",
    "adders",
    "accumulators",
    "drivers",
    "columns",
    "control",
)


@dataclass(frozen=True)
class MacroCircuit:
    """The macros of n chips, each column (n,).

    Attributes:
        geometry: Sizes.
        areas: um2 of one macro, by part (MACRO_AREA_PARTS), at the chip's node.
        energies: pJ an event, by name (see ``circuit.ENERGY_PARTS``).
        settle_ns: From driving the rows to sums that stand at the converters, once an activation.
        conversion_ns: One conversion, or one sum of a digital array.
        cycle_ns: One conversion with its share of the settling.
        row_write_ns: Writing one row of cells.
        leaking_um2: Area at 28 nm that leaks as gates do, of one macro.
        tree_adders: One-bit adders of one tree.
    """

    geometry: ArrayGeometry
    areas: dict[str, Floats]
    energies: dict[str, Floats]
    settle_ns: Floats
    conversion_ns: Floats
    cycle_ns: Floats
    row_write_ns: Floats
    leaking_um2: Floats
    tree_adders: Floats


def macro_circuit(table: ChipTable) -> MacroCircuit:
    """Work out areas, energies and times of one macro of each chip.

    Args:
        table: The chips, (n,).

    Returns:
        Areas, energies and times, (n,).
    """
    geometry = array_geometry(table)
    adders = _tree_adders(table, geometry)
    nominal = _areas(table, geometry, adders)
    areas = {name: area * table.area_factor for name, area in nominal.items()}
    settle, conversion = (time * table.cycle_factor for time in _times(table, geometry, nominal))
    write = np.where(
        geometry.is_rram, constant("rram_cell.write_time"), constant("sram_cell.write_time")
    )
    write = table.of_cell("write_time", write)
    logic = ("adc", "dac", "multipliers", "adders", "accumulators", "drivers", "columns", "control")
    leaking = np.sum([nominal[name] for name in logic], axis=0) / scale("area", table.node_nm)
    return MacroCircuit(
        geometry=geometry,
        areas=areas,
        energies={
            name: energy * table.energy_factor
            for name, energy in event_energies(table, geometry).items()
        },
        settle_ns=settle,
        conversion_ns=conversion,
        # Sums that stand, or are held, wait for the converter that they share; a resistive cell's current is on only
        # while it is read.
        cycle_ns=conversion + settle / np.where(geometry.is_rram, 1, geometry.share),
        row_write_ns=write,
        leaking_um2=leaking,
        tree_adders=adders,
    )


def invocation_pj(circuit: MacroCircuit, table: ChipTable) -> Floats:
    """Work out the energy of one invocation: one step of a macro at full use.

    In it, every converter (or adder tree) gives one sum. Where several columns share a converter,
    it takes as many steps until all have been read, and rows are driven once for all of these.

    Args:
        circuit: The macros, (n,).
        table: The chips that they belong to, (n,).

    Returns:
        pJ, (n,).
    """
    geometry, pj = circuit.geometry, circuit.energies
    rows = table.rows_active * (pj["drive_energy"] + pj["row_energy"]) + pj["array_energy"]
    reading = pj["conversion_energy"] + pj["bitline_energy"] + pj["accumulator_energy"]
    tree = np.where(geometry.is_digital, circuit.tree_adders * pj["adder_energy"], 0)
    # A weight's sum is put together from those of its trees, or of its digits.
    trees_of_weight = np.ceil(table.weight_bits / built_tree_bits(table))
    sums_of_weight = np.where(geometry.is_digital, trees_of_weight, geometry.slices)
    weighing = pj["shift_energy"] / sums_of_weight
    energy: Floats = rows / geometry.share + geometry.converters * (reading + tree + weighing)
    return energy


def _tree_adders(table: ChipTable, geometry: ArrayGeometry) -> Floats:
    """One-bit adders of one tree, (n,); 0 in arrays that are not digital."""
    adders = tree_adders(table.rows_active, built_tree_bits(table)) * table.dac_bits
    return np.where(geometry.is_digital, adders, 0)


def _areas(table: ChipTable, geometry: ArrayGeometry, trees: Floats) -> dict[str, Floats]:
    """Area of one macro by part (MACRO_AREA_PARTS), in um2 at the chip's node, (n,) each.

    Args:
        table: The chips, (n,).
        geometry: Sizes of their arrays.
        trees: One-bit adders of one tree, (n,).

    Returns:
        um2 by part, (n,) each.
    """
    analog, gates = ~geometry.is_digital, scale("area", table.node_nm)
    converters = node_power(table.node_nm, "converter_area_exponent")
    lines = np.where(geometry.is_rram, constant("rram_line.area"), constant("column.area"))
    stack = 1 + constant("adc.stack_wiring") * (geometry.converter_stack - 1)
    held = np.where(analog & (geometry.share > 1), constant("column.sample_area"), 0)
    multiplexer = constant("column.plane_area") * (table.planes - 1)
    weighed = np.where(analog, table.columns_summed, 1)
    # Columns that are summed before they are converted: a switch a column, and for each sum its
    # unit capacitors.
    joined = np.where(weighed > 1, constant("column.plane_area"), 0)
    units = weighing_units(weighed, table.cell_bits, table.weight_bits)
    joined = joined + constant("column.ratio_area") * units / weighed
    # References that set the converters' range, for the policies in the order of RANGE_POLICIES:
    # none, one for each layer, one for each layer and slice.
    references = np.choose(table.adc_range, [0.0, 1.0, geometry.slices])
    driver = np.where(geometry.is_rram, constant("rram_line.area"), constant("driver.area"))
    adder = constant("logic.adder_area")
    accumulator = (adder + constant("logic.flipflop_area")) * geometry.accumulator_bits
    shift = adder * geometry.weighing
    # Drivers of either sign are assumed half as large again.
    bipolar = 1 + 0.5 * table.signed_inputs * (table.encoding == DIFFERENTIAL_INDEX)
    dac = np.where(table.dac_bits > 1, constant("dac.area") * table.dac_bits, 0)
    return {
        # With what lies between columns that are spread for their converters.
        "cells": geometry.cell_height_um * geometry.column_pitch_um * table.rows * table.cols,
        "adc": np.where(
            analog,
            (
                adc_area(table.adc_bits, table.converter) * stack * geometry.converters
                + constant("adc.reference_area") * references
            )
            * converters,
            0,
        ),
        "dac": np.where(analog, dac * table.rows * bipolar * converters, 0),
        "multipliers": np.zeros(table.size),  # among the cells' transistors
        "adders": gates * geometry.converters * (adder * trees + shift),
        "accumulators": gates * geometry.converters * accumulator,
        "drivers": gates * driver * table.rows * bipolar,
        "columns": gates * (lines + held + multiplexer + joined) * table.cols,
        "control": gates * constant("control.area"),
    }


def _line_ns(table: ChipTable, geometry: ArrayGeometry, areas: dict[str, Floats]) -> Floats:
    """Time until an input has reached the cells of all columns.

    A word line is as long as the cells of a row are wide. In a digital array it also crosses the
    adder trees between the cells, but the array may be folded: then the line is at most twice the
    side of a square of the array's area.

    Args:
        table: The chips, (n,).
        geometry: Sizes of their arrays.
        areas: um2 of one macro by part, (n,) each.

    Returns:
        ns, (n,).
    """
    cells_um = table.cols * WIDTH_OF_HEIGHT * geometry.cell_height_um
    summing_um2 = areas["adders"] + areas["accumulators"]
    height_um = table.rows * geometry.cell_height_um
    folded_um = 2 * np.sqrt(areas["cells"] + summing_um2)
    digital_um = np.minimum(cells_um + summing_um2 / height_um, folded_um)
    length = np.where(geometry.is_digital, digital_um, cells_um)
    slow = scale("delay", table.node_nm) * slowdown(table.supply_v, table.node_nm)
    load = constant("word_line.gate") * table.node_nm / 28 * table.cols
    return line_delay(length, load, table.node_nm, slow)


def _times(
    table: ChipTable, geometry: ArrayGeometry, areas: dict[str, Floats]
) -> tuple[Floats, Floats]:
    """Times of one macro: settling, once for each time that rows are driven, and one conversion or sum.

    Args:
        table: The chips, (n,).
        geometry: Sizes of their arrays.
        areas: um2 of one macro by part, (n,) each.

    Returns:
        ns of settling, and ns of one conversion (analog) or one sum of a tree (digital), (n,) each.
    """
    slow = slowdown(table.supply_v, table.node_nm)
    analog = node_power(table.node_nm, "analog_delay_exponent") * slow
    steps = adc_steps(table.adc_bits, table.converter)
    start = table.by_family(
        {
            "charge_sram": constant("charge_cell.settle"),
            "current_sram": constant("current_cell.settle"),
            "digital_sram": 0.0,
            "rram": constant("rram_cell.settle"),
        }
    )
    pulse = constant("driver.pulse") * np.where(geometry.is_charge, 0.5, 1.0)
    row = np.where(geometry.is_rram, constant("rram_cell.row_settle"), constant("array.row_settle"))
    start, row = table.of_cell("settle", start), table.of_cell("row_settle", row)
    # Converters that do not fit their columns' pitch stand further away, which lengthens the column.
    stacked = 1 + constant("adc.stack_load") * (geometry.pitch_stack - 1)
    load = geometry.plane_load * geometry.cell_load * stacked
    # The converter of SRAM columns decides on a sample. A resistive column's current flows on while
    # the converter decides, and settles at each of its steps.
    settlings = np.where(geometry.is_rram, steps, SRAM_SETTLINGS)
    settle = start + pulse * (table.dac_bits - 1) + settlings * row * geometry.rows_loaded * load
    # Columns that are summed share their charge one after the other.
    shared = weighed_columns(table.columns_summed, table.cell_bits, table.weight_bits) - 1
    conversion = (steps + shared) * constant("adc.step")
    line = _line_ns(table, geometry, areas)
    gates = scale("delay", table.node_nm) * slow
    tree_bits = built_tree_bits(table)
    tree = tree_delay(table.rows_active, tree_bits) + adder_delay(table.dac_bits)
    tree = tree + adder_delay(np.ceil(table.weight_bits / tree_bits))
    return (
        np.where(geometry.is_digital, line, settle * analog + line),
        np.where(geometry.is_digital, tree * gates, conversion * analog),
    )
