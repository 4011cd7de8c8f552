"""The study: the same search whatever happens to it, failures as values, budgets kept, files that go on."""

import itertools
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, area, latency, measure

from cimbo import BadInput, Choice, Constraint, Objective, SearchSpace, Study
from cimbo.errors import EvaluationsFailed
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import hypervolume
from cimbo.study import events

QUICK = OptimizerOptions(kind="gp", initial=6)


def opened(path: Path | None = None, *, seed: int = 0, constraints=CONSTRAINTS) -> Study:
    return Study.open(path, SPACE, OBJECTIVES, constraints, seed=seed)


def told(study: Study) -> list[tuple]:
    """What a study holds, in the order of its search."""
    records = sorted(study.evaluations(), key=lambda r: r.extra["position"])
    return [(r.key, r.status, tuple(sorted(r.metrics.items())), r.origin) for r in records]


def measure_slowly(design: dict) -> dict[str, float]:
    """The first of a batch tends to end last."""
    time.sleep(0.15 if SPACE.key(design)[0] in "01234567" else 0.0)
    return measure(design)


class Interrupted:
    """Raises KeyboardInterrupt at its ``at``-th call, as Ctrl-C would, and counts."""

    def __init__(self, at: int = 10**9) -> None:
        self.calls, self.at = 0, at

    def __call__(self, design: dict) -> dict[str, float]:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return measure(design)


@pytest.fixture(scope="module")
def uninterrupted() -> list[tuple]:
    with opened() as study:
        study.optimize(measure, 14, batch_size=4, guidance=QUICK)
        assert [r.number for r in study.evaluations()] == list(range(1, 15))
        return told(study)


def test_a_search_is_a_function_of_its_seed(uninterrupted):
    origins = [origin for *_, origin in uninterrupted]
    assert origins[:6] == ["sobol"] * 6
    assert {"proposed"} <= set(origins[6:]) <= {"proposed", "explored"}
    assert len({key for key, *_ in uninterrupted}) == 14
    with opened(seed=1) as study:
        study.optimize(measure, 6, batch_size=4, guidance=QUICK)
        assert told(study)[:6] != uninterrupted[:6]


@pytest.mark.parametrize("workers", [2, 8])
def test_many_workers_evaluate_the_same_candidates_as_one(uninterrupted, workers: int):
    with opened() as study:
        study.optimize(measure_slowly, 14, batch_size=4, n_jobs=workers, guidance=QUICK)
        assert told(study) == uninterrupted


def measure_log(design: dict) -> dict[str, float]:
    """Writes when it begins and ends; some designs take ten times as long as others."""
    start = time.time()
    time.sleep(0.5 if SPACE.key(design)[0] in "0123" else 0.05)
    return measure(design) | {"start": start, "end": time.time()}


def test_asynchronous_workers_do_not_wait_for_one_another_and_propose_nothing_twice():
    heard: list[events.Event] = []
    with opened() as study:
        study.optimize(
            measure_log, 18, n_jobs=2, guidance=QUICK, asynchronous=True, listener=heard.append
        )
        records = study.evaluations()
        assert study.running() == []
    assert len({r.key for r in records}) == 18
    assert sorted(r.extra["position"] for r in records) == list(range(18))
    assert {r.origin for r in records[6:]} <= {"proposed", "explored", "sobol"}
    assert sum(r.origin == "proposed" for r in records) >= 8
    # Proposals are one at a time, and made while another design is being evaluated.
    proposals = [e for e in heard if isinstance(e, events.Proposed)]
    assert [e.count for e in proposals] == [1] * 18
    spans = sorted((r.metrics["start"], r.metrics["end"]) for r in records)
    assert sum(b[0] < a[1] for a, b in itertools.pairwise(spans)) >= 1


def test_asynchronous_searches_stop_at_ctrl_c_and_go_on():
    def interrupting(event: events.Event) -> None:
        if isinstance(event, events.Recorded) and event.count == 5:
            raise KeyboardInterrupt

    with opened() as study:
        with pytest.raises(KeyboardInterrupt):
            study.optimize(
                measure, 9, n_jobs=2, guidance=QUICK, asynchronous=True, listener=interrupting
            )
        assert len(study.evaluations()) == 5
        assert study.running() == []
        study.optimize(measure, 9, n_jobs=2, guidance=QUICK, asynchronous=True)
        assert len(study.evaluations()) == 9
        with pytest.raises(BadInput, match="on this machine"):
            study.optimize(measure, 12, guidance=QUICK, asynchronous=True, backend="dask")


