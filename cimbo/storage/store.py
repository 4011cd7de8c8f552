"""The one mutable thing of a study."""

import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.storage import leases, location, schema
from cimbo.storage.files import OPEN_HERE, FileIdentity, StudyFiles
from cimbo.storage.opening import check_place, connect, create, same_study
from cimbo.storage.values import (
    Record,
    are_finite,
    collection_paused,
    finite_metrics,
    from_json,
    normal,
    one_line,
    parse_rows,
    to_json,
)

IN_MEMORY = "study in memory"
EVALUATION_COLUMNS = "number, key, params, metrics, status, reason, origin, seconds, extra"


class Store:
    """A study file. Open it with `Store.open`; use it from any thread, but not across a fork."""

    def __init__(self, connection: sqlite3.Connection, path: str, *, readonly: bool) -> None:
        self.path, self._readonly = path, readonly
        self._connection = connection
        self._lock = threading.RLock()
        self._process = location.identity()
        self._owners: set[str] = set()
        self.lease_judge = leases.LeaseJudge()
        self._heartbeat: leases.Heartbeat | None = None
        self._pid = os.getpid()
        self._in_memory = path == IN_MEMORY
        self._files: StudyFiles | None = None
        with schema.one_line_errors(path):
            row = connection.execute("SELECT value FROM meta WHERE name = 'definition'").fetchone()
        self.definition: dict[str, Any] = from_json(row[0], f"{path}, definition") if row else {}
        if not isinstance(self.definition, dict) or not row:
            raise BadInput(path, "holds no definition of a study", "restore it from a copy")
        if not self._in_memory:
            OPEN_HERE[self] = FileIdentity.of(path)
            self._files = None if readonly else StudyFiles.of(path)

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None,
        definition: Mapping[str, Any] | None = None,
        *,
        readonly: bool = False,
    ) -> "Store":
        """Open the study at ``path``, or create it there with ``definition``.

        Args:
            path: The study file; None keeps the study in memory.
            definition: What the study is about, as JSON: space, objectives, constraints, metrics
                and whatever else is to be kept. An existing file has to agree in these four. None
                takes the study that the file holds.
            readonly: Whether to refuse writing. Has no effect on a study in memory.

        Returns:
            The store. Close it, or use it in a ``with`` block.

        Raises:
            BadInput: In one line, for whatever is not a usable study: see `cimbo.storage`. No
                evaluation is written then.
        """
        asked = None
        if definition is not None:
            asked = normal(definition, "definition")
        if path is None:
            return Store(
                schema.newborn(to_json(asked or {}, "definition")), IN_MEMORY, readonly=False
            )
        file = Path(path).expanduser().resolve()
        if not readonly:
            check_place(file)
        if not file.exists():
            create(file, asked, readonly=readonly)
        connection = connect(file, readonly=readonly)
        try:
            store = Store(connection, str(file), readonly=readonly)
            same_study(store.definition, asked, str(file))
        except BaseException:
            connection.close()
            raise
        return store

    def records(self, *, after: int = 0) -> list[Record]:
        """Read the done and failed evaluations with a number above ``after``.

        Args:
            after: A number of an evaluation; 0 for all of them.

        Returns:
            The evaluations in order of number.

        Raises:
            BadInput: A row is damaged; it is named.
        """
        query = f"SELECT {EVALUATION_COLUMNS} FROM evaluation WHERE number > ? ORDER BY number"  # noqa: S608 (a constant)
        rows = self._rows(query, after)
        with collection_paused():
            texts = [(row[2], row[3], row[8]) for row in rows]
            parsed = parse_rows(texts)
            found = []
            for row, parts in zip(rows, parsed, strict=True):
                found.append(self._read(row, parts))
        return found

    def record(
        self,
        key: str,
        params: Mapping[str, Any],
        *,
        metrics: Mapping[str, Any],
        status: str = "done",
        reason: str | None = None,
        origin: str,
        seconds: float = 0.0,
        extra: Mapping[str, Any] | None = None,
    ) -> Record:
        """Write one evaluation; it is on the disk when this returns.

        The lease on ``key`` ends. A key that is already done keeps its row; so does one that has
        failed and fails again.

        Args:
            key: The key of the candidate.
            params: Its genes by name, as JSON.
            metrics: What was measured. One that is not a finite number is left out and makes the
                evaluation ``failed``, with a reason that names it.
            status: ``done`` or ``failed``.
            reason: Why it failed; it is kept as one line.
            origin: Who wanted it, see `Record`.
            seconds: What the evaluation took.
            extra: Free JSON that is kept beside it.

        Returns:
            The row that the file holds now: the new one, or the one that stays.

        Raises:
            BadInput: ``status`` is another word, something is not JSON, the disk is full, or the
                file is read-only or was deleted or replaced while it was open.
        """
        if status not in ("done", "failed"):
            raise BadInput(
                f"record {key}",
                f"status {status!r} is neither done nor failed",
                "use one of the two",
            )
        good, complaint = finite_metrics(metrics)
        reason = None if reason is None else one_line(reason)
        if complaint:
            status, reason = "failed", f"{reason}; {complaint}" if reason else complaint
        values = (
            key,
            status,
            to_json(params, f"params of {key}"),
            to_json(good, f"metrics of {key}"),
            None if reason is None else one_line(reason),
            one_line(origin),
            float(seconds),
            to_json(extra or {}, f"extra of {key}"),
        )
        with self._writing() as connection:
            found = self._stored(key, status)
            if found:
                connection.execute("DELETE FROM lease WHERE key = ?", (key,))
                return found
            connection.execute(
                "INSERT INTO evaluation (key, status, params, metrics, reason, origin, seconds, extra) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            connection.execute("DELETE FROM lease WHERE key = ?", (key,))
            stored = self._stored(key, status)
        assert stored is not None
        return stored

    def claim(
        self,
        items: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        owner: str,
        lease_s: float = leases.LEASE_S,
    ) -> list[str]:
        """Lease to ``owner`` what nobody has evaluated and nobody else is evaluating.

        Atomic between processes. The store renews its leases until `release` or `close`. See
        `cimbo.storage.leases` for when a lease ends.

        Args:
            items: Key and genes of each candidate. One that has failed counts as evaluated.
            owner: A name for whoever evaluates. What it holds already is leased to it once more.
            lease_s: Seconds until the lease is said to expire, for those who list what is running.

        Returns:
            The keys that are leased to ``owner`` now, in the order of ``items``.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        now = time.time()
        lease = (owner, self._process, now + lease_s)
        rows = [(key, to_json(params, f"params of {key}"), *lease) for key, params in items]
        claimed: list[str] = []
        with self._writing(durable=False) as connection:
            leases.bury(connection, self.lease_judge)
            for row in rows:
                done = connection.execute(
                    "SELECT 1 FROM evaluation WHERE key = ?", row[:1]
                ).fetchone()
                held = connection.execute(
                    "SELECT owner FROM lease WHERE key = ?", row[:1]
                ).fetchone()
                if done or (held and held[0] != owner) or row[0] in claimed:
                    continue
                connection.execute(
                    "REPLACE INTO lease (key, params, owner, process, expires) VALUES (?,?,?,?,?)",
                    row,
                )
                claimed.append(row[0])
        self._owners.add(owner)
        if self._heartbeat is None and not self._in_memory:
            self._heartbeat = leases.Heartbeat(self)
        return claimed

    def renew(self) -> None:
        """Tell processes elsewhere that the leases claimed through this store still hold.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        expires = time.time() + leases.LEASE_S
        with self._lock:
            if not self._owners:
                return
            with self._writing(durable=False) as connection:
                connection.executemany(
                    "UPDATE lease SET expires = ? WHERE owner = ?",
                    [(expires, owner) for owner in sorted(self._owners)],
                )

    def running(self) -> list[Record]:
        """Return the candidates under a lease that holds.

        Returns:
            A record for each, with number 0 and status ``running``. Its ``extra`` holds the
            ``owner`` and ``expires`` (Unix seconds), and ``handed_out`` where no process of ours
            evaluates it.
        """
        rows = self._rows(
            "SELECT key, params, owner, process, expires FROM lease ORDER BY expires, key"
        )
        now = time.time()
        found = []
        for key, params, owner, process, expires in rows:
            lease = leases.Lease(key, owner, process, expires)
            # Of a process elsewhere its own word counts here, for this is only what people and
            # proposals see.
            silent = expires <= now and not location.alive(process)
            if silent or self.lease_judge.ended(lease):
                continue
            extra = {"owner": owner, "expires": expires}
            if process == leases.HANDED_OUT:
                extra["handed_out"] = True
            params = self._json(params, key)
            found.append(Record(0, key, params, {}, "running", None, "", 0.0, extra))
        return found

    def release(self, owner: str) -> None:
        """End all leases of ``owner``.

        Args:
            owner: As for `claim`.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        with self._writing(durable=False) as connection:
            connection.execute("DELETE FROM lease WHERE owner = ?", (owner,))
        self._owners.discard(owner)

    def lease_transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open one transaction on the leases, for `cimbo.storage.handed_out`.

        Returns:
            A context manager that gives the connection. It commits at the end of the block, or
            rolls back when the block raises.
        """
        return self._writing(durable=False)

    def count(self) -> int:
        """Count the recorded evaluations, done and failed."""
        return int(self._rows("SELECT count(*) FROM evaluation")[0][0])

    def meta(self, name: str) -> Any:
        """Read the JSON value last set under ``name``.

        Args:
            name: As for `set_meta`.

        Returns:
            The value, or None where there is none.

        Raises:
            BadInput: The value is damaged.
        """
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        if rows:
            return self._json(rows[0][0], name)
        return None

    def metas(self, prefix: str) -> dict[str, Any]:
        """Read the JSON values under all names that begin with ``prefix``.

        Args:
            prefix: How the names begin.

        Returns:
            The values by the rest of their names.

        Raises:
            BadInput: A value is damaged.
        """
        query = "SELECT name, value FROM meta WHERE name >= ? AND name < ?"
        rows = self._rows(query, prefix, prefix + chr(sys.maxunicode))
        return {name.removeprefix(prefix): self._json(value, name) for name, value in rows}

    def set_meta(self, name: str, value: Any) -> None:
        """Keep a small JSON value under ``name``; it is on the disk when this returns.

        Args:
            name: Any name but ``definition``, which is taken.
            value: Replaces what is there.

        Raises:
            BadInput: ``name`` is taken, ``value`` is not JSON, or the study is read-only or cannot
                be written.
        """
        with self._writing():
            self._write_meta(name, value)

    def _write_meta(self, name: str, value: Any) -> None:
        if name == "definition":
            raise BadInput(self.path, "the definition of a study never changes", "use another name")
        replace = "REPLACE INTO meta (name, value) VALUES (?, ?)"
        self._connection.execute(replace, (name, to_json(value, name)))

    def update_meta(self, name: str, change: Callable[[Any], Any]) -> Any:
        """Replaces the value under ``name`` by what ``change`` makes of it; no other process's change is lost.

        Args:
            name: as for `set_meta`.
            change: is given the JSON value (None where there is none) and returns the next one,
                quickly: nobody else
                can write meanwhile.

        Returns:
            The value that is stored now.
        """
        with self._writing():
            value = change(self.meta(name))
            self._write_meta(name, value)
        return value

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write all that is acknowledged to a new study file, while others go on writing here.

        Leases stay behind: nobody evaluates for the copy.

        Args:
            path: The file to make.

        Raises:
            BadInput: ``path`` exists or cannot be written.
        """
        file = Path(path).expanduser().resolve()
        check_place(file)
        if file.exists():
            raise BadInput(file, "exists already", "choose another name, or delete it first")
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        os.close(handle)
        try:
            with schema.one_line_errors(file):
                self._copy_to(name)
            schema.place(Path(name), file)
        finally:
            Path(name).unlink(missing_ok=True)

    def _copy_to(self, target: str) -> None:
        copy = schema.connect(target)
        try:
            with self._lock:
                self._connection.backup(copy)
            copy.execute("DELETE FROM lease")
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            copy.close()

    def close(self) -> None:
        """Release what this object claimed and close the file. Closing twice is fine."""
        with self._lock:
            if self._heartbeat is not None:
                self._heartbeat.stop()
            try:
                for owner in sorted(self._owners):
                    self.release(owner)
            finally:
                self._owners.clear()
                self._connection.close()
                OPEN_HERE.pop(self, None)
                if self._files is not None:
                    self._files.close()
                    self._files = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        # As with `synchronous = FULL` the log is on the disk when this returns. But that would wait
        # for the disk while it keeps other writers out; we wait after the commit, side by side, and
        # one turn of the disk serves them all. What is not synced yet may be read, and is
        # acknowledged by nobody. Leases need not survive a power cut, for nor do their owners: they
        # skip the wait, and the next recorded evaluation takes them along.
        with self._lock, schema.one_line_errors(self.path):
            if self._pid != os.getpid():
                raise RuntimeError(
                    "a Store does not survive fork(): open the study again in the child process"
                )
            if self._readonly:
                raise BadInput(
                    self.path, "was opened read-only", "open it without readonly to write"
                )
            files = self._files
            self._connection.execute("PRAGMA synchronous = NORMAL")
            with nullcontext() if files is None else files.writing():
                try:
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield self._connection
                    self._connection.execute("COMMIT")
                finally:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
            if durable and files is not None:
                files.sync()
                files.fold(self._connection)
                files.check()

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, schema.one_line_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    def _stored(self, key: str, status: str) -> Record | None:
        query = (
            f"SELECT {EVALUATION_COLUMNS} FROM evaluation WHERE key = ? AND status IN ('done', ?)"  # noqa: S608 (a constant)
        )
        rows = self._rows(f"{query} ORDER BY status", key, status)
        return self._read(rows[0]) if rows else None

    def _read(self, row: tuple[Any, ...], parts: Sequence[Any] | None = None) -> Record:
        """The evaluation in a ``row``; ``parts`` are its JSON columns where they are parsed already."""
        number, key, params, metrics, status, reason, origin, seconds, extra = row
        where = f"evaluation {number}"
        if parts is None:
            parts = [self._json(text, where) for text in (params, metrics, extra)]
        if not all(isinstance(part, dict) for part in parts) or not are_finite(parts[1]):
            raise BadInput(f"{self.path}, {where}", "is damaged", "restore the file from a copy")
        return Record(number, key, parts[0], parts[1], status, reason, origin, seconds, parts[2])

    def _json(self, text: str, where: str) -> Any:
        return from_json(text, f"{self.path}, {where}")
