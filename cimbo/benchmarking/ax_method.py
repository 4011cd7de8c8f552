"""Ax with its defaults (Sobol, then a modular BoTorch generator), through its client, references as thresholds."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig

from cimbo.benchmarking.method import Measured, Task
from cimbo.problem.objectives import Objective
from cimbo.problem.space import Choice, Params


class Ax:
    """Inactive genes are parameters like any other."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        logging.getLogger("ax").setLevel(logging.ERROR)
        self._task = task
        self._client = Client(random_seed=task.seed)
        self._client.configure_experiment([_parameter(c) for c in task.problem.space.choices])
        names = []
        for o in task.problem.objectives:
            if o.goal == "max":
                names.append(o.name)
            else:
                names.append(f"-{o.name}")
        limits = _thresholds(task.problem.objectives)
        limits += [f"{c.metric} {c.relation} {c.bound}" for c in task.problem.constraints]
        self._client.configure_optimization(", ".join(names), limits)
        self._trials: list[int] = []

    def ask(self, n: int) -> list[Params]:
        """Ask Ax for its next trials.

        Args:
            n: How many at most.

        Returns:
            A design for each trial that Ax proposes.
        """
        trials = self._client.get_next_trials(max_trials=n)
        self._trials = list(trials)
        space = self._task.problem.space
        return [space.canonical(dict(parameters)) for parameters in trials.values()]

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Complete the trials of the last ``ask``; a failure becomes a failed trial.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        for trial, metrics in zip(self._trials, measured, strict=True):
            if metrics is None:
                self._client.mark_trial_failed(trial)
            else:
                self._client.complete_trial(trial, raw_data=dict(metrics))


def _thresholds(objectives: Sequence[Objective]) -> list[str]:
    """References as Ax writes them; none for a single objective, on which Ax allows no limit."""
    found: list[str] = []
    if len(objectives) == 1:
        return found
    for objective in objectives:
        relation = ">=" if objective.goal == "max" else "<="
        if objective.reference is not None:
            found.append(f"{objective.name} {relation} {objective.reference}")
    return found


def _parameter(choice: Choice) -> Any:
    kind = "str"
    if choice.ordered:
        whole = all(isinstance(v, int) for v in choice.values)
        kind = "int" if whole else "float"
    return ChoiceParameterConfig(
        name=choice.name,
        values=list(choice.values),
        parameter_type=kind,
        is_ordered=choice.ordered,
    )
