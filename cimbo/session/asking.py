"""Ask and tell from the shell: designs out as JSON, measurements in as JSON, for whatever evaluates them elsewhere."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, check_known, check_positive, unreadable
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.scalars import finite, number, shown
from cimbo.session.context import StudyContext
from cimbo.session.leases import Lease, check_lease, lease_of, whoever
from cimbo.session.optimize import SearchSettings, optimizer_options
from cimbo.study.asked import DEFAULT_LEASE_S, AskedDesign, AskedDesigns, Teller, ToldRow
from cimbo.study.provenance import admit_told

ROW_FORM = 'give {"key": "...", "metrics": {...}}'
TELL_AGAIN = (
    ", and tell the row again: nothing of it is recorded, and who asked for the design has it still"
)
STAYS_OUT = "it counts no more; cimbo retry KEY and cimbo ask have it measured anew"
ROW_FIELDS = ("key", "metrics", "failed", "params", "seconds")


@dataclass(frozen=True)
class Told:
    """What telling came to.

    Attributes:
        new: Rows that are evaluations which the study did not hold.
        again: Rows that are kept as further measurements of a design.
        known: Rows of which the study held everything, those of withdrawn evaluations included.
        withdrawn: A line for every row that a withdrawn evaluation says; nothing of it is recorded.
        refused: A line for every row that is wrong; nothing of it is recorded.
        evaluations: Evaluations in the study now.
    """

    new: int
    again: int
    known: int
    withdrawn: tuple[str, ...]
    refused: tuple[str, ...]
    evaluations: int

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo tell --format json``."""
        return {
            "new": self.new,
            "again": self.again,
            "known": self.known,
            "withdrawn": list(self.withdrawn),
            "refused": list(self.refused),
            "evaluations": self.evaluations,
        }


def ask(
    context: StudyContext,
    n: int,
    *,
    by: str | None = None,
    lease_s: float = DEFAULT_LEASE_S,
    budget: int | None = None,
) -> list[AskedDesign]:
    """Hand out designs to be evaluated elsewhere: those that were lost first, then new ones.

    Args:
        context: The study.
        n: How many; fewer come back when the space or the budget is exhausted.
        by: Who evaluates them; by default the job of a queue, or user and machine.
        lease_s: Seconds until they count as lost.
        budget: Evaluations in the study, in all; what is being evaluated counts.

    Returns:
        At most ``n`` designs, with who took them and when.

    Raises:
        BadInput: For numbers below 1, and for an impossible lease.
    """
    check_positive("ask", n)
    check_positive("--budget", budget)
    check_lease(lease_s)
    study = context.study
    if budget is not None:
        n = min(n, budget - len(study.evaluations()) - len(study.running()))
    if n < 1:
        return []
    options = asking_options(context)
    return AskedDesigns(study).ask(n, options, by=by or whoever(), lease_s=lease_s)


def asking_options(context: StudyContext) -> OptimizerOptions:
    """Set up the optimizer of a study whose evaluations are told.

    It knows all that `optimize` uses, but computes no metric itself: what is told was measured by
    something else than the study's own simulator.

    Args:
        context: The study.

    Returns:
        The options; the plain ones for a study without a description.

    Raises:
        BadInput: The description is wrong, or its evaluator cannot be set up.
    """
    if not context.has_description:
        return OptimizerOptions()
    options = optimizer_options(context, SearchSettings(cost_model="surrogate"))
    return replace(options, analytic={})


