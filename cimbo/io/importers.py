"""Evaluations that were made elsewhere: rows of a CSV file, or trials of an Optuna study, as designs of a problem.

A column is a gene or a metric by its name, or by the name that ``names`` gives it. A cell may also hold a whole sub-network
as a dict (JSON, or as Python prints it): each of its entries is then a column, and a list stands for the genes of one stem
in the space's order, ``kernel: [3, 5, ...]`` for kernel_1_1, kernel_1_2, ...
"""

from __future__ import annotations

import ast
import csv
import json
import math
import sqlite3
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.objectives import Problem, candidate
from cimbo.problem.space import Choice, Params, SearchSpace, Value
from cimbo.storage import Record
from cimbo.study import records_table
from cimbo.study.study import Study

#: What the result files of DyNAS-T (github.com/IntelLabs/DyNAS-T) call its metrics, and the genes of Once-for-All networks,
#: ViT and BERT.
DYNAST_NAMES = {
    "d": "depth",
    "ks": "kernel",
    "e": "expand",
    "r": "resolution",
    "num_layers": "depth",
    "num_attention_heads": "heads",
    "vit_intermediate_sizes": "ffn",
    "subnet_intermediate_sizes": "ffn",
    "intermediate_size": "ffn",
    "Top-1 Acc (%)": "accuracy",
    "Latency (ms)": "latency_ms",
    "MACs": "macs",
    "Model Parameters": "parameters",
}
DYNAST_HAS = (
    {"d", "ks", "e"},
    {"num_layers", "num_attention_heads"},
)  # columns that tell such a file
OWN_COLUMNS = (
    *records_table.RECORD_COLUMNS,
    records_table.TEST_COLUMN,
)  # columns of cimbo's own export
POSITIVE_SUFFIXES = ("_ms", "_us", "_uj", "_mm2")  # units in which 0 means "not measured"


@dataclass(frozen=True)
class Row:
    """One evaluation. ``reason`` is set, and ``metrics`` empty, where the file says that it failed."""

    params: Params
    metrics: dict[str, float]
    reason: str | None = None


@dataclass(frozen=True)
class Table:
    """What a file holds for a problem; ``ignored``: its columns that are neither gene nor metric."""

    rows: list[Row]
    ignored: list[str]


def read(
    file: Path,
    problem: Problem,
    names: Mapping[str, str] | None = None,
    *,
    given: Mapping[str, Any] | None = None,
    unread: Collection[str] = (),
) -> Table:
    """Reads every evaluation in a file as a design of a problem.

    Args:
        file: A CSV file, or an Optuna storage in SQLite.
        problem: The problem.
        names: Column of the file -> a gene or a metric.
        given: Genes of every row that does not name them, such as the chip of a file that knows
            networks only.
        unread: Metrics that are left out, because they hold for another chip.

    Returns:
        The rows, in the file's order, and the columns that are neither gene nor metric.

    Raises:
        BadInput: For a file that cannot be read, has no rows or lacks a column of ``names``, and
            for a storage where Optuna is not installed; naming file, line and column for the first
            row that is no evaluation of ``problem``.
    """
    stored = _is_database(file)
    lines, unit = (
        list(_trials(file, problem) if stored else _lines(file)),
        "trial" if stored else "line",
    )
    if not lines:
        raise BadInput(
            file, "has no rows", "give a CSV file with a header and a line an evaluation"
        )
    header = list(lines[0][1])
    missing = []
    for column in names or {}:
        if not any(column in cells for _, cells in lines):
            missing.append(column)
    if missing:
        raise BadInput(
            file, f"has no column {missing[0]!r}", f"its columns are {', '.join(header)}"
        )
    names = {
        **(DYNAST_NAMES if any(marks <= set(header) for marks in DYNAST_HAS) else {}),
        **(names or {}),
    }
    known = {*problem.space.names, *_metrics(problem), *names.values()} - set(unread)
    rows = []
    for n, cells in lines:
        rows.append(
            _row(
                f"{file}, {unit} {n}",
                _completed(_named(cells, names, problem.space), given or {}),
                problem,
                known,
            )
        )
    columns = dict.fromkeys(names.get(column, column) for _, cells in lines[:1] for column in cells)
    stems = {_stem(name) for name in problem.space.names}
    return Table(
        rows,
        [
            c
            for c in columns
            if not (c in known or c in stems or c in OWN_COLUMNS or c.startswith("predicted_"))
        ],
    )


