"""What stands beside the evaluations of a study file, when somebody has changed it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo import BadInput, Study
from cimbo.cli import run
from cimbo.optimizer.options import OptimizerOptions
from cimbo.storage import Record
from cimbo.study import planner, provenance, replicates, stored_values
from cimbo.study.log import (
    ACCURACY_PARAMETERS,
    BIT_ACCURATE_DIFFERENCES,
    EXPENSIVE_METRIC,
    TEST_ACCURACIES,
)

FIRST = OptimizerOptions(initial=100)  # Sobol's sequence only
WRONG = [
    "3",
    '"x"',
    "[3]",
    '{"a": null}',
    '{"a": "x"}',
    '[{"params": 3}]',
    '{"a": {"points": "x"}}',
]
RIGHT = [
    (EXPENSIVE_METRIC, '"x"'),
    (provenance.FINGERPRINTS_NAME, '{"a": {"points": "x"}}'),
    (f"{replicates.REPLICATES_PREFIX}abc", '[{"params": 3}]'),
]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "study.db")
    with Study.open(path, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(measure, 3, guidance=FIRST)
    return path


def tamper(file: str, name: str, value: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("REPLACE INTO meta VALUES (?, ?)", (name, value))
        connection.commit()


def everything(study: Study) -> None:
    study.evaluations(), study.test_accuracies(), study.bit_accurate_differences()
    study.accuracies_measured(), study.measurement_noise()
    provenance.fingerprints(study.store)
    study._planner.claim_planned(1000)


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(
    "name",
    [
        TEST_ACCURACIES,
        BIT_ACCURATE_DIFFERENCES,
        ACCURACY_PARAMETERS,
        EXPENSIVE_METRIC,
        planner.PLAN_NAME,
        provenance.FINGERPRINTS_NAME,
        f"{replicates.REPLICATES_PREFIX}abc",
    ],
)
def test_metadata_of_another_form_are_damage_and_named(name: str, value: str, file: str):
    if (name, value) in RIGHT:
        pytest.skip("is what it may be")
    tamper(file, name, value)
    with pytest.raises(BadInput, match=f"{name}: is damaged"), Study.open(file) as study:
        everything(study)


def test_the_command_line_says_so_in_a_line(file: str, capsys: pytest.CaptureFixture[str]):
    tamper(file, TEST_ACCURACIES, "[1]")
    assert run(["pareto", "--study", file]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{file}, accuracy_test: is damaged; restore the file from a copy"]


@pytest.mark.parametrize(
    "extra",
    [
        {"predicted": "x", "position": "first"},
        {"predicted": {"y": 3}, "position": None},
        {"predicted": {"y": [1, "x"]}, "position": 10**400},
        {"predicted": {"y": [1.0, 2.0, 3.0]}, "position": True},
    ],
)
def test_what_a_row_says_besides_may_be_anything(extra: dict):
    record = Record(4, "k", {}, {}, "done", None, "told", 0.0, extra)
    assert stored_values.predictions(record) == {}
    assert stored_values.position(record) == 3.0


def test_predictions_and_positions_are_read():
    extra = {"predicted": {"y": [1.0, 2.0], "z": []}, "position": 7}
    record = Record(4, "k", {}, {}, "done", None, "told", 0.0, extra)
    assert stored_values.predictions(record) == {"y": (1.0, 2.0)}
    assert stored_values.position(record) == 7.0
