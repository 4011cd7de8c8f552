"""What bundles of an older study are worth to a new one on other chips: evaluations until the cold study's hypervolume.

    python benchmarks/transfer.py [--seeds 3] [--budget 100] [--warm 60]

Both search the small vision transformers of the shipped preset, with an accuracy that is a formula of size, of each gene
and of converter bits, and a latency that is modelled as that of a slow simulator must be. The older study: 120 samples of
smaller chips of an older process, with a narrower NoC, fewer vector lanes and fewer genes, and an accuracy two points
lower, as on another data set. Its bundles are fitted to those. The new one: the ten core genes. Lines on stdout: seed,
evaluations that the study with ``--predictors`` needs to reach the hypervolume that the study without has after its budget,
hypervolumes of both. Written to transfer.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import predictors
from cimbo import Choice, SearchSpace, Study
from cimbo.config.study_config import preset
from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.simulators import simulator
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import Inputs
from cimbo.problem.pareto import hypervolume
from cimbo.session.warm_start import bundles, views
from cimbo.workloads import network

OLDER = {
    "rows": [64, 128],
    "cols": [64, 128],
    "macros_per_pe": [1, 2, 4],
    "pes": [4, 8, 16],
    "adc_bits": [4, 6, 8],
    "columns_per_adc": [4, 8],
    "buffer_mb": [0.25, 0.5, 1],
    "buffer_bw": [256, 512, 1024],
    "dram_bw": [32, 64, 128],
}
OLDER_FIXED = {"planes": 1, "noc_bw": 512, "vector_lanes": 64, "node_nm": 40}
PROBLEM = preset("fmnist-vit").problem
BATCH = 20
WEIGHT = dict(
    zip(
        PROBLEM.space.names,
        np.random.default_rng(7).normal(0, 0.4, len(PROBLEM.space.names)),
        strict=True,
    )
)


class Formula:
    """An accuracy in percent that costs nothing: saturating in size, with a weight of its own for every gene."""

    genes = ("adc_bits",)

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def measure(self, design: dict[str, Any], part: str = "validation") -> float:
        macs = network("fmnist-vit").workload(design).macs
        own = sum(
            WEIGHT[c.name] * c.index(design[c.name])
            for c in PROBLEM.space.architecture
            if c.name in design
        )
        return float(
            self.offset + 70 + 20 * macs / (macs + 2e6) + own - 16.0 / 2 ** design["adc_bits"]
        )


class Evaluator(JointEvaluator):
    """The real one, but for its accuracy."""

    @cached_property
    def _accuracy(self) -> Formula:
        return Formula(float(self.options.get("offset", 0.0)))

    @cached_property
    def _simulator(self) -> Any:
        return simulator("cimbo")


def evaluator(offset: float = 0.0, **fixed: Any) -> Evaluator:
    return Evaluator("fmnist-vit", "formula", options={"offset": offset}, fixed=fixed)


def older(folder: Path) -> None:
    """Bundles of accuracy and latency from the older study's samples."""
    space = SearchSpace(
        PROBLEM.space.architecture, [Choice(name, values) for name, values in OLDER.items()]
    )
    measure = evaluator(-2.0, **OLDER_FIXED)
    known = views(measure)
    with Study.open(None, space, PROBLEM.objectives) as study:
        study.optimize(
            measure, 120, 120, guidance=OptimizerOptions(views=known, kind="gp", initial=120)
        )
        done = study.evaluations()
    inputs = Inputs(space, space.rows([r.params for r in done]))
    for metric in ("accuracy", "latency_ms"):
        y = np.array([r.metrics[metric] for r in done])
        schema = known[metric].schema(space, metric, log=metric == "latency_ms")
        model = predictors.fit(inputs.table(known[metric]), y, schema, "gp")
        predictors.save(model, folder / f"{metric}.cimpred")


def search(priors: dict[str, Any], budget: int, seed: int) -> list[float]:
    """Hypervolume after each evaluation of the new study."""
    measure = evaluator()
    area = {"area_mm2": measure.analytic_costs()["area_mm2"]}
    guidance = OptimizerOptions(area, views(measure), "gp", priors)
    with Study.open(
        None, PROBLEM.space, PROBLEM.objectives, PROBLEM.constraints, seed=seed
    ) as study:
        study.optimize(measure, budget, BATCH, guidance=guidance)
        records = study.evaluations()
    reference = PROBLEM.reference()
    kept = [r.metrics if PROBLEM.feasible(r.metrics) else None for r in records]
    scores = [PROBLEM.scores([m])[0] for m in kept if m]
    ends = np.cumsum([m is not None for m in kept])
    return [hypervolume(np.array(scores[:end]), reference) if end else 0.0 for end in ends]


def needed(course: list[float], goal: float) -> int | None:
    """Evaluations until ``goal``, None where it is not reached."""
    return next((i for i, value in enumerate(course, 1) if value >= goal), None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument(
        "--warm", type=int, default=60, help="evaluations of the study that starts from bundles"
    )
    asked = parser.parse_args()
    command = shlex.join(["python", "benchmarks/transfer.py", *sys.argv[1:]])
    start, results = time.process_time(), []
    with tempfile.TemporaryDirectory() as folder:
        older(Path(folder))
        known = bundles(Path(folder))
    print(f"older study and its bundles: {time.process_time() - start:.0f} CPU s", flush=True)
    for seed in range(asked.seeds):
        cold, warm = search({}, asked.budget, seed), search(known, asked.warm, seed)
        row = {"seed": seed, "needed": needed(warm, cold[-1])}
        row |= {f"cold_{n}": cold[n - 1] for n in (25, 50, asked.budget)} | {
            f"warm_{n}": warm[n - 1] for n in (25, 50)
        }
        results.append(row)
        print(json.dumps(row), f"{time.process_time() - start:.0f} CPU s", flush=True)
        reached = [r["needed"] if r["needed"] is not None else np.inf for r in results]
        median = float(np.median(reached))
        report = {
            "command": command,
            "budget": asked.budget,
            "median_needed": median if np.isfinite(median) else None,
        }
        text = json.dumps(report | {"seeds": results}, indent=1)
        Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(f"median: {median:g} evaluations for the hypervolume of {asked.budget}")


if __name__ == "__main__":
    main()
