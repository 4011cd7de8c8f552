"""NSGA-II as pymoo has it, on integer genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.problems.static import StaticProblem

from cimbo.benchmarking.method import Measured, Task
from cimbo.problem.space import Params

POPULATION_SIZE = 20  # ten generations of a budget of 200
FAILED_SCORE = 1e9


class Nsga2:
    """A generation is handed out in batches, and told when all of it is measured."""

    def __init__(self, task: Task) -> None:
        self._task, self._space = task, task.problem.space
        self._problem = Problem(
            n_var=len(self._space.choices),
            n_obj=len(task.problem.objectives),
            n_ieq_constr=len(task.problem.constraints),
            xl=0,
            xu=self._space.cardinalities - 1,
            vtype=int,
        )
        self._algorithm = NSGA2(
            pop_size=POPULATION_SIZE,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        self._algorithm.setup(
            self._problem, termination=NoTermination(), seed=task.seed, verbose=False
        )
        self._generation: Any = None
        self._answers: list[Measured] = []

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
        return self._space.designs(rows.astype(self._space.row_type))

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Collect what was measured; the algorithm hears of it when all of the generation is.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        self._answers += measured
        if len(self._answers) < len(self._generation):
            return
        objectives, task = self._task.problem.objectives, self._task
        f = [
            [-o.sign * m[o.name] for o in objectives] if m else [FAILED_SCORE] * len(objectives)
            for m in self._answers
        ]
        g = [
            task.violations(m) if m else [FAILED_SCORE] * len(task.problem.constraints)
            for m in self._answers
        ]
        known = {"F": np.array(f)} | ({"G": np.array(g)} if task.problem.constraints else {})
        Evaluator().eval(StaticProblem(self._problem, **known), self._generation)
        self._algorithm.tell(infills=self._generation)
        self._generation, self._answers = None, []
