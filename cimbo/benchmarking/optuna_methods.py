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
    """An Optuna study in memory; a failed evaluation is a failed trial.

    Args:
        task: The problem and the seed.
        sampler: The Optuna sampler.
        conditional: Whether it is asked only for active genes; else for every gene in every trial.
    """

    def __init__(self, task: Task, sampler: Any, *, conditional: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
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
        space = self._task.problem.space
        return [_design(trial, space, conditional=self._conditional) for trial in self._trials]

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


class TpeMultivariate(_Optuna):
    """The estimator over all genes at once, with pending trials counted as bad.

    Optuna's AutoSampler chooses this below 250 trials of several objectives, where genes are
    categorical or conditional or objectives are four and more; else it chooses the GPSampler.
    AutoSampler itself is not used, as its code is downloaded when it starts.
    """

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=task.seed,
            multivariate=True,
            constant_liar=True,
            **_constrained(task),
        )
        super().__init__(task, sampler, conditional=True)


class GpSampler(_Optuna):
    """The Gaussian-process sampler; it needs every gene in every trial."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            task, optuna.samplers.GPSampler(seed=task.seed, **_constrained(task)), conditional=False
        )


def _constrained(task: Task) -> dict[str, Any]:
    """Arguments that tell a sampler how far each trial violates the constraints; none without constraints."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    # Optuna 4 knows no other way to tell constraints
    warnings.filterwarnings("ignore", message="`constraints_func`", category=FutureWarning)
    if task.problem.constraints:
        return {"constraints_func": lambda trial: trial.user_attrs[VIOLATIONS_ATTRIBUTE]}
    return {}


def _design(trial: Any, space: SearchSpace, *, conditional: bool) -> Params:
    """Ask a trial for the values of genes, which make a design.

    Args:
        trial: An Optuna trial.
        space: The space of designs.
        conditional: Whether to ask only for the genes that are active; else for all of them.

    Returns:
        The active genes by name.
    """
    genes: Params = {}
    for choice in space.choices:
        if not conditional or _active(trial, space, choice):
            genes[choice.name] = _suggest(trial, choice)
    return space.canonical(genes)


def _active(trial: Any, space: SearchSpace, choice: Choice) -> bool:
    """Whether a gene is active in a trial: whether all genes that it depends on have values that allow it.

    This may ask the trial for such a gene before `_design` does: within one trial Optuna gives the
    same value each time.

    Returns:
        True where it is.
    """
    for name, allowed_values in choice.active_if.items():
        gate = space.choices[space.column[name]]
        if not _active(trial, space, gate) or _suggest(trial, gate) not in allowed_values:
            return False
    return True


def _suggest(trial: Any, choice: Choice) -> Any:
    """The value that a trial suggests for a gene; ordered ones are suggested by their index."""
    if not choice.ordered:
        return trial.suggest_categorical(choice.name, choice.values)
    return choice.values[trial.suggest_int(choice.name, 0, len(choice.values) - 1)]
