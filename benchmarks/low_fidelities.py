"""Searches that try a short run of a simulator first, against searches that make every run in full: a simulation.

    OMP_NUM_THREADS=1 python benchmarks/low_fidelities.py [--problems train-08] [--seeds 5]    # writes low_fidelities.json

Problems are generated ones of the set ``train`` (`cimbo.benchmarking.generated`). Their latency and energy are those of a long
run. A short run costs a tenth of it. It misses a part of both: of a latency L it gives .8 L^.95 in the problem's unit, times a
log-normal error that belongs to the design. The accuracy and the area are the same in both runs. Hypervolumes are those of
the designs measured in full, by true metrics, as shares of the largest known.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo import Study
from cimbo.benchmarking.generated import GeneratedProblem, generated
from cimbo.evaluation.fingerprint import Fingerprint
from cimbo.evaluation.low_fidelity import LowFidelities, LowFidelity
from cimbo.evaluation.whole import WholeEvaluator
from cimbo.problem.objectives import Metrics
from cimbo.problem.space import Params, canonical_key
from cimbo.storage import Record

RESULTS_FILE = Path(__file__).with_suffix(".json")
PROBLEMS = ("train-08",)
SHORT_CYCLES, LONG_CYCLES = 100, 1000
SHORT_COST = SHORT_CYCLES / LONG_CYCLES
SIMULATED_COSTS = ("latency_ms", "energy_uj")
BIAS_FACTOR, BIAS_EXPONENT = 0.8, 0.95
SHORT_RUN_STD = 0.05  # of the logarithm
BATCH_SIZE = 5


class SimulatedRuns(WholeEvaluator):
    """A simulator of a generated problem whose runs have a length."""

    def __init__(self, problem: GeneratedProblem, *, short_first: bool) -> None:
        super().__init__()
        self.fixed = {"cycles": LONG_CYCLES}
        self.n_runs = {SHORT_CYCLES: 0, LONG_CYCLES: 0}
        self._problem = problem
        if short_first:
            short = LowFidelity({"cycles": SHORT_CYCLES}, SHORT_COST)
            self.low_fidelities = LowFidelities("evaluator", (short,))

    def _evaluate(self, design: Params) -> Mapping[str, float]:
        """The metrics of a design by a run of the length that it is told."""
        genes = {name: value for name, value in design.items() if name != "cycles"}
        self.n_runs[design["cycles"]] += 1
        metrics = self._problem.measure([genes])[0]
        if design["cycles"] == LONG_CYCLES:
            return metrics
        rng = np.random.default_rng(zlib.crc32(canonical_key(genes).encode()))
        for name in SIMULATED_COSTS:
            error = np.exp(SHORT_RUN_STD * rng.standard_normal())
            if name in metrics:
                metrics[name] = float(BIAS_FACTOR * metrics[name] ** BIAS_EXPONENT * error)
        return metrics

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def fingerprint(self) -> Fingerprint:
        """What it is."""
        return {"evaluator": {"problem": self._problem.name}}

    @property
    def cost(self) -> float:
        """What all runs cost, a long one taken as 1."""
        return self.n_runs[LONG_CYCLES] + SHORT_COST * self.n_runs[SHORT_CYCLES]


def search(name: str, seed: int, budget: int, *, short_first: bool) -> dict[str, Any]:
    """Search a problem.

    Args:
        name: A generated problem.
        seed: Of the search.
        budget: How many designs.
        short_first: Whether a short run comes before the long one.

    Returns:
        ``cost`` in long runs; ``share`` of the largest known hypervolume; ``shares`` after each design; ``stopped``
        designs; ``contradicted`` ones of the front, of which a long run says something else; ``deviations``, the
        differences of stopped designs from a long run in stated standard deviations.
    """
    problem = generated(name)
    evaluator = SimulatedRuns(problem, short_first=short_first)
    space, objectives = problem.problem.space, problem.objectives
    with Study.open(None, space, objectives, seed=seed) as study:
        study.optimize(evaluator, budget=budget, batch_size=BATCH_SIZE, listener=None)
        records = study.evaluations()
        front = study.pareto()
    full: list[Params] = []
    shares, deviations = [], []
    for record in records:
        if is_stopped(record):
            deviations += _deviations(record, problem.measure([record.params])[0])
        else:
            full.append(record.params)
        shares.append(round(problem.share(full), 4))
    contradicted = 0
    for record in front:
        contradicted += dict(record.metrics) != problem.measure([record.params])[0]
    return {
        "cost": round(evaluator.cost, 2),
        "share": shares[-1],
        "shares": shares,
        "stopped": len(records) - len(full),
        "contradicted": contradicted,
        "deviations": deviations,
    }


def is_stopped(record: Record) -> bool:
    """Whether a design has a short run alone."""
    return record.metrics.get("latency_ms_fidelity", 1.0) < 1.0


def _deviations(record: Record, full: Metrics) -> list[float]:
    """By how many stated standard deviations a stopped design differs from a long run."""
    found = []
    for name in SIMULATED_COSTS:
        std = record.metrics.get(f"{name}_std", 0.0)
        if std > 0:
            found.append(round((full[name] - record.metrics[name]) / std, 2))
    return found


def summary(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Pair the searches of a problem and seed.

    Args:
        runs: ``problem seed`` -> the search with long runs alone (``long``) and that with ``short_first``.

    Returns:
        By problem, medians over the seeds: the share of the cost; shares of the largest known hypervolume, also that of long
        runs alone for the same cost; the ratio of the hypervolumes and its least; and designs of fronts that are
        contradicted, of all seeds.
    """
    found = {}
    for name in dict.fromkeys(key.split()[0] for key in runs):
        own = [run for key, run in runs.items() if key.split()[0] == name]
        short = [run["short_first"] for run in own]
        long = [run["long"] for run in own]
        ratios, same_cost = [], []
        for a, b in zip(short, long, strict=True):
            ratios.append(a["share"] / b["share"])
            same_cost.append(b["shares"][min(round(a["cost"]), len(b["shares"])) - 1])
        deviations = np.concatenate([run["deviations"] for run in short])
        found[name] = {
            "seeds": len(own),
            "cost": _median([a["cost"] / b["cost"] for a, b in zip(short, long, strict=True)]),
            "share_long": _median([run["share"] for run in long]),
            "share_short_first": _median([run["share"] for run in short]),
            "share_long_same_cost": _median(same_cost),
            "ratio": _median(ratios),
            "ratio_least": round(min(ratios), 4),
            "std_of_deviations": round(float(np.sqrt(np.mean(deviations**2))), 3),
            "contradicted": sum(run["contradicted"] for run in short),
        }
    return found


def _median(values: list[float]) -> float:
    return round(float(np.median(values)), 4)


def main() -> None:
    """Make the searches that are not in the file yet, seed by seed, and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=60)
    asked = parser.parse_args()
    document: dict[str, Any] = {"budget": asked.budget, "short_cost": SHORT_COST, "runs": {}}
    if RESULTS_FILE.exists():
        document = json.loads(RESULTS_FILE.read_text())
    runs = document["runs"]
    for seed in range(asked.seeds):
        for name in asked.problems:
            key = f"{name} {seed}"
            if key in runs:
                continue
            runs[key] = {
                "long": search(name, seed, asked.budget, short_first=False),
                "short_first": search(name, seed, asked.budget, short_first=True),
            }
            short = runs[key]["short_first"]
            print(key, runs[key]["long"]["share"], short["share"], short["cost"], flush=True)
            document["summary"] = summary(runs)
            RESULTS_FILE.write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
