"""Designs that were measured several times: how much a measurement varies reaches the surrogates."""

import math

import numpy as np
import pytest

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.optimizer import surrogates
from cimbo.optimizer.surrogates import Inputs, SurrogateFactory
from cimbo.problem.objectives import Problem
from cimbo.session.context import StudyContext
from cimbo.session.study_status import status
from cimbo.study import replicates

SPACE = SearchSpace(hardware=[Choice("x", list(range(1, 31)))])
OBJECTIVES = (Objective("y", "max"),)


def test_a_mean_of_more_measurements_varies_less():
    with Study.open(None, space=SPACE, objectives=OBJECTIVES) as study:
        study.tell({"x": 1}, {"y": 5.0})
        for value in (1.0, 2.0, 3.0):  # of variance (1 + 0 + 1) / 2
            study.tell({"x": 2}, {"y": value})
        found = replicates.noise_of_means(study.evaluations())
    assert found["y"] == pytest.approx([1.0, 3**-0.5])


def test_without_repetitions_nothing_is_known_of_the_noise():
    with Study.open(None, space=SPACE, objectives=OBJECTIVES) as study:
        study.tell({"x": 1}, {"y": 5.0})
        study.tell({"x": 2}, {"y": 6.0})
        study.tell({"x": 2}, {"y": 6.0})
        assert replicates.noise_of_means(study.evaluations()) == {}


def test_a_measurement_that_is_known_to_be_noisy_is_believed_less():
    problem = Problem(SPACE, OBJECTIVES)
    rows = SPACE.rows([{"x": x} for x in range(1, 31)])
    values = np.sin(np.arange(30) / 5.0)
    values[14] += 1.5
    metrics = [{"y": float(v)} for v in values]

    def off(noise: dict) -> float:
        factory = SurrogateFactory(SPACE, "gp")
        fitted = surrogates.fit(problem, rows, metrics, factory, seed=0, noise=noise)
        mean = fitted["y"].mean(Inputs(SPACE, rows[14:15]))
        return abs(float(mean[0]) - float(np.sin(14 / 5.0)))

    doubtful = np.full(30, 0.01)
    doubtful[14] = 1.5
    assert off({"y": doubtful}) < 0.5 * off({})


def test_a_search_goes_on_with_repeated_measurements():
    rng = np.random.default_rng(0)
    with Study.open(None, space=SPACE, objectives=OBJECTIVES) as study:
        for candidate in study.ask(12):
            for _ in range(3):
                y = -abs(candidate.params["x"] - 20) + rng.normal()
                study.tell(candidate, {"y": float(y)})
        assert len(study.ask(3)) == 3


def test_equal_measurements_count_in_the_mean(tmp_path):
    file = tmp_path / "s.db"
    for _ in range(2):  # a script that is run again adds nothing
        with Study.open(file, space=SPACE, objectives=OBJECTIVES) as study:
            for value in (10.0, 20.0, 10.0):
                study.tell({"x": 1}, {"y": value})
            (record,) = study.evaluations()
            assert record.metrics["y"] == pytest.approx(40 / 3)
            assert len(record.extra["replicates"]) == 3
    with Study.open(file) as study:
        study.tell({"x": 1}, {"y": 10.0}, replicate=True)
        study.tell({"x": 1}, {"y": 10.0}, replicate=True)
        assert study.evaluations()[0].metrics["y"] == 12.0
        study.tell({"x": 2}, {"y": 1.0}, replicate=True)
        assert "replicates" not in study.evaluations()[1].extra


@pytest.mark.parametrize("told", [{"y": math.nan}, {"z": 1.0}, None])
def test_a_further_measurement_that_failed_is_kept_and_changes_no_mean(told):
    with Study.open(None, space=SPACE, objectives=OBJECTIVES) as study:
        study.tell({"x": 1}, {"y": 10.0})
        study.tell({"x": 1}, told)
        (record,) = study.evaluations()
        assert (record.status, record.metrics) == ("done", {"y": 10.0})
        (reason,) = record.extra["failed_replicates"]
        assert reason in ("y is nan", "no metrics") or "did not measure y" in reason
        assert [r.key for r in study.pareto()] == [record.key]
        assert status(StudyContext(study)).to_json()["failed_replicates"] == 1
