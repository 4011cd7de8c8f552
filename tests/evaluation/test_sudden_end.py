"""Code of a user's that ends the program: that is its failure, and no end of cimbo."""

import subprocess
import sys

import pytest

from cimbo import BadInput, Study
from cimbo.evaluation.whole import FunctionEvaluator
from cimbo.plugins import python_object
from cimbo.problem.objectives import Objective
from cimbo.problem.space import Choice, SearchSpace
from cimbo.session.listeners import hearing
from cimbo.study.events import Stopped, ignore

SPACE = SearchSpace([Choice("depth", list(range(20)))])


def ends(design: dict) -> dict[str, float]:
    sys.exit(3)


def interrupted(design: dict) -> dict[str, float]:
    raise KeyboardInterrupt


def ends_sometimes(design: dict) -> dict[str, float]:
    if design["depth"] % 2:
        raise SystemExit(3)
    return {"latency_ms": 1.0 + design["depth"]}


def opened() -> Study:
    return Study.open(None, SPACE, Objective("latency_ms", "min"))


def evaluator(function) -> FunctionEvaluator:
    return FunctionEvaluator(f"{__name__}:{function.__name__}")


def test_a_function_that_always_ends_the_program_is_refused_in_a_line():
    with (
        opened() as study,
        pytest.raises(BadInput, match=r"designs that were tried \(SystemExit: 3\)"),
    ):
        study.optimize(evaluator(ends), 4, listener=None)


def test_one_that_does_so_on_some_designs_fails_on_these():
    with opened() as study:
        study.optimize(evaluator(ends_sometimes), 8, listener=None)
        for record in study.evaluations():
            assert (record.status == "failed") == (record.params["depth"] % 2 == 1)


def test_an_interrupt_stays_one():
    with opened() as study, pytest.raises(KeyboardInterrupt):
        study.optimize(evaluator(interrupted), 4, listener=None)


def test_a_module_that_ends_the_program_when_it_is_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "script_without_guard.py").write_text("import sys\nsys.exit(4)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInput, match="script_without_guard raised SystemExit: 4"):
        python_object("evaluator", "script_without_guard:evaluate")


class EndingListener:
    def __call__(self, event) -> None:
        raise SystemExit(5)

    def close(self) -> None:
        raise SystemExit(6)


def test_a_listener_that_ends_the_program_is_heard_no_more(caplog):
    with hearing([f"{__name__}:EndingListener"], ignore) as listener:
        listener(Stopped("all is measured"))
    assert "failed (SystemExit: 5)" in caplog.text


# ---- code that ends the whole program at once -----------------------------------------------------------------------

MODULE = """
import os
def accuracy(design):
    with open("calls", "a") as calls:
        calls.write(".")
    if {condition}:
        os._exit(3)
    return 80.0
"""
STUDY = """
[network]
name = "fmnist-vit"
accuracy = "crashing:accuracy"
[[objectives]]
name = "accuracy"
goal = "max"
[[objectives]]
name = "latency_ms"
goal = "min"
"""


def searched(folder, condition):
    (folder / "crashing.py").write_text(MODULE.format(condition=condition))
    (folder / "study.toml").write_text(STUDY)
    words = [
        "optimize",
        "--config",
        "study.toml",
        "--study",
        "s.db",
        "--budget",
        "4",
        "--jobs",
        "1",
    ]
    command = [sys.executable, "-m", "cimbo", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_crash_before_the_search_is_a_line(tmp_path):
    found = searched(tmp_path, "True")
    assert found.returncode == 3
    assert "one of the first designs, tried before the search, ended the process" in found.stderr
    assert "--jobs 2" in found.stderr


def test_a_crash_in_the_search_names_the_design_and_one_that_crashes_twice_fails(tmp_path):
    crashing = "os.path.getsize('calls') > 2"
    first = searched(tmp_path, crashing)
    assert first.returncode == 3
    key = first.stderr.rpartition("the evaluation of design ")[2].split()[0]
    second = searched(tmp_path, crashing)
    assert f"the last evaluation of design {key} ended the process" in second.stderr
    assert second.returncode == 3
    third = searched(tmp_path, crashing)
    assert f"{key} ended the process that ran it, not for the first time" in third.stderr
    with Study.open(tmp_path / "s.db", readonly=True) as study:
        [failed] = [r for r in study.evaluations() if r.status == "failed"]
        assert failed.key == key
