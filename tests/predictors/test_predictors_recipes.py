"""The recipe of docs/predictors.md for Ax, where Ax is installed; test_docs runs the others."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_predictor_chooses_the_trials_of_ax(tmp_path):
    pytest.importorskip("ax.api.client")
    text = (ROOT / "docs" / "predictors.md").read_text(encoding="utf-8")
    program = re.search(r"# file: with_ax.py\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "'depth': 2" in done.stdout
