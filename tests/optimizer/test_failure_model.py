"""What fails for the same few values again and again is avoided; what fails by chance is not."""

import numpy as np

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.optimizer.failures import FailureModel
from cimbo.optimizer.options import OptimizerOptions

SPACE = SearchSpace(
    [Choice("depth", [1, 2, 3, 4]), Choice("wide", [1, 2, 3], active_if={"depth": [3, 4]})],
    [Choice("rows", [64, 128, 256, 512]), Choice("bits", [4, 6, 8]), Choice("tiles", [1, 2, 4, 8])],
)
OBJECTIVES = [
    Objective("delay_ms", "min", reference=60.0),
    Objective("power_w", "min", reference=10.0),
]


def breaks(design) -> bool:
    return design["rows"] == 512 and design["bits"] == 4


def evaluate(design):
    if breaks(design):
        raise ValueError("the solver did not converge")
    work = design["depth"] * (1 + design.get("wide", 0) / 4)
    return {
        "delay_ms": 100 * work * design["bits"] / (design["rows"] * design["tiles"]),
        "power_w": 0.01 * design["tiles"] * 2 ** (design["bits"] / 2),
    }


def test_a_pair_of_values_that_always_fails_is_found():
    rows = SPACE.sobol_rows(80, 0)
    failing = np.array([breaks(d) for d in SPACE.designs(rows)])
    model = FailureModel.of(SPACE, rows[failing], rows[~failing])
    others = SPACE.sobol_rows(200, 1)
    truth = np.array([breaks(d) for d in SPACE.designs(others)])
    chance = model.chance(others)
    assert chance[truth].max() < 0.3
    assert (model.violation(others)[~truth] == 0).mean() > 0.9
    assert (model.violation(others)[truth] > 0).all()


def test_failures_by_chance_change_little():
    rows = SPACE.sobol_rows(200, 0)
    lost = np.random.default_rng(0).random(len(rows)) < 0.05
    model = FailureModel.of(SPACE, rows[lost], rows[~lost])
    assert (model.violation(SPACE.sobol_rows(200, 1)) == 0).mean() > 0.95


def test_one_failure_says_nothing():
    rows = SPACE.sobol_rows(20, 0)
    assert FailureModel.of(SPACE, rows[:1], rows[1:]) is None
    assert FailureModel.of(SPACE, rows[:0], rows) is None


def test_a_search_leaves_a_corner_that_fails():
    options = OptimizerOptions(kind="gp", initial=10)
    with Study.open(None, SPACE, OBJECTIVES, seed=0) as study:
        study.optimize(evaluate, 40, guidance=options, listener=None)
        proposed = [r for r in study.evaluations() if r.origin == "proposed"]
        failed = [r.status == "failed" for r in proposed]
    # The corner has the least delay by what the surrogates say; without the model 14 of 30 failed.
    assert sum(failed) <= 11
