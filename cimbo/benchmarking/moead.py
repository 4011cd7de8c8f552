"""MOEA/D as pymoo has it, on integer genes: a generation has one child for each of N_DIRECTIONS directions."""

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
    """MOEA/D, with objectives divided by their standard deviation over the first generation.

    MOEA/D weighs objectives against each other, so they need a common scale. The first generation in
    which at least two designs succeeded sets it.
    """

    def __init__(self, task: Task) -> None:
        directions = get_reference_directions(
            "energy", len(task.problem.objectives), N_DIRECTIONS, seed=task.seed
        )
        algorithm = ParallelMOEAD(directions, n_neighbors=N_NEIGHBOURS, **integer_operators())
        super().__init__(task, algorithm, n_constraints=0)
        self._unit: Array | None = None

    def known(self, answers: Sequence[Measured]) -> Mapping[str, Array]:
        """Turn the metrics of a generation into the values that pymoo needs.

        Args:
            answers: The metrics of each design; None where the evaluation failed.

        Returns:
            "F", (n, objectives), values to minimise, with a penalty for each broken constraint.
            Failed designs have FAILED_SCORE.
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
        """Set the unit of each objective once, from the losses (n, objectives) of designs that succeeded."""
        if self._unit is None and len(succeeded) > 1:
            spread = succeeded.std(0)
            self._unit = np.where(spread > 0, np.maximum(spread, LEAST_SPREAD), 1.0)