def test_a_study_knows_the_versions_that_it_was_made_with(tmp_path: Path):
    with opened(tmp_path / "s.db"):
        pass
    with Study.open(tmp_path / "s.db", readonly=True) as study:
        assert study.metadata["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    "wrong",
    [{"timeout_s": 0}, {"retries": -1}, {"memory_mb": 0}, {"backend": "cloud"}, {"n_jobs": 0}],
    ids=str,
)
def test_impossible_conditions_are_refused_before_anything_is_planned(wrong):
    with opened() as study:
        with pytest.raises(BadInput):
            study.optimize(measure, 14, guidance=QUICK, **wrong)
        assert study.store.meta("plan") is None


def test_conditions_reach_the_evaluations(tmp_path: Path):
    def dies_at_first(design: dict) -> dict[str, float]:
        mark = tmp_path / SPACE.key(design)
        if not mark.exists():
            mark.touch()
            signal.raise_signal(signal.SIGKILL)
        return measure(design)

    with opened() as study:
        study.optimize(dies_at_first, 2, guidance=QUICK, isolate=True)
        assert all("SIGKILL" in str(r.reason) for r in study.evaluations())
        study.optimize(
            dies_at_first, 4, guidance=QUICK, isolate=True, retries=1, memory_mb=4096, timeout_s=60
        )
        records = study.evaluations()
    assert [r.status for r in records] == ["failed"] * 2 + ["done"] * 2
    assert [r.extra.get("attempts") for r in records] == [None, None, 2, 2]


@pytest.mark.parametrize("at", [1, 3, 12])
def test_an_interrupted_study_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, uninterrupted, at: int
):
    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "s.db") as study:
        study.optimize(Interrupted(at), 14, batch_size=4, guidance=QUICK)
    with Study.open(tmp_path / "s.db") as study:
        assert len(study.evaluations()) == at - 1
        assert study.running() == []
        again = Interrupted()
        front = study.optimize(again, 14, batch_size=4, guidance=QUICK)
        assert again.calls == 14 - (at - 1)
        assert told(study) == uninterrupted
        assert {r.key for r in front} == {r.key for r in study.pareto()}


def test_a_study_killed_in_the_middle_of_a_batch_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, uninterrupted
):
    program = f"""
import os, signal, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
from test_study import *
def measure_or_die(design, count=[0]):
    count[0] += 1
    if count[0] == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(design)
opened({str(tmp_path / "s.db")!r}).optimize(measure_or_die, 14, batch_size=4, guidance=QUICK)
"""
    assert (
        subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    )
    with Study.open(tmp_path / "s.db") as study:
        assert len(study.evaluations()) == 8
        study.optimize(measure, 14, batch_size=4, guidance=QUICK, accept_changed=True)
        assert told(study) == uninterrupted


def test_the_budget_is_the_total(tmp_path: Path):
    counted = Interrupted()
    with opened(tmp_path / "s.db") as study:
        study.optimize(counted, 3, batch_size=2, guidance=QUICK)
        assert counted.calls == 3
        study.optimize(counted, 3, guidance=QUICK)
        study.optimize(counted, 2, guidance=QUICK)
        assert counted.calls == 3
        study.tell(SPACE.sobol(60, 9)[-1], {"accuracy": 1.0, "latency_ms": 2.0, "area_mm2": 3.0})
        study.optimize(counted, 5, batch_size=50, guidance=QUICK)
        assert (counted.calls, len(study.evaluations())) == (4, 5)


@pytest.mark.parametrize(("budget", "batch"), [(0, 5), (-3, 5), (5, 0)])
def test_impossible_budgets_are_refused(budget: int, batch: int):
    with opened() as study:
        with pytest.raises(BadInput, match="give numbers of at least 1"):
            study.optimize(measure, budget, batch)
        with pytest.raises(BadInput, match="ask for at least 1"):
            study.ask(0)
        assert study.evaluations() == []


