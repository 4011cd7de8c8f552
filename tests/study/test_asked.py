"""Designs that are evaluated outside: leases, telling, losing, trying again."""

import json
import time

import pytest

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.errors import BadInput, StudyError
from cimbo.optimizer.options import OptimizerOptions
from cimbo.storage import handed_out, leases
from cimbo.study.asked import MAX_TIMES_ASKED, AskedDesigns, Teller, ToldRow
from cimbo.study.provenance import admit_told, told_sources

SPACE = SearchSpace(
    [Choice("depth", [1, 2, 3])], [Choice("rows", [64, 128, 256]), Choice("mode", ["a", "b"])]
)
OBJECTIVES = [Objective("accuracy", "max"), Objective("edp", "min")]
ME = Teller("me", "none")


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES) as opened:
        yield opened


def ask(study, n, by="me", lease_s=100.0):
    return AskedDesigns(study).ask(n, OptimizerOptions(), by=by, lease_s=lease_s)


def row(asked, **metrics):
    return ToldRow(asked.candidate.key, metrics or {"accuracy": 1.0, "edp": 2.0})


def test_two_who_ask_get_different_designs_and_leases(study):
    first, second = ask(study, 4), ask(study, 5, by="you")
    keys = [a.candidate.key for a in (*first, *second)]
    assert len(set(keys)) == 9
    holders = {r.key: r.extra["owner"] for r in study.running()}
    assert [holders[k] for k in keys] == ["me"] * 4 + ["you"] * 5


def test_a_lease_outlives_the_process_that_asked_and_ends_by_the_clock(study, monkeypatch):
    path = study.path
    asked = ask(study, 2, lease_s=50.0)
    study.close()
    with Study.open(path) as later:
        assert {r.key for r in later.running()} == {a.candidate.key for a in asked}
        assert not AskedDesigns(later).lost()
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 51)
        later.store.lease_judge = leases.LeaseJudge(wall_clock=lambda: now + 51)
        assert not later.running()
        again = ask(later, 3)
        assert [a.candidate.key for a in again][:2] == [a.candidate.key for a in asked]
        assert again[0].times == 2


def test_what_is_lost_too_often_waits_for_retry(study):
    (asked,) = ask(study, 1)
    for _ in range(MAX_TIMES_ASKED - 1):
        handed_out.take_back(study.store, [asked.candidate.key])
        assert ask(study, 1)[0].candidate.key == asked.candidate.key
    handed_out.take_back(study.store, [asked.candidate.key])
    assert ask(study, 1)[0].candidate.key != asked.candidate.key
    assert [a.candidate.key for a in AskedDesigns(study).retry()] == [asked.candidate.key]
    assert ask(study, 1)[0].candidate.key == asked.candidate.key


def test_every_design_is_handed_out_once_and_then_none(study):
    assert len(ask(study, 100)) == 18
    assert ask(study, 1) == []


def test_telling_records_prediction_position_and_teller(study):
    designs = AskedDesigns(study)
    for asked in ask(study, 12):
        told = designs.tell([row(asked, accuracy=asked.candidate.params["depth"], edp=1.0)], ME)
        assert told[0].what == "new"
    (proposed,) = ask(study, 1)
    assert proposed.candidate.predicted
    designs.tell([row(proposed)], ME)
    last = study.evaluations()[-1]
    assert last.origin == proposed.candidate.origin
    assert set(last.extra["predicted"]) == {"accuracy", "edp"}
    assert last.extra["position"] == 12
    assert last.extra["told_by"] == "me"
    assert not designs.all()


def test_telling_twice_changes_nothing_and_another_value_is_kept_beside(study):
    (asked,) = ask(study, 1)
    designs = AskedDesigns(study)
    other = row(asked, accuracy=3.0, edp=2.0)
    failed = ToldRow(asked.candidate.key, {}, "no licence")
    rows = (row(asked), row(asked), other, other, failed, failed)
    told = [designs.tell([r], ME)[0].what for r in rows]
    assert told == ["new", "known", "again", "known", "again", "known"]
    assert study.evaluations()[0].metrics == {"accuracy": 2.0, "edp": 2.0}


def test_equal_rows_of_one_file_are_several_measurements_and_telling_it_again_adds_none(study):
    (asked,) = ask(study, 1)
    rows = [row(asked, accuracy=value, edp=2.0) for value in (10.0, 20.0, 10.0)]
    for expected in (["new", "again", "again"], ["known", "known", "known"]):
        assert [o.what for o in AskedDesigns(study).tell(rows, ME)] == expected
        assert study.evaluations()[0].metrics["accuracy"] == pytest.approx(40 / 3)


