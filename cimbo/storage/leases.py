"""Who is evaluating what: leases that hold as long as their owner lives, on any machine and by any clock.

A lease of a process on this machine holds while that process lives, which the kernel tells, and ends
with it. Of a process elsewhere (another machine, another container) only the renewals of its lease can
be seen: the lease ends when this process has watched it for `LEASE_S` on its own steady clock and it
was not renewed. So a clock that is set, fast or slow takes no candidate from somebody who is evaluating
it.

A lease that was handed out (`cimbo.storage.handed_out`) belongs to no process: the candidate is
evaluated by a job of a queue, a script or a person. It ends at its time by the clock of this machine,
when its evaluation is told, or when it is taken back.
"""

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cimbo.errors import BadInput
from cimbo.storage import location

LEASE_S = 300.0  # how long a lease holds that nobody renews
RENEWAL_S = 60.0  # how often a living owner renews its own; four may be missed
# Keys that are leased though they were evaluated
RECORDED_AND_LEASED = "SELECT key FROM lease WHERE key IN (SELECT key FROM evaluation)"
HANDED_OUT = "handed out"  # in the place of the process, for a lease that belongs to none


@dataclass(frozen=True)
class Lease:
    """One row of the table of leases.

    Attributes:
        key: The candidate's key.
        owner: Name of whoever evaluates it.
        process: The owner's process, as ``location.identity`` names it, or HANDED_OUT.
        expires: When the lease is said to end, in Unix seconds.
    """

    key: str
    owner: str
    process: str
    expires: float


@dataclass(frozen=True)
class Sighting:
    """When, on our steady clock, a lease was first seen with this owner and expiry."""

    owner: str
    expires: float
    since_s: float


@dataclass
class LeaseJudge:
    """Decides which leases have ended.

    Attributes:
        sightings: Key to when the lease was first seen as it is now; for leases of other machines.
        clock: A steady clock, in seconds.
        wall_clock: The time, in Unix seconds.
    """

    sightings: dict[str, Sighting] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time

    def ended(self, lease: Lease) -> bool:
        """Decide whether a lease has ended.

        A lease that was handed out ends at its time. A lease of a process ends with that process.
        Where it cannot be known whether the process lives, the lease ends when it was not renewed for
        `LEASE_S` on this process's steady clock; the first call then only notes when it was seen.

        Args:
            lease: A row of the table of leases.

        Returns:
            True where the candidate may go to somebody else.
        """
        if lease.process == HANDED_OUT:
            return lease.expires <= self.wall_clock()
        if location.dead(lease.process):
            return True
        if location.alive(lease.process):
            return False
        return self._watched_s(lease) >= LEASE_S

    def _watched_s(self, lease: Lease) -> float:
        """For how many seconds a lease has been seen without a renewal; 0 the first time."""
        sighting = self.sightings.get(lease.key)
        now = self.clock()
        # Another expiry means that the lease was renewed: watch it anew
        if sighting is None or (sighting.owner, sighting.expires) != (lease.owner, lease.expires):
            sighting = Sighting(lease.owner, lease.expires, now)
            self.sightings[lease.key] = sighting
        return now - sighting.since_s


def all_leases(connection: sqlite3.Connection) -> list[Lease]:
    """Read every lease in the file, ended ones included.

    Args:
        connection: A connection to the study.

    Returns:
        The leases, the first to expire first.
    """
    rows = connection.execute(
        "SELECT key, owner, process, expires FROM lease ORDER BY expires, key"
    )
    return [Lease(*row) for row in rows]


def delete_ended(connection: sqlite3.Connection, judge: LeaseJudge) -> None:
    """Delete the leases that have ended, inside the caller's transaction.

    Args:
        connection: The connection that has the transaction open.
        judge: Decides which have ended. Use the same one in every call: it remembers how long it has
            watched leases of other machines.
    """
    ended = []
    for lease in all_leases(connection):
        if judge.ended(lease):
            ended.append((lease.key,))
    connection.executemany("DELETE FROM lease WHERE key = ?", ended)


def owners_of_processes(connection: sqlite3.Connection) -> dict[str, str]:
    """Read who evaluates what, without the leases that belong to no process.

    Designs whose evaluation is recorded and goes on at a higher fidelity do not count.

    Args:
        connection: A connection to the study.

    Returns:
        Owner by key of the candidate.
    """
    owners = {}
    recorded = {key for (key,) in connection.execute(RECORDED_AND_LEASED)}
    for lease in all_leases(connection):
        if lease.process != HANDED_OUT and lease.key not in recorded:
            owners[lease.key] = lease.owner
    return owners


def may_claim(connection: sqlite3.Connection, key: str, owner: str, *, again: bool = False) -> bool:
    """Tell whether a candidate may be leased to ``owner``, inside the caller's transaction.

    Args:
        connection: The connection that has the transaction open.
        key: The key of the candidate.
        owner: Whoever wants to evaluate it.
        again: Whether it may have been evaluated before, as where a measurement is continued.

    Returns:
        False where it was evaluated, or somebody else holds it.
    """
    if (
        not again
        and connection.execute("SELECT 1 FROM evaluation WHERE key = ?", (key,)).fetchone()
    ):
        return False
    held = connection.execute("SELECT owner FROM lease WHERE key = ?", (key,)).fetchone()
    return held is None or held[0] == owner


class Renewable(Protocol):
    """What the heartbeat needs of a store.

    ``renew()`` puts off the end of the leases claimed through it. It may raise BadInput or an error
    of SQLite; the heartbeat then tries again later.
    """

    def renew(self) -> None:
        """Put off the end of the leases of this process."""
        ...


class Heartbeat:
    """A thread that renews a store's leases while somebody evaluates; it keeps no store alive."""

    def __init__(self, store: Renewable) -> None:
        self._stopped = threading.Event()
        arguments = (weakref.ref(store), self._stopped)
        threading.Thread(target=_beat, args=arguments, daemon=True, name="cimbo-leases").start()

    def stop(self) -> None:
        """Let the thread end."""
        self._stopped.set()


def _beat(reference: "weakref.ref[Renewable]", stopped: threading.Event) -> None:
    """Renew a store's leases every ``RENEWAL_S`` seconds, until it is stopped or the store is gone."""
    while not stopped.wait(RENEWAL_S):
        store = reference()
        if store is None:
            return
        # A full disk or a lost file is reported when the evaluation is recorded, and a closed store
        # needs no leases: try again later
        with contextlib.suppress(BadInput, sqlite3.Error):
            store.renew()
        del store  # while this thread sleeps, only the weak reference may outlast
