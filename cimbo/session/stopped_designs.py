"""Designs that a stage of the study stopped: how many there are, and how many of them matter for the front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.evaluation.low_fidelity import is_below_target
from cimbo.problem.fidelity import believed_in_full
from cimbo.problem.pareto import non_dominated
from cimbo.storage import Record
from cimbo.study.study import Study


@dataclass(frozen=True)
class StoppedDesigns:
    """Designs of a study of which only a part was measured; none of them can be on the front.

    Attributes:
        count: How many there are.
        promising: How many would be on the front if a full measurement gave what is recorded.
    """

    count: int
    promising: int

    def told(self) -> str | None:
        """Say it in a line; None where there are none."""
        if self.count == 0:
            return None
        are = "1 design is" if self.count == 1 else f"{self.count} designs are"
        return (
            f"{are} measured in part only, {self.promising} of which would be on the front by "
            "what is recorded; cimbo evaluate KEY measures one in full"
        )


NONE_STOPPED = StoppedDesigns(0, 0)


def stopped_designs(study: Study) -> StoppedDesigns:
    """Count the designs of a study of which only a part was measured.

    Args:
        study: The study. Where it keeps genes at a value, other designs do not count.

    Returns:
        The counts.
    """
    stopped = stopped_records(study)
    front = [record.metrics for record in study.pareto()]
    believed = [believed_in_full(record.metrics) for record in stopped]
    believed = [metrics for metrics in believed if study.problem.feasible(metrics)]
    if not believed:
        return StoppedDesigns(len(stopped), 0)
    scores = study.problem.scores(believed)
    if front:
        scores = np.vstack([study.problem.scores(front), scores])
    promising = non_dominated(scores)[len(front) :]
    return StoppedDesigns(len(stopped), int(promising.sum()))


def stopped_records(study: Study) -> list[Record]:
    """Find the designs that cannot be on the front because something of them was measured in part only.

    Args:
        study: The study.

    Returns:
        Their evaluations, in order.
    """
    found = []
    for record in study.matching_fixed():
        if record.status == "done" and is_below_target(study.problem, record.metrics):
            found.append(record)
    return found
