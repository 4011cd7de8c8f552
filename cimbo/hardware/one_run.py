"""One network on one chip, layer by layer, by the same laws as batches (:mod:`cimbo.hardware.cost_model`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cimbo.errors import cut_list
from cimbo.hardware.circuit import Circuit
from cimbo.hardware.cost_model import energy_by_part, one_circuit, pair_costs, throughput
from cimbo.hardware.generation import loop_layers, request_costs
from cimbo.hardware.grid import Grid
from cimbo.hardware.pipeline import STAGE_BOUNDS, busy_stages
from cimbo.hardware.plan import Plan, plan_pairs
from cimbo.hardware.plan_rows import rows_run
from cimbo.hardware.plan_scores import PlanInputs
from cimbo.hardware.rows import Floats
from cimbo.hardware.schedule_table import BOUND_NAMES, Schedule
from cimbo.hardware.tiling import Tiling
from cimbo.workloads.layers import TokenLoop, Workload


def simulate(workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate one network on one chip.

    Args:
        workload: The network.
        chip: Genes of the chip; those left out have their defaults.

    Returns:
        The costs by name. Of a run of the whole batch: ``latency_ms``, ``energy_uj`` by a schedule
        that the chip can run; ``latency_ms_low``, ``energy_uj_low``, lower bounds of the best
        schedule; ``dram_bytes``, ``cycles`` (of the arrays), ``utilisation`` (0 to 1).
        Of the chip: ``area_mm2``, ``clock_ns``, ``leakage_mw``, ``peak_tops``.
        ``inferences_per_s`` and ``energy_per_inference_uj``; ``resident``: whether all weights stay
        on the chip; ``is_bound``: whether the lower bounds differ from the costs;
        ``energy_parts_uj`` and ``area_parts_mm2`` by part; ``warnings``; and ``layers``, in order,
        each with name, kind, cycles, bound, utilisation and energy_uj by part.
        Where the network generates tokens, costs are those of the whole request, layers are named
        "prompt.NAME" and "token.NAME", and ``GENERATION_METRICS`` are added.

    Raises:
        BadInput: Where the genes describe no chip, naming the gene.
    """
    if workload.loop is None:
        costs = _simulate_run(workload, chip)
        return costs | throughput(costs, workload.batch)
    return _simulate_request(workload, workload.loop, chip)


def _simulate_request(
    workload: Workload, loop: TokenLoop, chip: Mapping[str, Any]
) -> dict[str, Any]:
    """Costs of a whole request: a run over the prompt, and the mean step once for each token."""
    prompt, step = _simulate_run(workload, chip), _simulate_run(loop.step, chip)
    total = request_costs(prompt, step, loop.tokens, workload.batch)
    parts = {}
    for name, value in step["energy_parts_uj"].items():
        parts[name] = prompt["energy_parts_uj"][name] + loop.tokens * value
    prompt_layers = [{**layer, "name": f"prompt.{layer['name']}"} for layer in prompt["layers"]]
    frequencies = [layer.frequency * loop.tokens for layer in loop.step.layers]
    token_layers = loop_layers(step["layers"], frequencies)
    return (
        total
        | throughput(total, workload.batch)
        | {
            "energy_parts_uj": parts,
            "warnings": list(dict.fromkeys([*prompt["warnings"], *step["warnings"]])),
            "layers": prompt_layers + token_layers,
        }
    )


