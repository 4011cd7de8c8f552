"""What each choice of the search is worth: the search with one choice changed, on generated problems of the set ``train``.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py [--problems train-02 ...] [--variants ...] [--seeds 0 1 ...] [--budget 60]

Shares are the true hypervolume of the largest known, see ``cimbo/benchmarking/generated``. Every metric is learned. Each search
is written to ablation.json as soon as it is made, and is not made again. The summary pairs each variant with the search as it
is, by problem and seed: mean difference, and its 95 % interval clustered by problem (``search_variants.py``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from search_variants import UNCHANGED, Runs, Variant, compared, load, paired, run, save, tasks

from cimbo.benchmarking.generated import generated
from cimbo.optimizer import modelled_units, surrogates
from cimbo.optimizer.evolution import Effort
from cimbo.optimizer.posterior import ScoreModel
from predictors.kinds import BUILT_IN_KINDS

RESULTS_FILE = Path(__file__).with_suffix(".json")
# Every sixth problem of the set, chosen before any search was made.
PROBLEM_NAMES = ("train-02", "train-08", "train-14", "train-20", "train-26", "train-32")
SEEDS = (0, 1, 2, 3, 4)
LEAST_PROBLEMS = 2  # with fewer of them a variant is not summed up: it has no interval
EARLY = 25  # evaluations after which shares are compared, besides the whole budget


def _never_logarithmic(*_: Any) -> bool:
    return False


def _no_shortfall(_: ScoreModel) -> Any:
    """Stands in for ``ScoreModel.shortfall``: nothing lies below the reference."""
    return lambda scores: np.zeros(len(scores))


WITHOUT_POSYNOMIALS = {name: k for name, k in BUILT_IN_KINDS.items() if name != "posynomial"}
VARIANTS = {
    UNCHANGED: Variant(),
    "surrogate: process": Variant(kind="gp"),
    "surrogate: xgboost": Variant(kind="xgboost"),
    "no posynomials": Variant(
        patches=(("predictors.fitting.BUILT_IN_KINDS", WITHOUT_POSYNOMIALS),)
    ),
    "no logarithm": Variant(patches=((f"{surrogates.__name__}.logarithmic", _never_logarithmic),)),
    "no coarse part nor totals": Variant(
        patches=(("predictors.gp.inputs.MAX_UNPOOLED_FEATURES", 10**6),)
    ),
    "candidates: mutants and random designs only": Variant(effort=Effort(100, 0)),
    "candidates below the reference not held back": Variant(
        patches=(("cimbo.optimizer.posterior.ScoreModel.shortfall", _no_shortfall),)
    ),
    "batch of 10": Variant(batch=10),
    "20 designs first": Variant(n_initial=20),
    "5 designs first": Variant(n_initial=5),
    "collapsed designs not drawn in": Variant(
        patches=((f"{modelled_units.__name__}.COLLAPSE_DEVIATIONS", np.inf),)
    ),
    "roles of the chip's genes given": Variant(has_roles=True),
}


def summary(runs: Runs, variants: list[str], budget: int) -> dict[str, Any]:
    """Pair each variant with the search as it is.

    Args:
        runs: All searches.
        variants: Those that are compared.
        budget: Evaluations of a search.

    Returns:
        The problems; by variant the median share ``early`` and at the end (``full``), CPU seconds an
        evaluation, and what ``compared`` says of the differences at the end, and of those after EARLY.
    """
    problems = [problem for problem in runs if UNCHANGED in runs[problem]]
    rows = {}
    for variant in variants:
        if sum(bool(runs[problem].get(variant)) for problem in problems) < LEAST_PROBLEMS:
            continue
        found = [each for problem in problems for each in runs[problem].get(variant, {}).values()]
        row: dict[str, Any] = {
            "early": _median(each["shares"][str(EARLY)] for each in found),
            "full": _median(each["shares"][str(budget)] for each in found),
            "overhead_s": _median(each["overhead_s"] for each in found),
            "searches": len(found),
        }
        if variant != UNCHANGED:
            row |= compared(paired(runs, variant, dict.fromkeys(problems, budget)))
            row["after_early"] = compared(paired(runs, variant, dict.fromkeys(problems, EARLY)))
        rows[variant] = row
    return {"problems": problems, "variants": rows}


def _median(values: Iterable[float]) -> float:
    return round(float(np.median(list(values))), 3)


def main() -> None:
    """Make the searches that are asked for and not known, seed by seed, and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--problems", nargs="+", default=list(PROBLEM_NAMES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--budget", type=int, default=60)
    asked = parser.parse_args()
    document = load(RESULTS_FILE)
    if document.get("budget") != asked.budget:
        document = {"budget": asked.budget, "early": EARLY, "runs": {}}
    runs: Runs = document["runs"]
    for task in tasks(asked.problems, asked.variants, asked.seeds):
        of_variant = runs.setdefault(task.problem, {}).setdefault(task.variant, {})
        if str(task.seed) in of_variant:
            continue
        made = run(generated(task.problem), VARIANTS[task.variant], asked.budget, task.seed)
        del made["rows"]
        of_variant[str(task.seed)] = made
        print(f"{task.seed} {task.problem} {task.variant:45} {made}", flush=True)
        document["summary"] = summary(runs, list(VARIANTS), asked.budget)
        save(RESULTS_FILE, document)


if __name__ == "__main__":
    main()
