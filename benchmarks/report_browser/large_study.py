"""Writes a study of any size on the demo's space, to measure its report: costs simulated, accuracies predicted by trees.

python benchmarks/report_browser/large_study.py large.db 2000

The trees are fitted to the recorded search; a quarter of the designs are a Sobol sequence, the others are a few changes away
from recorded ones. One in 97 fails.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

import predictors
from cimbo.config.study_config import preset
from cimbo.optimizer.surrogates import View
from cimbo.problem.objectives import candidate
from cimbo.problem.space import Params, SearchSpace
from cimbo.session.demo import DEMO_PRESET, replay
from cimbo.storage import Record
from cimbo.study.study import Study

NOISE_POINTS = 0.3  # standard deviation of an accuracy
FAILED_EVERY = 97


def recorded() -> list[Record]:
    """The demo's evaluations that succeeded."""
    with (
        tempfile.TemporaryDirectory() as folder,
        replay("search", Path(folder) / "demo.db") as session,
    ):
        return [r for r in session.study.evaluations() if r.status == "done"]


def designs(
    space: SearchSpace, known: list[Record], n: int, rng: np.random.Generator
) -> list[Params]:
    """``n`` different designs: a Sobol sequence, then neighbours of neighbours of known ones."""
    found = {space.key(design): design for design in space.sobol(n // 4, 1)}
    while len(found) < n:
        design = known[rng.integers(len(known))].params
        for _ in range(rng.integers(1, 4)):
            near = space.neighbours(design)
            design = near[rng.integers(len(near))]
        found.setdefault(space.key(design), design)
    return list(found.values())


def write(file: str, n: int) -> Study:
    """Write the study."""
    config = preset(DEMO_PRESET)
    problem, evaluator = config.problem, config.evaluator()
    space, rng = problem.space, np.random.default_rng(0)
    known = recorded()
    accuracies = [r.metrics["accuracy"] for r in known]
    schema = View().schema(space, "accuracy", log=False)
    model = predictors.fit([r.params for r in known], accuracies, schema, "xgboost")
    chosen = designs(space, known, n, rng)
    costs, said = evaluator.costs(chosen), model.predict(chosen)
    about = {"config": {"name": "large", "data": dict(config.data)}}
    study = Study.open(file, space, problem.objectives, problem.constraints, metadata=about)
    for i, design in enumerate(chosen):
        metrics = {name: float(values[i]) for name, values in costs.items()}
        guess = {name: (metrics[name], 0.0) for name in ("latency_ms", "area_mm2")}
        guess["accuracy"] = (float(said.mean[i]), float(said.std[i]))
        metrics["accuracy"] = float(np.clip(said.mean[i] + rng.normal(0, NOISE_POINTS), 0, 100))
        by_model = i >= n // 4
        origin = "proposed" if by_model else "sobol"
        c = candidate(space, design, origin=origin, predicted=guess if by_model else None)
        if i % FAILED_EVERY == 5:
            study.import_evaluation(c, {}, seconds=1.0, reason="the worker died")
        else:
            study.import_evaluation(c, metrics, seconds=float(rng.gamma(2, 2)))
    return study


if __name__ == "__main__":
    warnings.simplefilter("ignore", predictors.OutsideWarning)  # far designs are wanted here
    made = write(sys.argv[1], int(sys.argv[2]))
    print(
        f"{sys.argv[1]}: {len(made.evaluations())} evaluations, {len(made.pareto())} on the front"
    )
