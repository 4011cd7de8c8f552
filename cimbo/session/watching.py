"""A running study at one moment, for whoever watches it from another terminal."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cimbo.session.context import StudyContext
from cimbo.session.leases import Lease, leases
from cimbo.storage import Record

REASON_LENGTH = 60  # letters of a failure's reason by which failures are counted together


@dataclass(frozen=True)
class Snapshot:
    """What a study holds at one moment.

    Attributes:
        moment_s: When, in seconds of `time.monotonic`.
        evaluations: Evaluations in the study.
        budget: What the command that started the study asked for; None where that is not known.
        hypervolume: Of the front; None without references.
        last: The newest evaluation; None where there is none.
        failures: Failed evaluations by reason.
        at_work: Who evaluates what.
    """

    moment_s: float
    evaluations: int
    budget: int | None
    hypervolume: float | None
    last: Record | None
    failures: Mapping[str, int]
    at_work: tuple[Lease, ...]

    def seconds_per_evaluation(self, earlier: Snapshot) -> float | None:
        """Return the time that an evaluation has taken since an earlier moment.

        Args:
            earlier: The study at that moment.

        Returns:
            Seconds from one evaluation to the next, on average; None where none was recorded in
            between.
        """
        done = self.evaluations - earlier.evaluations
        if done > 0:
            return (self.moment_s - earlier.moment_s) / done
        return None

    def seconds_left(self, earlier: Snapshot) -> float | None:
        """Estimate the time until the budget is spent.

        Args:
            earlier: The study at an earlier moment, since when the rate is taken.

        Returns:
            Seconds; None where the rate or the budget is not known.
        """
        each = self.seconds_per_evaluation(earlier)
        if each is None or self.budget is None:
            return None
        return each * max(self.budget - self.evaluations, 0)


def snapshot(context: StudyContext) -> Snapshot:
    """Look at a study.

    Args:
        context: The study, opened to look at; evaluations of other processes are read at every call.

    Returns:
        What it holds now.
    """
    study = context.study
    records = study.evaluations()
    failed = []
    for record in records:
        if record.status == "failed":
            failed.append(record.reason or "no reason")
    return Snapshot(
        time.monotonic(),
        len(records),
        _budget(str(context.metadata.get("command") or "")),
        study.hypervolume(),
        records[-1] if records else None,
        Counter(reason[:REASON_LENGTH] for reason in failed),
        leases(context),
    )


def _budget(command: str) -> int | None:
    """What follows ``--budget`` in a command line."""
    try:
        words = shlex.split(command.replace("=", " "))
    except ValueError:  # an unclosed quote in a line that somebody else wrote
        return None
    if "--budget" not in words[:-1]:
        return None
    number = words[words.index("--budget") + 1]
    if number.isdecimal():
        return int(number)
    return None
