"""The files behind an open study: on the disk when we say so, and still the same ones."""

import os
import sqlite3
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from cimbo.errors import BadInput
from cimbo.storage import schema

FOLD_PATIENCE_S = (
    0.25  # for another process that is folding the log in, or still reads an old state
)


@dataclass(frozen=True)
class FileIdentity:
    """What tells a file from another one that has taken its name."""

    device: int
    inode: int

    @staticmethod
    def of(path: str | Path) -> "FileIdentity | None":
        """The identity of the file at ``path``, or None where there is none."""
        try:
            found = Path(path).stat()
        except OSError:
            return None
        return FileIdentity(found.st_dev, found.st_ino)


# The file behind each store that is open in this process.
OPEN_HERE: "weakref.WeakKeyDictionary[object, FileIdentity | None]" = weakref.WeakKeyDictionary()


class StudyFiles:
    """A study file and its write-ahead log, as they were when the study was opened for writing.

    SQLite goes on writing into a file that was deleted or replaced under it, and reports success. So whoever
    acknowledges an evaluation asks `check` first.
    """

    def __init__(self, path: str) -> None:
        self._path, self._log_path = path, f"{path}-wal"
        self._file_identity = FileIdentity.of(path)
        # The log stays the same file for as long as a connection to the study is open.
        self._log = os.open(self._log_path, os.O_RDWR)
        self._log_identity = FileIdentity.of(self._log_path)

    @staticmethod
    def of(path: str) -> "StudyFiles":
        """The files of a study that SQLite has open. Raises BadInput when its log cannot be opened."""
        try:
            return StudyFiles(path)
        except OSError as error:
            raise BadInput(path, *schema.SQLITE_ERRORS["SQLITE_CANTOPEN"]) from error

    def sync(self) -> None:
        """Waits until the log is on the disk. Raises BadInput when the disk fails."""
        try:
            os.fsync(self._log)
        except OSError as error:
            raise BadInput(self._path, *schema.SQLITE_ERRORS["SQLITE_IOERR"]) from error

    def check(self) -> None:
        """Raises BadInput when the study or its log was deleted or replaced since it was opened."""
        known = {self._path: self._file_identity, self._log_path: self._log_identity}
        for path, identity in known.items():
            found = FileIdentity.of(path)
            if found != identity:
                what = "was deleted" if found is None else "was replaced by another file"
                raise BadInput(
                    path,
                    f"{what} while the study was open, so nothing more can be recorded",
                    "put it back if you can, and run the same command again",
                )

    def close(self) -> None:
        """Closes what was opened here. SQLite keeps no lock on the log itself, so none is lost by that."""
        os.close(self._log)


def fold_log(connection: sqlite3.Connection) -> bool:
    """Copies the log's contents into the study file, so that a plain copy of that file holds them.

    Returns whether everything is in it. Otherwise somebody reads an older state or is folding at the same time; then
    the log still holds the rest, and the next evaluation takes it along.
    """
    end = time.monotonic() + FOLD_PATIENCE_S
    while True:
        busy, in_log, folded = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if not busy and folded == in_log:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
