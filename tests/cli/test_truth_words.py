"""Genes that are true or false: how conditions and --fix may write them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from cimbo.cli import run

STUDY = """
[evaluator]
python = "truth:f"
[hardware]
constraints = ["turbo == true or rows == 16"]
[hardware.genes]
rows = [16, 32]
turbo = [true, false]
[[objectives]]
name = "latency_ms"
goal = "min"
[[objectives]]
name = "area_mm2"
goal = "min"
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("truth.py").write_text(
        "def f(d):\n"
        "    speed = 2 if d['turbo'] else 1\n"
        "    return {'latency_ms': 64 / d['rows'] / speed, 'area_mm2': d['rows'] * speed}\n"
    )
    Path("study.toml").write_text(STUDY)
    words = ["--config", "study.toml", "--budget", "4", "--study", "s.db", "--jobs", "1"]
    assert run(["optimize", *words]) == 0
    return "s.db"


def test_a_gene_is_true_or_false_in_conditions_and_in_fix(study, capsys):
    capsys.readouterr()
    found = {}
    for word in ("yes", "true", "True", "no", "false", "False"):
        assert run(["pareto", "--fix", f"turbo={word}", "--study", study, "--format", "csv"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        found[word] = {(row["rows"], row["turbo"]) for row in rows}
    assert found["yes"] == found["true"] == found["True"] == {("16", "True"), ("32", "True")}
    assert found["no"] == found["false"] == found["False"] == {("16", "False")}
    assert run(["pareto", "--fix", "turbo=maybe", "--study", study]) == 2
    assert "turbo cannot be 'maybe'" in capsys.readouterr().err
    assert run(["withdraw", "--where", "turbo == false", "--study", study]) == 0
