"""What a process has started ends with it: children in sessions of their own, daemons, programs behind wrappers."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cimbo import processes

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")

# A shell that starts a sleeper in a session of its own, one that is orphaned, and one with nothing of our environment.
SPAWNS = """
setsid sleep 1000 & echo $! >> {pids}
(sleep 1000 & echo $! >> {pids})
env -i setsid sleep 1000 & echo $! >> {pids}
echo $$ >> {pids}
sleep 1000
"""


def wait_for_pids(file: Path, n: int) -> list[int]:
    end = time.monotonic() + 20
    while not file.exists() or len(file.read_text().split()) < n:
        assert time.monotonic() < end
        time.sleep(0.02)
    return [int(pid) for pid in file.read_text().split()]


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if processes.start_time(pid)]


def test_a_program_at_its_limit_ends_with_all_that_it_has_started(tmp_path: Path):
    file = tmp_path / "pids"
    start = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run_program(["sh", "-c", SPAWNS.format(pids=file)], text="", timeout_s=1.0)
    assert time.monotonic() - start < 5
    assert len(wait_for_pids(file, 4)) == 4
    assert living(wait_for_pids(file, 4)) == []


def test_a_program_gets_its_input_and_gives_its_output():
    code = (
        "import sys; print(sys.stdin.read().upper()); print('talk', file=sys.stderr); sys.exit(3)"
    )
    done = processes.run_program([sys.executable, "-c", code], text="data", timeout_s=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "DATA\n", "talk\n")
    with pytest.raises(FileNotFoundError):
        processes.run_program(["./no-such-program"], text="", timeout_s=1)


def test_marks_are_handed_down_beside_those_of_the_parents(monkeypatch: pytest.MonkeyPatch):
    outer = processes.ProcessMark.new()
    monkeypatch.setenv(processes.MARK_VARIABLE, outer.environment()[processes.MARK_VARIABLE])
    inner = processes.ProcessMark.new()
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, **inner.environment()}) as child:
        time.sleep(0.1)
        assert processes.family(None, outer.own) == processes.family(None, inner.own) == {child.pid}
        assert processes.family(child.pid, "no such mark") == {child.pid}
        processes.end_family(None, outer.own)
        assert child.wait(5) == -9


def test_a_start_tells_a_process_from_a_later_one_with_its_pid():
    assert processes.start_time(os.getpid()) == processes.start_time(os.getpid()) != ""
    child = subprocess.Popen(["true"])
    time.sleep(0.2)
    assert processes.start_time(child.pid) == ""  # a zombie
    child.wait()
    assert processes.start_time(child.pid) == ""
