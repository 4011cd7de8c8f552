"""The interface of search methods: the task that each is given, and its two methods ``ask`` and ``tell``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import CimboError
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params

Array = NDArray[np.float64]
Measured = Mapping[str, float] | None  # None: the evaluation failed


class MethodFailure(CimboError):
    """A method raised while it was made, asked or told; other methods may go on."""


@dataclass(frozen=True)
class Task:
    """The task of a search method.

    Attributes:
        problem: Space, objectives (each with a reference) and constraints.
        seed: Seed of all randomness.
        guidance: Options of cimbo's optimizer, such as costs that it may compute; other methods ignore them.
    """

    problem: Problem
    seed: int = 0
    guidance: OptimizerOptions = field(default_factory=OptimizerOptions)

    @property
    def reference(self) -> Array:
        """The reference point, (m,) scores that are maximised."""
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
        for constraint in self.problem.constraints:
            values = np.array([metrics[constraint.metric]])
            violations.append(float(constraint.violation(values)[0]))
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
