"""Evaluations that a user knows to be wrong are withdrawn: kept as values, but no part of the log any more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cimbo.errors import BadInput
from cimbo.problem.expressions import Expression, unknown_name
from cimbo.storage import Record, Store
from cimbo.storage.store import WITHDRAWN_PREFIX
from cimbo.study.kept_values import (
    BIT_ACCURATE_DIFFERENCES,
    NOISE_ACCURACIES,
    TEST_ACCURACIES,
    ZIGZAG_COSTS,
)
from cimbo.study.replicates import FAILURES_PREFIX, REPLICATES_PREFIX

NUMBER_NAME = "number"  # what a condition calls the number of an evaluation
VALUES_BY_DESIGN = (TEST_ACCURACIES, BIT_ACCURATE_DIFFERENCES, NOISE_ACCURACIES, ZIGZAG_COSTS)
MEASURED_AGAIN = (REPLICATES_PREFIX, FAILURES_PREFIX)  # of the names of further measurements


# An evaluation as it stood in the log, with ``withdrawn`` and ``beside``, see `withdrawn`
Kept: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Selection:
    """Which evaluations are meant: those for which all that is given holds.

    Attributes:
        keys: Keys of designs, which may be shortened; empty for any.
        since: Number of the first one; None for any.
        where: A condition on genes, metrics and ``number``, such as "accuracy > 99"; None for any.
    """

    keys: tuple[str, ...] = ()
    since: int | None = None
    where: str | None = None

    def of(self, records: Sequence[Record]) -> list[Record]:
        """Choose the evaluations that are meant.

        Args:
            records: All evaluations of a study.

        Returns:
            Those that are meant, in the same order.

        Raises:
            BadInput: Nothing is given, a key is that of no design or of several, the condition is
                none, or it names what no evaluation has.
        """
        if not self.keys and self.since is None and self.where is None:
            todo = "give keys, --since NUMBER or --where CONDITION"
            raise BadInput("withdraw", "names no evaluation", todo)
        found = list(records)
        if self.keys:
            keys = {_whole_key(key, records) for key in self.keys}
            found = [record for record in found if record.key in keys]
        if self.since is not None:
            found = [record for record in found if record.number >= self.since]
        if self.where is not None:
            found = list(_that_hold(self.where, found))
        return found


def _whole_key(key: str, records: Iterable[Record]) -> str:
    """The key of the one design whose key starts so."""
    found = sorted({record.key for record in records if record.key.startswith(key)})
    if len(found) == 1:
        return found[0]
    if not found:
        todo = "cimbo export shows the keys of all evaluations"
        raise BadInput(f"KEY {key}", "is that of no evaluation", todo)
    raise BadInput(f"KEY {key}", f"{len(found)} keys start so", "give more of it")


def _that_hold(text: str, records: Sequence[Record]) -> Iterable[Record]:
    """The evaluations for which a condition holds; one that lacks a name of it is not meant."""
    condition = Expression(text, "--where")
    if not condition.is_condition:
        what = f"{text!r} is a number, not a condition"
        raise BadInput("--where", what, 'write one as "accuracy > 99"')
    values = []
    names: dict[str, None] = {}
    for record in records:
        values.append({**record.params, **record.metrics, NUMBER_NAME: record.number})
        names |= dict.fromkeys(values[-1])
    error = unknown_name(condition, names)
    if error is not None:
        raise BadInput("--where", error.what, error.todo)
    for record, known in zip(records, values, strict=True):
        if all(name in known for name in condition.names) and bool(condition(known)):
            yield record


def withdraw(store: Store, records: Sequence[Record], reason: str) -> None:
    """Take evaluations out of the log; what they measured is kept, and so is why.

    Args:
        store: The study file.
        records: The evaluations.
        reason: Why, in the user's words.

    Raises:
        BadInput: Somebody is evaluating, or the study cannot be written.
    """
    busy = [record for record in store.running() if not record.extra.get("handed_out")]
    if busy:
        what = f"{len(busy)} designs are being evaluated"
        raise BadInput(store.path, what, "stop the search first; cimbo status says who runs it")
    rows = {record.number: record for record in store.records()}
    own = [rows[record.number] for record in records]  # without means over further measurements
    note = {"withdrawn": {"why": reason, "at": time.time()}}
    store.withdraw(own, note, (*VALUES_BY_DESIGN, *MEASURED_AGAIN))


def withdrawn(store: Store) -> list[dict[str, Any]]:
    """Return what was withdrawn.

    Args:
        store: The study file.

    Returns:
        Each evaluation as it stood in the log, with ``withdrawn``: ``why`` and ``at`` (Unix seconds),
        and what stood ``beside`` it, its further measurements among it (``replicates``,
        ``failed_replicates``); the first withdrawn one comes first.
    """
    found = store.metas(WITHDRAWN_PREFIX)
    return [found[serial] for serial in sorted(found)]


def withdrawn_by_key(store: Store) -> dict[str, list[Kept]]:
    """Return what was withdrawn, by the key of its design.

    Args:
        store: The study file.

    Returns:
        The evaluations of each design of which any was withdrawn, as `withdrawn` gives them.
    """
    found: dict[str, list[Kept]] = {}
    for kept in withdrawn(store):
        found.setdefault(kept["key"], []).append(kept)
    return found


def words_of(kept: Kept) -> str:
    """Say of an evaluation that it was withdrawn, when and why.

    Args:
        kept: The evaluation, as `withdrawn` gives it.

    Returns:
        Such as "was withdrawn on 2026-11-30 19:05 UTC (wrong weights)".
    """
    about = kept["withdrawn"]
    at = time.strftime("%Y-%m-%d %H:%M", time.gmtime(about["at"]))
    words = f"was withdrawn on {at} UTC"
    if about["why"]:
        words += f" ({about['why']})"
    return words


def first_of(
    evaluations: Iterable[Kept], metrics: Mapping[str, float], failed: str | None
) -> Kept | None:
    """Find the evaluation that says already what somebody tells.

    Args:
        evaluations: Evaluations of the design that it is told of, as `withdrawn` gives them.
        metrics: What is told, without what the study derives.
        failed: Why the evaluation failed; None where it did not.

    Returns:
        The first one whose own figures these are, or those of a further measurement beside it; None
        where there is none.
    """
    for kept in evaluations:
        if _says(kept, metrics, failed):
            return kept
    return None


def _says(kept: Kept, metrics: Mapping[str, float], failed: str | None) -> bool:
    """Whether these are an evaluation's own figures, or those of a further measurement beside it."""
    beside = kept["beside"]
    if failed is not None:
        return failed in (kept["reason"], *beside.get("failed_replicates", ()))
    told = {**kept["params"], **metrics}.items()
    measured = (kept["metrics"], *beside.get("replicates", ()))
    return any(told <= {**kept["params"], **figures}.items() for figures in measured)
