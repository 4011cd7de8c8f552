"""What every method is told, and the two questions it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params

Array = NDArray[np.float64]
Measured = Mapping[str, float] | None  # None: the evaluation failed


@dataclass(frozen=True)
class Task:
    """The problem (with a reference for every objective), the seed, and what cimbo may know beyond the evaluations."""

    problem: Problem
    seed: int = 0
    guidance: OptimizerOptions = field(default_factory=OptimizerOptions)

    @property
    def reference(self) -> Array:
        """(m,), to be maximised."""
        reference = self.problem.reference()
        assert reference is not None
        return reference

    def violations(self, metrics: Mapping[str, float]) -> list[float]:
        """Compute how far each constraint is broken.

        Args:
            metrics: What a design measured, with every constrained metric.

        Returns:
            One number a constraint, in the metric's unit; 0 or less where it holds.
        """
        violations = []
        for c in self.problem.constraints:
            violations.append(float(c.violation(np.array([metrics[c.metric]]))[0]))
        return violations


class Peer(Protocol):
    """A search method, asked and told in turn."""

    def ask(self, n: int) -> list[Params]:
        """Propose designs to evaluate next.

        Every ``ask`` is followed by one ``tell`` of all its designs.

        Args:
            n: How many designs at most, 1 or more.

        Returns:
            1 to ``n`` designs; none when there are no more, which ends the run.
        """
        ...

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Take in what the designs of the last ``ask`` measured.

        Args:
            designs: These designs, as they were returned.
            measured: The metrics of each, in the same order; None where the evaluation failed.
        """
        ...