def test_a_failed_design_is_asked_anew_and_may_then_succeed(study):
    (asked,) = ask(study, 1)
    designs = AskedDesigns(study)
    designs.tell([ToldRow(asked.candidate.key, {}, "no licence")], ME)
    assert ask(study, 1)[0].candidate.key != asked.candidate.key
    assert [a.candidate.key for a in designs.retry()] == [asked.candidate.key]
    assert not designs._failed().keys() & {r.key for r in study.running()}
    assert ask(study, 1)[0].candidate.key == asked.candidate.key
    assert designs.tell([row(asked)], ME)[0].what == "new"
    assert [r.status for r in study.evaluations()] == ["failed", "done"]
    assert designs.retry() == []


def test_a_wrong_row_is_refused_alone(study):
    one, two = ask(study, 2)
    rows = [
        ToldRow("nonsense", {"accuracy": 1, "edp": 1}),
        ToldRow(one.candidate.key, {"acuracy": 1.0, "edp": 1.0}),
        ToldRow(one.candidate.key, {"accuracy": 1.0, "edp": 1.0}, params=two.candidate.params),
        row(two),
    ]
    told = AskedDesigns(study).tell(rows, ME)
    assert [t.what for t in told] == ["refused", "refused", "refused", "new"]
    assert "was never asked for" in str(told[0].error)
    assert "acuracy" in str(told[1].error)
    assert "is not of its params" in str(told[2].error)
    assert len(study.evaluations()) == 1


def test_a_design_of_ones_own_may_be_told(study):
    own = ToldRow(None, {"accuracy": 1.0, "edp": 1.0}, params={"depth": 1, "rows": 64, "mode": "b"})
    assert AskedDesigns(study).tell([own], ME)[0].what == "new"
    assert study.evaluations()[0].origin == "told"


def test_retry_of_a_holder_takes_back_what_it_holds(study):
    taken = ask(study, 2, by="job-1")
    ask(study, 1, by="job-2")
    designs = AskedDesigns(study)
    assert [a.candidate.key for a in designs.retry(by="job-1")] == [a.candidate.key for a in taken]
    assert [r.extra["owner"] for r in study.running()] == ["job-2"]
    assert [a.times for a in ask(study, 2, by="job-3")] == [2, 2]
    with pytest.raises(BadInput, match="did you mean job-"):
        designs.retry(by="job-")
    with pytest.raises(BadInput, match="has neither failed nor been handed out"):
        designs.retry(["zzz"])


def test_a_lease_is_renewed(study):
    ask(study, 1, lease_s=10.0)
    (before,) = study.running()
    (after,) = AskedDesigns(study).renew(by="me", lease_s=1000.0)
    assert after.extra["expires"] - before.extra["expires"] > 900


def test_another_source_is_refused_unless_accepted(study):
    one = admit_told(study.store, "sim 3.1")
    assert admit_told(study.store, None) == one
    with pytest.raises(StudyError, match=r"told.source was 'sim 3.1', is 'sim 3.2'"):
        admit_told(study.store, "sim 3.2")
    admit_told(study.store, "sim 3.2", accept_changed=True)
    assert told_sources(study.store) == ["sim 3.1", "sim 3.2"]


class Evaluator:
    """One that can say what decides its numbers."""

    def __call__(self, design):
        return {"accuracy": design["depth"], "edp": design["rows"]}

    def fingerprint(self):
        return {"mine": 1}


def test_what_was_told_goes_on_with_an_evaluator(study):
    designs = AskedDesigns(study)
    asked = ask(study, 3)
    designs.tell([row(a) for a in asked[:2]], Teller("me", admit_told(study.store, "by hand")))
    study.optimize(Evaluator(), 6, listener=None)
    records = study.evaluations()
    assert len(records) == 6
    # what somebody else still has is not evaluated twice
    assert asked[2].candidate.key not in {r.key for r in records}
    assert designs.tell([row(asked[2])], ME)[0].what == "new"


def test_damaged_notes_are_told(study):
    ask(study, 1)
    study.store.set_meta("asked", {"a": json.loads("[]")})
    with pytest.raises(BadInput, match="asked: is damaged"):
        AskedDesigns(study).all()
