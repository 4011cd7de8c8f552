"""MOEA/D as pymoo has it, on integer genes: a generation is one child for each of some twenty directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pymoo.algorithms.moo.moead import ParallelMOEAD
from pymoo.core.evaluator import Evaluator
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.problems.static import StaticProblem
from pymoo.util.ref_dirs import get_reference_directions

from cimbo.benchmarking.method import Array, Measured, Task
from cimbo.problem.space import Params

N_DIRECTIONS = 20
N_NEIGHBOURS = 6
FAILED_SCORE = 1e9
# It knows no constraints: a design that breaks one is this much worse in every objective, in units of the objective's spread
BROKEN_PENALTY = 10.0


class Moead:
    """Objectives are told in units of their spread over the first generation, as MOEA/D compares them."""

    def __init__(self, task: Task) -> None:
        self._task, self._space = task, task.problem.space
        self._problem = Problem(
            n_var=len(self._space.choices),
            n_obj=len(task.problem.objectives),
            xl=0,
            xu=self._space.cardinalities - 1,
            vtype=int,
        )
        directions = get_reference_directions(
            "energy", len(task.problem.objectives), N_DIRECTIONS, seed=task.seed
        )
        self._algorithm = ParallelMOEAD(
            directions,
            n_neighbors=N_NEIGHBOURS,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        )
        self._algorithm.setup(
            self._problem, termination=NoTermination(), seed=task.seed, verbose=False
        )
        self._generation: Any = None
        self._answers: list[Measured] = []
        self._unit: Array | None = None

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
        known = {"F": self._losses()}
        Evaluator().eval(StaticProblem(self._problem, **known), self._generation)
        self._algorithm.tell(infills=self._generation)
        self._generation, self._answers = None, []

    def _losses(self) -> Array:
        """(n, m) what is minimised."""
        objectives = self._task.problem.objectives
        losses = np.full((len(self._answers), len(objectives)), np.nan)
        broken = np.zeros(len(self._answers))
        for i, metrics in enumerate(self._answers):
            if metrics is not None:
                losses[i] = [-o.sign * metrics[o.name] for o in objectives]
                broken[i] = sum(v > 0 for v in self._task.violations(metrics))
        if self._unit is None:
            self._unit = np.maximum(np.nan_to_num(np.nanstd(losses, axis=0)), 1e-9)
        scaled = losses / self._unit + BROKEN_PENALTY * broken[:, None]
        return np.nan_to_num(scaled, nan=FAILED_SCORE)
