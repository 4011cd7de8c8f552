"""The plug-ins of docs/plugins.md, installed as pip would and driven from the commands that stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"^```\w+\n# file: (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the document, its package installed in it."""
    where = tmp_path_factory.mktemp("plugins")
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for name, content in FILE.findall(text):
        (where / name).write_text(content, encoding="utf-8")
    project = tomllib.loads((where / "pyproject.toml").read_text())["project"]
    about = where / f"my_plugins-{project['version']}.dist-info"
    about.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (about / "METADATA").write_text(head)
    lines = []
    for group, points in project["entry-points"].items():
        lines.append(f"[{group}]")
        lines += [f"{name} = {target}" for name, target in points.items()]
    (about / "entry_points.txt").write_text("\n".join(lines))
    return where


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run cimbo where the plug-ins are installed."""
    path = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "cimbo", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_all_five_are_searched_with(folder: Path) -> None:
    words = ("--config", "study.toml", "--study", "plugins.db", "--format", "json")
    done = command(folder, "optimize", *words, "--budget", "14", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["evaluations"] == 14
    for design in found["pareto"]:
        assert set(design["architecture"]) == {"depth", "width"}
        assert set(design["hardware"]) == {"lanes", "clock_mhz", "memory"}
        assert design["metrics"]["utilisation"] >= 0.2


@pytest.mark.parametrize("name", ["my-network", "my-surrogate"])
def test_each_is_examined(folder: Path, name: str) -> None:
    done = command(folder, "doctor", name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_space_is_one_line(folder: Path) -> None:
    text = (folder / "study.toml").read_text().replace("my-chips", "my-chip")
    (folder / "wrong.toml").write_text(text)
    done = command(folder, "optimize", "--config", "wrong.toml", "--study", "wrong.db")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "did you mean my-chips" in line


def test_a_listener_writes_what_tensorboard_reads(folder: Path) -> None:
    pytest.importorskip("tensorboard")
    words = ("--config", "study.toml", "--study", "heard.db", "--budget", "5", "--jobs", "1")
    done = command(folder, "optimize", *words, "--listener", "tensorboard=runs/first")
    assert done.returncode == 0, done.stderr
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "runs" / "first"))
    read.Reload()
    with_volume = read.Scalars("hypervolume")
    assert [scalar.step for scalar in with_volume] == [1, 2, 3, 4, 5]
    assert {"evaluations/accuracy", "evaluations/latency_ms"} <= set(read.Tags()["scalars"])


STAND_IN = """
import json

class Run:
    def __init__(self, project):
        self.file = open(project + ".jsonl", "w")

    def log(self, told, step):
        self.file.write(json.dumps({"step": step, **told}) + "\\n")

    def finish(self):
        self.file.close()

def init(project):
    return Run(project)
"""


def test_a_listener_of_python_hears_every_evaluation_and_is_ended(folder: Path) -> None:
    """W&B needs an account: a stand-in has the three calls that the example makes of it."""
    (folder / "wandb.py").write_text(STAND_IN)
    words = ("--config", "study.toml", "--study", "wandb.db", "--budget", "4", "--jobs", "1")
    done = command(folder, "optimize", *words, "--listener", "my_listeners:WeightsAndBiases=mine")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in (folder / "mine.jsonl").read_text().splitlines()]
    assert [row["step"] for row in told] == [1, 2, 3, 4]
    assert all({"accuracy", "latency_ms", "hypervolume"} <= set(row) for row in told)


def test_a_listener_that_fails_ends_no_search(folder: Path) -> None:
    (folder / "broken.py").write_text("def deaf():\n    return lambda event: 1 / 0\n")
    words = ("--config", "study.toml", "--study", "deaf.db", "--budget", "3", "--jobs", "1")
    done = command(folder, "optimize", *words, "--listener", "broken:deaf")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("listener broken:deaf failed (ZeroDivisionError") == 1
    done = command(folder, "optimize", *words, "--listener", "tensorbord")
    assert done.returncode == 2
    assert "listeners 'tensorbord': is unknown; did you mean tensorboard?" in done.stderr
