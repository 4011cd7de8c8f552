"""What each choice of the proposal loop is worth: the loop with one choice changed, equal budget.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py [--problem NAME] [--budget N] [--seeds N]     # writes ablation.json

Shares of the best hypervolume known (see problems.py) after half and all of the budget, median over the seeds, and CPU seconds
of overhead an evaluation. With few seeds differences under 0.05 say nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from problems import PROBLEMS, Problem

from cimbo.optimizer import surrogates
from cimbo.optimizer.evolution import Effort
from cimbo.optimizer.recommend import N_PER_ROUND, Search, State, recommend
from cimbo.optimizer.surrogates import SurrogateFactory, View
from cimbo.problem import objectives


@dataclass(frozen=True)
class Variant:
    """``cheap``: latency is computed. ``views``: accuracy is known to depend on fewer genes. ``log``: costs on a log scale.

    ``shared``: genes that layers share by name are learned in total too. ``each``: how long the acquisition's list is.
    """

    kind: str = "auto"
    batch: int = 5
    effort: Effort | None = None
    log: bool = True
    shared: bool = True
    each: int = N_PER_ROUND
    initial: int = 10
    cheap: bool = False
    views: Callable[[Problem], dict[str, View]] = lambda _: {}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The choices that nobody can configure, made otherwise."""
        with mock.patch("cimbo.optimizer.recommend.N_PER_ROUND", self.each), ExitStack() as changed:
            if not self.log:
                changed.enter_context(
                    mock.patch.object(surrogates, "logarithmic", return_value=False)
                )
            if not self.shared:
                changed.enter_context(
                    mock.patch("predictors.gp.inputs.MAX_UNPOOLED_FEATURES", 10**6)
                )
            yield


def factorised(problem: Problem) -> dict[str, View]:
    """Accuracy depends on the network, and on the two chip genes that make the converter clip."""
    network = {c.name for c in problem.space.architecture} | {"resolution"} & set(
        problem.space.names
    )
    return {"accuracy": View(frozenset(network | {"rows", "adc_bits"}))}


VARIANTS = {
    "as it is": Variant(),
    "surrogate: process": Variant(kind="gp"),
    "surrogate: hybrid": Variant(kind="hybrid"),
    "surrogate: xgboost": Variant(kind="xgboost"),
    "surrogate: posynomial whatever its error": Variant(kind="posynomial"),
    "no logarithm": Variant(log=False),
    "no coarse part nor totals": Variant(shared=False),
    "half as long a list for the acquisition": Variant(each=N_PER_ROUND // 2),
    "20 designs first": Variant(initial=20),
    "candidates: mutants and random designs only": Variant(effort=Effort(100, 0)),
    "candidates: 40 generations": Variant(effort=Effort(100, 40)),
    "batch of 1": Variant(batch=1),
    "batch of 10": Variant(batch=10),
    "accuracy factorised": Variant(views=factorised),
    "latency computed": Variant(cheap=True),
}


def run(problem: Problem, variant: Variant, budget: int, seed: int) -> tuple[float, float, float]:
    """Share after half and all of the budget, CPU seconds an evaluation."""
    space = problem.space
    cheap = {"latency_ms": problem.cheap["latency_ms"]} if variant.cheap else {}
    factory = SurrogateFactory(space, variant.kind, variant.views(problem), cheap)
    search = Search(
        objectives.Problem(space, problem.objectives), factory, variant.initial, {}, variant.effort
    )
    designs, metrics, spent = [], [], 0.0
    while len(designs) < budget:
        start = time.process_time()
        found = recommend(
            search,
            State.of(space, designs, metrics),
            min(variant.batch, budget - len(designs)),
            seed=seed,
        )
        spent += time.process_time() - start
        designs += [c.params for c in found.candidates]
        metrics += [problem.evaluate(c.params) for c in found.candidates]
    return problem.share(metrics[: budget // 2]), problem.share(metrics), spent / budget


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--problem", default="chain-36", choices=list(PROBLEMS))
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    table = {}
    for name, variant in VARIANTS.items():
        with variant.applied():
            runs = [
                run(PROBLEMS[asked.problem], variant, asked.budget, seed)
                for seed in range(asked.seeds)
            ]
        half, full, spent = (round(float(np.median(v)), 3) for v in zip(*runs, strict=True))
        table[name] = {"half": half, "full": full, "overhead_s": spent}
        print(f"{name:45} {half:.3f} {full:.3f} {spent:.3f} s", flush=True)
        answer = {
            "problem": asked.problem,
            "budget": asked.budget,
            "seeds": asked.seeds,
            "variants": table,
        }
        (Path(__file__).parent / "ablation.json").write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
