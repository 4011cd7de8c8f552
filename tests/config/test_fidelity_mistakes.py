"""Mistakes in [[fidelity]]: one line that names the place, and exit code 2, before anything is evaluated."""

from __future__ import annotations

import pytest

from cimbo.cli import run

EVALUATOR = """
[architecture.genes]
depth = [1, 2, 3]
[evaluator]
python = "mine:evaluate"
fixed = { cycles = 1000 }
[[objectives]]
name = "top1"
goal = "max"
"""
SIMULATOR = """
[network]
name = "fmnist-vit"
accuracy = "none"
[hardware]
simulator = "command"
options = { command = ["true"] }
[hardware.genes]
tiles = [1, 2]
[hardware.fixed]
cycles = 1000
[[objectives]]
name = "latency_ms"
goal = "min"
[[objectives]]
name = "energy_uj"
goal = "min"
"""
ACCURACY = """
extends = "fmnist-vit"
[network.options]
dies = 4
"""
SHORT = "set = { cycles = 10 }\ncost = 0.1"
ONE_DIE = "set = { dies = 1 }\ncost = 0.3"

# (study, the stages, the place, what the line says)
MISTAKES = [
    (EVALUATOR, ["set = { cycles = 10 }\ncost = 1.0"], "cost", "it must be below 1"),
    (EVALUATOR, ["set = { cycles = 10 }\ncost = 0"], "cost", "it must be above 0"),
    (EVALUATOR, ["set = { cycles = 10 }"], "fidelity.cost", "is missing"),
    (EVALUATOR, [SHORT, SHORT], "fidelity.cost", "write the cheapest stage first"),
    (EVALUATOR, ["cost = 0.1"], "fidelity", "give images, or set and cost"),
    (EVALUATOR, ["images = 9"], "fidelity", "give set and cost"),
    (EVALUATOR, [SHORT.replace("10", "1000", 1)], "fidelity.set", "is the full measurement"),
    (EVALUATOR, ["set = { depth = 1 }\ncost = 0.1"], "fidelity.set.depth", "depth is a gene"),
    (EVALUATOR, ["set = { seed = 1 }\ncost = 0.1"], "fidelity.set.seed", "[evaluator] fixed"),
    (EVALUATOR, [SHORT + '\nof = "simulator"'], "fidelity.of", "write evaluator"),
    (EVALUATOR, ["sets = { cycles = 10 }"], "fidelity.0.sets", "did you mean set"),
    (EVALUATOR.replace("cycles", "depth"), [], "evaluator.fixed", "depth is a gene"),
    (SIMULATOR, ["set = { tiles = 1 }\ncost = 0.1"], "fidelity.set.tiles", "tiles is a gene"),
    (SIMULATOR, ["set = { seed = 1 }\ncost = 0.1"], "fidelity.set.seed", "[hardware] fixed"),
    (SIMULATOR, [SHORT + '\nof = "accuracy"'], "fidelity.of", "write simulator"),
    (
        SIMULATOR.replace('accuracy = "none"', 'accuracy = "fmnist-vit"'),
        [SHORT],
        "fidelity.of",
        "simulator and accuracy",
    ),
    (ACCURACY, [SHORT], "fidelity.set", "is no option of it"),
    (ACCURACY, ["set = { errors = 'exact' }\ncost = 0.1"], "fidelity.set", "bit-accurate"),
    (ACCURACY, ["set = { dies = 4 }\ncost = 0.1"], "fidelity.set", "is the full measurement"),
    (ACCURACY, ["set = { dies = 9 }\ncost = 0.1"], "fidelity.set", "dies"),
    (ACCURACY, [ONE_DIE + '\nof = "simulator"'], "fidelity.of", "write accuracy"),
    (ACCURACY, [ONE_DIE, "images = 200"], "fidelity", "keep one kind"),
    (ACCURACY, [ONE_DIE + "\nimages = 200"], "fidelity", "images cost their share"),
]


@pytest.mark.parametrize(("study", "stages", "place", "said"), MISTAKES)
def test_a_mistake_is_one_line(study, stages, place, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text("def evaluate(design):\n    raise SystemExit(9)\n")
    text = study + "".join(f"[[fidelity]]\n{stage}\n" for stage in stages)
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    words = ["optimize", "--config", "study.toml", "--budget", "2", "--study", "s.db"]
    assert run(words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if ";" in line]
    assert len(lines) == 1, lines
    assert place in lines[0]
    assert said in lines[0]
    assert "Traceback" not in lines[0]
