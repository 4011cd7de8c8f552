"""One design evaluated on demand; what `explain` says of designs that a program of the user's evaluates."""

from __future__ import annotations

import json
import math
import sys

import pytest

from cimbo import Choice, Objective, Study
from cimbo.analysis.neighbours import BEATEN, BETTER, INFEASIBLE, TRADE, UNDECIDED, predicted
from cimbo.cli import run
from cimbo.problem.objectives import Constraint, Problem
from cimbo.problem.space import SearchSpace
from cimbo.storage import Record

PROGRAM = """
import json, random, sys
design = json.load(sys.stdin)["design"]
ms = design["depth"] * 64 / design["rows"] * (2 if design["kind"] == "sar" else 1)
noise = random.random() if len(sys.argv) > 1 else 0.0
layers = [{"name": f"block_{i + 1}", "latency_ms": ms / design["depth"], "wait_ms": 0.5} for i in range(design["depth"])]
answer = {"latency_ms": ms + noise, "energy_uj": design["rows"] / 64.0 * design["depth"] + 1}
print(json.dumps({**answer, "layers": layers}))
"""
STUDY = """
[evaluator]
command = [PYTHON, "program.py"]
[architecture.genes]
depth = [1, 2, 3, 4]
[hardware]
constraints = ["rows * cols <= 65536"]
[hardware.genes]
rows = [64, 128, 256, 512]
cols = [64, 128, 256]
kind = ["sar", "flash"]
sync = { values = ["sync", "async"], active_if = { kind = ["sar"] } }
[[objectives]]
name = "latency_ms"
goal = "min"
reference = 10
[[objectives]]
name = "energy_uj"
goal = "min"
reference = 40
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY.replace("PYTHON", json.dumps(sys.executable)))
    return tmp_path


def searched(budget, capsys):
    words = ["--config", "study.toml", "--study", "s.db", "--jobs", "1"]
    assert run(["optimize", "--budget", str(budget), *words]) == 0
    capsys.readouterr()
    with Study.open("s.db", readonly=True) as study:
        return study.evaluations()


def json_of(capsys, *words):
    code = run([*words, "--study", "s.db", "--format", "json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out), said.err


def test_one_design_is_evaluated_and_no_other(folder, capsys):
    start = next(r for r in searched(6, capsys) if r.params["kind"] == "flash")
    words = ["evaluate", start.key, "--fix", "kind=sar", "--fix", "sync=async", "--jobs", "1"]
    found, _ = json_of(capsys, *words)
    assert found["hardware"] == {**found["hardware"], "kind": "sar", "sync": "async"}
    assert found["architecture"] == {"depth": start.params["depth"]}
    assert found["metrics"]["latency_ms"] == 2 * start.metrics["latency_ms"]
    again, told = json_of(capsys, *words)
    assert again["key"] == found["key"]
    assert "is evaluated already" in told
    with Study.open("s.db", readonly=True) as study:
        assert len(study.evaluations()) == 7


@pytest.mark.parametrize(
    ("fixes", "told"),
    [
        (["rws=64"], "did you mean rows"),
        (["rows=63"], "choose one of [64, 128, 256, 512]"),
        (["rows=512", "cols=256"], "design: does not keep rows * cols <= 65536"),
        (["kind=flash", "sync=sync"], "gene sync: does not exist in this design; it needs kind in ['sar']"),
    ],
)  # fmt: skip
def test_a_design_that_cannot_be_is_refused(folder, capsys, fixes, told):
    start = searched(2, capsys)[0]
    words = []
    for fix in fixes:
        words += ["--fix", fix]
    assert run(["evaluate", start.key, *words, "--study", "s.db", "--jobs", "1"]) == 2
    assert told in capsys.readouterr().err


def test_layers_of_a_program_are_explained(folder, capsys):
    key = searched(12, capsys)[-1].key
    found, told = json_of(capsys, "explain", key)
    depth = len(found["layers"])
    assert [layer["name"] for layer in found["layers"]] == [f"block_{i + 1}" for i in range(depth)]
    assert run(["explain", key, "--study", "s.db", "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "layer,latency_ms,wait_ms"
    assert f"cimbo evaluate {key} --fix" in said.err
    for which in ("prices", "front"):
        assert run(["explain", key, "--study", "s.db", "--rows", which]) == 0
        said = capsys.readouterr()
        assert f"--rows {which}: cimbo's chip model does not know" in said.err
        assert said.out.startswith("how ")
    predictions = [row for row in found["neighbours"] if row["how"] == "predicted"]
    assert predictions
    for row in predictions:
        low, high = row["latency_ms, 90 %"]
        assert low <= row["latency_ms better by"] <= high
    step = shlex_words(told if "cimbo evaluate" in told else said.err)
    assert run([*step, "--jobs", "1"]) == 0


def shlex_words(told):
    """The command that a message names."""
    line = next(line for line in told.splitlines() if "cimbo evaluate" in line)
    return line.partition("cimbo ")[2].split()


def test_layers_of_a_program_that_draws_at_random_are_not_shown(folder, capsys):
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(text.replace('"program.py"', '"program.py", "noisy"'))
    key = searched(2, capsys)[0].key
    assert run(["explain", key, "--study", "s.db"]) == 0
    assert "simulated again, latency_ms is" in capsys.readouterr().err


SPACE = SearchSpace([Choice("depth", [1, 2])], [Choice("rows", [64, 128])])
PROBLEM = Problem(
    SPACE,
    (Objective("latency_ms", "min"), Objective("accuracy", "max")),
    (Constraint("area_mm2", "<=", 10.0),),
)
HERE = {"latency_ms": 2.0, "accuracy": 80.0, "area_mm2": 8.0}
VERDICTS = [  # between what latency, accuracy and area lie, verdict
    ((2.1, 2.4), (79.0, 79.9), (7.0, 9.0), BEATEN),
    ((2.1, 2.4), (79.0, 79.9), (7.0, 12.0), BEATEN),
    ((1.9, 2.4), (79.0, 79.9), (7.0, 9.0), UNDECIDED),
    ((1.5, 1.9), (80.1, 82.0), (7.0, 9.0), BETTER),
    ((1.5, 1.9), (80.1, 82.0), (7.0, 10.5), UNDECIDED),
    ((1.5, 1.9), (79.0, 82.0), (7.0, 9.0), UNDECIDED),
    ((1.5, 1.9), (78.0, 79.0), (7.0, 9.0), TRADE),
    ((1.5, 1.9), (80.1, 82.0), (11.0, 12.0), INFEASIBLE),
]


@pytest.mark.parametrize(("latency", "accuracy", "area", "verdict"), VERDICTS)
def test_a_verdict_on_predictions_holds_for_all_of_their_intervals(
    latency, accuracy, area, verdict
):
    of = Record(1, "k", {"depth": 1, "rows": 64}, HERE, "done", None, "sobol", 0.0, {})
    intervals = {"latency_ms": latency, "accuracy": accuracy, "area_mm2": area}
    metrics = {name: math.fsum(ends) / 2 for name, ends in intervals.items()}
    found = predicted(PROBLEM, of, {"depth": 1, "rows": 128}, metrics, intervals)
    assert found.verdict == verdict
    assert found.intervals["latency_ms"] == (latency[0] - 2.0, latency[1] - 2.0)
    assert found.intervals["accuracy"] == (80.0 - accuracy[1], 80.0 - accuracy[0])
