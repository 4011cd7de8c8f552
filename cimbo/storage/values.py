"""One row of the log, and what may go into it: finite numbers and plain JSON."""

import gc
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.scalars import finite_json, number, shown
from cimbo.storage.markup import html_table

ROWS_PARSED_AT_ONCE = 500
LONGEST_REASON = 500  # characters; a reason is a line in a table, not a traceback


@dataclass(frozen=True, repr=False)
class Record:
    """One evaluation as the study remembers it.

    Attributes:
        number: From 1 in the order of recording; 0 for one that is still running.
        key: Key of the design.
        params: Gene to value.
        metrics: What was measured.
        status: ``done``, ``failed`` or ``running``.
        reason: Why it failed, in one line; else None.
        origin: What chose the design: ``sobol``, ``proposed``, ``imported``, ``told`` and so on.
        seconds: How long the evaluation took.
        extra: Further JSON that is kept beside it.

    Examples:
        >>> from cimbo import Choice, Objective, Study
        >>> study = Study.open(None, [Choice("depth", [2, 4])], Objective("accuracy", "max"))
        >>> record = study.tell({"depth": 4}, None, reason="out of memory")
        >>> record.number, record.status, record.reason
        (1, 'failed', 'out of memory')
    """

    number: int
    key: str
    params: dict[str, Any]
    metrics: dict[str, float]
    status: str
    reason: str | None
    origin: str
    seconds: float
    extra: dict[str, Any]

    def __repr__(self) -> str:
        results = [f"{name} {value:.6g}" for name, value in self.metrics.items()]
        if self.reason:
            results.append(self.reason)
        genes = " ".join(f"{name}={value}" for name, value in self.params.items())
        return f"<Record {self.number} {self.key} {self.status}: {', '.join(results)}; {genes}>"

    def _repr_html_(self) -> str:
        """A table for notebooks: status, then metrics, then genes."""
        status: dict[str, Any] = {
            "number": self.number,
            "status": self.status,
            "origin": self.origin,
        }
        if self.reason:
            status["reason"] = self.reason
        rows = [*status.items(), *self.metrics.items(), *self.params.items()]
        return html_table([], rows, caption=f"Evaluation {self.key}")


