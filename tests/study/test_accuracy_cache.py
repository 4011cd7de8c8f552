"""Two budgets: an accuracy measured once serves every chip, and what it costs is counted apart."""

import numpy as np
import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, area, latency, measure

from cimbo import BadInput, Objective, Study
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import View
from cimbo.problem.pareto import hypervolume
from cimbo.study.accuracy_cache import Known, network

ACCURACY_PARAMETERS = frozenset(SPACE.names) - {"rows"}
VIEWS = {"accuracy": View(ACCURACY_PARAMETERS)}
CHEAP = {"latency_ms": latency, "area_mm2": area}


def volume_of(metrics: list[dict]) -> float:
    kept = [m for m in metrics if m["area_mm2"] <= 40]
    return hypervolume(
        np.array([[m["accuracy"], -m["latency_ms"]] for m in kept]), np.array([60.0, -3.0])
    )


@pytest.fixture(scope="module")
def spent():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(
            measure, 100, 4, guidance=OptimizerOptions(CHEAP, VIEWS, "gp", initial=6, accuracies=11)
        )
        yield study


def test_the_budget_of_accuracies_holds_and_chips_are_searched_to_the_end(spent):
    records = spent.evaluations()
    networks = {network(r.params, ACCURACY_PARAMETERS) for r in records}
    assert spent.accuracies_measured() == len(networks) == 11
    assert 11 < len(records) < 100  # it stopped because nothing was left to gain
    best = spent.hypervolume()
    everything = [{**dict(n), "rows": rows} for n in networks for rows in (64, 128, 256, 512)]
    assert volume_of([measure(d) for d in everything]) == pytest.approx(best, rel=1e-9)


def test_the_same_call_again_adds_nothing_and_a_larger_budget_goes_on(spent):
    number = len(spent.evaluations())
    guidance = OptimizerOptions(CHEAP, VIEWS, "gp", initial=6, accuracies=11)
    spent.optimize(measure, 100, 4, guidance=guidance)
    assert len(spent.evaluations()) == number
    spent.optimize(
        measure,
        number + 2,
        4,
        guidance=OptimizerOptions(CHEAP, VIEWS, "gp", initial=6, accuracies=13),
    )
    assert len(spent.evaluations()) == number + 2
    assert spent.accuracies_measured() <= 13


def test_asynchronous_workers_keep_the_budget_too():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        guidance = OptimizerOptions(CHEAP, VIEWS, "gp", initial=6, accuracies=8)
        study.optimize(measure, 60, n_jobs=3, guidance=guidance, asynchronous=True)
        assert study.accuracies_measured() == 8
        assert 8 < len(study.evaluations()) < 60


def test_where_every_gene_shapes_the_accuracy_the_search_ends_with_the_budget():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(
            measure, 50, 4, guidance=OptimizerOptions(CHEAP, kind="gp", initial=6, accuracies=7)
        )
        assert len(study.evaluations()) == study.accuracies_measured() == 7


def test_costs_that_are_modelled_are_verified_on_measured_networks_until_the_budget_is_spent():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(
            measure, 14, 4, guidance=OptimizerOptions({}, VIEWS, "gp", initial=6, accuracies=8)
        )
        assert study.accuracies_measured() == 8
        assert len(study.evaluations()) == 14


def test_rows_are_projected_to_the_network_that_differs_least(spent):
    known = Known.of(SPACE, ACCURACY_PARAMETERS, spent.evaluations(), "accuracy")
    rows = SPACE.random_rows(50, np.random.default_rng(0))
    snapped = known.project_to_known(rows)
    designs = SPACE.designs(snapped)
    assert {network(d, ACCURACY_PARAMETERS) for d in designs} <= set(known.values)
    assert (snapped[:, SPACE.column["rows"]] == rows[:, SPACE.column["rows"]]).all()
    assert (known.project_to_known(known.rows) == known.rows).all()
    assert known(designs).tolist() == [measure(d)["accuracy"] for d in designs]


TOP1 = (Objective("latency_ms", "min", 3.0), Objective("top1", "max", 60.0))


def measure_top1(design: dict) -> dict:
    found = measure(design)
    return {"top1": found["accuracy"], "latency_ms": found["latency_ms"]}


@pytest.mark.parametrize("named", [{}, {"expensive": "top1"}], ids=["by its view", "by name"])
def test_the_budget_counts_an_expensive_metric_of_any_name(named):
    views = {"top1": View(ACCURACY_PARAMETERS)}
    options = OptimizerOptions(
        {"latency_ms": latency}, views, "gp", initial=4, expensive_budget=4, **named
    )
    with Study.open(None, SPACE, TOP1) as study:
        study.optimize(measure_top1, 30, 4, guidance=options)
        networks = {network(r.params, ACCURACY_PARAMETERS) for r in study.evaluations()}
        assert study.accuracies_measured() == len(networks) == 4
        assert len(study.evaluations()) > 4


def test_a_metric_named_expensive_is_remembered_by_the_file(tmp_path):
    options = OptimizerOptions(
        kind="gp",
        initial=6,
        expensive="latency_ms",
        views={"latency_ms": View(frozenset({"rows"}))},
    )
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES) as study:
        study.optimize(measure, 6, guidance=options)
    with Study.open(tmp_path / "s.db") as study:
        assert study.accuracies_measured() == len({r.params["rows"] for r in study.evaluations()})


def test_an_expensive_metric_that_the_study_does_not_measure_is_refused():
    with Study.open(None, SPACE, TOP1) as study:
        with pytest.raises(BadInput, match="expensive metric top5: is not measured by this study"):
            study.optimize(measure_top1, 4, guidance=OptimizerOptions(expensive="top5"))
        everything = {"latency_ms": latency, "top1": lambda designs: np.ones(len(designs))}
        options = OptimizerOptions(everything, expensive_budget=3)
        with pytest.raises(BadInput, match="every objective is analytic"):
            study.optimize(measure_top1, 4, guidance=options)
        assert study.evaluations() == []


def test_the_old_words_mean_the_same():
    old = OptimizerOptions(cheap=CHEAP, accuracies=4)
    assert old == OptimizerOptions(CHEAP, expensive_budget=4)
    assert (old.cheap, old.accuracies) == (CHEAP, 4)
