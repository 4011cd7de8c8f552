"""Published chips against the model: each one's macro, part by part, at the operating point its file states.

A file in data/silicon lists the macro's parts with their number and widths as its source describes them, the stages of
its pipeline, and the conditions of the reported figures. Constants and laws are those of the performance model.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo._data import path
from cimbo.errors import BadInput
from cimbo.hardware.chip import columns
from cimbo.hardware.elements import element
from cimbo.hardware.macro import circuit, slowdown, tree_activity
from cimbo.hardware.technology import converter_scale, scale

MACRO_PARTS = ("cells", "adc", "dac", "multipliers", "adders", "accumulators")
TARGETS = {"area": 0.20, "delay": 0.20, "energy": 0.30}
_KEYS = {"area": "area_mm2", "delay": "cycle_ns", "energy": "tops_per_watt"}
_AROUND = {
    "pes": 1,
    "planes": 1,
    "adc_bits": 4,
    "columns_per_adc": 1,
    "buffer_mb": 1,
    "buffer_bw": 64,
    "dram_bw": 64,
}


def macro(genes: Mapping[str, Any]) -> dict[str, float]:
    """A plain array alone at full use: area_mm2, cycle_ns, tops_per_watt (two operations a MAC), no buffer, NoC or DRAM."""
    chip = circuit(columns({**_AROUND, **genes}))
    one = {
        name: float(values[0])
        for name, values in vars(chip).items()
        if isinstance(values, np.ndarray) and values.dtype != object
    }
    full = tree_activity(int(one["rows"]), int(one["weight_bits"]))[0][-1]
    pulse = (
        one["cols"] * (one["conversion_energy"] + one["bitline_energy"])
        + one["rows"] * (one["drive_energy"] + one["row_energy"])
        + one["array_energy"]
        + one["weight_columns"] * (one["shift_energy"] + one["accumulator_energy"])
        + one["weight_columns"] * one["dac_bits"] * full * one["adder_energy"] * one["digital"]
    )
    return {
        "area_mm2": sum(float(chip.area_parts[name][0]) for name in MACRO_PARTS),
        "cycle_ns": one["clock_ns"],
        "tops_per_watt": 2 * one["rows"] * one["weight_columns"] / (pulse * one["pulses"]),
    }


def described(entry: Mapping[str, Any], where: str = "chip") -> dict[str, float]:
    """The macro of a chip file from its parts: area_mm2, cycle_ns and tops_per_watt.

    ``part.switching``: the share of its capacitance that an array operation switches; without it for a part that has any,
    there is no efficiency. ``virtual`` parts are other parts in another role, so they add no area. A cycle is the slowest
    stage of ``path``, ``pulses_a_cycle`` times. Raises BadInput naming ``where`` and the part.
    """
    parts = {part["name"]: (part, element(where, part)) for part in entry["part"]}
    try:
        slowest = max(sum(parts[name][1].delay for name in stage) for stage in entry["path"])
    except KeyError as error:
        raise BadInput(
            f"{where}: path", f"names {error}, which is no part", "use the names of parts"
        ) from None
    node, volts = np.array([float(entry["node_nm"])]), float(entry["supply_v"])
    cycle = (
        slowest
        * entry.get("pulses_a_cycle", 1)
        * float(scale("delay", node)[0])
        * float(slowdown(volts))
    )
    gates, converters = float(scale("area", node)[0]), float(converter_scale(node, "area")[0])
    real = [
        (part["count"] * one.area, one) for part, one in parts.values() if not part.get("virtual")
    ]
    area = sum(um2 * (converters if one.is_converter else gates) for um2, one in real)
    result = {"area_mm2": area * 1e-6, "cycle_ns": cycle}
    if all("switching" in part for part, one in parts.values() if one.capacitance):
        shrinks = {
            True: float(converter_scale(node, "energy")[0]),
            False: float(scale("energy", node)[0]),
        }
        switched = sum(
            part["count"] * part.get("switching", 0) * one.capacitance * shrinks[one.is_converter]
            for part, one in parts.values()
        )
        picojoules = switched * volts**2 * 1e-3 * entry["pulses"]
        result["tops_per_watt"] = 2 * entry["macs"] / picojoules
    return result


def published() -> dict[str, dict[str, Any]]:
    """Every chip file by name. Raises BadInput naming the file when it lacks its citation or reported figures."""
    found = {}
    for file in sorted(Path(path("silicon")).glob("*.toml")):
        entry = tomllib.loads(file.read_text(encoding="utf-8"))
        for field in ("citation", "node_nm", "source", "conditions", "reported", "not_comparable"):
            if field not in entry:
                raise BadInput(file.name, f"has no {field}", "see the other files in data/silicon")
        found[file.stem] = entry
    return found


def comparison() -> list[dict[str, Any]]:
    """For each chip and quantity: modelled from its parts, reported, error (relative), and why it is not comparable
    where it is not; ``plain``: the nearest array of the performance model without the chip's own circuits.
    """
    rows = []
    for name, entry in published().items():
        ours = described(entry, name) if "part" in entry else {}
        plain = macro({**entry["chip"], "node_nm": entry["node_nm"]}) if "chip" in entry else {}
        for quantity, key in _KEYS.items():
            said, excuses = entry["reported"].get(key), entry["not_comparable"]
            row = {"chip": name, "quantity": quantity, "modelled": ours.get(key), "reported": said}
            row |= {"plain": plain.get(key), "conditions": entry["conditions"]}
            both = said is not None and key in ours
            row["error"] = ours[key] / said - 1 if both else None
            row["not_comparable"] = (
                excuses.get("all") or excuses.get(quantity) or (None if both else "not reported")
            )
            rows.append(row)
    return rows
