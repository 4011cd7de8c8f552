"""Derived metrics of which nothing but genes is known are learned by their parts."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from cimbo import Choice, Constraint, Objective, SearchSpace
from cimbo.optimizer import surrogates
from cimbo.optimizer.expression_surrogate import ExpressionSurrogate
from cimbo.optimizer.surrogates import Inputs, SurrogateFactory, View
from cimbo.problem.objectives import Problem

SPACE = SearchSpace(
    [Choice("depth", [1, 2, 3, 4, 6])],
    [Choice("rows", [32, 64, 128, 256]), Choice("dac", [1, 2, 4]), Choice("adc", ["a", "b"])],
)
PROBLEM = Problem(
    SPACE,
    (Objective("top1", "max"), Objective("edp", "min")),
    (Constraint("margin", ">=", 0.0),),
    {"edp": "energy_uj * latency_ms", "margin": "rows / 64 - latency_ms"},
)


def measured(design):
    slow = 2.0 if design["adc"] == "a" else 1.0
    latency = design["depth"] * slow * 100 / design["rows"] + 0.3 * design["dac"]
    energy = design["depth"] ** 1.5 * (design["rows"] / 64 + 3 / design["dac"])
    return {"top1": 60.0 + design["depth"], "latency_ms": latency, "energy_uj": energy}


@pytest.fixture(scope="module")
def fits():
    designs = SPACE.sobol(24, 0)
    metrics = [PROBLEM.completed(measured(d), d) for d in designs]
    rows = SPACE.rows(designs)
    return {
        kind: surrogates.fit(PROBLEM, rows, metrics, SurrogateFactory(SPACE, "gp", views), seed=0)
        for kind, views in (
            ("parts", {}),
            ("whole", {"edp": View(features=lambda ds: {"one": np.ones(len(ds))})}),
        )
    }


def test_parts_are_learned_only_where_nothing_else_is_known(fits):
    assert isinstance(fits["parts"]["edp"], ExpressionSurrogate)
    assert set(fits["parts"]["edp"].parts) == {"energy_uj", "latency_ms"}
    assert set(fits["parts"]["margin"].parts) == {"latency_ms"}  # the rest is a gene
    assert not isinstance(fits["whole"]["edp"], ExpressionSurrogate)
    assert not isinstance(fits["parts"]["top1"], ExpressionSurrogate)


def test_it_predicts_as_well_as_the_whole_and_says_how_sure_it_is(fits):
    designs = SPACE.sobol(90, 5)
    truth = np.array([PROBLEM.completed(measured(d), d)["edp"] for d in designs])
    inputs = Inputs(SPACE, SPACE.rows(designs))
    tau = {k: kendalltau(f["edp"].mean(inputs), truth).statistic for k, f in fits.items()}
    assert tau["parts"] >= tau["whole"] - 0.02
    assert tau["parts"] > 0.85
    mean, std = fits["parts"]["edp"].mean_and_std(inputs)
    drawn = fits["parts"]["edp"].samples(inputs, 400, 3)
    assert drawn.shape == (400, len(designs))
    assert np.abs(drawn.mean(0) - mean).max() < 0.6 * std.max() + 0.05
    ratio = drawn.std(0) / std
    assert 0.5 < np.median(ratio) < 1.5


def test_a_part_that_was_not_measured_leaves_the_whole():
    designs = SPACE.sobol(12, 1)
    metrics = [{"top1": 60.0, "edp": measured(d)["latency_ms"], "margin": 1.0} for d in designs]
    fitted = surrogates.fit(
        PROBLEM, SPACE.rows(designs), metrics, SurrogateFactory(SPACE, "gp"), seed=0
    )
    assert not isinstance(fitted["edp"], ExpressionSurrogate)
