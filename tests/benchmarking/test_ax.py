"""The adapter of Ax: what Ax is told of a problem, and what comes back. Needs ``pip install 'cimbo[peers-ax]'``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo.benchmarking import runner, start
from cimbo.benchmarking.method import Task
from cimbo.problem.objectives import Problem

pytest.importorskip("ax.api.client", reason="Ax is not installed")
PROBLEM = Problem(SPACE, OBJECTIVES, CONSTRAINTS)
N_SOBOL = 5  # that Ax draws before its first model


def test_designs_of_ax_are_of_the_space_and_failures_are_told() -> None:
    asked = []

    def evaluated(designs):
        asked.extend(designs)
        return [None if design["cell"] == "c" else measure(design) for design in designs]

    answers, overhead_s = runner.race(start("ax", Task(PROBLEM, 0)), evaluated, N_SOBOL + 3, 1)
    assert len(answers) == len(asked) == N_SOBOL + 3
    assert all(SPACE.canonical(design) == design for design in asked)
    assert overhead_s > 0


def test_ax_knows_directions_references_and_constraints() -> None:
    peer = start("ax", Task(PROBLEM, 1))
    config = peer._client._experiment.optimization_config  # type: ignore[attr-defined]
    assert config.objective.expression == "accuracy, -latency_ms"
    assert _texts(config.objective_thresholds) == ["accuracy >= 60.0", "latency_ms <= 3.0"]
    assert _texts(config.outcome_constraints) == ["area_mm2 <= 40.0"]


def test_objectives_without_references_have_no_thresholds() -> None:
    objectives = [replace(objective, reference=None) for objective in OBJECTIVES]
    peer = start("ax", Task(Problem(SPACE, tuple(objectives)), 1))
    config = peer._client._experiment.optimization_config  # type: ignore[attr-defined]
    assert _texts(config.objective_thresholds) == []


def _texts(limits):
    """Limits as they are written."""
    return [str(limit).removeprefix("OutcomeConstraint(").removesuffix(")") for limit in limits]


def test_ax_proposes_by_what_it_was_told() -> None:
    """Its designs after Sobol ones are better than those: accuracy alone is asked for, and grows with the widths."""
    problem = Problem(SPACE, OBJECTIVES[:1])
    answers, _ = runner.race(
        start("ax", Task(problem, 2)),
        lambda designs: [{"accuracy": measure(d)["accuracy"]} for d in designs],
        N_SOBOL + 6,
        1,
    )
    values = [metrics["accuracy"] for metrics in answers if metrics is not None]
    assert max(values[N_SOBOL:]) > max(values[:N_SOBOL])