def fragile(design: dict) -> dict[str, float] | None:
    """Half of the space fails, in four ways."""
    kind = int(SPACE.key(design)[0], 16) % 8
    if kind == 0:
        raise RuntimeError("the simulator\nfell over")
    if kind == 1:
        return measure(design) | {"latency_ms": math.nan}
    if kind == 2:
        return None
    if kind == 3:
        sys.exit("out")
    return measure(design)


def test_failed_evaluations_are_values_and_the_search_goes_on():
    with opened() as study:
        front = study.optimize(fragile, 20, batch_size=5, guidance=QUICK)
        records = study.evaluations()
    assert len(records) == 20
    failed = [r for r in records if r.status == "failed"]
    assert 4 <= len(failed) <= 16
    for r in records:
        assert (r.status == "failed") == (int(r.key[0], 16) % 8 < 4)
        assert (r.reason is None) == (r.status == "done")
    reasons = {int(r.key[0], 16) % 8: r.reason for r in failed}
    expected = {
        0: "RuntimeError: the simulator fell over",
        1: "latency_ms",
        2: "returned None",
        3: "SystemExit: out",
    }
    assert all(expected[kind] in reason for kind, reason in reasons.items())
    assert len(reasons) >= 2
    assert front
    assert all(r.status == "done" and r.reason is None for r in front)
    assert any(r.origin == "proposed" for r in records)


def test_when_everything_fails_the_budget_still_ends_the_search():
    def broken(design: dict) -> dict[str, float]:
        raise ValueError("no")

    with opened() as study:
        assert study.optimize(broken, 9, guidance=OptimizerOptions(initial=4)) == []
        assert len({r.key for r in study.evaluations()}) == 9
        assert study.hypervolume() == 0


@pytest.mark.parametrize(
    "metrics",
    [{"accuracy": math.nan, "latency_ms": 1.0}, {"accuracy": 1.0, "latency_ms": math.inf}, None],
)
def test_told_metrics_that_are_no_numbers_are_failures(metrics):
    with opened() as study:
        asked = study.ask()[0]
        record = study.tell(asked, metrics, reason="the meter broke" if metrics is None else None)
        assert (record.status, record.key) == ("failed", asked.key)
        assert ("the meter broke" in record.reason) == (metrics is None)
        assert study.pareto() == []


def test_ask_takes_what_is_pending_into_account():
    with opened() as study:
        waiting = study.ask(4, guidance=QUICK)
        more = study.ask(4, guidance=QUICK)
        assert len(more) == 2  # of the six first designs
        assert len({c.key for c in waiting + more}) == 6
        for c in waiting + more:
            assert c.params == {**c.architecture, **c.hardware} == SPACE.canonical(c.params)
            study.tell(c, measure(c.params))
        first, second = study.ask(3, guidance=QUICK), study.ask(3, guidance=QUICK)
        assert {c.origin for c in first + second} <= {"proposed", "explored"}
        assert len({c.key for c in waiting + more + first + second}) == 12
        record = study.tell(first[0], measure(first[0].params))
        assert record.extra["predicted"] == {k: list(v) for k, v in first[0].predicted.items()}


def test_designs_of_ones_own_can_be_told_in_any_form_that_is_the_same():
    design = SPACE.designs(SPACE.rows([{"depth": 1, "w1": 2, "rows": 64, "cell": "a"}]))[0]
    with opened() as study:
        one = study.tell(design | {"w3": 4}, measure(design))
        assert one.params == design
        assert study.tell(design | {"rows": 64.0}, measure(design) | {"accuracy": 0.0}) == one
        assert len(study.evaluations()) == 1
        for wrong in ({"depth": 1}, design | {"w1": 9}, design | {"voltage": 1}):
            with pytest.raises(BadInput):
                study.tell(wrong, measure(design))


def test_a_gene_that_is_inactive_is_said_to_be_left_out(caplog):
    design = SPACE.designs(SPACE.rows([{"depth": 1, "w1": 2, "rows": 64, "cell": "a"}]))[0]
    with opened() as study:
        study.tell(design, measure(design))
        assert not caplog.records
        study.tell(design | {"w3": 4}, measure(design))
    assert "w3 is inactive in it (active_if) and left out" in caplog.text


