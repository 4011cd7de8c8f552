"""cimbo: joint search over neural sub-networks and compute-in-memory chips.

>>> from cimbo import Choice, Constraint, Objective, SearchSpace, Study

Importing this package loads nothing else: each name brings its module when it is asked for, and torch comes with the first
proposal.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cimbo._data import __version__

if TYPE_CHECKING:
    from cimbo.config.study_config import Config
    from cimbo.errors import BadInput, CimboError, EvaluationsFailed, StudyError, UnknownOption
    from cimbo.execution import ExecutionOptions
    from cimbo.execution.worker import Evaluate
    from cimbo.optimizer.convergence import Forecast
    from cimbo.optimizer.options import Guidance, OptimizerOptions
    from cimbo.optimizer.views import AnalyticFunction, View
    from cimbo.problem.objectives import Candidate, Constraint, Objective, Problem
    from cimbo.problem.space import Choice, SearchSpace
    from cimbo.session.opening import Source, open_session
    from cimbo.session.session import Session
    from cimbo.session.workers import Workers
    from cimbo.storage import Record
    from cimbo.study.events import (
        Ahead,
        Checked,
        Event,
        Listener,
        Proposed,
        Recorded,
        Step,
        Stopped,
    )
    from cimbo.study.front import Front
    from cimbo.study.study import Study

__all__ = [
    "Ahead",
    "AnalyticFunction",
    "BadInput",
    "Candidate",
    "Checked",
    "Choice",
    "CimboError",
    "Config",
    "Constraint",
    "Evaluate",
    "EvaluationsFailed",
    "Event",
    "ExecutionOptions",
    "Forecast",
    "Front",
    "Guidance",
    "Listener",
    "Objective",
    "OptimizerOptions",
    "Problem",
    "Proposed",
    "Record",
    "Recorded",
    "SearchSpace",
    "Session",
    "Source",
    "Step",
    "Stopped",
    "Study",
    "StudyError",
    "UnknownOption",
    "View",
    "Workers",
    "__version__",
    "open_session",
]
HOME_MODULES = {
    "Ahead": "study.events",
    "AnalyticFunction": "optimizer.views",
    "BadInput": "errors",
    "Candidate": "problem.objectives",
    "Checked": "study.events",
    "Choice": "problem.space",
    "CimboError": "errors",
    "Config": "config.description",
    "Constraint": "problem.objectives",
    "Evaluate": "execution.worker",
    "Event": "study.events",
    "ExecutionOptions": "execution",
    "Forecast": "optimizer.convergence",
    "Front": "study.front",
    "Guidance": "optimizer.options",
    "Listener": "study.events",
    "Objective": "problem.objectives",
    "OptimizerOptions": "optimizer.options",
    "Problem": "problem.objectives",
    "Proposed": "study.events",
    "Record": "storage",
    "Recorded": "study.events",
    "SearchSpace": "problem.space",
    "Session": "session.session",
    "Source": "session.opening",
    "Study": "study.study",
    "Workers": "session.workers",
    "open_session": "session.opening",
    "Step": "study.events",
    "Stopped": "study.events",
    "EvaluationsFailed": "errors",
    "StudyError": "errors",
    "UnknownOption": "errors",
    "View": "optimizer.views",
}

logging.getLogger("cimbo").addHandler(logging.NullHandler())


ROOMS_OF_PICTURES = ("plots", "report")  # loaded when they are named: cimbo.plots.front(study)


def __getattr__(name: str) -> Any:
    if name in HOME_MODULES:
        return getattr(import_module(f"cimbo.{HOME_MODULES[name]}"), name)
    if name in ROOMS_OF_PICTURES:
        return import_module(f"cimbo.{name}")
    raise AttributeError(f"module 'cimbo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
