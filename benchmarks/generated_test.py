"""Search methods on the generated test problems, which no choice of cimbo was made on: one seed, 100 or 200 evaluations.

    OMP_NUM_THREADS=1 python benchmarks/generated_test.py [--budget 100] [--problems test-00 ...] [--methods ...]

A share is the true hypervolume, without noise, of the designs that a method measured, of the largest known
(``cimbo/benchmarking/generated/references.json``). Every metric is learned. Each run is written to generated_test.json as soon
as it is done, and is not run again. At the end: median and worst decile of each method's shares, on how many problems a method
is ahead of cimbo, and mean ranks with the tests of ``cimbo compare``, over the problems on which all these methods ran.

Methods that take seconds for a proposal: ``slow_peers.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.benchmarking import generated, runner, start
from cimbo.benchmarking.method import Measured, Task
from cimbo.benchmarking.ranks import ranking
from cimbo.problem.space import Params

RESULTS_FILE = Path(__file__).with_suffix(".json")
BATCH_SIZE = 5
CHECKPOINTS = (25, 50, 100, 200)
METHODS = ("random", "nsga2", "tpe", "cimbo")
Runs = dict[str, dict[str, dict[str, Any]]]  # budget and problem -> method -> run


def run(name: str, method: str, budget: int, seed: int) -> dict[str, Any]:
    """Search one problem by one method.

    Args:
        name: Name of a generated problem.
        method: Name of a method of ``cimbo compare``.
        budget: How many evaluations.
        seed: Of the method.

    Returns:
        Shares of the best known hypervolume by number of evaluations, and CPU seconds an evaluation.
    """
    problem = generated.generated(name)
    evaluated: list[Params] = []

    def measure(designs: list[Params]) -> list[Measured]:
        evaluated.extend(designs)
        return list(problem.measure(designs))

    peer = start(method, Task(problem.problem, seed))
    _, overhead_s = runner.race(peer, measure, budget, BATCH_SIZE)
    shares = {}
    for n in CHECKPOINTS:
        if n <= budget:
            shares[str(n)] = round(problem.share(evaluated[:n]), 4)
    return {"shares": shares, "overhead_s": round(overhead_s, 3)}


def summary(runs: Runs, methods: list[str], budget: int) -> dict[str, Any]:
    """Summarise the problems on which all methods ran.

    Args:
        runs: All runs.
        methods: The methods to compare.
        budget: Which runs.

    Returns:
        By number of evaluations: how many problems, and of each method its median share, worst decile, mean
        rank, the corrected chance that it is no worse than the first, and how often it is ahead of cimbo.
        By number of objectives: CPU seconds that cimbo takes an evaluation.
    """
    complete = []
    taken_s: dict[str, list[float]] = {}
    for place, found in runs.items():
        if place.startswith(f"{budget}:") and all(method in found for method in methods):
            complete.append(found)
            n_objectives = len(generated.generated(place.split(":")[1]).objectives)
            if "cimbo" in found:
                taken_s.setdefault(str(n_objectives), []).append(found["cimbo"]["overhead_s"])
    by_checkpoint = {}
    for n in CHECKPOINTS:
        if n <= budget and complete:
            shares = {m: [found[m]["shares"][str(n)] for found in complete] for m in methods}
            by_checkpoint[str(n)] = _compared(shares)
    overhead = {}
    for n_objectives, seconds in sorted(taken_s.items()):
        overhead[n_objectives] = {
            "problems": len(seconds),
            "median": float(np.median(seconds)),
            "most": max(seconds),
        }
    return {"problems": len(complete), "after": by_checkpoint, "cimbo_overhead_s": overhead}


def _compared(shares: dict[str, list[float]]) -> dict[str, Any]:
    """Median, worst decile and rank of each method, best rank first."""
    ranked = ranking(shares)
    rows = {}
    for method, rank, p in zip(ranked.methods, ranked.mean_rank, ranked.worse_p, strict=True):
        values = np.array(shares[method])
        rows[method] = {
            "median": round(float(np.median(values)), 3),
            "worst_decile": round(float(np.quantile(values, 0.1)), 3),
            "mean_rank": round(rank, 2),
            "p_not_worse_than_first": p,
        }
        if "cimbo" in shares:
            rows[method]["ahead_of_cimbo"] = int((values > np.array(shares["cimbo"])).sum())
    return {
        "methods": rows,
        "friedman_p": ranked.friedman_p,
        "critical_difference": ranked.critical_difference,
    }


def main() -> None:
    """Run what is asked for and not known, problem by problem, and print the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--problems", nargs="+", default=generated.names("test"))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    document: dict[str, Any] = {"runs": {}}
    if RESULTS_FILE.exists():
        document = json.loads(RESULTS_FILE.read_text())
    runs: Runs = document["runs"]
    for name in asked.problems:
        found = runs.setdefault(f"{asked.budget}:{name}:{asked.seed}", {})
        for method in asked.methods:
            if method in found:
                continue
            found[method] = run(name, method, asked.budget, asked.seed)
            print(name, method, found[method], flush=True)
            RESULTS_FILE.write_text(json.dumps(document, indent=1) + "\n")
    place = f"summary_{asked.budget}"
    if len(asked.methods) != len(METHODS):
        place += f"_of_{len(asked.methods)}_methods"
    document[place] = summary(runs, asked.methods, asked.budget)
    RESULTS_FILE.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document[place], indent=1))


if __name__ == "__main__":
    main()
