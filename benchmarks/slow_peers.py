"""Slow search methods on a sample of all four sets of problems: how far each comes, and what cimbo has after as many.

    OMP_NUM_THREADS=1 XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" \\
        python benchmarks/slow_peers.py [--limit-s 10] [--rounds 3] [--methods botorch ...]

The sample was fixed before any of these runs: of each set, in its order, the problems at places 0, a third plus one, and two
thirds. A method ends after 50 evaluations, SMAC3 after 200, or once it has taken its CPU seconds: it is asked for no more
designs then, so that a proposal that takes longer is still counted. One seed; every metric is learned. cimbo is run here
with the same seed, and its curve is read at the number of evaluations that the other method came to.

A share is the hypervolume divided by that of the true front, or where none is known by the largest that any run in
``public_sets.json`` or here reached. Of generated problems it is what ``generated_test.py`` says. Each run is written to
slow_peers.json as soon as it is done, and is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from public_sets import SETS, best_volume, problem_of

from cimbo.benchmarking import generated, runner, start
from cimbo.benchmarking.method import Measured, Peer, Task
from cimbo.problem.space import Params

HERE = Path(__file__).parent
RESULTS_FILE = Path(__file__).with_suffix(".json")
METHODS = ("cimbo", "smac", "botorch", "gp-sampler", "saasbo", "ax", "baybe")
BUDGETS = {"cimbo": 200, "smac": 200}
USUAL_BUDGET = 50
BATCH_SIZE = 5
Document = dict[str, Any]


class TimeLimited:
    """A method that has no more designs once it has taken so many CPU seconds."""

    def __init__(self, peer: Peer, limit_s: float) -> None:
        self._peer, self._end = peer, time.process_time() + limit_s

    def ask(self, n: int) -> list[Params]:
        """Ask the method, while there is time."""
        if time.process_time() > self._end:
            return []
        return self._peer.ask(n)

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Tell the method."""
        self._peer.tell(designs, measured)


def all_sets() -> dict[str, tuple[str, ...]]:
    """All sets of problems by name."""
    return {"generated": tuple(generated.names("test")), **SETS}


def sample(place: int) -> list[str]:
    """One problem of each set.

    Args:
        place: 0, 1 or 2: the first, that a third on and one more, that two thirds on.

    Returns:
        Names of problems.
    """
    problems = []
    for names in all_sets().values():
        places = (0, len(names) // 3 + 1, 2 * len(names) // 3)
        problems.append(names[places[place]])
    return problems


def search(name: str, method: str, limit_s: float) -> dict[str, Any]:
    """Search one problem by one method.

    Args:
        name: The problem.
        method: Name of a method of ``cimbo compare``.
        limit_s: CPU seconds after which no further designs are asked for; cimbo has no limit.

    Returns:
        Evaluations made, the hypervolume after every five of them, CPU seconds of the method an evaluation.
    """
    problem = problem_of(name)
    evaluated: list[Params] = []

    def measure(designs: list[Params]) -> Sequence[Measured]:
        """Measure designs, and keep them."""
        evaluated.extend(designs)
        return problem.measure(designs)

    peer: Peer = start(method, Task(problem.problem, 0))
    if method != "cimbo":
        peer = TimeLimited(peer, limit_s)
    budget = BUDGETS.get(method, USUAL_BUDGET)
    measured, overhead_s = runner.race(peer, measure, budget, BATCH_SIZE)
    at = sorted({*range(BATCH_SIZE, len(measured), BATCH_SIZE), len(measured)})
    if name in generated.names("test"):
        truth = generated.generated(name)
        volumes = [truth.share(evaluated[:n]) for n in at]
    else:
        run = runner.Run(method, 0, list(measured), overhead_s)
        volumes = [float(v) for v in runner.anytime(run, problem.problem, problem.volume, at)]
    return {
        "evaluations": len(measured),
        "limit_s": limit_s,
        "overhead_s": round(overhead_s, 3),
        "volume": {str(n): float(f"{v:.6g}") for n, v in zip(at, volumes, strict=True)},
    }


def largest_volumes(runs: Document) -> dict[str, float]:
    """The hypervolume that is a share of 1, by problem."""
    public = json.loads((HERE / "public_sets.json").read_text(encoding="utf-8"))["runs"]
    largest: dict[str, float] = {}
    for key, run in [*public.items(), *runs.items()]:
        name = key.split()[0]
        largest[name] = max([largest.get(name, 0.0), *run["volume"].values()])
    for name in largest:
        if name in generated.names("test"):
            largest[name] = 1.0
        else:
            largest[name] = best_volume(name) or largest[name]
    return largest


def summary(runs: Document) -> list[dict[str, Any]]:
    """Compare each run with cimbo's after as many evaluations.

    Args:
        runs: All runs, by problem and method.

    Returns:
        A row for each method and problem.
    """
    largest = largest_volumes(runs)
    rows = []
    for method in METHODS[1:]:
        for names in all_sets().values():
            for name in names:
                if f"{name} {method}" in runs and f"{name} cimbo" in runs:
                    rows.append(_beside_cimbo(runs, name, method, largest[name]))
    return rows


def _beside_cimbo(runs: Document, name: str, method: str, largest: float) -> dict[str, Any]:
    """How far a method came on a problem, its share, and cimbo's after as many evaluations."""
    run = runs[f"{name} {method}"]
    n = run["evaluations"]
    curve = runs[f"{name} cimbo"]["volume"]
    at = max(int(each) for each in curve if int(each) <= n)
    return {
        "method": method,
        "problem": name,
        "evaluations": n,
        "overhead_s": run["overhead_s"],
        "share": round(run["volume"][str(n)] / largest, 4),
        "cimbo_share": round(curve[str(at)] / largest, 4),
    }


def store(document: Document) -> None:
    """Write the document, a run or a row a line."""
    runs = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in document["runs"].items()]
    rows = [f"  {json.dumps(row)}" for row in document.get("summary", [])]
    text = ' "runs": {\n' + ",\n".join(runs) + '\n },\n "summary": [\n' + ",\n".join(rows) + "\n ]"
    RESULTS_FILE.write_text("{\n" + text + "\n}\n", encoding="utf-8")


def main() -> None:
    """Run what is not known, a problem of each set at a time, and summarise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=3, help="problems of each set, up to three")
    parser.add_argument("--limit-s", type=float, default=10.0, help="CPU seconds of a method")
    asked = parser.parse_args()
    document: Document = {"runs": {}}
    if RESULTS_FILE.exists():
        document = json.loads(RESULTS_FILE.read_text(encoding="utf-8"))
    for place in range(asked.rounds):
        for name in sample(place):
            for method in asked.methods:
                key = f"{name} {method}"
                if key in document["runs"]:
                    continue
                document["runs"][key] = search(name, method, asked.limit_s)
                print(key, json.dumps(document["runs"][key]), flush=True)
                store(document)
    document["summary"] = summary(document["runs"])
    store(document)


if __name__ == "__main__":
    main()
