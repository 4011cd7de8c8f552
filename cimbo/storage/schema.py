"""The format of a study file: its tables, and how a file is created, checked, migrated and connected to."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cimbo.errors import BadInput

# "CIMB", in the file's header, so that no other program's file is taken for a study.
APPLICATION_ID = 0x43494D42
HEADER_BYTES = 100
SQLITE_MAGIC = b"SQLite format 3\0"
BUSY_LIMIT_S = 60.0  # how long one writer waits for the others before it gives up

# One script a version, applied in order. Never edit one that was released: append the next.
MIGRATION_SCRIPTS: tuple[str, ...] = (
    """
    CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE evaluation (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('done', 'failed')),
        params TEXT NOT NULL,
        metrics TEXT NOT NULL,
        reason TEXT,
        origin TEXT NOT NULL,
        seconds REAL NOT NULL,
        extra TEXT NOT NULL,
        UNIQUE (key, status)
    ) STRICT;
    CREATE TABLE lease (
        key TEXT NOT NULL PRIMARY KEY,
        params TEXT NOT NULL,
        owner TEXT NOT NULL,
        process TEXT NOT NULL,
        expires REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)

# What SQLite reports (its error names, by their first two words) and what a person can do about it.
SQLITE_ERRORS = {
    "SQLITE_FULL": (
        "the disk is full",
        "free some space and run the same command: nothing recorded is lost",
    ),
    "SQLITE_IOERR": (
        "the disk is full or failing",
        "free some space, check the disk, and run the same command: nothing recorded is lost",
    ),
    "SQLITE_BUSY": (
        f"another process kept it locked for {BUSY_LIMIT_S:.0f} s",
        "end that process, or try again",
    ),
    "SQLITE_READONLY": (
        "is read-only",
        "make it and its folder writable, or copy it to where you may write",
    ),
    "SQLITE_CANTOPEN": ("cannot be opened", "check the permissions of the file and its folder"),
    "SQLITE_CORRUPT": ("is a damaged study file", "restore it from a copy"),
    "SQLITE_NOTADB": (
        "is not a study file",
        "give the path of a study, or of a file that does not exist yet",
    ),
}


@contextmanager
def one_line_errors(path: object) -> Iterator[None]:
    """Turn SQLite's errors about the file or the disk into BadInput.

    Any other error is a bug and passes.

    Args:
        path: What the error is about, most often the study file.

    Raises:
        BadInput: The block raised an error of `SQLITE_ERRORS`, or met text that is not UTF-8.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise BadInput(path, *SQLITE_ERRORS["SQLITE_CORRUPT"]) from error
    except sqlite3.DatabaseError as error:
        # SQLITE_IOERR_WRITE and the like count as SQLITE_IOERR
        name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
        if name not in SQLITE_ERRORS:
            raise
        what, todo = SQLITE_ERRORS[name]
        raise BadInput(path, what, todo) from error


def connect(target: str, *, uri: bool = False) -> sqlite3.Connection:
    """Connect to a file without trusting its content; a commit returns only when it is on the disk.

    It commits each statement by itself unless a transaction is begun, and may be used from any
    thread.

    Args:
        target: A path, a URI, or ``:memory:``.
        uri: Whether ``target`` is a URI.

    Returns:
        The connection. A writer waits up to `BUSY_LIMIT_S` for the others.
    """
    connection = sqlite3.connect(
        target, timeout=BUSY_LIMIT_S, isolation_level=None, check_same_thread=False, uri=uri
    )
    # So that text that is not UTF-8 raises UnicodeDecodeError; sqlite3's own decoder hides what is wrong
    connection.text_factory = lambda raw: raw.decode()
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def migrate(connection: sqlite3.Connection, scripts: tuple[str, ...] | None = None) -> None:
    """Bring the tables to the newest version in one transaction.

    Several processes may try at once. After an error the tables are as they were.

    Args:
        connection: A connection that may write.
        scripts: SQL, a script for each version, in order; the first makes version 1. None:
            `MIGRATION_SCRIPTS`.
    """
    if scripts is None:
        scripts = MIGRATION_SCRIPTS
    if version(connection) >= len(scripts):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version(connection), len(scripts)):
            _run_script(connection, scripts[number])
            connection.execute(f"PRAGMA user_version = {number + 1:d}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    """Execute the statements of a script in the transaction that is open."""
    # Not executescript, which would commit the transaction that is open.
    for statement in filter(str.strip, script.split(";")):
        connection.execute(statement)


def version(connection: sqlite3.Connection) -> int:
    """Return the version of the tables in the file.

    Args:
        connection: A connection to the file.

    Returns:
        How many migration scripts were applied; 0 for a file without tables.
    """
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def newborn(definition: str) -> sqlite3.Connection:
    """Create an empty study in memory, with its tables and its definition.

    Args:
        definition: The definition of the study as JSON.

    Returns:
        The connection to it. The study is gone when that is closed.
    """
    connection = connect(":memory:")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    migrate(connection)
    connection.execute("INSERT INTO meta VALUES ('definition', ?)", (definition,))
    return connection


def create(path: Path, definition: str) -> None:
    """Create an empty study at ``path`` in one step: other processes see no file or a complete one.

    Where another process was faster, its file stays.

    Args:
        path: The study file. Its folder exists.
        definition: The definition of the study as JSON.

    Raises:
        BadInput: A log of a deleted study lies beside ``path``.
        OSError: The file cannot be written.
    """
    image = _empty_image(definition)
    if has_log(path) and not path.exists():
        # SQLite would play that log back into the new file.
        todo = "put the study back, or delete this file"
        raise BadInput(f"{path}-wal", "belongs to a study that is no longer there", todo)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        place(Path(name), path)
    finally:
        Path(name).unlink(missing_ok=True)


def _empty_image(definition: str) -> bytes:
    """The bytes of the file of an empty study."""
    with closing(newborn(definition)) as connection:
        image = bytearray(connection.serialize())
    # Bytes 18 and 19 of the header: the file uses a write-ahead log, so that no process has to switch
    # to one while others have the file open.
    image[18:20] = b"\2\2"
    return bytes(image)


def has_log(path: Path) -> bool:
    """Tell whether a write-ahead log with something in it lies beside ``path``.

    Args:
        path: The study file.

    Returns:
        Whether the log is there and not empty. All of it may have been folded into the file
        already.
    """
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def check_header(path: Path) -> None:
    """Refuse a file that does not start like a study file. Reads 100 bytes and writes nothing.

    Offsets in the header are those of the SQLite file format: page size at 16, number of pages at
    28, user version (here: of the schema) at 60.

    Args:
        path: A file that exists.

    Raises:
        BadInput: It is empty, torn, no SQLite file, of another program, or of a newer cimbo.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        # First the log, then the size. In the other order a sound file could look torn: between the
        # two another process may move pages from its log into the file and delete the log.
        log_exists = has_log(path)
        size = os.fstat(file.fileno()).st_size
    _check_kind(path, head)
    written_by = int.from_bytes(head[60:64], "big")
    if written_by > len(MIGRATION_SCRIPTS):
        what = f"was written by a newer cimbo (file version {written_by})"
        raise BadInput(path, what, "update cimbo")
    page_size = int.from_bytes(head[16:18], "big")
    expected_size = page_size * int.from_bytes(head[28:32], "big")
    if size < expected_size and not log_exists:
        what = f"is a damaged study file: {size} of {expected_size} bytes are there"
        raise BadInput(path, what, "restore it from a copy")


