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

    ``number`` counts from 1 in the order of recording; it is 0 for one that is still running.
    ``status`` is ``done``, ``failed`` or ``running``; ``reason`` is one line for a failed one, else
    None. ``origin`` says who wanted it (``sobol``, ``proposed``, ``imported``, ``told``),
    ``seconds`` how long it took, ``extra`` is free JSON.

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
        told = [f"{name} {value:.6g}" for name, value in self.metrics.items()]
        if self.reason:
            told.append(self.reason)
        genes = " ".join(f"{name}={value}" for name, value in self.params.items())
        return f"<Record {self.number} {self.key} {self.status}: {', '.join(told)}; {genes}>"

    def _repr_html_(self) -> str:
        about: dict[str, Any] = {
            "number": self.number,
            "status": self.status,
            "origin": self.origin,
        }
        if self.reason:
            about["reason"] = self.reason
        rows = [*about.items(), *self.metrics.items(), *self.params.items()]
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
        For each row the values behind its texts, in order; None for a row that stands near a
        damaged one. That has to be parsed by itself, to say what is wrong with which.
    """
    for start in range(0, len(rows), ROWS_PARSED_AT_ONCE):
        chunk = rows[start : start + ROWS_PARSED_AT_ONCE]
        parsed = _parsed_together(chunk)
        # A text such as "1, 2" is no JSON, and yet it is within a list: then there are more values than texts.
        if list(map(len, parsed)) == list(map(len, chunk)):
            yield from parsed
        else:
            yield from [None] * len(chunk)


def _parsed_together(rows: Sequence[Sequence[str]]) -> list[list[Any]]:
    """The values of all rows, parsed as one text; none where that is no JSON."""
    lists = ",".join(f"[{','.join(row)}]" for row in rows)
    try:
        parsed: list[list[Any]] = STRICT_DECODER.decode(f"[{lists}]")
    except (ValueError, RecursionError):
        return []
    return parsed


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the search for cycles, which Python repeats while many objects are made; plain data have none."""
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
    """Part the metrics that are finite numbers from those that are not.

    Args:
        metrics: Values by name, as an evaluator returned them.

    Returns:
        The finite ones as floats, and one line that names the others (None when there are none).
    """
    good: dict[str, float] = {}
    bad: list[str] = []
    for name, value in metrics.items():
        measured = number(value)
        if measured is None:
            bad.append(f"{name} is {shown(value)}, not a number")
        elif math.isfinite(measured):
            good[str(name)] = measured
        else:
            bad.append(f"{name} is {measured}")
    if bad:
        return good, one_line(", ".join(bad))
    return good, None


def first_difference(stored: object, asked: object, path: str) -> str | None:
    """Find the first place where two JSON values part.

    Args:
        stored: The value in the file.
        asked: The value now.
        path: What the two are called, such as ``space``.

    Returns:
        A line such as ``space.hardware[0].values: 3 in the file, 4 now``; None when they are equal.
    """
    if isinstance(stored, dict) and isinstance(asked, dict):
        return _difference_of_tables(stored, asked, path)
    if isinstance(stored, list) and isinstance(asked, list):
        return _difference_of_lists(stored, asked, path)
    if stored == asked:
        return None
    return f"{path} is {stored!r:.60} in the file, {asked!r:.60} now"


def _difference_of_tables(stored: dict[str, Any], asked: dict[str, Any], path: str) -> str | None:
    for name in {**stored, **asked}:
        if name not in stored:
            return f"{path}.{name} is only in this program"
        if name not in asked:
            return f"{path}.{name} is only in the file"
    for name, value in stored.items():
        found = first_difference(value, asked[name], f"{path}.{name}")
        if found is not None:
            return found
    return None


def _difference_of_lists(stored: list[Any], asked: list[Any], path: str) -> str | None:
    if len(stored) != len(asked):
        return f"{path} has {len(stored)} entries in the file, {len(asked)} now"
    for i, (before, now) in enumerate(zip(stored, asked, strict=True)):
        found = first_difference(before, now, f"{path}[{i}]")
        if found is not None:
            return found
    return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


STRICT_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _plain(value: object) -> object:
    # numpy and torch scalars and arrays, without importing either.
    tolist = getattr(value, "tolist", None)
    if tolist is None:
        raise TypeError(f"{type(value).__name__} {value!r:.60}")
    return finite_json(tolist())
