"""Mean ranks of search methods over four sets of problems, alone and together, with tests of significance.

    python benchmarks/search_ranks.py        # reads what the benchmarks wrote, and writes search_ranks.json

Sets: generated test problems on which all these methods made 200 evaluations (``generated_test.json``), and the three sets of
``public_sets.py``. A problem counts once, with the median over the seeds that all methods have.

Three tests at 5 %, each of all other methods against cimbo: Nemenyi's critical difference of mean ranks, which counts the
comparisons of the others among themselves too; z-tests of mean ranks with cimbo as the control, two-sided; and Wilcoxon's
signed ranks, one-sided, of `ranking`. The last two are corrected by Holm's method.

Together: all problems of all sets; and once more with one problem of each network, as two of the same network are alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from cimbo.benchmarking.ranks import SIGNIFICANCE_LEVEL, against_control, ranking

HERE = Path(__file__).parent
METHODS = ("random", "nsga2", "moead", "tpe", "linas", "cimbo")
CHECKPOINTS = (50, 100, 200)
PUBLIC_SETS = ("test_functions", "cim_nas_bench", "published_accuracies")
TWIN_ENDINGS = (
    "-costs",
    "-energy",
)  # of problems that share network and chips with one of another ending
FIRST_ENDINGS = ("-latency", "-speed")
Results = dict[str, dict[str, float]]  # problem -> method -> result
Seeds = dict[str, dict[str, dict[str, float]]]  # problem -> method -> seed -> result


def generated_results(after: int) -> Results:
    """Shares on generated test problems after so many evaluations."""
    runs = _read("generated_test.json")["runs"]
    found: Results = {}
    for place, methods in runs.items():
        budget, problem, _ = place.split(":")
        if budget == "200" and all(method in methods for method in METHODS):
            found[problem] = {m: methods[m]["shares"][str(after)] for m in METHODS}
    return found


def public_results(which: str, after: int) -> Results:
    """Hypervolumes on the problems of a public set after so many evaluations."""
    document = _read("public_sets.json")
    seeds: Seeds = {}
    for key, run in document["runs"].items():
        problem, method, seed = key.split()
        if problem in document["sets"][which] and str(after) in run["volume"]:
            own = seeds.setdefault(problem, {}).setdefault(method, {})
            own[seed] = run["volume"][str(after)]
    return medians(seeds)


def medians(seeds: Seeds) -> Results:
    """Take the median over the seeds that all methods have, of problems that all methods searched."""
    found: Results = {}
    for problem, methods in seeds.items():
        if not all(method in methods for method in METHODS):
            continue
        common = set.intersection(*(set(methods[method]) for method in METHODS))
        if common:
            found[problem] = {m: median(methods[m][seed] for seed in common) for m in METHODS}
    return found


def compared(problems: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Rank the methods over problems.

    Args:
        problems: Of each problem the result of each method.

    Returns:
        How many problems; on how many each other method is ahead of cimbo, or as good; mean ranks
        with their tests; and of each test whether it tells cimbo from all other methods, as the better one.
    """
    ahead, level = {}, {}
    for method in METHODS:
        if method != "cimbo":
            ahead[method] = sum(results[method] > results["cimbo"] for results in problems)
            level[method] = sum(results[method] == results["cimbo"] for results in problems)
    table = {method: [results[method] for results in problems] for method in METHODS}
    ranked = ranking(table)
    control_p = against_control(table, "cimbo")
    ranks = dict(zip(ranked.methods, ranked.mean_rank, strict=True))
    second = min(ranks[method] for method in METHODS if method != "cimbo")
    is_first = ranks["cimbo"] < second
    tested = [p for p in ranked.worse_p if p is not None]
    return {
        "problems": len(problems),
        "ahead_of_cimbo": ahead,
        "level_with_cimbo": level,
        **ranked.to_json(),
        "p_of_control": control_p,
        "is_better_than_all": {
            "nemenyi": second - ranks["cimbo"] > (ranked.critical_difference or math.inf),
            "control": is_first and max(control_p.values()) < SIGNIFICANCE_LEVEL,
            "wilcoxon": is_first and max(tested, default=1.0) < SIGNIFICANCE_LEVEL,
        },
    }


def results_by_set(after: int) -> dict[str, Results]:
    """Results of each set after so many evaluations."""
    found = {"generated": generated_results(after)}
    for which in PUBLIC_SETS:
        found[which] = public_results(which, after)
    return found


def has_twin(problem: str, others: Iterable[str]) -> bool:
    """Whether a problem stands beside that of accuracy and speed of the same network and chips."""
    for ending in TWIN_ENDINGS:
        if problem.endswith(ending):
            stem = problem.removesuffix(ending)
            firsts = [f"{stem}{first}" for first in FIRST_ENDINGS]
            return any(other in firsts for other in others)
    return False


def _read(name: str) -> Any:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def main() -> None:
    """Rank after each number of evaluations, over the problems that were searched so far by all methods."""
    document: dict[str, Any] = {}
    for after in CHECKPOINTS:
        sets = results_by_set(after)
        found = {
            name: compared(list(results.values())) for name, results in sets.items() if results
        }
        together = {problem: r for results in sets.values() for problem, r in results.items()}
        single = [r for problem, r in together.items() if not has_twin(problem, together)]
        found["all"] = compared(list(together.values()))
        found["all_without_twins"] = compared(single)
        document[str(after)] = found
    (HERE / "search_ranks.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for after, sets in document.items():
        for name, each in sets.items():
            ranks = ", ".join(f"{m['method']} {m['mean_rank']:.2f}" for m in each["methods"])
            print(after, name, each["problems"], ranks)


if __name__ == "__main__":
    main()
