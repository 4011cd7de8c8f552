"""A study as an Optuna storage that optuna-dashboard opens."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.errors import BadInput
from cimbo.problem.objectives import Problem
from cimbo.storage import Record

CONSTRAINTS_ATTRIBUTE = "constraints"  # the system attribute in which Optuna's samplers and its dashboard look for violations


def write(
    path: Path, name: str, problem: Problem, records: list[Record], *, about: Mapping[str, Any]
) -> None:
    """Writes every record as a finished trial of an Optuna study.

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
    directions = ["maximize" if o.goal == "max" else "minimize" for o in problem.objectives]
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
    event.listen(
        storage.engine,
        "connect",
        lambda connection, _: connection.execute("PRAGMA synchronous = OFF"),
    )
    storage.engine.dispose()  # connections made so far wait for the disk
    return storage


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise BadInput(
            "--to optuna", "Optuna is not installed", "pip install 'cimbo[optuna]'"
        ) from None
    return optuna


def _trial(optuna: Any, problem: Problem, r: Record) -> Any:
    genes = {}
    for choice in problem.space.choices:
        genes[choice.name] = optuna.distributions.CategoricalDistribution(choice.values)
    names = [o.name for o in problem.objectives]
    done = r.status == "done" and all(name in r.metrics for name in names)
    told: dict[str, Any] = {"key": r.key, "origin": r.origin, "seconds": r.seconds} | r.metrics
    told |= {"reason": r.reason} if r.reason else {}
    violations = []
    for c in problem.constraints:
        if c.metric in r.metrics:
            violations.append(float(c.violation(np.array([r.metrics[c.metric]], float))[0]))
    whole = len(violations) == len(problem.constraints) > 0
    state, values = optuna.trial.TrialState.FAIL, None
    if done:
        state = optuna.trial.TrialState.COMPLETE
        values = [r.metrics[name] for name in names]
    system_attrs = {}
    if whole:
        system_attrs = {CONSTRAINTS_ATTRIBUTE: violations}
    return optuna.trial.create_trial(
        state=state,
        values=values,
        params=dict(r.params),
        distributions={name: genes[name] for name in r.params},
        user_attrs=told,
        system_attrs=system_attrs,
    )
