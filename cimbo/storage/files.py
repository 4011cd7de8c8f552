"""The files behind an open study: waits until they are on the disk, and checks that they are still the same files.

SQLite writes new pages into a log beside the file (the write-ahead log). *Folding in* means to copy them into the file.
"""

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
# How long to wait for a process that folds the log in, or that reads an older state
FOLD_PATIENCE_S = 0.25


@dataclass(frozen=True)
class FileIdentity:
    """Identifies a file, so that another file that has taken its name is noticed.

    Attributes:
        device: Number of the device that it lies on.
        inode: Its number on that device.
    """

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
            status = Path(path).stat()
        except OSError:
            return None
        return FileIdentity(status.st_dev, status.st_ino)


# The file behind each store that is open in this process.
OPEN_HERE: "weakref.WeakKeyDictionary[object, FileIdentity | None]" = weakref.WeakKeyDictionary()


class StudyFiles:
    """A study file and its write-ahead log, as they were when the study was opened for writing.

    SQLite goes on writing into a file that was deleted or replaced under it, and reports success.
    So `check` is called before an evaluation is acknowledged.
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
        """Run a block that writes, while nobody folds the log in.

        Any number of processes may be in such a block at a time; SQLite takes care of them. But
        releases of SQLite up to 3.51.2 lose a transaction when one process folds the log in while
        another starts it anew at the wrong instant (sqlite.org/wal.html, "The WAL-reset bug"). That is
        rare where folding is rare; here it follows every evaluation, so writing and folding exclude
        each other.

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
        """Take the log's lock that writers share; wait while another process folds the log in.

        Raises:
            BadInput: When that takes longer than SQLite would wait.
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
        """Try to fold the log in without waiting; whether all of it is in the file now."""
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
        busy, pages_in_log, pages_folded = row
        return not busy and pages_folded == pages_in_log

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
    """Refuse to go on where there is no file at ``path``, or another one than the known one."""
    current = FileIdentity.of(path)
    if current is None:
        raise _lost(path, "was deleted")
    if current != known:
        raise _lost(path, "was replaced by another file")


def _lost(path: str, how: str) -> BadInput:
    """The error for a file that is no longer the one that was opened."""
    what = f"{how} while the study was open, so nothing more can be recorded"
    return BadInput(path, what, "put it back if you can, and run the same command again")
