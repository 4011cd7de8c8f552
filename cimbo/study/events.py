"""What happens during a study, for whoever shows it."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from cimbo.storage import Record

# Designs chosen at a time, and evaluations between two lines of `log_progress`.
DEFAULT_BATCH_SIZE = 5
logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class Proposed:
    """A batch was chosen: how many designs, how long that took, and what the user should know.

    Examples:
        >>> from cimbo import Proposed
        >>> Proposed(count=5, seconds=0.4, notes=()).count
        5
    """

    count: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Recorded:
    """An evaluation is on the disk; ``count`` of ``budget`` now, ``hypervolume`` None without references.

    Examples:
        >>> from cimbo import Choice, Objective, Recorded, Study
        >>> study = Study.open(None, [Choice("depth", [2, 4])], Objective("accuracy", "max"))
        >>> record = study.tell({"depth": 4}, {"accuracy": 84.0})
        >>> event = Recorded(record, count=1, budget=200, hypervolume=None)
        >>> f"{event.count} of {event.budget}"
        '1 of 200'
    """

    record: Record
    count: int
    budget: int
    hypervolume: float | None


@dataclass(frozen=True)
class Stopped:
    """The search ended before its budget; ``reason`` is one line.

    Examples:
        >>> from cimbo import Stopped
        >>> Stopped("the space is exhausted").reason
        'the space is exhausted'
    """

    reason: str


@dataclass(frozen=True)
class Checked:
    """A design of the front was measured once more after the search.

    Attributes:
        what: How, such as "on the test images".
        count: Designs measured so by now; 0 before the first.
        total: Designs to measure.

    Examples:
        >>> from cimbo import Checked
        >>> Checked("on the test images", count=3, total=31).count
        3
    """

    what: str
    count: int
    total: int


@dataclass(frozen=True)
class Phase:
    """Measurements of the front that come after the search.

    Attributes:
        what: How, such as "on the test images".
        designs: Designs to measure, of the front as it is now.
        evaluations: Time that each takes, in evaluations of the search.

    Examples:
        >>> from cimbo.study.events import Phase
        >>> Phase("on the test images", designs=31, evaluations=2.0).designs
        31
    """

    what: str
    designs: int
    evaluations: float


@dataclass(frozen=True)
class Ahead:
    """What follows the search, with first estimates of its time.

    Examples:
        >>> from cimbo import Ahead
        >>> from cimbo.study.events import Phase
        >>> ahead = Ahead((Phase("on the test images", designs=31, evaluations=2.0),))
        >>> [phase.what for phase in ahead.phases]
        ['on the test images']
    """

    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class Step:
    """A part of a computation is done, such as one kind of predictor that was judged.

    Attributes:
        what: What has parts, such as "predictors judged".
        count: Parts that are done; 0 before the first.
        total: Parts in all.

    Examples:
        >>> from cimbo import Step
        >>> step = Step("predictors judged", count=1, total=4)
        >>> f"{step.count} of {step.total} {step.what}"
        '1 of 4 predictors judged'
    """

    what: str
    count: int
    total: int


Event = Proposed | Recorded | Stopped | Checked | Ahead | Step
"""What a listener is told while a search runs.

Examples:
    >>> from typing import get_args
    >>> from cimbo import Event
    >>> [kind.__name__ for kind in get_args(Event)][:3]
    ['Proposed', 'Recorded', 'Stopped']
"""
Listener = Callable[[Event], None]
"""A function that is told of every `Event` of a search.

Examples:
    >>> from cimbo import Choice, Objective, Recorded, Study
    >>> seen = []
    >>> def listener(event):
    ...     if isinstance(event, Recorded):
    ...         seen.append(event.count)
    >>> study = Study.open(None, [Choice("depth", [2, 4])], Objective("accuracy", "max"))
    >>> _ = study.optimize(lambda design: {"accuracy": design["depth"]}, budget=2, listener=listener)
    >>> seen
    [1, 2]
"""


def ignore(event: Event) -> None:
    """Show nothing.

    Args:
        event: What happened.
    """


def log_progress(event: Event) -> None:
    """Log a line for every `DEFAULT_BATCH_SIZE` evaluations and a line for each failure.

    The default listener in Python. It uses the logger ``cimbo``. On a terminal, and where the
    program has set up no logging, the lines go to stderr.

    Args:
        event: What happened.
    """
    if isinstance(event, Recorded):
        _log_evaluation(event)
    elif isinstance(event, Proposed):
        for note in event.notes:
            _tell(logging.INFO, note)
    elif isinstance(event, Stopped):
        _tell(logging.WARNING, event.reason)
        if not _is_heard() and not _is_on_terminal():
            warnings.warn(event.reason, RuntimeWarning, stacklevel=2)
    elif isinstance(event, Checked) and event.count == 0:
        _tell(logging.INFO, f"measuring {event.total} designs of the front {event.what}")


def _log_evaluation(event: Recorded) -> None:
    """A line where an evaluation failed, and one every `DEFAULT_BATCH_SIZE` evaluations."""
    if event.record.status == "failed":
        _tell(logging.WARNING, f"{event.record.key} failed: {event.record.reason}")
    if event.count % DEFAULT_BATCH_SIZE != 0 and event.count != event.budget:
        return
    line = f"{event.count}/{event.budget} evaluations"
    if event.hypervolume is not None:
        line += f", hypervolume {event.hypervolume:.6g}"
    _tell(logging.INFO, line)


def _tell(level: int, line: str) -> None:
    """Log a line; where no handler would show it to somebody at a terminal, print it there."""
    logger.log(level, line)
    if _is_on_terminal() and not _is_heard():
        print(line, file=sys.stderr)


def _is_on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _is_heard() -> bool:
    """Whether the program has set up where log messages go."""
    handlers = [*logger.handlers, *logging.getLogger().handlers]
    return any(not isinstance(handler, logging.NullHandler) for handler in handlers)
