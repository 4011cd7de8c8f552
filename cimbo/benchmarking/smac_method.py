"""SMAC3 with a random forest and ParEGO for several objectives; genes are conditional where they are in the space."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    InCondition,
    OrdinalHyperparameter,
)
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory.dataclasses import TrialValue

from cimbo.benchmarking.method import Measured, Task
from cimbo.problem.space import Choice, Params

N_TRIALS = 100_000  # SMAC needs a number; more than anybody asks for
FAILED_COST = 1e9
BROKEN_COST = 1e6  # added to every cost for each unit of violation, as SMAC knows no constraints


class Smac:
    """SMAC3, asked for one design after another."""

    def __init__(self, task: Task) -> None:
        logging.getLogger("smac").setLevel(logging.ERROR)
        self._task = task
        self._folder = tempfile.TemporaryDirectory()
        names = [o.name for o in task.problem.objectives]
        scenario = Scenario(
            _space(task),
            objectives=names,
            deterministic=True,
            n_trials=N_TRIALS,
            seed=task.seed,
            output_directory=Path(self._folder.name),
        )
        form = HyperparameterOptimizationFacade
        self._optimizer = form(
            scenario,
            _unused,
            multi_objective_algorithm=form.get_multi_objective_algorithm(scenario),
            overwrite=True,
            logging_level=logging.ERROR,
        )
        self._trials: list[Any] = []

    def ask(self, n: int) -> list[Params]:
        """Ask SMAC for one trial after another.

        Args:
            n: How many.

        Returns:
            A design for each trial.
        """
        self._trials = [self._optimizer.ask() for _ in range(n)]
        space = self._task.problem.space
        return [space.canonical(_plain(dict(t.config))) for t in self._trials]

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Tell SMAC the costs of the last trials.

        A broken constraint adds to every cost; a failure has large costs.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        objectives = self._task.problem.objectives
        for trial, metrics in zip(self._trials, measured, strict=True):
            costs = [FAILED_COST] * len(objectives)
            if metrics is not None:
                broken = sum(max(v, 0.0) for v in self._task.violations(metrics))
                costs = [-o.sign * metrics[o.name] + BROKEN_COST * broken for o in objectives]
            self._optimizer.tell(trial, TrialValue(cost=costs), save=False)


def _unused(config: Any, seed: int = 0) -> list[float]:
    """SMAC wants a function even where it is asked and told."""
    raise AssertionError("SMAC is asked and told")


def _plain(configuration: dict[str, Any]) -> Params:
    """A configuration of SMAC as a design: plain Python values instead of numpy's."""
    plain = {}
    for name, value in configuration.items():
        plain[str(name)] = value.item() if hasattr(value, "item") else value
    return plain


def _space(task: Task) -> ConfigurationSpace:
    """The space of a task for SMAC; a gene that is not always active has conditions."""
    space = ConfigurationSpace(seed=task.seed)
    parameters = {}
    for choice in task.problem.space.choices:
        parameters[choice.name] = _parameter(choice)
    space.add(*parameters.values())
    for choice in task.problem.space.choices:
        conditions = []
        for gate, values in choice.active_if.items():
            conditions.append(InCondition(parameters[choice.name], parameters[gate], list(values)))
        if len(conditions) == 1:
            space.add(conditions[0])
        elif conditions:
            space.add(AndConjunction(*conditions))
    return space


def _parameter(choice: Choice) -> Any:
    """A gene as a hyperparameter of SMAC."""
    if choice.ordered:
        return OrdinalHyperparameter(choice.name, list(choice.values))
    return CategoricalHyperparameter(choice.name, list(choice.values))