def _simulate_run(workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Costs of one run of a network's layers, without the token loop that may follow it."""
    circuit = one_circuit(chip)
    # Layers of equal shape are computed once, as one row: row_of_layer[i] is that of layer i.
    shapes, row_of_layer = workload.unique
    plan = plan_pairs(PlanInputs.of(circuit), Grid([shapes], 1))
    costs = pair_costs(circuit, plan.sums)
    result: dict[str, Any] = {name: float(getattr(costs, name)[0]) for name in SCALAR_RESULTS}
    run, counts = rows_run(plan)
    if plan.stages is not None:
        result["pipeline"] = _stages(workload, row_of_layer, plan, run)
    # In a pipeline the chip leaks for all stages at once, so each layer has a part of that.
    leaking_fraction = float(plan.sums.interval[0] / plan.sums.cycles[0])
    parts_of_layers = (circuit, plan.tiling, run, counts)
    return result | {
        "peak_tops": 2e-3 * float(circuit.peak_macs[0] / circuit.clock_ns[0]),
        "resident": bool(costs.resident[0]),
        "is_bound": bool(costs.is_bound[0]),
        "energy_parts_uj": {k: float(v[0]) for k, v in costs.energy_parts_uj.items()},
        "area_parts_mm2": {k: float(v[0]) for k, v in circuit.area_parts.items()},
        "warnings": _warnings(workload, row_of_layer, run),
        "layers": _layers(workload, row_of_layer, parts_of_layers, leaking_fraction),
    }


def _stages(
    workload: Workload, row_of_layer: Sequence[int], plan: Plan, run: Schedule
) -> dict[str, Any]:
    """Describe a pipeline: its bottleneck stage, the resource that bounds it, and how busy each is."""
    assert plan.stages is not None
    bound, cycles = busy_stages(plan.tiling, run, plan.stages, 0)
    layer_cycles = [float(cycles[row]) for row in row_of_layer]
    longest = int(np.argmax(layer_cycles))
    interval = float(plan.stages.interval[0])
    busy = plan.stages.busy[:, 0] / interval
    return {
        "stages": len(workload.layers),
        "interval_cycles": interval,
        "bottleneck": workload.layers[longest].name,
        "bound": bound,
        "busy": dict(zip(STAGE_BOUNDS, busy.tolist(), strict=True)),
        "copies": [float(run.copies[row]) for row in row_of_layer],
        "dram_bits": float(plan.stages.dram_bits[0]),
    }


MOST_LAYERS_NAMED = 4  # in a warning
SCALAR_RESULTS = (
    "latency_ms",
    "interval_ms",
    "latency_ms_low",
    "energy_uj",
    "energy_uj_low",
    "area_mm2",
    "dram_bytes",
    "cycles",
    "clock_ns",
    "utilisation",
    "leakage_mw",
)


def _layers(
    workload: Workload,
    row_of_layer: Sequence[int],
    of: tuple[Circuit, Tiling, Schedule, Floats],
    leaking_fraction: float,
) -> list[dict[str, Any]]:
    """Describe each layer of a network: cycles, bottleneck, utilisation, energy by part.

    Args:
        workload: The network.
        row_of_layer: For each of its layers the row that it is computed as.
        of: The chip's circuit; of each row its tiles, its schedule, and its events, (fields, rows).
        leaking_fraction: Fraction of a layer's cycles in which the chip leaks for it alone, and not
            for the stages that work beside it.

    Returns:
        One entry for each layer, in order of execution.
    """
    circuit, tiling, run, counts = of
    picojoules = energy_by_part(circuit, counts, run.cycles * leaking_fraction)
    microjoules = np.array(list(picojoules.values())) * 1e-6
    energies = [dict(zip(picojoules, values, strict=True)) for values in microjoules.T.tolist()]
    bounds = [BOUND_NAMES[index] for index in run.bottlenecks().tolist()]
    cycles = run.cycles.tolist()
    macs = tiling.layers.macs * tiling.precision.mac_share
    utilisations = (macs / (run.cycles * circuit.peak_macs[0])).tolist()
    layers = []
    for layer, row in zip(workload.layers, row_of_layer, strict=True):
        layers.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "cycles": cycles[row],
                "bound": bounds[row],
                "utilisation": utilisations[row],
                "energy_uj": energies[row].copy(),
            }
        )
    return layers


def _warnings(workload: Workload, row_of_layer: Sequence[int], run: Schedule) -> list[str]:
    """Name the layers whose partial sums and activations do not fit the buffer, in one warning."""
    rows = zip(workload.layers, row_of_layer, strict=True)
    names = [layer.name for layer, row in rows if run.is_bound[row]]
    if not names:
        return []
    text = (
        "partial sums and activations exceed the buffer; cycles and energy of these layers are those of a schedule "
        "that exists, and lower bounds stand beside the totals: "
    )
    return [text + cut_list(names, MOST_LAYERS_NAMED)]
