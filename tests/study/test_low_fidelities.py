"""Searches with cheaper settings first: less cost for nearly the same front, which has full measurements alone."""

import importlib
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cimbo import Study, open_session
from cimbo.config.study_config import Config, load
from cimbo.evaluation.low_fidelity import cheap_values
from cimbo.problem.calibration import MIN_PAIRS
from cimbo.session import study_status
from cimbo.session.comparison import ComparisonSettings, compare
from cimbo.session.context import StudyContext
from cimbo.session.health import doctor
from cimbo.session.one_design import evaluate_design
from cimbo.session.stopped_designs import stopped_designs
from cimbo.session.workers import Workers

# A simulator whose short run misses a part of the latency, by a share that differs from design to design
SIMULATOR = """
import math
import os
import signal
import zlib

CYCLES = []


def evaluate(design):
    genes = {name: value for name, value in design.items() if name != "cycles"}
    widths = [genes[f"width{i}"] for i in range(6)]
    rows = genes["rows"]
    accuracy = 95 - 50 * math.exp(-sum(widths) / 8) + 0.3 * (widths[0] - widths[3])
    latency_ms = sum(w**1.5 for w in widths) * (128 / rows) ** 0.7 * (1 + 0.3 * (rows > 128))
    draw = zlib.crc32(repr(sorted(genes.items())).encode()) % 1000 / 1000 - 0.5
    CYCLES.append(design["cycles"])
    if len(CYCLES) == int(os.environ.get("KILLED_AT", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    energy_uj = 5.0 + latency_ms**0.5 * rows / 64
    if design["cycles"] < 1_000_000:
        latency_ms = 0.8 * latency_ms**0.95 * (1 + 0.1 * draw)
        energy_uj *= 1 + 0.04 * draw
    return {
        "accuracy": accuracy,
        "latency_ms": latency_ms,
        "energy_uj": energy_uj,
        "area_mm2": rows / 100,
    }
"""
GENES = "".join(f"width{i} = [1, 2, 3, 4]\n" for i in range(6))
STUDY = f"""
[architecture.genes]
{GENES}
[hardware.genes]
rows = [64, 128, 256]
[evaluator]
python = "mine:evaluate"
fixed = {{ cycles = 1_000_000 }}
[[objectives]]
name = "accuracy"
goal = "max"
reference = 50
[[objectives]]
name = "latency_ms"
goal = "min"
reference = 40
"""
SHORT_RUN = """
[[fidelity]]
set = { cycles = 10_000 }
cost = 0.1
"""
MIDDLE_RUN = """
[[fidelity]]
set = { cycles = 100_000 }
cost = 0.3
"""
BUDGET = 40


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the simulator, in which one is."""
    sys.modules.pop("mine", None)
    (tmp_path / "mine.py").write_text(SIMULATOR, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("mine", None)


def described(folder: Path, text: str, name: str = "study.toml") -> Config:
    (folder / name).write_text(text, encoding="utf-8")
    return load(folder / name)


def searched(config: Config, path: Path | None, *, n_jobs: int = 1, budget: int = BUDGET) -> Study:
    problem = config.problem
    study = Study.open(path, problem.space, problem.objectives, problem.constraints, seed=0)
    study.optimize(config.evaluator(), budget=budget, batch_size=5, n_jobs=n_jobs, listener=None)
    return study


def cost_of(cycles: list[int]) -> float:
    """What runs cost, one of a million cycles taken as 1."""
    return sum({10_000: 0.1, 100_000: 0.3, 1_000_000: 1.0}[each] for each in cycles)


def is_stopped(record) -> bool:
    return record.metrics.get("latency_ms_fidelity", 1.0) < 1.0


def test_a_short_run_before_the_long_one_saves_much_and_loses_little(folder):
    import mine

    found = {}
    for name, text in (("full", STUDY), ("short first", STUDY + SHORT_RUN)):
        mine.CYCLES.clear()
        study = searched(described(folder, text), None)
        found[name] = (study.hypervolume(), cost_of(mine.CYCLES))
        for record in study.pareto():
            full = mine.evaluate({**record.params, "cycles": 1_000_000})
            assert record.metrics == full
    stopped = [record for record in study.evaluations() if is_stopped(record)]
    assert found["full"][1] == BUDGET
    assert found["short first"][1] < 0.75 * BUDGET
    assert found["short first"][0] > 0.95 * found["full"][0]
    for record in stopped:
        full = mine.evaluate({**record.params, "cycles": 1_000_000})
        metrics = record.metrics
        assert abs(metrics["latency_ms"] - full["latency_ms"]) < 4 * metrics["latency_ms_std"]
        assert metrics["latency_ms_fidelity"] == 0.1
        assert metrics["accuracy"] == full["accuracy"]
        assert {"accuracy_std", "accuracy_fidelity"}.isdisjoint(
            metrics
        )  # the length of the run does not touch it
        (cheap,) = cheap_values(record.extra)
        short = mine.evaluate({**record.params, "cycles": 10_000})
        assert cheap.metrics == short


def test_what_is_said_of_a_stopped_design_is_read_with_all_pairs_there_are(folder):
    import mine

    study = searched(described(folder, STUDY + SHORT_RUN), None)
    stored = {record.key: record.metrics for record in study.store.records()}
    first = next(record for record in study.evaluations() if is_stopped(record))
    assert first.metrics["latency_ms"] != stored[first.key]["latency_ms"]
    full = [record for record in study.evaluations() if not is_stopped(record)]
    assert len(full) >= MIN_PAIRS
    for record in full:
        assert record.metrics == mine.evaluate({**record.params, "cycles": 1_000_000})


def test_workers_and_one_process_find_the_same(folder):
    config = described(folder, STUDY + SHORT_RUN)
    alone = searched(config, None, budget=25)
    together = searched(config, None, n_jobs=2, budget=25)
    by_key = {record.key: record.metrics for record in together.evaluations()}
    assert by_key == {record.key: record.metrics for record in alone.evaluations()}
    assert any(map(is_stopped, alone.evaluations()))


def test_a_search_without_batches_stops_designs_too(folder):
    config = described(folder, STUDY + SHORT_RUN)
    study = Study.open(None, config.problem.space, config.problem.objectives, seed=0)
    study.optimize(config.evaluator(), 22, n_jobs=2, asynchronous=True, listener=None)
    assert len(study.evaluations()) == 22
    assert all(not is_stopped(record) for record in study.pareto())
    full = [record for record in study.evaluations() if not is_stopped(record)]
    assert len(full) >= MIN_PAIRS
    assert all(len(cheap_values(record.extra)) == 1 for record in study.evaluations())


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(folder, monkeypatch):
    described(folder, STUDY + SHORT_RUN)
    command = [sys.executable, "-m", "cimbo", "optimize", "--config", "study.toml", "--jobs", "1"]
    command += ["--budget", "25", "--format", "json", "--study"]
    whole = subprocess.run([*command, "whole.db"], capture_output=True, check=True)
    monkeypatch.setenv("KILLED_AT", "33")
    killed = subprocess.run([*command, "killed.db"], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    monkeypatch.delenv("KILLED_AT")
    resumed = subprocess.run([*command, "killed.db"], capture_output=True, check=True)
    assert json.loads(resumed.stdout)["pareto"] == json.loads(whole.stdout)["pareto"]
    with Study.open("whole.db") as study, Study.open("killed.db") as again:
        expected = {record.key: record.metrics for record in study.evaluations()}
        assert {record.key: record.metrics for record in again.evaluations()} == expected
        assert any(map(is_stopped, study.evaluations()))


def test_several_settings_are_tried_from_the_cheapest_on(folder):
    import mine

    study = searched(described(folder, STUDY + SHORT_RUN + MIDDLE_RUN), None)
    measured = [[cheap.stage.cost for cheap in cheap_values(r.extra)] for r in study.evaluations()]
    assert all(costs in ([0.1], [0.1, 0.3]) for costs in measured)
    assert [0.1] in measured
    assert all(not is_stopped(record) for record in study.pareto())
    assert cost_of(mine.CYCLES) < BUDGET


def test_a_metric_that_follows_from_a_short_run_is_on_no_front(folder):
    text = STUDY.replace('name = "latency_ms"', 'name = "edp"').replace("= 40", "= 900")
    config = described(folder, text + SHORT_RUN)
    problem = config.problem
    assert not problem.feasible(
        problem.completed(
            {"accuracy": 90.0, "latency_ms": 2.0, "latency_ms_fidelity": 0.1, "energy_uj": 3.0}, {}
        )
    )
    study = searched(config, None)
    stopped = [record for record in study.evaluations() if is_stopped(record)]
    assert stopped
    for record in stopped:
        product = record.metrics["latency_ms"] * record.metrics["energy_uj"]
        assert record.metrics["edp"] == pytest.approx(product)
    assert all(not is_stopped(record) for record in study.pareto())


def test_status_counts_what_was_spent_and_stopped(folder):
    import mine

    config = described(folder, STUDY + SHORT_RUN)
    study = searched(config, None)
    found = study_status.status(StudyContext(study, config)).cheaper_settings
    stopped = sum(map(is_stopped, study.evaluations()))
    assert found["stopped_early"] == stopped > 0
    assert found["in_full"] == BUDGET
    assert found["used"] == pytest.approx(cost_of(mine.CYCLES))


def test_doctor_tries_the_short_run_once(folder):
    import mine

    config = described(folder, STUDY + SHORT_RUN)
    findings = {finding.check: finding for finding in doctor(config, budget=10, jobs=1).findings}
    assert mine.CYCLES.count(10_000) == 1
    assert "cost = 0.1" in findings["with cycles 10000"].detail


def test_a_short_run_that_always_fails_ends_the_search_before_it_begins(folder):
    from cimbo import BadInput

    broken = SIMULATOR.replace(
        "    energy_uj = 5", "    1 / (design['cycles'] - 10_000)\n    energy_uj = 5"
    )
    (folder / "mine.py").write_text(broken, encoding="utf-8")
    with pytest.raises(BadInput, match="ZeroDivisionError"):
        searched(described(folder, STUDY + SHORT_RUN), None)


def test_without_the_table_designs_and_metrics_are_what_they_were(folder):
    plain = searched(described(folder, STUDY), None, budget=15)
    assert all(not cheap_values(record.extra) for record in plain.evaluations())
    assert all("latency_ms_fidelity" not in record.metrics for record in plain.evaluations())


def search(text: str, name: str = "study.toml", budget: int = BUDGET):
    """Search a described study, and return what `optimize` and `status` say and the keys of stopped designs."""
    described(Path(), text, name)
    with open_session(name, study="s.db", seed=0) as session:
        found = session.optimize(budget, workers=Workers(1))
        stopped = {record.key for record in session.study.evaluations() if is_stopped(record)}
        return found.front.stopped, session.status(), stopped


def test_a_search_without_its_stages_measures_stopped_designs_that_are_worth_it_in_full(folder):
    search(STUDY + SHORT_RUN)
    with Study.open("s.db") as study:
        volume = study.hypervolume()
        late = [r for r in study.pareto() if r.number > 15 and cheap_values(r.extra)]
    assert late
    with closing(sqlite3.connect("s.db")) as file, file:  # as if these had been stopped
        for record in late:
            part = {"latency_ms_fidelity": 0.1, "latency_ms_std": 0.1}
            stopped = json.dumps({**record.metrics, **part})
            file.execute("UPDATE evaluation SET metrics = ? WHERE key = ?", (stopped, record.key))
    with Study.open("s.db") as study:
        assert stopped_designs(study).promising > 0
        assert study.hypervolume() < 0.99 * volume
        forecast = study.forecast()
        assert forecast is None or forecast.volume == pytest.approx(study.hypervolume())
    _, _, after = search(STUDY, "plain.toml")
    with Study.open("s.db") as study:
        assert study.hypervolume() > 0.99 * volume
        assert len(study.evaluations()) == BUDGET
    _, _, again = search(STUDY, "plain.toml")
    assert again == after


def test_evaluating_a_stopped_design_measures_just_that_one_in_full(folder):
    import mine

    _, _, before = search(STUDY + SHORT_RUN)
    key = sorted(before)[0]
    mine.CYCLES.clear()
    with open_session("study.toml", study="s.db") as session:
        found = evaluate_design(session, key, {}, Workers(1))
        assert found.is_new
        assert found.record.metrics == mine.evaluate({**found.record.params, "cycles": 1_000_000})
        again = evaluate_design(session, key, {}, Workers(1))
        assert not again.is_new
        stopped = {record.key for record in session.study.evaluations() if is_stopped(record)}
    assert stopped == before - {key}
    assert mine.CYCLES == [1_000_000, 1_000_000]  # the second one is this test's


def test_methods_are_compared_by_full_measurements_and_that_is_said(folder, caplog):
    import mine

    config = described(folder, STUDY + SHORT_RUN)
    settings = ComparisonSettings(budget=4, seeds=1, methods=("random",))
    mine.CYCLES.clear()
    compare(config, config.problem, (), settings)
    assert "the stages of [[fidelity]] are not used" in caplog.text
    assert set(mine.CYCLES) == {1_000_000}


def test_status_counts_failures_and_what_is_measured_without_stages(folder):
    failing = SIMULATOR.replace(
        "    energy_uj = 5",
        "    if len(CYCLES) > 9 and widths[0] == 4 and design['cycles'] == 1_000_000:\n        raise ValueError('no')\n"
        "    if len(CYCLES) > 9 and widths[1] == 4 and design['cycles'] == 10_000:\n        raise ValueError('none')\n"
        "    energy_uj = 5",
    )
    (folder / "mine.py").write_text(failing, encoding="utf-8")
    sys.modules.pop("mine", None)
    mine = importlib.import_module("mine")
    shown, status, stopped = search(STUDY + SHORT_RUN, budget=30)
    assert status.failed > 0
    assert status.cheaper_settings["used"] == pytest.approx(cost_of(mine.CYCLES))
    assert status.cheaper_settings["in_full"] == 30
    assert status.measured_in_part == shown.count == len(stopped) > 0
    assert status.evaluations == status.failed + status.measured_in_part + status.feasible
    _, status, _ = search(STUDY, "plain.toml", 35)
    assert status.cheaper_settings["used"] == pytest.approx(cost_of(mine.CYCLES))
    assert status.cheaper_settings["in_full"] == 35


def test_an_objective_that_a_short_run_lacks_is_told_once_before_the_search(folder, caplog):
    for value in ("", "    'energy_uj': 0, 'latency_ms': math.nan,"):
        lacking = SIMULATOR.replace(
            "    return {",
            f"    if design['cycles'] == 10_000:\n        return {{'accuracy': accuracy,{value}}}\n    return {{",
        )
        (folder / "mine.py").write_text(lacking, encoding="utf-8")
        sys.modules.pop("mine", None)
        config = described(folder, STUDY + SHORT_RUN)
        caplog.clear()
        searched(config, None, budget=3)
        told = [r.message for r in caplog.records if "latency_ms is missing" in r.message]
        assert len(told) == 1
        assert "cycles" in told[0]
        verdicts = {f.check: f.verdict for f in doctor(config, budget=10, jobs=1).findings}
        assert verdicts["with cycles 10000"] == "WARN"
