"""MOEA/D as pymoo has it, on integer genes: a generation is one child for each of some twenty directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pymoo.algorithms.moo.moead import ParallelMOEAD
from pymoo.util.ref_dirs import get_reference_directions

from cimbo.benchmarking.method import Array, Measured, Task
from cimbo.benchmarking.pymoo_method import FAILED_SCORE, PymooMethod, integer_operators

N_DIRECTIONS = 20
N_NEIGHBOURS = 6
# MOEA/D knows no constraints: a design that breaks one is made worse in every objective by so
# many times the objective's spread.
BROKEN_PENALTY = 10.0
LEAST_SPREAD = 1e-9


class Moead(PymooMethod):
    """Objectives are told in units of their spread over the first generation of which two designs can be compared."""

    def __init__(self, task: Task) -> None:
        directions = get_reference_directions(
            "energy", len(task.problem.objectives), N_DIRECTIONS, seed=task.seed
        )
        algorithm = ParallelMOEAD(directions, n_neighbors=N_NEIGHBOURS, **integer_operators())
        super().__init__(task, algorithm, n_constraints=0)
        self._unit: Array | None = None

    def known(self, answers: Sequence[Measured]) -> Mapping[str, Array]:
        """Say what pymoo is told of a generation.

        Args:
            answers: The metrics of each design; None where the evaluation failed.

        Returns:
            "F", (n, objectives), what is minimised.
        """
        problem = self._task.problem
        losses = np.full((len(answers), len(problem.objectives)), np.nan)
        n_broken = np.zeros(len(answers))
        for i, metrics in enumerate(answers):
            if metrics is not None:
                losses[i] = -problem.scores([metrics])[0]
                n_broken[i] = sum(v > 0 for v in self._task.violations(metrics))
        self._settle_unit(losses[~np.isnan(losses).any(1)])
        if self._unit is not None:
            losses = losses / self._unit
        scaled = losses + BROKEN_PENALTY * n_broken[:, None]
        return {"F": np.nan_to_num(scaled, nan=FAILED_SCORE)}

    def _settle_unit(self, succeeded: Array) -> None:
        """Take the spread of the first losses (n, objectives) of which two can be compared as unit."""
        if self._unit is None and len(succeeded) > 1:
            spread = succeeded.std(0)
            self._unit = np.where(spread > 0, np.maximum(spread, LEAST_SPREAD), 1.0)
