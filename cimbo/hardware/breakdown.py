"""Why a network costs what it costs on a chip: by layer, by bottleneck, and what each gene is worth."""

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
    """Explain what a network costs on a chip: by bottleneck, by layer, and by gene.

    Args:
        workload: The network.
        chip: Genes of one chip; those left out have their defaults.

    Returns:
        Everything that ``simulate`` returns, and besides it:

        ``time_by_bound_ms``: time of the layers that each resource bounds ("compute", "DRAM", ...).
        ``time_by_kind_ms``: time of the layers of each kind ("conv", "linear", ...).
        ``energy_by_part_uj``: energy of each part of the chip.
        ``layers``: every layer has ``latency_ms``, ``time_share`` and ``energy_share``, too.
        ``knobs``: an entry for each gene and each value next to the present one in the gene's
        range, with the latency, energy and area of the chip so changed, over those of the chip.

    Raises:
        BadInput: Where the genes describe no chip, naming the gene.
    """
    result = simulate(workload, chip)
    cycle_ms = result["clock_ns"] * 1e-6
    by_bound: dict[str, float] = dict.fromkeys(BOUND_NAMES, 0.0)
    by_kind: dict[str, float] = defaultdict(float)
    for layer in result["layers"]:
        layer["latency_ms"] = layer["cycles"] * cycle_ms
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
    """What changing one gene to a neighbouring value does to latency, energy and area.

    Returns:
        One entry for each gene and neighbouring value: ``gene``, ``from``, ``to``, and the three
        metrics as factors over those of the unchanged chip.
    """
    present = dict(DEFAULT_GENES) | dict(chip)
    changes = []
    for choice in chip_choices(extended=True):
        for value in choice.values_beside(present[choice.name]):
            changes.append((choice.name, value))
    # The unchanged chip is the first of the batch, so change i has index i + 1.
    chips = [present] + [present | {name: value} for name, value in changes]
    costs = simulate_batch(workload, chips)
    metrics = ("latency_ms", "energy_uj", "area_mm2")
    knobs = []
    for index, (name, value) in enumerate(changes, 1):
        factors = {metric: float(costs[metric][index] / costs[metric][0]) for metric in metrics}
        knobs.append({"gene": name, "from": present[name], "to": value} | factors)
    return knobs
