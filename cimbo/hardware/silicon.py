"""Published chips against the model: each one's macro at the operating point its file states."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from cimbo._data import path
from cimbo.errors import BadInput
from cimbo.hardware.circuit import circuit, tree_activity
from cimbo.hardware.space import columns

MACRO_PARTS = ("cells", "adc", "dac", "multipliers", "adders", "accumulators")
TARGETS = {"area": 0.20, "delay": 0.20, "energy": 0.30}
_AROUND = {"pes": 1, "planes": 1, "adc_bits": 4, "columns_per_adc": 1, "buffer_mb": 1, "buffer_bw": 64, "dram_bw": 64}


def macro(genes: dict[str, Any]) -> dict[str, float]:
    """A macro alone at full use: area_mm2, cycle_ns, tops_per_watt (two operations a MAC), no buffer, NoC or DRAM."""
    chip = circuit(columns({**_AROUND, **genes}))
    one = {name: float(values[0]) for name, values in vars(chip).items()
           if isinstance(values, np.ndarray) and values.dtype != object}  # fmt: skip
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


def published() -> dict[str, dict[str, Any]]:
    """Every chip file by name. Raises BadInput naming the file when it lacks its citation or reported figures."""
    found = {}
    for file in sorted(Path(path("silicon")).glob("*.toml")):
        entry = tomllib.loads(file.read_text(encoding="utf-8"))
        for field in ("citation", "node_nm", "source", "reported", "not_comparable"):
            if field not in entry:
                raise BadInput(file.name, f"has no {field}", "see the other files in data/silicon")
        found[file.stem] = entry
    return found


def comparison() -> list[dict[str, Any]]:
    """For each chip and quantity: modelled, reported, error (relative), and why it is not comparable where it is not."""
    rows = []
    for name, entry in published().items():
        ours = macro({**entry["chip"], "node_nm": entry["node_nm"]}) if "chip" in entry else {}
        for quantity, key in (("area", "area_mm2"), ("delay", "cycle_ns"), ("energy", "tops_per_watt")):
            said, excuses = entry["reported"].get(key), entry["not_comparable"]
            row = {"chip": name, "quantity": quantity, "modelled": ours.get(key), "reported": said}
            both = said is not None and key in ours
            row["error"] = ours[key] / said - 1 if both else None
            row["not_comparable"] = excuses.get("all") or excuses.get(quantity) or (None if both else "not reported")
            rows.append(row)
    return rows
