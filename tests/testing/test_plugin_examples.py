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
