"""Energies of a macro's events: what each of them switches, in fF, times the square of the supply.

Four things cost energy: driving an input along a row of cells, converting a column's sum, adding digital sums, and writing
cells. How often each happens is counted by a schedule (:mod:`cimbo.hardware.events`). Every array has shape (n,), one element
a chip; constants stand in data/constants.toml.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.chip_table import ChipTable
from cimbo.hardware.elements import adc_capacitance, weighing_units
from cimbo.hardware.geometry import DIFFERENTIAL_INDEX, ArrayGeometry, cell_constants
from cimbo.hardware.rows import Floats
from cimbo.hardware.technology import constant, node_power, scale

FJ_TO_PJ = 1e-3  # fF V^2 -> pJ
# an adder with one idle operand switches half of its capacitance
HALF_ADDER_SHARE = 0.5


@dataclass(frozen=True)
class PicojoulesPerFemtofarad:
    """What a fF costs each time it is charged, at the node and supply of each chip, (n,).

    Attributes:
        gates: Capacitance of logic, which shrinks with the node as gates do; the constants are of 28 nm.
        analog: Capacitance of lines, cells and converters, which shrinks less.
    """

    gates: Floats
    analog: Floats

    @classmethod
    def of(cls, table: ChipTable) -> PicojoulesPerFemtofarad:
        """Work out both for chips.

        Args:
            table: The chips, (n,).

        Returns:
            pJ/fF, (n,) each.
        """
        volts2 = table.supply_v**2 * FJ_TO_PJ
        gates = volts2 * scale("energy", table.node_nm)
        analog = volts2 * node_power(table.node_nm, "capacitance_exponent")
        return cls(gates=gates, analog=analog)


def event_energies(table: ChipTable, geometry: ArrayGeometry) -> dict[str, Floats]:
    """Work out the energy of each event that arrays take part in.

    Args:
        table: The chips, (n,).
        geometry: Sizes of their arrays.

    Returns:
        pJ an event, (n,), by name:

        ``drive_energy``: the DAC puts one input on a word line.
        ``row_energy``: that input goes along the word line through the cells of all columns; of it
        ``word_line_energy`` for the line, ``cell_energy`` for the cells.
        ``array_energy``: the control lines of a macro switch, once an input step.
        ``conversion_energy``, ``bitline_energy``: the sum of one column (or of several that are
        summed before) is converted, and the bit lines are discharged for it.
        ``adder_energy``, ``half_adder_energy``: a one-bit adder of a tree adds two live operands, or one.
        ``shift_energy``: the sum of a weight column is put together from its parts.
        ``accumulator_energy``: that sum is added to those of earlier steps.
        ``write_energy``: one bit is written into a cell.
    """
    per_ff = PicojoulesPerFemtofarad.of(table)
    return (
        _conversion(table, geometry, per_ff)
        | _drive(table, geometry, per_ff)
        | _addition(table, geometry, per_ff)
        | {"write_energy": _write(table, geometry)}
    )


def _conversion(
    table: ChipTable, geometry: ArrayGeometry, per_ff: PicojoulesPerFemtofarad
) -> dict[str, Floats]:
    """Energy of reading the sum of a column, or of several columns that are summed before, pJ (n,).

    It is 0 in digital arrays, whose sums are formed by adders.

    Returns:
        ``conversion_energy`` and ``bitline_energy``.
    """
    converter = adc_capacitance(table.adc_bits, table.converter) * per_ff.analog
    # A column that waits for a shared converter holds its sum on a capacitor.
    sample = np.where(geometry.share > 1, constant("column.sample_capacitance"), 0) * per_ff.analog
    units = weighing_units(table.columns_summed, table.cell_bits, table.weight_bits)
    weighing = constant("column.ratio_capacitance") * units * per_ff.analog
    # Cells that draw current discharge the bit lines of all columns that one conversion reads.
    columns = table.columns_summed * np.where(table.encoding == DIFFERENTIAL_INDEX, 2, 1)
    line = constant("array.bit_line_capacitance") * table.rows * geometry.plane_load
    return {
        "conversion_energy": np.where(geometry.is_digital, 0, converter + sample + weighing),
        "bitline_energy": np.where(geometry.is_current, line * columns * per_ff.analog, 0),
    }


def _drive(
    table: ChipTable, geometry: ArrayGeometry, per_ff: PicojoulesPerFemtofarad
) -> dict[str, Floats]:
    """Energy of an input that goes along a row of cells, and of the macro's control lines, pJ (n,)."""
    dac = np.where(table.dac_bits > 1, constant("dac.energy") * table.dac_bits, 0) * per_ff.analog
    word_line = constant("array.word_line_capacitance") * table.dac_bits * per_ff.analog
    cell = _cell_capacitance(table, geometry) * table.activity
    cell = cell * np.where(geometry.is_digital, per_ff.gates, per_ff.analog)
    control = constant("control.capacitance") * (table.rows + table.cols)
    return {
        "drive_energy": np.where(geometry.is_digital, 0, dac),
        "row_energy": (word_line + cell) * table.cols,
        "word_line_energy": word_line * table.cols,  # part of row_energy
        "cell_energy": cell * table.cols,  # the rest of row_energy
        "array_energy": control * per_ff.gates,
    }


def _cell_capacitance(table: ChipTable, geometry: ArrayGeometry) -> Floats:
    """fF that a cell charges while it multiplies.

    A digital cell has a gate for each bit of an input. Inputs of any width have to fit the swing of an analog column, so what
    its cells draw does not grow with their bits. A two-bit SRAM cell is two cells; a resistive one is one device.

    Returns:
        fF at 28 nm, (n,).
    """
    capacitance = table.of_cell("read", table.by_family(cell_constants("capacitance")))
    capacitance = capacitance * np.where(geometry.is_digital, table.dac_bits, 1)
    return capacitance * np.where(geometry.is_rram, 1, table.cell_bits)


def _addition(
    table: ChipTable, geometry: ArrayGeometry, per_ff: PicojoulesPerFemtofarad
) -> dict[str, Floats]:
    """Energy of digital additions: in adder trees, behind them, and in accumulators, pJ (n,)."""
    adder = constant("logic.adder_capacitance")
    flipflop = constant("logic.flipflop_capacitance")
    switched = per_ff.gates * table.activity
    return {
        "adder_energy": adder * switched,
        "half_adder_energy": HALF_ADDER_SHARE * adder * switched,
        "shift_energy": adder * switched * geometry.weighing_work,
        "accumulator_energy": (adder + flipflop) * switched * geometry.accumulator_bits,
    }


def _write(table: ChipTable, geometry: ArrayGeometry) -> Floats:
    """Energy of writing one bit into a cell, pJ (n,).

    The constants hold for 28 nm and the nominal supply; energy scales with the node and with the
    square of the supply.

    Returns:
        pJ a bit, (n,).
    """
    sram, rram = constant("sram_cell.write_energy"), constant("rram_cell.write_energy")
    energy = table.of_cell("write_energy", np.where(geometry.is_rram, rram, sram))
    relative = scale("energy", table.node_nm) * (table.supply_v / constant("logic.supply")) ** 2
    written: Floats = energy * relative
    return written
