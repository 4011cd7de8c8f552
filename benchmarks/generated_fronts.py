"""References and best known hypervolumes of the generated problems, by long searches on the true functions.

    python benchmarks/generated_fronts.py [--sets train test] [--again]      # writes generated/references.json of the package

Each problem is searched twice by NSGA-II, in natural units and with costs as logarithms, the second search started
from the front of the first: 2 x 60,400 evaluations without noise. What any search of ours found beyond that was not
used to raise it, so that shares a little above one are possible.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.benchmarking import generated
from cimbo.benchmarking.generated import GeneratedProblem
from cimbo.optimizer import evolution
from cimbo.problem.pareto import hypervolume, non_dominated
from cimbo.problem.space import Rows

Array = NDArray[np.float64]
POPULATION, GENERATIONS = 400, 150


class _Archive:
    """What a search met above the reference, as natural scores and rows."""

    def __init__(self, problem: GeneratedProblem) -> None:
        natural = problem.problem.reference()
        assert natural is not None
        self._problem, self._reference = problem, natural
        self._scores: list[Array] = []
        self._rows: list[Rows] = []

    def score(self, rows: Rows, *, log: bool) -> tuple[Array, Array]:
        """Scores to be maximised and how far below the reference they lie."""
        found = self._problem.true_metrics(rows)
        natural = np.stack([o.sign * found[o.name] for o in self._problem.objectives], 1)
        above = (natural > self._reference).all(1)
        self._scores.append(natural[above])
        self._rows.append(rows[above])
        scores, floor = _logarithms(natural), _logarithms(self._reference[None])[0]
        unit = np.maximum(np.abs(floor), 1e-9)
        return (scores if log else natural), (np.maximum(floor - scores, 0) / unit).sum(1)

    def front(self) -> tuple[Array, Rows]:
        """Non-dominated scores (k, m) and their rows."""
        scores, rows = np.concatenate(self._scores), np.concatenate(self._rows)
        best = non_dominated(scores) if len(scores) else np.zeros(0, bool)
        return scores[best], rows[best]


def _logarithms(natural: Array) -> Array:
    """Costs, which are negative scores, as logarithms."""
    return np.where(natural < 0, -np.log(np.maximum(-natural, 1e-300)), natural)


def searched(name: str) -> dict[str, Any]:
    """What ``references.json`` says of a problem."""
    problem = generated.draw(name)
    space = problem.blueprint.space
    archive, rng = _Archive(problem), np.random.default_rng(1)
    effort = evolution.Effort(POPULATION, GENERATIONS)
    seeds = space.rows([])
    for log in (True, False):
        evolution.search(
            space,
            lambda rows, log=log: archive.score(rows, log=log),
            seeds,
            rng=rng,
            effort=effort,
            pin=lambda rows: rows,
        )
        seeds = archive.front()[1]
        seeds = seeds[rng.permutation(len(seeds))[:POPULATION]]
    scores, _ = archive.front()
    best = hypervolume(problem.scaled(scores), problem.reference)
    return {
        "references": {o.name: o.reference for o in problem.objectives},
        "best": float(f"{best:.6g}"),
        "front": len(scores),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="+", default=list(generated.PROBLEM_SETS))
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    file = generated.REFERENCES_FILE
    known = json.loads(file.read_text()) if file.exists() else {}
    for name in [n for which in asked.sets for n in generated.names(which)]:
        if name in known and not asked.again:
            continue
        start = time.process_time()
        known[name] = searched(name)
        print(name, known[name], f"{time.process_time() - start:.1f} s", flush=True)
        lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(known.items())]
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
