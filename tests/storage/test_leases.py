"""Leases hold as long as their owner lives: on two machines, through jumps of the clock, for as
long as it takes.
"""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from cimbo.storage import Store, handed_out, leases, location

DEFINITION = {"space": {}, "objectives": ["a"], "constraints": []}
ITEMS = [("k", {"rows": 64})]
pytestmark = pytest.mark.skipif(not location.identity(), reason="no /proc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def on_another_host(path: Path, expires: float) -> None:
    """Rewrites every lease as one that a process of another machine took."""
    with closing(sqlite3.connect(path)) as connection:
        process = "REPLACE(process, substr(process, 1, 8), '00000000')"
        connection.execute(f"UPDATE lease SET process = {process}, expires = ?", (expires,))
        connection.commit()


class Clock:
    """A steady clock that the test moves."""

    def __init__(self, store: Store) -> None:
        self.now = 0.0
        store.lease_judge.clock = lambda: self.now


def test_another_hosts_lease_holds_while_it_is_renewed_whatever_the_clocks_say(path: Path):
    with Store.open(path, DEFINITION) as theirs, Store.open(path) as mine:
        clock = Clock(mine)
        theirs.claim(ITEMS, owner="theirs")
        for beat in range(20):
            # Their clock is two hours behind ours, so each renewal has expired by our clock when we
            # read it.
            on_another_host(path, time.time() - 7200 + beat)
            clock.now += leases.LEASE_S - 1
            assert mine.claim(ITEMS, owner="mine") == []


def test_another_hosts_lease_ends_when_it_falls_silent_though_it_claims_the_future(path: Path):
    with Store.open(path, DEFINITION) as theirs, Store.open(path) as mine:
        clock = Clock(mine)
        theirs.claim(ITEMS, owner="theirs")
        on_another_host(path, time.time() + 7200)
        assert mine.claim(ITEMS, owner="mine") == []
        clock.now += leases.LEASE_S - 1
        assert mine.claim(ITEMS, owner="mine") == []
        clock.now += 2
        assert mine.running() == []
        assert mine.claim(ITEMS, owner="mine") == ["k"]


CLAIM = """
import sys, time
from cimbo.storage import Store
with Store.open(sys.argv[1]) as store:
    store.claim([("k", {"rows": 64})], owner="living", lease_s=float(sys.argv[2]))
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_a_jump_of_the_clock_takes_nothing_from_a_living_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    Store.open(path, DEFINITION).close()
    command = [sys.executable, "-c", CLAIM, str(path), "60"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as living, Store.open(path) as store:
        assert living.stdout.readline() == "claimed\n"
        now = time.time()
        for jump in (7200, 10 * 365 * 86400, -7200):
            monkeypatch.setattr("cimbo.storage.store.time.time", lambda jump=jump: now + jump)
            assert [r.key for r in store.running()] == ["k"]
            assert store.claim(ITEMS, owner="me") == []
        living.kill()
        living.wait()
        assert store.claim(ITEMS, owner="me") == ["k"]


def test_a_lease_is_renewed_while_its_owner_evaluates(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leases, "RENEWAL_S", 0.05)
    with Store.open(path, DEFINITION) as store:
        store.claim(ITEMS, owner="me", lease_s=1)
        first = store.running()[0].extra["expires"]
        end = time.monotonic() + 20
        while store.running()[0].extra["expires"] <= first + leases.LEASE_S / 2:
            assert time.monotonic() < end, "the lease was not renewed"
            time.sleep(0.02)


def test_who_hands_out_sees_silent_leases_of_other_machines_end_too(path: Path):
    with Store.open(path, DEFINITION) as dead, Store.open(path) as store:
        dead.claim(ITEMS, owner="elsewhere")
        on_another_host(path, time.time() + 1e6)
        clock = Clock(store)
        give = partial(handed_out.hand_out, store, ITEMS, holder="somebody", lease_s=60.0)
        assert give() == []
        clock.now = leases.LEASE_S
        assert give() == ["k"]
