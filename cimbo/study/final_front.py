"""The front after its designs were verified on bit-accurate arrays: ranked by what was found there.

A search ranks designs by accuracies under equivalent noise. Its finalists are measured in the bit-accurate form on test
images, and the difference is added to the accuracy that the search saw. A difference that its sampling error explains
(SHOWN_BY_ERRORS) counts as none: a few hundred images would otherwise shuffle designs that are alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import hypervolume, non_dominated
from cimbo.storage import Record

if TYPE_CHECKING:
    from cimbo.study.log import StudyLog

ACCURACY_METRIC = "accuracy"
SHOWN_BY_ERRORS = 2.0  # sampling errors that a difference exceeds before it counts
MOST_PERCENT = 100.0

Difference = Mapping[str, float]  # points, error and images, as the study keeps them


@dataclass(frozen=True)
class FinalFront:
    """The verified designs that none of the others beats, by their accuracy in the bit-accurate form.

    Attributes:
        records: The designs as the search measured them, in the order of the front.
        accuracies: The accuracy in percent by which each of them was ranked.
        dropped: Keys of designs on the search's front that are not on this one.
        hypervolume: Of this front above the references; None where an objective has none.
    """

    records: tuple[Record, ...]
    accuracies: tuple[float, ...]
    dropped: tuple[str, ...]
    hypervolume: float | None


def is_verified(difference: Difference | None) -> bool:
    """Tells whether a difference was stored with its sampling error.

    Args:
        difference: What a study holds of one design; None for nothing.

    Returns:
        False for differences without a sampling error, which releases before 0.3 stored: they are measured anew.
    """
    return difference is not None and "error" in difference


def counted_points(difference: Difference) -> float:
    """Gives the part of a difference that is more than its sampling error.

    Args:
        difference: ``points`` and ``error`` in percentage points.

    Returns:
        ``points``, or 0 where SHOWN_BY_ERRORS times the error explains them.
    """
    points = difference["points"]
    if abs(points) > SHOWN_BY_ERRORS * difference["error"]:
        return points
    return 0.0


def in_exact_form(problem: Problem, record: Record, difference: Difference) -> Record:
    """Gives a record with the accuracy that it has in the bit-accurate form.

    Args:
        problem: The study's question; what it derives from the accuracy is computed anew.
        record: A design that was evaluated.
        difference: What was found of it on bit-accurate arrays.

    Returns:
        The record with other metrics.
    """
    accuracy = record.metrics[ACCURACY_METRIC] + counted_points(difference)
    metrics = dict(record.metrics)
    for name in _derived_from_accuracy(problem):
        metrics.pop(name, None)
    metrics[ACCURACY_METRIC] = min(max(accuracy, 0.0), MOST_PERCENT)
    return replace(record, metrics=problem.completed(metrics, record.params))


def _derived_from_accuracy(problem: Problem) -> list[str]:
    """Names of the metrics that the study computes from an accuracy."""
    derived = problem.derived
    return [name for name in derived.expressions if ACCURACY_METRIC in derived.parts(name)]


def unverified_finalists(log: StudyLog) -> list[Record]:
    """Lists the designs that have yet to be verified before there is a final front.

    Args:
        log: The study.

    Returns:
        Those of the front of the accuracies as far as they are known: bit-accurate where they were verified.
    """
    known = log.bit_accurate_differences()
    finalists = _non_dominated(log.problem, _finalists(log, known))
    found = []
    for finalist in finalists:
        if not is_verified(known.get(finalist.key)):
            found.append(finalist.searched)
    return found


@dataclass(frozen=True)
class _Finalist:
    """A feasible design, as the search measured it and with its bit-accurate accuracy where that is known."""

    searched: Record
    exact: Record

    @property
    def key(self) -> str:
        return self.searched.key


def _finalists(log: StudyLog, known: Mapping[str, Difference]) -> list[_Finalist]:
    """The designs that are feasible by the search and by what is known of their accuracy in the bit-accurate form."""
    found = []
    for record in log.feasible_evaluations():
        difference = known.get(record.key)
        exact = record
        if difference is not None and is_verified(difference) and ACCURACY_METRIC in record.metrics:
            exact = in_exact_form(log.problem, record, difference)
        if log.problem.feasible(exact.metrics):
            found.append(_Finalist(record, exact))
    return found


def _non_dominated(problem: Problem, finalists: list[_Finalist]) -> list[_Finalist]:
    """Those that none of the others beats in the bit-accurate form."""
    if not finalists:
        return []
    scores = problem.scores([finalist.exact.metrics for finalist in finalists])
    return [finalists[i] for i in np.flatnonzero(non_dominated(scores))]


def final_front(log: StudyLog) -> FinalFront | None:
    """Ranks the verified designs of a study by their accuracy in the bit-accurate form.

    Args:
        log: The study.

    Returns:
        The front; None while a design of the search's own front is not verified.
    """
    known = _verified_differences(log)
    searched = log.pareto()
    if not known or not searched or any(record.key not in known for record in searched):
        return None
    verified = [finalist for finalist in _finalists(log, known) if finalist.key in known]
    if not verified:
        return None
    front = _ranked(log.problem, _non_dominated(log.problem, verified))
    on_front = {finalist.key for finalist in front}
    return FinalFront(
        records=tuple(finalist.searched for finalist in front),
        accuracies=tuple(finalist.exact.metrics[ACCURACY_METRIC] for finalist in front),
        dropped=tuple(record.key for record in searched if record.key not in on_front),
        hypervolume=_exact_hypervolume(log.problem, verified),
    )


def _verified_differences(log: StudyLog) -> dict[str, Difference]:
    """The differences that were stored with their sampling errors, by the key of the design."""
    found: dict[str, Difference] = {}
    for key, difference in log.bit_accurate_differences().items():
        if is_verified(difference):
            found[key] = difference
    return found


def _ranked(problem: Problem, finalists: list[_Finalist]) -> list[_Finalist]:
    """In the order of a front: the best of the first objective first, of equals the one measured first."""
    first = problem.objectives[0]

    def rank(finalist: _Finalist) -> tuple[float, int]:
        """What is smaller comes first."""
        return (-first.sign * finalist.exact.metrics[first.name], finalist.searched.number)

    return sorted(finalists, key=rank)


def _exact_hypervolume(problem: Problem, finalists: list[_Finalist]) -> float | None:
    """The hypervolume in the bit-accurate form; None where an objective has no reference."""
    reference = problem.reference()
    if reference is None:
        return None
    scores = problem.scores([finalist.exact.metrics for finalist in finalists])
    return hypervolume(scores, reference)
