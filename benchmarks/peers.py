"""Search methods side by side: equal budget, several seeds, hypervolume as a share of the best front known.

    python benchmarks/peers.py                                         # what is not in peers.json yet, then the picture
    python benchmarks/peers.py --problems chain-36 --methods cimbo --again

Needs ``pip install 'cimbo[peers]'``. The problems are those of ``problems.py`` (three synthetic joint spaces and a
replay of OFA-MobileNetV3's ImageNet accuracies); for a study of one's own there is
``cimbo compare``. ``cimbo`` models every objective; ``cimbo-exact`` computes the costs, as ``cimbo optimize`` does with cimbo's
own chip model. Methods that take seconds a proposal run fewer evaluations, see ``PLAN``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import problems

from cimbo.benchmarking import runner, start
from cimbo.benchmarking.method import Measured, Task
from cimbo.benchmarking.runner import Band
from cimbo.optimizer.options import OptimizerOptions
from cimbo.plots import curves
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params

HERE = Path(__file__).parent
SUBJECTS = ("chain-36", "chain-56", "transformer-44", "ofa-mobilenet")
# Of which "ofa-mobilenet" runs only where the accuracies are that it replays
KNOWN_PROBLEMS = tuple(dict.fromkeys([*SUBJECTS, *problems.PROBLEMS]))
BATCH = 5
#: method -> evaluations, seeds
PLAN = {
    "random": (200, 5),
    "nsga2": (200, 5),
    "tpe": (100, 5),
    "linas": (100, 5),
    "gp-sampler": (30, 5),
    "botorch": (100, 5),
    "cimbo": (200, 5),
    "cimbo-exact": (200, 5),
}


def run(problem: problems.Problem, method: str, seed: int, budget: int) -> dict[str, Any]:
    """One search: share of the best known hypervolume at the checkpoints, and CPU seconds an evaluation."""
    plain = Problem(problem.space, problem.objectives, problem.constraints)
    guidance = OptimizerOptions(problem.cheap if method == "cimbo-exact" else {})
    peer = start(method.removesuffix("-exact"), Task(plain, seed, guidance))

    def measure(designs: list[Params]) -> list[Measured]:
        found = problem.metrics(problem.space.rows(designs))
        return [
            {name: float(values[i]) for name, values in found.items()} for i in range(len(designs))
        ]

    measured, overhead = runner.race(peer, measure, budget, BATCH)
    at = [n for n in runner.checkpoints(200) if n <= budget]
    shares = (
        runner.anytime(runner.Run(method, seed, measured, overhead), plain, problem.volume, at)
        / problem.best_hypervolume
    )
    return {
        "at": at,
        "share": [round(float(s), 4) for s in shares],
        "overhead_s": round(overhead, 4),
    }


def main() -> None:
    """Run what is asked for and not known, one search at a time, each kept as soon as it is done."""
    options = _options()
    file = HERE / "peers.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    for name in sorted({*options.problems} - problems.PROBLEMS.keys()):
        print(f"{name}: left out, its measured accuracies are not in {problems.MEASURED}")
    for name, method, seed, budget in _wanted(options):
        if name not in problems.PROBLEMS:
            continue
        runs = known.setdefault(name, {}).setdefault(method, {})
        if options.again or str(seed) not in runs:
            runs[str(seed)] = run(problems.PROBLEMS[name], method, seed, budget)
            print(
                f"{name:16} {method:12} seed {seed}: {runs[str(seed)]['share'][-1]:.3f}", flush=True
            )
            file.write_text(_text(known))
    table(known)
    (HERE / "peers.svg").write_text(
        curves.svg([_panel(name, runs) for name, runs in known.items()])
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--problems", nargs="+", default=SUBJECTS, choices=KNOWN_PROBLEMS)
    parser.add_argument("--methods", nargs="+", default=PLAN, choices=list(PLAN))
    parser.add_argument("--seeds", type=int, default=None, help="fewer than PLAN says")
    parser.add_argument("--again", action="store_true", help="also what peers.json has already")
    return parser.parse_args()


def _wanted(options: argparse.Namespace) -> Iterator[tuple[str, str, int, int]]:
    """Seed by seed, so that an early end leaves every method with equally many."""
    for seed in range(max(seeds for _, seeds in PLAN.values())):
        for name in options.problems:
            for method in options.methods:
                budget, seeds = PLAN[method]
                if seed < min(seeds, options.seeds or seeds):
                    yield name, method, seed, budget


def _bands(runs: dict[str, dict[str, Any]]) -> Iterator[Band]:
    for method in sorted(runs, key=list(PLAN).index):
        found = list(runs[method].values())
        shares = np.array([r["share"] for r in found])
        yield Band(
            method,
            np.array(found[0]["at"], float),
            np.median(shares, 0),
            shares.min(0),
            shares.max(0),
        )


def _panel(name: str, runs: dict[str, dict[str, Any]]) -> curves.Panel:
    return curves.Panel(name, "share of the best known hypervolume", list(_bands(runs)))


def table(known: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Median share (least to largest) after 50, 100 and 200 evaluations, and CPU seconds of overhead an evaluation."""
    for name, runs in known.items():
        print(
            f"\n{name}\n{'method':12} seeds  "
            + "".join(f"{n:>20}" for n in (50, 100, 200))
            + f"{'overhead_s':>12}"
        )
        for band in _bands(runs):
            found = runs[band.method]
            cells = [_cell(band, n) for n in (50, 100, 200)]
            overhead = float(np.median([r["overhead_s"] for r in found.values()]))
            print(
                f"{band.method:12} {len(found):5}  "
                + "".join(f"{c:>20}" for c in cells)
                + f"{overhead:12.4f}"
            )


def _cell(band: Band, n: int) -> str:
    if n not in band.at:
        return "-"
    i = int(band.at.searchsorted(n))
    return f"{band.median[i]:.2f} ({band.low[i]:.2f}-{band.high[i]:.2f})"


def _text(known: dict[str, Any]) -> str:
    """A line a run."""
    blocks = []
    for name, methods in known.items():
        inner = []
        for method, runs in methods.items():
            rows = ",\n".join(f"   {json.dumps(seed)}: {json.dumps(r)}" for seed, r in runs.items())
            inner.append(f"  {json.dumps(method)}: {{\n{rows}}}")
        blocks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(inner) + "}")
    return "{\n" + ",\n".join(blocks) + "}\n"


if __name__ == "__main__":
    main()
