"""Do the headline's figures hold today? Winners measured anew, and chips with converters beside them.

    python benchmarks/headline/recheck.py fmnist-vit [--chips 20000] [--images 10000]

The searches are of an earlier version of the accuracies. Their winners are digital, and sums of digital arrays are exact. So
each winner's accuracy on test images, and its latency and area, must come out to the digit: they are measured anew here. That
tells nothing of designs with converters, which the searches met at other accuracies. For these the costs decide first: each
winner's network, and the largest one, is computed on random chips with converters within the baseline's area, and climbs by
single genes start at the fastest. Where none is faster than the digital winner of the same network, no accuracy could make it
win. Where some are, the fastest are measured, in the noise form on validation images. Writes PRESET-recheck.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measured import HERE, Case, case, study_file

from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.workloads.precision import is_precision_gene

CHIPS_AT_ONCE = 5000
CLIMBS = 5  # climbs by single genes, from the fastest random chips
MOST_MEASURED = 12  # chips with converters whose accuracy is looked at, the fastest first
IMAGES_LOOKED_AT = 1000
SAME = 1e-6  # relative difference of two costs that are alike


def analog_chips(case: Case, count: int) -> list[dict[str, Any]]:
    """Chips of the study's space that have converters, drawn at random."""
    space = case.problem.space
    rows = space.random_rows(4 * count, np.random.default_rng(1))
    chips: list[dict[str, Any]] = []
    for design in space.designs(rows):
        if design["array"] != "digital_sram" and len(chips) < count:
            chips.append({k: v for k, v in design.items() if case.group(k) == "hardware"})
    return chips


def network_of(case: Case, design: Mapping[str, Any]) -> dict[str, Any]:
    """A design without its chip."""
    return {k: v for k, v in design.items() if case.group(k) != "hardware"}


def latencies(
    case: Case, network: Mapping[str, Any], chips: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """Latency of a network on each chip in ms, (chips,); infinite beyond the baseline's area."""
    found = []
    for start in range(0, len(chips), CHIPS_AT_ONCE):
        some = [{**network, **chip} for chip in chips[start : start + CHIPS_AT_ONCE]]
        costs = case.evaluator.costs(some)
        fits = costs["area_mm2"] <= case.metrics["area_mm2"] * (1 + SAME)
        found.append(np.where(fits, costs["latency_ms"], np.inf))
    return np.concatenate(found)


def neighbours(case: Case, chip: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chips with converters that differ from one in a single gene."""
    space, found = case.problem.space, []
    for choice in space.hardware:
        for value in choice.values:
            design = space.canonical({**case.baseline, **chip, choice.name: value})
            if design["array"] != "digital_sram":
                found.append({k: v for k, v in design.items() if case.group(k) == "hardware"})
    return found


def climbed(case: Case, network: Mapping[str, Any], chip: dict[str, Any]) -> dict[str, Any]:
    """The chip that a climb by single genes ends at, from a chip within the area."""
    best = float(latencies(case, network, [chip])[0])
    while True:
        around = neighbours(case, chip)
        latency = latencies(case, network, around)
        if not latency.min() < best * (1 - SAME):
            return chip
        best, chip = float(latency.min()), around[int(latency.argmin())]


def winners(study: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The winners at the baseline's accuracy and area, each design once."""
    found: dict[str, dict[str, Any]] = {}
    for row in study["speedups"]:
        if row["held"] == "accuracy, area":
            for point in row["points"]:
                found[json.dumps(point["params"], sort_keys=True)] = point
    return list(found.values())


def measured_again(
    case: Case, preset: str, points: Sequence[Mapping[str, Any]], images: int
) -> dict[str, Any]:
    """How far winners' accuracies and costs of today are from the recorded ones."""
    source = ShippedAccuracy(preset)
    known: dict[str, float] = {}
    accuracy_off, cost_off = [], []
    for point in points:
        key = json.dumps(network_of(case, point["params"]), sort_keys=True)
        if key not in known:
            known[key] = source.measure(point["params"], "test", images=images)
        accuracy_off.append(abs(known[key] - point["metrics"]["accuracy_test_exact"]))
        costs = case.evaluator.costs([point["params"]])
        for metric in ("latency_ms", "area_mm2", "energy_uj"):
            recorded = point["metrics"][metric]
            cost_off.append(abs(float(costs[metric][0]) - recorded) / recorded)
    return {
        "winners": len(points),
        "digital": sum(p["params"].get("array") == "digital_sram" for p in points),
        "networks_measured": len(known),
        "test_images": images,
        "largest_difference_of_accuracy": max(accuracy_off),
        "largest_relative_difference_of_costs": max(cost_off),
    }


def fastest_analog(
    case: Case, preset: str, points: Sequence[Mapping[str, Any]], count: int
) -> list[dict[str, Any]]:
    """For each network among the winners and the largest: the fastest chips with converters of the baseline's area.

    Returns:
        A row for each network.
    """
    drawn = analog_chips(case, count)
    best_digital: dict[str, float] = {}
    for point in [{"params": case.baseline, "metrics": case.metrics}, *points]:
        key = json.dumps(network_of(case, point["params"]), sort_keys=True)
        latency = float(point["metrics"]["latency_ms"])
        best_digital[key] = min(best_digital.get(key, latency), latency)
    source, rows = ShippedAccuracy(preset), []
    for key, digital in best_digital.items():
        network = json.loads(key)
        latency = latencies(case, network, drawn)
        starts = np.argsort(latency)[:CLIMBS]
        chips = [*drawn, *(climbed(case, network, drawn[number]) for number in starts)]
        latency = latencies(case, network, chips)
        faster = np.flatnonzero(latency < digital)
        order = faster[np.argsort(latency[faster])][:MOST_MEASURED]
        reference = {**network, "array": "digital_sram", "rows": 64}
        clean = source.measure(reference, images=IMAGES_LOOKED_AT)
        lost = []
        for number in order:
            design = {**network, **chips[number]}
            lost.append(clean - source.measure(design, images=IMAGES_LOOKED_AT))
        few_bits = any(is_precision_gene(k) and v != 8 for k, v in network.items())
        rows.append(
            {
                "few_bits": few_bits,
                "speedup_digital": case.metrics["latency_ms"] / digital,
                "speedup_fastest_analog": case.metrics["latency_ms"] / float(latency.min()),
                "analog_chips_within_area": int(np.isfinite(latency).sum()),
                "analog_chips_faster": len(faster),
                "points_lost_by_the_fastest": [round(x, 2) for x in lost],
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--chips", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=10_000)
    asked = parser.parse_args()
    study = json.loads((HERE / f"{asked.preset}.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        started = case(study_file(Path(folder), asked.preset, "float"), study["within"], 0.15)
        points = winners(study)
        again = measured_again(started, asked.preset, points, asked.images)
        print(again, flush=True)
        document = {
            "command": f"python benchmarks/headline/recheck.py {asked.preset} --chips {asked.chips}"
            f" --images {asked.images}",
            "again": again,
            "images_of_analog_chips": IMAGES_LOOKED_AT,
            "analog": fastest_analog(started, asked.preset, points, asked.chips),
        }
    (HERE / f"{asked.preset}-recheck.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
