"""Metrics of an evaluation's own, and metrics that follow from them: stored, sought, exported, asked about later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimbo
from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.config import Config, preset
from cimbo.errors import BadInput, EvaluationsFailed
from cimbo.optimizer.derived_metrics import with_computed
from cimbo.problem.objectives import Problem
from cimbo.session.optimize import SearchSettings, optimizer_options

SPACE = SearchSpace([Choice("depth", [1, 2, 3, 4])], [Choice("rows", [64, 128, 256])])
OBJECTIVES = [Objective("top1", "max", reference=0.0), Objective("edp", "min", reference=100.0)]


def evaluate(design: dict[str, Any]) -> dict[str, float]:
    return {
        "top1": 10.0 * design["depth"],
        "energy_uj": float(design["depth"]),
        "latency_ms": design["depth"] / design["rows"] * 64,
        "leak_mw": design["rows"] / 64,
        "temperature": 300.0,
    }


def opened(path=None, **about: Any) -> Study:
    return Study.open(path, SPACE, OBJECTIVES, **about)


def test_every_number_is_kept_and_derived_ones_stand_beside(tmp_path):
    metrics = {"edp": "energy_uj * latency_ms", "hot": "temperature * leak_mw"}
    with opened(
        tmp_path / "s.db", metrics=metrics, constraints=[Constraint("hot", "<=", 700.0)]
    ) as s:
        s.optimize(evaluate, 12, 4)
        assert all(
            {"temperature", "leak_mw", "edp", "hot"} <= e.metrics.keys() for e in s.evaluations()
        )
        assert all(e.params["rows"] <= 128 for e in s.pareto())
        assert s.hypervolume() > 0
        frame = s.frame()
        assert list(frame["hot"]) == [e.metrics["hot"] for e in s.evaluations()]
    with Study.open(tmp_path / "s.db") as again:
        assert again.problem.metrics == metrics


def test_a_shipped_metric_needs_no_declaration(tmp_path):
    with opened() as study:
        study.optimize(evaluate, 6, 3)
        for e in study.evaluations():
            assert e.metrics["edp"] == e.metrics["energy_uj"] * e.metrics["latency_ms"]


def test_a_question_nobody_thought_of_is_answered_by_the_same_log():
    with opened() as study:
        study.optimize(evaluate, 12, 4)
        other = study.with_constraints([Constraint("power_w", "<=", 1e-3)])
        kept = other.feasible_evaluations()
        assert 0 < len(kept) < 12
        assert all(e.metrics["power_w"] <= 1e-3 for e in kept)


def test_another_expression_is_another_study(tmp_path):
    opened(tmp_path / "s.db", metrics={"edp": "energy_uj * latency_ms"}).close()
    with pytest.raises(BadInput, match="is another study: metrics"):
        opened(tmp_path / "s.db", metrics={"edp": "energy_uj + latency_ms"})
    # What a new study of the same measurements takes over
    objectives = [Objective("top1", "max", reference=5.0), OBJECTIVES[1]]
    with pytest.raises(BadInput, match=r"cimbo export -o rows\.csv, then cimbo import"):
        Study.open(tmp_path / "s.db", SPACE, objectives, metrics={"edp": "energy_uj * latency_ms"})


def test_a_metric_that_is_missing_is_named_with_the_nearest():
    with opened(metrics={"edp": "energy_mj * latency_ms"}) as study:
        told = study.tell({"depth": 1, "rows": 64}, evaluate({"depth": 1, "rows": 64}))
        assert told.reason == "did not measure edp, which needs energy_mj, is it energy_uj?"


def test_replicates_of_a_derived_metric_are_means():
    with opened() as study:
        study.tell({"depth": 1, "rows": 64}, {"top1": 1.0, "energy_uj": 1.0, "latency_ms": 2.0})
        study.tell({"depth": 1, "rows": 64}, {"top1": 1.0, "energy_uj": 3.0, "latency_ms": 2.0})
        (record,) = study.evaluations()
        assert record.metrics["edp"] == 4.0


def test_what_follows_from_computed_metrics_and_genes_is_computed():
    problem = Problem(
        SPACE, (Objective("edp_of_rows", "min"),), (), {"edp_of_rows": "energy_uj * rows"}
    )

    def energy(designs: list[dict[str, Any]]) -> Any:
        return np.array([evaluate(design)["energy_uj"] for design in designs])

    computed = with_computed(problem, {"energy_uj": energy})
    designs = SPACE.sobol(12)
    expected = [evaluate(d)["energy_uj"] * d["rows"] for d in designs]
    np.testing.assert_allclose(computed["edp_of_rows"](designs), expected)
    assert with_computed(problem, {}) == {}


def test_a_search_for_a_product_of_cimbo_s_own_costs_computes_it():
    source = preset("ofa-mobilenetv3-imagenet")
    objectives = [{"name": "edap", "goal": "min"}, {"name": "accuracy", "goal": "max"}]
    described = Config(source.name, {**source.data, "objectives": objectives, "constraints": []})
    with cimbo.open_session(described) as session:
        options = optimizer_options(session, SearchSettings(cost_model="analytic"))
        design = session.study.problem.space.sobol(1)[0]
        metrics = session.study.problem.completed(session.evaluator(design), design)
        assert options.analytic["edap"]([design])[0] == pytest.approx(metrics["edap"])
        modelled = optimizer_options(session, SearchSettings(cost_model="surrogate"))
        assert "edap" not in modelled.analytic
        assert modelled.views["edap"].features is not None


def test_an_evaluation_that_contradicts_an_expression_is_named_once(caplog):
    metrics = {"edp": "energy_uj * latency_ms"}
    with opened(metrics=metrics) as study:
        study.tell({"depth": 4, "rows": 64}, evaluate({"depth": 4, "rows": 64}))
        for rows in (64, 128):
            design = {"depth": 2, "rows": rows}
            right = study.tell(design, {**evaluate(design), "edp": 99.0})
            assert right.metrics["edp"] != 99.0
    said = [r.message for r in caplog.records if "metrics.edp" in r.message]
    assert len(said) == 1
    assert "gives 4, and the evaluation 99; the expression counts" in said[0]


def test_a_rounded_value_contradicts_nothing(caplog):
    with opened(metrics={"edp": "energy_uj * latency_ms"}) as study:
        design = {"depth": 2, "rows": 64}
        study.tell(design, {**evaluate(design), "edp": 4.001})
    assert not [r for r in caplog.records if "metrics.edp" in r.message]


def test_a_metric_under_a_derived_one_s_name_is_refused_at_the_first_evaluation():
    with opened(metrics={"edp": "energy_uj * latency_ms"}) as study:
        design = {"depth": 2, "rows": 64}
        with pytest.raises(BadInput, match=r"metrics.edp: is measured: 99, .* rename"):
            study.tell(design, {**evaluate(design), "edp": 99.0})
        assert not study.evaluations()


def test_an_expression_that_divides_by_zero_is_told_once(caplog):
    """As a metric beside the objectives it would be missing without a word; as an objective the reason is the division."""
    idle = "energy_uj / (rows - rows)"
    designs = [{"depth": 2, "rows": rows} for rows in (64, 128)]
    with opened(metrics={"idle": idle}) as study:
        for design in designs:
            assert "idle" not in study.tell(design, evaluate(design)).metrics
    told = [r.message for r in caplog.records if "metrics.idle" in r.message]
    assert len(told) == 1
    assert "has no finite value where energy_uj is" in told[0]
    with Study.open(None, SPACE, [Objective("idle", "min")], metrics={"idle": idle}) as study:
        reason = study.tell(designs[0], evaluate(designs[0])).reason
        assert "has no finite value" in reason
        assert "did not measure" not in reason


def test_a_derived_metric_of_what_is_not_measured_is_told_once(caplog):
    with opened(metrics={"per_volt": "energy_uj / volts"}) as study:
        for rows in (64, 128):
            design = {"depth": 2, "rows": rows}
            study.tell(design, evaluate(design))
    told = [r.message for r in caplog.records if "metrics.per_volt" in r.message]
    assert len(told) == 1
    assert "volts is not measured" in told[0]


def test_a_search_ends_with_the_first_evaluation_that_lacks_an_objective():
    asked = []

    def half(design):
        asked.append(design)
        return {"latency_us": 3.0}

    with Study.open(None, SPACE, [Objective("inferences_per_s", "max")]) as study:
        with pytest.raises(EvaluationsFailed, match="did not measure inferences_per_s"):
            study.optimize(half, 12, listener=None)
        assert len(asked) == 1