def test_the_front_is_feasible_non_dominated_and_sorted():
    space = SearchSpace([Choice("g", list(range(8)))])
    rows = [(5, 5, 1), (6, 6, 1), (4, 7, 1), (9, 1, 9), (3, 3, 1), (5, 5, 1), (6, 2, 1)]
    constraints = [Constraint("area", "<=", 2.0)]
    with Study.open(
        None, space, [Objective("up", "max", 4.0), Objective("down", "min", 6.5)], constraints
    ) as study:
        for g, (up, down, size) in enumerate(rows):
            study.tell({"g": g}, {"up": up, "down": down, "area": size})
        study.tell({"g": 7}, {"up": 99.0, "down": 0.0})  # whose area nobody knows
        assert [r.params["g"] for r in study.pareto()] == [6]
        assert study.hypervolume() == (6 - 4) * (6.5 - 2)
    with Study.open(
        None, space, [Objective("up", "max", 4.0), Objective("down", "max", 0.0)], constraints
    ) as study:
        for g, (up, down, size) in enumerate(rows):
            study.tell({"g": g}, {"up": up, "down": down, "area": size})
        assert [r.params["g"] for r in study.pareto()] == [1, 2]
        assert study.hypervolume() == (6 - 4) * 6  # the other one lies on the reference
    with Study.open(None, space, [Objective("up", "max", 4.0), Objective("down", "max")]) as study:
        assert study.hypervolume() is None
        assert study.pareto() == []


def test_a_file_opens_without_its_space_and_keeps_its_seed(tmp_path: Path):
    with opened(tmp_path / "s.db", seed=5) as study:
        study.optimize(measure, 2, guidance=QUICK)
        records = study.evaluations()
    with Study.open(tmp_path / "s.db") as study:
        assert study.problem == Problem(SPACE, OBJECTIVES, CONSTRAINTS)
        assert (study.seed, study.evaluations()) == (5, records)
    with pytest.raises(BadInput, match="was started with seed 5, not 8"):
        opened(tmp_path / "s.db", seed=8)
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES, CONSTRAINTS) as study:
        assert study.seed == 5
    with Study.open(str(tmp_path / "s.db"), readonly=True) as study:
        assert study.pareto()
        with pytest.raises(BadInput, match="read-only"):
            study.tell(SPACE.sobol(9)[-1], measure(SPACE.sobol(9)[-1]))


def test_another_space_objective_or_constraint_is_another_study(tmp_path: Path):
    opened(tmp_path / "s.db").close()
    wider = SearchSpace(SPACE.architecture, [*SPACE.hardware, Choice("adc", [4, 5])])
    for definition in (
        (wider, OBJECTIVES, CONSTRAINTS),
        (SPACE, OBJECTIVES[::-1], CONSTRAINTS),
        (SPACE, OBJECTIVES, ()),
        (SPACE, OBJECTIVES, [Constraint("area_mm2", "<=", 41.0)]),
    ):
        with pytest.raises(BadInput, match="is another study"):
            Study.open(tmp_path / "s.db", *definition)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((None,), "neither a file nor a space"),
        ((None, SPACE), "needs a space and objectives together"),
        ((None, SPACE, []), "needs a space and objectives together"),
        (("nowhere/at/all.db",), "does not exist"),
        (("nowhere/at/all.db", SPACE, OBJECTIVES), "folder does not exist"),
    ],
)
def test_studies_that_cannot_be_opened(arguments, complaint: str):
    with pytest.raises(BadInput, match=complaint):
        Study.open(*arguments)


def test_a_space_is_searched_to_its_end_and_no_further():
    space = SearchSpace(
        [Choice("a", [1, 2, 3]), Choice("b", [1, 2], {"a": [2, 3]})], [Choice("c", ["x", "y"])]
    )
    with Study.open(None, space, OBJECTIVES) as study:
        study.optimize(
            lambda d: {"accuracy": d["a"], "latency_ms": 1.0 + d.get("b", 0)},
            50,
            guidance=OptimizerOptions(kind="gp", initial=4),
        )
        assert len(study.evaluations()) == space.size == 10
        assert study.ask(3) == []


