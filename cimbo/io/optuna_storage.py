"""The trials of an Optuna study in an SQLite storage, which is opened for reading only."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.io.csv_files import Line

SQLITE_MAGIC = b"SQLite format 3\0"
OPTUNA_TABLES = {"studies", "trials", "version_info"}


@dataclass(frozen=True)
class _EndedTrials:
    """The complete and failed trials of one study, and the names of their values where the study has some."""

    names: list[str] | None
    trials: list[Any]


def is_database(file: Path) -> bool:
    """Tell whether a file is an SQLite database, in which Optuna keeps its studies.

    Args:
        file: The file.

    Returns:
        Whether it starts like one; False for a file that cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError:
        return False  # the error is reported when the file is read


def trials(file: Path, objectives: Sequence[str]) -> Iterator[Line]:
    """Read the complete and the failed trials of the one Optuna study in a storage.

    A trial that was pruned is neither: its value is that of an early epoch.

    Args:
        file: The storage.
        objectives: What the values of a trial are, where the study has no names for them.

    Yields:
        Number and cells of each trial.

    Raises:
        BadInput: Where the file is no storage or holds several studies, or Optuna is not installed.
    """
    if not _has_tables(file):  # Optuna would add its tables to any database that it opens
        raise BadInput(file, "is no storage of Optuna", "give a CSV file, or a storage of Optuna")
    ended = _ended_trials(_optuna(file), file)
    names = ended.names or objectives
    for trial in ended.trials:
        yield Line(trial.number, _cells(trial, names))


def _has_tables(file: Path) -> bool:
    """Whether a database has the tables of Optuna."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    with closing(_open(file)) as connection:
        try:
            tables = {row[0] for row in connection.execute(query)}
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False
    return tables >= OPTUNA_TABLES


def _open(file: Path) -> sqlite3.Connection:
    """A connection for reading only."""
    address = f"{file.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, check_same_thread=False)


def _optuna(file: Path) -> Any:
    try:
        import optuna
    except ImportError:
        what = "is a database, and Optuna is not installed"
        raise BadInput(file, what, "pip install 'cimbo[optuna]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # errors of a file are reported by cimbo
    return optuna


def _ended_trials(optuna: Any, file: Path) -> _EndedTrials:
    """What ended in the only study of a storage. Raises BadInput where the storage is damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # metric names are called experimental
        try:
            return _loaded(optuna, file)
        except BadInput:
            raise
        except Exception as error:  # whatever SQLAlchemy and Optuna say of a damaged storage
            what = f"is no storage of Optuna ({type(error).__name__})"
            raise BadInput(file, what, "give a CSV file, or a storage") from None


def _loaded(optuna: Any, file: Path) -> _EndedTrials:
    # The path is no part of the address: a "?" in it would begin options, and SQLite would
    # make another file.
    options = {"creator": lambda: _open(file)}
    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=options)
    try:
        studies = optuna.get_all_study_names(storage)
        if len(studies) != 1:
            todo = "copy one of them into a storage of its own"
            raise BadInput(file, f"holds {len(studies)} studies", todo)
        study = optuna.load_study(study_name=studies[0], storage=storage)
        states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL)
        ended = study.get_trials(deepcopy=False, states=states)
        return _EndedTrials(_names_of_values(study), ended)
    finally:
        storage.engine.dispose()


def _names_of_values(study: Any) -> list[str] | None:
    """What a study calls its values; None where it does not say. Raises TypeError for what is no list of texts."""
    names = study.metric_names
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("metric names are no list of texts")
    return names


def _cells(trial: Any, names: Sequence[str]) -> dict[str, Any]:
    """Parameters, values and user attributes of a trial; one that failed says so."""
    cells: dict[str, Any] = {**trial.user_attrs, **trial.params}
    if trial.values and trial.state.name == "COMPLETE":
        cells |= dict(zip(names, trial.values, strict=False))
        return cells
    return {**cells, **_failure(trial.user_attrs, trial.state.name)}


def _failure(attributes: Mapping[str, Any], state: str) -> dict[str, Any]:
    return {"status": "failed", "reason": attributes.get("reason") or state}
