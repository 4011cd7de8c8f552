"""Simulators that fail: what was measured before is kept, and one that fails on everything ends the search."""

import json
import sys
from pathlib import Path

import pytest

from cimbo import Study
from cimbo.cli import run
from cimbo.config import study_config
from cimbo.evaluation.joint import JointEvaluator
from cimbo.study.failures import ALIKE_LATER

ACCURACY = 77.5
NETWORK = "ofa-mobilenetv3"
PRESET = study_config.preset("ofa-mobilenetv3-imagenet")


class CountedAccuracy:
    """An accuracy that is dear: it counts how often it is measured."""

    genes = ()

    def __init__(self) -> None:
        self.measured: list[dict] = []

    def measure(self, design: dict, part: str = "validation") -> float:
        self.measured.append(dict(design))
        return ACCURACY


class FaultySimulator:
    """Costs that are no numbers for chips of 64 rows, and no costs at all for 32."""

    def simulate(self, workload, chip) -> dict[str, float]:
        if chip["rows"] == 32:
            raise RuntimeError("no such array in our library")
        latency_ms = float("nan") if chip["rows"] == 64 else 1.0
        return {"latency_ms": latency_ms, "energy_uj": 1.0, "area_mm2": 1.0}


def evaluator() -> JointEvaluator:
    found = JointEvaluator(NETWORK, "counted")
    found.__dict__["_accuracy"] = CountedAccuracy()
    found.__dict__["_simulator"] = FaultySimulator()
    return found


def test_a_simulator_that_fails_does_so_before_an_accuracy_is_measured():
    ours = evaluator()
    chip = PRESET.baseline()
    with pytest.raises(RuntimeError, match="no such array"):
        ours({**PRESET.problem.space.sobol(1, 0)[0], **chip, "rows": 32})
    assert ours._accuracy.measured == []


def test_an_accuracy_is_kept_when_the_costs_beside_it_are_no_numbers():
    ours, space = evaluator(), PRESET.problem.space
    design = space.canonical({**space.sobol(1, 0)[0], "rows": 64})
    with Study.open(None, space, PRESET.problem.objectives) as study:
        row = study.tell(design, ours(design))
        assert row.status == "failed"
        assert "latency_ms is nan" in row.reason
        assert row.metrics["accuracy"] == ACCURACY
        assert study.accuracies_measured() == 1
        for r in study.evaluations():
            ours.remember(r.params, r.metrics)  # as the search does before each batch
        other = space.canonical({**design, "rows": 128})
        assert study.tell(other, ours(other)).status == "done"
        assert len(ours._accuracy.measured) == 1


NO_LICENCE = "import sys; sys.exit('the licence has expired')"
ONE_LICENCE = """
import os, sys
if os.path.exists("used"):
    sys.exit("the licence has expired")
open("used", "w").close()
print('{"latency_ms": 1, "energy_uj": 1, "area_mm2": 1}')
"""


def search(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> int:
    monkeypatch.chdir(folder)
    text = (study_config.PRESETS_FOLDER / "ofa-mobilenetv3-imagenet.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("baseline = ")]
    Path("study.toml").write_text(
        "\n".join(lines).replace('relation = "<="', 'relation = "<="\nbound = 500.0')
    )
    options = json.dumps({"command": [sys.executable, "-c", program]})
    asked = ["optimize", "--config", "study.toml", "--budget", "40", "--jobs", "1"]
    return run([*asked, "--simulator", "command", "--simulator-options", options])


def test_a_program_that_fails_on_everything_is_refused_before_the_first_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert search(tmp_path, monkeypatch, NO_LICENCE) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("simulator command: fails on each of the 3 designs that were tried")
    assert "the licence has expired" in said
    assert not Path("cimbo.db").exists()


def test_a_program_that_fails_on_everything_later_ends_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert search(tmp_path, monkeypatch, ONE_LICENCE) == 0
    said = capsys.readouterr().err.splitlines()
    assert any(f"{ALIKE_LATER} evaluations in a row failed alike" in line for line in said)
    assert any("the licence has expired" in line for line in said)
    with Study.open("cimbo.db", readonly=True) as study:
        assert [r.status for r in study.evaluations()] == ["done"] + ["failed"] * ALIKE_LATER
