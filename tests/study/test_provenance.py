"""A study's identity: what evaluated its designs. Rows of two kinds of evaluator are not mixed unless that is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo import BadInput, Study, hardware
from cimbo.config import preset
from cimbo.evaluation import accuracy
from cimbo.evaluation.joint import JointEvaluator
from cimbo.optimizer.options import OptimizerOptions
from cimbo.study.fingerprint_changes import differences
from cimbo.study.provenance import FINGERPRINT_REFERENCE, fingerprints

SAMPLED = OptimizerOptions(kind="gp", initial=50)


@dataclass
class Evaluator:
    """Measures the toy problem on a chip of ``node_nm``, and notes what it was told to remember."""

    node_nm: int = 22
    remembered: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        return measure(design)

    def fingerprint(self) -> dict[str, Any]:
        return {"hardware": {"fixed": {"node_nm": self.node_nm}}}

    def remember(self, design: dict[str, Any], metrics: dict[str, float]) -> None:
        self.remembered.append(design)


@pytest.fixture
def study():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(Evaluator(22), 4, guidance=SAMPLED)
        yield study


def test_another_evaluator_is_refused_by_a_line_that_says_what_differs(study):
    with pytest.raises(BadInput, match=r"hardware\.fixed\.node_nm was 22, is 65; .*accept-changed"):
        study.optimize(Evaluator(65), 8, guidance=SAMPLED)
    assert len(study.evaluations()) == 4
    assert len(study.optimize(Evaluator(22), 6, guidance=SAMPLED)) > 0
    assert len(study.evaluations()) == 6


def test_the_user_may_mix_and_every_row_says_by_what_it_was_measured(study):
    study.optimize(Evaluator(65), 6, guidance=SAMPLED, accept_changed=True)
    study.optimize(Evaluator(22), 7, guidance=SAMPLED)  # admitted before
    study.optimize(Evaluator(65), 8, guidance=SAMPLED)
    known = fingerprints(study.store)
    nodes = [
        known[r.extra[FINGERPRINT_REFERENCE]]["hardware"]["fixed"]["node_nm"]
        for r in study.evaluations()
    ]
    assert nodes == [22] * 4 + [65] * 2 + [22] + [65]
    with pytest.raises(BadInput, match="node_nm was 65, is 7"):
        study.optimize(Evaluator(7), 9, guidance=SAMPLED)


def test_what_was_measured_by_another_evaluator_is_not_remembered_for_this_one(study):
    other = Evaluator(65)
    study.optimize(other, 6, batch_size=1, guidance=SAMPLED, accept_changed=True)
    assert other.remembered == [study.evaluations()[4].params]


def test_functions_without_a_fingerprint_are_known_by_name_and_file():
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(measure, 2, guidance=SAMPLED)
        name, known = next(iter(fingerprints(study.store).items()))
        assert all(r.extra[FINGERPRINT_REFERENCE] == name for r in study.evaluations())
        assert known["evaluator"]["python"] == "toy_problem:measure"
        assert known["evaluator"]["file"].startswith("sha256:")


def test_differences_are_named_by_their_place():
    before = {"a": {"b": 1, "c": [1]}, "d": "x"}
    now = {"a": {"b": 2, "c": [1]}, "e": None}
    assert list(differences(before, now)) == ["a.b was 1, is 2", "d was 'x', is not given"]


# ---- studies that older versions wrote ------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path):
    """A study file without fingerprints, with one row told."""
    config = preset("vit-b-imagenet")
    problem = config.problem
    with Study.open(
        tmp_path / "old.db",
        problem.space,
        problem.objectives,
        problem.constraints,
        metadata={"config": {"name": config.name, "data": dict(config.data)}},
    ) as study:
        evaluator = config.evaluator()
        for c in study.ask(1):
            study.tell(c, evaluator(c.params))
        yield study


@pytest.fixture
def first_versions(monkeypatch):
    """The chip model and the accuracies as they were when evaluations had no fingerprint."""
    monkeypatch.setattr(hardware, "RESULTS_VERSION", 1)
    monkeypatch.setattr(accuracy, "RESULTS_VERSION", 1)


@pytest.mark.usefixtures("first_versions")
def test_rows_of_older_versions_count_as_of_the_stored_configuration(old):
    config = preset("vit-b-imagenet")
    data = {**config.data, "hardware": {**config.data["hardware"], "fixed": {"node_nm": 65}}}
    changed = type(config)(config.name, data).evaluator()
    with pytest.raises(BadInput, match=r"hardware\.fixed\.node_nm was .*, is 65"):
        old.optimize(changed, 2)
    old.optimize(config.evaluator(), 2)
    assert len(old.evaluations()) == 2


def test_rows_told_before_the_first_search_are_of_the_versions_that_the_study_was_started_with(
    tmp_path,
):
    config = preset("vit-b-imagenet")
    problem, about = config.problem, {"config": {"name": config.name, "data": dict(config.data)}}
    with Study.open(
        tmp_path / "new.db", problem.space, problem.objectives, metadata=about
    ) as study:
        study.tell(study.ask(1)[0], {o.name: 1.0 for o in problem.objectives})
        study.optimize(config.evaluator(), 2)
        assert len(study.evaluations()) == 2


@pytest.mark.usefixtures("first_versions")
def test_a_later_version_of_the_chip_model_is_another_evaluator(old, monkeypatch):
    monkeypatch.setattr(hardware, "RESULTS_VERSION", 2)
    with pytest.raises(BadInput, match=r"hardware\.results_version was 1, is 2"):
        old.optimize(preset("vit-b-imagenet").evaluator(), 2)


# ---- what an evaluator's fingerprint depends on ---------------------------------------------------------------------


def evaluated_by(**settings: Any) -> dict[str, Any]:
    return JointEvaluator("vit-b", "vit-b-imagenet", **settings).fingerprint()


def with_table(path: Path) -> dict[str, Any]:
    return evaluated_by(simulator="table", options={"path": str(path)})


def with_program(path: Path) -> dict[str, Any]:
    return evaluated_by(simulator="command", options={"command": ["python3", str(path)]})


def with_weights(path: Path) -> dict[str, Any]:
    return evaluated_by(accuracy_options={"weights": str(path)})


def with_data(path: Path) -> dict[str, Any]:
    return evaluated_by(accuracy_options={"data": str(path.parent)})


@pytest.mark.parametrize("evaluated", [with_table, with_program, with_weights, with_data])
def test_files_count_by_their_content(evaluated: Callable[[Path], dict[str, Any]], tmp_path: Path):
    first, second = tmp_path / "1" / "file.csv", tmp_path / "2" / "file.csv"
    for file in (first, second):
        file.parent.mkdir()
        file.write_text("content")
    before = evaluated(first)
    assert evaluated(second) == before  # wherever it lies
    first.write_text("changed")  # as long as before
    [difference] = differences(before, evaluated(first))
    assert "sha256:" in difference


def test_options_that_change_no_number_do_not_count():
    plain = evaluated_by(simulator="command", options={"command": ["./x"]})
    assert plain == evaluated_by(
        simulator="command", options={"command": ["./x"], "timeout_s": 5.0}
    )
    assert plain != evaluated_by(simulator="command", options={"command": ["./x", "--fast"]})
    assert plain != evaluated_by(simulator="zigzag", options={"command": ["./x"]})