def to_json(value: object, where: str) -> str:
    """Write ``value`` as strict JSON; NaN and infinities become null.

    Args:
        value: Numbers, strings, lists and dicts; numpy and torch values too.
        where: What the error calls it.

    Returns:
        The JSON text.

    Raises:
        BadInput: ``value`` cannot be stored as JSON.
    """
    try:
        return json.dumps(finite_json(value), allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        what = f"cannot be stored as JSON ({error})"
        raise BadInput(where, what, "use numbers, strings, lists and dicts") from error


def are_finite(metrics: Mapping[str, Any]) -> bool:
    """Tell whether every metric is a finite number.

    Args:
        metrics: Values by name.

    Returns:
        Whether all are; True for none.
    """
    if all(type(value) is float and math.isfinite(value) for value in metrics.values()):
        return True
    return finite_metrics(metrics)[1] is None


def from_json(text: str, where: str) -> Any:
    """Read strict JSON.

    Args:
        text: The JSON text. NaN and infinities are no JSON.
        where: What the error calls it.

    Returns:
        The value behind it.

    Raises:
        BadInput: A study file was tampered with or damaged.
    """
    try:
        return STRICT_DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        what = f"holds damaged JSON ({error})"
        raise BadInput(where, what, "restore the file from a copy") from error


def parse_rows(rows: Sequence[Sequence[str]]) -> Iterator[list[Any] | None]:
    """Read the JSON texts of many rows, three times as fast as one by one.

    Args:
        rows: The JSON texts of each row.

    Yields:
        For each row the values of its texts, in order; None for a row that was read together with a
        damaged one: such rows have to be parsed one by one, to find which is damaged and how.
    """
    for start in range(0, len(rows), ROWS_PARSED_AT_ONCE):
        chunk = rows[start : start + ROWS_PARSED_AT_ONCE]
        parsed = _parsed_together(chunk)
        # The damaged text "1, 2" is valid within a list: then there are more values than texts
        if list(map(len, parsed)) == list(map(len, chunk)):
            yield from parsed
        else:
            yield from [None] * len(chunk)


def _parsed_together(rows: Sequence[Sequence[str]]) -> list[list[Any]]:
    """The values of each row, all rows parsed as one JSON text; an empty list where that is no JSON."""
    lists = ",".join(f"[{','.join(row)}]" for row in rows)
    try:
        parsed: list[list[Any]] = STRICT_DECODER.decode(f"[{lists}]")
    except (ValueError, RecursionError):
        return []
    return parsed


@contextmanager
def collection_paused() -> Iterator[None]:
    """Run a block with Python's cyclic garbage collector off, which slows the reading of many rows for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def normal(value: object, where: str) -> Any:
    """Return ``value`` as it will look when it is read back: tuples become lists, keys strings.

    Args:
        value: As for `to_json`.
        where: What the error calls it.

    Returns:
        Plain numbers, strings, lists and dicts; None for NaN and infinities.

    Raises:
        BadInput: ``value`` cannot be stored as JSON.
    """
    return from_json(to_json(value, where), where)


def one_line(text: object) -> str:
    """Write ``text`` as a single line without zero bytes or lone surrogates, which SQLite cannot take.

    Args:
        text: Anything; it is written with ``str``.

    Returns:
        The line, of at most `LONGEST_REASON` characters; what is cut off ends in an ellipsis.
    """
    line = " ".join(_written(text).split())
    line = line.replace("\0", "\\0")
    line = line.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(line) <= LONGEST_REASON:
        return line
    return line[: LONGEST_REASON - 1] + "…"


def _written(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a user's own class
        return shown(value)


def finite_metrics(metrics: Mapping[str, Any]) -> tuple[dict[str, float], str | None]:
    """Separate the metrics that are finite numbers from the others.

    Args:
        metrics: Values by name, as an evaluator returned them.

    Returns:
        The finite ones as floats, and one line that names the others (None when there are none).
    """
    finite: dict[str, float] = {}
    complaints: list[str] = []
    for name, value in metrics.items():
        measured = number(value)
        if measured is None:
            complaints.append(f"{name} is {shown(value)}, not a number")
        elif math.isfinite(measured):
            finite[str(name)] = measured
        else:
            complaints.append(f"{name} is {measured}")
    if complaints:
        return finite, one_line(", ".join(complaints))
    return finite, None


def first_difference(stored: object, current: object, path: str) -> str | None:
    """Find the first place where two JSON values differ.

    Args:
        stored: The value in the file.
        current: The value that the caller has.
        path: What the two are called, such as ``space``.

    Returns:
        A line such as ``space.hardware[0].values: 3 in the file, 4 now``; None when they are equal.
    """
    if isinstance(stored, dict) and isinstance(current, dict):
        return _difference_of_tables(stored, current, path)
    if isinstance(stored, list) and isinstance(current, list):
        return _difference_of_lists(stored, current, path)
    if stored == current:
        return None
    return f"{path} is {stored!r:.60} in the file, {current!r:.60} now"


def _difference_of_tables(stored: dict[str, Any], current: dict[str, Any], path: str) -> str | None:
    """The first difference of two tables, in words: a key that only one has, or a value; None where they are equal."""
    for name in {**stored, **current}:
        if name not in stored:
            return f"{path}.{name} is only in this program"
        if name not in current:
            return f"{path}.{name} is only in the file"
    for name, value in stored.items():
        difference = first_difference(value, current[name], f"{path}.{name}")
        if difference is not None:
            return difference
    return None


def _difference_of_lists(stored: list[Any], current: list[Any], path: str) -> str | None:
    """The first difference of two lists, in words; None where they are equal."""
    if len(stored) != len(current):
        return f"{path} has {len(stored)} entries in the file, {len(current)} now"
    for i, (before, now) in enumerate(zip(stored, current, strict=True)):
        difference = first_difference(before, now, f"{path}[{i}]")
        if difference is not None:
            return difference
    return None


def _no_constant(name: str) -> None:
    """Refuse NaN and infinities, which Python's parser would take."""
    raise ValueError(f"{name} is not JSON")


STRICT_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _plain(value: object) -> object:
    """A scalar or array of numpy or torch as plain Python, for JSON; neither library is imported."""
    tolist = getattr(value, "tolist", None)
    if tolist is None:
        raise TypeError(f"{type(value).__name__} {value!r:.60}")
    return finite_json(tolist())
