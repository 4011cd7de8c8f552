"""Base class of pymoo's methods: integer genes, and generations that are handed out in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pymoo.core.evaluator import Evaluator
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.problems.static import StaticProblem

from cimbo.benchmarking.method import Array, Measured, Task
from cimbo.problem.space import Params

FAILED_SCORE = 1e9  # of a failed design in every objective, which pymoo minimises


def integer_operators() -> dict[str, Any]:
    """Make pymoo's operators for whole numbers, as keyword arguments of its algorithms."""
    return {
        "sampling": IntegerRandomSampling(),
        "crossover": SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        "mutation": PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
    }


class PymooMethod(ABC):
    """A method of pymoo, whose generations are handed out in batches.

    The algorithm is told of a generation when all of its designs have been evaluated.
    """

    def __init__(self, task: Task, algorithm: Any, *, n_constraints: int) -> None:
        self._task, self._space = task, task.problem.space
        self._problem = Problem(
            n_var=len(self._space.choices),
            n_obj=len(task.problem.objectives),
            n_ieq_constr=n_constraints,
            xl=0,
            xu=self._space.cardinalities - 1,
            vtype=int,
        )
        self._algorithm = algorithm
        self._algorithm.setup(
            self._problem, termination=NoTermination(), seed=task.seed, verbose=False
        )
        self._generation: Any = None
        self._answers: list[Measured] = []

    @abstractmethod
    def known(self, answers: Sequence[Measured]) -> Mapping[str, Array]:
        """Turn the metrics of a generation into the values that pymoo needs.

        Args:
            answers: The metrics of each design; None where the evaluation failed.

        Returns:
            "F", (n, objectives), values to minimise; and "G", (n, constraints), violations, where
            the method knows constraints.
        """

    def ask(self, n: int) -> list[Params]:
        """Hand out the next designs of the generation.

        Args:
            n: How many at most.

        Returns:
            1 to ``n`` designs; fewer than ``n`` at the end of a generation.
        """
        if self._generation is None:
            self._generation = self._algorithm.ask()
        rows = self._generation.get("X")[len(self._answers) :][:n]
        return self._space.designs(np.round(rows.astype(float)).astype(self._space.row_type))

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Collect what was measured; the algorithm hears of it when all of the generation is.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        self._answers += measured
        if len(self._answers) < len(self._generation):
            return
        known = self.known(self._answers)
        Evaluator().eval(StaticProblem(self._problem, **known), self._generation)
        self._algorithm.tell(infills=self._generation)
        self._generation, self._answers = None, []
