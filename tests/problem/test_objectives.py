"""Objectives, constraints and candidates: one sign convention, feasibility, and what is refused."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimbo import BadInput, Choice, Constraint, Objective, SearchSpace
from cimbo.problem.objectives import Problem, candidate

SPACE = SearchSpace(
    [Choice("depth", [2, 3]), Choice("heads", [2, 4], {"depth": [3]})],
    [Choice("array", ["a", "b"])],
)
ACCURACY, LATENCY = Objective("accuracy", "max", 70.0), Objective("latency_ms", "min", 2.0)


def test_scores_are_to_be_maximised():
    problem = Problem(SPACE, (ACCURACY, LATENCY))
    scores = problem.scores(
        [{"accuracy": 80.0, "latency_ms": 0.5, "other": 1.0}, {"latency_ms": 3.0, "accuracy": 60.0}]
    )
    np.testing.assert_array_equal(scores, [[80.0, -0.5], [60.0, -3.0]])
    np.testing.assert_array_equal(problem.reference(), [70.0, -2.0])
    assert problem.scores([]).shape == (0, 2)


def test_one_objective_without_a_reference_leaves_none():
    assert Problem(SPACE, (ACCURACY, Objective("energy_uj", "min"))).reference() is None


def test_a_reference_of_zero_is_a_reference():
    np.testing.assert_array_equal(
        Problem(SPACE, (Objective("a", "max", 0.0), Objective("b", "min", 0))).reference(), [0, 0]
    )


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(FINITE, FINITE)
def test_a_constraint_holds_exactly_where_nothing_is_violated(value: float, bound: float):
    at_most, at_least = Constraint("m", "<=", bound), Constraint("m", ">=", bound)
    assert at_most.holds({"m": value}) == (value <= bound)
    assert at_least.holds({"m": value}) == (value >= bound)
    np.testing.assert_array_equal(
        at_most.violation(np.array([value])), -at_least.violation(np.array([value]))
    )


def test_what_was_not_measured_is_not_feasible():
    problem = Problem(SPACE, (ACCURACY, LATENCY), (Constraint("area_mm2", "<=", 10.0),))
    whole = {"accuracy": 80.0, "latency_ms": 1.0, "area_mm2": 10.0}
    assert problem.feasible(whole)
    assert not problem.feasible(whole | {"area_mm2": 10.0001})
    for name in whole:
        assert not problem.feasible({k: v for k, v in whole.items() if k != name})


def test_a_candidate_is_canonical_and_split_in_two():
    found = candidate(SPACE, {"array": "b", "heads": 4, "depth": 2}, origin="told")
    assert list(found.params.items()) == [("depth", 2), ("array", "b")]
    assert (found.architecture, found.hardware, found.origin) == (
        {"depth": 2},
        {"array": "b"},
        "told",
    )
    assert (
        found.key
        == candidate(SPACE, {"depth": 2, "array": "b"}).key
        != candidate(SPACE, {"depth": 2, "array": "a"}).key
    )


def test_json_round_trip():
    problem = Problem(
        SPACE, (ACCURACY, Objective("energy_uj", "min")), (Constraint("area_mm2", "<=", 10.5),)
    )
    assert Problem.from_json(json.loads(json.dumps(problem.to_json()))) == problem


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"space": SPACE.to_json()},
        {"space": SPACE.to_json(), "objectives": []},
        {"space": SPACE.to_json(), "objectives": [{"name": "a"}]},
        {"space": SPACE.to_json(), "objectives": [{"name": "a", "goal": "max", "weight": 3}]},
        {
            "space": SPACE.to_json(),
            "objectives": [{"name": "a", "goal": "max", "reference": "high"}],
        },
        {
            "space": SPACE.to_json(),
            "objectives": [{"name": "a", "goal": "max"}],
            "constraints": [{"metric": "a"}],
        },
        {"space": SPACE.to_json(), "objectives": 3},
        {"space": [], "objectives": [{"name": "a", "goal": "max"}]},
        {"space": {"architecture": [{"name": "g"}]}, "objectives": [{"name": "a", "goal": "max"}]},
    ],
)
def test_whatever_is_no_problem_is_refused(data):
    with pytest.raises(BadInput):
        Problem.from_json(data)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (
            lambda: Objective("a", "maximise"),
            "objective a: has the goal 'maximise'; use 'max' or 'min'",
        ),
        (lambda: Objective("a", "max", math.nan), "has the reference nan"),
        (lambda: Objective("a", "min", math.inf), "has the reference inf"),
        (lambda: Constraint("a", "<", 3.0), "has the relation '<'; use '<=' or '>='"),
        (lambda: Constraint("a", "<=", math.inf), "has the bound inf"),
        (lambda: Problem(SPACE, ()), r"objectives: are \[\]; name at least one"),
        (lambda: Problem(SPACE, (ACCURACY, Objective("accuracy", "min"))), "none twice"),
        (lambda: candidate(SPACE, {"depth": 2}), "gene array is missing"),
        (lambda: candidate(SPACE, {"depth": 2, "array": "c"}), "gene array: cannot be 'c'"),
    ],
)
def test_what_makes_no_sense_is_refused(make, complaint):
    with pytest.raises(BadInput, match=complaint):
        make()
