"""Evaluations that a user knows to be wrong: they count no more, their values stay, their designs are measured anew."""

import json
from pathlib import Path

import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo import BadInput, Choice, Objective, SearchSpace, Study, open_session
from cimbo.cli import run
from cimbo.optimizer.options import OptimizerOptions
from cimbo.study.withdrawal import withdrawn

SAMPLED = OptimizerOptions(kind="gp", initial=50)
WRONG_ACCURACY = 500.0


def measured_wrongly(design: dict) -> dict[str, float]:
    return {**measure(design), "accuracy": WRONG_ACCURACY}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study of eight designs, the last three of which were measured with wrong weights."""
    path = tmp_path / "s.db"
    with Study.open(path, SPACE, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(measure, 5, guidance=SAMPLED, listener=None)
        study.optimize(measured_wrongly, 8, guidance=SAMPLED, listener=None, accept_changed=True)
        for record in study.evaluations()[5:]:
            study.record_test_accuracy(record.key, WRONG_ACCURACY)
    return path


def test_withdrawn_evaluations_count_no_more_and_are_kept(file):
    with open_session(file) as session:
        before = session.study.evaluations()
        front = [r.key for r in session.study.pareto()]
        assert {r.key for r in before[5:]} & set(front)
        found = session.withdraw(where="accuracy > 100", reason="wrong weights")
        assert found == before[5:]
        assert session.study.evaluations() == before[:5]
        assert not {r.key for r in before[5:]} & {r.key for r in session.study.pareto()}
        assert session.study.test_accuracies() == {}
        assert session.status().withdrawn == 3
    with Study.open(file) as study:
        assert study.evaluations() == before[:5]
        for kept, record in zip(withdrawn(study.store), before[5:], strict=True):
            assert kept["metrics"] == record.metrics
            assert kept["withdrawn"]["why"] == "wrong weights"
            assert kept["beside"]["accuracy_test"] == WRONG_ACCURACY


def test_their_designs_are_measured_first_of_all_where_that_is_wanted(file):
    with open_session(file) as session:
        wrong = session.withdraw(since=6, again=True)
        session.study.optimize(measure, 8, guidance=SAMPLED, listener=None)
        again = session.study.evaluations()[5:]
        assert {r.key for r in again} == {r.key for r in wrong}
        assert all(r.metrics["accuracy"] < WRONG_ACCURACY for r in again)


def test_further_measurements_are_kept_too(tmp_path):
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES) as study:
        design = study.ask(1)[0]
        told = []
        for shift in range(3):
            metrics = measure(design.params)
            told.append({**metrics, "accuracy": metrics["accuracy"] + shift})
            study.tell(design, told[-1])
        study.tell(design, None, reason="broken meter")
    with open_session(tmp_path / "s.db") as session:
        session.withdraw(since=1)
        assert session.study.evaluations() == []
        [kept] = withdrawn(session.study.store)
        every = [kept["metrics"], *kept["beside"]["replicates"]]
        assert [m["accuracy"] for m in every] == [m["accuracy"] for m in told]
        assert kept["beside"]["failed_replicates"] == ["broken meter"]


def test_numbers_go_on_after_the_highest_ever_used(file):
    with open_session(file) as session:
        session.withdraw(since=5)
        session.withdraw(since=2, where="number < 4")
        session.study.optimize(measure, 4, guidance=SAMPLED, listener=None)
        assert [r.number for r in session.study.evaluations()] == [1, 4, 9, 10]


def test_without_again_no_search_proposes_them(tmp_path):
    space = SearchSpace([Choice("depth", [1, 2, 3])], [Choice("rows", [64, 128, 256])])
    with Study.open(tmp_path / "s.db", space, [Objective("edp", "min")]) as study:
        study.optimize(
            lambda d: {"edp": d["depth"] * d["rows"]}, 6, guidance=SAMPLED, listener=None
        )
        wrong = {r.key for r in study.evaluations()[:3]}
    with open_session(tmp_path / "s.db") as session:
        session.withdraw(where="number <= 3")
        proposed = session.study.ask(9, guidance=SAMPLED)
        assert len(proposed) == 3
        assert not wrong & {c.key for c in proposed}


def test_a_reader_that_was_open_before_sees_it(file):
    with Study.open(file, readonly=True) as reader:
        assert len(reader.evaluations()) == 8
        with open_session(file) as session:
            session.withdraw(since=8)
            session.study.optimize(measure, 8, guidance=SAMPLED, listener=None)
        assert reader.evaluations()[-1].metrics["accuracy"] < WRONG_ACCURACY


def test_what_was_told_is_asked_again(tmp_path, capsys):
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES) as study:
        design = study.ask(1)[0]
        told = study.tell(design, measured_wrongly(design.params))
    with open_session(tmp_path / "s.db") as session:
        session.withdraw([told.key[:6]], again=True)
        [asked] = session.ask(1)
        assert asked.candidate.key == told.key


def test_the_same_file_brings_nothing_withdrawn_back(tmp_path, capsys):
    study_file = str(tmp_path / "s.db")
    with Study.open(study_file, SPACE, OBJECTIVES) as study:
        designs = study.ask(2)
    rows = [{"params": d.params, "metrics": measure(d.params)} for d in designs]
    rows.append({**rows[0], "metrics": {**rows[0]["metrics"], "accuracy": 99.0}})
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    tell = ["tell", str(path), "--study", study_file, "--format", "json"]
    assert run(tell) == 0
    assert run(["withdraw", designs[0].key, "--reason", "old meter", "--study", study_file]) == 0
    capsys.readouterr()
    assert run(tell) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["new"], told["again"], told["known"], told["evaluations"]) == (0, 0, 3, 1)
    assert len(told["withdrawn"]) == 2
    assert "(old meter)" in printed.err.splitlines()[0]
    rows[0]["metrics"]["accuracy"] = 91.0  # other figures are new, and the old ones stay withdrawn
    path.write_text(json.dumps(rows))
    assert run(tell) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["new"], told["again"], told["known"]) == (1, 0, 2)


def test_a_withdrawn_design_may_be_measured_anew_with_the_same_result(tmp_path):
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES) as study:
        design = study.ask(1)[0]
        study.tell(design, measure(design.params))
    row = json.dumps({"key": design.key, "metrics": measure(design.params)})
    with open_session(tmp_path / "s.db") as session:
        session.withdraw(since=1)
        assert session.tell(row).known == 1
        session.retry((design.key[:6],))
        assert [asked.candidate.key for asked in session.ask(1)] == [design.key]
        assert session.tell(row).new == 1
        assert session.tell(row).known == 1
        assert len(session.study.evaluations()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "names no evaluation"),
        (["zzzz"], "is that of no evaluation"),
        (["--where", "accuray > 3"], "did you mean accuracy"),
        (["--where", "accuracy + 3"], "is a number, not a condition"),
    ],
)
def test_what_is_not_understood_withdraws_nothing(file, capsys, words, message):
    assert run(["withdraw", *words, "--study", str(file)]) == 2
    assert message in capsys.readouterr().err
    with Study.open(file, readonly=True) as study:
        assert len(study.evaluations()) == 8


def test_the_command_lists_what_it_withdrew(file, capsys):
    words = ["withdraw", "--since", "7", "--study", str(file), "--format", "json"]
    assert run(words) == 0
    printed = capsys.readouterr()
    assert [row["number"] for row in json.loads(printed.out)] == [7, 8]
    assert "2 evaluations are withdrawn" in printed.err


def test_show_says_that_a_design_was_withdrawn_and_why(file, capsys):
    with open_session(file) as session:
        [gone] = session.withdraw(since=8, reason="wrong weights")
    assert run(["show", gone.key[:6], "--study", str(file)]) == 2
    said = capsys.readouterr().err
    assert "evaluation 8 of this design was withdrawn on" in said
    assert "(wrong weights): " in said
    assert "accuracy 500" in said


def test_nothing_is_withdrawn_while_somebody_evaluates(file):
    with Study.open(file) as study, open_session(file) as session:
        design = study.ask(1)[0]
        study.store.claim([(design.key, design.params)], owner="somebody")
        with pytest.raises(BadInput, match="stop the search first"):
            session.withdraw(since=1)
