"""What a proposal costs as a study grows: CPU seconds an evaluation, and the process's largest memory.

    OMP_NUM_THREADS=1 python benchmarks/growth.py     # writes growth.json beside this file

One core, medians of three, batches of 5, the costliest surrogates: accuracy by a process, costs by one that also sees sums
of products.
``between``: conditioning on what is new, search and acquisition, which four proposals of five cost at 200 observations;
``refit``: a proposal that also finds hyper-parameters anew. Beyond 500 rows a surrogate is fitted to 500 chosen ones and told
of the newer ones (at most a tenth), and the posterior is drawn at the 200 evaluated designs nearest the front, so that what
still grows is reading the log.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from cimbo import Choice, Objective, SearchSpace
from cimbo.optimizer.modelled_units import REFIT_GROWTH, refit_size
from cimbo.optimizer.recommend import Search, State, recommend
from cimbo.optimizer.surrogates import SurrogateFactory
from cimbo.problem.objectives import Problem

POINTS = ((200, 60, 2), (2000, 60, 2), (2000, 200, 2), (200, 60, 3), (500, 60, 2), (1000, 60, 2))

REPEATS = 3


def problem(genes: int, objectives: int) -> Problem:
    space = SearchSpace([Choice(f"g{i}", [1, 2, 4, 8]) for i in range(genes)])
    names = ("accuracy", "latency_ms", "area_mm2")[:objectives]
    return Problem(space, tuple(Objective(n, "max" if n == "accuracy" else "min") for n in names))


def measure(rows: np.ndarray[Any, Any]) -> list[dict[str, float]]:
    """Every gene helps and costs; latency has a tail, area grows with half of the genes."""
    values, d = 2.0**rows, rows.shape[1]
    accuracy = 70 + 20 * np.log(values).mean(1) - 3 * (np.diff(rows, axis=1) ** 2).mean(1)
    latency = (
        np.ceil(values[:, : d // 2] / 3).sum(1)
        * np.maximum(values[:, d // 2 :], 3).mean(1)
        / values[:, -1]
    )
    area = 1 + values[:, ::2].mean(1)
    return [
        {"accuracy": a, "latency_ms": t, "area_mm2": s}
        for a, t, s in zip(accuracy, latency, area, strict=True)
    ]


def point(observations: int, genes: int, objectives: int) -> dict[str, float]:
    """CPU seconds an evaluation of one proposal with and one without new hyper-parameters."""
    n = refit_size(observations, REFIT_GROWTH)
    wanted = problem(genes, objectives)
    rows = wanted.space.random_rows(n, np.random.default_rng(0))
    search, spent = Search(wanted, SurrogateFactory(wanted.space, "posynomial")), {}
    designs, metrics = wanted.space.designs(rows), measure(rows)
    for what in ("refit", "between"):
        start = time.process_time()
        chosen = [
            c.params
            for c in recommend(
                search, State.of(wanted.space, designs, metrics), 5, seed=0
            ).candidates
        ]
        spent[f"{what}_s"] = round((time.process_time() - start) / len(chosen), 4)
        designs, metrics = designs + chosen, metrics + measure(wanted.space.rows(chosen))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "observations": n,
        "genes": genes,
        "objectives": objectives,
        **spent,
        "memory_gib": round(memory, 3),
    }


def main() -> None:
    from cimbo.optimizer import acquisition  # noqa: F401  # what is imported once is not what grows

    answer, file = [], Path(__file__).parent / "growth.json"
    for wanted in POINTS:
        runs = [point(*wanted) for _ in range(REPEATS)]
        answer.append({name: sorted(r[name] for r in runs)[REPEATS // 2] for name in runs[0]})
        print(answer[-1], flush=True)
        file.write_text(
            json.dumps({"python": sys.version.split()[0], "points": answer}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
