"""A set-up that is wrong ends the search at once, and nothing of it is recorded as a result."""

import logging

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo import BadInput, Constraint, EvaluationsFailed, Objective, Study
from cimbo.optimizer.options import OptimizerOptions
from cimbo.session.context import StudyContext
from cimbo.session.front import front
from cimbo.session.study_status import status
from cimbo.study.events import Stopped
from cimbo.study.failures import ALIKE_AT_START, ALIKE_LATER

FIRST = OptimizerOptions(initial=100)  # Sobol's sequence only


def opened(constraints=CONSTRAINTS) -> Study:
    return Study.open(None, SPACE, OBJECTIVES, constraints)


def no_weights(design: dict) -> dict[str, float]:
    raise BadInput("weights.pth", "is no file", "name the checkpoint")


def no_such_chip(design: dict) -> dict[str, float]:
    if design["rows"] == 64:
        raise BadInput("chip.rows", "is 64, which is too few", "fix the gene")
    return measure(design)


@pytest.mark.parametrize(
    "how", [{}, {"isolate": True}, {"n_jobs": 2}, {"asynchronous": True}], ids=str
)
def test_bad_input_of_an_evaluation_ends_the_search_and_is_not_recorded(how):
    with opened() as study:
        with pytest.raises(BadInput, match=r"^weights.pth: is no file; name the checkpoint$"):
            study.optimize(no_weights, 20, guidance=FIRST, **how)
        assert study.evaluations() == []
        assert study.store.running() == []
        study.optimize(measure, 5, guidance=FIRST)  # the right set-up goes on
        assert [r.status for r in study.evaluations()] == ["done"] * 5


@pytest.mark.parametrize("isolate", [False, True])
def test_bad_input_about_one_design_is_a_failure_of_that_design(isolate):
    with opened() as study:
        study.optimize(no_such_chip, 12, guidance=FIRST, isolate=isolate)
        for r in study.evaluations():
            assert (r.status == "failed") == (r.params["rows"] == 64)


def test_many_equal_failures_at_the_start_end_the_search():
    events = []

    def broken(design: dict) -> dict[str, float]:
        raise OSError(f"/tmp/run{design['rows']}: no such program")

    with opened() as study:
        with pytest.raises(EvaluationsFailed, match="10 evaluations in a row failed alike"):
            study.optimize(broken, 50, guidance=FIRST, listener=events.append)
        assert len(study.evaluations()) == ALIKE_AT_START
        assert isinstance(events[-1], Stopped)
        assert "no such program" in events[-1].reason


def test_many_equal_failures_later_end_the_search_too(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # a script that has set up no logging
    calls = []

    def breaking(design: dict) -> dict[str, float]:
        calls.append(design)
        if len(calls) > 3:
            raise OSError("the disk is full")
        return measure(design)

    with opened() as study:
        with pytest.warns(RuntimeWarning, match="20 evaluations in a row failed alike"):
            study.optimize(breaking, 100, guidance=FIRST)
        assert len(study.evaluations()) == 3 + ALIKE_LATER


def test_a_wrong_direction_is_told():
    objectives = [Objective("accuracy", "max", 1e6), Objective("latency_ms", "min", 1e6)]
    with Study.open(None, SPACE, objectives) as study:
        assert study.worse_than_references() is None
        study.optimize(measure, 4, guidance=FIRST)
        best = max(r.metrics["accuracy"] for r in study.evaluations())
        told = study.worse_than_references()
        assert told.startswith("hypervolume 0: none of 4 feasible designs is better")
        assert f"accuracy 1e+06 (max; best seen {best:.4g}, never better" in told
        assert "latency_ms 1e+06 (min; best seen" in told
        shown = front(StudyContext(study))
        assert shown.worse_than_references == shown.to_json()["worse_than_references"] == told
        assert status(StudyContext(study)).to_json()["worse_than_references"] == told
    with opened() as study:
        study.optimize(measure, 6, guidance=FIRST)
        assert study.worse_than_references() is None


def test_failures_for_several_reasons_do_not():
    def fails(design: dict) -> dict[str, float]:
        raise RuntimeError(f"the {design['cell']} broke")

    with opened() as study:
        study.optimize(fails, 30, guidance=FIRST)
        assert len(study.evaluations()) == 30


def test_what_failed_is_evaluated_again_when_asked():
    def broken(design: dict) -> dict[str, float]:
        raise OSError("the disk is full")

    with opened() as study:
        study.optimize(broken, 4, guidance=FIRST)
        failed = [r.key for r in study.evaluations()]
        study.optimize(measure, 4, guidance=FIRST)
        assert len(study.evaluations()) == 4  # the budget is spent, and nobody asked
        study.optimize(measure, 4, guidance=FIRST, retry_failed=True)
        done = [r.key for r in study.evaluations() if r.status == "done"]
        assert sorted(done) == sorted(failed)
        study.optimize(measure, 4, guidance=FIRST, retry_failed=True)
        assert len(study.evaluations()) == 8


class Unready:
    def __call__(self, design: dict) -> dict[str, float]:
        return measure(design)

    def check(self) -> None:
        raise BadInput("simulator", "is not installed", "install it")


def test_an_evaluator_is_checked_before_anything_is_planned():
    with opened() as study:
        with pytest.raises(BadInput, match="is not installed"):
            study.optimize(Unready(), 5)
        assert study.store.meta("plan") is None


def test_where_nothing_is_feasible_the_nearest_is_named():
    with opened([Constraint("area_mm2", "<=", 1.0)]) as study:
        assert study.nearest_to_feasible() is None
        study.optimize(measure, 6, guidance=FIRST)
        nearest = min(study.evaluations(), key=lambda r: r.metrics["area_mm2"])
        told = study.nearest_to_feasible()
        assert f"none of 6 evaluated designs is feasible; of the nearest, {nearest.key}" in told
        assert f"area_mm2 is {nearest.metrics['area_mm2']:.4g}, asked is <= 1" in told
    with opened() as study:
        study.optimize(measure, 6, guidance=FIRST)
        assert study.nearest_to_feasible() is None


def test_the_front_follows_the_mean_of_replicates():
    with opened() as study:
        design = SPACE.sobol(1)[0]
        study.tell(design, measure(design))
        before = study.hypervolume()
        study.tell(design, measure(design) | {"accuracy": measure(design)["accuracy"] + 8})
        assert study.hypervolume() > before
        assert study.pareto()[0].metrics["accuracy"] == pytest.approx(
            measure(design)["accuracy"] + 4
        )
