"""A bound that one design in 1,728 keeps, known only from measurements."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.optimizer import surrogates
from cimbo.optimizer.modelled_units import Compression
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


MEASURED = arrays(float, st.integers(1, 30), elements=st.floats(-1e6, 1e6, width=32))


@example(np.array([1e-45, 0.0, 0.0, 0.0, -1.0, -1.0]), "max", [0.0])
@given(MEASURED, st.sampled_from(["max", "min"]), st.lists(st.floats(-1e6, 1e6), max_size=3))
def test_drawing_in_keeps_the_order_and_the_side_of_every_limit(values, goal, limits):
    drawn = Compression.of(values, goal, limits)(values)
    order = np.argsort(values, kind="stable")
    assert (np.diff(drawn[order]) >= -1e-6 * np.abs(values).max()).all()
    for limit in limits:
        wanted = values >= limit if goal == "max" else values <= limit
        assert (drawn[wanted] == values[wanted]).all()
        missed = drawn[~wanted] >= limit if goal == "max" else drawn[~wanted] <= limit
        assert not (missed & (np.abs(values[~wanted] - limit) > 1e-6 * np.abs(values).max())).any()


def test_a_collapsed_design_does_not_drown_what_half_a_point_decides():
    """One accuracy of 9 % among others around 90 %: without drawing in, a spread of 20 points."""
    values = np.array([9.0, 88.0, 89.0, 89.5, 90.0, 90.5, 91.0])
    drawn = Compression.of(values, "max")(values)
    assert drawn[1:].tolist() == values[1:].tolist()
    assert 80 < drawn[0] < 86
    assert Compression.of(values, None)(values).tolist() == values.tolist()


def test_predictions_near_the_bound_survive_designs_that_collapse():
    """The process is asked about designs that it has not seen, beside four that have gone wrong."""
    problem = Problem(SPACE, (OBJECTIVES[1],), (Constraint("accuracy", ">=", 88.0),))
    designs = SPACE.designs(SPACE.sobol_rows(60, 0))
    truth = np.array([86.0 + 0.3 * d["a"] + 0.1 * d["b"] - 0.05 * d["c"] for d in designs])
    seen = truth[:20].copy()
    seen[[3, 8, 12, 17]] = 10.0
    measured = []
    for design, accuracy in zip(designs[:20], seen, strict=True):
        measured.append({"y": float(design["b"]), "accuracy": float(accuracy)})
    fitted = surrogates.fit(
        problem, SPACE.rows(designs[:20]), measured, SurrogateFactory(SPACE, "gp"), seed=0
    )
    new = surrogates.Inputs(SPACE, SPACE.rows(designs[20:]))
    error = float(np.median(np.abs(fitted["accuracy"].mean(new) - truth[20:])))
    assert error < 2.0
