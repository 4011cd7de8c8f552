"""What search methods and predictors are worth on CIM-NAS-Bench.

    python benchmarks/cim_nas_bench_scores.py peers [--methods random,cimbo] [--budget 60] [--seeds 3]
    python benchmarks/cim_nas_bench_scores.py peers --methods botorch,gp-sampler --seeds 1 --budget 50 --limit-s 40
    python benchmarks/cim_nas_bench_scores.py predictors [--kinds xgboost,gp,auto]

``peers``: every method searches the tables' problems (`cimbo.benchmarking.cim_nas_bench.problem`), whose true front is known;
what counts is the share of its hypervolume. ``cimbo`` models all objectives, as every other method does; ``cimbo-costs``
computes the costs, as ``cimbo optimize`` does, and models accuracy alone. ``--limit-s`` ends a search after so many CPU seconds
of its method; how many evaluations it came to stands in the file. ``predictors``: accuracies of the last 380 rows
of the random part, predicted from its first 100, 400 and 1,500; ``gp`` is the plain process.

Each run is kept as soon as it is done, in cim_nas_bench_peers.json or cim_nas_bench_predictors.json beside this file; the same
command goes on. At the end of each stands a summary, which is printed too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from slow_peers import TimeLimited

import predictors
from cimbo.benchmarking import cim_nas_bench, runner, start
from cimbo.benchmarking.cim_nas_bench import COSTS
from cimbo.benchmarking.cim_nas_bench.problem import (
    TabularProblem,
    problem_names,
    tabular_problem,
)
from cimbo.benchmarking.method import Task
from cimbo.benchmarking.ranks import ranking
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.space import Params

HERE = Path(__file__).parent
PEERS_FILE = HERE / "cim_nas_bench_peers.json"
PREDICTORS_FILE = HERE / "cim_nas_bench_predictors.json"
METHODS = ("random", "nsga2", "moead", "tpe", "linas", "botorch", "gp-sampler", "cimbo")
COMPUTED_COSTS = "cimbo-costs"
BATCH = 5
CHECKPOINTS = (10, 20, 30, 40, 50, 60, 80, 100)
TRAINING_ROWS = (100, 400, 1500)
PREDICTED_NETWORKS = ("fmnist-vit", "fmnist-mobilenet")
KINDS = ("xgboost", "gp", "auto")


def computed_costs(problem: TabularProblem) -> OptimizerOptions:
    """Options with which cimbo need not model costs."""

    def cost(name: str) -> Callable[[list[Params]], Any]:
        return lambda designs: np.array([m[name] for m in problem.measure(designs)])

    asked = {o.name for o in problem.problem.objectives}
    asked |= {c.metric for c in problem.problem.constraints}
    return OptimizerOptions({name: cost(name) for name in COSTS if name in asked})


def search(name: str, method: str, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Runs one method on one problem.

    Args:
        name: The problem.
        method: The method, or ``cimbo-costs``.
        seed: Its seed.
        asked: Has the budget in evaluations, and a limit in CPU seconds or None.

    Returns:
        Share of the true front's hypervolume after each number of evaluations, and CPU seconds of
        the method itself an evaluation. With a limit also how many evaluations were made.
    """
    found = tabular_problem(name)
    options = OptimizerOptions()
    if method == COMPUTED_COSTS:
        options = computed_costs(found)
    peer = start(method.removesuffix("-costs"), Task(found.problem, seed, options))
    if asked.limit_s is not None:
        peer = TimeLimited(peer, asked.limit_s)
    measured, overhead = runner.race(peer, found.measure, asked.budget, BATCH)
    at = [n for n in CHECKPOINTS if n <= len(measured)]
    run = runner.Run(method, seed, measured, overhead)
    shares = runner.anytime(run, found.problem, found.share, at)
    answer = {"at": at, "share": np.round(shares, 4).tolist(), "overhead_s": round(overhead, 4)}
    if asked.limit_s is not None:
        answer |= {"evaluations": len(measured), "limit_s": asked.limit_s}
    return answer


def searched_problems() -> list[str]:
    """The problems of accuracy and latency, and of all costs; ``public_sets.py`` searches those of energy, too."""
    return [name for name in problem_names() if not name.endswith("-energy")]


