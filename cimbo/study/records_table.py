"""Evaluations as flat rows: what ``cimbo export`` writes, and what a recorded study is replayed from.

A row is number, key, status, reason, origin, seconds, every active gene, every metric, and ``predicted_METRIC`` with
``predicted_METRIC_std`` where a model had said something of it before it was measured.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.objectives import Candidate, Problem, candidate
from cimbo.problem.space import Choice, SearchSpace, Value
from cimbo.storage import Record
from cimbo.study import stored_values

RECORD_COLUMNS = ("number", "key", "status", "reason", "origin", "seconds")
TEST_COLUMN = "accuracy_test"
FEASIBLE_COLUMN = "feasible"
FRONT_COLUMN = "on_front"
VERDICT_COLUMNS = (FEASIBLE_COLUMN, FRONT_COLUMN)  # follow from the others and are not read again
_PREDICTED, _STD = "predicted_", "_std"


def check_names(problem: Problem) -> None:
    """Check that every gene and metric has a column of its own.

    Args:
        problem: What a new study searches and measures.

    Raises:
        BadInput: A gene or a metric is called like a column about the evaluation, or like one
            another.
    """
    metrics = [*problem.targets, *problem.metrics]
    guesses = []
    for metric in metrics:
        guesses += [f"{_PREDICTED}{metric}", f"{_PREDICTED}{metric}{_STD}"]
    for gene in problem.space.names:
        if gene in (*RECORD_COLUMNS, TEST_COLUMN, *metrics, *guesses):
            raise BadInput(f"gene {gene}", "has the name of another column", "rename the gene")
    for metric in metrics:
        if metric in (*RECORD_COLUMNS, *guesses):
            where = f"metric {metric}"
            raise BadInput(where, "has the name of another column", "rename the metric")


def rows(records: Iterable[Record], tested: Mapping[str, float]) -> list[dict[str, Any]]:
    """Make a flat row for each record.

    Args:
        records: Evaluations of one study.
        tested: Accuracy on test images in percent, by the key of the design, where it was measured.

    Returns:
        Cells by column. A column that does not apply to a record is left out of its row.
    """
    return [_row(record, tested.get(record.key)) for record in records]


def _row(record: Record, tested: float | None) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in RECORD_COLUMNS}
    _add(row, record.params, "gene")
    _add(row, record.metrics, "metric")
    if tested is not None:
        row[TEST_COLUMN] = tested
    for metric, (mean, std) in stored_values.predictions(record).items():
        column = f"{_PREDICTED}{metric}"
        _add(row, {column: mean, f"{column}{_STD}": std}, "model")
    return row


def _add(row: dict[str, Any], cells: Mapping[str, Any], kind: str) -> None:
    """Adds ``cells``; one whose column is taken, in an older study, gets the column ``NAME_KIND``."""
    for name, value in cells.items():
        row[f"{name}_{kind}" if name in row else name] = value


def read(
    path: Path, space: SearchSpace
) -> Iterator[tuple[Candidate, dict[str, float], dict[str, str]]]:
    """Read the rows of a CSV file that ``cimbo export`` wrote.

    Args:
        path: The file.
        space: The space that its designs are of.

    Yields:
        For each row the candidate with its prediction, its metrics, and the text of the six
        `RECORD_COLUMNS`.

    Raises:
        BadInput: A design is not of ``space``, or a metric is no number; the line is named.
        OSError: The file cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                yield _parse(row, space)
            except (KeyError, ValueError) as error:
                where = f"{path}, line {line}"
                what = f"is no evaluation ({error})"
                raise BadInput(where, what, "export the study again") from None


def _parse(
    row: Mapping[str, str], space: SearchSpace
) -> tuple[Candidate, dict[str, float], dict[str, str]]:
    given = {name: text for name, text in row.items() if text}
    about = {name: given.pop(name, "") for name in RECORD_COLUMNS}
    params = {}
    for choice in space.choices:
        if choice.name in given:
            params[choice.name] = _value(choice, given.pop(choice.name))
    metrics = {}
    guesses = {}
    for name, text in given.items():
        if name in VERDICT_COLUMNS:
            continue
        if name.startswith(_PREDICTED):
            guesses[name.removeprefix(_PREDICTED)] = float(text)
        else:
            metrics[name] = float(text)
    origin = about["origin"] or "told"
    c = candidate(space, params, origin=origin, predicted=_pairs(guesses) or None)
    return c, metrics, about


def _pairs(guesses: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation by metric, of the columns that have both."""
    predicted = {}
    for metric, mean in guesses.items():
        std = guesses.get(metric + _STD)
        if std is not None:
            predicted[metric] = (mean, std)
    return predicted


def _value(choice: Choice, text: str) -> Value:
    """The value of ``choice`` that is written ``text``; "2" and "2.0" are one number."""
    value = choice.of_text(text)
    if value is None:
        return choice.values[choice.index(text)]  # raises what says which values there are
    return value
