"""Costs of a whole request to a language model, out of those of its prompt and of a mean step of its token loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUMMED_COSTS = (
    "latency_ms",
    "interval_ms",
    "latency_ms_low",
    "energy_uj",
    "energy_uj_low",
    "dram_bytes",
    "cycles",
)
GENERATION_METRICS = (
    "tokens_per_s",
    "energy_per_token_uj",
    "dram_bytes_per_token",
    "time_to_first_token_ms",
)
"""Costs of language models besides those of every network."""

Columns = Mapping[str, Any]
Counts = NDArray[np.int64] | int


def request_costs(
    prompt: Columns, step: Columns, tokens: Counts, batch: Counts
) -> dict[str, NDArray[Any]]:
    """Adds up a run over prompts and ``tokens`` steps of a token for each of them.

    Args:
        prompt: Columns of ``simulate_batch`` of the runs over prompts, (n,) each.
        step: The same of mean steps.
        tokens: Steps of each pair, (n,) or one for all.
        batch: Sequences at once, likewise.

    Returns:
        The columns of the whole request, (n,) each; besides them ``GENERATION_METRICS``: of the steps alone tokens of all
        sequences a second, and energy and bytes over the DRAM for each of them; and the time that the prompt takes.
    """
    total: dict[str, Any] = dict(step)
    for name, value in step.items():
        if name in SUMMED_COSTS or name.startswith("energy_uj."):
            total[name] = prompt[name] + tokens * value
    work = prompt["utilisation"] * prompt["cycles"] + tokens * step["utilisation"] * step["cycles"]
    return total | {
        "utilisation": work / total["cycles"],
        "resident": prompt["resident"] & step["resident"],
        "is_bound": prompt["is_bound"] | step["is_bound"],
        "tokens_per_s": 1e3 * batch / step["interval_ms"],
        "energy_per_token_uj": step["energy_uj"] / batch,
        "dram_bytes_per_token": step["dram_bytes"] / batch,
        "time_to_first_token_ms": prompt["latency_ms"],
    }


def loop_layers(layers: list[dict[str, Any]], frequencies: list[float]) -> list[dict[str, Any]]:
    """The layers of all steps together: of a mean step's, those of one name are one layer at several lengths of the cache.

    Args:
        layers: As ``simulate`` gives them of a mean step.
        frequencies: How often each of them runs in all steps.

    Returns:
        One entry a name, in order, with cycles and energies of all steps; what bounds the longest of them bounds it.
    """
    found: dict[str, dict[str, Any]] = {}
    longest: dict[str, float] = {}
    for layer, frequency in zip(layers, frequencies, strict=True):
        name = f"token.{layer['name']}"
        cycles = layer["cycles"] * frequency
        energy = {part: value * frequency for part, value in layer["energy_uj"].items()}
        own = found.setdefault(name, {**layer, "name": name, "cycles": 0.0, "energy_uj": {}})
        used = own["utilisation"] * own["cycles"] + layer["utilisation"] * cycles
        own["cycles"] += cycles
        own["utilisation"] = used / own["cycles"]
        own["energy_uj"] = {part: own["energy_uj"].get(part, 0.0) + e for part, e in energy.items()}
        if cycles > longest.get(name, 0.0):
            longest[name] = cycles
            own["bound"] = layer["bound"]
    return list(found.values())
