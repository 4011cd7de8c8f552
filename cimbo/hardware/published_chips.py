"""Published chips described in files data/silicon/NAME.toml, as genes with what their papers report; the model beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo._data import path
from cimbo.errors import BadInput
from cimbo.hardware.chip_table import ChipTable, chip_table
from cimbo.hardware.circuit import UM2_TO_MM2
from cimbo.hardware.geometry import built_tree_bits
from cimbo.hardware.macro import MacroCircuit, invocation_pj, macro_circuit
from cimbo.hardware.published_point import UNUSED_GENES
from cimbo.hardware.technology import constant, scale, slowdown

ERROR_TARGETS = {"area": 0.20, "delay": 0.20, "energy": 0.30}
RESULT_KEYS = {"area": "area_mm2", "delay": "cycle_ns", "energy": "tops_per_watt"}
NEEDED_ENTRIES = (
    "citation",
    "node_nm",
    "source",
    "conditions",
    "chip",
    "reported",
    "not_comparable",
)
REPORTED_PARTS = ("adc", "dac", "array", "other")
_PART_OF_AREA = {
    "adc": "adc",
    "dac": "dac",
    "drivers": "dac",
    "cells": "array",
    "multipliers": "array",
    "columns": "array",
    "adders": "other",
    "accumulators": "other",
    "control": "other",
}
IDLE_ACTIVITY = 1e-9  # activity that stands for inputs that are all zero


def published_chips() -> dict[str, dict[str, Any]]:
    """Read every chip file of data/silicon.

    Returns:
        The content of each file, by its name without ``.toml``.

    Raises:
        BadInput: Where a file lacks one of NEEDED_ENTRIES; it names the file.
    """
    chips = {}
    for file in sorted(Path(path("silicon")).glob("*.toml")):
        chips[file.stem] = _read_chip(file)
    return chips


def _read_chip(file: Path) -> dict[str, Any]:
    """The content of one chip's file. Raises BadInput where it lacks an entry."""
    entry = tomllib.loads(file.read_text(encoding="utf-8"))
    for name in NEEDED_ENTRIES:
        if name not in entry:
            raise BadInput(file.name, f"has no {name}", "see the other files in data/silicon")
    return entry


