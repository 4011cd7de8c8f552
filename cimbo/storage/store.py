"""The one mutable thing of a study."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.storage import location, schema
from cimbo.storage.values import (
    Record,
    finite_metrics,
    first_difference,
    from_json,
    normal,
    one_line,
    to_json,
)

COMPARED = ("space", "objectives", "constraints")  # what makes two definitions the same study
IN_MEMORY = "study in memory"
COLUMNS = "number, key, params, metrics, status, reason, origin, seconds, extra"


class Store:
    """A study file. Open it with `Store.open`; use it from any thread, but not across a fork."""

    def __init__(self, connection: sqlite3.Connection, path: str, *, readonly: bool) -> None:
        self.path, self._readonly = path, readonly
        self._connection = connection
        self._lock = threading.RLock()
        self._process = location.identity()
        self._owners: set[str] = set()
        self._pid = os.getpid()
        self._in_memory = path == IN_MEMORY
        self._log: int | None = None  # the write-ahead log, open for `_sync`
        with schema.one_line_errors(path):
            row = connection.execute("SELECT value FROM meta WHERE name = 'definition'").fetchone()
        self.definition: dict[str, Any] = from_json(row[0], f"{path}, definition") if row else {}
        if not isinstance(self.definition, dict) or not row:
            raise BadInput(path, "holds no definition of a study", "restore it from a copy")

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None,
        definition: Mapping[str, Any] | None = None,
        *,
        readonly: bool = False,
    ) -> "Store":
        """Opens the study at ``path``, or creates it there with ``definition``; None keeps it in memory.

        Raises BadInput, in one line, for whatever is not a usable study: see `cimbo.storage`. Nothing is written then.
        """
        asked = normal(definition, "definition") if definition is not None else None
        if path is None:
            return Store(
                schema.newborn(to_json(asked or {}, "definition")), IN_MEMORY, readonly=False
            )
        file = Path(path).expanduser().resolve()
        if not readonly:
            check_place(file)
        if not file.exists():
            _create(file, asked, readonly=readonly)
        connection = _connect(file, readonly=readonly)
        try:
            store = Store(connection, str(file), readonly=readonly)
            _same_study(store.definition, asked, str(file))
        except BaseException:
            connection.close()
            raise
        return store

    def records(self, *, after: int = 0) -> list[Record]:
        """Done and failed evaluations with a number above ``after``, in order of number."""
        query = f"SELECT {COLUMNS} FROM evaluation WHERE number > ? ORDER BY number"  # noqa: S608 (a constant)
        return [self._read(row) for row in self._rows(query, after)]

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
        """Writes one evaluation; it is on the disk when this returns. ``seconds`` is what it took.

        A key that is already done keeps its row, which is returned. A metric that is not a finite number makes the
        evaluation ``failed`` with a reason that names it. Raises BadInput when the disk is full or the file read-only.
        """
        if status not in ("done", "failed"):
            raise BadInput(
                f"record {key}",
                f"status {status!r} is neither done nor failed",
                "use one of the two",
            )
        good, complaint = finite_metrics(metrics)
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
        self, items: Sequence[tuple[str, Mapping[str, Any]]], *, owner: str, lease_s: float
    ) -> list[str]:
        """Leases to ``owner``, for ``lease_s`` seconds, what nobody evaluated or is evaluating; returns those keys.

        Atomic between processes. To keep a long evaluation, claim it again: one's own lease is renewed.
        """
        now = time.time()
        lease = (owner, self._process, now + lease_s)
        rows = [(key, to_json(params, f"params of {key}"), *lease) for key, params in items]
        claimed: list[str] = []
        with self._writing(durable=False) as connection:
            self._bury(now)
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
        return claimed

    def running(self) -> list[Record]:
        """Candidates under a live lease: number 0; ``extra`` holds the ``owner`` and ``expires`` (Unix seconds)."""
        now = time.time()
        query = "SELECT key, params, owner, process, expires FROM lease WHERE expires > ? ORDER BY expires, key"
        rows = self._rows(query, now)
        gone = {process for process in {row[3] for row in rows} if location.dead(process)}
        return [
            Record(
                0,
                key,
                self._json(params, key),
                {},
                "running",
                None,
                "",
                0.0,
                {"owner": owner, "expires": expires},
            )
            for key, params, owner, process, expires in rows
            if process not in gone
        ]

    def release(self, owner: str) -> None:
        """Ends all leases of ``owner``."""
        with self._writing(durable=False) as connection:
            connection.execute("DELETE FROM lease WHERE owner = ?", (owner,))
        self._owners.discard(owner)

    def count(self) -> int:
        """The number of recorded evaluations, done and failed."""
        return int(self._rows("SELECT count(*) FROM evaluation")[0][0])

    def meta(self, name: str) -> Any:
        """The JSON value last set under ``name``, or None."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return self._json(rows[0][0], name) if rows else None

    def set_meta(self, name: str, value: Any) -> None:
        """Keeps a small JSON value under ``name``; on the disk when this returns. ``definition`` is taken."""
        if name == "definition":
            raise BadInput(self.path, "the definition of a study never changes", "use another name")
        text = to_json(value, name)
        with self._writing() as connection:
            connection.execute("REPLACE INTO meta (name, value) VALUES (?, ?)", (name, text))

    def close(self) -> None:
        """Releases what this object claimed and closes the file. Closing twice is fine."""
        with self._lock:
            try:
                for owner in sorted(self._owners):
                    self.release(owner)
            finally:
                self._owners.clear()
                self._connection.close()
                if self._log is not None:
                    os.close(self._log)
                    self._log = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        # As with `synchronous = FULL` the log is on the disk when this returns. But that would wait for the disk while
        # it keeps other writers out; we wait after the commit, side by side, and one turn of the disk serves them all.
        # What is not synced yet may be read, and is acknowledged by nobody. Leases need not survive a power cut, for
        # nor do their owners: they skip the wait, and the next recorded evaluation takes them along.
        with self._lock, schema.one_line_errors(self.path):
            if self._pid != os.getpid():
                raise RuntimeError(
                    "a Store does not survive fork(): open the study again in the child process"
                )
            if self._readonly:
                raise BadInput(
                    self.path, "was opened read-only", "open it without readonly to write"
                )
            self._connection.execute("PRAGMA synchronous = NORMAL")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            if durable:
                self._sync()

    def _sync(self) -> None:
        if self._in_memory:
            return
        try:
            if self._log is None:  # it stays the same file for as long as a connection is open
                self._log = os.open(f"{self.path}-wal", os.O_RDWR)
            os.fsync(self._log)
        except OSError as error:
            raise BadInput(self.path, *schema.TROUBLE["SQLITE_IOERR"]) from error

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, schema.one_line_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    def _bury(self, now: float) -> None:
        """Drops leases that expired and those of processes that are gone, inside the caller's transaction."""
        processes = [
            row[0] for row in self._connection.execute("SELECT DISTINCT process FROM lease")
        ]
        gone = [(name,) for name in processes if location.dead(name)]
        self._connection.executemany("DELETE FROM lease WHERE process = ?", gone)
        self._connection.execute("DELETE FROM lease WHERE expires <= ?", (now,))

    def _stored(self, key: str, status: str) -> Record | None:
        query = f"SELECT {COLUMNS} FROM evaluation WHERE key = ? AND status IN ('done', ?)"  # noqa: S608 (a constant)
        rows = self._rows(f"{query} ORDER BY status", key, status)
        return self._read(rows[0]) if rows else None

    def _read(self, row: tuple[Any, ...]) -> Record:
        number, key, params, metrics, status, reason, origin, seconds, extra = row
        where = f"evaluation {number}"
        parts = [self._json(text, where) for text in (params, metrics, extra)]
        if not all(isinstance(part, dict) for part in parts) or finite_metrics(parts[1])[1]:
            raise BadInput(f"{self.path}, {where}", "is damaged", "restore the file from a copy")
        return Record(number, key, parts[0], parts[1], status, reason, origin, seconds, parts[2])

    def _json(self, text: str, where: str) -> Any:
        return from_json(text, f"{self.path}, {where}")


