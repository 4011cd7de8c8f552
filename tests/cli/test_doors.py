"""Options and files that cannot be used: one line that says so, exit code 2, and no file is made."""

import json

import pytest

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.cli import run
from cimbo.hardware import BASELINE_CHIP

CHIP = {name: getattr(value, "item", lambda v=value: v)() for name, value in BASELINE_CHIP.items()}
SIMULATE = ["simulate", "--network", "fmnist-vit", "--hardware"]


def one_line(arguments, capsys):
    """The line that a command of bad input says."""
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert len(said.err) < 600
    return said.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--timeout", "inf"], "timeout: must be above 0 s"),
        (["--timeout", "1e300"], "timeout: must be above 0 s"),
        (["--timeout", "nan"], "timeout: must be above 0 s"),
        (["--seed", "-1"], "seed: -1 is out of range"),
        (["--seed", "9" * 30], "seed: "),
        (["--study", "x" * 300], "File name too long"),
        (["--jobs", "100000"], "n_jobs: is 100000"),
        (["--memory-mb", "9" * 18], "memory: "),
    ],
)
def test_options_of_a_search(options, complaint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert complaint in one_line(["optimize", "--budget", "1", *options], capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gene", ["rows", "array", "buffer_mb"])
@pytest.mark.parametrize(
    "value",
    [10**400, [1, [2]], [], [[]], {"a": 1}, None, True, -1, 1e308],
    ids=lambda v: str(v)[:9],
)
def test_values_of_a_chip_that_are_none(gene, value, capsys):
    chip = json.dumps({**CHIP, gene: value})
    assert f"{gene}: is " in one_line([*SIMULATE, chip], capsys)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("command", {"command": 5}),
        ("command", {"command": []}),
        ("command", {"command": ["\0"]}),
        ("command", {"command": ["true"], "timeout_s": "x"}),
        ("command", {"command": ["true"], "timeout_s": -1}),
        ("table", {"path": 5}),
        ("table", {"path": "\0"}),
        ("table", {}),
        ("cimbo", {"fixed": 5}),
        ("cimbo", {"name": 5, "nonsense": 1}),
        ("cimbo", {"fixed": {"rows": [1, [2]]}}),
    ],
    ids=str,
)
def test_options_of_a_simulator(name, options, capsys):
    chip = json.dumps({k: v for k, v in CHIP.items() if k != "rows"})
    told = ["--simulator", name, "--simulator-options", json.dumps(options)]
    one_line([*SIMULATE, chip, *told], capsys)


@pytest.mark.parametrize(
    "twice",
    [
        ["--fix", "a=1", "--fix", "a=2"],
        ["--limit", "y<=1", "--limit", "y<=2"],
    ],
    ids=str,
)
def test_what_is_asked_twice_is_refused(twice, tmp_path, capsys):
    file = str(tmp_path / "s.db")
    Study.open(file, SearchSpace([Choice("a", [1, 2])]), [Objective("y", "min")]).close()
    assert "too" in one_line(["pareto", "--study", file, *twice], capsys)
    assert run(["pareto", "--study", file, "--fix", "a=1", "--fix", "a=1.0"]) == 0


def test_a_title_cannot_give_orders_to_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["status", "--study", "no\x1b[31m.db"]) == 2
    assert "\x1b" not in capsys.readouterr().err
