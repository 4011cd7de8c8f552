"""The command that started a study goes on with it, in processes of their own: functions may lie in the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]
WHOLE = """
[evaluator]
python = "{module}:evaluate"
[architecture.genes]
depth = [1, 2, 3, 4]
[hardware.genes]
rows = [16, 32, 64]
[[objectives]]
name = "accuracy"
goal = "max"
[[objectives]]
name = "latency_ms"
goal = "min"
"""
JOINT = """
[network]
name = "fmnist-vit"
accuracy = "{module}:accuracy"
[hardware]
simulator = "cimbo"
[[objectives]]
name = "accuracy"
goal = "max"
[[objectives]]
name = "latency_ms"
goal = "min"
"""
MODULE = """
def evaluate(design):
    return {"accuracy": 10.0 * design["depth"], "latency_ms": design["depth"] / design["rows"]}
def accuracy(design):
    return 10.0 * design["depth"]
"""


def optimize(folder: Path, python_path: list[Path], budget: int) -> subprocess.CompletedProcess:
    """Run the search of a folder in a process, so many evaluations in all."""
    words = ["optimize", "--config", "study.toml", "--jobs", "1", "--budget", str(budget)]
    return subprocess.run(
        [sys.executable, "-m", "cimbo", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, python_path))},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("study", [WHOLE, JOINT], ids=["evaluator", "accuracy"])
@pytest.mark.parametrize("is_in_a_package", [False, True], ids=["module", "package"])
def test_the_same_command_resumes_with_functions_of_the_current_folder(
    tmp_path, study, is_in_a_package
):
    module, file = "mine", tmp_path / "mine.py"
    if is_in_a_package:
        module, file = "mine.inner", tmp_path / "mine" / "inner.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(MODULE)
    (tmp_path / "study.toml").write_text(study.format(module=module))
    # With and without the folder in PYTHONPATH the same is seen
    for budget, python_path in ((2, [SOURCE]), (3, [SOURCE]), (4, [SOURCE, tmp_path])):
        done = optimize(tmp_path, python_path, budget)
        assert done.returncode == 0, done.stderr
    file.write_text(MODULE.replace("10.0", "11.0"))
    done = optimize(tmp_path, [SOURCE], 5)
    assert done.returncode == 2
    assert "has changed" in done.stderr
    assert file.name in done.stderr
