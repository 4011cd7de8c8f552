"""Reads tables of published chips as genes, with the area, time and energy that their papers report.

A table has the columns of UIUC-IMC-Benchmarking, or a column for each gene (:mod:`cimbo.hardware.silicon_genes`). The model
is compared with the chips in :mod:`cimbo.hardware.silicon_comparison`. Columns used here: N_row, N_col: cells of the array;
B_x, B_w: bits of an input and of a weight; B_ADC: bits of a converter; N_ADC: converters; R_C: rows switched on at once; C_C:
columns whose sum one conversion reads; N_1b: one-bit products of an invocation; N_core: macros of the chip.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.errors import BadInput
from cimbo.hardware.chip import MOST_ADC_BITS
from cimbo.hardware.chip_table import ChipTable, chip_table
from cimbo.hardware.macro import invocation_pj, macro_circuit
from cimbo.hardware.published_point import UNUSED_GENES, PublishedPoint
from cimbo.hardware.silicon_genes import has_genes, read_described
from cimbo.hardware.silicon_reading import (
    ANALOG_COLUMNS,
    EXTRA_CELLS,
    NotExpressibleError,
    bits,
    count,
    gene_number,
    number,
    read_rows,
    require_columns,
    supply_v,
)

_GROUP_OF = {"sram": "sram", "digital": "digital", "envm": "envm", "eflash": "envm"}
KNOWN_ARCHITECTURES = ("SRAM", "Digital", "eNVM", "eFlash")
MOST_CELLS = 2.0**30  # most cells of one array: a thousand times the largest that was published
_CHARGE, _CURRENT = ("QR",), ("QS", "IS", "QS-QR")


def read_table(file: Path) -> list[PublishedPoint]:
    """Read a table of published chips.

    Args:
        file: A CSV file with the columns of UIUC-IMC-Benchmarking, or of genes.

    Returns:
        The chips, in order; those that genes cannot describe with the reason.

    Raises:
        BadInput: Where the file cannot be read or lacks a column, naming it.
    """
    if has_genes(file):
        return read_described(file)
    rows = read_rows(file)
    if any(_is_analog(row) for row in rows):
        require_columns(file, rows[0], ANALOG_COLUMNS)
    return [_point(line, row) for line, row in enumerate(rows, 2)]


def _group(row: Mapping[str, str]) -> str | None:
    """The group of a chip (sram, digital or envm); None for an unknown architecture."""
    return _GROUP_OF.get(row["Architecture"].lower())


def _is_analog(row: Mapping[str, str]) -> bool:
    """Whether a chip's sums are read by converters; DIMC is digital computing in SRAM."""
    group = _group(row)
    return group == "envm" or (group == "sram" and row.get("Compute Model", "").upper() != "DIMC")


def _point(line: int, row: Mapping[str, str]) -> PublishedPoint:
    """Make a chip of one row of the table, or say why it cannot be described by genes.

    Args:
        line: Number of the row in the file, the header being line 1.
        row: Its words by column.

    Returns:
        The chip; where it is not expressible, without genes but with the reason.
    """
    group = _group(row)
    title, index = row.get("Paper Title", ""), row.get("Index", "")
    # Accelerators without arrays of their own report the whole chip, as processors with macros do.
    processor = row.get("IMC_Processor", "").upper() == "Y" or group == "digital"
    try:
        genes = _genes(row, group)
        _check(genes)
        reported = _reported(row, genes)
    except (ValueError, ZeroDivisionError, OverflowError):
        reason = "the table has figures that no array can have"
        return PublishedPoint(line, index, title, group, reason=reason)
    except NotExpressibleError as reason:
        return PublishedPoint(line, index, title, group, reason=str(reason))
    return PublishedPoint(line, index, title, group, genes, None, processor, reported)


def _check(genes: Mapping[str, Any]) -> None:
    """Refuse genes that make no chip, or one that is absurd. Raises NotExpressibleError."""
    try:
        table = chip_table(genes)
    except BadInput as error:
        raise NotExpressibleError(f"{error.where} {error.what}") from None
    _check_table(table)


def _check_table(table: ChipTable) -> None:
    """Refuse a chip that nobody built, or without finite figures. Raises NotExpressibleError."""
    if table.rows[0] * table.cols[0] > MOST_CELLS:
        raise NotExpressibleError("its array is larger than any that was built")
    circuit = macro_circuit(table)
    figures = (circuit.cycle_ns, invocation_pj(circuit, table), *circuit.areas.values())
    if not all(map(np.isfinite, figures)):
        raise NotExpressibleError("the model has no finite figures of such an array")


