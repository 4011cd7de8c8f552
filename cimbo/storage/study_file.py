"""An open study file: its connection, one transaction at a time, and the small values that it keeps by name."""

import os
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cimbo.errors import BadInput
from cimbo.storage import leases, location, schema
from cimbo.storage.files import OPEN_HERE, FileIdentity, StudyFiles
from cimbo.storage.opening import check_place
from cimbo.storage.values import from_json, to_json

IN_MEMORY = "study in memory"


class StudyFile:
    """A connection to a study; use it from any thread, but not across a fork."""

    def __init__(self, connection: sqlite3.Connection, path: str, *, readonly: bool) -> None:
        self.path = path
        self._readonly = readonly
        self._connection = connection
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._process = location.identity()
        self._owners: set[str] = set()
        self._heartbeat: leases.Heartbeat | None = None
        self.lease_judge = leases.LeaseJudge()
        self._in_memory = path == IN_MEMORY
        self._files: StudyFiles | None = None
        self.definition = self._read_definition()
        if not self._in_memory:
            OPEN_HERE[self] = FileIdentity.of(path)
            if not readonly:
                self._files = StudyFiles.of(path)

    def _read_definition(self) -> dict[str, Any]:
        """Read the definition of the study; raises BadInput where the file holds none."""
        rows = self._rows("SELECT value FROM meta WHERE name = 'definition'")
        definition = None
        if rows:
            definition = self._json(rows[0][0], "definition")
        if not isinstance(definition, dict):
            raise BadInput(self.path, "holds no definition of a study", "restore it from a copy")
        return definition

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
        values = {}
        for name, value in self._rows(query, prefix, prefix + chr(sys.maxunicode)):
            values[name.removeprefix(prefix)] = self._json(value, name)
        return values

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
        """Set a value inside the transaction that is open; refuse the name of the definition."""
        if name == "definition":
            raise BadInput(self.path, "the definition of a study never changes", "use another name")
        replace = "REPLACE INTO meta (name, value) VALUES (?, ?)"
        self._connection.execute(replace, (name, to_json(value, name)))

    def update_meta(self, name: str, change: Callable[[Any], Any]) -> Any:
        """Replace the value under ``name`` by a function of it; no other process's change is lost.

        Args:
            name: As for `set_meta`.
            change: From the JSON value, None where there is none, to the next one. It should be quick:
                nobody else can write meanwhile.

        Returns:
            The value that is stored now.
        """
        with self._writing():
            value = change(self.meta(name))
            self._write_meta(name, value)
        return value

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the study to a new file, while others go on writing here.

        Leases are not copied: nobody evaluates for the copy.

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
        """Copy the tables, without leases, into the file ``target``, and leave no log beside it."""
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
                self._close_file()

    def _close_file(self) -> None:
        """Close the connection and the log, without releasing leases."""
        self._connection.close()
        OPEN_HERE.pop(self, None)
        if self._files is not None:
            self._files.close()
            self._files = None

    def release(self, owner: str) -> None:
        """End all leases of ``owner``.

        Args:
            owner: Whoever evaluates, as when it claimed them.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        with self._writing(durable=False) as connection:
            connection.execute("DELETE FROM lease WHERE owner = ?", (owner,))
        self._owners.discard(owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Run a block in one transaction.

        Args:
            durable: Whether to wait at the end until the transaction is on the disk.

        Yields:
            The connection. The transaction is committed at the end of the block, and rolled back where
            the block raises.

        Raises:
            BadInput: When the study may not or cannot be written.
        """
        # With `synchronous = FULL` SQLite would wait for the disk while it keeps other writers out.
        # Waiting after the commit lets several writers wait together. What is not on the disk yet may be
        # read, but has been acknowledged to nobody. Leases need not survive a power cut, since their
        # owners do not: they skip the wait, and the next recorded evaluation takes them along.
        with self._lock, schema.one_line_errors(self.path):
            self._check_writable()
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

    def _check_writable(self) -> None:
        """Refuse to write after a fork, and to a file that was opened to be read."""
        if self._pid != os.getpid():
            message = "a Store does not survive fork(): open the study again in the child process"
            raise RuntimeError(message)
        if self._readonly:
            todo = "open it without readonly to write"
            raise BadInput(self.path, "was opened read-only", todo)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that a query gives."""
        with self._lock, schema.one_line_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    def _json(self, text: str, where: str) -> Any:
        """Read JSON from the file; raises BadInput, with ``where`` in the file, for damaged JSON."""
        return from_json(text, f"{self.path}, {where}")
