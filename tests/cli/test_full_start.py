"""A search that starts from another study, with no more evaluations than that one has."""

from pathlib import Path

import pytest

from cimbo.cli import run

STUDY = """
[evaluator]
python = "{module}:evaluate"
[architecture.genes]
depth = [1, 2, 3, 4, 5, 6, 7, 8]
[hardware.genes]
rows = [16, 32, 64, 128]
[[objectives]]
name = "accuracy"
goal = "max"
reference = 0.0
[[objectives]]
name = "latency_ms"
goal = "min"
reference = 100.0
"""


@pytest.mark.parametrize(("budget", "is_told"), [(3, True), (6, True), (8, False)])
def test_a_budget_that_is_spent_by_what_is_taken_over_is_told(
    tmp_path, monkeypatch, capsys, budget, is_told
):
    monkeypatch.chdir(tmp_path)
    module = f"whole_{budget}"
    Path(f"{module}.py").write_text(
        "def evaluate(d):\n    return {'accuracy': d['depth'], 'latency_ms': d['depth'] * 100 / d['rows']}\n"
    )
    Path("study.toml").write_text(STUDY.format(module=module))
    words = ["optimize", "--config", "study.toml", "--jobs", "1"]
    assert run([*words, "--study", "a.db", "--budget", "6"]) == 0
    capsys.readouterr()
    assert run([*words, "--study", "b.db", "--warm-from", "a.db", "--budget", str(budget)]) == 0
    told = capsys.readouterr().err
    assert ("the 6 evaluations taken over from a.db count" in told) == is_told
    assert (f"such as --budget {6 + budget}" in told) == is_told


def test_what_an_older_version_measured_is_not_taken_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = Path("versions_of_it.py")
    text = "def evaluate(d):\n    return {'accuracy': d['depth'], 'latency_ms': d['depth'] * 100 / d['rows']}\n"
    module.write_text(text)
    Path("study.toml").write_text(STUDY.format(module=module.stem))
    words = ["optimize", "--config", "study.toml", "--jobs", "1"]
    assert run([*words, "--study", "a.db", "--budget", "6"]) == 0
    module.write_text(text.replace("d['depth'],", "d['depth'] / 2,"))
    capsys.readouterr()
    assert run([*words, "--study", "b.db", "--warm-from", "a.db", "--budget", "7"]) == 0
    assert "took over 0 of 6 evaluations" in capsys.readouterr().err
