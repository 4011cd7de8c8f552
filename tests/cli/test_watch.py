"""A running study, watched from another process."""

import subprocess
import sys
from dataclasses import replace

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.cli.watch import watched_lines
from cimbo.session.opening import open_existing, open_to_tell
from cimbo.session.watching import snapshot

SPACE = SearchSpace([Choice("depth", [1, 2, 3])], [Choice("rows", [64, 128])])
COST = [Objective("latency_ms", "min", reference=10.0)]


def test_what_is_watched_follows_what_another_process_records(tmp_path):
    file = tmp_path / "running.db"
    with Study.open(file, space=SPACE, objectives=COST) as study:
        first, second, third = study.ask(3)
        study.tell(first, {"latency_ms": 3.0})
        with open_existing(file) as session:
            before = snapshot(session)
            study.tell(second, {"latency_ms": 2.0})
            study.tell(third, None, reason="licence server did not answer")
            after = snapshot(session)
    assert (before.evaluations, after.evaluations) == (1, 3)
    assert after.failures == {"licence server did not answer": 1}
    assert after.seconds_per_evaluation(before) > 0
    lines = watched_lines(after, before)
    assert lines[0].startswith("3 evaluations, hypervolume 8, ")
    assert "a minute" in lines[0]
    assert "failed 1: licence server did not answer" in lines


def test_who_is_at_work_is_seen_and_a_crowd_is_counted(tmp_path):
    file = tmp_path / "asked.db"
    with Study.open(file, space=SPACE, objectives=COST) as study:
        study.ask(1)
    with open_to_tell(file) as session:
        session.ask(1, by="node7")
        seen = snapshot(session)
    (lease,) = seen.at_work
    assert f"at work: node7 on {lease.key}" in watched_lines(seen, seen)
    crowd = replace(seen, at_work=(lease,) * 11)
    assert watched_lines(crowd, crowd)[-1] == "at work: 3 more"


def test_the_command_ends_when_the_budget_is_reached(tmp_path):
    file = tmp_path / "done.db"
    metadata = {"command": "cimbo optimize --budget=2"}
    with Study.open(file, space=SPACE, objectives=COST, metadata=metadata) as study:
        study.optimize(lambda design: {"latency_ms": 1.0 + design["depth"]}, budget=2)
    done = subprocess.run(
        [sys.executable, "-m", "cimbo", "status", "--watch", "0.2", "--study", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.startswith("2 of 2 evaluations, hypervolume ")
