"""The study of one who has a simulator of their own: from a study.toml to what the commands say of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.cli import run

SIMULATOR = Path(__file__).parent / "my_simulator.py"
# Written by whoever has the simulator; nothing of cimbo's own is needed.
STUDY = """
[network]
name = "fmnist-vit"
[hardware]
simulator = "command"
options = { command = ["python", "my_simulator.py"] }
[hardware.genes]                     # whatever the simulator understands; nothing of cimbo's own is needed
adc_type = ["flash", "sar", "ramp"]
rows = [64, 128, 256]
dac_mv = [50, 100, 200]
[metrics]
edp = "energy_uj * latency_ms"       # of what evaluations return
[[objectives]]
name = "accuracy"
goal = "max"
reference = 70.0
[[objectives]]
name = "edp"
goal = "min"
[[constraints]]
metric = "tops_per_watt"             # printed by the simulator
relation = ">="
bound = 5.0
"""
SEARCH = ["--study", "s.db", "--jobs", "1", "--bit-accurate-images", "0"]


def json_of(capsys, *words):
    code = run([*words, "--study", "s.db", "--format", "json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the simulator and the study, where ``python`` is the one that runs the tests."""
    shutil.copy(SIMULATOR, tmp_path)
    command = json.dumps([sys.executable, "my_simulator.py"])
    text = STUDY.replace('["python", "my_simulator.py"]', command)
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_own_simulator_from_a_description_to_what_the_commands_say(folder, capsys):
    assert run(["optimize", "--config", "study.toml", "--budget", "16", *SEARCH]) == 0
    capsys.readouterr()
    found = json_of(capsys, "pareto")
    for design in found["pareto"]:
        assert set(design["hardware"]) == {"adc_type", "rows", "dac_mv"}
        metrics = design["metrics"]
        assert metrics["edp"] == pytest.approx(metrics["energy_uj"] * metrics["latency_ms"])
        assert metrics["tops_per_watt"] >= 5.0
        assert {"snr_db", "adc_share", "droop_mv"} <= metrics.keys()
    key = found["pareto"][0]["key"]
    explained = json_of(capsys, "explain", key)
    assert explained["layers"] == []
    changed = [n for n in explained["neighbours"] if n["how"] == "predicted"]
    assert any("adc_type" in change for n in changed for change in n["changes"])
    robust = json_of(capsys, "robust", "--draws", "20")
    assert {d["key"] for d in robust["designs"]} >= {d["key"] for d in found["pareto"]}
    assert run(["report", "-o", "r.html", "--next", "0", "--study", "s.db"]) == 0
    assert run(["export", "--to", "csv", "-o", "x.csv", "--study", "s.db"]) == 0
    assert "droop_mv" in (folder / "x.csv").read_text(encoding="utf-8").splitlines()[0]
    capsys.readouterr()
    assert run(["attribute", "s.db"]) == 2
    assert "baseline: is missing" in capsys.readouterr().err


REPORTED = """[metrics]
edp_js = "energy_uj * latency_ms * 1e-9"
rows_per_pj = "1e-6 * rows / energy_uj"
"""


def write_study(folder, metrics, sought="edp"):
    """The study of costs alone, which nothing measures for long, with other metrics."""
    text = (folder / "study.toml").read_text(encoding="utf-8")
    first = text.partition("[metrics]")[0]
    goals = f'[[objectives]]\nname = "{sought}"\ngoal = "min"\n'
    goals += '[[objectives]]\nname = "snr_db"\ngoal = "max"\n'
    (folder / "study.toml").write_text(first + metrics + goals, encoding="utf-8")


def test_metrics_that_are_only_reported_are_computed_everywhere(folder, capsys):
    write_study(folder, REPORTED)
    assert run(["optimize", "--config", "study.toml", "--budget", "6", *SEARCH]) == 0
    assert "edp_js=" in capsys.readouterr().err
    for design in json_of(capsys, "pareto")["pareto"]:
        metrics = design["metrics"]
        product = metrics["energy_uj"] * metrics["latency_ms"]
        assert metrics["edp_js"] == pytest.approx(1e-9 * product)
        rows = design["hardware"]["rows"]
        assert metrics["rows_per_pj"] == pytest.approx(1e-6 * rows / metrics["energy_uj"])
        assert "edp_js" in json_of(capsys, "show", design["key"])["metrics"]
    assert run(["export", "--to", "csv", "-o", "x.csv", "--study", "s.db"]) == 0
    assert "edp_js" in (folder / "x.csv").read_text(encoding="utf-8").splitlines()[0]
    assert run(["report", "-o", "r.html", "--next", "0", "--study", "s.db"]) == 0
    assert "edp_js" in (folder / "r.html").read_text(encoding="utf-8")
    capsys.readouterr()
    # A file of an older release holds the metrics in its configuration only
    with closing(sqlite3.connect("s.db")) as file:
        (text,) = file.execute("select value from meta where name = 'definition'").fetchone()
        definition = json.loads(text)
        del definition["metrics"]
        file.execute(
            "update meta set value = ? where name = 'definition'", [json.dumps(definition)]
        )
        file.commit()
    assert "edp_js" in json_of(capsys, "pareto")["pareto"][0]["metrics"]
    assert run(["optimize", "--config", "study.toml", "--budget", "7", *SEARCH]) == 0
    write_study(folder, '[metrics]\nedp_js = "2 * energy_uj"\n')
    assert run(["optimize", "--config", "study.toml", "--budget", "8", *SEARCH]) == 2
    assert "is another study: metrics" in capsys.readouterr().err


