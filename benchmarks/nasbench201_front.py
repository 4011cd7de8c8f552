"""The true front of the preset nasbench201-analog: every network on every chip.

    python benchmarks/nasbench201_front.py KEPT.npz [--seconds 60] [--cells FILE.csv]

Networks that have the same layers in another order of names cost the same on every chip, so that a few hundred kinds of
network stand for all 6,250. Each kind is simulated on every chip whose area is allowed; of those its front of latency and
energy stays, and every network of the kind has it. Accuracies are those of the shipped predictors; with --cells those of a
user's file of AnalogNAS-Bench, networks that it lacks left out. After --seconds of CPU time the run stops with what it
has kept in KEPT.npz; the same command goes on. Writes nasbench201_front.json: the front, its
hypervolume, and what a search can be judged against.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo import __version__, _data, hardware
from cimbo.config import preset
from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.published import description, features
from cimbo.evaluation.accuracy.published_table import PublishedTable
from cimbo.problem.pareto import hypervolume, non_dominated
from cimbo.workloads import Workload, network

PRESET = "nasbench201-analog"
RESULTS = Path(__file__).with_suffix(".json")
COSTS = ("latency_ms", "energy_uj")
Array = NDArray[np.float64]
Genes = dict[str, Any]


def products(choices: Sequence[Any]) -> list[Genes]:
    """All designs of genes without conditions."""
    names = [choice.name for choice in choices]
    found = itertools.product(*(choice.values for choice in choices))
    return [dict(zip(names, values, strict=True)) for values in found]


def allowed_chips() -> list[Genes]:
    """Every chip of the preset's space whose area is within its bound, properties that all have included."""
    study = preset(PRESET)
    fixed = dict(study.tables.hardware.fixed)
    chips = [fixed | chip for chip in products(study.problem.space.hardware)]
    areas = np.asarray(hardware.area_mm2(chips))
    bound = study.problem.constraints[0].bound
    return [chip for chip, area in zip(chips, areas, strict=True) if area <= bound]


def kinds_of_network() -> dict[str, tuple[Workload, list[Genes]]]:
    """Networks by what their layers are, whatever these are called: a workload of each kind, and its networks."""
    family, found = network(PRESET), {}
    for genes in products(family.choices()):
        workload = family.workload(genes)
        layers = sorted(repr(layer).split(",", 1)[1] for layer in workload.layers)
        found.setdefault("\n".join(layers), (workload, []))[1].append(genes)
    return found


def front_of_kind(workload: Workload, chips: list[Genes]) -> tuple[NDArray[np.int64], Array]:
    """Numbers of the chips on the front of latency and energy of a network, and both costs of each."""
    answer = dict(hardware.simulate_batch([workload] * len(chips), chips))
    costs = np.stack([np.asarray(answer[name], float) for name in COSTS], 1)
    kept = np.flatnonzero(non_dominated(-costs))
    return kept, costs[kept]


def accuracies(designs: list[Genes], table: Path | None) -> Array:
    """Accuracy of each network on phase-change memory; not a number where the user's file lacks it."""
    array = dict(preset(PRESET).tables.hardware.fixed)["array"]
    if table is None:
        model = predictors.load(_data.path("accuracy/" + description(PRESET)["by_array"][array]))
        return np.asarray(model.predict([features(PRESET, genes) for genes in designs]).mean)
    source, found = PublishedTable(str(table)), []
    for genes in designs:
        try:
            found.append(source.measure({**genes, "array": array}))
        except BadInput:
            found.append(np.nan)
    return np.array(found)


def simulated(
    kept: Path, seconds: float, chips: list[Genes]
) -> tuple[list[list[Genes]], dict[str, Array]]:
    """Networks of each kind, and the kinds' fronts by number as far as they were computed."""
    kinds = list(kinds_of_network().values())
    known: dict[str, Array] = dict(np.load(kept)) if kept.exists() else {}
    start = time.process_time()
    for number, (workload, _) in enumerate(kinds):
        if f"chips_{number}" in known:
            continue
        if time.process_time() - start > seconds:
            break
        known[f"chips_{number}"], known[f"costs_{number}"] = front_of_kind(workload, chips)
    np.savez_compressed(kept, **known)
    done = sum(name.startswith("chips_") for name in known)
    print(f"{done} of {len(kinds)} kinds of network on {len(chips)} chips", flush=True)
    return [members for _, members in kinds], known


def joint_front(
    members: list[list[Genes]], known: dict[str, Array], chips: list[Genes], table: Path | None
) -> dict[str, Any]:
    """The front over all networks and chips; of a kind only its most accurate network can be on it."""
    best, points, designs = [], [], []
    for number, networks in enumerate(members):
        found = accuracies(networks, table)
        if np.isnan(found).all():
            continue
        best.append((number, int(np.nanargmax(found)), float(np.nanmax(found))))
    for number, place, accuracy in best:
        for chip, costs in zip(known[f"chips_{number}"], known[f"costs_{number}"], strict=True):
            points.append((accuracy, *costs))
            designs.append((members[number][place], chips[int(chip)]))
    values = np.array(points)
    signed = values * np.array([1.0, -1.0, -1.0])
    on_front = np.flatnonzero(non_dominated(signed))
    objectives = preset(PRESET).problem.objectives
    reference = np.array([o.sign * float(o.reference or 0.0) for o in objectives])
    rows = []
    for i in on_front[np.argsort(-values[on_front, 0])]:
        metrics = dict(zip(("accuracy", *COSTS), values[i].tolist(), strict=True))
        rows.append({"architecture": designs[i][0], "hardware": designs[i][1], "metrics": metrics})
    return {
        "networks": sum(len(networks) for networks in members),
        "kinds_of_network": len(members),
        "points": len(rows),
        "hypervolume": float(hypervolume(signed[on_front], reference)),
        "front": rows,
    }


def main() -> None:
    """Simulates, and writes the front once all kinds of network are done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kept", type=Path)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of CPU time")
    parser.add_argument("--cells", type=Path, default=None)
    asked = parser.parse_args()
    chips = allowed_chips()
    members, known = simulated(asked.kept, asked.seconds, chips)
    if f"chips_{len(members) - 1}" not in known:
        return
    answer = {"cimbo": __version__, "chips": len(chips)}
    answer["modelled_accuracies"] = joint_front(members, known, chips, None)
    if asked.cells is not None:
        answer["published_accuracies"] = joint_front(members, known, chips, asked.cells)
    RESULTS.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
