"""How the hypervolume of a search grew, evaluation by evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import dominated_by, hypervolume
from cimbo.storage import Record

Array = NDArray[np.float64]
LARGEST_SCORE = 1e100  # products of three still fit a float


def feasible(problem: Problem, record: Record) -> bool:
    """Tell whether an evaluation measured every objective within every constraint.

    Args:
        problem: Objectives and constraints.
        record: The evaluation.

    Returns:
        Whether it counts for the front.
    """
    return record.status == "done" and problem.feasible(record.metrics)


def hypervolume_history(
    problem: Problem,
    records: Sequence[Record],
    keep: Callable[[Record], bool] = lambda record: True,
) -> list[float]:
    """Compute the hypervolume after each evaluation.

    It is measured above the problem's references. Without them it is measured above the worst
    feasible values, which is good enough to see where a search still moved.

    Args:
        problem: Objectives, constraints and references.
        records: Evaluations in order.
        keep: Whether an evaluation counts; by default all do.

    Returns:
        One hypervolume for each of ``records``.
    """
    counted = [record for record in records if feasible(problem, record)]
    scores = problem.scores([record.metrics for record in counted])
    scores = np.clip(scores, -LARGEST_SCORE, LARGEST_SCORE)
    if not len(scores):
        return [0.0] * len(records)
    reference = problem.reference()
    if reference is None:
        reference = scores.min(0)
    by_number = {record.number: score for record, score in zip(counted, scores, strict=True)}
    front = scores[:0]
    value = 0.0
    history: list[float] = []
    for record in records:
        score = by_number.get(record.number)
        if score is not None and keep(record) and not dominated_by(score[None], front).any():
            value += _added(score, front, reference)
            is_beaten = dominated_by(front, score[None]).any(1)
            front = np.vstack([front[~is_beaten], score])
        history.append(value)
    return history


def _added(score: Array, front: Array, reference: Array) -> float:
    """What a design alone dominates: its box, less what the front does of it. Far cheaper than all anew."""
    box = hypervolume(score[None], reference)
    covered = hypervolume(np.minimum(front, score), reference)
    return box - covered
