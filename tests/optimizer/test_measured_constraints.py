"""A bound that one design in 1,728 keeps, known only from measurements."""

from __future__ import annotations

import statistics
from typing import Any

from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.optimizer import surrogates
from cimbo.optimizer.surrogates import SurrogateFactory
from cimbo.problem.objectives import Problem

NUMBERS = list(range(1, 13))
SPACE = SearchSpace([Choice("a", NUMBERS), Choice("b", NUMBERS)], [Choice("c", NUMBERS)])
OBJECTIVES = [Objective("x", "max", reference=0.0), Objective("y", "min", reference=20.0)]
BOUND = Constraint("violations", "<=", 0.5)
ENOUGH = 60  # evaluations


def evaluate(design: dict[str, Any]) -> dict[str, float]:
    """Two plain objectives; ``violations`` is 0 for one design and at least 1 for all others."""
    away = abs(design["a"] - 11) + abs(design["b"] - 5) + abs(design["c"] - 9)
    missed = 0.0 if not away else 1.0 + away
    return {"x": float(design["a"]), "y": float(design["b"]), "violations": missed}


def evaluations_needed(seed: int) -> int:
    with Study.open(None, SPACE, OBJECTIVES, [BOUND], seed=seed) as study:
        while len(study.evaluations()) < ENOUGH and not study.feasible_evaluations():
            study.optimize(evaluate, len(study.evaluations()) + 5, 5, listener=None)
        found = study.feasible_evaluations()
        return found[0].number if found else ENOUGH + 1


def test_the_only_feasible_design_of_1728_is_found_within_60_evaluations():
    assert statistics.median(evaluations_needed(seed) for seed in range(5)) <= ENOUGH


def test_a_metric_with_a_lower_bound_alone_is_modelled_as_if_it_were_maximised():
    """Not as a logarithm, which squeezes what lies at the bound between 91 and 92 percent."""
    at_least = Constraint("accuracy", ">=", 90.0)
    at_most = Constraint("power_mw", "<=", 30.0)
    problem = Problem(SPACE, (OBJECTIVES[1],), (at_least, at_most))
    designs = SPACE.designs(SPACE.sobol_rows(12, 0))
    measured = []
    for design in designs:
        values = {"accuracy": 80.0 + design["a"], "power_mw": 2.0 ** design["b"]}
        measured.append({"y": float(design["b"]), **values})
    fitted = surrogates.fit(
        problem, SPACE.rows(designs), measured, SurrogateFactory(SPACE, "gp"), seed=0
    )
    assert not fitted["accuracy"].log
    assert fitted["power_mw"].log
