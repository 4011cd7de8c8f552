"""What the README shows works: its Python is run, its commands exist, its two first commands are the ones CI runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cimbo.cli import COMMAND_MODULES

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_of_the_readme_runs(number, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS[number]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_of_the_readme_exists():
    named = set(re.findall(r"`cimbo ([a-z][a-z-]*)", TEXT))
    assert named <= set(COMMAND_MODULES)
    assert len(named) > 8


def test_the_readme_opens_with_the_two_commands_and_ci_runs_the_second():
    search, tests = re.findall(r"```sh\n(.*?)\n```", TEXT, re.DOTALL)[:2]
    assert search.endswith("cimbo optimize --budget 200")
    assert "\n" not in search + tests
    assert "constraints.txt" in search
    assert "constraints.txt" in tests
    assert tests in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