def _check_kind(path: Path, head: bytes) -> None:
    """Refuse a file that is empty, no SQLite file, or another program's, by its first bytes."""
    if not head.strip(b"\0"):
        todo = "restore it from a copy, or delete it"
        raise BadInput(path, "is empty or zeroed, not a study file", todo)
    todo = "give the path of a study, or of a file that does not exist yet"
    if len(head) < HEADER_BYTES or not head.startswith(SQLITE_MAGIC):
        raise BadInput(path, "is not a study file", todo)
    if int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise BadInput(path, "is an SQLite file of another program, not a study", todo)


def check_whole(connection: sqlite3.Connection, path: object) -> None:
    """Refuse a file whose pages are damaged or whose tables are not those that this version makes.

    Args:
        connection: A connection to the file, its tables at the newest version.
        path: The file, for the error.

    Raises:
        BadInput: A page is damaged, or there is a table, index, trigger or view more, less or other
            than ours.
    """
    _check_pages(connection, path)
    _check_tables(connection, path)


def _check_pages(connection: sqlite3.Connection, path: object) -> None:
    """Refuse a file of which SQLite finds a page damaged."""
    complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if complaint != "ok":
        what = f"is a damaged study file ({complaint.splitlines()[-1]:.80})"
        raise BadInput(path, what, "restore it from a copy")


def _check_tables(connection: sqlite3.Connection, path: object) -> None:
    """Refuse other tables than those of an empty study: a foreign trigger or view would run when we write."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    with closing(newborn("{}")) as empty_study:
        if connection.execute(query).fetchall() != empty_study.execute(query).fetchall():
            raise BadInput(path, "does not have the tables of a study", "restore it from a copy")


def place(temporary: Path, path: Path) -> None:
    """Give a finished file its final name, safely on the disk; a file that has the name already stays as it is.

    Args:
        temporary: The finished file, in the folder of ``path``. It may still be there afterwards:
            the caller deletes it.
        path: The name it gets.

    Raises:
        OSError: The folder cannot be written.
    """
    try:
        # Unlike a rename, this never replaces what another process has put there.
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links (FAT): for an instant two processes that create the study
        # at once could collide.
        if not path.exists():
            temporary.rename(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _umask() -> int:
    """The process's mask of permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
