"""Why a network costs what it costs on a chip: per layer, by bound, and what each knob is worth. Data only."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from cimbo.hardware.chip import DEFAULT_GENES
from cimbo.hardware.chip_ranges import chip_choices
from cimbo.hardware.cost_model import simulate_batch
from cimbo.hardware.one_run import simulate
from cimbo.hardware.schedule_table import BOUND_NAMES
from cimbo.workloads.layers import Workload


def explain(workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Explain what a network costs on a chip: by bound, by layer, and by gene.

    Args:
        workload: The network.
        chip: Genes of one chip; those left out have their defaults.

    Returns:
        What ``simulate`` says, and besides it:

        ``time_by_bound_ms``: each bound's layers together. ``time_by_kind_ms``: each kind of layers
        together. ``energy_by_part_uj``: energy of each part of the chip. ``layers``: each with
        ``latency_ms`` and its shares of time and energy, too. ``knobs``: for every gene with
        neighbouring values, an entry for each such value, with latency, energy and area over those
        of the chip as it is.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    result = simulate(workload, chip)
    milliseconds = result["clock_ns"] * 1e-6
    by_bound: dict[str, float] = dict.fromkeys(BOUND_NAMES, 0.0)
    by_kind: dict[str, float] = defaultdict(float)
    for layer in result["layers"]:
        layer["latency_ms"] = layer["cycles"] * milliseconds
        layer["time_share"] = layer["cycles"] / result["cycles"]
        layer["energy_share"] = sum(layer["energy_uj"].values()) / result["energy_uj"]
        by_bound[layer["bound"]] += layer["latency_ms"]
        by_kind[layer["kind"]] += layer["latency_ms"]
    return result | {
        "time_by_bound_ms": by_bound,
        "time_by_kind_ms": dict(by_kind),
        "energy_by_part_uj": result["energy_parts_uj"],
        "knobs": _knobs(workload, chip),
    }


def _knobs(workload: Workload, chip: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry for each gene and each neighbouring value: what changing only it does to the three metrics."""
    now = dict(DEFAULT_GENES) | dict(chip)
    moves = []
    for choice in chip_choices(extended=True):
        for value in choice.values_beside(now[choice.name]):
            moves.append((choice.name, value))
    batch = simulate_batch(workload, [now] + [now | {name: value} for name, value in moves])
    metrics = ("latency_ms", "energy_uj", "area_mm2")
    knobs = []
    for index, (name, value) in enumerate(moves, 1):
        factors = {metric: float(batch[metric][index] / batch[metric][0]) for metric in metrics}
        knobs.append({"gene": name, "from": now[name], "to": value} | factors)
    return knobs