def macro_figures(entry: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """Model the macro of a published chip.

    Args:
        entry: The content of a chip file. ``macros_per_pe`` are the banks of the published macro, which share their
            control. ``built``, if present, has genes that differ where the chip is built for more than the operating
            point in ``chip``; the area is that of the chip as built.
        changed: Genes that differ from those in ``chip``, such as the supply of another operating point.

    Returns:
        area_mm2, cycle_ns, energy_pj of an invocation, tops_per_watt with two operations a multiply-accumulate, and
        ``area_shares`` and ``energy_shares`` by part (REPORTED_PARTS); trees of adders are part of the array.
    """
    table = _table(entry, changed)
    circuit = macro_circuit(table)
    energy_pj = float(invocation_pj(circuit, table)[0])
    geometry = circuit.geometry
    # Sums of whole weights that one invocation gives.
    if geometry.is_digital[0]:
        outputs = geometry.converters[0] / _trees_of_weight(table)
    else:
        outputs = geometry.converters[0] * table.columns_summed[0] / table.weight_bits[0]
    operations = 2 * table.rows_active[0] * outputs
    pj_of_operations = energy_pj * geometry.input_steps[0]
    built = macro_circuit(_table(entry, changed | entry.get("built", {})))
    banks = float(table.macros_per_pe[0])
    areas = _areas_by_part(built)
    control_um2 = float(built.areas["control"][0])
    bank_um2 = sum(areas.values()) - control_um2
    return {
        "area_mm2": (banks * bank_um2 + control_um2) * UM2_TO_MM2,
        "cycle_ns": float(circuit.cycle_ns[0]) + _accumulation_ns(entry, table, circuit),
        "energy_pj": energy_pj,
        "tops_per_watt": float(operations / pj_of_operations),  # operations a pJ are TOPS/W
        "area_shares": _shares(areas),
        "energy_shares": _shares(_energies_by_part(circuit, table)),
    }


def _table(entry: Mapping[str, Any], changed: Mapping[str, Any]) -> ChipTable:
    """The genes of a chip file, some of them changed, as a table of one chip."""
    genes = UNUSED_GENES | {"columns_per_adc": 1, "node_nm": entry["node_nm"]}
    return chip_table([genes | dict(entry["chip"]) | dict(changed)])


def _trees_of_weight(table: ChipTable) -> float:
    """Adder trees whose sums make up the sum of one weight, of a table of one digital chip."""
    return float(np.ceil(table.weight_bits / built_tree_bits(table))[0])


def _accumulation_ns(entry: Mapping[str, Any], table: ChipTable, circuit: MacroCircuit) -> float:
    """Time by which accumulation lengthens the cycle, in ns: 0 where a pipeline register hides it.

    Without a register, the accumulator's adder works behind the tree in the same cycle; its carry
    still has to run through the bits that it has beyond the tree's sum.

    Returns:
        ns.
    """
    if entry.get("is_pipelined", True):
        return 0.0
    sum_bits = np.log2(table.rows_active) + table.weight_bits + table.dac_bits - 1
    carry = np.maximum(circuit.geometry.accumulator_bits - sum_bits, 0)
    gates = scale("delay", table.node_nm) * slowdown(table.supply_v, table.node_nm)
    delay = constant("logic.adder_delay") * (1 + 0.5 * carry) * gates
    return float(delay[0])


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    """Each part as a fraction of the sum of all."""
    total = sum(parts.values())
    return {name: value / total for name, value in parts.items()}


def _areas_by_part(circuit: MacroCircuit) -> dict[str, float]:
    """Area of one macro in um2 by the parts that papers report (REPORTED_PARTS)."""
    areas = dict.fromkeys(REPORTED_PARTS, 0.0)
    for name, part in _PART_OF_AREA.items():
        if name == "adders" and circuit.geometry.is_digital[0]:
            part = "array"  # the trees stand between the cells
        areas[part] += float(circuit.areas[name][0])
    return areas


def _energies_by_part(circuit: MacroCircuit, table: ChipTable) -> dict[str, float]:
    """Energy of one invocation in pJ by the parts that papers report; their sum is ``macro.invocation_pj``."""
    pj = {name: float(values[0]) for name, values in circuit.energies.items()}
    geometry = circuit.geometry
    converters, share = float(geometry.converters[0]), float(geometry.share[0])
    # Rows are driven once for all columns that share a converter.
    rows = float(table.rows_active[0]) / share
    cells = rows * (pj["row_energy"] - pj["word_line_energy"])
    if geometry.is_digital[0]:
        adders_of_tree = float(circuit.tree_adders[0])
    else:
        adders_of_tree = 0.0
    total = float(invocation_pj(circuit, table)[0])
    parts = {
        "adc": converters * pj["conversion_energy"],
        "dac": rows * (pj["drive_energy"] + pj["word_line_energy"]),
        "array": cells + converters * (pj["bitline_energy"] + adders_of_tree * pj["adder_energy"]),
    }
    return parts | {"other": total - sum(parts.values())}


def part_shares() -> list[dict[str, Any]]:
    """Compare the parts' shares of area and of energy with those that papers report.

    Returns:
        A row for each chip file, quantity ("area" or "energy") and part that the file gives:
        ``chip``, ``quantity``, ``part``, and the shares ``modelled`` and ``reported``, from 0 to 1.
    """
    rows = []
    for name, entry in published_chips().items():
        for quantity in ("area", "energy"):
            for row in _shares_of(entry, quantity):
                rows.append({"chip": name, "quantity": quantity} | row)
    return rows


def _shares_of(entry: Mapping[str, Any], quantity: str) -> Iterator[dict[str, Any]]:
    """Yield, for each part whose share a paper reports, its name and the modelled and reported share."""
    shares = f"{quantity}_shares"
    for part, reported in entry.get(shares, {}).items():
        modelled = macro_figures(entry)[shares][part]
        yield {"part": part, "modelled": modelled, "reported": reported}


def activity_curve() -> list[dict[str, Any]]:
    """Compare how energy falls with activity on chips that were measured at several mean outputs.

    Activity is taken to be proportional to the mean output, and 1 at the file's last point, which
    has the largest.

    Returns:
        A row for each chip file and point: ``chip``, ``mean_output``, and the energies ``modelled``
        and ``reported``, as fractions of that at the last point.
    """
    rows = []
    for name, entry in published_chips().items():
        points = entry.get("activity_point", [])
        if not points:
            continue
        largest = points[-1]
        full = macro_figures(entry, activity=1.0)["energy_pj"]
        for point in points:
            activity = max(point["mean_output"] / largest["mean_output"], IDLE_ACTIVITY)
            rows.append(
                {
                    "chip": name,
                    "mean_output": point["mean_output"],
                    "modelled": macro_figures(entry, activity=activity)["energy_pj"] / full,
                    "reported": point["energy_pj"] / largest["energy_pj"],
                }
            )
    return rows


def comparison() -> list[dict[str, Any]]:
    """Compare area, delay and efficiency of the chip files with what papers report.

    Returns:
        A row for each chip file and quantity (RESULT_KEYS): ``chip``, ``quantity``, ``modelled``
        and ``reported`` in the unit of the key, ``error`` (modelled / reported - 1),
        ``not_comparable``, the reason why the two may not be compared, and ``conditions`` of the
        measurement. What is not known, or does not apply, is None.
    """
    rows = []
    for name, entry in published_chips().items():
        figures = macro_figures(entry)
        for quantity, key in RESULT_KEYS.items():
            modelled, reported = figures[key], entry["reported"].get(key)
            reasons = entry["not_comparable"]
            reason = reasons.get("all") or reasons.get(quantity)
            row = {"chip": name, "quantity": quantity, "modelled": modelled, "reported": reported}
            if reported is None:
                row |= {"error": None, "not_comparable": reason or "not reported"}
            else:
                row |= {"error": modelled / reported - 1, "not_comparable": reason or None}
            rows.append(row | {"conditions": entry["conditions"]})
    return rows


def operating_points() -> list[dict[str, Any]]:
    """Compare how cycle and energy change between two supplies that a chip was measured at.

    Returns:
        A row for each chip file with two points, and quantity: ``chip``, ``quantity``, and the
        ratios ``modelled`` and ``reported``, each of the second point over the first.
    """
    rows = []
    for name, entry in published_chips().items():
        points = entry.get("point", [])
        if len(points) < 2:
            continue
        figures = [macro_figures(entry, supply_v=point["supply_v"]) for point in points]
        for quantity in ("cycle_ns", "energy_pj"):
            reported = points[1][quantity] / points[0][quantity]
            modelled = figures[1][quantity] / figures[0][quantity]
            row = {"chip": name, "quantity": quantity, "modelled": modelled, "reported": reported}
            rows.append(row)
    return rows
