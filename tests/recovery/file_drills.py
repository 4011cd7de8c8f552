"""Drills on a study's file and its leases: copied while in use, its log deleted, two machines, a
clock that jumps.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from drills import ENVIRONMENT, acks, start

from cimbo.errors import BadInput
from cimbo.storage import Store, leases

THREADS_TEST = Path(__file__).parents[1] / "study" / "test_threads.py"


@dataclass(frozen=True)
class Copies:
    """Copies of a study in use.

    ``short``: held less than was acknowledged before; ``damaged``: said to be torn.
    """

    copies: int
    short: int
    damaged: int
    short_after_kill: int


@dataclass(frozen=True)
class LostFiles:
    """Studies whose file or log was deleted or replaced in use; ``into_the_void``: evaluations
    acknowledged after that.
    """

    studies: int
    told: int
    into_the_void: int


@dataclass(frozen=True)
class Leases:
    """Attempts to take a candidate; ``stolen``: from an owner that lived; ``freed``: of those whose
    owner was gone.
    """

    attempts: int
    stolen: int
    gone: int
    freed: int


def copies_drill(kills: int, *, copies_each: int = 20) -> Copies:
    """Copies a running study again and again, then kills it with SIGKILL and copies once more."""
    short = damaged = short_after_kill = made = 0
    for _ in range(kills):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            process = start("solo", folder, 10_000, 1)
            while len(acks(folder)) < 3:
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            for _ in range(copies_each):
                acknowledged = len(acks(folder))
                held = count_in_copy(folder)
                made += 1
                damaged += held is None
                short += held is not None and held < acknowledged
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            held = count_in_copy(folder)
            short_after_kill += held is None or held < len(acks(folder))
    return Copies(made, short, damaged, short_after_kill)


def count_in_copy(folder: Path) -> int | None:
    """How many evaluations a plain copy of the study file holds; None when it is said to be
    damaged.
    """
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy.db"
        shutil.copy(folder / "study.db", copy)
        try:
            with Store.open(copy, readonly=True) as store:
                return store.count()
        except BadInput:
            return None


def lost_files_drill() -> LostFiles:
    """Deletes or replaces the file or the log of a study that a running process writes to."""
    studies = told = into_the_void = 0
    for ending in ("", "-wal"):
        for replaced in (False, True):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                process = start("solo", folder, 10_000, 1)
                while len(acks(folder)) < 3:
                    assert process.poll() is None, process.communicate()
                    time.sleep(0.01)
                file = folder / f"study.db{ending}"
                shutil.copy(file, folder / "other")
                file.unlink()
                if replaced:
                    (folder / "other").rename(file)
                # One may be on its way: its check was before, its acknowledgement came after.
                before = len(acks(folder)) + 1
                _, complaint = process.communicate(timeout=60)
                studies += 1
                told += process.returncode == 2 and "while the study was open" in complaint
                into_the_void += max(0, len(acks(folder)) - before)
    return LostFiles(studies, told, into_the_void)


HOLDS = """
import sys
from cimbo.storage import Store, leases, location
leases.RENEWAL_S = 0.1
if sys.argv[2] == "elsewhere":
    own, namespace, pid, start = location.identity().split("/")
    name = f"{own[::-1]}/{namespace}/{pid}/{start}"  # what the kernel of another machine would say
    location.identity = lambda: name
with Store.open(sys.argv[1]) as store:
    store.claim([("k", {"a": 1})], owner="holder")
    print("claimed", flush=True)
    sys.stdin.read()
"""


def leases_drill(place: str, jumps_s: tuple[float, ...], attempts: int = 20) -> Leases:
    """Tries to take the candidate of a process ``here`` or ``elsewhere`` under jumps of our clock,
    then of that process dead.

    A lease of elsewhere ends after some silence; here that time is shortened to 2 s, for renewals
    each 0.1 s.
    """
    stolen = freed = tried = 0
    patience, leases.LEASE_S = leases.LEASE_S, 2.0
    real = time.time
    try:
        for jump_s in jumps_s:
            with tempfile.TemporaryDirectory() as name:
                path = Path(name) / "study.db"
                Store.open(path, {}).close()
                command = [sys.executable, "-c", HOLDS, str(path), place]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
                with (
                    subprocess.Popen(command, env=ENVIRONMENT, **pipes) as holder,
                    Store.open(path) as store,
                ):
                    assert holder.stdout.readline() == "claimed\n"
                    time.time = lambda jump_s=jump_s: real() + jump_s
                    for _ in range(attempts):
                        tried += 1
                        stolen += store.claim([("k", {"a": 1})], owner="other") != []
                        time.sleep(0.15)
                    holder.kill()
                    holder.wait()
                    end = time.monotonic() + 10
                    while time.monotonic() < end:
                        if store.claim([("k", {"a": 1})], owner="other"):
                            freed += 1
                            break
                        time.sleep(0.1)
                    time.time = real
    finally:
        time.time, leases.LEASE_S = real, patience
    return Leases(tried, stolen, len(jumps_s), freed)


def metadata_drill(processes: int, changes: int) -> int:
    """How many of the metadata that several processes record at once are kept."""
    program = (
        "import sys\nfrom cimbo.study.study import Study\n"
        "with Study.open(sys.argv[1]) as study:\n"
        f"    for i in range({changes}): study.record_test_accuracy(f'{{sys.argv[2]}} {{i}}', 90.0)\n"
    )
    import problem

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "study.db"
        problem.study(path).close()
        commands = [[sys.executable, "-c", program, str(path), str(n)] for n in range(processes)]
        running = [subprocess.Popen(command, env=ENVIRONMENT) for command in commands]
        for process in running:
            assert process.wait() == 0
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT value FROM meta WHERE name = 'accuracy_test'"
            return len(json.loads(connection.execute(query).fetchone()[0]))


def threads_drill() -> list[list[str]] | None:
    """The designs of a search under one and two threads of BLAS; None where that test is not there."""
    if not THREADS_TEST.exists():
        return None
    found = []
    for number in "12":
        variables = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), number
        )
        run = subprocess.run(
            [sys.executable, THREADS_TEST],
            env={**os.environ, **ENVIRONMENT, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(run.stdout.splitlines()[-1]))
    return found
