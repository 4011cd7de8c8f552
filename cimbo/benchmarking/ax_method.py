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
    """Ax's client; inactive genes are parameters like any other."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        logging.getLogger("ax").setLevel(logging.ERROR)
        self._task = task
        self._client = Client(random_seed=task.seed)
        self._client.configure_experiment([_parameter(c) for c in task.problem.space.choices])
        names = []
        for objective in task.problem.objectives:
            if objective.goal == "max":
                names.append(objective.name)
            else:
                names.append(f"-{objective.name}")  # Ax minimises what has a minus
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
    """The objectives' references as Ax writes thresholds; none for a single objective, where Ax allows none."""
    thresholds: list[str] = []
    if len(objectives) == 1:
        return thresholds
    for objective in objectives:
        relation = ">=" if objective.goal == "max" else "<="
        if objective.reference is not None:
            thresholds.append(f"{objective.name} {relation} {objective.reference}")
    return thresholds


def _parameter(choice: Choice) -> Any:
    """A gene as a parameter of Ax."""
    value_type = "str"
    if choice.ordered:
        is_whole = all(isinstance(value, int) for value in choice.values)
        value_type = "int" if is_whole else "float"
    return ChoiceParameterConfig(
        name=choice.name,
        values=list(choice.values),
        parameter_type=value_type,
        is_ordered=choice.ordered,
    )