def check_place(file: Path) -> None:
    """Raises BadInput where no study can be written: a missing folder, a network file system, a read-only disk."""
    if not file.parent.is_dir():
        raise BadInput(
            file, "its folder does not exist", "create the folder, or choose another place"
        )
    if file.is_dir():
        raise BadInput(file, "is a folder", "give the path of a file")
    location.refuse_network(file)
    location.refuse_read_only(file)


def _create(file: Path, asked: dict[str, Any] | None, *, readonly: bool) -> None:
    if asked is None or readonly:
        raise BadInput(file, "does not exist", "give the path of an existing study, or start one")
    with schema.one_line_errors(file):
        try:
            schema.create(file, to_json(asked, "definition"))
        except OSError as error:
            todo = "free some space or choose another place"
            raise BadInput(file, f"cannot be created ({error.strerror})", todo) from error


def _connect(file: Path, *, readonly: bool) -> sqlite3.Connection:
    try:
        schema.check_header(file)
    except OSError as error:
        raise BadInput(
            file, f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error
    with schema.one_line_errors(file):
        connection = schema.connect(_address(file, readonly=readonly), uri=True)
        try:
            if (
                readonly
            ):  # where it may, SQLite opens the file as a writer does, to tidy up behind itself
                connection.execute("PRAGMA query_only = ON")
            else:
                schema.migrate(connection)
            schema.check_whole(connection, file)
        except BaseException:
            connection.close()
            raise
    return connection


def _address(file: Path, *, readonly: bool) -> str:
    mode = "rw"
    if readonly and (schema.has_log(file) or not os.access(file, os.W_OK)):
        mode = "ro"
    # Without a log there is nothing to share with a writer, so the file can be read even from where SQLite may not
    # put its shared memory: a read-only folder, a network.
    shared = os.access(file.parent, os.W_OK) and location.on_network(file) is None
    if readonly and not shared:
        mode = "ro" if schema.has_log(file) else "ro&immutable=1"
    return f"{file.as_uri()}?mode={mode}"


def _same_study(stored: dict[str, Any], asked: dict[str, Any] | None, path: str) -> None:
    for name in COMPARED if asked is not None else ():
        difference = first_difference(stored.get(name), (asked or {}).get(name), name)
        if difference:
            raise BadInput(
                path,
                f"is another study: {difference}",
                "open it without a definition, or use another file",
            )
