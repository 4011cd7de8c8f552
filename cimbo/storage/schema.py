"""The shape of a study file: how it is born, checked, migrated and connected to."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cimbo.errors import BadInput

APPLICATION_ID = (
    0x43494D42  # "CIMB", in the file's header, so that no other program's file is taken for a study
)
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
    """Turns SQLite's complaints about the file or the disk into BadInput; anything else is a bug
    and passes.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise BadInput(path, *SQLITE_ERRORS["SQLITE_CORRUPT"]) from error
    except sqlite3.DatabaseError as error:
        name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
        if name not in SQLITE_ERRORS:
            raise
        what, todo = SQLITE_ERRORS[name]
        raise BadInput(path, what, todo) from error


def connect(target: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection that trusts nothing in the file and acknowledges nothing that is not on the
    disk.
    """
    connection = sqlite3.connect(
        target, timeout=BUSY_LIMIT_S, isolation_level=None, check_same_thread=False, uri=uri
    )
    connection.text_factory = lambda raw: raw.decode()  # its own decoder hides what went wrong
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def migrate(connection: sqlite3.Connection, scripts: tuple[str, ...] = MIGRATION_SCRIPTS) -> None:
    """Brings the tables to the newest version in one transaction.

    Several processes may try at once.
    """
    if version(connection) >= len(scripts):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version(connection), len(scripts)):
            for statement in filter(str.strip, scripts[number].split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1:d}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def version(connection: sqlite3.Connection) -> int:
    """The version of the tables in the file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def newborn(definition: str) -> sqlite3.Connection:
    """An empty study in memory, complete with its definition (JSON)."""
    connection = connect(":memory:")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    migrate(connection)
    connection.execute("INSERT INTO meta VALUES ('definition', ?)", (definition,))
    return connection


def create(path: Path, definition: str) -> None:
    """Puts an empty study at ``path`` in one step: whoever looks sees no file or a whole one.

    When another process was faster its file stays. Raises BadInput when a log of a deleted study
    lies beside it.
    """
    with closing(newborn(definition)) as connection:
        image = bytearray(connection.serialize())
    image[18:20] = (
        b"\2\2"  # "uses a write-ahead log", so that no process ever has to switch while others look on
    )
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


def has_log(path: Path) -> bool:
    """Whether a write-ahead log lies beside ``path``: written to, and not yet folded into it."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def check_header(path: Path) -> None:
    """Raises BadInput unless ``path`` starts like a study file; reads 100 bytes and writes nothing."""
    with path.open("rb") as file:
        head = file.read(100)
        # In this order: a checkpoint that another process has just finished must not look like a
        # torn file.
        logged = has_log(path)
        size = os.fstat(file.fileno()).st_size
    another = "give the path of a study, or of a file that does not exist yet"
    if not head.strip(b"\0"):
        raise BadInput(
            path, "is empty or zeroed, not a study file", "restore it from a copy, or delete it"
        )
    if len(head) < 100 or not head.startswith(SQLITE_MAGIC):
        raise BadInput(path, "is not a study file", another)
    if int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise BadInput(path, "is an SQLite file of another program, not a study", another)
    written_by = int.from_bytes(head[60:64], "big")
    if written_by > len(MIGRATION_SCRIPTS):
        raise BadInput(
            path, f"was written by a newer cimbo (file version {written_by})", "update cimbo"
        )
    promised = int.from_bytes(head[16:18], "big") * int.from_bytes(head[28:32], "big")
    if size < promised and not logged:
        what = f"is a damaged study file: {size} of {promised} bytes are there"
        raise BadInput(path, what, "restore it from a copy")


def check_whole(connection: sqlite3.Connection, path: object) -> None:
    """Raises BadInput when pages are damaged or the tables are not exactly those that this version
    makes.
    """
    complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if complaint != "ok":
        raise BadInput(
            path,
            f"is a damaged study file ({complaint.splitlines()[-1]:.80})",
            "restore it from a copy",
        )
    shape = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    with closing(newborn("{}")) as fresh:
        # A foreign trigger or view would run when we write; so nothing but our own tables is
        # accepted.
        if connection.execute(shape).fetchall() != fresh.execute(shape).fetchall():
            raise BadInput(path, "does not have the tables of a study", "restore it from a copy")


def place(temporary: Path, path: Path) -> None:
    """Gives a finished file its name, on the disk too; a file that is there already stays as it is."""
    try:
        os.link(
            temporary, path
        )  # unlike a rename, never replaces what another process has put there
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links (FAT): a tiny window in which two first processes could
        # collide.
        if not path.exists():
            temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
