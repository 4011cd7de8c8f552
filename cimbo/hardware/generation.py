"""Costs of a whole request to a language model, from those of its two phases.

A request is one run over the prompt and a loop of steps, each of which generates one token. The
loop is represented by a *mean step*, whose costs are the average over all steps.
"""

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
    """Add the costs of one run over the prompt and of ``tokens`` steps of one token each.

    Args:
        prompt: Costs of the runs over prompts as ``simulate_batch`` returns them, (n,) each.
        step: Costs of mean steps, in the same form.
        tokens: Number of steps of each (network, chip) pair, (n,) or one number for all.
        batch: Sequences that are generated at once, (n,) or one number for all.

    Returns:
        The same columns for the whole request, (n,) each, and ``GENERATION_METRICS``: from the
        steps alone, tokens of all sequences per second, and energy and DRAM traffic per token; and
        the time to the first token, which is that of the prompt.
    """
    # What does not add up (area, clock, ...) is the same in both phases.
    total: dict[str, Any] = dict(step)
    for name, value in step.items():
        if name in SUMMED_COSTS or name.startswith("energy_uj."):
            total[name] = prompt[name] + tokens * value
    prompt_busy = prompt["utilisation"] * prompt["cycles"]
    step_busy = step["utilisation"] * step["cycles"]
    return total | {
        "utilisation": (prompt_busy + tokens * step_busy) / total["cycles"],
        "resident": prompt["resident"] & step["resident"],
        "is_bound": prompt["is_bound"] | step["is_bound"],
        "tokens_per_s": 1e3 * batch / step["interval_ms"],
        "energy_per_token_uj": step["energy_uj"] / batch,
        "dram_bytes_per_token": step["dram_bytes"] / batch,
        "time_to_first_token_ms": prompt["latency_ms"],
    }


def loop_layers(layers: list[dict[str, Any]], frequencies: list[float]) -> list[dict[str, Any]]:
    """Add up each layer of the token loop over all steps.

    The cache grows during the loop, so the mean step lists an attention layer several times under
    one name, each with another length of the cache. They are merged into one entry here.

    Args:
        layers: The mean step's layers as ``simulate`` returns them.
        frequencies: How often each of them runs in all steps together.

    Returns:
        One entry for each name, in order, called "token.NAME": cycles and energy of all steps, and
        as ``bound`` that of the variant that takes the most cycles.
    """
    totals: dict[str, dict[str, Any]] = {}
    longest: dict[str, float] = {}
    for layer, frequency in zip(layers, frequencies, strict=True):
        name = f"token.{layer['name']}"
        cycles = layer["cycles"] * frequency
        total = totals.setdefault(name, {**layer, "name": name, "cycles": 0.0, "energy_uj": {}})
        # The utilisation of the entry is the mean over its cycles.
        busy_cycles = total["utilisation"] * total["cycles"] + layer["utilisation"] * cycles
        total["cycles"] += cycles
        total["utilisation"] = busy_cycles / total["cycles"]
        for part, value in layer["energy_uj"].items():
            total["energy_uj"][part] = total["energy_uj"].get(part, 0.0) + value * frequency
        if cycles > longest.get(name, 0.0):
            longest[name] = cycles
            total["bound"] = layer["bound"]
    return list(totals.values())
