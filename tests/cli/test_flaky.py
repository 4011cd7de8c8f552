"""Programs that fail for a moment, or on some designs: what the commands say and do."""

from __future__ import annotations

import json
import sys

import pytest

from cimbo.cli import run

SIMULATOR = """
import json, pathlib, sys
asked = json.load(sys.stdin)
if asked["chip"]["lanes"] == 3:
    sys.exit("no licence for three lanes")
count = pathlib.Path("count")
number = int(count.read_text()) if count.exists() else 0
count.write_text(str(number + 1))
if pathlib.Path("flaky").exists() and number % 2 == 0:
    sys.exit("licence server busy")
layers = [{"name": layer["name"], "energy_uj": 1.0} for layer in asked["workload"]["layers"]]
lanes = asked["chip"]["lanes"]
print(json.dumps({"latency_ms": 8.0 / lanes, "energy_uj": 2.0 * lanes, "layers": layers}))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sim.py").write_text(SIMULATOR)
    command = json.dumps([sys.executable, "sim.py"])
    (tmp_path / "study.toml").write_text(
        '[network]\nname = "fmnist-vit"\naccuracy = "none"\nsubnetwork = "largest"\n'
        f'[hardware]\nsimulator = "command"\noptions = {{ command = {command} }}\n'
        "[hardware.genes]\nlanes = [1, 2, 3, 4]\n"
        '[[objectives]]\nname = "latency_ms"\ngoal = "min"\n'
        '[[objectives]]\nname = "energy_uj"\ngoal = "min"\n'
    )
    return tmp_path


SEARCH = ["optimize", "--config", "study.toml", "--study", "s.db", "--jobs", "1", "--budget"]


def test_layers_are_asked_for_again_after_a_failure_of_the_moment(folder, capsys):
    assert run([*SEARCH, "4"]) == 0
    (folder / "flaky").touch()
    (folder / "count").write_text("0")
    capsys.readouterr()
    assert run(["explain", "--rows", "layers", "--study", "s.db", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"]


def test_doctor_names_a_design_that_fails_and_goes_on(folder, capsys):
    assert run(["doctor", "--config", "study.toml", "--format", "json"]) == 0
    rows = {row["found"]: row["verdict"] for row in json.loads(capsys.readouterr().out)}
    failed = [found for found in rows if "three lanes" in found]
    assert failed
    assert rows[failed[0]] == "WARN"
    assert "lanes=3" in failed[0]


def test_retrying_more_than_the_budget_says_what_it_evaluates(folder, capsys):
    assert run([*SEARCH, "4"]) == 0
    capsys.readouterr()
    assert run([*SEARCH, "2", "--retry-failed"]) == 0
    said = capsys.readouterr().err
    assert "only what failed is evaluated again" in said
    assert "nothing is evaluated" not in said
