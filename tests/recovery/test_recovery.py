"""The short form of the recovery drills: nothing acknowledged is lost, nothing is done twice, nothing runs for ever."""

import signal

import drills
import file_drills
import malformed
import payloads
import pytest
import setup_drills


def test_killed_at_random_instants_a_study_loses_nothing():
    found = drills.kill_drill(8, budget=100, jobs=1)
    assert found.kills == 8
    assert (found.lost, found.duplicated, found.left_running, found.fronts_differing) == (
        0,
        0,
        0,
        0,
    )
    assert found.restart_s < 2


def test_killed_while_workers_evaluate_a_study_loses_nothing():
    found = drills.kill_drill(2, budget=30, jobs=2, seed=1)
    assert (found.lost, found.duplicated, found.left_running, found.fronts_differing) == (
        0,
        0,
        0,
        0,
    )


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_share_a_study_and_die(processes: int):
    found = drills.swarm_drill(processes, budget=300, deaths=0.1)
    assert found.evaluations == 300
    assert (found.lost, found.duplicated, found.twice, found.left_running) == (0, 0, 0, 0)


def test_the_designs_do_not_depend_on_the_number_of_workers():
    one, four = drills.orders(15, (1, 4))
    assert one == four
    assert len(one) == 15


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_study_ends_by_its_budget_whatever_goes_wrong(share: float):
    found = drills.fault_drill(share, budget=24)
    assert found.recorded == 24
    assert (found.unexplained, found.wrongly_failed) == (0, 0)


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_signals_leave_the_file_whole(sent: signal.Signals, code: int):
    returncode, told, wrong = drills.signal_drill(sent, jobs=2)
    assert returncode == code
    assert ("to go on" in told) == (sent == signal.SIGINT)
    assert not wrong


def test_a_full_disk_is_told_and_costs_nothing():
    try:
        message, kept, found = drills.full_disk_drill()
    except PermissionError as error:
        pytest.skip(str(error))
    assert "study.db: the disk is full" in message
    assert kept == found > 100


def test_malformed_files_are_answered_and_left_alone():
    found = malformed.malformed_drill(133)
    assert found.wrong == []


def test_what_may_not_be_written_is_answered_and_left_alone():
    try:
        assert malformed.read_only_drill() == []
    except PermissionError as error:
        pytest.skip(str(error))


def test_payloads_do_nothing():
    found = payloads.payload_drill(every=5)
    assert found.inputs > 50
    assert (found.executed, found.outside, found.escaped, found.markup) == ([], [], [], [])


def test_a_copy_of_a_study_in_use_holds_what_was_acknowledged():
    found = file_drills.copies_drill(1)
    assert found.copies == 20
    assert (found.short, found.short_after_kill) == (0, 0)


def test_nothing_is_acknowledged_into_a_file_that_is_gone():
    found = file_drills.lost_files_drill()
    assert (found.studies, found.told, found.into_the_void) == (4, 4, 0)


@pytest.mark.parametrize(("place", "jump_s"), [("elsewhere", 7200.0), ("here", 7200.0)])
def test_nobody_takes_a_candidate_from_a_living_process(place: str, jump_s: float):
    found = file_drills.leases_drill(place, (jump_s,), attempts=8)
    assert (found.stolen, found.gone, found.freed) == (0, 1, 1)


def test_what_is_set_up_anew_or_wrongly_does_not_become_results():
    changed = setup_drills.changed_evaluator_drill()
    assert (changed.refused, changed.kept, changed.mixed) == (2, 2, 3)
    assert "hardware.fixed.node_nm was 22, is 65" in changed.said
    wrong = setup_drills.wrong_checkpoint_drill()
    assert (wrong.refused, wrong.left) == (2, [])
    assert "wrong.safetensors" in wrong.said