def _genes(row: Mapping[str, str], group: str | None) -> dict[str, Any]:
    """The chip of a row as genes. Raises NotExpressibleError with the reason where there is none."""
    if EXTRA_CELLS in row:
        raise NotExpressibleError("its line has more cells than the header")
    if group is None:
        cells = row.get("Architecture", "")[:40] or "unknown cells"
        known = ", ".join(KNOWN_ARCHITECTURES)
        raise NotExpressibleError(f"no arrays of {cells}; Architecture is one of {known}")
    if group == "digital" and not row.get("N_row", ""):
        raise NotExpressibleError("an accelerator whose multipliers stand apart from its memory")
    for name in ("R_C", "C_C", "N_ADC", "N_1b", "N_core"):
        count(row, name)
    if _is_analog(row):
        row = _turned(row)
    rows, cols, volts = count(row, "N_row"), count(row, "N_col"), supply_v(row)
    node = gene_number(row, "Tech (nm)")
    weight_bits, input_bits = bits(row, "B_w"), bits(row, "B_x")
    needed = {
        "rows": rows,
        "columns": cols,
        "supply": volts,
        "node": node,
        "input bits": input_bits,
    }
    for name, value in needed.items():
        if not math.isfinite(value):
            raise NotExpressibleError(f"the table has no {name}")
    family = _family(row, group)
    weight_bits = max(1, math.ceil(weight_bits if math.isfinite(weight_bits) else 1))
    if family == "digital_sram":
        array_genes = _digital_array(row, (rows, cols, weight_bits))
    else:
        array_genes = _analog_array(row, (rows, cols))
    return UNUSED_GENES | {
        "array": family,
        "rows": round(rows),
        "cols": round(cols),
        "dac_bits": math.ceil(input_bits),
        "act_bits": math.ceil(input_bits),
        "weight_bits": min(weight_bits, round(cols)),
        "node_nm": node,
        "supply_v": volts,
        "cell_transistors": _transistors(row, family),
        **array_genes,
    }


