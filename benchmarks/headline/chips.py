"""The winners of measured.py on chips that are computed rather than searched: what accuracy costs nothing for.

    python benchmarks/headline/chips.py fmnist-vit [--chips 20000]

On digital arrays the accuracy of a network is the same on every chip, and costs are exact. So each seed's winners, whose
accuracy holds on test images in the exact form, are computed on the same randomly drawn digital chips within the area, and
the fastest pair counts: the largest network for *hardware*, winners of 8 bits for *joint*, all winners for *joint with
precision*. No accuracy is measured here. Writes PRESET-chips.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from measured import HERE, SIDES, Case, case, study_file

from cimbo.analysis import attribution
from cimbo.workloads.precision import is_precision_gene

CHIPS_AT_ONCE = 5000
LIMITS = {"accuracy, area": ("area_mm2",), "accuracy, area, energy": ("area_mm2", "energy_uj")}


def digital_chips(case: Case, count: int) -> list[dict[str, Any]]:
    """Chips of the study's space, drawn at random, and the baseline's."""
    space = case.problem.space
    rows = space.random_rows(4 * count, np.random.default_rng(0))
    chips = [{k: v for k, v in case.baseline.items() if case.group(k) == "hardware"}]
    for design in space.designs(rows):
        if design["array"] == "digital_sram" and len(chips) < count:
            chips.append({k: v for k, v in design.items() if case.group(k) == "hardware"})
    return chips


def fastest(
    case: Case, network: dict[str, Any], chips: list[dict[str, Any]], held: tuple[str, ...]
) -> float:
    """Speed-up of a network on the fastest chip that has no more of what is held than the baseline."""
    mine = {k: v for k, v in network.items() if case.group(k) != "hardware"}
    best = 0.0
    for start in range(0, len(chips), CHIPS_AT_ONCE):
        some = [{**mine, **chip} for chip in chips[start : start + CHIPS_AT_ONCE]]
        costs = case.evaluator.costs(some)
        kept = np.ones(len(some), bool)
        for metric in held:
            kept &= costs[metric] <= case.metrics[metric] * (1 + 1e-9)
        if kept.any():
            best = max(best, case.metrics["latency_ms"] / float(costs["latency_ms"][kept].min()))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--chips", type=int, default=20_000)
    parser.add_argument("--work", type=Path, default=None)
    asked = parser.parse_args()
    study = json.loads((HERE / f"{asked.preset}.json").read_text())
    work = asked.work or Path(f"measured-{asked.preset}")
    started = case(study_file(work, asked.preset, "float"), study["within"], 0.15)
    chips = digital_chips(started, asked.chips)
    winners = {
        r["side"]: [p["params"] for p in r["points"]]
        for r in study["speedups"]
        if r["held"] == "accuracy, area"
    }
    rows = []
    for held, limits in LIMITS.items():
        known: dict[str, float] = {}
        gains: dict[str, list[float]] = {"hardware": [], "joint": [], "joint with precision": []}
        for seed in range(len(study["seeds"])):
            found = {"hardware": 1.0, "joint": 1.0, "joint with precision": 1.0}
            for network in [started.baseline, *(winners[side][seed] for side in SIDES)]:
                if network.get("array") != "digital_sram":
                    continue
                own = {k: v for k, v in network.items() if started.group(k) != "hardware"}
                key = json.dumps(own, sort_keys=True)
                if key not in known:
                    known[key] = fastest(started, network, chips, limits)
                few = any(v != 8 for k, v in own.items() if is_precision_gene(k))
                largest = all(started.baseline.get(k) == v for k, v in own.items())
                served = ["joint with precision"] + ["joint"] * (not few) + ["hardware"] * largest
                for side in served:
                    found[side] = max(found[side], known[key])
            for side, value in found.items():
                gains[side].append(value)
        for side, each in gains.items():
            interval = attribution.over_seeds(each)
            rows.append(
                {
                    "held": held,
                    "side": side,
                    "speedup": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "each": each,
                }
            )
            print(held, side, round(interval.mean, 2), [round(v, 2) for v in each], flush=True)
    command = f"python benchmarks/headline/chips.py {asked.preset} --chips {asked.chips}"
    document = {"command": command, "chips": len(chips), "speedups": rows}
    (HERE / f"{asked.preset}-chips.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
