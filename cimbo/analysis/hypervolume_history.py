"""How the hypervolume of a search grew, evaluation by evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import dominated_by, hypervolume
from cimbo.storage import Record

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
    counted = [r for r in records if feasible(problem, r)]
    scores = np.clip(problem.scores([r.metrics for r in counted]), -LARGEST_SCORE, LARGEST_SCORE)
    if not len(scores):
        return [0.0] * len(records)
    reference = problem.reference()
    if reference is None:
        reference = scores.min(0)
    by_number = {r.number: score for r, score in zip(counted, scores, strict=True)}
    front, value = scores[:0], 0.0
    history: list[float] = []
    for record in records:
        score = by_number.get(record.number)
        if score is not None and keep(record) and not dominated_by(score[None], front).any():
            # What only this design dominates: its box, less what the front dominates of it. Far cheaper than all anew.
            value += hypervolume(score[None], reference) - hypervolume(
                np.minimum(front, score), reference
            )
            front = np.vstack([front[~dominated_by(front, score[None]).any(1)], score])
        history.append(value)
    return history
