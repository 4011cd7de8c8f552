"""One study, one evaluator: another function, or the same one changed, is refused unless the user mixes them on purpose."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo import Study
from cimbo.errors import StudyError
from cimbo.evaluation.function_identity import fingerprint_of_callable
from cimbo.optimizer.options import OptimizerOptions

SAMPLED = OptimizerOptions(kind="gp", initial=50)
SCRIPT = """
import sys
from cimbo import Choice, Objective, Study
{function}
with Study.open(sys.argv[1], [Choice("x", list(range(30)))], Objective("y", "min")) as study:
    study.optimize(evaluate, budget={budget}, listener=None)
    print(len(study.evaluations()))
"""


def other(design: dict) -> dict[str, float]:
    return {**measure(design), "accuracy": 99.0}


def scaled(factor: float):
    def evaluate(design: dict) -> dict[str, float]:
        return {**measure(design), "accuracy": 50.0 * factor}

    return evaluate


def measured_by(evaluate) -> Study:
    study = Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS)
    study.optimize(evaluate, 3, guidance=SAMPLED, listener=None)
    return study


CHANGED = {
    "another function": (measure, other),
    "a lambda": (measure, lambda design: measure(design)),
    "another lambda": (
        lambda design: {**measure(design), "accuracy": 1.0},
        lambda design: {**measure(design), "accuracy": 2.0},
    ),
    "another closure": (scaled(1.0), scaled(1.1)),
    "other arguments": (
        functools.partial(lambda design, by: measure(design), by=1),
        functools.partial(lambda design, by: measure(design), by=2),
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_another_function_is_refused_and_nothing_is_changed(case):
    first, second = CHANGED[case]
    with measured_by(first) as study:
        name = study.evaluator_name()
        with pytest.raises(
            StudyError, match=r"evaluated by something else: evaluator\..*accept_changed"
        ):
            study.optimize(second, 5, guidance=SAMPLED, listener=None)
        assert len(study.evaluations()) == 3
        assert study.evaluator_name() == name
        study.optimize(second, 4, guidance=SAMPLED, listener=None, accept_changed=True)
        study.optimize(first, 5, guidance=SAMPLED, listener=None)  # admitted before
        assert len(study.evaluations()) == 5


@pytest.mark.parametrize("case", CHANGED)
def test_the_same_function_goes_on(case):
    for evaluate in CHANGED[case]:
        with measured_by(evaluate) as study:
            study.optimize(evaluate, 5, guidance=SAMPLED, listener=None)
            assert len(study.evaluations()) == 5
    with measured_by(scaled(2.0)) as study:
        study.optimize(scaled(2.0), 5, guidance=SAMPLED, listener=None)


def test_a_counter_of_calls_does_not_make_another_function_of_one():
    calls = 0

    def evaluate(design: dict) -> dict[str, float]:
        nonlocal calls
        calls += 1
        return measure(design)

    with measured_by(evaluate) as study:
        study.optimize(evaluate, 5, guidance=SAMPLED, listener=None)
    assert calls == 5


def test_a_function_that_only_failed_may_be_corrected():
    def broken(design: dict) -> dict[str, float]:
        raise OSError("the disk is full")

    with measured_by(broken) as study:
        study.optimize(measure, 5, guidance=SAMPLED, listener=None)
        assert len(study.evaluations()) == 5


def test_what_a_program_told_binds_no_function():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        for candidate in study.ask(2):
            study.tell(candidate, measure(candidate.params))
        study.optimize(other, 4, guidance=SAMPLED, listener=None)
        candidate = study.ask(1)[0]
        study.tell(candidate, measure(candidate.params))
        assert len(study.evaluations()) == 5


def run(folder: Path, function: str, budget: int) -> subprocess.CompletedProcess:
    script = folder / "search.py"
    script.write_text(SCRIPT.format(function=function, budget=budget))
    command = [sys.executable, str(script), str(folder / "study.db")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_script_may_change_its_budget_but_not_its_function(tmp_path):
    first = 'def evaluate(design):\n    return {"y": design["x"]}'
    assert run(tmp_path, first, 3).stdout == "3\n"
    assert run(tmp_path, f"# a line more\n{first}", 5).stdout == "5\n"
    changed = run(tmp_path, first.replace('design["x"]', '-design["x"]'), 7)
    assert "was evaluated by something else" in changed.stderr
    assert run(tmp_path, first, 6).stdout == "6\n"


def test_constants_and_functions_of_the_script_are_part_of_it():
    namespace = {"__name__": "study_script"}
    source = "FACTOR = {0}\ndef model(x):\n    return x * FACTOR\ndef evaluate(design):\n    return model(design['x'])\n"
    found = []
    for factor in (1, 1, 2):
        exec(source.format(factor), namespace := dict(namespace))
        found.append(fingerprint_of_callable(namespace["evaluate"]))
    assert found[0] == found[1] != found[2]
