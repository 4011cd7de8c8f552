"""Sizes of an array: what stands in it, how many of each, and how large its cells are. Nothing here is time or energy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cimbo.hardware.array_description import WEIGHT_ENCODINGS, Family
from cimbo.hardware.chip_table import ChipTable
from cimbo.hardware.elements import adc_area
from cimbo.hardware.precision import (
    BuiltArray,
    columns_of_weight,
    weighing_adders,
    weighing_work,
)
from cimbo.hardware.rows import Bools, Floats
from cimbo.hardware.technology import constant, node_power

TINY_UM2 = 1e-9
WIDTH_OF_HEIGHT = 2.0  # width over height of a cell, as in cells of six transistors
DIFFERENTIAL_INDEX = WEIGHT_ENCODINGS.index("differential")


@dataclass(frozen=True)
class ArrayGeometry:
    """Sizes of the arrays of n chips, each (n,).

    Attributes:
        is_charge: Whether cells share charge.
        is_current: Whether cells draw current.
        is_digital: Whether adders form the sums.
        is_rram: Whether cells are resistive.
        slices: Digits of a weight, each converted by itself.
        cells_per_weight: Columns of a weight.
        weight_columns: Weights side by side in a row of the array.
        input_steps: Steps in which an input enters, ``dac_bits`` at a time.
        share: Columns that one converter, or one tree of adders, serves in turn.
        converters: Converters, or trees, of a macro.
        rows_loaded: Rows whose load a column's settling sees: those switched on, and a fraction of the idle ones.
        plane_load: How much longer a column is for its planes, 1 with one plane.
        cell_load: Load of a column over that of one with the family's own cells; its wire is as long as its cells are high.
        cell_height_um: Height of a cell with its planes.
        column_pitch_um: From one column to the next: a cell's width, or more where columns are spread for their converters.
        pitch_stack: How many times wider a converter is than the columns that it serves, rounded up.
        converter_stack: Rows of converters on top of each other: ``pitch_stack``, or fewer where columns are spread.
        accumulator_bits: Width of the accumulator behind each converter.
        weighing: One-bit adders behind each converter or tree that put a weight's sum together from its parts.
        weighing_work: One-bit additions that put one sum of a weight together.
    """

    is_charge: Bools
    is_current: Bools
    is_digital: Bools
    is_rram: Bools
    slices: Floats
    cells_per_weight: Floats
    weight_columns: Floats
    input_steps: Floats
    share: Floats
    converters: Floats
    rows_loaded: Floats
    plane_load: Floats
    cell_load: Floats
    cell_height_um: Floats
    column_pitch_um: Floats
    pitch_stack: Floats
    converter_stack: Floats
    accumulator_bits: Floats
    weighing: Floats
    weighing_work: Floats


def array_geometry(table: ChipTable) -> ArrayGeometry:
    """Work out the sizes of chips' arrays: columns, converters, cells and adders.

    Args:
        table: The chips, (n,).

    Returns:
        Sizes of their arrays, (n,).
    """
    array = _built_array(table)
    is_digital, differential = array.is_digital, array.is_differential > 0
    weight = columns_of_weight(array, table.weight_bits)
    weighing, joining = weighing_adders(array, weight)
    # Columns whose sum is read at once: those summed before they are converted, twice as many where
    # weights are differences, or those of one adder tree.
    summed = np.where(is_digital, array.tree_bits, table.columns_summed)
    summed = np.where(differential & ~is_digital, 2 * summed, summed)
    sums = np.maximum(np.floor(table.cols / summed), 1)  # that a full array has to read
    share = np.minimum(table.columns_per_adc, sums)
    cell_height = _cell_height_um(cell_um2(table))
    columns_of_converter = summed * share
    converters = np.ceil(sums / share)
    misfit = _converter_misfit(table, cell_height, columns_of_converter)
    stack, pitch = _column_layout(table, cell_height, misfit, converters)
    idle_load = constant("array.idle_row_load") * (table.rows - table.rows_active)
    sum_bits = np.where(is_digital, np.ceil(np.log2(table.rows_active)), table.adc_bits)
    return ArrayGeometry(
        is_charge=table.is_family("charge_sram"),
        is_current=table.is_family("current_sram"),
        is_digital=is_digital,
        is_rram=table.is_family("rram"),
        slices=weight.slices,
        cells_per_weight=weight.cells,
        weight_columns=np.floor(table.cols / weight.cells),
        input_steps=np.ceil(table.act_bits / table.dac_bits),
        share=share,
        converters=converters,
        rows_loaded=table.rows_active + idle_load,
        plane_load=1 + constant("array.plane_load") * (table.planes - 1),
        cell_load=_cell_load(table),
        cell_height_um=cell_height,
        column_pitch_um=pitch,
        pitch_stack=np.ceil(misfit),
        converter_stack=stack,
        accumulator_bits=sum_bits + table.act_bits + table.weight_bits,
        # The slices (or trees) of a weight may belong to several converters: each has its
        # share of the adders.
        weighing=np.where(is_digital, weighing + joining / weight.trees, weighing / weight.slices),
        weighing_work=weighing_work(array, weight),
    )


def _built_array(table: ChipTable) -> BuiltArray:
    """The sizes of the chips' arrays by which the columns of a weight are counted, (n,) each."""
    return BuiltArray(
        cols=table.cols,
        rows_active=table.rows_active,
        cell_bits=table.cell_bits,
        columns_summed=table.columns_summed,
        dac_bits=table.dac_bits,
        adc_bits=table.adc_bits,
        tree_bits=built_tree_bits(table),
        is_digital=table.is_family("digital_sram"),
        is_differential=(table.encoding == DIFFERENTIAL_INDEX) * 1.0,
    )