def _digital_array(row: Mapping[str, str], size: tuple[float, float, int]) -> dict[str, int]:
    """Genes of a digital array that follow from the number of products in an invocation.

    ``rows_active`` is chosen so that the array has as many products in an invocation as the table
    says. Where it does not say, two rows are taken to be combined bit by bit.

    Args:
        row: The chip's words by column.
        size: Rows, columns, and bits of a weight.

    Returns:
        ``rows_active`` and ``columns_per_adc``, perhaps ``dac_bits``.
    """
    rows, cols, weight_bits = size
    outputs = max(1.0, cols // weight_bits)
    products = gene_number(row, "N_1b") / (2 * gene_number(row, "B_x") * weight_bits)
    if not math.isfinite(products):
        return {"rows_active": min(2, round(rows)), "dac_bits": 1, "columns_per_adc": 1}
    active = min(max(round(products / outputs), 1), round(rows))
    return {"rows_active": active, "columns_per_adc": 1}


def _analog_array(row: Mapping[str, str], size: tuple[float, float]) -> dict[str, int]:
    """Genes of an analog array that follow from its converters.

    Args:
        row: The chip's words by column.
        size: Rows and columns.

    Returns:
        ``rows_active``, ``columns_summed``, ``columns_per_adc`` and ``adc_bits``.
    """
    rows, cols = size
    summed, converters, active = (gene_number(row, name) for name in ("C_C", "N_ADC", "R_C"))
    if not (math.isfinite(summed) and math.isfinite(converters)):
        raise NotExpressibleError("the table has no converters")
    # More converters than columns to read, with some tolerance for spare ones.
    if converters > 1.5 * cols / summed:
        raise NotExpressibleError("its converters stand at groups of rows, not at columns")
    if math.isfinite(active):
        active = min(active, rows)
    else:
        active = rows
    return {
        "rows_active": round(active),
        "columns_summed": round(summed),
        "columns_per_adc": max(1, round(cols / (summed * converters))),
        "adc_bits": _adc_bits(row, active, summed),
    }


def _turned(row: Mapping[str, str]) -> Mapping[str, str]:
    """Exchange rows and columns of a chip whose sums run along rows, so that they run along columns.

    Such a chip has a converter for each group of rows, which sums up all columns of the group, and the rows of a group are
    the bits of one weight. Exchanging the sides changes neither the number of cells nor that of lines, and the laws of the
    model see no other difference.

    Returns:
        The row of the table with its sides exchanged; unchanged for any other chip.
    """
    group, converters = number(row, "R_C"), number(row, "N_ADC")
    rows, cols = number(row, "N_row"), number(row, "N_col")
    is_along_rows = number(row, "C_C") == cols and group * converters == rows
    if not is_along_rows or converters == 1 or group != number(row, "B_w"):
        return row
    sides = {"N_row": row["N_col"], "N_col": row["N_row"]}
    return {**row, **sides, "R_C": row["C_C"], "C_C": row["R_C"]}


def _family(row: Mapping[str, str], group: str) -> str:
    """Family of the array, from the compute model or the cell. Raises NotExpressibleError where neither says it."""
    model, cell = row.get("Compute Model", "").upper(), row.get("Cell Type", "")
    if group == "digital" or model == "DIMC":
        return "digital_sram"
    if group == "envm":
        return "rram"
    # Cells with capacitors, such as 8T1C, share charge.
    if model in _CHARGE or (model not in _CURRENT and re.search(r"T\d*C", cell)):
        return "charge_sram"
    if model in _CURRENT:
        return "current_sram"
    known = ", ".join((*_CHARGE, *_CURRENT, "DIMC"))
    raise NotExpressibleError(f"does not say how cells are summed; Compute Model is one of {known}")


def _transistors(row: Mapping[str, str], family: str) -> int:
    """Transistors of a cell, from a name such as 8T1C; 0 (as its family has it) where the name says nothing."""
    match = re.match(r"(\d{1,3})T", row.get("Cell Type", ""))
    if not match or family == "rram":
        return 0
    # A digital cell, such as 6T+D, has a gate of four transistors for the product.
    gate_transistors = 4 if family == "digital_sram" else 0
    return int(match.group(1)) + gate_transistors


def _adc_bits(row: Mapping[str, str], active: float, summed: float) -> int:
    """Bits of a converter: those stated, but no more than the largest sum needs.

    Args:
        row: The chip's words by column.
        active: Rows switched on at once.
        summed: Columns whose sum one conversion reads.

    Returns:
        Bits, at least 1.
    """
    stated = bits(row, "B_ADC", MOST_ADC_BITS)
    if not math.isfinite(stated):
        raise NotExpressibleError("the table has no converter bits")
    inputs = 2 ** number(row, "B_x") - 1
    weight_bits = number(row, "B_w")
    weight_bits = weight_bits if weight_bits >= 1 else 1
    if summed > 1:
        weights = 2 ** min(weight_bits, summed) - 1
    else:
        weights = 1
    products = active * max(1, summed / weight_bits)
    bits_of_largest_sum = math.ceil(math.log2(products * inputs * weights + 1))
    # A stated 1.5 bits (three levels) counts as 2, but 6.2 as 6.
    return max(1, min(math.ceil(stated - 0.25), bits_of_largest_sum))


def _reported(row: Mapping[str, str], genes: Mapping[str, Any]) -> dict[str, float]:
    """Reported area of a macro (mm2), cycle (ns) and energy (pJ) of an invocation; those that can be told."""
    macros = number(row, "N_core")
    if math.isnan(macros):
        macros = 1
    density, energy = number(row, "TOPS/mm2"), number(row, "E_core (pJ)")
    if math.isnan(energy) and genes["array"] == "digital_sram":
        # From the efficiency, in operations of one bit, and the products that our array has in an invocation.
        outputs = genes["cols"] // genes["weight_bits"]
        operations = 2 * genes["rows_active"] * outputs * genes["dac_bits"] * genes["weight_bits"]
        efficiency = number(row, "TOPS/W")
        if efficiency > 0:
            energy = operations / efficiency
        else:
            energy = math.nan
    figures = {
        "area": number(row, "TOPS_a") / density / macros if density > 0 else math.nan,
        "cycle": number(row, "T_core(ns)"),
        "energy": energy,
    }
    reported = {}
    for name, value in figures.items():
        if math.isfinite(value) and value > 0:
            reported[name] = value
    return reported
