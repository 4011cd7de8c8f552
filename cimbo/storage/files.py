"""The files behind an open study: on the disk when we say so, and still the same ones."""

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: SQLite folds the log in by itself then, when the study is closed
    fcntl = None  # type: ignore[assignment]

from cimbo.errors import BadInput
from cimbo.storage import schema

LOCKS_FILES = fcntl is not None
# How long to wait for a process that moves the log into the file, or reads an old state
FOLD_PATIENCE_S = 0.25


@dataclass(frozen=True)
class FileIdentity:
    """What tells a file from another one that has taken its name."""

    device: int
    inode: int

    @staticmethod
    def of(path: str | Path) -> "FileIdentity | None":
        """Return the identity of the file at ``path``.

        Args:
            path: The file. Links are followed.

        Returns:
            Its device and inode; None where no file can be found.
        """
        try:
            found = Path(path).stat()
        except OSError:
            return None
        return FileIdentity(found.st_dev, found.st_ino)


# The file behind each store that is open in this process.
OPEN_HERE: "weakref.WeakKeyDictionary[object, FileIdentity | None]" = weakref.WeakKeyDictionary()


class StudyFiles:
    """A study file and its write-ahead log, as they were when the study was opened for writing.

    SQLite goes on writing into a file that was deleted or replaced under it, and reports success.
    So whoever acknowledges an evaluation asks `check` first.
    """

    def __init__(self, path: str) -> None:
        self._path, self._log_path = path, f"{path}-wal"
        self._file_identity = FileIdentity.of(path)
        # The log stays the same file for as long as a connection to the study is open.
        self._log = os.open(self._log_path, os.O_RDWR)
        self._log_identity = FileIdentity.of(self._log_path)

    @staticmethod
    def of(path: str) -> "StudyFiles":
        """Open the log of a study that SQLite has open, and note which files the two are.

        Args:
            path: The study file. Its write-ahead log lies beside it.

        Returns:
            The files. Close them when the study is closed.

        Raises:
            BadInput: The log cannot be opened.
        """
        try:
            return StudyFiles(path)
        except OSError as error:
            raise BadInput(path, *schema.SQLITE_ERRORS["SQLITE_CANTOPEN"]) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let nobody fold the log in while the block lasts.

        Any number of processes may write at a time, as SQLite lets them. Releases of SQLite up to
        3.51.2 lose a transaction when one process folds the log in while another starts it anew at
        the wrong instant (sqlite.org/wal.html, "The WAL-reset bug"). It is rare where folding is;
        here it follows every evaluation, so the two exclude each other.

        Raises:
            BadInput: Somebody folds the log in for longer than `cimbo.storage.schema.BUSY_LIMIT_S`.
        """
        if fcntl is not None:
            self._wait_for_folding()
        try:
            yield
        finally:
            if fcntl is not None:
                fcntl.flock(self._log, fcntl.LOCK_UN)

    def _wait_for_folding(self) -> None:
        """Shares the log with other writers.

        Raises:
            BadInput: When somebody folds it in for longer than SQLite would wait.
        """
        end = time.monotonic() + schema.BUSY_LIMIT_S
        while True:
            try:
                fcntl.flock(self._log, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > end:
                    raise BadInput(self._path, *schema.SQLITE_ERRORS["SQLITE_BUSY"]) from None
                time.sleep(0.001)

    def fold(self, connection: sqlite3.Connection) -> bool:
        """Copy what the log holds into the study file, so that a plain copy of that file is complete.

        Waits up to `FOLD_PATIENCE_S` for other processes. Does nothing on Windows, where SQLite
        folds the log in by itself.

        Args:
            connection: The connection to this study, with no transaction open.

        Returns:
            Whether everything is in the study file. Otherwise somebody writes without a pause or
            reads an older state, or the disk fails; then the log still holds the rest, and the next
            evaluation takes it along.
        """
        end = time.monotonic() + FOLD_PATIENCE_S
        while not self._fold_once(connection):
            if fcntl is None or time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def _fold_once(self, connection: sqlite3.Connection) -> bool:
        if fcntl is None:
            return False
        try:
            fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            row = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.OperationalError:
            # A full or failing disk: all is in the log, which is on the disk already; whoever writes
            # next is told.
            return False
        finally:
            fcntl.flock(self._log, fcntl.LOCK_UN)
        busy, in_log, folded = row
        return not busy and folded == in_log

    def sync(self) -> None:
        """Wait until the log is on the disk.

        Raises:
            BadInput: The disk fails.
        """
        try:
            os.fsync(self._log)
        except OSError as error:
            raise BadInput(self._path, *schema.SQLITE_ERRORS["SQLITE_IOERR"]) from error

    def check(self) -> None:
        """Refuse to go on when the study or its log was deleted or replaced since it was opened.

        Raises:
            BadInput: One of the two is not the file that it was.
        """
        _check_same(self._path, self._file_identity)
        _check_same(self._log_path, self._log_identity)

    def close(self) -> None:
        """Close what was opened here.

        SQLite keeps no lock on the log itself, so none is lost by that.
        """
        os.close(self._log)


def _check_same(path: str, known: FileIdentity | None) -> None:
    """Raises BadInput where the file at ``path`` is not the one that it was."""
    found = FileIdentity.of(path)
    if found is None:
        raise _lost(path, "was deleted")
    if found != known:
        raise _lost(path, "was replaced by another file")


def _lost(path: str, how: str) -> BadInput:
    """The error for a file that is no longer the one that was opened."""
    what = f"{how} while the study was open, so nothing more can be recorded"
    return BadInput(path, what, "put it back if you can, and run the same command again")
