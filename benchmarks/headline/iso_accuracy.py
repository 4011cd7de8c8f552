"""CiMNet's question asked of AutoFormer-S: how much faster than DeiT-B at DeiT-B's accuracy? Modelled: an illustration.

    python benchmarks/headline/iso_accuracy.py [--seeds 5] [--budget 60]

The baseline is DeiT-B (the largest network of ``vit-b``) on the chip that both presets draw. Three searches a seed, of equal
budget, at its accuracy (81.98 %) and area, each beginning with the largest network on that chip: AutoFormer-S on that chip
(``architecture``), DeiT-B on other chips (``hardware``), AutoFormer-S on other chips (``joint``).
Accuracies of AutoFormer-S are a curve through three published networks by their
multiply-accumulates (`data/accuracy/autoformer-s-imagenet.toml`): sub-networks of equal size count as equally accurate, so that
what is found is what size alone allows. Costs are cimbo's model. Writes iso-accuracy-autoformer-s.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cimbo import Study
from cimbo.analysis import attribution
from cimbo.config import preset
from cimbo.config.study_config import Config
from cimbo.problem.objectives import Constraint, Objective
from cimbo.session.context import StudyContext
from cimbo.session.optimize import optimizer_options
from cimbo.workloads import network

RESULTS = Path(__file__).with_name("iso-accuracy-autoformer-s.json")
SMALL, LARGE = "autoformer-s-imagenet", "vit-b-imagenet"
DEIT_B_ACCURACY = 81.98
BATCH = 6


@dataclass(frozen=True)
class Side:
    """What is searched: a preset, and the genes that stay as they are."""

    config: Config
    fixed: Mapping[str, Any]


def sides() -> dict[str, Side]:
    """The three searches."""
    small, large = preset(SMALL), preset(LARGE)
    if small.baseline() != large.baseline():
        raise ValueError("the two presets draw different chips")
    return {
        "architecture": Side(small, small.baseline()),
        "hardware": Side(large, network(large.network).largest()),
        "joint": Side(small, {}),
    }


def fastest(side: Side, seed: int, budget: int, baseline: Mapping[str, float]) -> dict[str, Any]:
    """Searches, and returns the fastest design at the baseline's accuracy and area with its metrics."""
    problem = side.config.problem
    objective = Objective("latency_ms", "min", baseline["latency_ms"])
    # The curve gives DeiT-B 0.002 points less than was published of it.
    accurate = Constraint("accuracy", ">=", DEIT_B_ACCURACY - 0.005)
    small = Constraint("area_mm2", "<=", baseline["area_mm2"])
    about = {"config": {"name": side.config.name, "data": dict(side.config.data)}}
    whole = Study.open(
        None, problem.space, (objective,), (accurate, small), seed=seed, metadata=about
    )
    evaluator = side.config.evaluator()
    with whole:
        study = whole.with_constraints(fixed=dict(side.fixed))
        context = StudyContext(study, side.config, shared_evaluator=evaluator)
        options = optimizer_options(context)
        largest = network(side.config.network).largest() | side.config.baseline()
        start = problem.space.canonical(largest)
        study.tell(start, evaluator(start))  # every search starts from what is there
        study.optimize(evaluator, budget, BATCH, guidance=replace(options, initial=BATCH))
        good = [r for r in study.evaluations() if r.status == "done"]
        good = [r for r in good if accurate.holds(r.metrics) and small.holds(r.metrics)]
    if not good:
        return {}
    best = min(good, key=lambda record: record.metrics["latency_ms"])
    return {"params": dict(best.params), "metrics": dict(best.metrics)}


def main() -> None:
    """Runs all searches and writes what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=60)
    asked = parser.parse_args()
    baseline = preset(LARGE).baseline_costs()
    document: dict[str, Any] = {
        "command": f"python benchmarks/headline/iso_accuracy.py --seeds {asked.seeds} --budget {asked.budget}",
        "accuracy": preset(SMALL).accuracy_provenance(),
        "baseline": {"network": "DeiT-B", "chip": preset(LARGE).baseline(), "metrics": baseline},
        "sides": {},
    }
    for name, side in sides().items():
        found = [fastest(side, seed, asked.budget, baseline) for seed in range(asked.seeds)]
        gains = []
        for each in found:
            latency_ms = each["metrics"]["latency_ms"] if each else baseline["latency_ms"]
            gains.append(max(baseline["latency_ms"] / latency_ms, 1.0))
        interval = attribution.over_seeds(gains)
        speedup = {"speedup": interval.mean, "low": interval.low, "high": interval.high}
        document["sides"][name] = {**speedup, "each": gains, "designs": found}
        print(name, json.dumps(speedup), [round(gain, 2) for gain in gains], flush=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