def wanted_searches(asked: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Seed by seed, so that an early end leaves every method with equally many."""
    for seed in range(asked.seeds):
        for method in asked.methods.split(","):
            for name in searched_problems():
                yield name, method, seed


def peers(asked: argparse.Namespace) -> None:
    """Runs the searches that are not in the file yet, and summarises all of equal budget."""
    document = _stored(PEERS_FILE)
    runs = document.setdefault("runs", {})
    for name, method, seed in wanted_searches(asked):
        key = f"{name} {method} {seed}"
        if key in runs and _suffices(runs[key], asked):
            continue
        runs[key] = search(name, method, seed, asked)
        print(f"{key}: {json.dumps(runs[key])}", flush=True)
        _store(PEERS_FILE, document)
    document["problems"] = {name: described(name) for name in searched_problems()}
    most = largest_common(runs, asked.budget)
    document["summary"] = summary(most, asked.budget)
    document["summary_of_all_methods"] = summary(runs, asked.budget)
    document["limited"] = summary_of_limited(runs)
    _store(PEERS_FILE, document)
    for name in ("summary", "summary_of_all_methods"):
        for line in document[name]["methods"]:
            print(name, json.dumps(line))
    print("limited", json.dumps(document["limited"]))


def _suffices(run: dict[str, Any], asked: argparse.Namespace) -> bool:
    """Whether a run was made as far as is asked, in evaluations or in CPU seconds."""
    if run["at"] and run["at"][-1] >= asked.budget:
        return True
    return asked.limit_s is not None and run.get("limit_s", 0.0) >= asked.limit_s


def summary_of_limited(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Compares methods that ran for limited CPU seconds with cimbo after as many evaluations.

    Args:
        runs: By problem, method and seed.

    Returns:
        By method: its searches and limit; evaluations made, least and most; CPU seconds an evaluation;
        the median share after the last checkpoint that each search reached, that of cimbo's search
        of the same problem and seed after as many, and how often the method is ahead of it.
    """
    methods: dict[str, list[str]] = {}
    for key, run in runs.items():
        if "limit_s" in run and run["at"]:
            methods.setdefault(key.split()[1], []).append(key)
    found = {}
    for method, keys in methods.items():
        own, others = [], []
        for key in keys:
            name, _, seed = key.split()
            reached = runs[key]["at"][-1]
            cimbo = runs[f"{name} cimbo {seed}"]
            own.append(runs[key]["share"][-1])
            others.append(cimbo["share"][cimbo["at"].index(reached)])
        evaluations = [runs[key]["evaluations"] for key in keys]
        seconds = [runs[key]["overhead_s"] for key in keys]
        found[method] = {
            "searches": len(keys),
            "limit_s": runs[keys[0]]["limit_s"],
            "evaluations_least": min(evaluations),
            "evaluations_most": max(evaluations),
            "overhead_s": round(float(np.median(seconds)), 2),
            "share_median": round(float(np.median(own)), 3),
            "cimbo_share_median": round(float(np.median(others)), 3),
            "ahead_of_cimbo": int((np.array(own) > np.array(others)).sum()),
        }
    return found


def largest_common(runs: dict[str, dict[str, Any]], budget: int) -> dict[str, dict[str, Any]]:
    """The runs of those methods that made most searches of a budget; slow methods make fewer."""
    counts: dict[str, int] = {}
    for key, run in runs.items():
        if budget in run["at"]:
            method = key.split()[1]
            counts[method] = counts.get(method, 0) + 1
    most = max(counts.values())
    return {key: run for key, run in runs.items() if counts.get(key.split()[1]) == most}


def described(name: str) -> dict[str, Any]:
    """What a problem is, for a reader of the file."""
    found = tabular_problem(name)
    return {
        "designs": len(found.rows),
        "front": len(found.front),
        "references": {o.name: o.reference for o in found.problem.objectives},
        "best_volume": found.best_volume,
    }


def summary(runs: dict[str, dict[str, Any]], budget: int) -> dict[str, Any]:
    """Compares the methods at equal budget.

    Args:
        runs: By problem, method and seed.
        budget: Evaluations after which they are compared.

    Returns:
        Share of the true front of each method, and ranks over problems and seeds in common.
    """
    shares: dict[str, dict[str, float]] = {}
    overheads: dict[str, list[float]] = {}
    for key, run in runs.items():
        if budget not in run["at"]:
            continue
        name, method, seed = key.split()
        shares.setdefault(method, {})[f"{name} {seed}"] = run["share"][run["at"].index(budget)]
        overheads.setdefault(method, []).append(run["overhead_s"])
    common = sorted(set.intersection(*(set(found) for found in shares.values())))
    ranked = ranking({method: [found[key] for key in common] for method, found in shares.items()})
    rows = []
    for method, rank, worse in zip(ranked.methods, ranked.mean_rank, ranked.worse_p, strict=True):
        found = np.array([shares[method][key] for key in common])
        row: dict[str, Any] = {"method": method, "mean_rank": round(rank, 2)}
        row["share_median"] = round(float(np.median(found)), 3)
        row["share_least"] = round(float(found.min()), 3)
        row["p_not_worse_than_first"] = worse
        row["overhead_s"] = round(float(np.median(overheads[method])), 3)
        rows.append(row)
    return {
        "evaluations": budget,
        "searches_in_common": len(common),
        "friedman_p": ranked.friedman_p,
        "critical_difference": ranked.critical_difference,
        "methods": rows,
    }


def learned(name: str, kind: str, sizes: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Scores of a kind of predictor on one super-network.

    Args:
        name: The super-network.
        kind: Of `predictors.fit`.
        sizes: How many rows are learned from.

    Yields:
        Rows learned from, and what the predictor is worth on the others.
    """
    bench = cim_nas_bench.load(name)
    most = max(sizes)
    train, test = bench.split(most)
    rows = [each.features() for each in train + test]
    accuracy = np.array([each.accuracy for each in train + test])
    for n in sizes:
        began = time.process_time()
        model = predictors.fit(rows[:n], accuracy[:n], kind=kind, log=False)
        predicted = model.predict(rows[most:])
        seconds = time.process_time() - began
        scores = predictors.score(accuracy[most:], predicted)
        found = {metric: round(float(value), 4) for metric, value in vars(scores).items()}
        yield n, {**found, "cpu_s": round(seconds, 1), "chosen": model.kind}


def learn(asked: argparse.Namespace) -> None:
    """Fits the predictors that are not in the file yet."""
    document = _stored(PREDICTORS_FILE)
    scores = document.setdefault("scores", {})
    spread = document.setdefault("standard_deviation_of_test_rows", {})
    for name in PREDICTED_NETWORKS:
        _, test = cim_nas_bench.load(name).split(1)
        spread[name] = round(float(np.std([each.accuracy for each in test])), 2)
        for kind in asked.kinds.split(","):
            sizes = [n for n in TRAINING_ROWS if f"{name} {kind} {n}" not in scores]
            if not sizes:
                continue
            for n, found in learned(name, kind, sizes):
                scores[f"{name} {kind} {n}"] = found
                print(f"{name} {kind} {n}: {json.dumps(found)}", flush=True)
                _store(PREDICTORS_FILE, document)


def _stored(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    return dict(json.loads(file.read_text(encoding="utf-8")))


def _store(file: Path, document: dict[str, Any]) -> None:
    """Writes a document, an entry a line."""
    parts = []
    for name, value in document.items():
        entries = json.dumps(value)
        if isinstance(value, dict):
            lines = [f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()]
            entries = "{\n" + ",\n".join(lines) + "\n }"
        parts.append(f" {json.dumps(name)}: {entries}")
    file.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    searching = commands.add_parser("peers")
    searching.add_argument("--methods", default=",".join((*METHODS, COMPUTED_COSTS)))
    searching.add_argument("--budget", type=int, default=60, choices=CHECKPOINTS)
    searching.add_argument("--seeds", type=int, default=3)
    searching.add_argument("--limit-s", type=float, default=None, help="CPU seconds of a method")
    learning = commands.add_parser("predictors")
    learning.add_argument("--kinds", default=",".join(KINDS))
    asked = parser.parse_args()
    if asked.command == "peers":
        peers(asked)
    else:
        learn(asked)


if __name__ == "__main__":
    main()
