"""Optuna's samplers as search methods to compare with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna

from cimbo.benchmarking.method import Measured, Task
from cimbo.problem.space import Choice, Params, SearchSpace

VIOLATIONS_ATTRIBUTE = "violations"


class _Optuna:
    """A study of Optuna's in memory; a failed evaluation is a failed trial."""

    def __init__(self, task: Task, sampler: Any, *, conditional: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        words = {"max": "maximize", "min": "minimize"}
        directions = [words[o.goal] for o in task.problem.objectives]
        self._task, self._conditional = task, conditional
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._trials: list[Any] = []

    def ask(self, n: int) -> list[Params]:
        """Ask Optuna for trials.

        Args:
            n: How many.

        Returns:
            A design for each trial.
        """
        self._trials = [self._study.ask() for _ in range(n)]
        found = []
        for trial in self._trials:
            found.append(_design(trial, self._task.problem.space, conditional=self._conditional))
        return found

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Finish the trials of the last ``ask``; a failure becomes a failed trial.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        for trial, metrics in zip(self._trials, measured, strict=True):
            if metrics is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            trial.set_user_attr(VIOLATIONS_ATTRIBUTE, self._task.violations(metrics))
            self._study.tell(trial, [metrics[o.name] for o in self._task.problem.objectives])


class Tpe(_Optuna):
    """The tree-structured Parzen estimator; a gene is suggested only where it is active."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            task, optuna.samplers.TPESampler(seed=task.seed, **_constrained(task)), conditional=True
        )


class GpSampler(_Optuna):
    """The Gaussian-process sampler; it needs every gene in every trial."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            task, optuna.samplers.GPSampler(seed=task.seed, **_constrained(task)), conditional=False
        )


def _constrained(task: Task) -> dict[str, Any]:
    """Arguments that tell a sampler how far each trial violates the constraints; none without constraints."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if task.problem.constraints:
        return {"constraints_func": lambda trial: trial.user_attrs[VIOLATIONS_ATTRIBUTE]}
    return {}


def _design(trial: Any, space: SearchSpace, *, conditional: bool) -> Params:
    """The design that a trial stands for.

    Args:
        trial: An Optuna trial.
        space: The space of designs.
        conditional: Whether to ask only for the genes that are active; else for all of them.

    Returns:
        The active genes by name.
    """
    found: Params = {}
    for choice in space.choices:
        if not conditional or _active(trial, space, choice):
            found[choice.name] = _suggest(trial, choice)
    return space.canonical(found)


def _active(trial: Any, space: SearchSpace, choice: Choice) -> bool:
    """Whether a gene is active in a trial, by the values of its gates: the genes that it depends on.

    This may ask the trial for a gate before or after `_design` does: within one trial Optuna gives
    the same value each time.

    Returns:
        True where it is.
    """
    gates = []
    for name, values in choice.active_if.items():
        gates.append((space.choices[space.column[name]], values))
    return all(
        _active(trial, space, gate) and _suggest(trial, gate) in values for gate, values in gates
    )


def _suggest(trial: Any, choice: Choice) -> Any:
    if not choice.ordered:
        return trial.suggest_categorical(choice.name, choice.values)
    return choice.values[trial.suggest_int(choice.name, 0, len(choice.values) - 1)]