def _is_database(file: Path) -> bool:
    """Whether ``file`` is an SQLite database, in which Optuna keeps its studies."""
    try:
        with file.open("rb") as stream:
            return stream.read(16) == b"SQLite format 3\0"
    except OSError:
        return False  # told when it is read


def _has_trials(file: Path) -> bool:
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            found = {
                name
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                )
            }
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False
    return {"studies", "trials", "version_info"} <= found


def _trials(file: Path, problem: Problem) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and cells of each complete or failed trial of the one Optuna study in ``file``.

    A trial that was pruned is neither: its value is that of an early epoch.
    A value's name is the study's metric name, or that of the problem's objective in the same place.
    """
    if not _has_trials(file):  # Optuna would add its tables to any database that it opens
        raise BadInput(file, "is no storage of Optuna", "give a CSV file, or a storage of Optuna")
    try:
        import optuna
    except ImportError:
        raise BadInput(
            file, "is a database, and Optuna is not installed", "pip install 'cimbo[optuna]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what is wrong with a file, we say
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # metric names are called experimental
        try:
            names, trials = _loaded(optuna, file)
            if not isinstance(names, list | None) or not all(map(_is_text, names or [])):
                raise TypeError("metric names are no list of texts")
        except BadInput:
            raise
        except Exception as error:  # whatever SQLAlchemy and Optuna say of a damaged storage
            raise BadInput(
                file,
                f"is no storage of Optuna ({type(error).__name__})",
                "give a CSV file, or a storage",
            ) from None
    for trial in trials:
        yield trial.number, _cells(trial, names or [o.name for o in problem.objectives])


def _loaded(optuna: Any, file: Path) -> tuple[list[str] | None, list[Any]]:
    """Metric names and the trials that ended, of the only study in ``file``, which is opened for reading only."""
    address = f"{file.resolve().as_uri()}?mode=ro"

    def connection() -> sqlite3.Connection:
        """Opens the file for reading only."""
        return sqlite3.connect(address, uri=True, check_same_thread=False)

    # No path in the address: a "?" in a file's name would begin options, and another file be made.
    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connection})
    try:
        studies = optuna.get_all_study_names(storage)
        if len(studies) != 1:
            raise BadInput(
                file, f"holds {len(studies)} studies", "copy one of them into a storage of its own"
            )
        study = optuna.load_study(study_name=studies[0], storage=storage)
        ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL)
        return study.metric_names, study.get_trials(deepcopy=False, states=ended)
    finally:
        storage.engine.dispose()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _cells(trial: Any, names: Sequence[str]) -> dict[str, Any]:
    """Parameters, values and user attributes of a trial; one that failed says so."""
    cells = {**trial.user_attrs, **trial.params}
    if trial.values and trial.state.name == "COMPLETE":
        return cells | dict(zip(names, trial.values, strict=False))
    reason = trial.user_attrs.get("reason") or trial.state.name
    return cells | {"status": "failed", "reason": reason}


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and cells of each row; dicts in cells taken apart."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            for cells in reader:
                where = f"{file}, line {reader.line_num}"
                if None in cells or None in cells.values():
                    raise BadInput(
                        where, "has another number of cells than the header", "correct that line"
                    )
                yield reader.line_num, _apart(where, cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            file, f"cannot be read ({getattr(error, 'strerror', None) or error})", "give a CSV file"
        ) from None


def _apart(where: str, cells: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column, text in cells.items():
        inner = None
        if text.lstrip().startswith("{"):
            inner = _dict(f"{where}, {column}", text)
        found |= (
            {column: text.strip()}
            if inner is None
            else {k: v for k, v in inner.items() if v is not None}
        )
    return found


def _dict(where: str, text: str) -> dict[str, Any]:
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    raise BadInput(
        where, "is no dict of genes", 'write JSON, such as {"depth": [2, 3], "resolution": 224}'
    )


def _named(
    cells: Mapping[str, Any], names: Mapping[str, str], space: SearchSpace
) -> dict[str, Any]:
    """Cells under the names of genes and metrics; a list spread over the genes of its stem."""
    found: dict[str, Any] = {}
    for column, value in cells.items():
        name = names.get(column, column)
        if not isinstance(value, list):
            found[name] = value
        elif name in space.column and len(value) == 1:
            found[name] = value[0]
        else:
            genes = [g for g in space.names if _stem(g) == name]
            found |= (
                dict(zip(genes, value, strict=True)) if len(genes) == len(value) else {name: value}
            )
    return found


def _completed(cells: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Cells, with ``given`` genes where they are missing or empty."""
    return {
        **cells,
        **{gene: value for gene, value in given.items() if cells.get(gene) in (None, "")},
    }


