"""Opens study files: checks where one may lie, creates it, connects to it, and compares its study with the caller's."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, unreadable
from cimbo.storage import location, schema
from cimbo.storage.files import LOCKS_FILES, OPEN_HERE, FileIdentity, StudyFiles
from cimbo.storage.values import first_difference, to_json

# What makes two definitions the same study.
COMPARED_PARTS = ("space", "objectives", "constraints", "metrics")


def check_place(file: Path) -> None:
    """Refuse a path at which no study can be written. Writes nothing.

    Args:
        file: An absolute path; it need not exist.

    Raises:
        BadInput: The name cannot be used, the folder does not exist, ``file`` is a folder, the file
            system is not known to be local, or file or folder are read-only.
    """
    _check_name(file)
    if not file.parent.is_dir():
        todo = "create the folder, or choose another place"
        raise BadInput(file, "its folder does not exist", todo)
    if file.is_dir():
        raise BadInput(file, "is a folder", "give the path of a file")
    location.refuse_network(file)
    location.refuse_read_only(file)


def _check_name(file: Path) -> None:
    """Refuse a name that the system cannot look for: one that is too long, for instance."""
    try:
        file.exists()
    except OSError as error:
        what = f"cannot be opened ({error.strerror})"
        raise BadInput(f"{file.name:.40}", what, "choose another name") from None


def create(file: Path, expected: dict[str, Any] | None, *, readonly: bool) -> None:
    """Start an empty study at ``file``.

    Args:
        file: Where no study was found.
        expected: The definition of the study; None where the caller expected to find one.
        readonly: Whether the caller only wants to read.

    Raises:
        BadInput: There is no definition, nothing may be written, or the file cannot be created.
    """
    if expected is None or readonly:
        raise BadInput(file, "does not exist", "give the path of an existing study, or start one")
    with schema.one_line_errors(file):
        try:
            schema.create(file, to_json(expected, "definition"))
        except OSError as error:
            todo = "free some space or choose another place"
            raise BadInput(file, f"cannot be created ({error.strerror})", todo) from error


def connect(file: Path, *, readonly: bool) -> sqlite3.Connection:
    """Connect to the study at ``file``, and check it from its first byte to its tables.

    Args:
        file: An absolute path of a file that exists.
        readonly: Whether to refuse writing. What a killed process left in the log is still copied
            into the file, where that may be written.

    Returns:
        The connection. It commits each statement by itself unless a transaction is begun.

    Raises:
        BadInput: The file is no study, is damaged, was written by a newer cimbo, or cannot be read.
    """
    # Closing a file ends all locks that this process has on it, those of SQLite included (POSIX);
    # so a study that is open here already is not opened and closed once more to look at its first
    # bytes.
    if FileIdentity.of(file) not in set(OPEN_HERE.values()):
        _check_header(file)
    with schema.one_line_errors(file):
        connection = schema.connect(_address(file, readonly=readonly), uri=True)
        try:
            if readonly:
                _prepare_reading(connection, file)
            else:
                _migrate(connection)
            schema.check_whole(connection, file)
            if readonly and schema.has_log(file):
                _fold_what_was_left(file)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare_reading(connection: sqlite3.Connection, file: Path) -> None:
    """Keep a connection from writing, and bring the tables of an older cimbo up to date."""
    # Without this SQLite could write to the file, as it opens it for writing where it may
    connection.execute("PRAGMA query_only = ON")
    if schema.version(connection) < len(schema.MIGRATION_SCRIPTS):
        _migrate_beside(file)


def _migrate(connection: sqlite3.Connection) -> None:
    """Prepare a connection for writing, and bring the tables up to date."""
    # The log is folded in by `StudyFiles.fold` alone, which keeps writers out meanwhile.
    connection.execute(f"PRAGMA wal_autocheckpoint = {0 if LOCKS_FILES else 1000:d}")
    schema.migrate(connection)


def _migrate_beside(file: Path) -> None:
    """Bring the tables up to date over a second connection, for a caller who only reads; refuse a file that is read-only."""
    if not _is_writable(file):
        todo = "copy it to where you may write, and open the copy"
        what = "was written by an older cimbo, and cannot be brought up to date"
        raise BadInput(file, what, todo)
    with _writing(file) as connection:
        _migrate(connection)


def _fold_what_was_left(file: Path) -> None:
    """Fold in the log that a killed process left beside a study, so that a plain copy of the file is complete.

    It is called after the file was found whole. Where the file may not be written, the log stays.

    Args:
        file: The study file.
    """
    if not _is_writable(file):
        return
    with _writing(file) as connection:
        files = StudyFiles.of(str(file))
        try:
            files.fold(connection)
        finally:
            files.close()


def _writing(file: Path) -> closing[sqlite3.Connection]:
    """A connection that may write, for the length of a block."""
    return closing(schema.connect(f"{file.as_uri()}?mode=rw", uri=True))


def _is_writable(file: Path) -> bool:
    """Whether a study at ``file`` can be written, and its folder too."""
    return os.access(file, os.W_OK) and _is_shareable(file)


def _is_shareable(file: Path) -> bool:
    """Whether SQLite may put its shared memory beside the file."""
    return os.access(file.parent, os.W_OK) and location.not_local(file) is None


def _check_header(file: Path) -> None:
    """Refuse a file whose first bytes are not those of a study, or that cannot be read."""
    try:
        schema.check_header(file)
    except OSError as error:
        raise unreadable(file, error, "check the path and its permissions") from error


def _address(file: Path, *, readonly: bool) -> str:
    """The URI by which SQLite opens a study.

    Args:
        file: The study file.
        readonly: Whether the caller only wants to read. The file is opened for writing all the same
            where it may be written and has no log, so that SQLite deletes its shared memory at the end.

    Returns:
        The URI, with the mode of opening.
    """
    mode = "rw"
    if readonly and (schema.has_log(file) or not os.access(file, os.W_OK)):
        mode = "ro"
    # Without a log there is nothing to share with a writer, so the file can be read even from where
    # SQLite may not put its shared memory: a read-only folder, a network.
    if readonly and not _is_shareable(file):
        mode = "ro&immutable=1"
        if schema.has_log(file):
            mode = "ro"
    return f"{file.as_uri()}?mode={mode}"


def with_declared_metrics(definition: dict[str, Any]) -> dict[str, Any]:
    """Complete a definition with the metrics that its study declares.

    Args:
        definition: As a study file has it. Those that commands of older releases started have these
            metrics in their configuration only.

    Returns:
        The definition, with ``metrics`` where any are declared.
    """
    if definition.get("metrics"):
        return definition
    data = (definition.get("config") or {}).get("data") or {}
    declared = data.get("metrics")
    if not declared:
        return definition
    return {**definition, "metrics": declared}


def same_study(stored: dict[str, Any], expected: dict[str, Any] | None, path: str) -> None:
    """Refuse a file that holds another study than the caller expects.

    Space, objectives, constraints and metrics are compared; seed, versions and configuration are
    not.

    Args:
        stored: The definition in the file.
        expected: The caller's definition; None accepts whatever the file holds.
        path: The file, for the error.

    Raises:
        BadInput: The two differ; it names the first difference.
    """
    if expected is None:
        return
    stored = with_declared_metrics(stored)
    for name in COMPARED_PARTS:
        difference = first_difference(stored.get(name), expected.get(name), name)
        if difference:
            todo = "open it without a definition, or use another file"
            if _changes_no_measurement(stored, expected):
                todo = (
                    "these stay as a study began; begin another one, and take its evaluations over: "
                    "cimbo export -o rows.csv, then cimbo import rows.csv into the new study"
                )
            raise BadInput(path, f"is another study: {difference}", todo)


def _changes_no_measurement(stored: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether two definitions differ in references and derived metrics at most, so that evaluations of one suit the other."""
    for name in ("space", "constraints"):
        if first_difference(stored.get(name), expected.get(name), name):
            return False
    return _sought(stored) == _sought(expected)


def _sought(definition: Mapping[str, Any]) -> list[Any]:
    """Name and goal of each objective of a definition; an entry that is no table, of a damaged file, as it stands."""
    sought: list[Any] = []
    for objective in definition.get("objectives") or ():
        if isinstance(objective, Mapping):
            sought.append((objective.get("name"), objective.get("goal")))
        else:
            sought.append(objective)
    return sought
