"""Knees and weights on fronts whose answer is known."""

import numpy as np
import pytest

from cimbo import BadInput, Choice, Objective, SearchSpace
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem
from cimbo.problem.preferences import by_target, by_weights, knees
from cimbo.study.study import Study

SPACE = SearchSpace([Choice("a", range(20)), Choice("b", range(20))])
PROBLEM = Problem(SPACE, (Objective("accuracy", "max"), Objective("latency_ms", "min")))


def front(points):
    return [{"accuracy": a, "latency_ms": float(np.exp(t))} for a, t in points]


def test_the_corner_of_two_straight_lines_is_the_knee():
    rising = [(80.0 * t, t / 4) for t in np.linspace(0, 1, 6)]
    flat = [(80.0 + 10.0 * t, 0.25 + 0.75 * t) for t in np.linspace(0.2, 1, 5)]
    assert knees(PROBLEM, front(rising + flat)) == [5]


def test_a_straight_front_and_a_small_one_have_no_knee():
    straight = [(float(t), float(t)) for t in range(8)]
    assert knees(PROBLEM, front(straight)) in ([], [0], [7])
    assert knees(PROBLEM, front(straight[:4])) == []


def test_a_knee_is_better_than_the_references():
    rising = [(80.0 * t, t / 4) for t in np.linspace(0, 1, 6)]
    flat = [(80.0 + 10.0 * t, 0.25 + 0.75 * t) for t in np.linspace(0.2, 1, 5)]
    for accuracy, expected in ((60.0, [5]), (81.0, []), (95.0, [])):
        goals = (Objective("accuracy", "max", accuracy), Objective("latency_ms", "min", 9.0))
        assert knees(Problem(SPACE, goals), front(rising + flat)) == expected


def test_weights_put_first_what_matters():
    found = front([(70.0, 0.0), (80.0, 0.5), (90.0, 3.0)])
    assert by_weights(PROBLEM, found, {"accuracy": 1.0})[0] == 2
    assert by_weights(PROBLEM, found, {"latency_ms": 2.0})[0] == 0
    assert by_weights(PROBLEM, found, {"accuracy": 1.0, "latency_ms": 1.0})[0] == 1
    with pytest.raises(BadInput, match="speed"):
        by_weights(PROBLEM, found, {"speed": 1.0})
    with pytest.raises(BadInput, match="0"):
        by_weights(PROBLEM, found, {"accuracy": 0.0})


def test_a_search_about_a_point_spends_its_evaluations_near_it():
    objectives = (Objective("accuracy", "max", 0.0), Objective("latency_ms", "min", 100.0))

    def evaluate(design):
        size = design["a"] + design["b"] / 40
        return {"accuracy": 5.0 * size, "latency_ms": float(np.exp(size / 5))}

    near = {}
    for about in (None, {"accuracy": 80.0, "latency_ms": 30.0}):
        with Study.open(None, space=SPACE, objectives=objectives, seed=0) as study:
            study.optimize(evaluate, 30, guidance=OptimizerOptions(about=about))
            chosen = [r for r in study.evaluations() if r.origin == "proposed"]
            near[about is None] = np.mean([r.metrics["accuracy"] > 65 for r in chosen])
    assert near[False] > near[True] + 0.2


def test_the_design_about_where_one_would_like_to_be_comes_first():
    found = front([(70.0, 0.0), (80.0, 0.5), (90.0, 3.0)])
    for i in (0, 1, 2):
        assert by_target(PROBLEM, found, dict(found[i]))[0] == i
    # Out of reach: what lacks least in shares of the front's spans.
    assert by_target(PROBLEM, found, {"accuracy": 99.0})[0] == 2
    assert by_target(PROBLEM, found, {"latency_ms": 1e-6})[0] == 0
    with pytest.raises(BadInput, match="did you mean accuracy"):
        by_target(PROBLEM, found, {"acuracy": 99.0})
    with pytest.raises(BadInput, match="give a finite number"):
        by_target(PROBLEM, found, {"accuracy": float("nan")})
