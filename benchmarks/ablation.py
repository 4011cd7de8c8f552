"""What each choice of the search is worth: the search with one choice changed, on generated problems of the set ``train``.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py [--problems train-02 ...] [--variants ...] [--budget 100]

Shares are the true hypervolume of the largest known after half and all of the budget, see ``cimbo/benchmarking/generated``.
Every metric is learned unless the variant says otherwise. Each search is written to ablation.json as soon as it is made, and
is not made again. The summary pairs each variant with the search as it is on the same problem: mean difference after all
evaluations, and its 95 % interval (Student's t over problems).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy.stats import t as student_t

from cimbo.benchmarking import generated
from cimbo.benchmarking.generated import GeneratedProblem
from cimbo.optimizer import modelled_units, surrogates
from cimbo.optimizer.evolution import Effort
from cimbo.optimizer.recommend import Search, State, recommend
from cimbo.optimizer.surrogates import SurrogateFactory
from cimbo.problem.space import Params

RESULTS_FILE = Path(__file__).with_suffix(".json")
# Every sixth problem of the set, chosen before any search was made.
PROBLEM_NAMES = ("train-02", "train-08", "train-14", "train-20", "train-26", "train-32")
UNCHANGED = "as it is"
CONFIDENCE = 0.95
Runs = dict[str, dict[str, dict[str, float]]]  # problem -> variant -> shares and seconds


@dataclass(frozen=True)
class Variant:
    """The search with a choice made otherwise.

    Attributes:
        kind: Of the surrogates.
        batch: Designs chosen at a time.
        effort: Of the search for candidates; None as it is.
        patches: What nobody can configure: where it stands, and what takes its place.
        n_initial: Designs before the first surrogate.
        is_latency_known: Latency is computed, without noise.
        seed: Of the search.
    """

    kind: str = "auto"
    batch: int = 5
    effort: Effort | None = None
    patches: tuple[tuple[str, Any], ...] = ()
    n_initial: int = 10
    is_latency_known: bool = False
    seed: int = 0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Make the choices that nobody can configure otherwise."""
        with ExitStack() as changed:
            for place, changed_value in self.patches:
                changed.enter_context(mock.patch(place, changed_value))
            yield


def _never_logarithmic(*_: Any) -> bool:
    return False


VARIANTS = {
    UNCHANGED: Variant(),
    "as it is, another seed": Variant(seed=1),
    "surrogate: process": Variant(kind="gp"),
    "no logarithm": Variant(patches=((f"{surrogates.__name__}.logarithmic", _never_logarithmic),)),
    "no coarse part nor totals": Variant(
        patches=(("predictors.gp.inputs.MAX_UNPOOLED_FEATURES", 10**6),)
    ),
    "candidates: mutants and random designs only": Variant(effort=Effort(100, 0)),
    "20 designs first": Variant(n_initial=20),
    "batch of 10": Variant(batch=10),
    "surrogate: xgboost": Variant(kind="xgboost"),
    "collapsed designs not drawn in": Variant(
        patches=((f"{modelled_units.__name__}.COLLAPSE_DEVIATIONS", np.inf),)
    ),
    "latency computed": Variant(is_latency_known=True),
}


def run(problem: GeneratedProblem, variant: Variant, budget: int) -> dict[str, float]:
    """Search one problem.

    Args:
        problem: What is searched.
        variant: How.
        budget: How many evaluations.

    Returns:
        The shares after ``half`` and all (``full``) of the budget, and CPU seconds an evaluation.
    """
    space = problem.problem.space

    def latency_ms(designs: list[Params]) -> Any:
        return problem.true_metrics(space.rows(designs))["latency_ms"]

    computed = {"latency_ms": latency_ms} if variant.is_latency_known else {}
    factory = SurrogateFactory(space, variant.kind, {}, computed)
    search = Search(problem.problem, factory, variant.n_initial, {}, variant.effort)
    designs: list[Params] = []
    measured: list[dict[str, float]] = []
    spent_s = 0.0
    while len(designs) < budget:
        started = time.process_time()
        n = min(variant.batch, budget - len(designs))
        state = State.of(space, designs, measured)
        found = [c.params for c in recommend(search, state, n, seed=variant.seed).candidates]
        spent_s += time.process_time() - started
        designs += found
        measured += problem.measure(found)
    return {
        "half": round(problem.share(designs[: budget // 2]), 4),
        "full": round(problem.share(designs), 4),
        "overhead_s": round(spent_s / budget, 3),
    }


def summary(runs: Runs, variants: list[str]) -> dict[str, Any]:
    """Pair each variant with the search as it is.

    Args:
        runs: All searches.
        variants: Those that are compared.

    Returns:
        The problems on which all of them ran, and by variant the median shares, CPU seconds an
        evaluation, and the mean difference with its interval.
    """
    problems = [p for p, found in runs.items() if all(v in found for v in variants)]
    rows = {}
    for variant in variants:
        half, full, seconds = (
            np.array([runs[p][variant][key] for p in problems])
            for key in ("half", "full", "overhead_s")
        )
        gaps = full - np.array([runs[p][UNCHANGED]["full"] for p in problems])
        rows[variant] = {
            "half": round(float(np.median(half)), 3),
            "full": round(float(np.median(full)), 3),
            "overhead_s": round(float(np.median(seconds)), 3),
            "difference": round(float(gaps.mean()), 3),
            "interval": round(_interval(gaps), 3),
            "better": int((gaps > 0).sum()),
        }
    return {"problems": problems, "variants": rows}


def _interval(gaps: np.ndarray[Any, Any]) -> float:
    """Half the width of the confidence interval of a mean, by Student's t."""
    n = len(gaps)
    if n < 2:
        return float("inf")
    quantile = float(student_t.ppf((1.0 + CONFIDENCE) / 2.0, n - 1))
    return quantile * float(gaps.std(ddof=1)) / n**0.5


def main() -> None:
    """Make the searches that are asked for and not known, problem by problem, and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--problems", nargs="+", default=list(PROBLEM_NAMES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--budget", type=int, default=100)
    asked = parser.parse_args()
    document: dict[str, Any] = {"budget": asked.budget, "runs": {}}
    if RESULTS_FILE.exists():
        known = json.loads(RESULTS_FILE.read_text())
        if known["budget"] == asked.budget:
            document = known
    runs: Runs = document["runs"]
    for name in asked.problems:
        found = runs.setdefault(name, {})
        for variant in asked.variants:
            if variant in found:
                continue
            with VARIANTS[variant].applied():
                found[variant] = run(generated.generated(name), VARIANTS[variant], asked.budget)
            print(f"{name} {variant:45} {found[variant]}", flush=True)
            if all(v in found for v in asked.variants):
                document["summary"] = summary(runs, asked.variants)
            RESULTS_FILE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
