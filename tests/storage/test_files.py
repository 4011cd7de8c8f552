"""A study's file while it is in use: copied, backed up, deleted, replaced."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cimbo.errors import BadInput
from cimbo.storage import Store

DEFINITION = {"space": {}, "objectives": ["a"], "constraints": []}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def put(store: Store, key: str) -> None:
    store.record(key, {"rows": 64}, metrics={"a": 1.0}, origin="told")


def test_a_plain_copy_of_an_open_study_holds_all_that_was_acknowledged(path: Path):
    copy = path.with_name("copy.db")
    with Store.open(path, DEFINITION) as store, Store.open(path) as other:
        for i in range(12):
            put((store, other)[i % 2], f"k{i}")
            shutil.copy(path, copy)
            with Store.open(copy, readonly=True) as found:
                assert found.count() == i + 1


KILLED = """
import os, signal, sys
from cimbo.storage import Store
store = Store.open(sys.argv[1])
store.record("k", {}, metrics={"a": 1.0}, origin="told")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_so_does_a_copy_of_one_whose_process_was_killed(path: Path):
    Store.open(path, DEFINITION).close()
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    shutil.copy(path, path.with_name("copy.db"))
    with Store.open(path.with_name("copy.db")) as copy:
        assert copy.count() == 1


LEFT_IN_THE_LOG = """
import os, signal, sys
from cimbo.storage import Store
store = Store.open(sys.argv[1])
store.claim([("k", {})], owner="me")
store._connection.execute("INSERT INTO meta VALUES ('unacknowledged', '1')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_looking_at_a_study_folds_in_what_a_killed_process_left_in_its_log(path: Path):
    Store.open(path, DEFINITION).close()
    command = [sys.executable, "-c", LEFT_IN_THE_LOG, str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    copy = path.with_name("copy.db")
    for expected in (None, 1):
        shutil.copy(path, copy)
        with Store.open(copy, readonly=True) as found:
            assert found.meta("unacknowledged") == expected
        with Store.open(path, readonly=True) as found:
            assert found.meta("unacknowledged") == 1


@pytest.mark.parametrize("ending", ["", "-wal"])
@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_acknowledged_into_a_file_that_is_gone(path: Path, ending: str, replaced: bool):
    with Store.open(path, DEFINITION) as store:
        put(store, "before")
        lost = Path(f"{path}{ending}")
        lost.rename(path.with_name("elsewhere"))
        if replaced:
            shutil.copy(path.with_name("elsewhere"), lost)
        what = "was replaced by another file" if replaced else "was deleted"
        for write in (lambda: put(store, "after"), lambda: store.set_meta("x", 1)):
            with pytest.raises(
                BadInput, match=f"study.db{ending}: {what} while the study was open"
            ):
                write()


def test_a_backup_of_a_study_in_use_is_whole_and_nobody_evaluates_for_it(path: Path):
    target = path.with_name("backup.db")
    with Store.open(path, DEFINITION) as store:
        put(store, "k")
        store.set_meta("plan", [1])
        store.claim([("next", {})], owner="me")
        store.backup(target)
        put(store, "later")
        with pytest.raises(BadInput, match=r"backup.db: exists already"):
            store.backup(target)
        with Store.open(target) as copy:
            assert [r.key for r in copy.records()] == ["k"]
            assert copy.meta("plan") == [1]
            assert copy.running() == []
            put(copy, "of its own")
    with Store.open(path) as store:
        assert [r.key for r in store.records()] == ["k", "later"]


OPENS_AND_CLOSES = """
import sys
from cimbo.storage import Store
Store.open(sys.argv[1]).close()
"""


def test_opening_a_study_twice_in_one_process_keeps_its_locks(path: Path):
    """POSIX ends a process's locks on a file when it closes any descriptor of that file."""
    with Store.open(path, DEFINITION) as store:
        Store.open(path, readonly=True).close()
        subprocess.run([sys.executable, "-c", OPENS_AND_CLOSES, str(path)], check=True)
        put(store, "k")  # would be told that its log was deleted, by the last to leave
    with Store.open(path) as store:
        assert store.count() == 1


ADDS = """
import sys
from cimbo.storage import Store
with Store.open(sys.argv[1]) as store:
    for i in range(20):
        store.update_meta("tests", lambda known: {**(known or {}), f"{sys.argv[2]} {i}": i})
"""


def test_processes_that_change_the_same_metadata_lose_nothing(path: Path):
    Store.open(path, DEFINITION).close()
    commands = [[sys.executable, "-c", ADDS, str(path), str(n)] for n in range(4)]
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait() == 0
    with Store.open(path) as store:
        assert len(store.meta("tests")) == 80
        with pytest.raises(BadInput, match="never changes"):
            store.update_meta("definition", lambda _: {})
