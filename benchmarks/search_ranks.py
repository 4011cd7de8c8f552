"""Mean ranks of search methods over two sets of problems at once: generated ones and CIM-NAS-Bench.

    python benchmarks/search_ranks.py        # reads what the two benchmarks wrote, and writes search_ranks.json

A problem counts once, with the median over its seeds. Generated test problems are those of ``generated_test.py`` on which all
methods made 200 evaluations; the searches of CIM-NAS-Bench end after 50.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from cimbo.benchmarking.ranks import ranking

HERE = Path(__file__).parent
METHODS = ("random", "nsga2", "moead", "tpe", "linas", "cimbo")
CHECKPOINTS = (50, 100, 200)
Results = dict[str, dict[str, float]]  # problem -> method -> result


def generated_results(after: int) -> Results:
    """Shares on generated test problems after so many evaluations."""
    runs = _read("generated_test.json")["runs"]
    found: Results = {}
    for place, methods in runs.items():
        budget, problem, _ = place.split(":")
        if budget == "200" and all(method in methods for method in METHODS):
            found[problem] = {m: methods[m]["shares"][str(after)] for m in METHODS}
    return found


def bench_results(after: int) -> Results:
    """Shares on CIM-NAS-Bench after so many evaluations, the median over seeds; nothing where they ended before."""
    shares: dict[str, dict[str, list[float]]] = {}
    for place, run in _read("cim_nas_bench_peers.json")["runs"].items():
        problem, method, _ = place.split()
        if method in METHODS and after in run["at"]:
            share = run["share"][run["at"].index(after)]
            shares.setdefault(problem, {}).setdefault(method, []).append(share)
    found: Results = {}
    for problem, methods in shares.items():
        if all(method in methods for method in METHODS):
            found[problem] = {m: median(methods[m]) for m in METHODS}
    return found


def _read(name: str) -> Any:
    return json.loads((HERE / name).read_text())


def main() -> None:
    """Rank after each number of evaluations, over the problems that were searched so far by all methods."""
    document = {}
    for after in CHECKPOINTS:
        sets = {
            "generated": generated_results(after),
            "cim_nas_bench": bench_results(after),
        }
        results = [r for found in sets.values() for r in found.values()]
        table = {method: [r[method] for r in results] for method in METHODS}
        document[str(after)] = {
            "problems": {name: len(found) for name, found in sets.items()},
            "ahead_of_cimbo": {
                m: sum(r[m] > r["cimbo"] for r in results) for m in METHODS if m != "cimbo"
            },
            **ranking(table).to_json(),
        }
    (HERE / "search_ranks.json").write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
