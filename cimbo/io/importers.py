"""Evaluations that were made elsewhere: rows of a CSV file, or trials of an Optuna study, as designs of a problem.

A column is a gene or a metric by its name, or by the name that ``names`` gives it. A cell may also hold a whole sub-network
as a dict (JSON, or as Python prints it): each of its entries is then a column, and a list stands for the genes of one stem
in the space's order, ``kernel: [3, 5, ...]`` for kernel_1_1, kernel_1_2, ...
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.io import csv_files, optuna_storage
from cimbo.io.csv_files import Line
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
# A file with all columns of one of these sets is a result file of DyNAS-T.
DYNAST_HAS = ({"d", "ks", "e"}, {"num_layers", "num_attention_heads"})
# Columns of files that `cimbo export` wrote, besides genes and metrics.
OWN_COLUMNS = (
    *records_table.RECORD_COLUMNS,
    records_table.TEST_COLUMN,
    *records_table.VERDICT_COLUMNS,
)
OWN_PREFIX = "predicted_"  # such files have further columns that begin so
EMPTY_CELLS = (None, "")
POSITIVE_SUFFIXES = ("_ms", "_us", "_uj", "_mm2")  # units in which 0 means "not measured"

CellCheck = Callable[[str, Mapping[str, Any]], None]


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
    check: CellCheck | None = None,
) -> Table:
    """Read every evaluation in a file as a design of a problem.

    Args:
        file: A CSV file, or an Optuna storage in SQLite.
        problem: The problem.
        names: Column of the file -> a gene or a metric.
        given: Genes of every row that does not name them, such as the chip of a file that knows
            networks only.
        unread: Metrics that are left out, because they hold for another chip.
        check: Called with the place and the cells of each row; raises BadInput for one that does
            not fit.

    Returns:
        The rows, in the file's order, and the columns that are neither gene nor metric.

    Raises:
        BadInput: For a file that cannot be read, has no rows or lacks a column of ``names``, and
            for a storage where Optuna is not installed; naming file, line and column for the first
            row that is no evaluation of ``problem``.
    """
    if optuna_storage.is_database(file):
        unit = "trial"
        objectives = [objective.name for objective in problem.objectives]
        lines = list(optuna_storage.trials(file, objectives))
    else:
        unit = "line"
        lines = list(csv_files.lines(file))
    if not lines:
        todo = "give a CSV file with a header and a line an evaluation"
        raise BadInput(file, "has no rows", todo)
    _check_columns(file, lines, names or {})
    header = list(lines[0].cells)
    names = _all_names(header, names or {})
    known = {*problem.space.names, *problem.targets, *names.values()} - set(unread)
    rows = []
    for line in lines:
        cells = _with_given(_named(line.cells, names, problem.space), given or {})
        where = f"{file}, {unit} {line.number}"
        if check is not None:
            check(where, cells)
        rows.append(_row(where, cells, problem, known))
    columns = dict.fromkeys(names.get(column, column) for column in header)
    return Table(rows, _ignored(columns, known, problem.space))


def _check_columns(file: Path, lines: Sequence[Line], names: Iterable[str]) -> None:
    """Raises BadInput for a column that no line has."""
    for column in names:
        if not any(column in line.cells for line in lines):
            todo = f"its columns are {', '.join(lines[0].cells)}"
            raise BadInput(file, f"has no column {column!r}", todo)


def _all_names(header: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Column -> a gene or a metric: as the caller says, and in a file of DyNAS-T as that calls them."""
    columns = set(header)
    if any(marks <= columns for marks in DYNAST_HAS):
        return {**DYNAST_NAMES, **names}
    return dict(names)


def _ignored(columns: Iterable[str], known: set[str], space: SearchSpace) -> list[str]:
    """Columns that are neither gene nor metric, nor anything that cimbo's own export has besides."""
    used = {*known, *map(_stem, space.names), *OWN_COLUMNS}
    found = []
    for column in columns:
        if column not in used and not column.startswith(OWN_PREFIX):
            found.append(column)
    return found


def _named(
    cells: Mapping[str, Any], names: Mapping[str, str], space: SearchSpace
) -> dict[str, Any]:
    """Cells under the names of genes and metrics; a list spread over the genes of its stem."""
    found: dict[str, Any] = {}
    for column, value in cells.items():
        found |= _under_name(names.get(column, column), value, space)
    return found


def _under_name(name: str, value: Any, space: SearchSpace) -> dict[str, Any]:
    """A cell under its name; a list under those of the genes that its entries are of."""
    if not isinstance(value, list):
        return {name: value}
    if name in space.column and len(value) == 1:
        return {name: value[0]}
    return _spread(name, value, space)


