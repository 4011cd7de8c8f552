"""How many evaluations a second: ours in batches and singly, beside ZigZag where it is installed.

    python benchmarks/throughput.py [--zigzag] [--seconds 5]

One process, one thread. Prints a table and writes throughput.json beside this file. What counts on a machine that others
use as well is evaluations a CPU second; those a second of wall-clock time stand beside them. The ratio to ZigZag is of CPU
seconds of the same run, each ViT-B evaluation against one of the batch.
"""

import argparse
import json
import os
import random
import resource
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from cimbo.hardware import BASELINE_CHIP, chip_choices, simulate, simulate_batch
from cimbo.workloads import network
from cimbo.workloads.layers import Workload


def best_seconds(action: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Fastest of repeated runs, in wall-clock and in CPU seconds: other work on the machine only adds to the first."""
    wall, cpu, end = [], [], time.perf_counter() + seconds
    while not wall or time.perf_counter() < end:
        start, own = time.perf_counter(), time.process_time()
        action()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - own)
    return min(wall), min(cpu)


def sub_networks(name: str, number: int, seed: int = 0) -> list[Workload]:
    family, rng = network(name), random.Random(seed)
    found = []
    for _ in range(number):
        genes: dict = {}
        for choice in family.choices():
            if all(genes.get(parent) in values for parent, values in choice.active_if.items()):
                genes[choice.name] = rng.choice(choice.values)
        found.append(family.workload(genes))
    return found


def chips(number: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {choice.name: rng.choice(choice.values, number) for choice in chip_choices()}


def batches(seconds: float) -> dict[str, dict[str, float]]:
    family = network("vit-b")
    full = family.workload(family.largest())
    some = sub_networks("vit-b", 200)
    for workload in some:
        _ = workload.unique  # a search builds each sub-network once
    cases = {
        "ViT-B on 20,000 chips": (20_000, full, chips(20_000)),
        "200 ViT-B sub-networks x 100 chips": (20_000, some * 100, chips(20_000)),
        "200 MobileNetV3 sub-networks x 50 chips": (
            10_000,
            sub_networks("ofa-mobilenetv3", 200) * 50,
            chips(10_000),
        ),
    }
    result = {}
    for name, (pairs, workloads, table) in cases.items():
        wall, cpu = best_seconds(lambda w=workloads, t=table: simulate_batch(w, t), seconds)
        result[name] = {
            "per_second": pairs / wall,
            "per_cpu_second": pairs / cpu,
            "ms_each": 1e3 * wall / pairs,
        }
    fresh = count(start=1)
    singles = {
        "one ViT-B, a chip seen before": lambda: simulate(full, BASELINE_CHIP),
        "one ViT-B, a new chip": lambda: simulate(
            full, BASELINE_CHIP | {"buffer_gb_s": next(fresh)}
        ),
    }
    for name, action in singles.items():
        wall, cpu = best_seconds(action, seconds)
        result[name] = {"per_second": 1 / wall, "per_cpu_second": 1 / cpu, "ms_each": 1e3 * wall}
    return result


def memory() -> dict[str, float]:
    """Growth of the peak resident set as the batch grows tenfold, per pair, beyond the result arrays themselves."""
    workload = sub_networks("vit-b", 1)[0]
    peaks = {}
    for pairs in (10_000, 100_000):
        result = simulate_batch(workload, chips(pairs))
        peaks[f"{pairs} pairs, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peaks[f"{pairs} pairs, MB of results"] = (
            sum(values.nbytes for values in result.values()) / 2**20
        )
    return peaks


def zigzag() -> dict[str, float]:
    """One ViT-B on one chip, every unique layer once, as ``cimbo simulate --simulator zigzag`` runs it."""
    from cimbo.evaluation.simulators.zigzag import ZigZag

    family = network("vit-b")
    chip = {
        **BASELINE_CHIP,
        "planes": 1,
        "columns_per_adc": 1,
        "cols": 1024,
        "macros_per_pe": 1,
        "pes": 1,
        "buffer_mb": 2,
    }
    wall, cpu = best_seconds(lambda: ZigZag().simulate(family.workload(family.largest()), chip), 0)
    return {"per_second": 1 / wall, "per_cpu_second": 1 / cpu, "ms_each": 1e3 * wall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zigzag", action="store_true", help="run zigzag-dse too (some 10 s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each case")
    options = parser.parse_args()
    rows = batches(options.seconds)
    if options.zigzag:
        rows["ZigZag, ViT-B on one chip"] = zigzag()
    for name, row in rows.items():
        print(f"{name:42s}" + "".join(f"{value:14,.4g} {key}" for key, value in row.items()))
    report: dict = {"rows": rows, "memory": memory()}
    if options.zigzag:
        slow = rows["ZigZag, ViT-B on one chip"]["per_cpu_second"]
        names = [name for name in rows if name.startswith(("ViT-B on", "200 ViT-B"))]
        report["times_faster_than_zigzag"] = {
            name: rows[name]["per_cpu_second"] / slow for name in names
        }
        for name, ratio in report["times_faster_than_zigzag"].items():
            print(f"{name}: {ratio:,.0f} times as many a CPU second as ZigZag")
    print(json.dumps(report["memory"]))
    Path(__file__).with_suffix(".json").write_text(
        json.dumps(report, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
