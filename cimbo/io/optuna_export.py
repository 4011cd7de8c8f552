"""A study as an Optuna storage that optuna-dashboard opens."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.errors import BadInput
from cimbo.problem.objectives import Constraint, Problem
from cimbo.storage import Record

# The system attribute in which Optuna's samplers and its dashboard look for violations.
CONSTRAINTS_ATTRIBUTE = "constraints"
OPTUNA_DIRECTIONS = {"max": "maximize", "min": "minimize"}


def write(
    path: Path, name: str, problem: Problem, records: list[Record], *, about: Mapping[str, Any]
) -> None:
    """Write every record as a finished trial of an Optuna study.

    Genes are categorical parameters (inactive ones are left out), objectives the values, everything
    else that was measured user attributes; violations of constraints are stored where Optuna looks
    for them.

    Args:
        path: The SQLite file, which must not exist.
        name: Name of the study in it.
        problem: The problem, whose objectives and constraints count.
        records: The evaluations; those that failed or lack an objective become failed trials.
        about: User attributes of the study.

    Raises:
        BadInput: When Optuna is not installed or the file exists.
    """
    optuna = _optuna()
    if path.exists():
        raise BadInput(path, "exists already", "name another file, or remove it")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [OPTUNA_DIRECTIONS[objective.goal] for objective in problem.objectives]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # metric names are called experimental
        study = optuna.create_study(
            storage=_storage(optuna, path), study_name=name, directions=directions
        )
        study.set_metric_names([o.name for o in problem.objectives])
        for key, value in about.items():
            study.set_user_attr(key, value)
        study.add_trials([_trial(optuna, problem, r) for r in records])


def _storage(optuna: Any, path: Path) -> Any:
    """A new file, which is not forced to the disk after each attribute of each trial: it can be written again."""
    from sqlalchemy import event  # type: ignore[import-not-found, unused-ignore]

    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")

    def without_waiting(connection: Any, _: Any) -> None:
        """Let a new connection not wait for the disk."""
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(storage.engine, "connect", without_waiting)
    storage.engine.dispose()  # connections made so far wait for the disk
    return storage


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        todo = "pip install 'cimbo[optuna]'"
        raise BadInput("--to optuna", "Optuna is not installed", todo) from None
    return optuna


def _trial(optuna: Any, problem: Problem, record: Record) -> Any:
    """A record as a trial that has ended."""
    state = optuna.trial.TrialState.FAIL
    values = _values(problem, record)
    if values is not None:
        state = optuna.trial.TrialState.COMPLETE
    distributions = {}
    for name in record.params:
        choice = problem.space.choices[problem.space.column[name]]
        distributions[name] = optuna.distributions.CategoricalDistribution(choice.values)
    return optuna.trial.create_trial(
        state=state,
        values=values,
        params=dict(record.params),
        distributions=distributions,
        user_attrs=_user_attributes(record),
        system_attrs=_system_attributes(problem, record),
    )


def _values(problem: Problem, record: Record) -> list[float] | None:
    """The objectives; None for an evaluation that failed or lacks one."""
    names = [objective.name for objective in problem.objectives]
    if record.status != "done" or not all(name in record.metrics for name in names):
        return None
    return [record.metrics[name] for name in names]


def _user_attributes(record: Record) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "key": record.key,
        "origin": record.origin,
        "seconds": record.seconds,
        **record.metrics,
    }
    if record.reason:
        attributes["reason"] = record.reason
    return attributes


def _system_attributes(problem: Problem, record: Record) -> dict[str, Any]:
    """Violations of the constraints, as Optuna looks for them, where all of them were measured."""
    constraints = problem.constraints
    if not constraints or any(c.metric not in record.metrics for c in constraints):
        return {}
    violations = [_violation(c, record.metrics[c.metric]) for c in constraints]
    return {CONSTRAINTS_ATTRIBUTE: violations}


def _violation(constraint: Constraint, measured: float) -> float:
    return float(constraint.violation(np.array([measured], float))[0])
