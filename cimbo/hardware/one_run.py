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
from cimbo.hardware.plan import Plan, plan_pairs, rows_run
from cimbo.hardware.plan_scores import PlanInputs
from cimbo.hardware.rows import Floats
from cimbo.hardware.schedule_table import BOUND_NAMES, Schedule
from cimbo.hardware.tiling import Tiling
from cimbo.workloads.layers import TokenLoop, Workload


def simulate(workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluates one network on one chip.

    Args:
        workload: The network.
        chip: Its genes; those left out have their defaults.

    Returns:
        latency_ms and energy_uj of a run of the whole batch, by a schedule that exists, and latency_ms_low and
        energy_uj_low, between which and these the best one lies; dram_bytes of the run, inferences_per_s,
        energy_per_inference_uj, area_mm2, cycles, clock_ns, utilisation, leakage_mw, resident, is_bound, energy_parts_uj,
        area_parts_mm2, peak_tops, warnings, and ``layers`` with name, kind, cycles, bound, utilisation and energy_uj by
        part, in order. Where the network generates tokens, these are of the whole request, with layers "prompt.NAME" and
        "token.NAME", and ``GENERATION_METRICS`` beside them.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    if workload.loop is None:
        one = _simulate_run(workload, chip)
        return one | throughput(one, workload.batch)
    return _simulate_request(workload, workload.loop, chip)


def _simulate_request(
    workload: Workload, loop: TokenLoop, chip: Mapping[str, Any]
) -> dict[str, Any]:
    prompt, step = _simulate_run(workload, chip), _simulate_run(loop.step, chip)
    total = request_costs(prompt, step, loop.tokens, workload.batch)
    parts = {}
    for name, value in step["energy_parts_uj"].items():
        parts[name] = prompt["energy_parts_uj"][name] + loop.tokens * value
    of_prompt = [{**layer, "name": f"prompt.{layer['name']}"} for layer in prompt["layers"]]
    frequencies = [layer.frequency * loop.tokens for layer in loop.step.layers]
    of_tokens = loop_layers(step["layers"], frequencies)
    return (
        total
        | throughput(total, workload.batch)
        | {
            "energy_parts_uj": parts,
            "warnings": list(dict.fromkeys([*prompt["warnings"], *step["warnings"]])),
            "layers": of_prompt + of_tokens,
        }
    )


def _simulate_run(workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
    """One run, whatever loop may follow it."""
    part = one_circuit(chip)
    shapes, where = workload.unique
    plan = plan_pairs(PlanInputs.of(part), Grid([shapes], 1))
    costs = pair_costs(part, plan.sums)
    one: dict[str, Any] = {name: float(getattr(costs, name)[0]) for name in SCALAR_RESULTS}
    run, counts = rows_run(plan)
    waiting = float(plan.sums.interval[0] / plan.sums.cycles[0])
    if plan.stages is not None:
        one["pipeline"] = _stages(workload, where, plan, run)
    return one | {
        "peak_tops": 2e-3 * float(part.peak_macs[0] / part.clock_ns[0]),
        "resident": bool(costs.resident[0]),
        "is_bound": bool(costs.is_bound[0]),
        "energy_parts_uj": {k: float(v[0]) for k, v in costs.energy_parts_uj.items()},
        "area_parts_mm2": {k: float(v[0]) for k, v in part.area_parts.items()},
        "warnings": _warnings(workload, where, run),
        "layers": _layers(workload, where, (part, plan.tiling, run, counts), waiting),
    }


def _stages(workload: Workload, where: Sequence[int], plan: Plan, run: Schedule) -> dict[str, Any]:
    """What a pipeline waits for: the bottleneck stage, its resource, and how busy every resource is."""
    assert plan.stages is not None
    bound, cycles = busy_stages(plan.tiling, run, plan.stages, 0)
    of_layers = [float(cycles[shape]) for shape in where]
    longest = int(np.argmax(of_layers))
    interval = float(plan.stages.interval[0])
    busy = plan.stages.busy[:, 0] / interval
    return {
        "stages": len(workload.layers),
        "interval_cycles": interval,
        "bottleneck": workload.layers[longest].name,
        "bound": bound,
        "busy": dict(zip(STAGE_BOUNDS, busy.tolist(), strict=True)),
        "copies": [float(run.copies[shape]) for shape in where],
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
    where: Sequence[int],
    of: tuple[Circuit, Tiling, Schedule, Floats],
    leaking: float,
) -> list[dict[str, Any]]:
    """``leaking``: share of a layer's cycles in which the chip leaks for it alone, and not for stages beside it."""
    part, tiling, run, counts = of
    energy = energy_by_part(part, counts, run.cycles * leaking)
    microjoules = np.array(list(energy.values())) * 1e-6
    energies = [dict(zip(energy, values, strict=True)) for values in microjoules.T.tolist()]
    bounds = [BOUND_NAMES[index] for index in run.bottlenecks().tolist()]
    cycles = run.cycles.tolist()
    used = (
        tiling.layers.macs * tiling.precision.mac_share / (run.cycles * part.peak_macs[0])
    ).tolist()
    layers = []
    for layer, shape in zip(workload.layers, where, strict=True):
        layers.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "cycles": cycles[shape],
                "bound": bounds[shape],
                "utilisation": used[shape],
                "energy_uj": energies[shape].copy(),
            }
        )
    return layers


def _warnings(workload: Workload, where: Sequence[int], run: Schedule) -> list[str]:
    pairs = zip(workload.layers, where, strict=True)
    names = [layer.name for layer, shape in pairs if run.is_bound[shape]]
    if not names:
        return []
    text = (
        "partial sums and activations exceed the buffer; cycles and energy of these layers are those of a schedule "
        "that exists, and lower bounds stand beside the totals: "
    )
    return [text + cut_list(names, MOST_LAYERS_NAMED)]
