"""A command that would go on with something else than before is refused, and says what differs."""

import re
import sys
from pathlib import Path

import pytest

from cimbo.cli import run
from cimbo.study.study import Study

BUDGET = ("--jobs", "1", "--study", "s.db", "--budget")
SIMULATE = """import json
print(json.dumps({"latency_ms": %s, "energy_uj": 2.0, "area_mm2": 3.0}))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a study.toml whose accuracies cost nothing."""
    monkeypatch.chdir(tmp_path)
    assert run(["init", "plain.toml", "--preset", "vit-b-imagenet"]) == 0
    return tmp_path


def described(folder: Path, name: str, hardware: str) -> str:
    """A description like plain.toml with other lines in its table [hardware]."""
    text = (folder / "plain.toml").read_text()
    text = re.sub(r"(?m)^simulator = .*$", "", text)
    changed = re.sub(r"(?m)^\[hardware\]$", f"[hardware]\n{hardware}", text)
    assert changed != text
    (folder / name).write_text(changed)
    return name


def optimized(capsys, config: str, budget: int, *more: str) -> tuple[int, str]:
    """The exit code of ``cimbo optimize``, and the last line that it said."""
    capsys.readouterr()
    code = run(["optimize", "--config", config, *BUDGET, str(budget), *more])
    return code, capsys.readouterr().err.strip().splitlines()[-1]


def commanded(folder: Path, latency: float) -> str:
    """Lines that have every chip simulated by a program that always says ``latency``."""
    (folder / "simulate.py").write_text(SIMULATE % latency)
    command = [sys.executable, str(folder / "simulate.py")]
    return f'simulator = "command"\noptions = {{ command = {command} }}'


def test_another_chip_another_simulator_other_options(folder, capsys):
    first = described(folder, "first.toml", "fixed = { node_nm = 22 }")
    assert optimized(capsys, first, 2)[0] == 0
    changes = {
        "fixed = { node_nm = 65 }": "hardware.fixed.node_nm was 22, is 65",
        commanded(folder, 1.0): "hardware.simulator was 'cimbo', is 'command'",
    }
    for hardware, difference in changes.items():
        code, said = optimized(capsys, described(folder, "second.toml", hardware), 3)
        assert code == 2
        assert difference in said
        assert "--accept-changed" in said
    with Study.open("s.db", readonly=True) as study:
        assert len(study.evaluations()) == 2
    assert optimized(capsys, "second.toml", 3, "--accept-changed")[0] == 0


def test_another_program_at_the_same_path(folder, capsys):
    config = described(folder, "study.toml", commanded(folder, 1.0))
    assert optimized(capsys, config, 2)[0] == 0
    assert optimized(capsys, config, 3)[0] == 0
    commanded(folder, 2.0)
    code, said = optimized(capsys, config, 4)
    assert code == 2
    assert "hardware.options.command was" in said
