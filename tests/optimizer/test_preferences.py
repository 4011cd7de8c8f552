"""Knees and weights on fronts whose answer is known."""

import itertools

import numpy as np
import pytest

from cimbo import BadInput, Choice, Objective, SearchSpace
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import non_dominated
from cimbo.problem.preferences import by_target, by_weights, knees, preferred_point
from cimbo.study.study import Study

SPACE = SearchSpace([Choice("a", range(20)), Choice("b", range(20))])
PROBLEM = Problem(SPACE, (Objective("accuracy", "max"), Objective("latency_ms", "min")))


WIDTHS = SearchSpace(
    [Choice(f"width_{i}", [1, 2, 3, 4, 6, 8]) for i in range(8)],
    [Choice("rows", [32, 64, 128, 256]), Choice("lanes", [1, 2, 4, 8])],
)
GAINS = np.random.default_rng(5).uniform(1, 4, 8)
COSTS = np.random.default_rng(6).uniform(0.5, 2, 8)


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
    between = [0.9 * found[1]["accuracy"] + 0.1 * found[i]["accuracy"] for i in (0, 2)]
    for accuracy in between:  # with one objective the nearest comes first, on either side
        assert by_target(PROBLEM, found, {"accuracy": accuracy})[0] == 1
    with pytest.raises(BadInput, match="did you mean accuracy"):
        by_target(PROBLEM, found, {"acuracy": 99.0})
    with pytest.raises(BadInput, match="give a finite number"):
        by_target(PROBLEM, found, {"accuracy": float("nan")})


def test_the_preferred_point_is_the_first_design_of_the_order():
    found = front([(70.0, 0.0), (80.0, 0.5), (90.0, 3.0)])
    weights = {"accuracy": 2.0, "latency_ms": 1.0}
    first = found[by_weights(PROBLEM, found, weights)[0]]
    assert preferred_point(PROBLEM, found, weights) == first
    # Where falling short of the best latency does not matter, no latency is asked for.
    accuracy_alone = {"accuracy": 1.0, "latency_ms": 0.0}
    assert preferred_point(PROBLEM, found, accuracy_alone) == {"accuracy": 90.0}
    assert preferred_point(PROBLEM, [], weights) == {}
    with pytest.raises(BadInput, match="did you mean accuracy"):
        preferred_point(PROBLEM, [], {"acuracy": 1.0})


def test_a_point_and_weights_are_not_asked_for_together():
    with pytest.raises(BadInput, match="give one of them"):
        OptimizerOptions(about={"accuracy": 80.0}, prefer={"accuracy": 1.0})


def saturating(design):
    """A network of eight layers on a chip: accuracy saturates in the widths, latency grows faster than they do."""
    widths = np.array([design[f"width_{i}"] for i in range(8)], float)
    accuracy = 60 + 1.6 * float(GAINS @ (1 - np.exp(-widths / 3))) - (design["rows"] / 256) ** 2
    chip = (1 + 32 / design["rows"]) * (1 + 0.15 * design["lanes"]) / design["lanes"] ** 0.5
    return {"accuracy": accuracy, "latency_ms": float(COSTS @ widths**1.2) * chip / 4}


def test_weights_steer_a_search():
    """More of the designs are near what the weights prefer, and the best is no worse, in the mean of three seeds."""
    objectives = (Objective("accuracy", "max", 60.0), Objective("latency_ms", "min", 20.0))
    weights = {"accuracy": 1.0, "latency_ms": 1.0}
    measured = {}
    for seed in range(3):
        for prefer in (None, weights):
            with Study.open(None, space=WIDTHS, objectives=objectives, seed=seed) as study:
                study.optimize(saturating, 40, guidance=OptimizerOptions(prefer=prefer))
                measured[prefer is not None, seed] = [r.metrics for r in study.evaluations()]
    everything = list(itertools.chain.from_iterable(measured.values()))
    values = np.array([[m["accuracy"], -np.log(m["latency_ms"])] for m in everything])
    ends = values[non_dominated(values)]
    regret = ((ends.max(0) - values) / np.ptp(ends, axis=0)).max(1).reshape(len(measured), 40)
    near = dict(zip(measured, (regret < regret.min() + 0.1).sum(1), strict=True))
    best = dict(zip(measured, regret.min(1), strict=True))
    for seed in range(3):
        assert near[True, seed] > near[False, seed]
    assert sum(best[True, seed] for seed in range(3)) < sum(best[False, seed] for seed in range(3))


def test_without_weights_the_same_designs_are_proposed():
    objectives = (Objective("accuracy", "max", 60.0), Objective("latency_ms", "min", 20.0))
    keys = []
    for guidance in (None, OptimizerOptions(), OptimizerOptions(prefer={})):
        with Study.open(None, space=WIDTHS, objectives=objectives, seed=0) as study:
            study.optimize(saturating, 15, guidance=guidance)
            keys.append([r.key for r in study.evaluations()])
    assert keys[0] == keys[1] == keys[2]
