"""Problems of ``problems.py`` in the shape in which ``search_variants.run`` searches the generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import joint_problem
import numpy as np
import problems
from numpy.typing import NDArray
from search_variants import Subject

from cimbo.benchmarking.generated import generated
from cimbo.problem.objectives import Objective, Problem
from cimbo.problem.space import Params, Rows

Array = NDArray[np.float64]
NAMES = tuple(problems.PROBLEMS)


@dataclass(frozen=True)
class HandMade:
    """A problem made by hand; measurements have no noise.

    Attributes:
        joint: The problem.
    """

    joint: joint_problem.Problem

    @cached_property
    def problem(self) -> Problem:
        """Space and objectives, as a search gets them."""
        return Problem(self.joint.space, self.joint.objectives)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives, with references."""
        return self.joint.objectives

    def true_metrics(self, rows: Rows) -> dict[str, Array]:
        """Compute each objective (n,) of canonical rows (n, d)."""
        metrics = self.joint.metrics(rows)
        return {o.name: metrics[o.name] for o in self.objectives}

    def measure(self, designs: list[Params]) -> list[dict[str, float]]:
        """Evaluate designs: the objectives of each."""
        columns = self.true_metrics(self.joint.space.rows(designs))
        measured = []
        for i in range(len(designs)):
            measured.append({name: float(values[i]) for name, values in columns.items()})
        return measured

    def share(self, designs: Sequence[Params]) -> float:
        """Divide the hypervolume of designs by the largest known."""
        return self.joint.share(self.measure(list(designs)))


def subject(name: str) -> Subject:
    """Find a problem by name.

    Args:
        name: Of a generated problem, or of one of ``problems.py``.

    Returns:
        The problem.
    """
    if name in NAMES:
        return HandMade(problems.PROBLEMS[name])
    return generated(name)
