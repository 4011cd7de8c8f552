"""Tokens a second against energy a token against area: chips for language models, by cimbo's cost model alone.

Chips of the core space and a few more genes are drawn at random, with weights and cache in several bits; what no other beats in
all three is the front. Writes ``decode.json``. No accuracy is measured: how many bits a model bears is not said here.

    python benchmarks/decode.py [--chips 20000]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.hardware import chip_choices, simulate_batch
from cimbo.workloads import network
from cimbo.workloads.inference import InferenceSettings, with_settings

MODELS = ("gpt2-s", "gpt2-m", "llama-3.2-1b", "llama-3-8b")
BATCHES = (1, 8)
PROMPT, TOKENS = 512, 128
MOST_MM2 = 400.0  # of a chip; a large die
MORE_GENES: dict[str, list[Any]] = {
    "weight_bits": [4, 8],
    "kv_bits": [4, 8],
    "dram": ["lpddr4x", "lpddr5", "hbm2", "hbm3"],
    "kv_cache": ["dram", "buffer", "edram"],
    "edram_mb": [4, 16, 64],
}
METRICS = ("tokens_per_s", "energy_per_token_uj", "area_mm2")
SHOWN = (*METRICS, "dram_bytes_per_token", "time_to_first_token_ms", "resident")
KEPT = 12  # designs of each front


def drawn(number: int) -> dict[str, Any]:
    """Columns of random chips without converters' losses: digital arrays, which add up exactly."""
    rng = np.random.default_rng(0)
    genes = {c.name: list(c.values) for c in chip_choices()} | MORE_GENES
    table = {name: rng.choice(values, number) for name, values in genes.items()}
    table["array"] = np.full(number, "digital_sram")
    table["adc_bits"] = np.full(number, 8)
    return table


def front(costs: dict[str, Any], allowed: np.ndarray) -> list[int]:
    """Indices of chips that no other beats in tokens a second, energy and area together, fastest first."""
    signs = (-1, 1, 1)
    values = np.stack(
        [sign * costs[name] for sign, name in zip(signs, METRICS, strict=True)], axis=1
    )
    best: list[int] = []
    for index in np.flatnonzero(allowed)[np.argsort(values[allowed, 0], kind="stable")]:
        if not any((values[other] <= values[index]).all() for other in best):
            best.append(int(index))
    return best


def of_model(name: str, batch: int, table: dict[str, Any]) -> dict[str, Any]:
    """The front of one model at one batch, spread over its tokens a second."""
    family = with_settings(network(name), InferenceSettings(batch, PROMPT, TOKENS))
    start = time.process_time()
    costs = simulate_batch(family.workload(family.largest()), table)
    seconds = time.process_time() - start
    chosen = front(costs, costs["area_mm2"] <= MOST_MM2)
    spread = np.unique(np.linspace(0, len(chosen) - 1, KEPT).round().astype(int))
    rows = []
    for index in (chosen[i] for i in spread):
        row = {metric: float(costs[metric][index]) for metric in SHOWN}
        row |= {gene: values[index].item() for gene, values in table.items()}
        rows.append(row)
    found = {"front_size": len(chosen), "chips_per_cpu_second": len(table["rows"]) / seconds}
    return found | {"front": rows}


def main() -> None:
    """Runs all models and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=20_000)
    table = drawn(parser.parse_args().chips)
    answer: dict[str, Any] = {"prompt": PROMPT, "tokens": TOKENS, "chips": len(table["rows"])}
    for name in MODELS:
        for batch in BATCHES:
            answer[f"{name}, batch {batch}"] = of_model(name, batch, table)
    text = json.dumps(answer, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
