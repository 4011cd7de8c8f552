"""Published chips that are described one by one, in data/silicon/NAME.toml, as genes with what their papers report."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cimbo._data import path
from cimbo.errors import BadInput
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.macro import invocation_pj, macro_circuit
from cimbo.hardware.silicon import UNUSED_GENES

ERROR_TARGETS = {"area": 0.20, "delay": 0.20, "energy": 0.30}
RESULT_KEYS = {"area": "area_mm2", "delay": "cycle_ns", "energy": "tops_per_watt"}
_PARTS_OF = {
    "adc": ("adc",),
    "dac": ("dac", "drivers"),
    "array": ("cells", "multipliers", "columns"),
    "other": ("adders", "accumulators", "control"),
}


def published_chips() -> dict[str, dict[str, Any]]:
    """Every chip file of data/silicon by name. Raises BadInput naming the file when it lacks a table."""
    found = {}
    for file in sorted(Path(path("silicon")).glob("*.toml")):
        entry = tomllib.loads(file.read_text(encoding="utf-8"))
        for name in (
            "citation",
            "node_nm",
            "source",
            "conditions",
            "chip",
            "reported",
            "not_comparable",
        ):
            if name not in entry:
                raise BadInput(file.name, f"has no {name}", "see the other files in data/silicon")
        found[file.stem] = entry
    return found


def macro_figures(entry: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """What the model says of a chip file: area_mm2, cycle_ns, energy_pj of an invocation, tops_per_watt, shares by part.

    Args:
        entry: A chip file.
        changed: Genes that differ from it, such as the supply of another operating point.

    Returns:
        The figures; two operations a multiply-accumulate; ``area_shares`` by part.
    """
    genes = UNUSED_GENES | {"columns_per_adc": 1, "node_nm": entry["node_nm"]}
    table = chip_table([genes | dict(entry["chip"]) | changed])
    circuit = macro_circuit(table)
    macros = float(table.macros_per_pe[0])
    areas = {name: float(values[0]) for name, values in circuit.areas.items()}
    energy = float(invocation_pj(circuit, table)[0])
    geometry = circuit.geometry
    outputs = geometry.converters[0] * table.columns_summed[0]
    products = table.rows_active[0] * (
        geometry.converters[0] if geometry.is_digital[0] else outputs / table.weight_bits[0]
    )
    total = sum(areas.values())
    return {
        "area_mm2": macros * total * 1e-6,
        "cycle_ns": float(circuit.cycle_ns[0]),
        "energy_pj": energy,
        "tops_per_watt": float(2 * products / (energy * geometry.input_steps[0])),
        "area_shares": {
            part: sum(areas[name] for name in names) / total for part, names in _PARTS_OF.items()
        },
    }


def comparison() -> list[dict[str, Any]]:
    """For each chip file and quantity: modelled, reported, error (relative), and why it is not comparable where it is not."""
    rows = []
    for name, entry in published_chips().items():
        ours = macro_figures(entry)
        for quantity, key in RESULT_KEYS.items():
            said, excuses = entry["reported"].get(key), entry["not_comparable"]
            excuse = excuses.get("all") or excuses.get(quantity)
            row = {"chip": name, "quantity": quantity, "modelled": ours[key], "reported": said}
            row["error"] = None if said is None else ours[key] / said - 1
            row["not_comparable"] = excuse or ("not reported" if said is None else None)
            rows.append(row | {"conditions": entry["conditions"]})
    return rows


def operating_points() -> list[dict[str, Any]]:
    """Chips measured at two supplies: the ratio of cycle and of energy between them, modelled over reported."""
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
