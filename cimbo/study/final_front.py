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
    """Tells whether a stored difference says how exact it is.

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
    metrics = {**record.metrics, ACCURACY_METRIC: min(max(accuracy, 0.0), MOST_PERCENT)}
    derived = problem.derived
    for name in derived.expressions:
        if name in metrics and ACCURACY_METRIC in derived.parts(name) and name != ACCURACY_METRIC:
            del metrics[name]
    return replace(record, metrics=problem.completed(metrics, record.params))


def unverified_finalists(log: StudyLog) -> list[Record]:
    """Lists the designs that have yet to be verified before there is a final front.

    Args:
        log: The study.

    Returns:
        Those of the front of the accuracies as far as they are known: bit-accurate where they were verified.
    """
    known = log.bit_accurate_differences()
    records, exact = _known_best(log, known)
    if exact:
        scores = log.problem.scores([r.metrics for r in exact])
    else:
        scores = np.zeros((0, 1))
    front = []
    if exact:
        front = [records[i] for i in np.flatnonzero(non_dominated(scores))]
    return [r for r in front if not is_verified(known.get(r.key))]


def _known_best(
    log: StudyLog, known: Mapping[str, Difference]
) -> tuple[list[Record], list[Record]]:
    """Feasible designs as measured, and with what is known of their accuracy in the bit-accurate form."""
    records, exact = [], []
    for record in log.feasible_evaluations():
        difference = known.get(record.key)
        best = record
        if difference is not None and is_verified(difference) and ACCURACY_METRIC in record.metrics:
            best = in_exact_form(log.problem, record, difference)
        if log.problem.feasible(best.metrics):
            records.append(record)
            exact.append(best)
    return records, exact


def final_front(log: StudyLog) -> FinalFront | None:
    """Ranks the verified designs of a study by their accuracy in the bit-accurate form.

    Args:
        log: The study.

    Returns:
        The front; None while a design of the search's own front is not verified.
    """
    known = {}
    for k, d in log.bit_accurate_differences().items():
        if is_verified(d):
            known[k] = d
    searched = log.pareto()
    if not known or not searched or any(record.key not in known for record in searched):
        return None
    pairs = []
    for record, exact in zip(*_known_best(log, known), strict=True):
        if record.key in known:
            pairs.append((record, exact))
    if not pairs:
        return None
    scores = log.problem.scores([exact.metrics for _, exact in pairs])
    kept = [pairs[i] for i in np.flatnonzero(non_dominated(scores))]
    first = log.problem.objectives[0]
    kept.sort(key=lambda pair: (-first.sign * pair[1].metrics[first.name], pair[0].number))
    on_front = {record.key for record, _ in kept}
    reference = log.problem.reference()
    return FinalFront(
        tuple(record for record, _ in kept),
        tuple(exact.metrics[ACCURACY_METRIC] for _, exact in kept),
        tuple(record.key for record in searched if record.key not in on_front),
        None if reference is None else hypervolume(scores, reference),
    )
