"""Search methods on three sets of problems that are not ours alone: test functions, CIM-NAS-Bench, published accuracies.

    OMP_NUM_THREADS=1 python benchmarks/public_sets.py [--seeds 3] [--sets ...] [--methods ...]

Sets: ``test_functions``, ZDT and DTLZ on a grid (`cimbo.benchmarking.public_functions`); ``cim_nas_bench``, the six problems on
measured tables; ``published_accuracies``, see ``published_problems.py``. Every metric is learned. A share is the hypervolume
divided by that of the true front, or where none is known by the largest that any run in the file reached.

Each run is written to public_sets.json as soon as it is done, and is not run again. Runs go seed by seed. Ranks:
``search_ranks.py``; methods that take seconds for a proposal: ``slow_peers.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from published_problems import QUESTIONS, published_problem, true_volume

from cimbo.benchmarking import problem_sets, runner, start
from cimbo.benchmarking.cim_nas_bench.problem import problem_names
from cimbo.benchmarking.method import Task
from cimbo.benchmarking.problem_sets import BenchmarkProblem
from cimbo.benchmarking.public_functions import PUBLIC_PROBLEMS, public_front

RESULTS_FILE = Path(__file__).with_suffix(".json")
SETS: dict[str, tuple[str, ...]] = {
    "test_functions": tuple(PUBLIC_PROBLEMS),
    "cim_nas_bench": tuple(problem_names()),
    "published_accuracies": tuple(QUESTIONS),
}
METHODS = ("random", "nsga2", "moead", "tpe", "linas", "cimbo")
BATCH_SIZE = 5
BUDGET = 200
CHECKPOINTS = (25, 50, 100, 150, 200)


def problem_of(name: str) -> BenchmarkProblem:
    """Make a problem of any of the sets."""
    if name in QUESTIONS:
        return published_problem(name)
    return problem_sets.find(name)[0]


def best_volume(name: str) -> float | None:
    """Find the hypervolume of a problem's true front; None where the front is unknown."""
    if name in QUESTIONS:
        return true_volume(name)
    problem = problem_of(name)
    if name not in PUBLIC_PROBLEMS:
        return 1.0  # of the tables, hypervolumes are shares already
    front = [metrics for metrics in problem.measure(public_front(name)) if metrics is not None]
    return problem.volume(front)


def search(name: str, method: str, seed: int) -> dict[str, Any]:
    """Search one problem by one method.

    Args:
        name: The problem.
        method: Name of a method of ``cimbo compare``.
        seed: Of the method.

    Returns:
        Evaluations made; hypervolume after some numbers of them and at the end; CPU seconds of the method an evaluation.
    """
    problem = problem_of(name)
    peer = start(method, Task(problem.problem, seed))
    measured, overhead_s = runner.race(peer, problem.measure, BUDGET, BATCH_SIZE)
    run = runner.Run(method, seed, measured, overhead_s)
    at = [n for n in CHECKPOINTS if n < len(measured)] + [len(measured)]
    volumes = runner.anytime(run, problem.problem, problem.volume, at)
    return {
        "volume": {str(n): float(f"{v:.6g}") for n, v in zip(at, volumes, strict=True)},
        "evaluations": len(measured),
        "overhead_s": round(overhead_s, 4),
    }


def run_all(document: dict[str, Any], asked: argparse.Namespace) -> None:
    """Run what is asked for and not known; seed by seed, so that an early end leaves all methods equally many."""
    runs = document.setdefault("runs", {})
    best = document.setdefault("best_volumes", {})
    for seed in range(asked.seeds):
        for name in asked.problems:
            if name not in best:
                best[name] = best_volume(name)
            for method in asked.methods:
                key = f"{name} {method} {seed}"
                if key in runs:
                    continue
                runs[key] = search(name, method, seed)
                print(key, json.dumps(runs[key]), flush=True)
                store(document)


def store(document: dict[str, Any]) -> None:
    """Write the document, a run a line."""
    parts = []
    for name, entries in document.items():
        lines = []
        for key, entry in entries.items():
            lines.append(f"  {json.dumps(key)}: {json.dumps(entry)}")
        parts.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    RESULTS_FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _asked(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--problems", nargs="+", default=None, help="instead of whole sets")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args(arguments)
    if asked.problems is None:
        asked.problems = [name for which in asked.sets for name in SETS[which]]
    return asked


def main() -> None:
    """Run what is asked for."""
    asked = _asked()
    document: dict[str, Any] = {}
    if RESULTS_FILE.exists():
        document = json.loads(RESULTS_FILE.read_text(encoding="utf-8"))
    run_all(document, asked)
    document["sets"] = {name: list(problems) for name, problems in SETS.items()}
    store(document)


if __name__ == "__main__":
    main()
