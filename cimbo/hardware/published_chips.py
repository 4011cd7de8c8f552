"""Published chips that are described one by one, in data/silicon/NAME.toml, as genes with what their papers report."""

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
        What each file says, by its name without ``.toml``.

    Raises:
        BadInput: Where a file lacks a table; it names the file.
    """
    found = {}
    for file in sorted(Path(path("silicon")).glob("*.toml")):
        found[file.stem] = _read_chip(file)
    return found


def _read_chip(file: Path) -> dict[str, Any]:
    """What the file of one chip says. Raises BadInput where it lacks something."""
    entry = tomllib.loads(file.read_text(encoding="utf-8"))
    for name in NEEDED_ENTRIES:
        if name not in entry:
            raise BadInput(file.name, f"has no {name}", "see the other files in data/silicon")
    return entry


def macro_figures(entry: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """What the model says of a chip file.

    ``macros_per_pe`` are the banks of one published macro, which have one sequencer and test interface together.

    Args:
        entry: A chip file. Its ``built`` genes, where there are any, are those of a chip that is built for more than the
            operating point in ``chip``; the area is theirs.
        changed: Genes that differ from it, such as the supply of another operating point.

    Returns:
        area_mm2, cycle_ns, energy_pj of an invocation, tops_per_watt with two operations a multiply-accumulate, and
        ``area_shares`` and ``energy_shares`` by part (PARTS); trees of adders are part of the array.
    """
    table = _table(entry, changed)
    circuit = macro_circuit(table)
    energy = float(invocation_pj(circuit, table)[0])
    geometry = circuit.geometry
    outputs = geometry.converters[0] * table.columns_summed[0] / table.weight_bits[0]
    if geometry.is_digital[0]:
        outputs = geometry.converters[0] / _trees_of_weight(table)
    built = macro_circuit(_table(entry, changed | entry.get("built", {})))
    banks = float(table.macros_per_pe[0])
    areas = _areas_by_part(built)
    repeated = sum(areas.values()) - float(built.areas["control"][0])
    return {
        "area_mm2": (banks * repeated + float(built.areas["control"][0])) * UM2_TO_MM2,
        "cycle_ns": float(circuit.cycle_ns[0]) + _accumulation_ns(entry, table, circuit),
        "energy_pj": energy,
        "tops_per_watt": float(
            2 * table.rows_active[0] * outputs / (energy * geometry.input_steps[0])
        ),
        "area_shares": _shares(areas),
        "energy_shares": _shares(_energies_by_part(circuit, table)),
    }


def _table(entry: Mapping[str, Any], changed: Mapping[str, Any]) -> ChipTable:
    genes = UNUSED_GENES | {"columns_per_adc": 1, "node_nm": entry["node_nm"]}
    return chip_table([genes | dict(entry["chip"]) | dict(changed)])


def _trees_of_weight(table: ChipTable) -> float:
    return float(np.ceil(table.weight_bits / built_tree_bits(table))[0])


def _accumulation_ns(entry: Mapping[str, Any], table: ChipTable, circuit: MacroCircuit) -> float:
    """What a digital macro without a pipeline register takes besides: an adder, and its carry past the bits of a sum."""
    if entry.get("is_pipelined", True):
        return 0.0
    sum_bits = np.log2(table.rows_active) + table.weight_bits + table.dac_bits - 1
    carry = np.maximum(circuit.geometry.accumulator_bits - sum_bits, 0)
    gates = scale("delay", table.node_nm) * slowdown(table.supply_v, table.node_nm)
    delay = constant("logic.adder_delay") * (1 + 0.5 * carry) * gates
    return float(delay[0])


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {name: value / total for name, value in parts.items()}


def _areas_by_part(circuit: MacroCircuit) -> dict[str, float]:
    """um2 of one macro."""
    found = dict.fromkeys(REPORTED_PARTS, 0.0)
    for name, part in _PART_OF_AREA.items():
        if name == "adders" and circuit.geometry.is_digital[0]:
            part = "array"
        found[part] += float(circuit.areas[name][0])
    return found


def _energies_by_part(circuit: MacroCircuit, table: ChipTable) -> dict[str, float]:
    """pJ of one invocation; what adds up to ``macro.invocation_pj``."""
    each = {name: float(values[0]) for name, values in circuit.energies.items()}
    geometry = circuit.geometry
    converters, share = float(geometry.converters[0]), float(geometry.share[0])
    rows = float(table.rows_active[0]) / share
    cells = rows * (each["row_energy"] - each["word_line_energy"])
    if geometry.is_digital[0]:
        trees = float(circuit.tree_adders[0])
    else:
        trees = 0.0
    total = float(invocation_pj(circuit, table)[0])
    found = {
        "adc": converters * each["conversion_energy"],
        "dac": rows * (each["drive_energy"] + each["word_line_energy"]),
        "array": cells + converters * (each["bitline_energy"] + trees * each["adder_energy"]),
    }
    return found | {"other": total - sum(found.values())}


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
    """Of each part whose share a paper reports: its name, our share and theirs."""
    shares = f"{quantity}_shares"
    for part, reported in entry.get(shares, {}).items():
        modelled = macro_figures(entry)[shares][part]
        yield {"part": part, "modelled": modelled, "reported": reported}


def activity_curve() -> list[dict[str, Any]]:
    """Compare how energy falls with activity on chips that were measured at several mean outputs.

    Returns:
        A row for each chip file and point: ``chip``, ``mean_output``, and the energies ``modelled``
        and ``reported``, as shares of that at the file's last point, the largest.
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
        ``not_comparable``, which says why where it is so, and ``conditions``. What is not known is
        None.
    """
    rows = []
    for name, entry in published_chips().items():
        ours = macro_figures(entry)
        for quantity, key in RESULT_KEYS.items():
            said, excuses = entry["reported"].get(key), entry["not_comparable"]
            excuse = excuses.get("all") or excuses.get(quantity)
            row = {"chip": name, "quantity": quantity, "modelled": ours[key], "reported": said}
            if said is None:
                row["error"] = None
            else:
                row["error"] = ours[key] / said - 1
            row["not_comparable"] = excuse or ("not reported" if said is None else None)
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
        ours = [macro_figures(entry, supply_v=point["supply_v"]) for point in points]
        for quantity in ("cycle_ns", "energy_pj"):
            said = points[1][quantity] / points[0][quantity]
            ratio = ours[1][quantity] / ours[0][quantity]
            rows.append({"chip": name, "quantity": quantity, "modelled": ratio, "reported": said})
    return rows
