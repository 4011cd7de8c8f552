"""Evaluations a CPU second of layers side by side, and of language models that answer prompts.

    python benchmarks/rates.py [--chips 8000]

One process, one thread; the best of three runs, in CPU seconds, which other work on the machine hardly changes. Chips are
drawn from the core space; language models besides with their cache in the DRAM, the buffer or an embedded DRAM. Writes
rates.json.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from cimbo.hardware import chip_choices, simulate_batch
from cimbo.hardware.kv_cache import CACHE_PLACES
from cimbo.hardware.pipeline_words import DUPLICATION_GOALS
from cimbo.workloads import network
from cimbo.workloads.layers import Workload

PIPELINED = ("fmnist-vit", "fmnist-mobilenet", "vit-b")
GENERATING = ("gpt2-s", "gpt2-m", "llama-3-8b")


def largest(name: str) -> Workload:
    """The largest network of a family."""
    family = network(name)
    return family.workload(family.largest())


def per_cpu_second(workload: Workload, table: dict[str, Any], number: int) -> float:
    """Evaluations a CPU second, the best of three runs."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        simulate_batch(workload, table)
        best = min(best, time.process_time() - start)
    return number / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chips", type=int, default=8000)
    number = parser.parse_args().chips
    rng = np.random.default_rng(0)
    chips: dict[str, Any] = {c.name: rng.choice(c.values, number) for c in chip_choices()}
    rows = []
    for name in PIPELINED:
        workload = largest(name)
        for goal in DUPLICATION_GOALS:
            table = chips | {"execution": "pipelined", "duplication": goal}
            rate = per_cpu_second(workload, table, number)
            rows.append({"network": name, "pipelined": goal, "per_cpu_second": round(rate)})
            print(rows[-1], flush=True)
    places = rng.choice(CACHE_PLACES, number).astype(object)
    for name in GENERATING:
        rate = per_cpu_second(largest(name), chips | {"kv_cache": places}, number)
        rows.append({"network": name, "generates": True, "per_cpu_second": round(rate)})
        print(rows[-1], flush=True)
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps({"chips": number, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
