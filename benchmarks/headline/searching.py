"""Studies of the headline: what measures, how they are opened, and brought to a budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cimbo import Study
from cimbo.config.study_config import Config
from cimbo.evaluation.joint import JointEvaluator
from cimbo.problem.objectives import Constraint, Objective, Problem
from cimbo.session.context import StudyContext
from cimbo.session.optimize import optimizer_options

INITIAL = 6  # designs before the first surrogate, the baseline among them
BATCH = 6
EVALUATOR_FIELDS = ("network", "accuracy", "simulator", "options", "fixed", "accuracy_options")


@dataclass
class RecordedEvaluator(JointEvaluator):
    """Measures as the preset's evaluator does, and writes what it measured to ``file``, which other seeds and runs read."""

    file: Path = Path("accuracies.jsonl")
    found: dict[str, Any] = field(default_factory=dict)

    def load(self) -> None:
        """Read what was measured before."""
        for line in self.file.read_text().splitlines() if self.file.exists() else []:
            entry = json.loads(line)
            self.found[entry["key"]] = entry["value"]

    def genes_that_count(self, design: Mapping[str, Any]) -> dict[str, Any]:
        """The genes that a measurement depends on."""
        return {k: v for k, v in design.items() if k in self.accuracy_genes()}

    def asked(self, what: str, design: Mapping[str, Any]) -> str:
        """The key of a measurement."""
        return f"{what} {json.dumps(self.genes_that_count(design), sort_keys=True)}"

    def once(self, what: str, design: Mapping[str, Any], measure: Callable[[], Any]) -> Any:
        """What was measured of a design; measured now where it was not yet."""
        key = self.asked(what, design)
        if key not in self.found:
            self.found[key] = measure()
            with self.file.open("a") as out:
                out.write(json.dumps({"key": key, "value": self.found[key]}) + "\n")
        return self.found[key]


def open_study(file: Path, problem: Problem, config: Config, seed: int) -> Study:
    """Open a search's study, or start it."""
    about = {"config": {"name": config.name, "data": dict(config.data)}}
    return Study.open(
        file, problem.space, problem.objectives, problem.constraints, seed, metadata=about
    )


def fastest_at(config: Config, accuracy: float, latency_ms: float) -> Problem:
    """The problem of one objective: the fastest design of an accuracy, within the study's own limits.

    ``latency_ms``: of the baseline, the reference of hypervolumes.
    """
    aim = Constraint("accuracy", ">=", accuracy)
    fastest = Objective("latency_ms", "min", latency_ms)
    return Problem(config.problem.space, (fastest,), (*config.problem.constraints, aim))


def advance(
    context: StudyContext,
    baseline: tuple[dict[str, Any], dict[str, float]],
    budget: int,
    until: float,
) -> bool:
    """Bring a search to ``budget`` evaluations; False when the time is up before."""
    study, evaluator = context.study, context.evaluator
    assert isinstance(evaluator, JointEvaluator)
    guidance = optimizer_options(context)
    guidance = replace(guidance, initial=min(guidance.initial, INITIAL))
    if not study.evaluations():
        study.tell(*baseline)  # every search starts from what is there already
    while (done := len(study.evaluations())) < budget:
        if time.monotonic() > until:
            return False
        study.optimize(evaluator, min(done + BATCH, budget), BATCH, guidance=guidance)
        if len(study.evaluations()) == done:
            break  # the side has no more designs
    return True