def built_tree_bits(table: ChipTable) -> Floats:
    """Work out how many bits of a weight one adder tree of a digital array takes.

    Where the gene ``tree_bits`` is 0, a tree takes all of them; it never takes more.

    Args:
        table: The chips, (n,).

    Returns:
        Bits, (n,).
    """
    wanted = np.where(table.tree_bits > 0, table.tree_bits, table.weight_bits)
    return np.minimum(wanted, table.weight_bits)


def _cell_height_um(area_um2: Floats) -> Floats:
    """Height of cells of some area, whose width is WIDTH_OF_HEIGHT times as much, (n,)."""
    height: Floats = np.sqrt(area_um2 / WIDTH_OF_HEIGHT)
    return height


def _converter_misfit(
    table: ChipTable, cell_height: Floats, columns_of_converter: Floats
) -> Floats:
    """How many times wider a converter is than the columns that it serves, at least 1, (n,); 1 in digital arrays."""
    narrowest = constant("adc.narrowest") * np.sqrt(table.node_nm / 28)
    misfit = np.maximum(narrowest / (columns_of_converter * WIDTH_OF_HEIGHT * cell_height), 1)
    return np.where(table.is_family("digital_sram"), 1, misfit)


def _column_layout(
    table: ChipTable, cell_height: Floats, misfit: Floats, converters: Floats
) -> tuple[Floats, Floats]:
    """Choose the layout of least area where converters are wider than the columns that they serve.

    Either converters are stacked in several rows, which takes wires past them, or columns are spread. As spreading is
    allowed, wider cells never give a smaller macro.

    Args:
        table: The chips, (n,).
        cell_height: um, (n,).
        misfit: How many times wider a converter is than its columns, (n,).
        converters: Converters of a macro, (n,).

    Returns:
        Rows of converters on top of each other, and um from column to column, (n,) each.
    """
    width = WIDTH_OF_HEIGHT * cell_height
    scaled = node_power(table.node_nm, "converter_area_exponent")
    converter = adc_area(table.adc_bits, table.converter) * scaled * converters
    wiring = constant("adc.stack_wiring") * converter
    cells = table.rows * cell_height * table.cols * width
    # The area, cells * max(misfit / stack, 1) + wiring * (stack - 1), is convex in the stack,
    # so the best whole number is next to the best real one.
    best = np.minimum(np.sqrt(cells * misfit / np.maximum(wiring, TINY_UM2)), misfit)
    fewer, more = np.maximum(np.floor(best), 1), np.maximum(np.ceil(best), 1)
    fewer_area = cells * np.maximum(misfit / fewer, 1) + wiring * fewer
    more_area = cells * np.maximum(misfit / more, 1) + wiring * more
    stack = np.where(more_area < fewer_area, more, fewer)
    return stack, width * np.maximum(misfit / stack, 1)


def _cell_load(table: ChipTable) -> Floats:
    """Load of a column over that of one with the family's own cells, (n,).

    Higher cells make a longer wire. What further planes add is in ``plane_load``, not here.

    Returns:
        Factors, (n,).
    """
    if not (table.cell.any() or table.cell_transistors.any()):
        return np.ones(table.size)
    one_plane = replace(table, planes=np.ones(table.size))
    none = np.zeros(table.size)
    usual = replace(one_plane, cell=none.astype(int), cell_transistors=none)
    ratio = np.sqrt(cell_um2(one_plane) / cell_um2(usual))
    load: Floats = 1 + constant("array.wire_share") * (ratio - 1)
    return load


def cell_um2(table: ChipTable) -> Floats:
    """Work out the area of a cell with its planes and its part of the computing circuit.

    Each plane beyond the first is a storage cell of six transistors with a transistor to choose it by, where the cell's file
    says nothing else.

    Args:
        table: The chips, (n,).

    Returns:
        um2 at the chip's node, (n,).
    """
    is_charge, is_rram = table.is_family("charge_sram"), table.is_family("rram")
    usual = table.by_family(cell_constants("transistors"))
    transistors = np.where(table.cell_transistors > 0, table.cell_transistors, usual)
    # A two-bit SRAM cell is two cells, each with its gate; RRAM stores both bits in one device.
    storage = table.of_cell("plane_transistors", np.where(is_rram, 1, 6))
    # With several planes, one transistor for each to choose it by, and the storage of all but one.
    choosing = np.where(table.planes > 1, table.planes, 0)
    plane_transistors = choosing + (table.planes - 1) * storage
    transistor_area = constant("cell.transistor_area")  # F2: squares of the node
    area_f2 = (transistors + plane_transistors) * transistor_area
    area_f2 = area_f2 + is_charge * constant("cell.capacitor_area")
    if table.cell.any():
        # A named cell has an area of its own; further planes take the usual one beside it.
        planes_f2 = plane_transistors * transistor_area
        named_f2 = table.of_cell("area", area_f2 - planes_f2) + planes_f2
        area_f2 = np.where(table.cell_transistors > 0, area_f2, named_f2)
    bits = np.where(is_rram, 1, table.cell_bits)
    area: Floats = area_f2 * bits * table.node_nm**2 * 1e-6
    return area


def cell_constants(quantity: str) -> dict[Family, float]:
    """Look up a constant of the cells of every family.

    Args:
        quantity: Its name within the families' sections of data/constants.toml.

    Returns:
        Its value by family.

    Raises:
        KeyError: Where a family has none.
    """
    sections: dict[Family, str] = {
        "charge_sram": "charge_cell",
        "current_sram": "current_cell",
        "digital_sram": "digital_cell",
        "rram": "rram_cell",
    }
    return {family: float(constant(f"{name}.{quantity}")) for family, name in sections.items()}