def test_cheap_metrics_fixed_genes_and_what_is_told_to_a_listener():
    heard: list[events.Event] = []
    guidance = OptimizerOptions(kind="gp", initial=6)
    cheap = {"latency_ms": latency, "area_mm2": area}
    with opened() as whole:
        study = whole.with_constraints(fixed={"depth": 3})
        study.optimize(
            measure, 12, batch_size=3, cheap=cheap, guidance=guidance, listener=heard.append
        )
        records, volume = study.evaluations(), study.hypervolume()
    assert all(r.params["depth"] == 3 and r.metrics["area_mm2"] <= 40 for r in records)
    for r in records[6:]:
        assert r.extra["predicted"]["latency_ms"] == pytest.approx([r.metrics["latency_ms"], 0.0])
        assert r.extra["predicted"]["accuracy"][1] > 0
    assert [type(e).__name__ for e in heard] == ["Proposed", "Recorded", "Recorded", "Recorded"] * 4
    recorded = [e for e in heard if isinstance(e, events.Recorded)]
    assert [e.count for e in recorded] == list(range(1, 13))
    volumes = [e.hypervolume for e in recorded]
    assert volumes == sorted(volumes)
    assert volumes[-1] == volume == pytest.approx(_volume_of(records))


def _volume_of(records) -> float:
    kept = [r.metrics for r in records if r.metrics["area_mm2"] <= 40]
    return hypervolume(
        np.array([[m["accuracy"], -m["latency_ms"]] for m in kept]), np.array([60.0, -3.0])
    )


def test_a_search_beats_chance_at_equal_budget():
    with opened() as study:
        study.optimize(measure, 26, batch_size=5, guidance=OptimizerOptions(kind="gp", initial=11))
        found = study.hypervolume()
    chance = []
    for seed in range(20):
        designs = SPACE.designs(SPACE.random_rows(26, np.random.default_rng(seed)))
        kept = [m for m in map(measure, designs) if m["area_mm2"] <= 40]
        chance.append(
            hypervolume(
                np.array([[m["accuracy"], -m["latency_ms"]] for m in kept]), np.array([60.0, -3.0])
            )
        )
    assert found > max(chance)


def test_a_constant_objective_does_not_stop_the_search():
    with opened() as study:
        study.optimize(lambda d: measure(d) | {"accuracy": 70.0}, 12, guidance=QUICK)
        assert len(study.evaluations()) == 12
        assert len({r.metrics["latency_ms"] for r in study.pareto()}) == 1


def test_an_evaluator_cannot_change_what_is_recorded():
    def vandal(design: dict) -> dict[str, float]:
        metrics = measure(design)
        design.clear()
        return metrics

    with opened() as study:
        study.optimize(vandal, 3, guidance=QUICK)
        assert all(
            r.params == SPACE.canonical(r.params) and r.key == SPACE.key(r.params)
            for r in study.evaluations()
        )


def test_what_an_evaluator_prints_does_not_reach_stdout(capfd: pytest.CaptureFixture[str]):
    with opened() as study:
        study.optimize(lambda d: print("chatter") or measure(d), 2, guidance=QUICK)
    out, err = capfd.readouterr()
    assert (out, err.count("chatter")) == ("", 2)


def test_an_evaluation_without_an_objective_is_a_failure_that_names_it():
    with opened() as study:
        with pytest.raises(EvaluationsFailed, match="did not measure latency_ms"):
            study.optimize(lambda design: {"accuracy": 1.0, "latency": 2.0}, 3, guidance=QUICK)
        assert {r.status for r in study.evaluations()} == {"failed"}
        assert all("did not measure latency_ms" in r.reason for r in study.evaluations())


@pytest.mark.parametrize(
    ("absurd", "failed"), [(-1e300, True), (1e300, True), (-1e9, False), (1e6, False)]
)
def test_an_absurd_metric_does_not_end_the_study(absurd, failed):
    def evaluate(design: dict) -> dict[str, float]:
        metrics = measure(design)
        return metrics | {"accuracy": absurd} if SPACE.key(design)[0] in "0123" else metrics

    with opened() as study:
        study.optimize(evaluate, 14, guidance=QUICK)
        assert len(study.evaluations()) == 14
        hit = [r for r in study.evaluations() if SPACE.key(r.params)[0] in "0123"]
        assert hit
        assert {r.status for r in hit} == {"failed" if failed else "done"}
