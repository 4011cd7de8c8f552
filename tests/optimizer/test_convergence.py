"""What more evaluations would bring: right on searches whose law is known, and often enough on real ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, area, latency, measure

from cimbo import Objective, Study
from cimbo.optimizer.convergence import ahead, curve, forecast
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import candidate
from cimbo.session.context import StudyContext
from cimbo.session.study_status import status

CHEAP = {"latency_ms": latency, "area_mm2": area}


def searches(decay: float, n: int, seed: int, *, chance: float = 0.3) -> np.ndarray:
    """Hypervolumes of a search of ``n`` evaluations: now and then a gain, exponential around t^-decay."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, n + 1)
    return 10 + np.cumsum(rng.exponential(t**-decay) * (rng.random(n) < chance))


@pytest.mark.parametrize("decay", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("seen", [40, 120])
def test_of_searches_with_a_known_law_the_range_holds_nine_in_ten(decay: float, seen: int):
    held, errors = [], []
    for seed in range(100):
        volumes = searches(decay, seen + 50, seed)
        ahead = forecast(volumes[:seen].tolist(), 1)
        gain = volumes[-1] - volumes[seen - 1]
        held.append(ahead.low <= gain <= ahead.high)
        errors.append(ahead.expected - gain)
        assert ahead.low <= ahead.expected <= ahead.high
    assert np.mean(held) > 0.82
    true = 0.3 * (np.arange(seen, seen + 50.0) ** -decay).sum()
    assert abs(np.mean(errors)) < 0.75 * true


def test_nothing_is_said_too_early_and_stagnation_is_no_certainty():
    assert forecast([], 0) is None
    assert forecast([1.0] * 39, 20) is None
    assert forecast([0.0] * 100, 20) is None
    still = forecast([1.0] * 20 + [2.0] * 60, 30)
    assert (still.expected, still.share) == (0.0, 0.0)
    assert still.high > 0
    assert math.isfinite(still.high)
    assert "expected to add 0 (0 %" in str(still)


def test_the_curve_is_the_study_s_own_hypervolume_at_every_evaluation():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        volumes = []
        for i, design in enumerate(SPACE.sobol(40, 2)):
            study.tell(design, None if i % 7 == 3 else measure(design))
            volumes.append(study.hypervolume())
        assert curve(study.problem, study.evaluations()) == pytest.approx(volumes)
        assert study.forecast() is None  # no model chose anything


def test_no_more_is_forecast_than_is_possible():
    objectives = [Objective("accuracy", "max", 90.0), Objective("latency_ms", "min", 2.0)]
    with Study.open(None, SPACE, objectives) as study:
        for i, design in enumerate(SPACE.sobol(30, 2)):
            proposed = candidate(SPACE, design, origin="proposed")
            study.import_evaluation(
                proposed, {"accuracy": 90.5 + 0.3 * i, "latency_ms": 1.5 - 0.04 * i}
            )
        uncapped = forecast(curve(study.problem, study.evaluations()), 0)
        found = study.forecast()
        left = 10.0 * 2.0 - study.hypervolume()
        assert uncapped.expected > left
        assert found.low <= found.expected == pytest.approx(left)
        assert found.high == pytest.approx(left)
        told = status(StudyContext(study)).to_json()["expected_gain"]
        assert told == {
            "evaluations": 50,
            "hypervolume": found.expected,
            "low": found.low,
            "high": found.high,
        }


def test_a_stopped_design_counts_in_the_forecast_as_its_recorded_metrics_would():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS, seed=0) as study:
        study.optimize(measure, 40, 6, guidance=OptimizerOptions(CHEAP, kind="gp", initial=8))
        records = study.evaluations()
    whole = ahead(study.problem, records)
    proposed = [r for r in records if r.origin == "proposed" and study.problem.feasible(r.metrics)]
    stopped = {r.number for r in proposed[::2]}
    partial = []
    for record in records:
        metrics = dict(record.metrics)
        if record.number in stopped:
            metrics |= {"latency_ms_fidelity": 0.1, "latency_ms_std": 1.0}
        partial.append(replace(record, metrics=metrics))
    found = ahead(study.problem, partial)
    assert found.volume == curve(study.problem, partial)[-1] < whole.volume
    assert replace(found, volume=whole.volume) == whole


def test_a_converged_search_ends_before_its_budget():
    guidance = OptimizerOptions(CHEAP, kind="gp", initial=8, converged=0.01)
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(measure, 120, 6, guidance=guidance)
        number = len(study.evaluations())
        assert 28 <= number < 120
        ahead = study.forecast()
        assert ahead.share < 0.01
        best = max(study.hypervolume(), _ideal())
        assert study.hypervolume() > 0.9 * best
        study.optimize(measure, 120, 6, guidance=guidance)
        assert len(study.evaluations()) == number


def _ideal() -> float:
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as whole:
        problem = whole.problem
    kept = [m for m in map(measure, SPACE.sobol(SPACE.size)) if problem.feasible(m)]
    from cimbo.problem.pareto import hypervolume

    return hypervolume(problem.scores(kept), problem.reference())