def _stem(gene: str) -> str:
    if gene[-1].isdigit():
        return gene.rstrip("0123456789_")
    return gene


def _row(where: str, cells: Mapping[str, Any], problem: Problem, known: set[str]) -> Row:
    genes = {
        c.name: _value(f"{where}, {c.name}", c, cells[c.name])
        for c in problem.space.choices
        if cells.get(c.name) not in (None, "")
    }
    try:
        params = problem.space.canonical(genes)
    except BadInput as error:
        of_chip = any(f" {c.name} " in error.what for c in problem.space.hardware)
        todo = "add a column, or --map one"
        if of_chip:
            todo = "add a column, --map one, or name a chip with --hardware"
        raise BadInput(where, error.what, todo) from None
    if cells.get("status") == "failed":
        return Row(params, {}, str(cells.get("reason") or "failed where it was measured"))
    needed = [name for name in _metrics(problem) if name in known]
    others = []
    for name in cells:
        if name in known and name not in problem.space.column and name not in needed:
            others.append(name)
    metrics = {name: _number(f"{where}, {name}", name, cells.get(name)) for name in needed}
    return Row(
        params, metrics | {name: v for name in others if (v := _finite(cells[name])) is not None}
    )


def _value(where: str, choice: Choice, given: Any) -> Value:
    """The gene's value that ``given`` (text or a number) writes."""
    number = _finite(given) if choice.ordered else None
    for value in choice.values:
        if str(value) == str(given) or (number is not None and value == number):
            return value
    raise BadInput(where, f"cannot be {given!r}", f"the space has {list(choice.values)}")


def _metrics(problem: Problem) -> list[str]:
    return list(
        dict.fromkeys(
            [o.name for o in problem.objectives] + [c.metric for c in problem.constraints]
        )
    )


def _number(where: str, metric: str, given: Any) -> float:
    if given is None:
        raise BadInput(where, "is missing", "add the column, or --map one")
    value = _finite(given)
    if value is None or (value <= 0 and metric.endswith(POSITIVE_SUFFIXES)):
        raise BadInput(
            where,
            f"is {given!r}",
            "give a finite number, above 0 for a cost; drop the row otherwise",
        )
    return value


def _finite(given: Any) -> float | None:
    try:
        value = float(given)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Told:
    """What became of the rows of a file.

    Attributes:
        replicates: Rows that were kept as further measurements of designs known with other values.
        contradictions: A line for each row that says another thing of a design than was known.
    """

    replicates: int
    contradictions: list[str]


def tell(study: Study, rows: Sequence[Row]) -> Told:
    """Records evaluations made elsewhere.

    Other values of a known design are kept as further measurements of it.

    Args:
        study: The study that they become part of.
        rows: The evaluations, as :func:`read` gives them.

    Returns:
        How many rows were kept as further measurements, and what contradicts what was known.
    """
    counts: Counter[tuple[str, tuple[tuple[str, float], ...]]] = Counter()
    kept, contradictions = 0, []
    for row in rows:
        c = candidate(study.problem.space, row.params, origin="imported")
        status = "done" if row.reason is None else "failed"
        known = study.record(c, row.metrics, status=status, reason=row.reason)
        if status == "failed":
            if known.status == "done":
                contradictions.append(f"{c.key} failed in the file and was measured here")
            continue
        content = (c.key, tuple(sorted(row.metrics.items())))
        counts[content] += 1
        kept += study.keep_replicates(known, row.metrics, counts[content])
        difference = _difference(known, row)
        contradictions += [difference] if difference else []
    return Told(kept, contradictions)


def _difference(known: Record, row: Row) -> str | None:
    for name, value in row.metrics.items():
        if known.status == "done" and known.metrics.get(name, value) != value:
            return f"{known.key} {name} {value:g} against {known.metrics[name]:g}"
    return None
