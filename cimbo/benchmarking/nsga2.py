"""NSGA-II as pymoo has it, on integer genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2

from cimbo.benchmarking.method import Array, Measured, Task
from cimbo.benchmarking.pymoo_method import FAILED_SCORE, PymooMethod, integer_operators

POPULATION_SIZE = 20  # ten generations of a budget of 200


class Nsga2(PymooMethod):
    """NSGA-II, which knows constraints."""

    def __init__(self, task: Task) -> None:
        algorithm = NSGA2(
            pop_size=POPULATION_SIZE, eliminate_duplicates=True, **integer_operators()
        )
        super().__init__(task, algorithm, n_constraints=len(task.problem.constraints))

    def known(self, answers: Sequence[Measured]) -> Mapping[str, Array]:
        """Turn the metrics of a generation into the values that pymoo needs.

        Args:
            answers: The metrics of each design; None where the evaluation failed.

        Returns:
            "F", (n, objectives), values to minimise; where there are constraints also "G",
            (n, constraints), by how much each is broken. Failed designs have FAILED_SCORE.
        """
        problem = self._task.problem
        losses = []
        violations = []
        for metrics in answers:
            if metrics:
                losses.append((-problem.scores([metrics])[0]).tolist())
                violations.append(self._task.violations(metrics))
            else:
                losses.append([FAILED_SCORE] * len(problem.objectives))
                violations.append([FAILED_SCORE] * len(problem.constraints))
        values = {"F": np.array(losses)}
        if problem.constraints:
            values["G"] = np.array(violations)
        return values
