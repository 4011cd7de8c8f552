"""Searches that measure an accuracy on a part of the images first, against searches on all images: a simulation.

    OMP_NUM_THREADS=1 python benchmarks/fidelities.py [--networks fmnist-vit] [--seeds 5]    # writes fidelities.json

Designs are those of CIM-NAS-Bench's tables, whose accuracies were measured on 500 images. The measured share is taken as that
of 5,000 images, and which of these are right is drawn, once for each design. So images are simulated; the search, the rule that
stops a measurement, and costs (computed) are those of ``cimbo optimize``. Every evaluation counts its images, also of an
accuracy that was measured before, with another chip.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo import Study
from cimbo.benchmarking.cim_nas_bench.problem import TabularProblem, tabular_problem
from cimbo.evaluation.racing import CountedImages, next_stage_cost, raced
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.fidelity import Race
from cimbo.problem.space import Params, canonical_key

RESULTS_FILE = Path(__file__).with_suffix(".json")
NETWORKS = ("fmnist-vit", "fmnist-mobilenet")
N_IMAGES = 5000
STAGES = (200, 1000)
BATCH_SIZE = 5


class SimulatedImages:
    """Says which images a design classifies rightly: as many as its table says, drawn once."""

    def __init__(self, problem: TabularProblem) -> None:
        self.n_seen = 0
        self._problem = problem

    def image_count(self) -> int:
        """How many images there are."""
        return N_IMAGES

    def count_right(self, design: Mapping[str, Any], first: int, last: int) -> int:
        """Count those of a stretch that are classified rightly."""
        self.n_seen += last - first
        accuracy = self._problem.measure([dict(design)])[0]["accuracy"]
        right = np.arange(N_IMAGES) < round(accuracy / 100.0 * N_IMAGES)
        seed = zlib.crc32(canonical_key(dict(design)).encode())
        order = np.random.default_rng(seed).permutation(N_IMAGES)
        return int(right[order[first:last]].sum())


class Evaluator:
    """Looks costs up, and measures the accuracy in stages."""

    def __init__(self, problem: TabularProblem, stages: tuple[int, ...]) -> None:
        self.images = SimulatedImages(problem)
        self._problem, self._stages = problem, stages
        self._race = Race(problem.problem, ())
        self._counted: dict[str, CountedImages] = {}

    def cost_of_continuing(self, metrics: Mapping[str, float]) -> float | None:
        """Compute what one more stage costs."""
        if not self._stages:
            return None
        return next_stage_cost(CountedImages.of(metrics).seen, self._stages, N_IMAGES)

    def remember(self, design: Params, metrics: Mapping[str, float]) -> None:
        """Take in what was measured before, so that measurements go on from there."""
        self._counted[canonical_key(design)] = CountedImages.of(metrics)

    def race_against(self, race: Race) -> None:
        """Take what the next measurements have to beat."""
        self._race = race

    def __call__(self, design: Params) -> dict[str, float]:
        """Evaluate a design."""
        costs = self._problem.measure([design])[0]
        del costs["accuracy"]
        known = self._counted.get(canonical_key(design), CountedImages())
        return {**raced(self.images, design, {}, self._stages, self._race, costs, known), **costs}


def search(name: str, seed: int, budget: int, stages: tuple[int, ...]) -> dict[str, float]:
    """Search a table.

    Args:
        name: A problem of CIM-NAS-Bench.
        seed: Of the search.
        budget: How many evaluations.
        stages: Numbers of images after which a measurement may end; none for all images.

    Returns:
        The share of the true front's hypervolume that fully measured designs have; what it would be
        if those that were stopped had been measured in full too; the share of images that was
        used; how many designs were measured in full; how many make the front; and of how many of
        those all images say another accuracy.
    """
    found = tabular_problem(name)
    problem = found.problem
    evaluator = Evaluator(found, stages)
    computed = {name: _cost(found, name) for name in found.values if name != "accuracy"}
    with Study.open(
        None, problem.space, problem.objectives, problem.constraints, seed=seed
    ) as study:
        study.optimize(
            evaluator, budget=budget, batch_size=BATCH_SIZE, guidance=OptimizerOptions(computed)
        )
        records = study.evaluations()
        front = study.pareto()
    true = dict(
        zip([r.key for r in records], found.measure([r.params for r in records]), strict=True)
    )
    full, everything = [], []
    for record in records:
        metrics = true[record.key]
        if not problem.feasible(metrics):
            continue
        everything.append(metrics)
        if record.metrics["accuracy_fidelity"] == 1.0:
            full.append(metrics)
    contradicted = 0
    for record in front:
        contradicted += abs(record.metrics["accuracy"] - true[record.key]["accuracy"]) > 1e-9
    return {
        "share": round(found.share(full), 4),
        "share_with_stopped": round(found.share(everything), 4),
        "images": round(evaluator.images.n_seen / (budget * N_IMAGES), 4),
        "measured_in_full": sum(r.metrics["accuracy_fidelity"] == 1.0 for r in records),
        "front": len(front),
        "contradicted": contradicted,
    }


def _cost(problem: TabularProblem, name: str) -> Callable[[list[Params]], Any]:
    """A cost of designs, as ``cimbo optimize`` computes it while it searches."""
    return lambda designs: np.array([m[name] for m in problem.measure(designs)])


def summary(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Pair the searches of a network and seed.

    Args:
        runs: ``network seed`` -> the search on ``all`` images and the ``staged`` one.

    Returns:
        By network: the share of images; median shares of the true front; the staged search's share over the other's, in the
        median and at least; and designs of all fronts that all images contradict.
    """
    found = {}
    for network in dict.fromkeys(key.split()[0] for key in runs):
        own = [run for key, run in runs.items() if key.split()[0] == network]
        ratios = [run["staged"]["share"] / run["all"]["share"] for run in own]
        found[network] = {
            "seeds": len(own),
            "images": round(float(np.median([run["staged"]["images"] for run in own])), 3),
            "images_most": round(max(run["staged"]["images"] for run in own), 3),
            "share_all": round(float(np.median([run["all"]["share"] for run in own])), 4),
            "share_staged": round(float(np.median([run["staged"]["share"] for run in own])), 4),
            "ratio": round(float(np.median(ratios)), 4),
            "ratio_least": round(min(ratios), 4),
            "contradicted": sum(run["staged"]["contradicted"] for run in own),
        }
    return found


def main() -> None:
    """Make the searches that are not in the file yet, seed by seed, and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=200)
    asked = parser.parse_args()
    document: dict[str, Any] = {"budget": asked.budget, "stages": STAGES, "runs": {}}
    if RESULTS_FILE.exists():
        document = json.loads(RESULTS_FILE.read_text())
    runs = document["runs"]
    for seed in range(asked.seeds):
        for network in asked.networks:
            key = f"{network} {seed}"
            if key in runs:
                continue
            problem = f"cim-nas-bench-{network}-latency"
            runs[key] = {
                "all": search(problem, seed, asked.budget, ()),
                "staged": search(problem, seed, asked.budget, STAGES),
            }
            print(key, runs[key], flush=True)
            document["summary"] = summary(runs)
            RESULTS_FILE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