def tell(
    context: StudyContext,
    text: str,
    *,
    by: str | None = None,
    source: str | None = None,
    accept_changed: bool = False,
) -> Told:
    """Record what was measured elsewhere. A row that is wrong is refused alone; telling a row twice changes nothing.

    Args:
        context: The study.
        text: JSON: a list of rows, or rows one after another.
        by: Who tells; by default the job of a queue, or user and machine.
        source: What measured, in words, such as a program and its version; kept as provenance.
        accept_changed: Take rows of another source than before.

    Returns:
        How many rows were new or known, and why others were refused.

    Raises:
        BadInput: When the text is no JSON; StudyError for another source than before.
    """
    entries = list(rows_of(text))
    study = context.study
    reference = admit_told(study.store, source, accept_changed=accept_changed)
    refused = {}
    rows = {}
    for place, entry in enumerate(entries, 1):
        try:
            rows[place] = row_of(entry)
        except BadInput as error:
            refused[place] = error
    outcomes = AskedDesigns(study).tell(rows.values(), Teller(by or whoever(), reference))
    withdrawn = []
    for place, outcome in zip(rows, outcomes, strict=True):
        if outcome.withdrawal:
            withdrawn.append(f"row {place}: is known, and {outcome.withdrawal}; {STAYS_OUT}")
        if outcome.error is not None:
            refused[place] = outcome.error
    lines = [_refusal(place, entries[place - 1], refused[place]) for place in sorted(refused)]
    counts = Counter(outcome.what for outcome in outcomes)
    return Told(
        new=counts["new"],
        again=counts["again"],
        known=counts["known"] + counts["withdrawn"],
        withdrawn=tuple(withdrawn),
        refused=tuple(lines),
        evaluations=len(study.evaluations()),
    )


def _refusal(place: int, entry: Any, error: BadInput) -> str:
    """What is wrong with a row, and what to do about it."""
    key = None
    if isinstance(entry, Mapping):
        key = entry.get("key")
    if key is None:
        return str(BadInput(f"row {place}, {error.where}", error.what, error.todo))
    return _refusal_of_design(place, str(key), error)


def _refusal_of_design(place: int, key: str, error: BadInput) -> str:
    """The same of a row that names its design, which may be told again."""
    where = f"row {place}"
    if key not in error.where:
        where = f"row {place} ({key})"
    todo = error.todo.removesuffix(TELL_AGAIN) + TELL_AGAIN
    return str(BadInput(f"{where}, {error.where}", error.what, todo))


def retry(
    context: StudyContext, keys: tuple[str, ...] = (), by: str | None = None
) -> list[AskedDesign]:
    """Let designs be asked anew.

    Args:
        context: The study.
        keys: Keys of failed or handed-out designs, which may be shortened; empty for all that
            failed or are lost. Ignored where ``by`` is given.
        by: Who holds the designs that are meant, as ``cimbo status`` shows it. The times that these
            were handed out still count, so that they are given up one day.

    Returns:
        The designs that may be asked again.

    Raises:
        BadInput: A key is that of nothing that failed or is handed out, or of several such designs,
            or ``by`` holds none.
    """
    return AskedDesigns(context.study).retry(keys, by)


def renew(
    context: StudyContext, keys: tuple[str, ...] = (), by: str | None = None, *, lease_s: float
) -> list[Lease]:
    """Let leases end later, or earlier.

    Args:
        context: The study.
        keys: Keys of designs that are handed out, which may be shortened.
        by: Who holds further ones, all of which are meant.
        lease_s: Seconds from now until the leases end.

    Returns:
        The leases that were changed, as they are now.

    Raises:
        BadInput: Neither ``keys`` nor ``by`` is given, a key is not that of one design that is
            handed out, ``by`` holds none, or ``lease_s`` is not above 0 and at most a year.
    """
    check_lease(lease_s)
    if not keys and by is None:
        raise BadInput("renew", "names no design", "give keys, or who holds them (--by)")
    renewed = AskedDesigns(context.study).renew(keys, by, lease_s=lease_s)
    return [lease_of(record) for record in renewed]


# ---- what is read --------------------------------------------------------------------------------------------------


