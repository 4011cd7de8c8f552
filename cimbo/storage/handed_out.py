"""Leases of candidates that are evaluated outside of cimbo: by jobs of a queue, scripts, people.

Such a lease holds until a time, whichever processes live or die meanwhile. See `cimbo.storage.leases`.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: two who ask at once may choose the same, and one of them asks anew
    fcntl = None  # type: ignore[assignment]

from cimbo.storage import leases
from cimbo.storage.store import IN_MEMORY, Store
from cimbo.storage.values import to_json

INSERT_LEASE = "INSERT INTO lease (key, params, owner, process, expires) VALUES (?,?,?,?,?)"

SELECT_DONE = "SELECT 1 FROM evaluation WHERE key = ? AND status = 'done'"


def hand_out(
    store: Store, items: Sequence[tuple[str, Mapping[str, Any]]], *, holder: str, lease_s: float
) -> list[str]:
    """Lease to ``holder`` those candidates that nobody else holds and nobody has evaluated.

    Args:
        store: The study file.
        items: Key and parameters of each candidate.
        holder: Who is going to evaluate them, in words.
        lease_s: Seconds until they may go to somebody else.

    Returns:
        The keys that are leased now.
    """
    expires = time.time() + lease_s
    leased = []
    with store.lease_transaction() as connection:
        leases.delete_ended(connection, store.lease_judge)
        held = {lease.key for lease in leases.all_leases(connection)}
        for key, params in items:
            is_done = connection.execute(SELECT_DONE, (key,)).fetchone() is not None
            if key not in held and not is_done:
                text = to_json(params, f"params of {key}")
                connection.execute(INSERT_LEASE, (key, text, holder, leases.HANDED_OUT, expires))
                held.add(key)
                leased.append(key)
    return leased


def extend(store: Store, keys: Sequence[str], *, lease_s: float) -> None:
    """Let the leases of ``keys`` that were handed out end ``lease_s`` seconds from now.

    Args:
        store: The study file.
        keys: Keys of candidates. One without such a lease is passed over.
        lease_s: Seconds from now; they may be fewer than are left.

    Raises:
        BadInput: The study is read-only or cannot be written.
    """
    expires = time.time() + lease_s
    with store.lease_transaction() as connection:
        connection.executemany(
            "UPDATE lease SET expires = ? WHERE key = ? AND process = ?",
            [(expires, key, leases.HANDED_OUT) for key in keys],
        )


def take_back(store: Store, keys: Sequence[str]) -> None:
    """End the leases of ``keys`` that were handed out, so that others may take the candidates.

    Args:
        store: The study file.
        keys: Keys of candidates. One without such a lease is passed over.

    Raises:
        BadInput: The study is read-only or cannot be written.
    """
    with store.lease_transaction() as connection:
        connection.executemany(
            "DELETE FROM lease WHERE key = ? AND process = ?",
            [(key, leases.HANDED_OUT) for key in keys],
        )


@contextmanager
def one_asks(store: Store) -> Iterator[None]:
    """Run a block that chooses candidates, while no other process chooses for a study in the same folder.

    It waits for as long as another process is in such a block. Choosing takes seconds, and two
    processes that choose at once would choose the same candidates. The lock is on the folder: that
    leaves no file behind, and does not touch SQLite's own locks. A study in memory needs no lock, and
    Windows has none; there the block runs at once.

    Args:
        store: The study file.
    """
    if fcntl is None or store.path == IN_MEMORY:
        yield
        return
    folder = os.open(Path(store.path).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