@pytest.mark.parametrize("sought", ["edp_js", "energy_uj"])
def test_a_misspelt_name_in_a_metric_is_refused_before_the_search(folder, capsys, sought):
    write_study(folder, '[metrics]\nedp_js = "energy_uJ * latency_ms"\n', sought)
    told = "metrics.edp_js: energy_uJ is neither measured nor a gene"
    assert run(["optimize", "--config", "study.toml", "--budget", "6", *SEARCH]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(told)
    assert "did you mean energy_uj?" in said
    assert not (folder / "s.db").exists()
    assert run(["doctor", "--config", "study.toml"]) == 1
    found = capsys.readouterr().out
    assert told in found
    assert "did you mean energy_uj?" in found


def test_the_program_asks_and_takes_what_is_told(folder, capsys):
    words = ["ask", "-n", "2", "--config", "study.toml", "--study", "s.db", "--format", "json"]
    assert run(words) == 0
    asked = json.loads(capsys.readouterr().out)
    told = []
    for i, design in enumerate(asked):
        metrics = {"accuracy": 80 + i, "energy_uj": 2.0, "latency_ms": 3.0, "tops_per_watt": 9.0}
        told.append({"key": design["key"], "metrics": metrics})
    Path("told.json").write_text(json.dumps(told), encoding="utf-8")
    assert run(["tell", "told.json", "--study", "s.db"]) == 0
    capsys.readouterr()
    found = json_of(capsys, "pareto")
    assert [design["metrics"]["edp"] for design in found["pareto"]] == [6.0]


MODULE = """
def evaluate(design):
    return {"top1": 60.0 + design["depth"] * 3 - 100 / design["rows"], "edp": design["depth"] * design["rows"] / 64}
"""
PROGRAM = """
from cimbo import Choice, Objective, SearchSpace, Study
from mine import evaluate
space = SearchSpace([Choice("depth", [1, 2, 3, 4, 5, 6])], [Choice("rows", [64, 128, 256, 512]), Choice("adc", ["a", "b"])])
objectives = [Objective("top1", "max", reference=50.0), Objective("edp", "min", reference=60.0)]
with Study.open("s.db", space, objectives) as study:
    study.optimize(evaluate, 14, 7)
"""


def test_a_study_begun_in_python_answers_to_the_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("mine.py").write_text(MODULE, encoding="utf-8")
    Path("begin.py").write_text(PROGRAM, encoding="utf-8")
    subprocess.run([sys.executable, "begin.py"], check=True)
    assert run(["optimize", "--budget", "16", *SEARCH]) == 0
    capsys.readouterr()
    found = json_of(capsys, "pareto")
    assert found["evaluations"] == 16
    assert json_of(capsys, "explain", found["pareto"][0]["key"])["neighbours"]
    assert json_of(capsys, "robust", "--draws", "20")["designs"]
    fitted = json_of(capsys, "fit-predictors", "--samples", "16", "--out", "b")
    assert set(fitted["objectives"]) == {"top1", "edp"}
    assert run(["report", "-o", "r.html", "--study", "s.db"]) == 0
    assert run(["status", "--study", "s.db"]) == 0
    capsys.readouterr()
    assert run(["attribute", "s.db"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_study_that_nothing_evaluates_says_so_where_it_has_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = SearchSpace([Choice("depth", [1, 2, 3, 4])], [Choice("rows", [64, 128, 256])])
    with Study.open("s.db", space, [Objective("top1", "max"), Objective("edp", "min")]) as study:
        for candidate in study.ask(3):
            study.tell(candidate, {"top1": 1.0, "edp": 2.0})
    assert run(["optimize", "--budget", "5", *SEARCH]) == 2
    told = capsys.readouterr().err
    assert "s.db: does not say what evaluates it; name a study.toml with [evaluator]" in told
    assert json_of(capsys, "pareto")["evaluations"] == 3
    assert run(["report", "-o", "r.html", "--next", "0", "--study", "s.db"]) == 0


EXPENSIVE = """
[evaluator]
python = "mine:evaluate"
[architecture.genes]
depth = [1, 2, 3, 4, 5, 6]
[hardware.genes]
rows = [64, 128, 256, 512]
adc = ["a", "b"]
[expensive]
metric = "top1"
budget = 4
[[objectives]]
name = "top1"
goal = "max"
reference = 50
[[objectives]]
name = "edp"
goal = "min"
reference = 60
"""


def test_a_budget_counts_the_metric_that_the_study_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("mine.py").write_text(MODULE, encoding="utf-8")
    Path("study.toml").write_text(EXPENSIVE, encoding="utf-8")
    assert run(["optimize", "--config", "study.toml", "--budget", "20", *SEARCH]) == 0
    capsys.readouterr()
    with Study.open("s.db", readonly=True) as study:
        assert len({r.params["depth"] for r in study.evaluations()}) <= 4
        assert study.expensive_metric() == "top1"
        assert study.accuracies_measured() <= 4
    Path("study.toml").write_text(EXPENSIVE.replace('metric = "top1"', 'metric = "top_1"'))
    assert run(["optimize", "--config", "study.toml", "--study", "other.db", *SEARCH[2:]]) == 2
    assert "expensive.metric: top_1 is no objective and has no constraint; did you mean top1?" in (
        capsys.readouterr().err
    )


def test_a_metric_that_a_program_does_not_print_is_refused_before_the_search(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("mine.py").write_text(MODULE, encoding="utf-8")
    Path("study.toml").write_text(EXPENSIVE.replace('name = "edp"', 'name = "edpp"'))
    assert run(["optimize", "--config", "study.toml", "--budget", "20", *SEARCH]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(
        "objectives and constraints: what evaluates did not measure edpp, is it edp?"
    )
    assert "top1, edp" in said


def test_a_baseline_is_a_design_of_the_study_s_own_genes(folder, capsys):
    """Its costs are what the study's own simulator says of it, in that simulator's metrics."""
    text = (folder / "study.toml").read_text().replace("bound = 5.0", "baseline = 0.9")
    baseline = '\n[baseline]\nadc_type = "sar"\nrows = 128\ndac_mv = 100\n'
    (folder / "study.toml").write_text(text + baseline)
    assert run(["optimize", "--config", "study.toml", "--budget", "3", *SEARCH]) == 0
    capsys.readouterr()
    with Study.open("s.db", readonly=True) as study:
        (constraint,) = study.problem.constraints
        assert constraint.bound > 0
    wrong = (text + baseline).replace("rows = 128\ndac", "rows = 100\ndac")
    (folder / "wrong.toml").write_text(wrong)
    assert run(["optimize", "--config", "wrong.toml", "--budget", "3", "--study", "w.db"]) == 2
    assert "baseline" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("baseline", "complaint"),
    [
        ("lanes = 3\nturbo = true", "lanes"),
        ("lanes = 2", "turbo"),
        ('lanes = 2\nturbo = "true"', "turbo"),
        ("lanez = 2\nturbo = true", "lanez"),
    ],
)
def test_a_baseline_of_own_genes_is_checked_though_nothing_refers_to_it(
    folder, capsys, baseline, complaint
):
    (folder / "own.toml").write_text(
        '[evaluator]\npython = "mine_base:f"\n[hardware.genes]\nlanes = [1, 2, 4]\n'
        f"turbo = [true, false]\n[baseline]\n{baseline}\n"
        '[[objectives]]\nname = "energy_nj"\ngoal = "min"\n'
    )
    assert run(["optimize", "--config", "own.toml", "--budget", "3", "--study", "o.db"]) == 2
    told = capsys.readouterr().err
    assert "own.toml, baseline" in told
    assert complaint in told


def test_a_baseline_of_an_own_evaluator_is_evaluated_by_it(folder, capsys):
    (folder / "mine_base.py").write_text("def f(d):\n return {'energy_nj': 3.0 * d['lanes']}\n")
    (folder / "own.toml").write_text(
        '[evaluator]\npython = "mine_base:f"\n[hardware.genes]\nlanes = [1, 2, 4]\n'
        '[baseline]\nlanes = 2\n[[objectives]]\nname = "energy_nj"\ngoal = "min"\n'
        '[[constraints]]\nmetric = "energy_nj"\nbaseline = 1.5\n'
    )
    assert run(["optimize", "--config", "own.toml", "--budget", "3", "--study", "o.db"]) == 0
    with Study.open("o.db", readonly=True) as study:
        assert study.problem.constraints[0].bound == 9.0