def rows_of(text: str) -> Iterator[Any]:
    """Read the rows of a JSON text.

    Args:
        text: A JSON list, objects one after another, or lists one after another.

    Yields:
        Every row as JSON gives it, unchecked.

    Raises:
        BadInput: The text is no JSON (the line is named), or is nested too deeply.
    """
    decoder = json.JSONDecoder()
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            what = f"is no JSON ({error.msg})"
            todo = 'give [{"key": "...", "metrics": {...}}]; nothing was recorded'
            raise BadInput(f"line {error.lineno}", what, todo) from None
        except RecursionError:
            raise BadInput("the rows", "are nested too deeply", "give a flat list") from None
        if isinstance(value, list):
            yield from value
        else:
            yield value


def row_of(entry: Any) -> ToldRow:
    """Read one row that somebody tells.

    Args:
        entry: The row as JSON gives it: an object with the fields of ROW_FIELDS.

    Returns:
        The row. A metric that is NaN or infinite makes it a failed evaluation.

    Raises:
        BadInput: A field is missing, unknown or wrong; it is named.
    """
    if not isinstance(entry, dict):
        raise BadInput("it", f"is {shown(entry)}", ROW_FORM)
    for name in entry:
        check_known(name, ROW_FIELDS, name, "is no field of a row")
    key = entry.get("key")
    params = entry.get("params")
    _check_design(key, params)
    seconds = finite(entry.get("seconds", 0.0))
    if seconds is None or seconds < 0:
        raise BadInput("seconds", f"are {shown(entry['seconds'])}", "give a number of at least 0")
    metrics, failed = _result(entry)
    return ToldRow(key, metrics, failed, params, seconds)


def _check_design(key: Any, params: Any) -> None:
    """Raises BadInput unless a row says which design it is about."""
    if key is None and params is None:
        raise BadInput("key", "is missing", "give that of a design which cimbo ask printed")
    if key is not None and not isinstance(key, str):
        raise BadInput("key", f"is {shown(key)}", "give it as text, as cimbo ask printed it")
    if params is not None and not isinstance(params, dict):
        raise BadInput("params", f"are {shown(params)}", "give an object of genes")


def _result(entry: dict[str, Any]) -> tuple[dict[str, float], str | None]:
    """Metrics, and why there are none."""
    metrics = entry.get("metrics")
    failed = entry.get("failed")
    if (metrics is None) == (failed is None):
        what = "are both missing"
        if failed is not None:
            what = "are both given"
        raise BadInput("metrics and failed", what, "give one of them")
    if failed is not None:
        if not isinstance(failed, str):
            raise BadInput("failed", f"is {shown(failed)}", "say why, in words")
        return {}, failed or "failed"
    if not isinstance(metrics, dict) or not metrics:
        raise BadInput("metrics", f"are {shown(metrics)}", 'give an object such as {"edp": 3.1}')
    return _numbers(metrics)


def _numbers(metrics: dict[str, Any]) -> tuple[dict[str, float], str | None]:
    """The metrics as numbers. One that is no number is a slip of who tells; NaN or infinity is a failed evaluation."""
    found = {name: _number(name, value) for name, value in metrics.items()}
    bad = [f"{name} is {value}" for name, value in found.items() if not math.isfinite(value)]
    if bad:
        return {}, ", ".join(bad)
    return found, None


def _number(metric: str, value: Any) -> float:
    """The value of a metric. Raises BadInput where it is no number."""
    measured = number(value)
    if measured is None or isinstance(value, bool):
        raise BadInput(f"metrics.{metric}", f"is {shown(value)}", "give a number")
    return measured


def read_text(source: str, stdin: str | None) -> str:
    """Read the text of a file or of standard input.

    Args:
        source: The path of the file, or "-" for standard input.
        stdin: What standard input held; None for nothing.

    Returns:
        The text.

    Raises:
        BadInput: The file cannot be read, or is no UTF-8.
    """
    if source == "-":
        return stdin or ""
    try:
        return Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(source, error, "name a readable file, or - for stdin") from None
    except UnicodeDecodeError:
        raise BadInput(source, "is no text", "give JSON in UTF-8") from None
