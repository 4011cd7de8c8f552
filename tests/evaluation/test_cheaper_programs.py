"""Programs of a user's own that are asked for a short run first: a simulator of costs, and an evaluator of several designs."""

from __future__ import annotations

import json
import sys

import pytest

from cimbo import Study
from cimbo.config.study_config import load

# Notes the length of every run; a short one says less latency than there is, by a share that differs between chips
PROGRAM = """
import json
import sys


def run(design):
    rows, banks, cycles = design["rows"], design["banks"], design["cycles"]
    with open("runs.txt", "a") as file:
        file.write(f"{cycles}\\n")
    latency_ms = 400 / rows / banks + 0.01 * banks
    energy_uj = 20 * rows**0.5 * banks**0.3 / 8 + 0.2 * latency_ms
    if cycles < 1000:
        latency_ms *= 0.9 + 0.01 * ((rows + banks) % 7)
    return {"latency_ms": latency_ms, "energy_uj": energy_uj, "area_mm2": rows * banks / 1000}


asked = json.load(sys.stdin)
if asked["request"] == "batch":
    print(json.dumps({"answers": [run(each["hardware"]) for each in asked["requests"]]}))
elif asked["request"] == "evaluate":
    print(json.dumps(run(asked["hardware"])))
else:
    print(json.dumps(run(asked["chip"])))
"""
GENES = """
[hardware.genes]
rows = [16, 32, 48, 64, 96, 128, 192, 256]
banks = [1, 2, 3, 4, 5, 6, 7, 8]
"""
GOALS = """
[[objectives]]
name = "latency_ms"
goal = "min"
reference = 30.0
[[objectives]]
name = "energy_uj"
goal = "min"
reference = 90.0
[[fidelity]]
set = { cycles = 100 }
cost = 0.1
"""
COMMAND = json.dumps([sys.executable, "program.py"])
SIMULATOR = f"""
[network]
name = "fmnist-vit"
subnetwork = "smallest"
accuracy = "mine:accuracy"
[hardware]
simulator = "command"
options = {{ command = {COMMAND} }}
fixed = {{ cycles = 1000 }}
{GENES}
{GOALS}
of = "simulator"
"""
TRAINING = """
extends = "fmnist-vit"
[network]
accuracy = "mine:trained"
options = { epochs = 100 }
[[fidelity]]
set = { epochs = 10 }
cost = 0.1
"""
TRAINED = """
EPOCHS = []


def accuracy(design):
    return 50.0


def trained(design, epochs):
    widths = [value for name, value in design.items() if name.startswith(("mlp", "heads"))]
    blocks = design["depth"]
    EPOCHS.append(epochs)
    final = 60.0 + 3.0 * blocks + sum(map(float, widths)) / len(widths) / 10
    if epochs < 100:
        return final - 8.0 - (len(str(sorted(design.items()))) % 5) / 10
    return final
"""
EVALUATOR = f"""
{GENES}
[evaluator]
command = {COMMAND}
batch = 4
fixed = {{ cycles = 1000 }}
{GOALS}
"""


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Tell the lengths of all runs so far, in a folder with the program."""
    sys.modules.pop("mine", None)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "mine.py").write_text(TRAINED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "runs.txt"
    yield lambda: [int(line) for line in file.read_text().split()]
    sys.modules.pop("mine", None)


def searched(text: str, tmp_path, budget: int) -> Study:
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    config = load(tmp_path / "study.toml")
    study = Study.open(None, config.problem.space, config.problem.objectives, seed=0)
    study.optimize(config.evaluator(), budget=budget, batch_size=4, listener=None)
    return study


@pytest.mark.parametrize("text", [SIMULATOR, EVALUATOR], ids=["simulator", "evaluator"])
def test_a_program_is_asked_for_the_long_run_only_where_it_may_pay(text, tmp_path, runs):
    study = searched(text, tmp_path, 20)
    records = study.evaluations()
    stopped = [r for r in records if r.metrics.get("latency_ms_fidelity", 1.0) < 1.0]
    assert stopped
    assert all(record.status == "done" for record in records)
    # Each design has one short run, and a long one where it was not stopped
    assert runs().count(100) == len(records)
    again = (
        1 if text == EVALUATOR else 0
    )  # a batch measures the design that was tried before it anew
    assert runs().count(1000) == len(records) - len(stopped) + again
    for record in study.pareto():
        rows, banks = record.params["rows"], record.params["banks"]
        assert record.metrics["latency_ms"] == 400 / rows / banks + 0.01 * banks
    for record in stopped:
        assert record.metrics["area_mm2"] == record.params["rows"] * record.params["banks"] / 1000
        assert "area_mm2_std" not in record.metrics
    if text == SIMULATOR:
        assert all(record.metrics["accuracy"] == 50.0 for record in records)


def test_a_function_s_own_option_may_be_cheaper_such_as_few_epochs(tmp_path, runs):
    study = searched(TRAINING, tmp_path, 24)
    import mine

    records = study.evaluations()
    stopped = [r for r in records if r.metrics.get("accuracy_fidelity", 1.0) < 1.0]
    assert stopped
    assert all(record.metrics["accuracy_std"] > 0 for record in stopped)
    assert mine.EPOCHS.count(100) <= len(records) - len(stopped) + 1
    assert mine.EPOCHS.count(10) <= len(records) + 1
    for record in study.pareto():
        assert record.metrics["accuracy"] == mine.trained(record.params, 100)