def _spread(name: str, values: list[Any], space: SearchSpace) -> dict[str, Any]:
    """A list over the genes of its stem; the list itself where they are not as many."""
    genes = [gene for gene in space.names if _stem(gene) == name]
    if len(genes) != len(values):
        return {name: values}
    return dict(zip(genes, values, strict=True))


def _with_given(cells: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Cells, with ``given`` genes where they are missing or empty."""
    found = dict(cells)
    for gene, value in given.items():
        if found.get(gene) in EMPTY_CELLS:
            found[gene] = value
    return found


def _stem(gene: str) -> str:
    if gene[-1].isdigit():
        return gene.rstrip("0123456789_")
    return gene


def _row(where: str, cells: Mapping[str, Any], problem: Problem, known: set[str]) -> Row:
    """The evaluation in a line. Raises BadInput where it is none of the problem."""
    params = _params(where, cells, problem.space)
    if cells.get("status") == "failed":
        return Row(params, {}, str(cells.get("reason") or "failed where it was measured"))
    metrics = {}
    for name in problem.targets:
        if name in known:
            metrics[name] = _number(f"{where}, {name}", name, cells.get(name))
    for name, cell in cells.items():
        if name not in known or name in problem.space.column or name in metrics:
            continue
        value = _finite(cell)
        if value is not None:
            metrics[name] = value
    return Row(params, metrics)


def _params(where: str, cells: Mapping[str, Any], space: SearchSpace) -> Params:
    """The genes in a line. Raises BadInput where one is missing, or is what it cannot be."""
    genes = _given_genes(where, cells, space)
    try:
        return space.canonical(genes)
    except BadInput as error:
        todo = "add a column, or --map one"
        if any(f" {choice.name} " in error.what for choice in space.hardware):
            todo = "add a column, --map one, or name a chip with --hardware"
        raise BadInput(where, error.what, todo) from None


def _given_genes(where: str, cells: Mapping[str, Any], space: SearchSpace) -> Params:
    """The values in the cells of genes that are not empty."""
    genes = {}
    for choice in space.choices:
        cell = cells.get(choice.name)
        if cell not in EMPTY_CELLS:
            genes[choice.name] = _value(f"{where}, {choice.name}", choice, cell)
    return genes


def _value(where: str, choice: Choice, given: Any) -> Value:
    """The gene's value that ``given`` (text or a number) writes."""
    if isinstance(given, bool):  # of JSON or a data frame, for a gene that is 0 or 1
        given = int(given)
    value = choice.of_text(str(given))
    if value is not None:
        return value
    raise BadInput(where, f"cannot be {given!r}", f"the space has {list(choice.values)}")


def _number(where: str, metric: str, given: Any) -> float:
    if given is None:
        raise BadInput(where, "is missing", "add the column, or --map one")
    value = _finite(given)
    if value is None or (value <= 0 and metric.endswith(POSITIVE_SUFFIXES)):
        todo = "give a finite number, above 0 for a cost; drop the row otherwise"
        raise BadInput(where, f"is {given!r}", todo)
    return value


def _finite(given: Any) -> float | None:
    try:
        value = float(given)
    except (TypeError, ValueError):
        return None
    if math.isfinite(value):
        return value
    return None


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
    """Record evaluations made elsewhere.

    Other values of a known design are kept as further measurements of it.

    Args:
        study: The study that they become part of.
        rows: The evaluations, as `read` gives them.

    Returns:
        How many rows were kept as further measurements, and what contradicts what was known.
    """
    counts: Counter[tuple[str, tuple[tuple[str, float], ...]]] = Counter()
    replicates = 0
    contradictions = []
    for row in rows:
        known = _record(study, row)
        contradiction = _contradiction(known, row)
        if contradiction is not None:
            contradictions.append(contradiction)
        if row.reason is None:
            # Equal rows are several measurements of one design. They are numbered, so that a second
            # import of the same file adds nothing.
            content = (known.key, tuple(sorted(row.metrics.items())))
            counts[content] += 1
            replicates += study.keep_replicates(known, row.metrics, counts[content])
    return Told(replicates, contradictions)


def _record(study: Study, row: Row) -> Record:
    """Write a row to the log; the row that the study holds then."""
    c = candidate(study.problem.space, row.params, origin="imported")
    if row.reason is None:
        return study.record(c, row.metrics, status="done", reason=None)
    return study.record(c, row.metrics, status="failed", reason=row.reason)


def _contradiction(known: Record, row: Row) -> str | None:
    """How a row differs from what the study knows of its design; None where it does not."""
    if known.status != "done":
        return None
    if row.reason is not None:
        return f"{known.key} failed in the file and was measured here"
    for name, value in row.metrics.items():
        measured = known.metrics.get(name, value)
        if measured != value:
            return f"{known.key} {name} {value:g} against {measured:g}"
    return None
